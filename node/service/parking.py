"""What a neighbour brought and is not applied is kept, until it can be or as evidence (SPEC 8.4)."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from node.service.commit import Batch
from node.service.compare import UNVERIFIED
from node.store.codec import inc_text
from node.store.links import Link
from node.store.tables import parked
from schemas.exchange import Disposition, Verdict
from schemas.ids import NO_INCARNATION, Digest, Incarnation, NodeCode
from sync.errors import SyncError
from sync.exchange import Item
from sync.strict import strict_json

_FIRST = select(parked.c.disposition, parked.c.code).where(
    parked.c.peer == bindparam("of"), parked.c.inc == bindparam("in"), parked.c.stream_seq == bindparam("at")
)


def park(
    batch: Batch,
    link: Link,
    item: Item,
    seq: int,
    disposition: Disposition,
    code: str,
    state: str,
    relayed: bool,
    stream: Incarnation | None = None,
) -> None:
    """Keep what is not applied; what came ahead by stick before gets its verdict, now that it has one."""
    inc = inc_text(link.received_inc if stream is None else stream)
    mine = (parked.c.peer == link.peer, parked.c.inc == inc, parked.c.stream_seq == seq)
    verdict = {"disposition": disposition, "code": code, "state": state, "relayed": relayed}
    batch.note_deferred()
    topic = _claimed_topic(item) if item.signed is not None else None
    what = {"raw": item.raw, "statement": item.id, "topic": topic, **verdict}  # what came ahead may have been another
    if batch.conn.execute(update(parked).where(*mine).values(what)).rowcount:
        return
    batch.conn.execute(
        insert(parked).values(
            peer=link.peer,
            inc=inc,
            stream_seq=seq,
            at=batch.now,
            **what,
        )
    )


def _claimed_topic(item: Item) -> Digest | None:
    try:
        claimed = strict_json(item.signed.payload if item.signed else b"{}").get("topic")
    except SyncError:
        return None
    return claimed if isinstance(claimed, str) and len(claimed) == 64 else None


def first_verdict(batch: Batch, link: Link, item: Item, seq: int) -> Verdict:
    """A statement at a position already taken gets its first disposition again."""
    row = batch.conn.execute(_FIRST, {"of": link.peer, "in": inc_text(link.received_inc), "at": seq}).first()
    if row is None:
        return Verdict(seq=seq, id=item.id, disposition="duplicate", code=None)
    return Verdict(seq=seq, id=item.id, disposition=row.disposition, code=row.code)


def kept(batch: Batch, peer: NodeCode, items: Sequence[Item]) -> set[Digest]:
    """Those of what a neighbour brings that wait here already: verified, or in the very bytes that are tried once there
    is a key, or that would be held once more for this neighbour having brought them."""
    raws = {item.id: item.raw for item in items}
    mine = (parked.c.statement.in_(raws), parked.c.state.in_(("held", "deferred")))
    rows = batch.conn.execute(select(parked.c.statement, parked.c.code, parked.c.raw, parked.c.peer).where(*mine))

    def waits(row: Any) -> bool:
        if row.code not in UNVERIFIED:
            return True
        if row.raw != raws[row.statement]:
            return False
        held_again = row.code == "revoked-key" and row.peer == peer and batch.inc.number  # who heals takes it from all
        return bool(row.code == "unknown-key" or held_again)

    return {row.statement for row in rows if waits(row)}


def next_without_position(batch: Batch, peer: NodeCode) -> int:
    """What came outside a stream is kept under no incarnation, in the order it came."""
    mine = (parked.c.peer == peer, parked.c.inc == inc_text(NO_INCARNATION))
    last: int | None = batch.conn.execute(select(func.max(parked.c.stream_seq)).where(*mine)).scalar()
    return (last or 0) + 1
