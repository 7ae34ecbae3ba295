"""The topics behind a figure, and the differences row by row. A topic known from a summary alone has no title here."""

from typing import Any

from sqlalchemy import and_, literal, or_, select

from node.context import Context
from node.service.asking import asking
from node.service.figures import rows_of
from node.service.paging import cursor_after, read_cursor
from node.store import aggregation as ag
from node.store import tables as t
from node.store.engine import reading
from schemas import aggregate as views

_r = ag.topic_rows.c


def topics(ctx: Context, wanted: views.FigureFilter, cursor: str | None, limit: int) -> views.RowPage:
    """The topics a figure counts, last opened first. Raises BadCursor, Invalid."""
    key = read_cursor(cursor, int, str)
    with asking(ctx, wanted) as asked:
        now = ctx.clock.now()
        query = rows_of(asked.question(), now, ag.topic_rows)
        if key is not None:
            day, topic = int(key[0]), str(key[1])
            query = query.where(or_(_r.day < day, and_(_r.day == day, _r.topic < topic)))
        rows = asked.conn.execute(query.order_by(_r.day.desc(), _r.topic.desc()).limit(limit + 1)).all()
        named = select(t.topics.c.id, t.topics.c.title).where(t.topics.c.mine)
        ids = [row.topic for row in rows[:limit]]
        titles = {row.id: row.title for row in asked.conn.execute(named.where(t.topics.c.id.in_(ids)))}
    items = [row_view(row._mapping, titles.get(row.topic), now) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return views.RowPage(items=items, next=cursor_after(last.day, last.topic) if last else None)


def row_view(row: Any, title: str | None, now: Any) -> views.RowView:
    overdue = row["overdue"] or (row["late_at"] is not None and row["late_at"] < now)
    plain = {name: row[name] for name in views.RowView.model_fields if name in row}
    empty = {name: row[name] or None for name in ("category", "source", "outcome")}
    known_by = "chain" if row["own"] else "summary"
    said = {"id": row["topic"], "title": title, "areas": row["named"], "overdue": overdue, "known_by": known_by}
    return views.RowView.model_validate({**plain, **empty, **said})


def row_differences(ctx: Context, cursor: str | None, limit: int) -> views.RowDifferencePage:
    """Every field of every row that its custodian says otherwise than it is counted. Raises BadCursor."""
    key = read_cursor(cursor, str, str)
    d, m = ag.row_differences.c, ag.totals_differences.c
    rows = select(d.topic, d.node, d.field, d.said, d.counted, d.at)
    months = select(m.topic, m.author, (literal("rows of ") + m.period).label("field"), m.said, m.counted, m.at)
    both = rows.union_all(months).subquery()
    query = select(both)
    if key is not None:
        query = query.where(or_(both.c.topic > key[0], and_(both.c.topic == key[0], both.c.field > key[1])))
    with reading(ctx.engine) as conn:
        found = conn.execute(query.order_by(both.c.topic, both.c.field).limit(limit + 1)).all()
    items = [views.RowDifference.model_validate(dict(row._mapping)) for row in found[:limit]]
    more = cursor_after(items[-1].topic, items[-1].field) if len(found) > limit else None
    return views.RowDifferencePage(items=items, next=more)
