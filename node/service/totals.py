"""Totals of a month: sealed by each node over the rows that stand for it, and counted again by every node above.

They are no source of any figure. They say that what was heard is all there is, or name the rows that differ.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, func, select, update

from node.context import Context
from node.domain.rollup import month_before
from node.service import life
from node.service.commit import Batch, write
from node.service.rows import TOTALS_PART
from node.service.summaries import next_seq
from node.store import aggregation as ag
from node.store import tables as t
from node.store.engine import reading, upsert
from schemas.ids import Digest, NodeCode, TopicId
from schemas.summary import Totals
from sync.summary import listed, read_listed, root

SEALED_AGAIN_AFTER = timedelta(hours=20)
MONTHS_AT_ONCE = 50

_s, _r, _t = ag.said_rows.c, ag.topic_rows.c, ag.totals.c


def tick(ctx: Context) -> None:
    """Seal the months that are over, and count again those of others whose rows changed."""
    if not life.now(ctx).live or not _anything_to_do(ctx):
        return
    with write(ctx) as batch:
        batch.flush()
        if batch.live:
            _seal(batch)
        _recount(batch)


# ---- sealing -----------------------------------------------------------------------------------------------------


def _seal(batch: Batch) -> None:
    """A root has nobody to tell."""
    if batch.roster.parent(batch.me) is None:
        return
    sealed = {row.period: row for row in batch.conn.execute(select(ag.totals).where(_t.author == batch.me))}
    seq = next_seq(batch)
    for period in _to_seal(batch, sealed):
        leaves = _own_leaves(batch, period)
        sums = _figures(batch.conn, batch.me, period)
        body = Totals(period=period, rows=len(leaves), root=root(list(leaves.values())), **sums)
        if period in sealed and sealed[period].figures == body.model_dump(mode="json"):
            mine = (_t.author == batch.me, _t.period == period)
            batch.conn.execute(update(ag.totals).where(*mine).values(due=False))
            continue
        part = batch.part(TOTALS_PART, listed(leaves.items()), "application/octet-stream", "full")
        batch.summarise("totals", seq, body, [part])
        batch.audit("seal-totals", None, period=period, rows=len(leaves))
        seq += 1


def _to_seal(batch: Batch, sealed: Mapping[str, Any]) -> list[str]:
    """Months that are over and not sealed, and those whose rows changed since, a day later."""
    last = month_before(batch.now)
    months = batch.conn.execute(select(_s.month).where(_s.author == batch.me, _s.month <= last).distinct()).scalars()
    before = batch.now - SEALED_AGAIN_AFTER
    again = {period for period, row in sealed.items() if row.due and row.sealed_at < before}
    return sorted(({last, *months} - sealed.keys()) | again, reverse=True)[:MONTHS_AT_ONCE]


def _own_leaves(batch: Batch, period: str) -> dict[TopicId, Digest]:
    """What was sealed last of the topics still held; one that moved on is its next holder's."""
    query = select(_s.topic, _s.leaf).join(ag.topic_rows, _r.topic == _s.topic)
    mine = (_s.author == batch.me, _s.month == period, _r.custodian == batch.me)
    return dict(sorted((row.topic, row.leaf) for row in batch.conn.execute(query.where(*mine))))


def _figures(conn: Connection, author: NodeCode, period: str) -> dict[str, Any]:
    """The sums that totals carry, over the rows that stand for an author and month."""
    closed = _r.status == "closed"
    sums = [func.count().label("n"), _count(closed).label("closed")]
    sums += [_count(_r.outcome == name).label(name) for name in "ABCD"]
    query = select(*sums, func.coalesce(func.sum(_r.participations), 0).label("people"))
    joined = query.select_from(ag.said_rows.join(ag.topic_rows, _r.topic == _s.topic))
    mine = (_s.author == author, _s.month == period, _r.custodian == author)
    row = conn.execute(joined.where(*mine)).one()
    counted = {"open": row.n - int(row.closed), "closed": int(row.closed), "participations": int(row.people)}
    return {**counted, "outcomes": [int(row._mapping[name]) for name in "ABCD"]}


def _count(condition: ColumnElement[bool]) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


# ---- counting again ----------------------------------------------------------------------------------------------


def _recount(batch: Batch) -> None:
    query = select(ag.totals).where(_t.due, _t.author != batch.me).order_by(_t.period.desc()).limit(MONTHS_AT_ONCE)
    for row in batch.conn.execute(query).all():
        differs = _differences(batch, row)
        if differs is None:
            continue
        mine = (ag.totals_differences.c.author == row.author, ag.totals_differences.c.period == row.period)
        known = batch.conn.execute(select(ag.totals_differences.c.topic).where(*mine).limit(1)).first()
        batch.conn.execute(delete(ag.totals_differences).where(*mine))
        shared = {"author": row.author, "period": row.period, "at": batch.now}
        upsert(batch.conn, ag.totals_differences, [{**shared, **differ} for differ in differs])
        batch.conn.execute(update(ag.totals).where(_t.author == row.author, _t.period == row.period).values(due=False))
        if differs and known is None:
            batch.audit("totals-differ", None, "alarm", node=row.author, period=row.period, rows=len(differs))


def _differences(batch: Batch, row: Any) -> list[dict[str, Any]] | None:
    """What differs between totals and the rows that stand here; None while the list that tells is on its way."""
    query = select(_s.topic, _s.leaf).where(_s.author == row.author, _s.month == row.period).order_by(_s.topic)
    counted = {item.topic: item.leaf for item in batch.conn.execute(query)}
    if root(list(counted.values())) == row.root:
        return _wrong_sums(batch, row)
    content = batch.conn.execute(select(t.parts.c.content).where(t.parts.c.digest == row.listed)).scalar()
    if content is None:
        return None
    pairs = read_listed(content)
    if pairs is None or root([leaf for _, leaf in pairs]) != row.root:
        return [{"topic": row.statement, "said": row.root, "counted": None}]
    said = dict(pairs)
    wrong = [topic for topic in said.keys() | counted.keys() if said.get(topic) != counted.get(topic)]
    return [{"topic": topic, "said": said.get(topic), "counted": counted.get(topic)} for topic in sorted(wrong)]


def _wrong_sums(batch: Batch, row: Any) -> list[dict[str, Any]]:
    """The rows are the same; so must be what they add up to, unless a chain held here already says more."""
    counted = _figures(batch.conn, row.author, row.period)
    said = {name: row.figures[name] for name in counted}
    ahead = select(_r.topic).join(ag.said_rows, _s.topic == _r.topic).where(_s.author == row.author, _r.own)
    if said == counted or batch.conn.execute(ahead.where(_s.month == row.period).limit(1)).first() is not None:
        return []
    return [{"topic": row.statement, "said": row.root, "counted": row.root}]


def _anything_to_do(ctx: Context) -> bool:
    """Months of others to count again, own ones that changed or were never sealed."""
    me, now = ctx.identity.code, ctx.clock.now()
    last = month_before(now)
    due = select(_t.period).where(_t.due, (_t.author != me) | (_t.sealed_at < now - SEALED_AGAIN_AFTER))
    mine = select(_t.period).where(_t.author == me, _t.period == _s.month)
    unsealed = select(_s.topic).where(_s.author == me, _s.month <= last, ~mine.exists())
    with reading(ctx.engine) as conn:
        if any(conn.execute(query.limit(1)).first() is not None for query in (due, unsealed)):
            return True
        return conn.execute(select(_t.period).where(_t.author == me, _t.period == last)).first() is None
