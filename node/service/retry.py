"""What waits is tried again as soon as what it waited for is here, whichever way that came (SPEC 8.4).

A neighbour's document, an entry written here (a claim may let remarks in that were about a lost branch), a start
after an upgrade: each names what has come, and everything that waits for it is judged once more, in the order it came.
"""

from typing import Any

from sqlalchemy import and_, exists, or_, select, true, update

from node.context import Context
from node.service import branches, forks
from node.service.commit import Batch, write
from node.service.compare import UNVERIFIED
from node.service.roster import BRANCHING
from node.store.engine import reading
from node.store.tables import parked, statements
from schemas.ids import Digest, TopicId
from sync.errors import Deferred, Held, Refused, SyncError
from sync.exchange import Item
from sync.roster import Roster
from sync.sealing import ENTRY, REMARK, SUMMARY, Statement, open_statement, parse
from sync.strict import strict_json

RELAYED_CODES = frozenset({"unknown-kind", "unknown-type", "equivocation", "gap", "unknown-entry", "frozen", "fork"})
"""Why a statement that is not applied is passed on unread."""
_BY_WHOM = ("revoked-key", "not-below")
"""Why one is held for whom it came from: another neighbour may still bring it."""
_BROUGHT_BY_ANOTHER = select(parked.c.id).where(
    parked.c.state == "held",
    parked.c.code.in_(_BY_WHOM),
    ~parked.c.relayed,
    exists().where(statements.c.id == parked.c.statement),
)
_ANY_BROUGHT = _BROUGHT_BY_ANOTHER.limit(1)
_TOPICS_NAMED = 500
"""Named in one question; where there are more, all that waits is looked at."""


def retry_parked(ctx: Context) -> int:
    """Try again what was held for an upgrade, and what waited behind it; done at start. Gives how many were applied."""
    total = 0
    with write(ctx) as batch:
        while done := _retry(batch, parked.c.code.in_(("unknown-kind", "unknown-type")), "held"):
            total += done + _retry(batch, true(), "deferred")
        total += _retry_claims(batch, true())
    return total


def settle_what_came(ctx: Context) -> int:
    """Let go of what was held for whom it came from, and is here now from another neighbour; how many.

    Done on a clock and not with each statement: rare, harmless while it waits, and of no use to the exchange.
    """
    with reading(ctx.engine) as conn:
        if conn.execute(_ANY_BROUGHT).first() is None:
            return 0
    with write(ctx) as batch:
        done = update(parked).where(parked.c.id.in_(_BROUGHT_BY_ANOTHER.scalar_subquery())).values(state="done")
        settled: int = batch.conn.execute(done).rowcount
        return settled


def reopen(raw: bytes, identity: Digest, roster: Roster) -> tuple[Item, Statement | SyncError]:
    """A kept statement, verified with the keys that are known now."""
    try:
        signed = parse(raw)
    except Refused as error:
        return Item(identity, raw, None, error), error
    item = Item(signed.id, raw, signed)
    try:
        return item, open_statement(signed, roster.keyring)
    except SyncError as error:
        return item, error


def retry_after(batch: Batch, applied: Statement) -> int:
    """Try again what waited for this statement: its topic's next entries, or everything a new key opens."""
    if not batch.flags.deferred:
        return 0
    if applied.typ == ENTRY:
        waited = _retry(batch, parked.c.topic == (applied.payload.topic or applied.id), "deferred")
        return waited + _retry_beside(batch, applied)
    if applied.typ in (REMARK, SUMMARY):
        return 0
    registry_gap = and_(parked.c.code == "gap", parked.c.topic.is_(None))
    return _retry(batch, or_(parked.c.code == "unknown-key", registry_gap), "deferred")


def after_fork(batch: Batch, result: Statement | SyncError | None, code: str | None) -> int:
    """A rival was kept: a claim that stands on it may have come before it, or have ended the matter already (R9)."""
    if code not in ("fork", "frozen") or not isinstance(result, Statement):
        return 0
    topic = result.payload.topic
    done = _retry_claims(batch, parked.c.topic == topic)
    found = batch.working(topic)
    if found.chain is not None and branches.release(batch, found):
        done += _retry(batch, parked.c.topic == topic, "deferred")  # what is said beside those
    return done


def retry_keys(batch: Batch) -> int:
    """A key or a life has become known: try what waited for one."""
    return _retry(batch, parked.c.code == "unknown-key", "deferred") if batch.flags.deferred else 0


def retry_topic(batch: Batch, topic: TopicId) -> int:
    """An entry was written here: try what waited for it in its topic."""
    return _retry(batch, parked.c.topic == topic, "deferred") if batch.flags.deferred else 0


def _retry_claims(batch: Batch, which: Any) -> int:
    mine = (which, parked.c.state.in_(("held", "deferred")), parked.c.code.in_(forks.CODES))
    done = sum(_retry_one(batch, row) for row in _parked(batch, *mine) if _is_claim(row.raw))
    return done + (_retry(batch, which, "deferred") if done else 0)


def _is_claim(raw: bytes) -> bool:
    return strict_json(parse(raw).payload).get("kind") == "claimed"


def _retry(batch: Batch, which: Any, state: str) -> int:
    """Apply parked statements as long as one of them can be, and then what waited for those in their topics."""
    total, wanted = 0, which
    while True:
        done, topics = 0, set()
        for row in _parked(batch, wanted, parked.c.state == state):
            if applied := _retry_one(batch, row):
                done += applied
                topics.add(row.topic or row.statement)  # the first entry is the name of its topic
        total += done
        if not done:
            return total
        wanted = or_(which, parked.c.topic.in_(topics) if len(topics) <= _TOPICS_NAMED else true())


def _parked(batch: Batch, *which: Any) -> list[Any]:
    """Those that still wait; a statement may be kept twice, from two neighbours or as an old line, and is applied once.

    One that was passed on unread is stored, and yet waits.
    """
    rows = batch.conn.execute(select(parked).where(*which).order_by(parked.c.id)).all()
    here = batch.known(row.statement for row in rows if not row.relayed)
    for row in rows:
        if row.statement in here and not row.relayed:
            _settle(batch, row.id, "done", row.code)
    return [row for row in rows if row.relayed or row.statement not in here]


def _retry_one(batch: Batch, row: Any) -> int:
    if row.statement in batch.fresh and not row.relayed:
        _settle(batch, row.id, "done", row.code)
        return 0
    _, result = reopen(row.raw, row.statement, batch.roster)
    if isinstance(result, SyncError):
        if not isinstance(result, Deferred):
            _settle(batch, row.id, "held" if isinstance(result, Held) else "refused", result.code)
        return 0
    try:
        batch.apply(result, row.peer, relayed=row.relayed, waited=row.code not in UNVERIFIED)
    except Deferred as error:
        if (row.state, row.code) != ("deferred", error.code):  # what it waits for now decides when it is tried again
            _settle(batch, row.id, "deferred", error.code)
        return 0
    except SyncError as error:
        forks.prove(batch, result, error)
        if not row.relayed and error.code in RELAYED_CODES and batch.relay(result, row.peer):
            batch.conn.execute(update(parked).where(parked.c.id == row.id).values(relayed=True))
        _settle(batch, row.id, "held", error.code)
        return 0
    _settle(batch, row.id, "done", row.code)
    return 1 + (_retry_beside(batch, result) if result.typ == ENTRY else 0)


def _retry_beside(batch: Batch, applied: Statement) -> int:
    """An entry that stands on this one was held while nobody here knew the branch it belongs to (SPEC 14.6)."""
    topic = applied.payload.topic or applied.id
    held = (parked.c.topic == topic, parked.c.state == "held", parked.c.code.in_(BRANCHING))
    total = 0
    for row in _parked(batch, *held):
        _, result = reopen(row.raw, row.statement, batch.roster)
        if isinstance(result, Statement) and result.typ == ENTRY and result.payload.prev == applied.id:
            total += _retry_one(batch, row)
    return total


def _settle(batch: Batch, id: int, state: str, code: str) -> None:
    batch.conn.execute(update(parked).where(parked.c.id == id).values(state=state, code=code))
