"""The challenges given to children, each for one request: a recorded request is worthless (SPEC 8.1)."""

from sqlalchemy import bindparam, delete, insert, select

from node.service.commit import Batch
from node.store.tables import challenges
from schemas.ids import NodeCode

CHALLENGES_MAX = 16
"""Open challenges kept for one neighbour; the oldest go first."""

_CHALLENGE = select(challenges.c.id).where(
    challenges.c.nonce == bindparam("nonce"),
    challenges.c.peer == bindparam("peer"),
    challenges.c.session == bindparam("session"),
)
_USE_CHALLENGE = delete(challenges).where(challenges.c.id == bindparam("given"))
_FORGET_CHALLENGES = delete(challenges).where(
    challenges.c.peer == bindparam("peer"),
    challenges.c.id.not_in(
        select(challenges.c.id)
        .where(challenges.c.peer == bindparam("peer"))
        .order_by(challenges.c.id.desc())
        .limit(CHALLENGES_MAX)
    ),
)

_GIVEN = insert(challenges)


def use_challenge(batch: Batch, peer: NodeCode, session: str, answer: str | None) -> int | None:
    """The position, in the order they were given, of the challenge that is used up; None where there is no such one."""
    if answer is None:
        return None
    mine = {"nonce": answer, "peer": peer, "session": session}
    given: int | None = batch.conn.execute(_CHALLENGE, mine).scalar()
    if given is not None:
        batch.conn.execute(_USE_CHALLENGE, {"given": given})
    return given


def give_challenge(batch: Batch, peer: NodeCode, session: str, nonce: str) -> None:
    """Keep a fresh challenge for this neighbour and session, and no more than the newest few of its."""
    row = {"nonce": nonce, "peer": peer, "session": session, "at": batch.now}
    batch.conn.execute(_GIVEN, row)
    batch.conn.execute(_FORGET_CHALLENGES, {"peer": peer})
