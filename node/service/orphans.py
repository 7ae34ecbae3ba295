"""Orphans: entries of a topic that lost against a claim, and what becomes of each, by name (R8, SPEC 14.6)."""

from typing import Any

from sqlalchemy import Connection, Select, select

from node.context import Context
from node.domain.refusals import AlreadyDecided, Invalid, NotFound
from node.service.commit import Batch
from node.service.verb import custody_rules, done, working_on
from node.service.views import entry_views
from node.store import tables as t
from node.store.engine import reading
from schemas import entry as bodies
from schemas.api import DisposeForm, OrphanPage, OrphanView
from schemas.ids import Digest, TopicId


def orphans(ctx: Context, topic: TopicId) -> OrphanPage:
    """Every orphan of a topic this node takes part in, in the order of their branches. Raises NotFound."""
    with reading(ctx.engine) as conn:
        if conn.execute(select(t.topics.c.id).where(t.topics.c.id == topic, t.topics.c.mine)).first() is None:
            raise NotFound(topic)
        rows = conn.execute(_orphans(topic)).all()
        views = entry_views(ctx, conn, rows)
    items = [OrphanView(**entry.model_dump(), disposed=row.disposed) for entry, row in zip(views, rows, strict=True)]
    return OrphanPage(items=items, next=None)


def dispose(batch: Batch, topic: TopicId, orphan: Digest, form: DisposeForm) -> TopicId:
    """Adopt an orphan or set it aside, by an entry. Raises NotFound, AlreadyDecided, NotTheWriter, OfferOpen."""
    if form.decision == "set_aside" and form.reason is None:
        raise Invalid("reason", "say why it does not count", rule="reason_missing")
    working_on(batch, topic)
    row = batch.conn.execute(_orphans(topic).where(t.orphans.c.id == orphan)).first()
    if row is None:
        raise NotFound(orphan)
    if row.disposed is not None:
        raise AlreadyDecided(row.disposed)
    with custody_rules():
        if form.decision == "adopt":
            batch.entry(topic, "adopted", bodies.Adopted(orphan=orphan))
        else:
            batch.entry(topic, "set_aside", bodies.SetAside(orphan=orphan, reason=form.reason or ""))
    return done(batch, topic, f"orphan-{form.decision}")


def undisposed(conn: Connection, ctx: Context) -> list[TopicId]:
    """Topics this node holds with orphans nobody has disposed of."""
    query = select(t.topics.c.id).where(
        t.topics.c.custodian == ctx.identity.code,
        t.topics.c.id.in_(select(t.orphans.c.topic).where(t.orphans.c.disposed.is_(None))),
    )
    return list(conn.execute(query.order_by(t.topics.c.id)).scalars())


def _orphans(topic: TopicId) -> Select[Any]:
    query = select(t.statements.c.id, t.statements.c.raw, t.orphans.c.disposed)
    query = query.join(t.orphans, t.orphans.c.id == t.statements.c.id)
    return query.where(t.orphans.c.topic == topic).order_by(t.orphans.c.seq, t.orphans.c.id)
