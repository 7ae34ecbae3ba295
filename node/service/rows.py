"""What others say of their topics, taken in: each topic's best said row, and the figures of topics not held here.

Which row of a topic stands is decided by the rows alone (sync.summary), so pages may come twice, late or in any order.
A topic whose chain is here is never counted by what is said of it: it is only put in the queue for `summaries`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, select, update

from node.clock import parse_instant
from node.domain.placing import Placing, placed
from node.domain.rollup import Deltas, month_of
from node.store import rows as row_store
from node.store.aggregation import heard, rows_due, said_rows, topic_rows, totals
from node.store.codec import inc_of, inc_text
from node.store.engine import insert_new, upsert
from node.store.rows import Stored, View, slices
from node.store.tables import topics
from schemas.ids import NO_INCARNATION, Digest, Incarnation, NodeCode, Term, TopicId
from schemas.summary import Page, Row, Totals
from sync.errors import Held
from sync.sealing import Statement
from sync.summary import Place, place

if TYPE_CHECKING:
    from node.service.commit import Batch

TOTALS_PART = "rows"
"""The part of totals that lists the rows they are of."""
_SAID = select(said_rows).where(said_rows.c.topic.in_(bindparam("ids", expanding=True)))
_RECOUNT = update(totals).where(totals.c.author == bindparam("by"), totals.c.period == bindparam("of")).values(due=True)
_NEXT = select(topic_rows).where(topic_rows.c.topic > bindparam("after")).order_by(topic_rows.c.topic).limit(1000)
_HERE = select(topics.c.id).where(topics.c.id.in_(bindparam("ids", expanding=True)), topics.c.mine)


@dataclass(slots=True)
class RowWork:
    """What a transaction does to rows, collected until it is flushed: topics to be looked at again, what changes of the
    figures, months of authors whose totals must be counted again."""

    touched: set[TopicId] = field(default_factory=set)
    deltas: Deltas = field(default_factory=Deltas)
    recounts: set[tuple[NodeCode, str]] = field(default_factory=set)
    view: View | None = None


def settle(batch: "Batch") -> None:
    """Write what was collected."""
    work, conn = batch.rows, batch.conn
    insert_new(conn, rows_due, [{"topic": topic, "at": batch.now} for topic in sorted(work.touched)])
    row_store.add_cells(conn, work.deltas)
    if work.recounts:
        conn.execute(_RECOUNT, [{"by": author, "of": month} for author, month in sorted(work.recounts)])
    work.touched.clear()
    work.deltas.clear()
    work.recounts.clear()


def store(batch: "Batch", rows: Iterable[Row], own: bool) -> None:
    """Make these the rows of their topics. `own`: they were read from chains held here."""
    seen = view(batch)
    put(batch, [row_store.row_of(row, own, seen) for row in rows])


def put(batch: "Batch", rows: Sequence[Stored], moved: bool = False) -> None:
    """Store rows as they are; the figures follow when the transaction is flushed."""
    row_store.put(batch.conn, rows, view(batch), batch.rows.deltas, moved)


def take(batch: "Batch", statement: Statement, heard_at: datetime | None = None) -> None:
    """Take in a summary. Raises Held where its author speaks of topics as another's, and then has changed nothing."""
    body = statement.payload.body
    if isinstance(body, Page):
        _take_page(batch, statement, body.rows)
    elif isinstance(body, Totals):
        _take_totals(batch, statement, body, heard_at or batch.now)
    _hear(batch, statement, heard_at or batch.now)


def place_again(batch: "Batch") -> None:
    """Find anew where the topics' areas lie: the division table has changed."""
    batch.rows.view = None
    seen, last = view(batch), ""
    while rows := batch.conn.execute(_NEXT, {"after": last}).all():
        found = [dict(row._mapping) for row in rows]
        for row in found:
            placing = seen.placed(row["named"])
            row |= {"areas": list(placing.shown), "places": list(placing.places)}
        put(batch, found, moved=True)
        last = found[-1]["topic"]


def view(batch: "Batch") -> View:
    """What stored rows depend on, as this transaction has it."""
    if batch.rows.view is not None:
        return batch.rows.view
    tree, roster, tier = batch.lists.tree, batch.roster, batch.ctx.identity.tier

    @lru_cache(maxsize=2048)
    def place_of(areas: tuple[str, ...]) -> Placing:
        return placed(areas, tree, tier)

    def tier_of(code: str) -> Any:
        member = roster.get(code)
        return member.tier if member else None

    batch.rows.view = View(batch.now, lambda areas: place_of(tuple(areas)), tier_of)
    return batch.rows.view


def said(conn: Connection, ids: Sequence[TopicId]) -> dict[TopicId, Mapping[str, Any]]:
    """The best rows said of these topics, as `said_rows` has them, each with its `place` read."""
    found: dict[TopicId, Mapping[str, Any]] = {}
    for some in slices(ids):
        for row in conn.execute(_SAID, {"ids": some}):
            found[row.topic] = {**row._mapping, "place": read_place(row.place, row.leaf)}
    return found


def said_row(statement: Digest, row: Row, standing: Place) -> dict[str, Any]:
    """How the best row of a topic is kept."""
    term, seq, rev, leaf = standing
    return {
        "topic": row.topic,
        "author": row.custodian,
        "place": json.dumps([term.g, term.k, list(term.i), term.t, seq, rev]),
        "leaf": leaf,
        "month": month_of(parse_instant(row.opened_at)),
        "page": statement,
    }


def read_place(text: str, leaf: Digest) -> Place:
    g, k, inc, t, seq, rev = json.loads(text)
    return Term(g, k, Incarnation(*inc), t), seq, rev, leaf


def _take_totals(batch: "Batch", statement: Statement, body: Totals, heard_at: datetime) -> None:
    """Keep the newest totals of an author and month; they are counted again at the next tick."""
    said, t = statement.payload, totals.c
    last = batch.conn.execute(select(totals).where(t.author == said.author, t.period == body.period)).first()
    if last is not None and (inc_of(last.inc), last.seq) >= (said.inc, said.seq):
        return
    listed = next((ref.digest for ref in said.parts if ref.name == TOTALS_PART), "")
    row = {"author": said.author, "period": body.period, "statement": statement.id, "inc": inc_text(said.inc)}
    row |= {"seq": said.seq, "rows": body.rows, "root": body.root, "figures": body.model_dump(mode="json")}
    row |= {"listed": listed, "first_at": last.first_at if last is not None else heard_at}
    upsert(batch.conn, totals, [{**row, "sealed_at": parse_instant(said.at), "due": said.author != batch.me}])


_HEARD = select(heard).where(heard.c.author == bindparam("of"))


def _hear(batch: "Batch", statement: Statement, heard_at: datetime) -> None:
    """How far one has an author's summaries: those of its highest incarnation count."""
    said = statement.payload
    last = batch.conn.execute(_HEARD, {"of": said.author}).first()
    known = inc_of(last.inc) if last is not None else NO_INCARNATION
    if said.inc < known:
        return
    row = {"author": said.author, "inc": inc_text(said.inc), "seq": said.seq, "many": 1}
    row |= {"sealed_at": parse_instant(said.at), "heard_at": heard_at}
    if last is not None and said.inc == known:
        row |= {"seq": max(said.seq, last.seq), "many": last.many + 1}
        row |= {"sealed_at": max(row["sealed_at"], last.sealed_at)}
    upsert(batch.conn, heard, [row])


def _take_page(batch: "Batch", statement: Statement, rows: Sequence[Row]) -> None:
    author = statement.payload.author
    if any(row.custodian != author for row in rows):
        raise Held("not-the-custodian", author)
    known = said(batch.conn, [row.topic for row in rows])
    standing = {row.topic: place(row) for row in rows}
    better = [row for row in rows if row.topic not in known or standing[row.topic] > known[row.topic]["place"]]
    if not better:
        return
    fresh = [said_row(statement.id, row, standing[row.topic]) for row in better]
    upsert(batch.conn, said_rows, fresh)
    for changed in (*fresh, *(known[row.topic] for row in better if row.topic in known)):
        batch.rows.recounts.add((changed["author"], changed["month"]))
    checked = _to_be_checked(batch, better)
    batch.rows.touched |= checked
    store(batch, [row for row in better if row.topic not in checked], False)


def _to_be_checked(batch: "Batch", rows: Sequence[Row]) -> set[TopicId]:
    """Topics that are, or ought to be, held here as chains: the keeper of a topic counts what it holds."""
    found: set[TopicId] = set()
    for some in slices([row.topic for row in rows]):
        found.update(batch.conn.execute(_HERE, {"ids": some}).scalars())
    kept = {row.topic for row in rows if batch.me in (row.origin, row.custodian, batch.roster.parent(row.origin))}
    return found | kept
