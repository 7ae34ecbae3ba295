"""Who reports: of this node and every node below it what was heard, which totals came when, who fell silent."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from node.context import Context
from node.domain.rollup import month_before, start_of
from node.service.asking import Asking, asking
from node.service.figures import nothing
from node.service.paging import cursor_after, read_cursor
from node.store import aggregation as ag
from schemas import aggregate as views
from schemas.ids import NodeCode

EXPECTED_AFTER = timedelta(days=5)
"""Totals of a month come by themselves when it is over; a week without a line is late."""
SILENT_AFTER = timedelta(days=31)


def nodes(ctx: Context, period: str | None, cursor: str | None, limit: int) -> views.NodesPage:
    """By code; none at a node that has not joined yet. Raises BadCursor."""
    key = read_cursor(cursor, str)
    month = period or month_before(ctx.clock.now())
    with asking(ctx, views.FigureFilter()) as asked:
        known = (code for code in sorted(asked.below) if code in asked.roster.members)
        codes = [code for code in known if key is None or code > str(key[0])]
        found = _Found(asked, month)
        items = [found.node(code) for code in codes[:limit]]
    return views.NodesPage(items=items, next=cursor_after(items[-1].code) if len(codes) > limit else None)


class _Found:
    """What there is of all nodes, read once."""

    def __init__(self, asked: Asking, month: str) -> None:
        conn, d = asked.conn, ag.totals_differences.c
        self._asked = asked
        self._month = month
        self._now: datetime = asked.ctx.clock.now()
        self._sums = asked.sums("custodian")
        self._heard = {row.author: row for row in conn.execute(select(ag.heard))}
        self._totals = {row.author: row for row in conn.execute(select(ag.totals).where(ag.totals.c.period == month))}
        differs = select(d.author, func.count().label("n")).where(d.period == month).group_by(d.author)
        self._differs = {row.author: row.n for row in conn.execute(differs)}

    def node(self, code: NodeCode) -> views.NodeFigures:
        asked, card = self._asked, self._asked.roster.members[code]
        sums, heard, totals = self._sums.get(code, nothing()), self._heard.get(code), self._totals.get(code)
        me = code == asked.ctx.identity.code
        expected = start_of(_month_after(self._month)) + EXPECTED_AFTER
        return views.NodeFigures(
            code=code,
            name=card.card.name,
            tier=card.tier,
            parent=card.parent,
            count=sums["count"],
            open=sums["open"],
            overdue=sums["overdue"],
            heard_at=self._now if me else heard.heard_at if heard else None,
            missing=heard.seq + 1 - heard.many if heard else 0,
            silent=not me and self._silent(heard),
            period=self._month,
            expected=expected,
            actual=totals.first_at if totals else None,
            on_time=totals is not None and totals.first_at <= expected,
            rows=totals.rows if totals else None,
            differs=self._differs.get(code, 0),
        )

    def _silent(self, heard: Any) -> bool:
        return heard is None or heard.heard_at < self._now - SILENT_AFTER


def _month_after(month: str) -> str:
    at = int(month[:4]) * 12 + int(month[5:])
    return f"{at // 12:04d}-{at % 12 + 1:02d}"
