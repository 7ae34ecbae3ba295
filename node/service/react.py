"""What the node writes by itself, in the transaction of its cause: nobody has to ask (SPEC 5.7, 14.5).

Nothing of it in a chain that is frozen (R9) or while no incarnation is live; where the rules forbid it, what it would
follow from still stands.
"""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from node.domain.topic import Topic, recall_sent
from node.store.engine import insert_new
from node.store.tables import entries, numbers
from node.store.topics import Working
from schemas import entry as bodies
from schemas import remark as beside
from schemas.ids import Digest, NodeCode, TopicId
from schemas.statement import Frozen, Remark
from sync.custody import Chain, declines
from sync.errors import SyncError
from sync.sealing import Statement
from sync.strict import strict_json

if TYPE_CHECKING:
    from node.service.commit import Batch


def to_entry(batch: "Batch", found: Working, statement: Statement, source: NodeCode | None) -> None:
    """An entry became the end of its chain."""
    entry = statement.payload
    if entry.kind == "closed":
        _tell_parent(batch, found)
    elif entry.kind == "offered" and entry.body.mode == "rehome":
        _take_back(batch, found)
    elif entry.kind == "opened" and source is not None and entry.author == batch.me:
        _keep_number(batch, entry.body.number)


def to_remark(batch: "Batch", found: Working, statement: Statement) -> None:
    """A remark was stored beside its chain."""
    remark: Remark[Any] = statement.payload
    chain = found.chain
    assert chain is not None and found.topic is not None  # noqa: S101 - checked by the caller
    if remark.kind == "asked":
        _tell_head(batch, chain, remark)
        return
    offer = chain.offer
    if offer is None or offer.id != remark.entry:
        return
    recalled = remark.kind == "recalled" and remark.author == offer.by
    if recalled:  # in a frozen chain too: that it was said is no answer to it
        found.topic, found.dirty = recall_sent(found.topic, offer.id, remark.at), True
    if batch.frozen(chain):
        return
    if recalled:
        if (offer.to, offer.to_inc) == (batch.me, batch.inc) and not batch.declined(offer):
            batch.remark(chain.topic, offer.id, "declined", beside.Declined(code="recalled", reason=""))
    elif (offer.by, chain.inc) == (batch.me, batch.inc) and declines(chain, statement):
        embedded = strict_json(statement.raw)
        _follow(batch, chain.topic, "resumed", bodies.Resumed(offer=offer.id, declined=embedded))


def _tell_head(batch: "Batch", chain: Chain, asked: Remark[Any]) -> None:
    """Where the chain stands here, for an arbiter about to claim it; all that was before is on its way by then."""
    if batch.live and asked.author in chain.arbiters and asked.author != batch.me and batch.me in chain.participants:
        told = beside.Told(claim=asked.body.claim, head=chain.head, seq=chain.seq, term=chain.term)
        batch.remark(chain.topic, asked.entry, "told", told)


def _take_back(batch: "Batch", found: Working) -> None:
    """A topic that was claimed from this node because its incarnation was over comes back to it (R11)."""
    chain, work = found.chain, found.topic
    assert chain is not None and work is not None and chain.offer is not None  # noqa: S101 - just offered
    if (chain.offer.to, chain.offer.to_inc) == (batch.me, batch.inc) and claimed_from(work) == batch.me:
        _follow(batch, chain.topic, "accepted", bodies.Accepted(offer=chain.offer.id))


def claimed_from(work: Topic) -> NodeCode | None:
    """Whom the last claim, or several in a row, took the topic from, while it has not moved on since."""
    if work.trail[-1].mode != "claim":
        return None
    return next((stop.node for stop in reversed(work.trail) if stop.mode != "claim"), None)


def _keep_number(batch: "Batch", number: str) -> None:
    """A topic of this node came back that its database had forgotten: its number must not be given again."""
    _, year, count = number.rsplit("-", 2)
    if not (year.isdigit() and count.isdigit()):
        return
    insert_new(batch.conn, numbers, [{"year": int(year), "last": 0}])
    mine = (numbers.c.year == int(year), numbers.c.last < int(count))
    batch.conn.execute(update(numbers).where(*mine).values(last=int(count)))


def _tell_parent(batch: "Batch", found: Working) -> None:
    """A split-off topic closed here: say so in the chain it came from, if this node holds that."""
    assert found.chain is not None and found.topic is not None  # noqa: S101 - just applied
    split = found.topic.parent
    if split is None:
        return
    topic = batch.topic_of_entry(split.entry)
    above = batch.working(topic).chain if topic else None
    if above is None or (above.custodian, above.inc) != (batch.me, batch.inc) or above.offer is not None:
        return
    if batch.frozen(above) or found.chain.origin != _author_of(batch, split.entry):
        return
    if not any((child.entry, child.n, child.state) == (split.entry, split.n, "open") for child in above.children):
        return
    child = bodies.Child(
        entry=split.entry, n=split.n, topic=found.id, head=found.chain.head, outcome=found.topic.outcome
    )
    _follow(batch, above.topic, "child_closed", bodies.ChildClosed(child=child))


def _author_of(batch: "Batch", entry: Digest) -> NodeCode | None:
    fresh = batch.fresh.get(entry)
    if fresh is not None:
        author: NodeCode = fresh.payload.author
        return author
    return batch.conn.execute(select(entries.c.author).where(entries.c.id == entry)).scalar()


def _follow(batch: "Batch", topic: TopicId, kind: str, body: Frozen) -> None:
    try:
        batch.entry(topic, kind, body)
    except SyncError as error:
        batch.audit(f"no-{kind}", topic, error.code)
