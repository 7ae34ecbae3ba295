"""Topics that may be about the same matter: by their titles, among the latest that share an area or a category.

A hint for people, who merge or not; nothing is decided by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz, process
from sqlalchemy import ColumnElement, exists, or_, select, true

from node.context import Context
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import NodeCode, TopicId

CANDIDATES_MAX = 1_000
SHOWN_MAX = 5
SCORE_MIN = 55
"""Of 100. Below, two titles share words every title has (小区, 道路, 问题)."""


@dataclass(frozen=True, slots=True)
class Similar:
    """`score` is of 100."""

    id: TopicId
    number: str
    title: str
    status: str
    custodian: NodeCode
    score: int


def similar(
    ctx: Context, title: str, areas: Sequence[str], category: str | None, besides: TopicId | None = None
) -> list[Similar]:
    """The most similar first, at most SHOWN_MAX; `besides` is the topic that is asked about."""
    wanted: list[ColumnElement[bool]] = []
    if areas:
        wanted.append(exists().where(t.topic_areas.c.topic == t.topics.c.id, t.topic_areas.c.area.in_(areas)))
    if category is not None:
        wanted.append(t.topics.c.category == category)
    query = (
        select(t.topics.c.id, t.topics.c.number, t.topics.c.title, t.topics.c.status, t.topics.c.custodian)
        .where(t.topics.c.mine, t.topics.c.id != (besides or ""), or_(*wanted or [true()]))
        .order_by(t.topics.c.updated_at.desc(), t.topics.c.id.desc())
        .limit(CANDIDATES_MAX)
    )
    with reading(ctx.engine) as conn:
        rows = conn.execute(query).all()
    titles = [row.title for row in rows]
    found = process.extract(title, titles, scorer=fuzz.ratio, limit=SHOWN_MAX, score_cutoff=SCORE_MIN)
    return [Similar(*rows[index], round(score)) for _, score, index in found]
