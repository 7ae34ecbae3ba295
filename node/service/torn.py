"""What an earlier life of this node said of the tree where its registry forks is said again (SPEC 14.4, R9).

A node that was set back unnoticed writes its registry a second time, otherwise. Who took the other branch never learns
of a child, a key or a life that was named on this one, nor of anything that was signed by it, and cannot read what is
said of it later. In a later life the same words have a place of their own.

Said is only what can stand everywhere: an entry that somebody must hold, or cannot read, stops all that is behind it.
So children and keys are those this node goes by itself, as long as the other branch says nothing else of them; lives
are those of both branches, since all were lived in, under keys that everybody knows then. Nothing is said again that a
key signed that is in other hands. What is left is for a person to decide: see `remedy`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice, product
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select

from node.service import forks
from node.store import tables as t
from node.store.codec import inc_of
from schemas.ids import Digest, Incarnation, KeyId, NodeCode
from schemas.registry import Card, Enrolled, Granted, Rotated
from schemas.statement import RegistryEntry
from sync.errors import SyncError
from sync.keys import thumbprint, unb64
from sync.roster import Roster, after
from sync.sealing import Statement

if TYPE_CHECKING:
    from node.service.commit import Batch

_FORKS = (
    select(t.registry.c.inc, func.min(t.registry.c.seq))
    .join(t.equivocations, t.equivocations.c.kept == t.registry.c.id)
    .where(t.registry.c.author == bindparam("me"))
    .group_by(t.registry.c.inc)
)
_APPLIED = (
    select(t.statements.c.raw)
    .join(t.registry, t.registry.c.id == t.statements.c.id)
    .where(t.registry.c.author == bindparam("me"), t.registry.c.kind.in_(("enrolled", "rotated", "granted")))
)


READERS_MAX = 64
"""Of those who took this or that branch of several registries that fork, so many are told apart."""


@dataclass(frozen=True, slots=True)
class Said:
    """An entry of this node about a child. `here`: applied, and not held; `foreign`: signed with a key that is in other
    hands now."""

    entry: RegistryEntry[Any]
    id: Digest
    here: bool
    foreign: bool

    @property
    def card(self) -> Card | None:
        """Whom it names, and by which key; None where it is a grant."""
        return self.entry.body.node if isinstance(self.entry.body, Enrolled | Rotated) else None

    @property
    def code(self) -> NodeCode:
        code: NodeCode = self.entry.body.node if self.card is None else self.card.code
        return code


@dataclass
class Past:
    """All that this node said of its children, in order. `readers`: what those know of them who took another branch,
    as far as this node can tell; `spoilt`: the present life has said what not all of them can read."""

    mine: Roster
    said: list[Said]
    readers: list[Roster] = field(default_factory=list)
    spoilt: bool = False

    @property
    def everybody(self) -> list[Roster]:
        return [self.mine, *self.readers]

    def names(self, code: NodeCode, here: bool, foreign: bool = False) -> list[Said]:
        """What one side says of who a child is, and under which keys."""
        some = (one for one in self.said if one.card is not None and one.code == code and one.here is here)
        return [one for one in some if foreign or not one.foreign]

    def agree(self, code: NodeCode) -> bool:
        """Whether everybody knows a child, by its present key."""
        found = [roster.get(code) for roster in self.everybody]
        return len({member.key.kid if member else None for member in found}) == 1 and found[0] is not None

    def plan(self, words: Iterable[Said], code: NodeCode) -> list[Said]:
        """Which of these words tell somebody something, where all that is read by everybody and makes them agree of a
        child; otherwise none. Whom everybody knows nobody need enrol."""
        tried, news = Past(self.mine, self.said, self.readers), []
        known = all(roster.get(code) is not None for roster in self.everybody)
        for one in words:
            if known and isinstance(one.entry.body, Enrolled):
                continue
            try:
                told = tried.tell(one)
            except SyncError:
                return []
            news += [one] if told else []
        return news if tried.agree(code) else []

    def tell(self, one: Said) -> bool:
        """Everybody reads it; whether it told anybody anything. Raises SyncError, having told nobody."""
        told = [after(roster, one.entry, one.id) for roster in self.everybody]
        changed = any(a is not b for a, b in zip(told, self.everybody, strict=True))
        self.mine, self.readers = told[0], told[1:]
        return changed


def repeat(batch: "Batch") -> int:
    """Say again what is torn, in the present life; how many entries that were."""
    batch.flush_rows()
    done = 0
    for entry in torn(batch.conn, batch.roster, batch.me, batch.inc):
        try:
            batch.register(entry.kind, entry.body)
        except SyncError as error:
            batch.audit("said-again", None, "alarm", kind=entry.kind, why=error.code)
            break
        batch.audit("said-again", None, kind=entry.kind)
        done += 1
    return done


def torn(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> list[RegistryEntry[Any]]:
    """What this node said on a branch and nowhere else, in order.

    Nothing where it has no life to say it in, or has said in this one what not everybody can read: the next mends that.
    """
    found = past(conn, roster, me, inc) if inc.number else None
    return again(found) if found is not None and not found.spoilt else []


def past(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> Past | None:
    """All that was said and who knows it; None where no earlier registry of this node forks."""
    proven = {inc_of(row.inc): row[1] for row in conn.execute(_FORKS, {"me": me}) if inc_of(row.inc) != inc}
    return told(roster, me, _all_said(conn, roster, me), proven, inc) if proven else None


def told(
    roster: Roster, me: NodeCode, said: Iterable[Said], proven: Mapping[Incarnation, int], inc: Incarnation
) -> Past:
    """The same of what was said; `proven`: from where on the registry of a life is proven to fork; `inc`: the present
    life."""
    found = Past(roster, sorted(said, key=lambda one: (one.entry.inc, one.entry.seq)))
    lives = [list(some) for _, some in groupby(found.said, key=lambda one: one.entry.inc)]
    ways = [list(_branches(some, proven.get(some[0].entry.inc))) for some in lives]
    above = {code: roster.members[code] for code in (me, *roster.ancestors(me))}
    for way in islice(product(*ways), 1, READERS_MAX):  # the first is this node's own
        reader = Roster(above, anchor=roster.anchor)
        for some in way:
            reader, whole = _read_on(reader, some)
            found.spoilt |= not whole and some[0].entry.inc == inc
        found.readers.append(reader)
    return found


def again(found: Past) -> list[RegistryEntry[Any]]:
    """What of it can stand everywhere, and somebody does not know; everybody knows it then."""
    return [*_names(found), *_lives(found)]


def kid(card: Card) -> KeyId:
    return thumbprint(unb64(card.key))


def _branches(life: Sequence[Said], fork: int | None) -> Iterator[list[Said]]:
    """What a life said, by each branch of its registry: this node's own first."""
    yield [one for one in life if one.here]
    if fork is None:
        return
    whole, others = [one for one in life if one.here and one.entry.seq < fork], list[list[Said]]()
    for one in life:
        if not one.here and not one.foreign and one.entry.seq >= fork:
            branch = next((branch for branch in others if branch[-1].entry.seq < one.entry.seq), None)
            if branch is None:
                others.append(branch := [])
            branch.append(one)
    yield from ([*whole, *branch] for branch in others or [[]])


def _read_on(reader: Roster, some: Sequence[Said]) -> tuple[Roster, bool]:
    """Up to what it cannot read, behind which it reads nothing; whether that was all."""
    for one in some:
        try:
            reader = after(reader, one.entry, one.id)
        except SyncError:
            return reader, False
    return reader, True


def _names(found: Past) -> Iterator[RegistryEntry[Any]]:
    """Children, and the keys of each up to the present one: those between were lived under, and it is the one before
    that a rotation calls revoked."""
    for code in dict.fromkeys(one.code for one in found.said if one.here):
        if not found.agree(code) and not any(_knows_more(roster, found.mine, code) for roster in found.readers):
            for one in found.plan(found.names(code, here=True), code):
                found.tell(one)
                yield one.entry


def _knows_more(reader: Roster, mine: Roster, code: NodeCode) -> bool:
    """Whether it knows a key of a child that this node does not."""
    child, had = reader.get(code), {key.kid for key in mine.members[code].keys}
    return child is not None and any(key.kid not in had for key in child.keys)


def _lives(found: Past) -> Iterator[RegistryEntry[Any]]:
    for one in found.said:
        member = found.mine.get(one.code)
        if one.foreign or member is None or not isinstance(one.entry.body, Granted):
            continue
        if one.entry.body.key in member.revoked or (one.entry.body.inc > member.inc and not found.agree(one.code)):
            continue  # the second: it would live by this one then, under a key it may have no more
        try:
            if found.tell(one):
                yield one.entry
        except SyncError:
            continue


def _all_said(conn: Connection, roster: Roster, me: NodeCode) -> Iterator[Said]:
    """All that this node said of its children, as far as it is here, each entry once."""
    revoked = roster.members[me].revoked
    for raws, here in ((conn.execute(_APPLIED, {"me": me}).scalars(), True), (forks.registry_beside(conn), False)):
        for raw in raws:
            said = _read(raw, roster, me)
            if said is not None:
                yield Said(said.payload, said.id, here, said.kid in revoked)


def _read(raw: bytes, roster: Roster, me: NodeCode) -> Statement | None:
    """An entry of this node about a child of its, or about who is not enrolled here; None where it is anything else.

    Of itself a root speaks where its life begins, which no fork can hide.
    """
    said = forks.registry_entry(raw, roster.keyring, me)
    if said is None:
        return None
    body = said.payload.body
    code = body.node if isinstance(body, Granted) else body.node.code if isinstance(body, Enrolled | Rotated) else None
    child = roster.get(code) if code is not None else None
    return said if code is not None and (child is None or child.parent == me) else None
