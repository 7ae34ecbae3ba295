"""What people read: topics, their entries and remarks, the suggested tier. Never writes."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, and_, exists, or_, select

from node import __version__
from node.context import Context
from node.domain.divisions import Division
from node.domain.refusals import BadCursor, NotFound
from node.domain.routing import suggest
from node.service import life, log, split
from node.service import roster as rosters
from node.service.lists import in_force
from node.service.paging import cursor_after, read_cursor
from node.service.views import entry_views, remark_views, topic_view, topic_views
from node.store import tables as t
from node.store.codec import load_chain
from node.store.engine import reading
from schemas.api import (
    AmbiguousView,
    EntryPage,
    NodeView,
    PlaceView,
    RemarkPage,
    RuleView,
    SuggestionView,
    TopicFilter,
    TopicPage,
    TopicView,
    UnknownPlaceView,
)
from schemas.ids import Digest, TopicId


def node(ctx: Context) -> NodeView:
    me = ctx.identity
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
        checkpoint = log.view(ctx, conn)
        mine = life.read(conn)
        live = mine.live and (not ctx.settings.sign_after_contact or life.met(conn))
    return NodeView(
        code=me.code,
        name=me.name,
        tier=me.tier,
        parent=roster.parent(me.code),
        children=list(roster.children(me.code)),
        incarnation=mine.inc,
        mode="ready" if live else "healing",
        version=__version__,
        checkpoint=checkpoint,
    )


def topic(ctx: Context, id: TopicId) -> TopicView:
    """Raises NotFound for a topic this node takes no part in."""
    with reading(ctx.engine) as conn:
        return topic_view(ctx, conn, id)


def topic_if_here(ctx: Context, id: TopicId) -> TopicView | None:
    """A topic another one refers to; None where this node takes no part in it."""
    with suppress(NotFound):
        return topic(ctx, id)
    return None


def unseen_parts(ctx: Context, id: TopicId) -> dict[Digest, int]:
    """How many open parts of a topic are not at this node, by the entry that split them off."""
    with reading(ctx.engine) as conn:
        custody = conn.execute(select(t.topics.c.custody).where(t.topics.c.id == id)).scalar()
        found = split.unseen(conn, load_chain(custody)) if custody is not None else {}
    return {entry: len(parts) for entry, parts in found.items()}


def topics(ctx: Context, wanted: TopicFilter, cursor: str | None, limit: int) -> TopicPage:
    """Topics this node takes part in, last changed first. Raises BadCursor."""
    query = _filtered(wanted)
    key = read_cursor(cursor, str, str)
    if key is not None:
        changed, id = _instant(str(key[0])), str(key[1])
        query = query.where(
            or_(t.topics.c.updated_at < changed, and_(t.topics.c.updated_at == changed, t.topics.c.id < id))
        )
    query = query.order_by(t.topics.c.updated_at.desc(), t.topics.c.id.desc()).limit(limit + 1)
    with reading(ctx.engine) as conn:
        rows = conn.execute(query).all()
        items = topic_views(ctx, conn, rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return TopicPage(items=items, next=cursor_after(last.updated_at.isoformat(), last.id) if last else None)


def entries(ctx: Context, id: TopicId, cursor: str | None, limit: int) -> EntryPage:
    """A topic's chain by ascending seq, each signature verified again. Raises NotFound, BadCursor."""
    key = read_cursor(cursor, int)
    after = int(key[0]) if key else -1
    with reading(ctx.engine) as conn:
        topic_view(ctx, conn, id)
        query = (
            select(t.statements.c.id, t.statements.c.raw)
            .join(t.entries, t.entries.c.id == t.statements.c.id)
            .where(t.entries.c.topic == id, t.entries.c.seq > after)
            .order_by(t.entries.c.seq)
        )
        rows = conn.execute(query.limit(limit + 1)).all()
        items = entry_views(ctx, conn, rows[:limit])
    return EntryPage(items=items, next=cursor_after(items[-1].seq) if len(rows) > limit else None)


def remarks(ctx: Context, id: TopicId, cursor: str | None, limit: int) -> RemarkPage:
    """What stands beside a topic's chain, in the order it came here. Raises NotFound, BadCursor."""
    key = read_cursor(cursor, int)
    after = int(key[0]) if key else 0
    with reading(ctx.engine) as conn:
        topic_view(ctx, conn, id)
        query = (
            select(t.statements.c.id, t.statements.c.raw, t.statements.c.pos)
            .join(t.remarks, t.remarks.c.id == t.statements.c.id)
            .where(t.remarks.c.topic == id, t.statements.c.pos > after)
            .order_by(t.statements.c.pos)
        )
        rows = conn.execute(query.limit(limit + 1)).all()
        items = remark_views(ctx, conn, rows[:limit])
    return RemarkPage(items=items, next=cursor_after(rows[limit - 1].pos) if len(rows) > limit else None)


def suggestion(ctx: Context, id: TopicId) -> SuggestionView:
    """The tier the routing suggests now, with its reasons and where the areas were found. Raises NotFound."""
    with reading(ctx.engine) as conn:
        view = topic_view(ctx, conn, id)
        roster = rosters.current(ctx, conn)
        lists = in_force(ctx, conn)
        found = conn.execute(select(t.topic_places.c.found).where(t.topic_places.c.topic == id)).scalar() or {}
    said = suggest(view.areas, view.category, lists.tree, lists.catalogue, ctx.identity.code, roster.members.keys())
    taken = {item["code"]: item for item in found.get("matches", [])}
    custodian = roster.get(view.custodian)
    return SuggestionView(
        tier=said.tier,
        node=said.node,
        areas=[_place(code, taken.get(code), lists.tree.resolve_area(code)) for code in view.areas],
        ambiguous=[AmbiguousView(**item) for item in found.get("ambiguous", [])],
        unknown=[UnknownPlaceView(**item) for item in found.get("unknown", [])],
        reasons=[
            RuleView(rule=item.rule.value, text=item.text, english=item.english, row=item.row) for item in said.reasons
        ],
        chosen=custodian.tier if custodian else ctx.identity.tier,
    )


def _place(code: str, taken: dict[str, Any] | None, division: Division | None) -> PlaceView:
    if taken is not None:
        return PlaceView(**taken)
    return PlaceView(code=code, name=division.name if division else code, field="areas", start=None, end=None)


def _filtered(wanted: TopicFilter) -> Select[Any]:
    # Words may be anywhere: a list in the order of its index would fetch every row from where it lies on the disk.
    mine = t.topics.c.mine if wanted.q is None else t.topics.c.mine.is_not(False)
    query = select(t.topics).where(mine)
    for name in ("status", "step", "custodian"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(t.topics.c[name] == value)
    if wanted.category is not None:
        below = t.topics.c.category.startswith(wanted.category + "/", autoescape=True)
        query = query.where(or_(t.topics.c.category == wanted.category, below))
    if wanted.area is not None:
        here = exists().where(t.topic_areas.c.topic == t.topics.c.id, t.topic_areas.c.area == wanted.area)
        query = query.where(here)
    if wanted.q is not None:
        words = (t.topics.c.title, t.topics.c.text, t.topics.c.number, t.topics.c.external_id)
        query = query.where(or_(*(column.contains(wanted.q, autoescape=True) for column in words)))
    return query


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadCursor from None
