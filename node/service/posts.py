"""Units of this node, the posts in them, who holds them, and what each post owes.

Duties belong to posts, never to persons: whoever holds the post has them. So a change of office holder moves every
open item at once, in one transaction, and leaves a sheet of them behind.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from node.context import Context
from node.domain.policy import roles_of
from node.domain.refusals import DutiesOpen, Invalid, NotFound
from node.domain.staffing import TEMPLATES, lacking
from node.service.commit import Batch
from node.store.codec import load_topic
from node.store.engine import reading, upsert
from node.store.office import duties, handovers, posts, tenures, units, users
from node.store.tables import topics
from schemas.ids import TopicId
from schemas.people import (
    DutyForm,
    DutyView,
    HandOverForm,
    HandOverItem,
    HandOverView,
    PostChange,
    PostForm,
    PostView,
    UnitChange,
    UnitForm,
    UnitView,
)

OPEN = ("active", "offered", "frozen")
_OPEN_ITEMS = (
    select(duties.c.post_id, func.count().label("n"))
    .join(topics, topics.c.id == duties.c.topic)
    .where(topics.c.status.in_(OPEN))
    .group_by(duties.c.post_id)
    .subquery()
)
_POSTS = (
    select(
        posts,
        tenures.c.since,
        users.c.id.label("holder_id"),
        users.c.name.label("holder"),
        func.coalesce(_OPEN_ITEMS.c.n, 0).label("open_items"),
    )
    .outerjoin(tenures, (tenures.c.post_id == posts.c.id) & tenures.c.until.is_(None))
    .outerjoin(users, users.c.id == tenures.c.user_id)
    .outerjoin(_OPEN_ITEMS, _OPEN_ITEMS.c.post_id == posts.c.id)
    .order_by(posts.c.id)
)


# ---- units ----------------------------------------------------------------------------------------------------------


def add_unit(batch: Batch, form: UnitForm) -> UnitView:
    """A new unit with the posts that its kind has by template, still vacant. Raises Invalid."""
    if form.parent is not None:
        _unit(batch.conn, form.parent)
    if form.code is not None and batch.lists.tree.resolve_area(form.code) is None:
        raise Invalid("code", f"{form.code} is in no table of divisions", rule="unknown_area", code=form.code)
    row = {"kind": form.kind, "name": form.name, "code": form.code, "parent_id": form.parent, "active": True}
    unit: int = batch.conn.execute(insert(units).values(created_at=batch.now, **row).returning(units.c.id)).scalar_one()
    for title, role in TEMPLATES[form.kind]:
        batch.conn.execute(insert(posts).values(unit_id=unit, title=title, role=role, active=True))
    batch.audit("add_unit", None, unit=unit, kind=form.kind)
    return unit_views(batch.conn, unit)[0]


def change_unit(batch: Batch, unit: int, form: UnitChange) -> UnitView:
    """Another name, or closed; a unit whose posts have open items stays open. Raises NotFound, DutiesOpen."""
    _unit(batch.conn, unit)
    if form.active is False:
        for post in _posts(batch.conn, posts.c.unit_id == unit):
            if post.open_items:
                raise DutiesOpen(post.title)
    values = form.model_dump(exclude_none=True)
    if values:
        batch.conn.execute(update(units).where(units.c.id == unit).values(**values))
    batch.audit("change_unit", None, unit=unit)
    return unit_views(batch.conn, unit)[0]


def unit_views(conn: Connection, unit: int | None = None) -> list[UnitView]:
    """All units, or one, with their posts. Raises NotFound."""
    query = select(units).order_by(units.c.id)
    rows = conn.execute(query if unit is None else query.where(units.c.id == unit)).all()
    if unit is not None and not rows:
        raise NotFound(str(unit))
    staffed: dict[int, list[PostView]] = {}
    for post in _posts(conn, posts.c.unit_id.in_([row.id for row in rows])):
        staffed.setdefault(post.unit, []).append(post)
    return [_unit_view(row, staffed.get(row.id, [])) for row in rows]


def list_units(ctx: Context) -> list[UnitView]:
    with reading(ctx.engine) as conn:
        return unit_views(conn)


# ---- posts ----------------------------------------------------------------------------------------------------------


def add_post(batch: Batch, unit: int, form: PostForm) -> PostView:
    """Raises NotFound, Invalid."""
    _unit(batch.conn, unit)
    if form.role is not None and form.role not in roles_of(batch.ctx.settings.profile):
        raise Invalid("role", f"one of {', '.join(sorted(roles_of(batch.ctx.settings.profile)))}", rule="no_role")
    row = {"unit_id": unit, "title": form.title, "role": form.role, "active": True}
    post: int = batch.conn.execute(insert(posts).values(**row).returning(posts.c.id)).scalar_one()
    batch.audit("add_post", None, post=post, unit=unit)
    return _post(batch.conn, post)


def change_post(batch: Batch, post: int, form: PostChange) -> PostView:
    """Another title, or abolished; one with a holder or open items is not. Raises NotFound, DutiesOpen."""
    found = _post(batch.conn, post)
    if form.active is False and (found.open_items or found.holder_id is not None):
        raise DutiesOpen(found.title)
    values = form.model_dump(exclude_none=True)
    if values:
        batch.conn.execute(update(posts).where(posts.c.id == post).values(**values))
    batch.audit("change_post", None, post=post)
    return _post(batch.conn, post)


def hand_over(batch: Batch, post: int, form: HandOverForm) -> HandOverView:
    """Another holder from now on, who has every open item of the post; the sheet of them is kept.

    Raises NotFound, Invalid, and DutiesOpen where the post would stay vacant with open items.
    """
    found = _post(batch.conn, post)
    if not found.active:
        raise Invalid("post", "is abolished", rule="post_abolished")
    items = open_items(batch.conn, post)
    if form.to is None and items:
        raise DutiesOpen(found.title)
    if form.to == found.holder_id:
        if form.to is None:
            raise Invalid("to", "nobody holds the post", rule="post_vacant")
        raise Invalid("to", "holds the post already", rule="post_held")
    if form.to is not None:
        _active_user(batch.conn, form.to)
    _end(batch, [post])
    if form.to is not None:
        batch.conn.execute(insert(tenures).values(post_id=post, user_id=form.to, since=batch.now))
    sheet: dict[str, Any] = {
        "post_id": post,
        "from_user": found.holder_id,
        "to_user": form.to,
        "at": batch.now,
        "by": batch.actor,
        "note": form.note,
        "items": [item.model_dump(mode="json") for item in items],
    }
    number: int = batch.conn.execute(insert(handovers).values(**sheet).returning(handovers.c.id)).scalar_one()
    batch.audit("hand_over", None, post=post, to=form.to, items=len(items))
    return hand_over_sheets(batch.conn, handovers.c.id == number)[0]


def leave_posts(batch: Batch, user: int) -> Sequence[int]:
    """End what this person holds. Raises DutiesOpen where a post of hers has open items."""
    held = list(
        batch.conn.execute(
            select(tenures.c.post_id).where(tenures.c.user_id == user, tenures.c.until.is_(None))
        ).scalars()
    )
    for post in _posts(batch.conn, posts.c.id.in_(held)):
        if post.open_items:
            raise DutiesOpen(post.title)
    _end(batch, held)
    return held


def hand_over_sheets(conn: Connection, *where: Any) -> list[HandOverView]:
    """The sheets, newest first."""
    giver, taker = users.alias("giver"), users.alias("taker")
    query = (
        select(
            handovers,
            posts.c.title,
            units.c.name.label("unit"),
            giver.c.name.label("giver"),
            taker.c.name.label("taker"),
        )
        .join(posts, posts.c.id == handovers.c.post_id)
        .join(units, units.c.id == posts.c.unit_id)
        .outerjoin(giver, giver.c.id == handovers.c.from_user)
        .outerjoin(taker, taker.c.id == handovers.c.to_user)
        .where(*where)
        .order_by(handovers.c.id.desc())
    )
    return [
        HandOverView(
            id=row.id,
            post=row.post_id,
            title=row.title,
            unit=row.unit,
            from_=row.giver,
            to=row.taker,
            at=row.at,
            by=row.by,
            note=row.note,
            items=[HandOverItem.model_validate(item) for item in row.items],
        )
        for row in conn.execute(query)
    ]


# ---- duties ---------------------------------------------------------------------------------------------------------


def assign(batch: Batch, topic: TopicId, form: DutyForm) -> DutyView:
    """Make a topic the duty of a post, which somebody must hold. Raises NotFound, Invalid."""
    batch.held(topic)
    found = _post(batch.conn, form.post)
    if found.holder_id is None or not found.active:
        raise Invalid("post", "nobody holds it", rule="post_vacant")
    row = {"topic": topic, "part": form.part, "post_id": form.post, "at": batch.now}
    upsert(batch.conn, duties, [row])
    batch.audit("assign", topic, post=form.post, part=form.part)
    return duties_of(batch.conn, topic, form.part)[0]


def duties_of(conn: Connection, topic: TopicId, part: str | None = None) -> list[DutyView]:
    """Which posts a topic is the duty of, and who holds them now."""
    query = (
        select(duties, posts.c.title, units.c.name.label("unit"), users.c.name.label("holder"))
        .join(posts, posts.c.id == duties.c.post_id)
        .join(units, units.c.id == posts.c.unit_id)
        .outerjoin(tenures, (tenures.c.post_id == posts.c.id) & tenures.c.until.is_(None))
        .outerjoin(users, users.c.id == tenures.c.user_id)
        .where(duties.c.topic == topic)
        .order_by(duties.c.part)
    )
    if part is not None:
        query = query.where(duties.c.part == part)
    return [
        DutyView(topic=row.topic, part=row.part, post=row.post_id, title=row.title, unit=row.unit, holder=row.holder)
        for row in conn.execute(query)
    ]


def open_items(conn: Connection, post: int) -> list[HandOverItem]:
    """The open topics that are a duty of this post, the nearest deadline first."""
    query = select(topics, duties.c.part).join(duties, duties.c.topic == topics.c.id)
    query = query.where(duties.c.post_id == post, topics.c.status.in_(OPEN))
    rows = conn.execute(query.order_by(topics.c.due_at.is_(None), topics.c.due_at, topics.c.id))
    return [
        HandOverItem(
            topic=row.id,
            number=load_topic(row.work).number,
            title=row.title,
            part=row.part,
            status=row.status,
            due_at=row.due_at,
        )
        for row in rows
    ]


# ---- rows -----------------------------------------------------------------------------------------------------------


def _posts(conn: Connection, *where: Any) -> list[PostView]:
    return [
        PostView(
            id=row.id,
            unit=row.unit_id,
            title=row.title,
            role=row.role,
            active=row.active,
            holder=row.holder,
            holder_id=row.holder_id,
            since=row.since,
            open_items=row.open_items,
        )
        for row in conn.execute(_POSTS.where(*where))
    ]


def _post(conn: Connection, post: int) -> PostView:
    found = _posts(conn, posts.c.id == post)
    if not found:
        raise NotFound(str(post))
    return found[0]


def _unit(conn: Connection, unit: int) -> None:
    if conn.execute(select(units.c.id).where(units.c.id == unit)).first() is None:
        raise NotFound(str(unit))


def _active_user(conn: Connection, user: int) -> None:
    if not conn.execute(select(users.c.active).where(users.c.id == user)).scalar():
        raise Invalid("to", "is no active account", rule="no_account")


def _end(batch: Batch, held: Iterable[int]) -> None:
    query = update(tenures).where(tenures.c.post_id.in_(list(held)), tenures.c.until.is_(None))
    batch.conn.execute(query.values(until=batch.now))


def _unit_view(row: Any, staff: list[PostView]) -> UnitView:
    filled = [(post.title, post.holder is not None) for post in staff if post.active]
    return UnitView(
        id=row.id,
        kind=row.kind,
        name=row.name,
        code=row.code,
        parent=row.parent_id,
        active=row.active,
        posts=staff,
        flags=lacking(row.kind, filled) if row.active else [],
    )
