"""What an earlier life of this node said of the tree where its registry forks is said again (SPEC 14.4, R9).

A node that was set back unnoticed writes its registry a second time, otherwise. Who took the other branch never learns
of a child, a key or a life that was named on this one, nor of anything that was signed by it, and cannot read what is
said of it later. In a later life the same words have a place of their own.

Said is only what can stand everywhere: an entry that somebody must hold stops all that is behind it. So children and
keys are those this node goes by itself, as long as the other branch says nothing else of them; lives are those of both
branches, since all were lived in, under keys that everybody knows then. Nothing is said again that a key signed that is
in other hands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
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
_BESIDE = (
    select(t.parked.c.raw)
    .where(t.parked.c.topic.is_(None), t.parked.c.state.in_(("held", "deferred")))
    .where(t.parked.c.code.in_(("equivocation", "wrong-prev", "gap")))
    .order_by(t.parked.c.id)
)
"""Where the entries of the other branches are kept, among others."""


@dataclass(frozen=True, slots=True)
class _Said:
    """`torn`: at the place of a fork or behind it; `here`: applied, and not held."""

    entry: RegistryEntry[Any]
    torn: bool
    here: bool


def repeat(batch: "Batch") -> int:
    """Say again what is torn, in the present life; how many entries that were."""
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
    """What this node said on a branch and nowhere else, in order; nothing where it has no life to say it in."""
    found = conn.execute(_FORKS, {"me": me}).all() if inc.number else []
    forks = {inc_of(row.inc): row[1] for row in found if inc_of(row.inc) != inc}
    if not forks:
        return []
    said = sorted(_all_said(conn, roster, me, forks), key=lambda one: (one.entry.inc, one.entry.seq))
    named = _Named(said)
    again = [one.entry for one in said if one.torn and one.here and named.news(one.entry)]
    lives = {(one.entry.body.node, one.entry.body.inc) for one in _granted(said) if not one.torn}
    for one in _granted(said):
        body: Granted = one.entry.body
        if (body.node, body.inc) not in lives and named.is_everywhere(roster, body.node, body.key):
            lives.add((body.node, body.inc))
            again.append(one.entry)
    return again


class _Named:
    """The children and keys that everybody knows, or will, by what is said again."""

    def __init__(self, said: list[_Said]) -> None:
        self._enrolled: set[NodeCode] = set()
        self._keys: dict[NodeCode, set[KeyId]] = {}
        self._last: dict[NodeCode, tuple[Incarnation, int]] = {}
        self._otherwise: set[NodeCode] = set()
        for one in said:
            card = _card(one.entry)
            if card is not None and not one.torn:
                self._note(one.entry, card)
                self._last[card.code] = (one.entry.inc, one.entry.seq)
            elif card is not None and not one.here:
                self._otherwise.add(card.code)

    def _note(self, entry: RegistryEntry[Any], card: Card) -> None:
        self._keys.setdefault(card.code, set()).add(_kid(card))
        if isinstance(entry.body, Enrolled):
            self._enrolled.add(card.code)

    def news(self, entry: RegistryEntry[Any]) -> bool:
        """Whether a torn entry names a child, or its present key, that not everybody knows; from then on they do."""
        card = _card(entry)
        if card is None or card.code in self._otherwise:
            return False
        known, place = card.code in self._enrolled, (entry.inc, entry.seq)
        if isinstance(entry.body, Rotated):
            known = not known or _kid(card) in self._keys[card.code] or place < self._last.get(card.code, place)
        if not known:
            self._note(entry, card)
        return not known

    def is_everywhere(self, roster: Roster, child: NodeCode, kid: KeyId) -> bool:
        member = roster.get(child)
        return member is not None and kid in self._keys.get(child, ()) and kid not in member.revoked


def _all_said(conn: Connection, roster: Roster, me: NodeCode, forks: dict[Incarnation, int]) -> Iterator[_Said]:
    """All that this node said of its children, as far as it is here, but under a key that is in other hands."""
    mine = roster.members[me]
    for query in (_APPLIED, _BESIDE):
        for raw in conn.execute(query, {"me": me} if query is _APPLIED else {}).scalars():
            said = _read(raw, roster, me)
            if said is None:
                continue
            entry: RegistryEntry[Any] = said.payload
            is_torn = entry.seq >= forks.get(entry.inc, 1 + entry.seq)
            if not (is_torn and said.kid in mine.revoked):
                yield _Said(entry, is_torn, query is _APPLIED)


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


def _granted(said: list[_Said]) -> list[_Said]:
    return [one for one in said if isinstance(one.entry.body, Granted)]


def _card(entry: RegistryEntry[Any]) -> Card | None:
    return entry.body.node if isinstance(entry.body, Enrolled | Rotated) else None


def _kid(card: Card) -> KeyId:
    return thumbprint(unb64(card.key))
