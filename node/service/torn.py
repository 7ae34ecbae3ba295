"""What an earlier life of this node said of the tree where its registry forks is said again (SPEC 14.4, R9).

A node that was set back unnoticed writes its registry a second time, otherwise. Who took one branch holds the other,
and never learns of a child, a key or a life that was named there, nor of anything that was signed by it. In a later
life the same words have a place of their own; those of every branch, since all were acted on.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, func, select

from node.store import tables as t
from node.store.codec import inc_of
from schemas.ids import Digest, Incarnation, NodeCode
from schemas.registry import Granted, Rotated
from schemas.statement import RegistryEntry
from sync.errors import SyncError
from sync.roster import Roster, told
from sync.sealing import REGISTRY, open_statement, parse

if TYPE_CHECKING:
    from node.service.commit import Batch

OF_THE_TREE = ("enrolled", "rotated", "granted")
_FORKS = (
    select(t.registry.c.inc, func.min(t.registry.c.seq))
    .join(t.equivocations, t.equivocations.c.kept == t.registry.c.id)
    .where(t.registry.c.author == bindparam("me"))
    .group_by(t.registry.c.inc)
)
_APPLIED = (
    select(t.statements.c.id, t.statements.c.raw)
    .join(t.registry, t.registry.c.id == t.statements.c.id)
    .where(t.registry.c.author == bindparam("me"), t.registry.c.kind.in_(OF_THE_TREE))
)
_BESIDE = select(t.parked.c.statement, t.parked.c.raw).where(
    t.parked.c.topic.is_(None),
    t.parked.c.state.in_(("held", "deferred")),
    t.parked.c.code.in_(("equivocation", "wrong-prev", "gap")),
)
"""Where the entries of the other branches are kept, among others."""


def repeat(batch: "Batch") -> int:
    """Say again what is torn, in the present life; how many entries that were."""
    some = torn(batch.conn, batch.roster, batch.me, batch.inc)
    for entry in some:
        batch.register(entry.kind, entry.body)
        batch.audit("said-again", None, kind=entry.kind)
    return len(some)


def torn(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> list[RegistryEntry[Any]]:
    """What this node said on a branch and nowhere else, in order; nothing where it has no life to say it in.

    A key that was named since is named once more after one that was before it, and so stays the present one.
    """
    found = conn.execute(_FORKS, {"me": me}).all() if inc.number else []
    forks = {inc_of(row.inc): row[1] for row in found if inc_of(row.inc) != inc}
    if not forks:
        return []
    said = sorted(_said(conn, roster, me), key=lambda it: (it[1].inc, it[1].seq, it[0]))
    whole = {_words(entry) for _, entry in said if entry.seq < forks.get(entry.inc, 1 + entry.seq)}
    wanted: list[RegistryEntry[Any]] = []
    moved: set[NodeCode] = set()
    for id, entry in said:
        is_key = isinstance(entry.body, Rotated)
        if _words(entry) in whole and not (is_key and entry.body.node.code in moved):
            continue
        try:
            roster = told(roster, entry, id)
        except SyncError:
            continue  # of a child that only the other branch knows, or whose code it gave to another
        wanted.append(entry)
        if is_key:
            moved.add(entry.body.node.code)
    return wanted


def _said(conn: Connection, roster: Roster, me: NodeCode) -> Iterator[tuple[Digest, RegistryEntry[Any]]]:
    """All that this node said of others in the tree, as far as it is here, applied or held."""
    for id, raw in (*conn.execute(_APPLIED, {"me": me}), *conn.execute(_BESIDE)):
        said = open_statement(parse(raw), roster.keyring)
        if said.typ != REGISTRY or said.payload.author != me or said.payload.kind not in OF_THE_TREE:
            continue
        body = said.payload.body
        if not isinstance(body, Granted) or body.node != me:  # how a life begins no fork can hide
            yield id, said.payload


def _words(entry: RegistryEntry[Any]) -> tuple[str, str]:
    return entry.kind, entry.body.model_dump_json()
