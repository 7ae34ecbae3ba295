"""What a command would do, without doing it: the very same verb in a transaction that is undone.

A person sees before acting exactly what would be written, what would leave this node and to whom, what stays here, and
what it does to holder and clock. What a rehearsal signs is never stored and never leaves this function.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, select

from node.context import Context
from node.domain.refusals import NotAllowed
from node.service.commit import Batch, write
from node.service.perform import Command
from node.service.standing import may
from node.service.views import topic_view
from node.store import tables as t
from schemas.api import TopicView
from schemas.ids import Digest, NodeCode, TopicId
from sync.sealing import Statement


@dataclass(frozen=True, slots=True)
class Said:
    """A statement the command would write: its kind and everything in it."""

    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A part that the statements refer to; one whose share is not `full` stays here, its digest alone goes."""

    name: str
    size: int
    media: str
    share: str

    @property
    def leaves(self) -> bool:
        return self.share == "full"


@dataclass(frozen=True, slots=True)
class Leaving:
    """What one neighbour would be sent: so many of the new statements, so many older ones it did not have, parts."""

    peer: NodeCode
    relation: Literal["parent", "child"]
    new: int
    older: int
    parts: tuple[Enclosed, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`joining` are the nodes that would take part from then on; they read everything that is passed on."""

    before: TopicView
    after: TopicView
    written: tuple[Said, ...]
    leaving: tuple[Leaving, ...]
    joining: tuple[NodeCode, ...]


class _Undone(Exception):
    """Ends the transaction."""


def rehearse(ctx: Context, command: Command, topic: TopicId, act: Callable[[Batch], TopicId]) -> Rehearsal:
    """Do `act` on `topic` and undo it. Raises NotAllowed, NotFound, and whatever `act` refuses with."""
    found: list[Rehearsal] = []
    try:
        with write(ctx) as batch:
            if not may(ctx, batch.conn, command.actor, command.verb, topic):
                raise NotAllowed(command.verb)
            before = topic_view(ctx, batch.conn, topic, batch.roster)
            sent = {row.peer: row.sent_seq for row in batch.conn.execute(select(t.links.c.peer, t.links.c.sent_seq))}
            act(batch)
            batch.flush()
            found.append(_seen(batch, before, sent))
            raise _Undone
    except _Undone:
        return found[0]


def _seen(batch: Batch, before: TopicView, sent: dict[NodeCode, int]) -> Rehearsal:
    after = topic_view(batch.ctx, batch.conn, before.id, batch.roster)
    own = list(batch.fresh.values())
    fresh = {statement.id for statement in own}
    leaving = [_to(batch.conn, peer, position, fresh) for peer, position in sorted(sent.items())]
    return Rehearsal(
        before=before,
        after=after,
        written=tuple(_said(statement) for statement in own),
        leaving=tuple(item for item in leaving if item is not None),
        joining=tuple(sorted(set(after.participants) - set(before.participants))),
    )


def _to(conn: Connection, peer: NodeCode, position: int, fresh: set[Digest]) -> Leaving | None:
    """What stands on the stream to a neighbour after `position`."""
    query = select(t.outbox.c.statement).where(t.outbox.c.peer == peer, t.outbox.c.seq > position)
    queued = list(conn.execute(query.order_by(t.outbox.c.seq)).scalars())
    if not queued:
        return None
    relation = conn.execute(select(t.links.c.relation).where(t.links.c.peer == peer)).scalar_one()
    new = sum(id in fresh for id in queued)
    return Leaving(peer, relation, new, len(queued) - new, _parts(conn, queued))


def _parts(conn: Connection, statements: Sequence[Digest]) -> tuple[Enclosed, ...]:
    refs = t.part_refs
    columns = (refs.c.name, refs.c.size, refs.c.media, refs.c.share)
    found: list[Enclosed] = []
    for start in range(0, len(statements), 500):
        query = select(*columns).where(refs.c.statement.in_(statements[start : start + 500])).order_by(refs.c.name)
        found += [Enclosed(*row) for row in conn.execute(query)]
    return tuple(found)


def _said(statement: Statement) -> Said:
    body = statement.payload.body
    return Said(statement.payload.kind, body if isinstance(body, dict) else body.model_dump(mode="json"))
