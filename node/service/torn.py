"""What an earlier life of this node said of the tree where its registry forks is said again (SPEC 14.4, R9).

A node that was set back unnoticed writes its registry a second time, otherwise. Who took the other branch never learns
of a child, a key or a life that was named on this one, nor of anything that was signed by it, and cannot read what is
said of it later. In a later life the same words have a place of their own.

Said is only what can stand everywhere: an entry that somebody must hold, or cannot read, stops all that is behind it.
So children and keys are those this node goes by itself, as long as the other branch says nothing of them, of keys the
present one; lives are those of both branches, since all were lived in, under keys that everybody knows then. Nothing is
said again that a key signed that is in other hands.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select

from node.store import tables as t
from node.store.codec import inc_of
from schemas.ids import Incarnation, KeyId, NodeCode
from schemas.registry import Card, Enrolled, Granted, Rotated
from schemas.statement import RegistryEntry
from sync.errors import SyncError
from sync.keys import thumbprint, unb64
from sync.roster import Roster
from sync.sealing import REGISTRY, Statement, open_statement, parse
from sync.strict import strict_json

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
_BESIDE_IT = (
    t.parked.c.topic.is_(None),
    t.parked.c.state.in_(("held", "deferred")),
    t.parked.c.code.in_(("equivocation", "wrong-prev", "gap")),
)
"""Where the entries of the other branches are kept, among others."""
_BESIDE = select(t.parked.c.raw).where(*_BESIDE_IT).order_by(t.parked.c.id)
KEPT_LAST = select(func.max(t.parked.c.id)).where(*_BESIDE_IT)


@dataclass(frozen=True, slots=True)
class _Said:
    """`here`: applied, and not held; `foreign`: signed with a key that is in other hands now."""

    entry: RegistryEntry[Any]
    here: bool
    foreign: bool


@dataclass
class _Known:
    """What everybody knows of this node's children: the keys of each, and lives."""

    keys: dict[NodeCode, set[KeyId]] = field(default_factory=dict)
    lives: set[tuple[NodeCode, Incarnation]] = field(default_factory=set)

    def takes(self, entry: RegistryEntry[Any]) -> bool:
        """Whether everybody can read the next entry; then they know what it says."""
        body, card = entry.body, _card(entry)
        if isinstance(body, Granted):
            readable = body.key in self.keys.get(body.node, ())
            if readable:
                self.lives.add((body.node, body.inc))
            return readable
        assert card is not None  # noqa: S101 - nothing else is read
        if isinstance(body, Rotated) and card.code not in self.keys:
            return False
        self.keys.setdefault(card.code, set()).add(_kid(card))
        return True


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


class Remedy(StrEnum):
    """What a person can do for a child whose present key not everybody knows."""

    RENEW = "renew"
    HEAL = "heal"
    """This life has said what not everybody can read, so that nothing it says is read by all; the next one's is."""
    NONE = "none"
    """Not everybody knows the child at all, nor could read that it has another key."""


def unreadable(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> dict[NodeCode, Remedy]:
    """The children whose present key not everybody knows, as far as this node can tell: what is said under such a key
    stops this node's registry at who does not."""
    forks = _forks(conn, me, inc)
    if not forks:
        return {}
    known, _ = _whole(_all_said(conn, roster, me), forks)
    keys = {child: roster.members[child].key.kid for child in roster.children(me)}
    return {
        child: Remedy.HEAL if inc in forks else Remedy.RENEW if child in known.keys else Remedy.NONE
        for child, kid in keys.items()
        if kid not in known.keys.get(child, ())
    }


def torn(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> list[RegistryEntry[Any]]:
    """What this node said on a branch and nowhere else, in order.

    Nothing where it has no life to say it in, or has said in this one what not everybody can read: the next mends that.
    """
    forks = _forks(conn, me, inc) if inc.number else {}
    known, rest = _whole(_all_said(conn, roster, me), forks) if forks else (_Known(), [])
    if inc in forks:
        return []
    otherwise = {card.code for one in rest if not one.here and (card := _card(one.entry)) is not None}
    again = []
    for one in rest:
        card = _card(one.entry)
        if card is None or not one.here or card.code in otherwise or _kid(card) in known.keys.get(card.code, ()):
            continue
        if isinstance(one.entry.body, Rotated):
            wanted = roster.members[card.code].card.key == card.key
        else:
            wanted = card.code not in known.keys
        if wanted and known.takes(one.entry):
            again.append(one.entry)
    for entry in (one.entry for one in rest if isinstance(one.entry.body, Granted)):
        node, life, key = entry.body.node, entry.body.inc, entry.body.key
        if (node, life) not in known.lives and key not in roster.members[node].revoked and known.takes(entry):
            again.append(entry)
    return again


def _forks(conn: Connection, me: NodeCode, inc: Incarnation) -> dict[Incarnation, int]:
    """The place from which on each earlier registry of this node is torn."""
    found = conn.execute(_FORKS, {"me": me}).all()
    return {inc_of(row.inc): row[1] for row in found if inc_of(row.inc) != inc}


def _whole(said: Iterable[_Said], forks: dict[Incarnation, int]) -> tuple[_Known, list[_Said]]:
    """What everybody knows by what is not torn, and the rest, in order, but what may not be this node's own word. A
    registry is torn also from an entry on that not everybody can read; `forks` then has it."""
    known, rest = _Known(), []
    for one in sorted(said, key=lambda one: (one.entry.inc, one.entry.seq)):
        entry, whole = one.entry, one.entry.seq < forks.get(one.entry.inc, 1 + one.entry.seq)
        if whole and one.here and not known.takes(entry):
            forks[entry.inc], whole = entry.seq, False
        if not whole and not one.foreign:
            rest.append(one)
    return known, rest


def _all_said(conn: Connection, roster: Roster, me: NodeCode) -> Iterator[_Said]:
    """All that this node said of its children, as far as it is here."""
    mine = roster.members[me]
    for query in (_APPLIED, _BESIDE):
        for raw in conn.execute(query, {"me": me} if query is _APPLIED else {}).scalars():
            said = _read(raw, roster, me)
            if said is not None:
                yield _Said(said.payload, query is _APPLIED, said.kid in mine.revoked)


def _read(raw: bytes, roster: Roster, me: NodeCode) -> Statement | None:
    """An entry of this node about a child of its, None where it is anything else.

    Of itself a root speaks where its life begins, which no fork can hide.
    """
    try:
        signed = parse(raw)
        if signed.typ != REGISTRY or strict_json(signed.payload).get("author") != me:
            return None
        said = open_statement(signed, roster.keyring)
    except SyncError:
        return None  # kept unread, or by a state of the registry that a restore forgot
    body = said.payload.body
    code = body.node if isinstance(body, Granted) else getattr(_card(said.payload), "code", None)
    child = roster.get(code) if code is not None else None
    return said if child is not None and child.parent == me else None


def _card(entry: RegistryEntry[Any]) -> Card | None:
    return entry.body.node if isinstance(entry.body, Enrolled | Rotated) else None


def _kid(card: Card) -> KeyId:
    return thumbprint(unb64(card.key))
