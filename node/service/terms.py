"""Clocks in working days: the terms this office proposes, and who is told before and after one is over.

A warning is read, never written: it moves no custody, declines nothing, and is gone when its cause is.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from node.context import Context
from node.domain.calendar import CHINA, Calendar
from node.domain.policy import CLERK, SUPERVISOR, Relation
from node.service.commit import Batch
from node.service.lists import in_force
from node.service.paging import cursor_after, read_cursor
from node.service.perform import Actor
from node.service.relation import areas_of, within
from node.store.engine import reading
from node.store.office import duties, posts, tenures, units, users
from node.store.tables import OPEN, topics
from schemas.ids import Digest
from schemas.terms import CalendarView, DayView, TermsView, WarningItem, WarningKind, WarningPage

_COLUMNS = ("id", "number", "title", "status", "offered_to", "custodian", "answer_by", "due_at", "created_at", "work")
TOPICS_MAX = 5_000
"""Open topics that are looked at for one page."""


def calendar(ctx: Context, year: int | None) -> CalendarView:
    """The calendar in force, or one year of it."""
    with reading(ctx.engine) as conn:
        found = in_force(ctx, conn).calendar
    days = sorted(day for day in found.days if year is None or day.year == year)
    items = [DayView(day=day, kind=found.days[day][0], name=found.days[day][1]) for day in days]
    return CalendarView(covered=sorted(found.years), items=items, next=None)


def terms(ctx: Context) -> TermsView:
    """What is proposed for an offer made now and a matter taken now."""
    with reading(ctx.engine) as conn:
        found, now = in_force(ctx, conn).calendar, ctx.clock.now()
    answer, handle = (found.after(now, days) for days in (ctx.settings.answer_days, ctx.settings.handle_days))
    return TermsView(
        answer_days=ctx.settings.answer_days,
        answer_by=answer.at,
        handle_days=ctx.settings.handle_days,
        due_at=handle.at,
        covered=answer.covered and handle.covered,
    )


def promised(batch: Batch) -> datetime:
    """The day a citizen is promised for a matter taken now."""
    return batch.lists.calendar.after(batch.now, batch.ctx.settings.handle_days).at


def warnings(ctx: Context, actor: Actor, cursor: str | None, limit: int) -> WarningPage:
    """What is late or nearly so, the latest first: for a leader or coordinator of her units, for others of all.

    Raises BadCursor.
    """
    key = read_cursor(cursor, int)
    start = int(key[0]) if key else 0
    with reading(ctx.engine) as conn:
        found = _found(ctx, conn, actor)
        page = found[start : start + limit]
        owners = _owners(conn, [item.topic for item in page])
    items = [item.model_copy(update={"owner": owners.get(item.topic)}) for item in page]
    return WarningPage(items=items, next=cursor_after(start + limit) if len(found) > start + limit else None)


def _found(ctx: Context, conn: Connection, actor: Actor) -> list[WarningItem]:
    lists, now = in_force(ctx, conn), ctx.clock.now()
    query = (
        select(*(topics.c[name] for name in _COLUMNS))
        .where(OPEN, topics.c.mine, topics.c.status.in_(("active", "offered")), _nearly(ctx, lists.calendar, now))
        .order_by(topics.c.due_at.is_(None), topics.c.due_at, topics.c.created_at)
        .limit(TOPICS_MAX)
    )
    mine = areas_of(conn, actor.user_id) if not actor.roles & {SUPERVISOR, CLERK} else frozenset()
    items = [
        item
        for row in conn.execute(query)
        if not mine or within(lists.tree, row.work, mine) >= Relation.UNIT
        for item in _of(ctx, lists.calendar, row, now)
    ]
    return sorted(items, key=lambda item: (item.days_left, item.due_at, item.topic))


def _nearly(ctx: Context, days: Calendar, now: datetime) -> ColumnElement[bool]:
    """What may be late or nearly so; of a topic without a day of its own by the fewest days its term can have."""
    last = days.after(now, ctx.settings.warn_days + 1).at
    begun = last - timedelta(days=ctx.settings.handle_days)
    return or_(
        topics.c.answer_by <= last, topics.c.due_at <= last, topics.c.due_at.is_(None) & (topics.c.created_at <= begun)
    )


def _of(ctx: Context, days: Calendar, row: Any, now: datetime) -> Iterable[WarningItem]:
    if row.status == "offered" and row.answer_by is not None:
        yield from _item(ctx, days, row, row.answer_by, now, ("answer_soon", "answer_overdue"), True)
    due = row.due_at
    if due is None and row.custodian == ctx.identity.code:
        due = days.after(row.created_at, ctx.settings.handle_days).at
    if due is not None:
        yield from _item(ctx, days, row, due, now, ("due_soon", "overdue"), row.due_at is not None)


def _item(
    ctx: Context,
    days: Calendar,
    row: Any,
    due: datetime,
    now: datetime,
    why: tuple[WarningKind, WarningKind],
    given: bool,
) -> Iterable[WarningItem]:
    left, over = days.until(now, due), due < now
    if not over and left > ctx.settings.warn_days:
        return
    span = {now.astimezone(CHINA).year, due.astimezone(CHINA).year}
    yield WarningItem(
        topic=row.id,
        number=row.number,
        title=row.title,
        why=why[over],
        due_at=due,
        days_left=min(left, -1) if over and left else left,
        covered=span <= days.years,
        given=given,
        holder=row.offered_to if why[0] == "answer_soon" else row.custodian,
        owner=None,
    )


def _owners(conn: Connection, ids: list[Digest]) -> dict[Digest, str]:
    query = (
        select(duties.c.topic, units.c.name.label("unit"), posts.c.title, users.c.name)
        .join(posts, posts.c.id == duties.c.post_id)
        .join(units, units.c.id == posts.c.unit_id)
        .outerjoin(tenures, (tenures.c.post_id == posts.c.id) & tenures.c.until.is_(None))
        .outerjoin(users, users.c.id == tenures.c.user_id)
        .where(duties.c.topic.in_(ids), duties.c.part == "owner")
    )
    return {row.topic: f"{row.unit} {row.title} {row.name or ''}".strip() for row in conn.execute(query)}
