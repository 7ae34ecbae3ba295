"""Printed codes: a short random name for a unit, a topic or the office itself, which its QR code leads to."""

from base64 import b32encode
from typing import Any

from sqlalchemy import Connection, insert, select

from node.context import Context
from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.service.factors import svg
from node.store.engine import reading
from node.store.office import posters, units
from node.store.tables import topics
from schemas.drafts import PosterForm, PosterView
from schemas.ids import TopicId

CODE_BYTES = 10
PATH = "/p/"


def make(batch: Batch, form: PosterForm) -> PosterView:
    """The code of a unit or a topic, the same one every time it is asked for. Raises NotFound, Invalid."""
    if form.unit is not None and form.topic is not None:
        raise Invalid("topic", "a code is for a unit or for a topic, not for both", rule="unit_or_topic")
    if form.topic is not None:
        batch.held(form.topic)
    if form.unit is not None and not batch.conn.execute(select(units.c.active).where(units.c.id == form.unit)).scalar():
        raise NotFound(str(form.unit))
    known = batch.conn.execute(
        select(posters.c.code).where(posters.c.unit_id.is_not_distinct_from(form.unit), _same_topic(form.topic))
    ).scalar()
    if known is None:
        known = b32encode(bytes.fromhex(batch.ctx.clock.token(CODE_BYTES))).decode().lower()
        row = {"code": known, "unit_id": form.unit, "topic": form.topic, "active": True, "at": batch.now}
        batch.conn.execute(insert(posters).values(**row))
        batch.audit("make_poster", form.topic, unit=form.unit)
    return _views(batch.ctx, batch.conn, posters.c.code == known)[0]


def list_posters(ctx: Context) -> list[PosterView]:
    with reading(ctx.engine) as conn:
        return _views(ctx, conn)


def poster(ctx: Context, code: str) -> PosterView:
    """Raises NotFound, also for one that is no longer in use."""
    with reading(ctx.engine) as conn:
        found = _views(ctx, conn, posters.c.code == code, posters.c.active)
    if not found:
        raise NotFound
    return found[0]


def _same_topic(topic: TopicId | None) -> Any:
    return posters.c.topic.is_(None) if topic is None else posters.c.topic == topic


def _views(ctx: Context, conn: Connection, *where: Any) -> list[PosterView]:
    query = (
        select(posters, units.c.name, topics.c.title)
        .outerjoin(units, units.c.id == posters.c.unit_id)
        .outerjoin(topics, topics.c.id == posters.c.topic)
        .where(*where)
        .order_by(posters.c.at, posters.c.code)
    )
    found = []
    for row in conn.execute(query):
        url = f"{ctx.identity.url.rstrip('/')}{PATH}{row.code}"
        found.append(
            PosterView(
                code=row.code,
                url=url,
                title=row.title or row.name or ctx.identity.name,
                unit=row.unit_id,
                topic=row.topic,
                active=row.active,
                qr=svg(url),
            )
        )
    return found
