"""How this node is, in one short query: what every page shows at its foot, and whether anything has changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select

from node.context import Context
from node.service import healing, life
from node.service.backup import last_backup
from node.service.links import state
from node.store import links as link_rows
from node.store.engine import reading
from node.store.tables import links, parked, statements


@dataclass(frozen=True, slots=True)
class Pulse:
    """`last_contact_at` is the most recent of any neighbour; `held` is what waits for a person on the link board."""

    mode: Literal["ready", "healing"]
    neighbours: int
    down: int
    backlog: int
    held: int
    last_contact_at: datetime | None
    backup_at: datetime | None
    waits: tuple[str, str] | None
    """In Chinese and English, what a node that may not sign waits for."""


def pulse(ctx: Context) -> Pulse:
    with reading(ctx.engine) as conn:
        found = link_rows.load_all(conn)
        held = conn.execute(
            select(func.count()).select_from(parked).where(parked.c.state.in_(("held", "refused")))
        ).scalar_one()
    contacts = [link.last_contact_at for link in found if link.last_contact_at is not None]
    return Pulse(
        mode="ready" if life.now(ctx).live else "healing",
        neighbours=len(found),
        down=sum(state(ctx, link) != "up" for link in found),
        backlog=sum(link.sent_seq - link.acked_seq for link in found),
        held=held,
        last_contact_at=max(contacts, default=None),
        backup_at=last_backup(ctx.settings.data),
        waits=healing.line(ctx),
    )


def mark(ctx: Context) -> int:
    """A number that grows once a statement was stored or a link moved on, by whichever process."""
    stored = select(func.coalesce(func.max(statements.c.pos), 0)).scalar_subquery()
    moved = select(func.coalesce(func.sum(links.c.acked_seq + links.c.received_seq), 0)).scalar_subquery()
    with reading(ctx.engine) as conn:
        return int(conn.execute(select(stored + moved)).scalar_one())
