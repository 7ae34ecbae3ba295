"""Rows brought up to date, checked against what is said of them, and sealed for the tiers above (SPEC 16).

The queue `rows_due` is filled in the transaction that changes a topic and emptied here, a moment later: so what was
written within that moment is one row, and one signature covers a page of rows. Reading figures empties it first.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import bindparam, delete, select

from node.context import Context
from node.domain.refusals import StorageFull
from node.service import life, row_check
from node.service import rows as others
from node.service.commit import Batch, write
from node.service.own_rows import own_rows
from node.store import aggregation as ag
from node.store.codec import inc_text
from node.store.engine import reading
from node.store.rows import slices
from schemas.ids import TopicId
from schemas.statement import PAYLOAD_BYTES_MAX
from schemas.summary import ROWS_MAX, Page, Row
from sync.strict import dumps
from sync.summary import leaf

DUE_AT_ONCE = 1000
"""Topics looked at in one transaction: what waits meanwhile waits a few tenths of a second."""
PAGE_ROOM = PAYLOAD_BYTES_MAX - 1024
"""For the rows of a page; the rest is for what stands around them."""


def tick(ctx: Context) -> int:
    """Bring rows and figures up to date and seal what changed; how many topics were looked at."""
    done = 0
    while life.now(ctx).live and _anything_due(ctx):
        with write(ctx) as batch:
            some = max(refresh(batch), grow_late(batch))
        done += some
        if some < DUE_AT_ONCE:
            break
    return done


def catch_up(ctx: Context) -> None:
    """What a reader expects to be counted: what waits now, as far as one transaction takes it. Where nothing can be
    written, on a full disk, figures stay as they are."""
    if life.now(ctx).live and _anything_due(ctx):
        with suppress(StorageFull), write(ctx) as batch:
            refresh(batch)
            grow_late(batch)


_OLDEST_DUE = select(ag.rows_due.c.topic).order_by(ag.rows_due.c.at, ag.rows_due.c.topic).limit(bindparam("many"))
_DONE = delete(ag.rows_due).where(ag.rows_due.c.topic.in_(bindparam("some", expanding=True)))
_LATE = (
    select(ag.topic_rows)
    .where(ag.topic_rows.c.late_at < bindparam("now"))
    .order_by(ag.topic_rows.c.late_at)
    .limit(DUE_AT_ONCE)
)


def refresh(batch: Batch, many: int = DUE_AT_ONCE) -> int:
    """Empty the queue, the oldest first, at most `many`; how many topics were looked at.

    A node that may not sign now brings its rows up all the same, and keeps them in the queue until it may.
    """
    batch.flush()
    ids = list(batch.conn.execute(_OLDEST_DUE, {"many": many}).scalars())
    if not ids:
        return 0
    held, said = renew(batch, ids)
    if batch.roster.parent(batch.me) is not None:
        if not batch.live:
            return 0
        _seal(batch, [row for row in held.values() if _is_ours(batch, row.topic)], said)
    batch.flush()
    for some in slices(ids):
        batch.conn.execute(_DONE, {"some": some})
    return len(ids)


def renew(batch: Batch, ids: Sequence[TopicId]) -> tuple[dict[TopicId, Row], dict[TopicId, Mapping[str, Any]]]:
    """Rows and figures of these topics from their chains, checked against what is said of them; both are given."""
    held, said = own_rows(batch, ids), others.said(batch.conn, ids)
    others.store(batch, held.values(), True)
    row_check.check(batch, ids, held, said)
    gone = [said[id] for id, row in held.items() if row.custodian != batch.me and id in said]
    batch.rows.recounts |= {(batch.me, row["month"]) for row in gone if row["author"] == batch.me}
    return held, said


def grow_late(batch: Batch) -> int:
    """Count as overdue what has become so: nothing is written when a deadline passes, so somebody must look."""
    rows = batch.conn.execute(_LATE, {"now": batch.now})
    late = [{**row._mapping, "overdue": True, "late_at": None} for row in rows]
    others.put(batch, late)
    return len(late)


def next_seq(batch: Batch) -> int:
    """The number of this incarnation's next summary."""
    batch.flush_rows()
    s = ag.summaries.c
    mine = (s.author == batch.me, s.inc == inc_text(batch.inc))
    last = batch.conn.execute(select(s.seq).where(*mine).order_by(s.seq.desc()).limit(1)).scalar()
    return 0 if last is None else last + 1


_DUE = (
    select(ag.rows_due.c.topic)
    .union_all(select(ag.topic_rows.c.topic).where(ag.topic_rows.c.late_at < bindparam("now")))
    .limit(1)
)


def _anything_due(ctx: Context) -> bool:
    with reading(ctx.engine) as conn:
        return conn.execute(_DUE, {"now": ctx.clock.now()}).first() is not None


def _is_ours(batch: Batch, topic: TopicId) -> bool:
    chain = batch.working(topic).chain
    return chain is not None and (chain.custodian, chain.inc) == (batch.me, batch.inc)


def _seal(batch: Batch, rows: Sequence[Row], said: Mapping[TopicId, Mapping[str, Any]]) -> None:
    """Pages of the rows that differ from what was sealed last."""
    fresh = [newer for row in rows if (newer := _revised(row, said.get(row.topic))) is not None]
    if not fresh:
        return
    seq = next_seq(batch)
    for some in _paged(fresh):
        batch.summarise("page", seq, Page(rows=some))
        seq += 1


def _revised(row: Row, last: Mapping[str, Any] | None) -> Row | None:
    """The row with its revision; None where nothing of it changed since it was sealed last."""
    if last is None:
        return row
    term, seq, rev, standing = last["place"]
    if (term, seq) != (row.term, row.seq):
        return row if (term, seq) < (row.term, row.seq) else None
    same = row.model_copy(update={"rev": rev})
    return None if leaf(same) == standing else row.model_copy(update={"rev": rev + 1})


def _paged(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """As many rows to a page as its bytes and its limit allow."""
    page: list[Row] = []
    size = 0
    for row in rows:
        needs = len(dumps(row.model_dump(mode="json"))) + 1
        if page and (size + needs > PAGE_ROOM or len(page) == ROWS_MAX):
            yield page
            page, size = [], 0
        page.append(row)
        size += needs
    if page:
        yield page
