"""What the link board shows: how far each stream is, what waits, what was held and why."""

from datetime import timedelta
from typing import Literal

from sqlalchemy import Connection, delete, select

from node.context import Context
from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.service.paging import cursor_after, read_cursor
from node.store import links as link_rows
from node.store.engine import reading
from node.store.links import Link
from node.store.tables import parked, replaced_instances
from schemas.api import HeldView, LinkPage, LinkView
from schemas.ids import NodeCode

QUIET_S = 90
"""A child's wait lane calls at least every 25 s; after three missed calls the link is shown as down."""
HELD_SHOWN_MAX = 100


def lift(batch: Batch, peer: NodeCode, reason: str) -> None:
    """Let a stopped link go on, at once: a person has looked. Raises NotFound, Invalid where it is not stopped."""
    link = batch.link(peer)
    if link is None:
        raise NotFound(peer)
    if link.stopped is None:
        raise Invalid("code", "the link is not stopped", rule="not_stopped")
    batch.audit("lift", None, peer=peer, why=link.stopped, reason=reason)
    link.stopped, link.instance, link.failures, link.next_try_at, link.dirty = None, None, 0, None, True
    batch.conn.execute(delete(replaced_instances).where(replaced_instances.c.peer == peer))


def links(ctx: Context, cursor: str | None, limit: int) -> LinkPage:
    """The links to parent and children by code. Raises BadCursor."""
    key = read_cursor(cursor, str)
    with reading(ctx.engine) as conn:
        found = [link for link in link_rows.load_all(conn) if key is None or link.peer > str(key[0])]
        items = []
        for link in found[:limit]:
            held = _held(conn, link)
            items.append(_view(ctx, link, held, link_rows.oldest_unacked(conn, link)))
    return LinkPage(items=items, next=cursor_after(items[-1].code) if len(found) > limit else None)


def state(ctx: Context, link: Link) -> Literal["up", "down", "stopped"]:
    if link.stopped is not None:
        return "stopped"
    heard = link.last_contact_at
    if link.failures or heard is None or ctx.clock.now() - heard > timedelta(seconds=QUIET_S):
        return "down"
    return "up"


def _held(conn: Connection, link: Link) -> list[HeldView]:
    query = select(parked.c.statement, parked.c.topic, parked.c.code).where(
        parked.c.peer == link.peer, parked.c.state.in_(("held", "refused"))
    )
    rows = conn.execute(query.order_by(parked.c.id).limit(HELD_SHOWN_MAX))
    return [HeldView(id=row.statement, topic=row.topic, code=row.code) for row in rows]


def _view(ctx: Context, link: Link, held: list[HeldView], oldest: object) -> LinkView:
    return LinkView.model_validate(
        {
            "code": link.peer,
            "relation": link.relation,
            "url": link.url,
            "state": state(ctx, link),
            "sent_seq": link.sent_seq,
            "acked_seq": link.acked_seq,
            "received_seq": link.received_seq,
            "backlog": link.sent_seq - link.acked_seq,
            "oldest_unacked_at": oldest,
            "last_contact_at": link.last_contact_at,
            "next_try_at": link.next_try_at,
            "held": held,
            "failures": link.failures,
        }
    )
