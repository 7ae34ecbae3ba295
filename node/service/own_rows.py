"""The rows of topics whose chain is here, read from nothing but the chain and what stands beside it."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select

from node.domain.topic import Topic, work
from node.service.commit import Batch
from node.store import tables as t
from node.store.rows import slices
from node.store.topics import Working, status
from schemas.ids import Digest, Tier, TopicId
from schemas.remark import Rating
from schemas.summary import Row
from sync.custody import Chain
from sync.keys import Keyring
from sync.roster import Roster
from sync.sealing import open_statement, parse
from sync.strict import strict_json


def own_rows(batch: Batch, ids: Sequence[TopicId]) -> dict[TopicId, Row]:
    """The rows of those of the topics that this node takes part in."""
    batch.prefetch(ids)
    rated = ratings(batch.conn, ids)
    found = {}
    for id in ids:
        working = batch.working(id)
        if working.chain is None or working.topic is None or batch.me not in working.concerned:
            continue
        _complete(batch, working)
        standing = status(working.chain, batch.frozen(working.chain))
        found[id] = row_of(working.chain, working.topic, standing, rated.get(id), batch.roster)
    return found


def row_of(chain: Chain, topic: Topic, standing: str, rating: Rating | None, roster: Roster) -> Row:
    """A topic's row in its first revision; the topic must have its course."""
    course = topic.course
    assert course is not None  # noqa: S101 - the caller folded it
    return Row.model_validate(
        {
            "topic": chain.topic,
            "head": chain.head,
            "term": chain.term,
            "seq": chain.seq,
            "rev": 0,
            "number": topic.number,
            "origin": chain.origin,
            "custodian": chain.custodian,
            "kind": topic.kind,
            "category": topic.category,
            "source": topic.source,
            "areas": list(topic.areas),
            "unit": topic.unit,
            "step": topic.step,
            "status": standing,
            "outcome": topic.outcome,
            "due_at": topic.due_at,
            "answer_by": topic.offer.answer_by if topic.offer else None,
            "tier_reached": _reached(topic, roster),
            "hops": course.hops,
            "returns": course.returns,
            "reopened": course.reopened,
            "suggested": course.suggested,
            "followed": course.followed,
            "participations": course.participations,
            "rating": rating,
            "opened_at": course.opened_at,
            "first_action_at": course.first_action_at,
            "closed_at": course.closed_at,
        }
    )


_RATED = (
    select(t.remarks.c.topic, t.remarks.c.id, t.statements.c.raw)
    .join(t.statements, t.statements.c.id == t.remarks.c.id)
    .where(t.remarks.c.topic.in_(bindparam("some", expanding=True)), t.remarks.c.kind == "rate")
)


def ratings(conn: Connection, ids: Sequence[TopicId]) -> dict[TopicId, Rating]:
    """The rating that stands for each topic: the latest by its date, of two of one date that of the larger identity."""
    found: dict[TopicId, tuple[str, Digest, Rating]] = {}
    for some in slices(ids):
        for row in conn.execute(_RATED, {"some": some}):
            said = strict_json(parse(row.raw).payload)
            rated = (said["at"], row.id, said["body"]["rating"])
            found[row.topic] = max(found.get(row.topic, rated), rated)
    return {topic: rating for topic, (_, _, rating) in found.items()}


def folded_again(conn: Connection, keyring: Keyring, id: TopicId) -> Topic | None:
    """A topic's work, folded from its stored chain."""
    query = select(t.statements.c.raw).join(t.entries, t.entries.c.id == t.statements.c.id)
    topic: Topic | None = None
    for raw in conn.execute(query.where(t.entries.c.topic == id).order_by(t.entries.c.seq)).scalars():
        statement = open_statement(parse(raw), keyring)
        topic = work(topic, statement.payload, statement.id)
    return topic


def _complete(batch: Batch, working: Working) -> None:
    """A topic stored before courses were kept gets its own."""
    if working.topic is None or working.topic.course is not None:
        return
    batch.flush_rows()
    folded = folded_again(batch.conn, batch.roster.keyring, working.id)
    if folded is not None:
        working.topic, working.dirty = replace(working.topic, course=folded.course), True


def _reached(topic: Topic, roster: Roster) -> Tier:
    """The highest tier that held it in the ordinary way; a claim is no hand-over."""
    stops = {topic.origin, *(stop.node for stop in topic.trail if stop.mode not in ("claim", "rehome"))}
    tiers = [member.tier for code in stops if (member := roster.get(code)) is not None]
    return max(tiers, key=lambda tier: tier.rank, default=Tier.COUNTY)
