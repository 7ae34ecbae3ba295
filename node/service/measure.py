"""The figures a monitoring system asks for: counts of topics and the state of every link. Reads only."""

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select

from node.context import Context
from node.store.engine import reading
from node.store.tables import links, parked, topics


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """`backlog` is what the peer has not acknowledged yet, `held` what waits for a person, `deferred` for another."""

    peer: str
    backlog: int
    held: int
    deferred: int
    failures: int
    stopped: bool
    last_contact_at: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Topics this node takes part in, by status, and one row for each link."""

    topics: dict[str, int] = field(default_factory=dict)
    links: list[LinkFigures] = field(default_factory=list)


def figures(ctx: Context) -> Figures:
    """One consistent reading of them all."""
    by_status = select(topics.c.status, func.count()).where(topics.c.mine).group_by(topics.c.status)
    waiting = select(parked.c.peer, parked.c.state, func.count()).group_by(parked.c.peer, parked.c.state)
    with reading(ctx.engine) as conn:
        counted = {row[0]: row[1] for row in conn.execute(by_status)}
        parked_by = {(row[0], row[1]): row[2] for row in conn.execute(waiting)}
        rows = conn.execute(select(links).order_by(links.c.peer)).all()
    return Figures(
        topics=counted,
        links=[
            LinkFigures(
                peer=row.peer,
                backlog=row.sent_seq - row.acked_seq,
                held=parked_by.get((row.peer, "held"), 0),
                deferred=parked_by.get((row.peer, "deferred"), 0),
                failures=row.failures,
                stopped=row.stopped is not None,
                last_contact_at=row.last_contact_at,
            )
            for row in rows
        ],
    )
