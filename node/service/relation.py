"""What a person has to do with a topic: hers by a post, her unit's, or just this node's (domain.policy.Relation)."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from node.domain.divisions import DivisionTree
from node.domain.policy import Relation
from node.domain.topic import Topic
from node.service.commit import Batch
from node.store.codec import load_topic
from node.store.office import duties, posts, tenures, units
from schemas.ids import TopicId


def relation(batch: Batch, user: int, topic: TopicId | None, unit: str | None) -> Relation:
    """To a topic, or to a new one from the unit with this division code."""
    held = _posts_of(batch.conn, user)
    if topic is not None and held:
        mine = select(duties.c.topic).where(duties.c.topic == topic, duties.c.post_id.in_(held))
        if batch.conn.execute(mine).first() is not None:
            return Relation.POST
    found = batch.working(topic).topic if topic is not None else None
    codes = _places(found) if found is not None else [unit] if unit else []
    return _by_place(batch.lists.tree, codes, areas_of(batch.conn, user))


def areas_of(conn: Connection, user: int) -> frozenset[str]:
    """The divisions of the units in which this person holds a post."""
    query = select(units.c.code).join(posts, posts.c.unit_id == units.c.id)
    query = query.where(posts.c.id.in_(_posts_of(conn, user)), units.c.code.is_not(None))
    return frozenset(conn.execute(query).scalars())


def within(tree: DivisionTree, work: str, mine: Collection[str]) -> Relation:
    """To a stored topic, by place alone."""
    return _by_place(tree, _places(load_topic(work)), mine)


def belongs(tree: DivisionTree, code: str, mine: Collection[str]) -> bool:
    """Whether a place is one of these divisions or lies in one."""
    if tree.resolve_area(code) is None:
        return code in mine
    return not {code, *(division.code for division in tree.ancestors(code))}.isdisjoint(mine)


def _by_place(tree: DivisionTree, codes: Collection[str], mine: Collection[str]) -> Relation:
    inside = bool(codes) and bool(mine) and all(belongs(tree, code, mine) for code in codes)
    return Relation.UNIT if inside else Relation.NODE


def _places(topic: Topic) -> list[str]:
    """The unit that raised it; without one, the places it concerns."""
    return [topic.unit] if topic.unit else list(topic.areas)


def _posts_of(conn: Connection, user: int) -> list[int]:
    query = select(tenures.c.post_id).join(posts, posts.c.id == tenures.c.post_id)
    query = query.where(tenures.c.user_id == user, tenures.c.until.is_(None), posts.c.active)
    return list(conn.execute(query).scalars())
