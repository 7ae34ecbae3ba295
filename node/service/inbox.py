"""What waits for a person here: offers, overdue and nearly due work, returns, new topics, answers to pass on."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from node.context import Context
from node.domain.topic import Topic
from node.service.paging import cursor_after, read_cursor
from node.store.codec import load_topic
from node.store.engine import reading
from node.store.tables import remarks, topics
from schemas.api import InboxItem, InboxPage
from schemas.ids import NodeCode

DUE_SOON = timedelta(days=3)
INBOX_TOPICS_MAX = 5_000
"""Open topics of one node that are looked at; an office with more has other worries."""


def inbox(ctx: Context, cursor: str | None, limit: int) -> InboxPage:
    """Most urgent first, one item for each reason. Raises BadCursor."""
    key = read_cursor(cursor, int)
    start = int(key[0]) if key else 0
    with reading(ctx.engine) as conn:
        items = _items(conn, ctx.identity.code, ctx.clock.now())
    page = items[start : start + limit]
    more = len(items) > start + limit
    return InboxPage(items=page, next=cursor_after(start + limit) if more else None)


def _items(conn: Connection, me: NodeCode, now: datetime) -> list[InboxItem]:
    query = (
        select(topics)
        .where((topics.c.offered_to == me) | (topics.c.custodian == me), topics.c.status.in_(("active", "offered")))
        .order_by(topics.c.due_at.is_(None), topics.c.due_at, topics.c.updated_at.desc())
        .limit(INBOX_TOPICS_MAX)
    )
    works = [(row, load_topic(row.work)) for row in conn.execute(query)]
    open_here = select(topics.c.id).where(topics.c.offered_to == me)
    declined = select(remarks.c.entry).where(remarks.c.kind == "declined", remarks.c.author == me)
    answered = set(conn.execute(declined.where(remarks.c.topic.in_(open_here))).scalars())
    found = [
        item
        for row, work in works
        if row.offered_to != me or work.offer is None or work.offer.id not in answered
        for item in _of_topic(row, work, me, now)
    ]
    return sorted(found, key=lambda item: _ORDER[item.why])


def _of_topic(row: Any, work: Topic, me: NodeCode, now: datetime) -> list[InboxItem]:
    reasons: list[tuple[str, datetime | None]] = []
    if row.offered_to == me:
        answer = work.offer.mode == "report" if work.offer else False
        reasons.append(("answer" if answer else "offered", row.answer_by))
    elif row.custodian == me and row.status == "active":
        if row.due_at is not None and row.due_at < now:
            reasons.append(("overdue", row.due_at))
        elif row.due_at is not None and row.due_at < now + DUE_SOON:
            reasons.append(("due_soon", row.due_at))
        mode = work.trail[-1].mode
        if mode == "return":
            reasons.append(("returned", row.due_at))
        elif mode == "report":
            reasons.append(("answer", row.due_at))
        elif mode == "open" and work.step == "collect":
            reasons.append(("new", row.due_at))
    return [
        InboxItem.model_validate(
            {"topic": row.id, "number": work.number, "title": work.title, "why": why, "due_at": due}
        )
        for why, due in reasons
    ]


_ORDER = {"overdue": 0, "offered": 1, "due_soon": 2, "returned": 3, "answer": 4, "new": 5}
