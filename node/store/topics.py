"""Rows of `topics` and `topic_areas`: a topic's custody and work state, and what lists are filtered by."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from node.clock import parse_instant
from node.domain.topic import Topic
from node.store.codec import dump_chain, dump_topic, inc_text, load_chain, load_topic
from node.store.engine import upsert
from node.store.tables import topic_areas, topics
from schemas.ids import NodeCode, TopicId
from sync.custody import Chain

_LOAD = select(topics.c.id, topics.c.custody, topics.c.work, topics.c.text, topics.c.seen_at, topics.c.lost).where(
    topics.c.id.in_(bindparam("ids", expanding=True))
)


@dataclass(slots=True)
class Working:
    """A topic under change in one transaction: its state before the flush, and what the flush must write."""

    id: TopicId
    chain: Chain | None = None
    topic: Topic | None = None
    text: str | None = None
    seen_at: datetime | None = None
    areas_stored: tuple[str, ...] | None = None
    lost: frozenset[NodeCode] = frozenset()
    """Participants on branches that are not the chain (SPEC 14.6)."""
    dirty: bool = False

    @property
    def concerned(self) -> frozenset[NodeCode]:
        """The nodes that hear whatever is said of the topic."""
        return self.lost | self.chain.participants if self.chain else self.lost


def load(conn: Connection, ids: Iterable[TopicId]) -> dict[TopicId, Working]:
    """The topics among `ids` that are here."""
    found = {}
    wanted = list(ids)
    for start in range(0, len(wanted), 500):
        for id, custody, work, text, seen_at, lost in conn.execute(_LOAD, {"ids": wanted[start : start + 500]}):
            topic = load_topic(work)
            found[id] = Working(id, load_chain(custody), topic, text, seen_at, topic.areas, frozenset(json.loads(lost)))
    return found


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a row depends on beside its topic: this node, frozen authors, and the codes above an area."""

    me: NodeCode
    now: datetime
    frozen: Callable[[Chain], bool]
    areas_above: Callable[[str], tuple[str, ...]]


def store(conn: Connection, changed: list[Working], around: Surroundings) -> None:
    """Write changed topics and, where they changed, their areas."""
    upsert(conn, topics, [row_of(item, around) for item in changed])
    moved = [item for item in changed if item.topic and item.topic.areas != item.areas_stored]
    stored_before = [item.id for item in moved if item.areas_stored is not None]
    if stored_before:
        conn.execute(delete(topic_areas).where(topic_areas.c.topic.in_(stored_before)))
    rows = [row for item in moved if item.topic for row in area_rows(item.id, item.topic.areas, around)]
    if rows:
        conn.execute(insert(topic_areas), rows)


def renew_areas(conn: Connection, areas_above: Callable[[str], tuple[str, ...]]) -> None:
    """Derive the areas above those the topics name anew: the division table has changed."""
    conn.execute(delete(topic_areas).where(topic_areas.c.own.is_(False)))
    named = conn.execute(select(topic_areas.c.topic, topic_areas.c.area)).all()
    own: dict[TopicId, list[str]] = {}
    for topic, area in named:
        own.setdefault(topic, []).append(area)
    rows = [
        {"topic": topic, "area": code, "own": False}
        for topic, areas in own.items()
        for code in dict.fromkeys(code for area in areas for code in areas_above(area))
        if code not in areas
    ]
    if rows:
        conn.execute(insert(topic_areas), rows)


def status(chain: Chain, frozen: bool) -> str:
    if frozen:
        return "frozen"
    if chain.closed:
        return "closed"
    return "offered" if chain.offer else "active"


def row_of(item: Working, around: Surroundings) -> dict[str, Any]:
    chain, topic = item.chain, item.topic
    assert chain is not None and topic is not None  # noqa: S101 - only applied topics are stored
    offer = topic.offer
    return {
        "id": item.id,
        "number": topic.number,
        "title": topic.title,
        "text": item.text,
        "kind": topic.kind,
        "category": topic.category,
        "source": topic.source,
        "external_id": topic.external_id,
        "status": status(chain, around.frozen(chain)),
        "step": topic.step,
        "origin": chain.origin,
        "custodian": chain.custodian,
        "inc": inc_text(chain.inc),
        "offered_to": chain.offer.to if chain.offer else None,
        "offered_inc": inc_text(chain.offer.to_inc) if chain.offer else None,
        "mine": around.me in item.concerned,
        "lost": json.dumps(sorted(item.lost)),
        "seq": chain.seq,
        "head": chain.head,
        "parent_entry": topic.parent.entry if topic.parent else None,
        "parent_n": topic.parent.n if topic.parent else None,
        "outcome": topic.outcome,
        "answer_by": _when(offer.answer_by if offer else None),
        "due_at": _when(topic.due_at),
        "created_at": parse_instant(topic.created_at),
        "updated_at": parse_instant(topic.updated_at),
        "seen_at": item.seen_at or around.now,
        "custody": dump_chain(chain),
        "work": dump_topic(topic),
    }


def area_rows(topic: TopicId, areas: tuple[str, ...], around: Surroundings) -> list[dict[str, Any]]:
    own = dict.fromkeys(areas, True)
    above = {code: False for area in areas for code in around.areas_above(area)}
    return [{"topic": topic, "area": code, "own": is_own} for code, is_own in {**above, **own}.items()]


def _when(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None
