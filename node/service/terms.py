"""Clocks in working days: the terms this office proposes, and who is told before and after one is over.

A warning is read, never written: it moves no custody, declines nothing, and is gone when its cause is.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, and_, select

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
from schemas.ids import Digest, NodeCode
from schemas.terms import CalendarView, DayView, TermsView, WarningItem, WarningKind, WarningPage

_COLUMNS = ("id", "number", "title", "offered_to", "custodian", "answer_by", "due_at", "created_at")
_ANSWER: tuple[WarningKind, WarningKind] = ("answer_soon", "answer_overdue")
_HANDLE: tuple[WarningKind, WarningKind] = ("due_soon", "overdue")


class _Due(NamedTuple):
    """A day, whose it is, what its warnings before and after are called, and whether somebody set it."""

    at: datetime
    holder: NodeCode
    why: tuple[WarningKind, WarningKind]
    given: bool


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
        found = list(islice(_found(ctx, conn, actor), start + limit + 1))
        page = found[start : start + limit]
        owners = _owners(conn, [item.topic for item in page])
    items = [item.model_copy(update={"owner": owners.get(item.topic)}) for item in page]
    return WarningPage(items=items, next=cursor_after(start + limit) if len(found) > start + limit else None)


def _found(ctx: Context, conn: Connection, actor: Actor) -> Iterator[WarningItem]:
    """The most urgent first, each read when it is asked for: the fewer days are left, the earlier the day."""
    lists, now = in_force(ctx, conn), ctx.clock.now()
    mine = areas_of(conn, actor.user_id) if not actor.roles & {SUPERVISOR, CLERK} else frozenset()

    def items(where: ColumnElement[bool], day: Column[Any], of: Callable[[Any], _Due]) -> Iterator[WarningItem]:
        columns = [topics.c[name] for name in _COLUMNS] + ([topics.c.work] if mine else [])
        for row in conn.execute(select(*columns).where(OPEN, topics.c.mine, where).order_by(day, topics.c.id)):
            if not mine or within(lists.tree, row.work, mine) >= Relation.UNIT:
                yield from _item(ctx, lists.calendar, row, now, of(row))

    sources = [items(*source) for source in _sources(ctx, lists.calendar, now)]
    return merge(*sources, key=lambda item: (item.days_left, item.due_at))


def _sources(
    ctx: Context, days: Calendar, now: datetime
) -> list[tuple[ColumnElement[bool], Column[Any], Callable[[Any], _Due]]]:
    """What may be late or nearly so, the column of its day, and its day: of an offer the answer's, of a topic its own,
    of one without that the end of this office's term. The last asks by the fewest days a term can have."""
    columns, handle_days = topics.c, ctx.settings.handle_days
    last = days.after(now, ctx.settings.warn_days + 1).at
    going = columns.status.in_(("active", "offered"))
    termless = and_(columns.due_at.is_(None), columns.custodian == ctx.identity.code)
    begun = last - timedelta(days=handle_days)
    return [
        (
            and_(columns.status == "offered", columns.answer_by <= last),
            columns.answer_by,
            lambda row: _Due(row.answer_by, row.offered_to, _ANSWER, True),
        ),
        (
            and_(going, columns.due_at <= last),
            columns.due_at,
            lambda row: _Due(row.due_at, row.custodian, _HANDLE, True),
        ),
        (
            and_(going, termless, columns.created_at <= begun),
            columns.created_at,
            lambda row: _Due(days.after(row.created_at, handle_days).at, row.custodian, _HANDLE, False),
        ),
    ]


def _item(ctx: Context, days: Calendar, row: Any, now: datetime, due: _Due) -> Iterator[WarningItem]:
    left, over = days.until(now, due.at), due.at < now
    if not over and left > ctx.settings.warn_days:
        return
    span = {now.astimezone(CHINA).year, due.at.astimezone(CHINA).year}
    yield WarningItem(
        topic=row.id,
        number=row.number,
        title=row.title,
        why=due.why[over],
        due_at=due.at,
        days_left=min(left, -1) if over and left else left,
        covered=span <= days.years,
        given=due.given,
        holder=due.holder,
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
