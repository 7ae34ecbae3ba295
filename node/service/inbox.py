"""What waits for a person here: offers, overdue and nearly due work, returns, new topics, answers to pass on."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select

from node.context import Context
from node.service.paging import cursor_after, read_cursor
from node.store.engine import json_at, reading
from node.store.tables import OPEN, remarks, topics
from schemas.api import InboxItem, InboxPage
from schemas.ids import NodeCode

DUE_SOON = timedelta(days=3)
Why = Literal["offered", "overdue", "due_soon", "returned", "new", "answer"]
_COLUMNS = ("id", "number", "title", "offered_to", "answer_by", "due_at")


def inbox(ctx: Context, cursor: str | None, limit: int) -> InboxPage:
    """Most urgent first, one item for each reason. Raises BadCursor."""
    key = read_cursor(cursor, int)
    start = int(key[0]) if key else 0
    with reading(ctx.engine) as conn:
        found = _found(conn, ctx.identity.code, ctx.clock.now(), start + limit + 1)
    items = [
        InboxItem(topic=row.id, number=row.number, title=row.title, why=why, due_at=due)
        for row, why, due in found[start : start + limit]
    ]
    return InboxPage(items=items, next=cursor_after(start + limit) if len(found) > start + limit else None)


def _found(conn: Connection, me: NodeCode, now: datetime, limit: int) -> list[tuple[Any, Why, datetime | None]]:
    """The first so many topics with a reason to look at them, by urgency.

    One question for each reason, and none once the page is full: what is late is found by its day, without reading the
    work of every open topic.
    """
    found: list[tuple[Any, Why, datetime | None]] = []
    for why, where in _reasons(conn, me, now):
        if len(found) >= limit:
            break
        query = (
            select(*(topics.c[name] for name in _COLUMNS))
            .where(OPEN, topics.c.mine, where)
            .order_by(topics.c.due_at.is_(None), topics.c.due_at, topics.c.updated_at.desc())
            .limit(limit - len(found))
        )
        found += [(row, why, row.answer_by if row.offered_to == me else row.due_at) for row in conn.execute(query)]
    return found


def _reasons(conn: Connection, me: NodeCode, now: datetime) -> list[tuple[Why, ColumnElement[bool]]]:
    """Which topics each reason is about, the most urgent first."""
    offer, mode, came = (
        json_at(conn, topics.c.work, *path) for path in (("offer", "id"), ("offer", "mode"), ("trail", -1, "mode"))
    )
    declined = exists().where(
        remarks.c.topic == topics.c.id, remarks.c.kind == "declined", remarks.c.author == me, remarks.c.entry == offer
    )
    to_me = and_(topics.c.offered_to == me, topics.c.status == "offered", ~declined)
    here = and_(topics.c.custodian == me, topics.c.status == "active")
    return [
        ("overdue", and_(here, topics.c.due_at < now)),
        ("offered", and_(to_me, mode != "report")),
        ("due_soon", and_(here, topics.c.due_at >= now, topics.c.due_at < now + DUE_SOON)),
        ("returned", and_(here, came == "return")),
        ("answer", or_(and_(to_me, mode == "report"), and_(here, came == "report"))),
        ("new", and_(here, topics.c.step == "collect", came == "open")),
    ]
