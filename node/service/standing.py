"""Whether a person may use a verb on a topic that is here, for pages that show what can be done and what can be read.

`perform` asks the same when it is done; this is so that nobody is offered what will be refused.
"""

from sqlalchemy import Connection, select

from node.context import Context
from node.domain.policy import Relation, least
from node.service.lists import in_force
from node.service.perform import Actor
from node.service.relation import areas_of, within
from node.store.office import duties, posts, tenures
from node.store.tables import topics
from schemas.ids import TopicId


def may(ctx: Context, conn: Connection, actor: Actor, verb: str, topic: TopicId) -> bool:
    """False also for a topic that is not here."""
    return verb in usable(ctx, conn, actor, (verb,), topic)


def usable(ctx: Context, conn: Connection, actor: Actor, verbs: tuple[str, ...], topic: TopicId) -> tuple[str, ...]:
    """Those of the verbs this person may use on this topic, in their order."""
    needed = {verb: least(actor.roles, verb, ctx.settings.profile) for verb in verbs}
    if all(cell is None or cell is Relation.NODE for cell in needed.values()):
        return tuple(verb for verb in verbs if needed[verb] is not None)
    is_at = _relation(ctx, conn, actor, topic)
    return tuple(verb for verb in verbs if (cell := needed[verb]) is not None and cell <= is_at)


def _relation(ctx: Context, conn: Connection, actor: Actor, topic: TopicId) -> Relation:
    mine = (
        select(duties.c.topic)
        .join(posts, posts.c.id == duties.c.post_id)
        .join(tenures, tenures.c.post_id == posts.c.id)
        .where(duties.c.topic == topic, posts.c.active, tenures.c.until.is_(None), tenures.c.user_id == actor.user_id)
    )
    if conn.execute(mine).first() is not None:
        return Relation.POST
    work = conn.execute(select(topics.c.work).where(topics.c.id == topic)).scalar()
    return within(in_force(ctx, conn).tree, work, areas_of(conn, actor.user_id)) if work else Relation.NODE
