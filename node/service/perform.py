"""One command of one person: allowed, done, answered, remembered, in one durable transaction (R14).

The answer is stored beside the change under the caller's Idempotency-Key, so that a client that lost the reply, to a
crash or to the network, asks again and gets the same bytes, and nothing is done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel
from sqlalchemy import insert, select

from node.context import Context
from node.domain.policy import allowed
from node.domain.refusals import IdempotencyKeyReused, NotAllowed
from node.service.commit import Batch, write
from node.service.views import topic_view
from node.store.tables import idempotency
from schemas.ids import TopicId


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting: an account with its roles."""

    user_id: int
    name: str
    roles: frozenset[str]


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked: a verb of node.domain.policy, and what makes a repeat of it recognisable.

    `fingerprint` is a digest of method, path and body; `status` is the HTTP status of success.
    """

    actor: Actor
    verb: str
    key: str | None = None
    fingerprint: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def perform(ctx: Context, command: Command, act: Callable[[Batch], BaseModel | TopicId]) -> Answer:
    """Do `act` for `command` once; it gives its view, or the topic that is to be shown.

    Raises NotAllowed, IdempotencyKeyReused, and whatever `act` refuses with.
    """
    if not allowed(command.actor.roles, command.verb):
        raise NotAllowed(command.verb)
    with write(ctx) as batch:
        known = _remembered(batch, command)
        if known is not None:
            return known
        batch.actor = command.actor.name
        view = shown(batch, act(batch))
        answer = Answer(command.status, view.model_dump_json(by_alias=True).encode())
        _remember(batch, command, answer)
    return answer


def shown(batch: Batch, result: BaseModel | TopicId) -> BaseModel:
    """The view of what a use case gave: a topic as this transaction leaves it."""
    if not isinstance(result, str):
        return result
    batch.flush()
    return topic_view(batch.ctx, batch.conn, result, batch.roster)


def _remembered(batch: Batch, command: Command) -> Answer | None:
    if command.key is None:
        return None
    row = batch.conn.execute(
        select(idempotency).where(idempotency.c.user_id == command.actor.user_id, idempotency.c.key == command.key)
    ).first()
    if row is None:
        return None
    if row.fingerprint != command.fingerprint:
        raise IdempotencyKeyReused
    return Answer(row.status, row.answer)


def _remember(batch: Batch, command: Command, answer: Answer) -> None:
    if command.key is not None:
        batch.conn.execute(
            insert(idempotency).values(
                user_id=command.actor.user_id,
                key=command.key,
                fingerprint=command.fingerprint,
                status=answer.status,
                answer=answer.body,
                at=batch.now,
            )
        )
