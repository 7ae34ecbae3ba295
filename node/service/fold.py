"""What is stored, folded into state once more from nothing but bytes and keys: the registry, then every chain.

Verify compares the result with what the tables say, rebuild stores it. Every signature and identity is checked on the
way. A bad row is noted and passed by, and memory is bounded by the number of topics held at once, not by the database.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from node.domain.topic import recall_sent, work
from node.service.roster import open_registry
from node.store import tables as t
from node.store.projections import entry_row, orphan_row, remark_row
from node.store.topics import Working
from schemas.ids import Digest, NodeCode
from sync.custody import Chain, evolve
from sync.errors import Held, Refused, SyncError
from sync.roster import Roster, enrol
from sync.sealing import REGISTRY, Signed, Statement, open_many, parse

ROWS_AT_ONCE = 500
TOPICS_AT_ONCE = 200


class Findings:
    """What is wrong: the first of each kind by name, and how many more there are."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._count: dict[str, int] = {}

    def add(self, kind: str, where: object, why: object) -> None:
        self._first.setdefault(kind, f"{kind} {where}: {why}")
        self._count[kind] = self._count.get(kind, 0) + 1

    def lines(self) -> list[str]:
        more = {kind: count - 1 for kind, count in self._count.items() if count > 1}
        return [first + (f" (and {more[kind]} more)" if kind in more else "") for kind, first in self._first.items()]


@dataclass(slots=True)
class Folded:
    """A topic as its chain says. `sound` is False where an entry did not fit: then it stops before that one."""

    working: Working
    sound: bool = True
    states: dict[Digest, Chain] | None = None
    """The state after every entry, kept only where orphans stand beside the chain."""
    disposals: dict[Digest, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folding:
    """What folding needs: one view of the database, the verified roster, threads, and where to note what is wrong."""

    conn: Connection
    me: NodeCode
    roster: Roster
    pool: ThreadPoolExecutor | None
    findings: Findings
    seen: Callable[[Statement], None] = lambda _statement: None
    """Told of every statement that verified, applied or not."""


def registry(conn: Connection, findings: Findings) -> tuple[Roster, list[Statement]]:
    """The roster and the statements it was folded from, in the order they were stored."""
    query = select(t.statements.c.id, t.statements.c.raw).where(t.statements.c.typ == REGISTRY)
    roster, good = Roster(), []
    for row in conn.execute(query.order_by(t.statements.c.pos)):
        try:
            statement = open_registry(row.raw, roster)
            if statement.id != row.id:
                raise Refused("wrong-id", statement.id)
            roster = enrol(roster, statement)
        except SyncError as error:
            findings.add("registry statement", row.id, error)
            continue
        good.append(statement)
    return roster, good


def opened(
    folding: Folding, query: Select[Any], many: int = ROWS_AT_ONCE
) -> Iterator[tuple[Row[Any], Statement | SyncError]]:
    """Rows with at least (id, raw, typ, by, source), each with its verified statement or what is wrong with it."""
    result = folding.conn.execute(query.execution_options(yield_per=many))
    for rows in result.partitions(many):
        found = [_parse(row) for row in rows]
        signed = [item for item in found if isinstance(item, Signed)]
        verified = iter(open_many(signed, folding.roster.keyring, folding.pool))
        for row, item in zip(rows, found, strict=True):
            judged = _checked(row, next(verified), folding.me) if isinstance(item, Signed) else item
            if isinstance(judged, Statement):
                folding.seen(judged)
            yield row, judged


def stored(*columns: Any) -> tuple[Any, ...]:
    """The columns of `statements` that `opened` looks at, after `columns`."""
    s = t.statements.c
    return (*columns, s.raw, s.typ, s.author.label("by"), s.source, s.at.label("stored_at"), s.pos)


def differs(expected: dict[str, Any], row: Row[Any], but: Collection[str] = ()) -> list[str]:
    """The columns in which a row is not as expected."""
    said = row._mapping
    return [name for name, value in expected.items() if name not in but and said[name] != value]


def chains(folding: Folding) -> Iterator[list[Folded]]:
    """Every topic, some at a time, with its text and what the remarks beside it have done."""
    e = t.entries
    query = (
        select(*stored(e.c.id, e.c.topic, e.c.seq, e.c.term, e.c.kind, e.c.author))
        .outerjoin(t.statements, t.statements.c.id == e.c.id)
        .order_by(e.c.topic, e.c.seq)
    )
    late = _applied_late(folding.conn)
    branching = set(folding.conn.execute(select(t.orphans.c.topic)).scalars())
    some: list[Folded] = []
    last = 0
    for row, result in opened(folding, query):
        if not some or some[-1].working.id != row.topic:
            if len(some) >= TOPICS_AT_ONCE:
                yield _with_beside(folding, some)
                some = []
            states: dict[Digest, Chain] | None = {} if row.topic in branching else None
            some.append(Folded(Working(row.topic, seen_at=row.stored_at), states=states))
            last = 0
        _fold(folding, some[-1], row, result)
        if row.pos is not None and row.id not in late and some[-1].states is None:
            if row.pos < last:
                folding.findings.add("entry", row.id, "stored before the one it follows")
            last = row.pos
    if some:
        yield _with_beside(folding, some)


def _parse(row: Row[Any]) -> Signed | SyncError:
    if row.raw is None:
        return Refused("missing", "its bytes are not stored")
    try:
        return parse(row.raw)
    except SyncError as error:
        return error


def _checked(row: Row[Any], result: Statement | SyncError, me: NodeCode) -> Statement | SyncError:
    """The columns beside the bytes say nothing else than the bytes."""
    if isinstance(result, SyncError):
        return result
    if result.id != row.id:
        return Refused("wrong-id", f"the bytes are those of {result.id}")
    if (result.typ, result.payload.author) != (row.typ, row.by):
        return Refused("wrong-columns", "type or author differs from the bytes")
    if row.source is None and row.by != me:
        return Refused("wrong-columns", "written elsewhere, yet from nobody")
    return result


def _fold(folding: Folding, folded: Folded, row: Row[Any], result: Statement | SyncError) -> None:
    if isinstance(result, SyncError):
        folding.findings.add("entry", row.id, result)
        folded.sound = False
        return
    if differs(entry_row(result, result.payload.topic or result.id), row):
        folding.findings.add("entry", row.id, "its row in entries differs from its bytes")
    if not folded.sound:
        return
    found = folded.working
    try:
        found.chain = evolve(found.chain, result, folding.roster)
    except SyncError as error:
        folding.findings.add("chain", f"of {row.topic} at {row.id}", error)
        folded.sound = False
        return
    found.topic = work(found.topic, result.payload, result.id)
    if folded.states is not None:
        folded.states[result.id] = found.chain
    if result.payload.kind in ("adopted", "set_aside"):
        folded.disposals[result.payload.body.orphan] = result.payload.kind


def _with_orphans(folding: Folding, topics: dict[Digest, Folded]) -> None:
    """Fold every branch that is not the chain: each must be valid, and none may be the higher one (SPEC 14.6)."""
    ids = [id for id, folded in topics.items() if folded.states is not None and folded.sound]
    if not ids:
        return
    o = t.orphans.c
    query = select(*stored(o.id, o.topic, o.seq, o.term, o.kind, o.author, o.prev, o.disposed))
    query = query.outerjoin(t.statements, t.statements.c.id == o.id).where(o.topic.in_(ids))
    for row, result in opened(folding, query.order_by(o.topic, o.seq, o.id)):
        try:
            _fold_orphan(folding, topics[row.topic], row, result)
        except SyncError as error:
            folding.findings.add("orphan", row.id, error)


def _fold_orphan(folding: Folding, folded: Folded, row: Row[Any], result: Statement | SyncError) -> None:
    if isinstance(result, SyncError):
        raise result
    if differs(orphan_row(result, row.topic), row, {"disposed"}):
        raise Refused("wrong-columns", "its row in orphans differs from its bytes")
    before = (folded.states or {}).get(row.prev)
    if before is None:
        raise Held("gap", "the entry before it is not here")
    after = evolve(before, result, folding.roster)
    assert folded.states is not None and folded.working.chain is not None  # noqa: S101 - the caller chose such
    if after.rank >= folded.working.chain.rank:
        raise Held("fork", "its branch is above the chain")
    if folded.disposals.get(row.id) != row.disposed:
        raise Refused("wrong-columns", "disposed of otherwise than the chain says")
    folded.states[row.id] = after
    folded.working.lost |= after.participants


def _with_beside(folding: Folding, some: list[Folded]) -> list[Folded]:
    """Add what stands beside the chains: the text of `opened`, and recalls that were asked."""
    topics = {folded.working.id: folded for folded in some}
    _with_orphans(folding, topics)
    refs = t.part_refs.c
    query = (
        select(refs.topic, t.parts.c.content)
        .join(t.parts, t.parts.c.digest == refs.digest)
        .where(refs.statement.in_(topics), refs.statement == refs.topic, refs.name == "text")
        .where(t.parts.c.content.is_not(None))
    )
    for topic, content in folding.conn.execute(query):
        topics[topic].working.text = content.decode("utf-8", "replace").replace("\x00", "")
    r = t.remarks
    said = (
        select(*stored(r.c.id, r.c.topic, r.c.entry, r.c.kind, r.c.author, r.c.inc))
        .outerjoin(t.statements, t.statements.c.id == r.c.id)
        .where(r.c.topic.in_(topics))
        .order_by(t.statements.c.pos)
    )
    for row, result in opened(folding, said):
        try:
            _fold_remark(topics[row.topic], row, result)
        except SyncError as error:
            folding.findings.add("remark", row.id, error)
    return some


def _fold_remark(folded: Folded, row: Row[Any], result: Statement | SyncError) -> None:
    if isinstance(result, SyncError):
        raise result
    if differs(remark_row(result, row.stored_at), row, {"at"}):
        raise Refused("wrong-columns", "its row in remarks differs from its bytes")
    found = folded.working
    if not folded.sound or found.chain is None or found.topic is None:
        return
    if result.payload.author not in found.concerned:
        raise Held("not-a-participant", result.payload.author)
    offer = found.chain.offer
    if row.kind == "recalled" and offer is not None and (offer.id, offer.by) == (row.entry, row.author):
        found.topic = recall_sent(found.topic, offer.id, result.payload.at)


def _applied_late(conn: Connection) -> set[Digest]:
    """Statements stored and relayed before they could be applied: their place in the store says nothing."""
    query = select(t.parked.c.statement).where(t.parked.c.relayed)
    return set(conn.execute(query).scalars())
