"""What a node does on a clock: decline offers whose time to answer is over, and forget what is no longer needed."""

from datetime import timedelta

from sqlalchemy import delete, select

from node.context import Context
from node.service import claims, forks, guard, healing, life, torn
from node.service.commit import write
from node.service.decide import expire
from node.service.retry import retry_keys, settle_what_came
from node.service.roster import current, read_flags
from node.store import office
from node.store import tables as t
from node.store.engine import reading

IDEMPOTENCY_KEPT = timedelta(days=30)
ANSWERS_KEPT_MIN = 1000
"""Kept whatever the clock says: one that jumps must not make a request that is repeated a minute later a new one."""
EXPIRE_AT_ONCE_MAX = 200
TORN = "torn"
"""In the cache: what the registry and what is kept beside it were when nothing was torn any more."""


def expire_offers(ctx: Context) -> int:
    """Decline offers to this node whose `answer_by` has passed (R3); how many."""
    if not life.now(ctx).live:
        return 0
    due = (t.topics.c.offered_to == ctx.identity.code, t.topics.c.answer_by < ctx.clock.now())
    with reading(ctx.engine) as conn:
        ids = conn.execute(select(t.topics.c.id).where(*due).limit(EXPIRE_AT_ONCE_MAX)).scalars().all()
    if not ids:
        return 0
    with write(ctx) as batch:
        return sum(expire(batch, id) for id in ids)


def live_on(ctx: Context) -> None:
    """What the end of an incarnation leaves to do: rise, say again, claim and offer back, claim as approved, renew
    the guard, and let go of what the neighbours have brought meanwhile."""
    mine = life.now(ctx)
    if not mine.live and mine.healing_since is not None:
        with write(ctx) as batch:
            healing.rise(batch)
    say_again(ctx)
    claims.reclaim(ctx)
    claims.proceed(ctx)
    guard.keep(ctx)
    settle_what_came(ctx)


def say_again(ctx: Context) -> int:
    """What an earlier life said of the tree where it forks, as was found since this one began; how many entries.

    What waited for that is tried again.
    """
    with reading(ctx.engine) as conn:
        flags = read_flags(conn)
        seen = (flags.inc, flags.registry, flags.equivocations, conn.execute(forks.BESIDE_LAST).scalar())
        if not flags.equivocations or ctx.cache.get(TORN) == seen:
            return 0
        found = torn.torn(conn, current(ctx, conn), ctx.identity.code, flags.inc)
    said = 0
    if found:
        with write(ctx) as batch:
            if not batch.live:
                return 0
            said = torn.repeat(batch)
            retry_keys(batch)
    if not said:
        ctx.cache[TORN] = seen
    return said


def prune(ctx: Context) -> None:
    """Ended sessions, and answers to requests nobody will repeat any more."""
    now = ctx.clock.now()
    with write(ctx) as batch:
        batch.conn.execute(delete(office.sessions).where(office.sessions.c.expires_at < now))
        answers = office.idempotency
        newest = select(answers.c.at).order_by(answers.c.at.desc()).offset(ANSWERS_KEPT_MIN - 1).limit(1)
        old = (answers.c.at < now - IDEMPOTENCY_KEPT, answers.c.at < newest.scalar_subquery())
        batch.conn.execute(delete(answers).where(*old))
