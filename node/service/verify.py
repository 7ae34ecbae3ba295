"""`liandong verify`: is what this node has stored what was signed, and do its tables say what the bytes say?

Everything is folded again from the statements in one consistent view, while the node goes on working. The first bad
row of each kind is named and the rest is still looked at. What cannot be checked is what nobody signed: people's
accounts, and when something arrived.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from node.context import Context
from node.service import fold, life, verify_log, verify_streams
from node.service.fold import Findings, Folded, Folding
from node.service.rebuild import rebuild as rebuild_projections
from node.service.rebuild import surroundings, waiting
from node.service.verify_rows import Rows
from node.service.verify_streams import FIRST
from node.store import aggregation as ag
from node.store import audit
from node.store import tables as t
from node.store.codec import load_chain, load_topic
from node.store.engine import reading
from node.store.projections import part_rows, registry_row, topic_of
from node.store.topics import area_rows, row_of
from schemas.ids import COUNT_MAX, NodeCode, TopicId
from schemas.registry import Granted
from sync.errors import SyncError
from sync.roster import Roster
from sync.sealing import Statement

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """`problems` names the first bad row of each kind and says how many more there are; `ok` where there is none."""

    ok: bool
    statements: int
    topics: int
    problems: list[str]


def verify(ctx: Context, rebuild: bool = False, progress: Progress | None = None) -> Report:
    """Verify everything stored here; `rebuild`: make the projections again first.

    `progress` is told (statements done, statements in all).
    """
    if rebuild:
        rebuild_projections(ctx)
    with reading(ctx.engine) as conn:
        return _Check(ctx, conn, progress).run()


class _Check:
    """One verification under way, on one view of the database."""

    def __init__(self, ctx: Context, conn: Connection, progress: Progress | None) -> None:
        self._ctx = ctx
        self._conn = conn
        self._progress = progress
        self._findings = Findings()
        self._around = surroundings(ctx, conn)
        self._total: int = conn.execute(select(func.count()).select_from(t.statements)).scalar_one()
        self._statements = self._topics = self._refs = 0
        self._buffer: list[Statement] = []
        listed = select(func.max(t.catalogues.c.at)).where(t.catalogues.c.list == "divisions")
        self._divisions_at: datetime | None = conn.execute(listed).scalar()

    def run(self) -> Report:
        roster, registered = fold.registry(self._conn, self._findings)
        self._check_registry(registered)
        self._life_began = self._began(registered)
        folding = Folding(self._conn, self._ctx.identity.code, roster, self._ctx.pool, self._findings, self._seen)
        rows = Rows(self._ctx, self._conn, roster, self._around, self._findings)
        for some in fold.chains(folding):
            self._topics += len(some)
            sound = [folded for folded in some if folded.sound]
            self._check_topics(sound, roster)
            rows.check_own(sound)
        rows.check(folding)
        self._check_unapplied(folding)
        self._check_parts()
        self._check_strays()
        verify_streams.check(self._ctx, self._conn, roster, self._findings)
        verify_log.check(self._ctx, self._conn, roster, self._findings)
        audit.check(self._conn, self._ctx.identity.signer, self._findings.add)
        problems = self._findings.lines()
        return Report(not problems, self._total, self._topics, problems)

    def _seen(self, statement: Statement) -> None:
        self._statements += 1
        self._buffer.append(statement)
        if len(self._buffer) >= fold.ROWS_AT_ONCE:
            self._check_parts()

    def _check_parts(self) -> None:
        """The part references of the statements seen since the last time."""
        expected = {}
        for statement in self._buffer:
            topic = topic_of(statement)
            for wanted in part_rows(statement, topic):
                expected[wanted["statement"], wanted["name"]] = wanted
        refs = t.part_refs
        ids = [statement.id for statement in self._buffer]
        for row in self._conn.execute(select(refs).where(refs.c.statement.in_(ids))):
            self._refs += 1
            said = expected.pop((row.statement, row.name), None)
            if said is None or fold.differs(said, row):
                self._findings.add("part reference", f"{row.statement} {row.name}", "differs from the statement")
        for statement, name in expected:
            self._findings.add("part reference", f"{statement} {name}", "is not in part_refs")
        self._buffer = []
        if self._progress is not None:
            self._progress(min(self._statements, self._total), self._total)

    def _check_registry(self, registered: list[Statement]) -> None:
        rows = {row.id: row for row in self._conn.execute(select(t.registry))}
        for statement in registered:
            self._seen(statement)
            row = rows.pop(statement.id, None)
            if row is None or fold.differs(registry_row(statement), row):
                self._findings.add("registry row", statement.id, "missing or not what the statement says")
        for id in rows:
            self._findings.add("registry row", id, "no statement of the registry")
        anchor = self._conn.execute(select(t.node.c.anchor)).scalar()
        if anchor is not None and (not registered or registered[0].id != anchor):
            self._findings.add("node", self._ctx.identity.code, "the stored registry is not that of the trusted root")

    def _began(self, registered: list[Statement]) -> int:
        """Where among all statements this node's present life began; without one, after all of them."""
        me, mine = self._ctx.identity.code, life.read(self._conn)
        if not mine.live or mine.inc.number == FIRST:
            return 0 if mine.live else COUNT_MAX
        bodies = ((statement.id, statement.payload.body) for statement in registered)
        ids = [id for id, body in bodies if isinstance(body, Granted) and (body.node, body.inc) == (me, mine.inc)]
        return self._conn.execute(select(func.min(t.statements.c.pos)).where(t.statements.c.id.in_(ids))).scalar() or 0

    def _check_topics(self, some: list[Folded], roster: Roster) -> None:
        ids = [folded.working.id for folded in some]
        rows = {row.id: row for row in self._conn.execute(select(t.topics).where(t.topics.c.id.in_(ids)))}
        areas: dict[TopicId, dict[str, bool]] = {id: {} for id in ids}
        for area in self._conn.execute(select(t.topic_areas).where(t.topic_areas.c.topic.in_(ids))):
            areas[area.topic][area.area] = area.own
        for folded in some:
            row = rows.get(folded.working.id)
            if row is None:
                self._findings.add("topic", folded.working.id, "is not in topics")
                continue
            if wrong := self._differences(folded, row):
                self._findings.add("topic", row.id, f"{', '.join(wrong)} not what its chain says")
            if not self._same_areas(folded, areas[row.id]):
                self._findings.add("area", f"of topic {row.id}", "topic_areas is not what its chain says")
        self._check_delivery(some, roster.neighbours(self._ctx.identity.code))

    def _differences(self, folded: Folded, row: Row[Any]) -> list[str]:
        found = folded.working
        expected = row_of(found, self._around)
        wrong = fold.differs(expected, row, {"custody", "work", "status"})
        if load_chain(row.custody) != found.chain:
            wrong.append("custody")
        work = load_topic(row.work)
        if work.course is None and found.topic is not None:
            work = replace(work, course=found.topic.course)
        if work != found.topic:
            wrong.append("work")
        closed = found.chain is not None and found.chain.closed
        said = {row.status, expected["status"]}
        if len(said) > 1 and not (closed and said == {"closed", "frozen"}):
            wrong.append("status")
        return wrong

    def _same_areas(self, folded: Folded, stored: dict[str, bool]) -> bool:
        """Areas above come from the division table in force when the topic's areas were last stored."""
        found = folded.working
        assert found.topic is not None  # noqa: S101 - it is sound
        expected = {row["area"]: row["own"] for row in area_rows(found.id, found.topic.areas, self._around)}
        if self._divisions_at is None or (found.seen_at is not None and found.seen_at >= self._divisions_at):
            return stored == expected
        return {code for code, own in stored.items() if own} == set(found.topic.areas)

    def _check_delivery(self, some: list[Folded], neighbours: frozenset[NodeCode]) -> None:
        """Every entry is on the stream to every neighbour that takes part, unless it came from there or is its own.

        What was here before the present life began has been compared with each of them instead (SPEC 14.4).
        """
        e, o, s = t.entries.c, t.outbox.c, t.statements.c
        ids = [folded.working.id for folded in some]
        mine = (e.topic.in_(ids), s.pos > self._life_began)
        entries = t.entries.join(t.statements, s.id == e.id)
        here = select(e.topic, s.source, e.author, func.count().label("n")).select_from(entries)
        came: dict[TopicId, dict[tuple[NodeCode | None, NodeCode], int]] = {id: {} for id in ids}
        for row in self._conn.execute(here.where(*mine).group_by(e.topic, s.source, e.author)):
            came[row.topic][row.source, row.author] = row.n
        now = select(e.topic, o.peer, e.id).select_from(entries.join(t.outbox, o.statement == e.id))
        now = now.where(*mine, e.author != o.peer)
        b = t.sent_before.c
        before = select(e.topic, b.peer, e.id).select_from(entries.join(t.sent_before, b.statement == e.id))
        before = before.where(*mine, e.author != b.peer)
        gone = now.union(before).subquery()
        counted = select(gone.c.topic, gone.c.peer, func.count().label("n")).group_by(gone.c.topic, gone.c.peer)
        went = {(row.topic, row.peer): row.n for row in self._conn.execute(counted)}
        for folded in some:
            topic, chain = folded.working.id, folded.working.chain
            if chain is None or self._ctx.identity.code not in chain.participants:
                continue
            for peer in neighbours & chain.participants:
                due = sum(n for known_by, n in came[topic].items() if peer not in known_by)
                if went.get((topic, peer), 0) < due:
                    self._findings.add("delivery", f"of topic {topic}", f"entries are not on the stream to {peer}")

    def _check_unapplied(self, folding: Folding) -> None:
        """Statements with no row of their own are those that wait, and are passed on all the same."""
        s = t.statements
        query = select(*fold.stored(s.c.id))
        for table in (t.entries, t.orphans, t.remarks, t.registry, ag.summaries):
            query = query.where(~select(table.c.id).where(table.c.id == s.c.id).exists())
        known = waiting(self._conn)
        for row, result in fold.opened(folding, query.order_by(s.c.pos)):
            if isinstance(result, SyncError):
                self._findings.add("statement", row.id, result)
            elif row.id not in known:
                self._findings.add("statement", row.id, "is in none of entries, orphans, remarks, registry, summaries")

    def _check_strays(self) -> None:
        """Rows that belong to nothing."""
        r, e, p = t.remarks, t.entries, t.topics
        lost = select(t.orphans.c.id).where(t.orphans.c.id == r.c.entry, t.orphans.c.topic == r.c.topic).exists()
        about = select(r.c.id).outerjoin(e, e.c.id == r.c.entry).where(~lost)
        strays = {
            "remark": about.where(e.c.topic.is_(None) | (e.c.topic != r.c.topic)),
            "topic": select(p.c.id).where(~select(e.c.id).where(e.c.topic == p.c.id).exists()),
        }
        for kind, query in strays.items():
            for id in self._conn.execute(query).scalars():
                self._findings.add(kind, id, "has no entry")
        count = self._conn.execute(select(func.count()).select_from(t.part_refs)).scalar_one()
        if count > self._refs and not self._findings.lines():
            self._findings.add("part reference", "", f"{count - self._refs} rows belong to no statement")
