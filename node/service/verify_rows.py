"""The part of verify that is about aggregation: what was said, the rows that stand, and the figures made of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from node.context import Context
from node.domain.placing import placed
from node.domain.rollup import MIXED, NOTHING, Amounts, Deltas, add, changed
from node.service import fold
from node.service.fold import Findings, Folded, Folding
from node.service.lists import in_force
from node.service.own_rows import ratings, row_of
from node.service.rows import read_place
from node.store import aggregation as ag
from node.store import rows as row_store
from node.store import tables as t
from node.store.projections import summary_row
from node.store.rows import View, fact_of
from node.store.topics import Surroundings, status
from schemas import summary as wire
from schemas.ids import TopicId
from schemas.summary import Page, Totals
from sync.errors import SyncError
from sync.roster import Roster
from sync.sealing import SUMMARY, Statement
from sync.summary import place

_MOVES = {"overdue", "late_at", "changed_at", "areas", "places"}
"""What depends on when it was looked at, or on the division table then in force."""


class Rows:
    """Checks of one verification; memory is bounded by one page of summaries and one month of figures."""

    def __init__(self, ctx: Context, conn: Connection, roster: Roster, around: Surroundings, findings: Findings):
        self._me = ctx.identity.code
        self._conn = conn
        self._roster = roster
        self._around = around
        self._findings = findings
        self._due = set(conn.execute(select(ag.rows_due.c.topic)).scalars())
        tree, tier = in_force(ctx, conn).tree, ctx.identity.tier
        self._view = View(ctx.clock.now(), lambda areas: placed(areas, tree, tier), self._tier_of)

    def check_own(self, some: Sequence[Folded]) -> None:
        """The rows of topics whose chain is here, but for those that are still to be looked at."""
        chains = {folded.working.id: folded.working for folded in some}
        stored = {row["topic"]: row for row in row_store.load(self._conn, list(chains))}
        rated = ratings(self._conn, list(chains))
        for id, found in chains.items():
            chain, topic = found.chain, found.topic
            if id in self._due or chain is None or topic is None or self._me not in found.concerned:
                continue
            expected = row_of(chain, topic, status(chain, self._around.frozen(chain)), rated.get(id), self._roster)
            self._compare(expected, stored.get(id), True)

    def check(self, folding: Folding) -> None:
        """Everything else."""
        self._check_said(folding)
        self._check_figures()
        self._check_strays()

    def _compare(self, row: wire.Row, stored: Mapping[str, Any] | None, own: bool) -> None:
        if stored is None:
            self._findings.add("row", f"of topic {row.topic}", "is not in topic_rows")
            return
        if {stored["status"], row.status} == {"closed", "frozen"}:  # nobody writes in either: which came first is open
            row = row.model_copy(update={"status": stored["status"]})
        expected = row_store.row_of(row, own, self._view)
        wrong = [name for name, value in expected.items() if name not in _MOVES and stored[name] != value]
        if wrong:
            self._findings.add("row", f"of topic {row.topic}", f"{', '.join(wrong)} not what was signed")
        if stored["late_at"] is not None and stored["overdue"]:
            self._findings.add("row", f"of topic {row.topic}", "overdue, and still to become so")

    def _check_said(self, folding: Folding) -> None:
        s = ag.summaries.c
        columns = (s.id, s.author, s.inc, s.seq, s.kind, s.sealed_at, s.heard_at)
        joined = select(*fold.stored(*columns)).outerjoin(t.statements, t.statements.c.id == s.id)
        for row, result in fold.opened(folding, joined.order_by(t.statements.c.pos)):
            if isinstance(result, SyncError):
                self._findings.add("summary", row.id, result)
            elif result.typ != SUMMARY or fold.differs(summary_row(result, row.heard_at), row):
                self._findings.add("summary", row.id, "its row in summaries differs from its bytes")
            elif isinstance(result.payload.body, Page):
                self._check_page(result, result.payload.body)
            elif isinstance(result.payload.body, Totals):
                self._check_totals(result, result.payload.body)

    def _check_page(self, statement: Statement, page: Page) -> None:
        """No row of a page is better than the one that stands, and the one that stands is what its page says."""
        ids = [row.topic for row in page.rows]
        query = select(ag.said_rows).where(ag.said_rows.c.topic.in_(ids))
        standing = {row.topic: row for row in self._conn.execute(query)}
        stored = {row["topic"]: row for row in row_store.load(self._conn, ids)}
        for row in page.rows:
            found = standing.get(row.topic)
            if found is None or not self._stands(statement, row, found):
                self._findings.add("said row", f"of topic {row.topic}", f"is not what {statement.id} says")
            elif found.page == statement.id and not stored.get(row.topic, {"own": True})["own"]:
                self._compare(row, stored[row.topic], False)

    def _stands(self, statement: Statement, row: wire.Row, found: Row[Any]) -> bool:
        known, said = read_place(found.place, found.leaf), place(row)
        if found.page != statement.id:
            return known >= said
        return known == said and found.author == row.custodian

    def _check_totals(self, statement: Statement, body: Totals) -> None:
        query = select(ag.totals).where(
            ag.totals.c.author == statement.payload.author, ag.totals.c.period == body.period
        )
        row = self._conn.execute(query).first()
        if row is None or (row.statement == statement.id and row.figures != body.model_dump(mode="json")):
            self._findings.add("totals", f"{statement.payload.author} {body.period}", "not what was sealed")

    def _check_figures(self) -> None:
        """Every figure is the sum over the rows that stand, month by month; mixes, which have no month, at the end."""
        cells, found = ag.rollups, Deltas()
        months = set(self._conn.execute(select(cells.c.month).distinct()).scalars())
        months |= set(self._conn.execute(select(ag.topic_rows.c.month).distinct()).scalars())
        for month in sorted(months):
            self._count(month, found)
            self._check_sums(select(cells).where(cells.c.month == month), len(row_store.CELL), found.cells)
            found.cells.clear()
        self._check_sums(select(ag.mixes), len(MIXED), found.mixes)

    def _check_sums(self, query: Any, width: int, counted: Mapping[Any, Amounts]) -> None:
        """What is stored, by keys of so many columns, beside what was counted."""
        expected: dict[Any, Amounts] = changed(counted)
        for row in self._conn.execute(query):
            key, sums = tuple(row)[:width], tuple(row)[width:]
            if expected.pop(key, NOTHING) != sums:
                self._findings.add("figure", " ".join(map(str, key)), "is not the sum over its rows")
        for key in expected:
            self._findings.add("figure", " ".join(map(str, key)), "is missing")

    def _count(self, month: str, into: Deltas) -> None:
        query = select(ag.topic_rows).where(ag.topic_rows.c.month == month)
        for row in self._conn.execute(query.execution_options(yield_per=fold.ROWS_AT_ONCE)):
            add(into, None, fact_of(dict(row._mapping)))

    def _check_strays(self) -> None:
        said, rows, areas = ag.said_rows.c, ag.topic_rows.c, ag.topic_row_areas.c
        page = select(ag.summaries.c.id).where(ag.summaries.c.id == said.page).exists()
        chain = select(t.topics.c.id).where(t.topics.c.id == rows.topic, t.topics.c.mine).exists()
        from_page = select(said.topic).where(said.topic == rows.topic).exists()
        row = select(rows.topic).where(rows.topic == areas.topic).exists()
        strays = {
            "said row": select(said.topic).where(~page),
            "row": select(rows.topic).where((rows.own & ~chain) | (~rows.own & ~from_page)),
            "row area": select(areas.topic).where(~row),
        }
        for kind, query in strays.items():
            for id in self._conn.execute(query).scalars():
                self._findings.add(kind, f"of topic {id}", "belongs to nothing")

    def _tier_of(self, code: TopicId) -> Any:
        member = self._roster.get(code)
        return member.tier if member else None
