"""What waits for a person here: offers, overdue and nearly due work, returns, new topics, answers to pass on."""

from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, select

from node.context import Context
from node.service.paging import cursor_after, read_cursor
from node.store.engine import json_at, reading
from node.store.tables import OPEN, remarks, topics
from schemas.api import InboxItem, InboxPage
from schemas.ids import NodeCode

DUE_SOON = timedelta(days=3)
Why = Literal["offered", "overdue", "due_soon", "returned", "new", "answer"]
_COLUMNS = ("id", "number", "title", "status", "step", "custodian", "offered_to", "answer_by", "due_at")
INBOX_TOPICS_MAX = 5_000
"""Open topics of one node that are looked at; an office with more has other worries."""


def inbox(ctx: Context, cursor: str | None, limit: int) -> InboxPage:
    """Most urgent first, one item for each reason. Raises BadCursor."""
    key = read_cursor(cursor, int)
    start = int(key[0]) if key else 0
    with reading(ctx.engine) as conn:
        found = _found(conn, ctx.identity.code, ctx.clock.now())
    items = [
        InboxItem(topic=row.id, number=row.number, title=row.title, why=why, due_at=due)
        for row, why, due in found[start : start + limit]
    ]
    return InboxPage(items=items, next=cursor_after(start + limit) if len(found) > start + limit else None)


def _found(conn: Connection, me: NodeCode, now: datetime) -> list[tuple[Any, Why, datetime | None]]:
    """Topics with a reason to look at them, by urgency."""
    work = topics.c.work
    offer = {name: json_at(conn, work, "offer", name).label(f"offer_{name}") for name in ("id", "mode")}
    query = (
        select(
            *(topics.c[name] for name in _COLUMNS),
            *offer.values(),
            json_at(conn, work, "trail", -1, "mode").label("mode"),
        )
        .where(OPEN, topics.c.status.in_(("active", "offered")))
        .where((topics.c.offered_to == me) | (topics.c.custodian == me))
        .order_by(topics.c.due_at.is_(None), topics.c.due_at, topics.c.updated_at.desc())
        .limit(INBOX_TOPICS_MAX)
    )
    open_here = select(topics.c.id).where(OPEN, topics.c.offered_to == me)
    declined = select(remarks.c.entry).where(remarks.c.kind == "declined", remarks.c.author == me)
    answered = set(conn.execute(declined.where(remarks.c.topic.in_(open_here))).scalars())
    found = [
        (row, why, due)
        for row in conn.execute(query)
        if row.offered_to != me or row.offer_id not in answered
        for why, due in _reasons(row, me, now)
    ]
    return sorted(found, key=lambda item: _ORDER[item[1]])


def _reasons(row: Any, me: NodeCode, now: datetime) -> list[tuple[Why, datetime | None]]:
    if row.offered_to == me:
        return [("answer" if row.offer_mode == "report" else "offered", row.answer_by)]
    if row.custodian != me or row.status != "active":
        return []
    reasons: list[tuple[Why, datetime | None]] = []
    if row.due_at is not None and row.due_at < now:
        reasons.append(("overdue", row.due_at))
    elif row.due_at is not None and row.due_at < now + DUE_SOON:
        reasons.append(("due_soon", row.due_at))
    if row.mode == "return":
        reasons.append(("returned", row.due_at))
    elif row.mode == "report":
        reasons.append(("answer", row.due_at))
    elif row.mode == "open" and row.step == "collect":
        reasons.append(("new", row.due_at))
    return reasons


_ORDER: dict[Why, int] = {"overdue": 0, "offered": 1, "due_soon": 2, "returned": 3, "answer": 4, "new": 5}
