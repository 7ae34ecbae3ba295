"""Grants that stand where a registry forks are written again in the next life of their author (SPEC 14.4, R9).

A node that was set back unnoticed writes its registry a second time, otherwise. Who took one branch holds the other,
and never learns of a life that was granted there, nor of anything that was signed in it. In a later life the same grant
has a place of its own; that of every branch, since all were acted on.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, func, select

from node.context import Context
from node.service import life
from node.service.commit import write
from node.service.retry import reopen
from node.service.roster import current
from node.store import tables as t
from node.store.codec import inc_of
from node.store.engine import reading
from schemas.ids import Incarnation, NodeCode
from schemas.registry import Granted
from schemas.statement import RegistryEntry
from sync.roster import Roster
from sync.sealing import REGISTRY, Statement

_FORKS = (
    select(t.registry.c.inc, func.min(t.registry.c.seq))
    .join(t.equivocations, t.equivocations.c.kept == t.registry.c.id)
    .where(t.registry.c.author == bindparam("me"))
    .group_by(t.registry.c.inc)
)
_APPLIED = (
    select(t.statements.c.id, t.statements.c.raw)
    .join(t.registry, t.registry.c.id == t.statements.c.id)
    .where(t.registry.c.author == bindparam("me"), t.registry.c.kind == "granted")
)
_BESIDE = select(t.parked.c.statement, t.parked.c.raw).where(
    t.parked.c.topic.is_(None),
    t.parked.c.state.in_(("held", "deferred")),
    t.parked.c.code.in_(("equivocation", "wrong-prev", "gap")),
)
"""Where the entries of the other branches are kept, among others."""


def repeat_grants(ctx: Context) -> int:
    """Write again what this node granted from the place on where a registry of an earlier life forks; how many."""
    with reading(ctx.engine) as conn:
        if not _torn(conn, current(ctx, conn), ctx.identity.code):
            return 0
    with write(ctx) as batch:
        torn = _torn(batch.conn, batch.roster, batch.me)
        for body in torn:
            batch.register("granted", body)
            batch.audit("grant-again", None, node=body.node, number=body.inc.number)
        return len(torn)


def _torn(conn: Connection, roster: Roster, me: NodeCode) -> list[Granted]:
    """What was granted to a child on a branch, and nowhere else, in order; nothing where this node may not sign."""
    mine = life.read(conn)
    forks = {inc_of(inc): seq for inc, seq in conn.execute(_FORKS, {"me": me}).all() if inc_of(inc) != mine.inc}
    if not forks or not mine.live:
        return []
    torn: dict[tuple[NodeCode, Incarnation], Granted] = {}
    whole = set()
    for entry in sorted(_granted(conn, roster, me), key=lambda entry: (entry.inc, entry.seq)):
        what = (entry.body.node, entry.body.inc)
        if entry.seq < forks.get(entry.inc, 1 + entry.seq):
            whole.add(what)
        else:
            torn[what] = entry.body
    return [body for what, body in torn.items() if what not in whole and _is_for_a_child(roster, me, body)]


def _granted(conn: Connection, roster: Roster, me: NodeCode) -> Iterator[RegistryEntry[Granted]]:
    """Everything this node granted, as far as it is here, applied or held."""
    for id, raw in (*conn.execute(_APPLIED, {"me": me}), *conn.execute(_BESIDE)):
        _, said = reopen(raw, id, roster)
        if isinstance(said, Statement) and said.typ == REGISTRY:
            entry = said.payload
            if entry.author == me and entry.kind == "granted":
                yield entry


def _is_for_a_child(roster: Roster, me: NodeCode, body: Granted) -> bool:
    """Of itself a root speaks at the start of a life, which no fork can hide."""
    member = roster.get(body.node)
    return member is not None and member.parent == me and body.key in {key.kid for key in member.keys}
