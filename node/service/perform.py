"""One command of one person: allowed, done, answered, remembered, in one durable transaction (R14); or refused, which
changes nothing but the audit.

The answer is stored beside the change under the caller's Idempotency-Key, so that a client that lost the reply, to a
crash or to the network, asks again and gets the same bytes, and nothing is done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import bindparam, insert, select

from node.context import Context
from node.domain.errors import DomainError
from node.domain.policy import TOPIC_VERBS, Relation, least
from node.domain.refusals import IdempotencyKeyReused, NotAllowed
from node.service.audit import record_refusal
from node.service.commit import Batch, write
from node.service.relation import relation
from node.service.views import topic_view
from node.store.office import idempotency
from schemas.ids import TopicId
from sync.errors import SyncError

_ANSWER = insert(idempotency)
_ANSWERED = select(idempotency).where(
    idempotency.c.user_id == bindparam("user"), idempotency.c.key == bindparam("used")
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is acting: an account with its roles and those of the posts it holds.

    `owes` is what it must do before anything else; `proved_until` is until when the dangerous verbs are open (None:
    always, at the machine itself); `session` is the hash of its token.
    """

    user_id: int
    name: str
    roles: frozenset[str]
    owes: Literal["password", "factor"] | None = None
    proved_until: datetime | None = None
    session: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked: a verb of node.domain.policy, and what makes a repeat of it recognisable.

    `fingerprint` is a digest of method, path and body; `status` is the HTTP status of success. `topic` is the topic
    it is about, `unit` the division code of the unit a new one comes from.
    """

    actor: Actor
    verb: str
    key: str | None = None
    fingerprint: str = ""
    status: int = 200
    topic: TopicId | None = None
    unit: str | None = None

    def about(self, topic: TopicId | None = None, unit: str | None = None) -> "Command":
        return replace(self, topic=topic, unit=unit)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


def perform(ctx: Context, command: Command, act: Callable[[Batch], BaseModel | TopicId]) -> Answer:
    """Do `act` for `command` once; it gives its view, or the topic that is to be shown.

    Raises NotAllowed, IdempotencyKeyReused, Healing, and whatever `act` refuses with.
    """
    try:
        return _perform(ctx, command, act)
    except (DomainError, SyncError) as error:
        record_refusal(ctx, command.actor.name, command.verb, command.topic, error)
        raise


def _perform(ctx: Context, command: Command, act: Callable[[Batch], BaseModel | TopicId]) -> Answer:
    needed = least(command.actor.roles, command.verb, ctx.settings.profile)
    if needed is None:
        raise NotAllowed(command.verb)
    with write(ctx) as batch:
        known = _remembered(batch, command)
        if known is not None:
            return known
        if needed > Relation.NODE and relation(batch, command.actor.user_id, command.topic, command.unit) < needed:
            raise NotAllowed(command.verb)
        batch.actor = command.actor.name
        if command.verb in TOPIC_VERBS:
            batch.check_live()
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
    row = batch.conn.execute(_ANSWERED, {"user": command.actor.user_id, "used": command.key}).first()
    if row is None:
        return None
    if row.fingerprint != command.fingerprint:
        raise IdempotencyKeyReused
    return Answer(row.status, row.answer)


def _remember(batch: Batch, command: Command, answer: Answer) -> None:
    if command.key is not None:
        row = {
            "user_id": command.actor.user_id,
            "key": command.key,
            "fingerprint": command.fingerprint,
            "status": answer.status,
            "answer": answer.body,
            "at": batch.now,
        }
        batch.conn.execute(_ANSWER, row)
