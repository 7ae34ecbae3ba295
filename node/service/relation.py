"""What a person has to do with a topic: hers by a post, her unit's, or just this node's (domain.policy.Relation)."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from node.domain.policy import Relation
from node.service.commit import Batch
from node.store.office import duties, posts, tenures, units
from schemas.ids import TopicId


def relation(batch: Batch, user: int, topic: TopicId | None, unit: str | None) -> Relation:
    """To a topic, or to a new one from the unit with this division code."""
    held = posts_of(batch.conn, user)
    if topic is not None and held:
        mine = select(duties.c.topic).where(duties.c.topic == topic, duties.c.post_id.in_(held))
        if batch.conn.execute(mine).first() is not None:
            return Relation.POST
    found = batch.working(topic).topic if topic is not None else None
    codes = [unit] if unit else [code for code in (found.unit if found else None,) if code]
    if not codes and found is not None:
        codes = list(found.areas)
    return Relation.UNIT if codes and all(belongs(batch, code, held) for code in codes) else Relation.NODE


def posts_of(conn: Connection, user: int) -> list[int]:
    """The posts this person holds now."""
    query = select(tenures.c.post_id).join(posts, posts.c.id == tenures.c.post_id)
    query = query.where(tenures.c.user_id == user, tenures.c.until.is_(None), posts.c.active)
    return list(conn.execute(query).scalars())


def belongs(batch: Batch, code: str, held: Iterable[int]) -> bool:
    """Whether a place lies in the division of a unit that one of these posts is in."""
    query = select(units.c.code).join(posts, posts.c.unit_id == units.c.id)
    mine = set(batch.conn.execute(query.where(posts.c.id.in_(list(held)), units.c.code.is_not(None))).scalars())
    tree = batch.lists.tree
    if tree.resolve_area(code) is None:
        return code in mine
    return bool(mine & {code, *(division.code for division in tree.ancestors(code))})
