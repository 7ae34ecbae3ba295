"""Make every projection again from the statements and parts, in one transaction (`liandong verify --rebuild`).

Statements, parts, streams, links and people's own tables stay as they are. A statement that does not verify is left
out; verify names it afterwards.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from node.context import Context
from node.service import fold
from node.service.commit import Batch
from node.service.fold import Findings, Folding
from node.service.lists import areas_above, in_force
from node.service.roster import ROSTER
from node.service.rows import take
from node.service.summaries import renew
from node.service.verify_log import authored
from node.store import aggregation as ag
from node.store import log as log_rows
from node.store import log_tables as lt
from node.store import tables as t
from node.store import topics as topic_rows
from node.store.codec import inc_of
from node.store.engine import insert_new, writing
from node.store.projections import (
    entry_row,
    orphan_row,
    part_rows,
    registry_row,
    remark_row,
    summary_row,
    topic_of,
)
from node.store.rows import slices
from node.store.topics import Surroundings
from schemas.ids import Digest, TopicId
from sync.custody import Chain
from sync.errors import SyncError
from sync.sealing import ENTRY, REGISTRY, REMARK, SUMMARY, Statement

_PROJECTIONS = (
    lt.leaves,
    lt.log_nodes,
    *(ag.rollups, ag.mixes, ag.topic_row_areas, ag.topic_rows, ag.row_differences, ag.said_rows, ag.heard),
    *(ag.totals_differences, ag.totals),
    *(t.topic_areas, t.topics, t.part_refs, t.entries, t.orphans, t.remarks, t.registry, ag.summaries),
)


def rebuild(ctx: Context) -> None:
    """Nobody writes meanwhile; a crash or an error leaves everything as it was."""
    findings = Findings()
    with writing(ctx.engine) as conn:
        for table in _PROJECTIONS:
            conn.execute(delete(table))
        roster, registered = fold.registry(conn, findings)
        folding = Folding(conn, ctx.identity.code, roster, ctx.pool, findings)
        rows = [registry_row(statement) for statement in registered]
        refs = [row for statement in registered for row in part_rows(statement, None)]
        _insert(conn, {t.registry: rows, t.part_refs: refs})
        _insert_statements(folding)
        _part_branches(folding)
        around = surroundings(ctx, conn)
        for some in fold.chains(folding):
            found = [folded.working for folded in some if folded.working.chain is not None]
            topic_rows.store(conn, found, around)
        ctx.cache.pop(ROSTER, None)
        _renew_rows(Batch(ctx, conn), folding)
        _insert_leaves(conn)
    ctx.cache.pop(ROSTER, None)


def surroundings(ctx: Context, conn: Connection) -> Surroundings:
    """What the rows of topics depend on beside their chains, as this database state has it."""
    rows = conn.execute(select(t.equivocations.c.author, t.equivocations.c.inc))
    frozen = frozenset((row.author, inc_of(row.inc)) for row in rows)

    def is_frozen(chain: Chain) -> bool:
        return (chain.custodian, chain.inc) in frozen

    lists = in_force(ctx, conn)
    return Surroundings(ctx.identity.code, ctx.clock.now(), is_frozen, lambda code: areas_above(lists, code))


def waiting(conn: Connection) -> set[Digest]:
    """Statements that are stored and passed on but cannot be applied (yet): they have no projection."""
    query = select(t.parked.c.statement).where(t.parked.c.relayed, t.parked.c.state.in_(("deferred", "held")))
    return set(conn.execute(query).scalars())


def _insert_statements(folding: Folding) -> None:
    """The rows of entries, remarks and parts that each statement has for itself; chains are judged afterwards."""
    unapplied = waiting(folding.conn)
    query = select(*fold.stored(t.statements.c.id)).where(t.statements.c.typ != REGISTRY).order_by(t.statements.c.pos)
    found = _in_order(folding, query)
    while some := list(islice(found, fold.ROWS_AT_ONCE)):
        rows: dict[Any, list[dict[str, Any]]] = {t.entries: [], t.remarks: [], ag.summaries: [], t.part_refs: []}
        for row, statement in some:
            topic = topic_of(statement)
            rows[t.part_refs] += part_rows(statement, topic)
            if statement.id in unapplied:
                continue
            if statement.typ == ENTRY:
                rows[t.entries].append(entry_row(statement, topic or statement.id))
            elif statement.typ == REMARK:
                rows[t.remarks].append(remark_row(statement, row.stored_at))
            elif statement.typ == SUMMARY:
                rows[ag.summaries].append(summary_row(statement, row.stored_at))
        insert_new(folding.conn, t.entries, rows.pop(t.entries))
        _insert(folding.conn, rows)


def _renew_rows(batch: Batch, folding: Folding) -> None:
    """What was said, taken in again; then the rows and figures of every topic. What is still to be sealed stays due."""
    due = set(batch.conn.execute(select(ag.rows_due.c.topic)).scalars())
    query = select(*fold.stored(t.statements.c.id)).join(ag.summaries, ag.summaries.c.id == t.statements.c.id)
    for row, statement in _in_order(folding, query.order_by(t.statements.c.pos)):
        with suppress(SyncError):
            take(batch, statement, row.stored_at)
    here = batch.conn.execute(select(t.topics.c.id).where(t.topics.c.mine)).scalars().all()
    batch.flush()
    for some in slices([*here, *_unfounded(batch, here)]):
        renew(batch, some)
    batch.flush()
    batch.conn.execute(delete(ag.rows_due))
    batch.rows.touched |= due
    batch.flush()


def _unfounded(batch: Batch, here: Sequence[TopicId]) -> list[TopicId]:
    """Topics others speak of and that ought to be here."""
    marked = batch.conn.execute(select(ag.rows_due.c.topic)).scalars()
    return sorted(set(marked) - set(here))


def _insert_leaves(conn: Connection) -> None:
    """The log once more, and the hashes above it as far as they are due; what was signed of it stays as it is."""
    sizes: dict[str, int] = {}
    written = authored(conn)
    while some := list(islice(written, fold.ROWS_AT_ONCE)):
        rows = []
        for inc, id in some:
            rows.append({"inc": inc, "idx": sizes.get(inc, 0), "statement": id})
            sizes[inc] = sizes.get(inc, 0) + 1
        conn.execute(insert(lt.leaves), rows)
    for inc, size in sizes.items():
        log_rows.complete(conn, inc_of(inc), size)


def _part_branches(folding: Folding) -> None:
    """Where a topic has more entries than one path, the path to the highest (term, seq) is the chain (SPEC 14.6)."""
    rivals = _rivals(folding)
    e = t.entries.c
    branching = select(e.topic).group_by(e.topic).having(func.count() > func.max(e.seq) + 1)
    for topic in sorted({*folding.conn.execute(branching).scalars(), *rivals}):
        query = select(*fold.stored(e.id)).join(t.statements, t.statements.c.id == e.id).where(e.topic == topic)
        placed = {statement.id: statement for _, statement in _in_order(folding, query)}
        found = placed | rivals.get(topic, {})
        path = _path(found)
        disposals = {
            found[id].payload.body.orphan: found[id].payload.kind
            for id in path
            if found[id].payload.kind in ("adopted", "set_aside")
        }
        folding.conn.execute(delete(t.entries).where(e.topic == topic, e.id.not_in(path)))
        lost = [statement for id, statement in found.items() if id not in path]
        rows = [{**orphan_row(statement, topic), "disposed": disposals.get(statement.id)} for statement in lost]
        late = [entry_row(found[id], topic) for id in path if id not in placed]
        _insert(folding.conn, {t.entries: late, t.orphans: rows})


def _rivals(folding: Folding) -> dict[TopicId, dict[Digest, Statement]]:
    """Entries, by topic, for whose position there was another one already: what is left of a fork (R9)."""
    here = select(t.entries.c.id).where(t.entries.c.id == t.statements.c.id).exists()
    unapplied = waiting(folding.conn)
    query = select(*fold.stored(t.statements.c.id)).where(t.statements.c.typ == ENTRY, ~here)
    found: dict[TopicId, dict[Digest, Statement]] = {}
    for _, statement in _in_order(folding, query.order_by(t.statements.c.pos)):
        if statement.id not in unapplied:
            found.setdefault(topic_of(statement) or statement.id, {})[statement.id] = statement
    return found


def _path(found: Mapping[Digest, Statement]) -> list[Digest]:
    at: Digest | None = max(found.values(), key=lambda one: (one.payload.term, one.payload.seq)).id
    path: list[Digest] = []
    while at is not None:
        path.append(at)
        at = found[at].payload.prev
    return path[::-1]


def _in_order(folding: Folding, query: Any) -> Iterator[tuple[Any, Statement]]:
    for row, result in fold.opened(folding, query):
        if not isinstance(result, SyncError):
            yield row, result


def _insert(conn: Connection, rows: dict[Any, list[dict[str, Any]]]) -> None:
    for table, some in rows.items():
        if some:
            conn.execute(insert(table), some)
