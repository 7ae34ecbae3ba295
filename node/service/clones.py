"""Clones: two copies of a node that live in one incarnation of a node (R11, SPEC 14.8).

Every start draws an instance. A restart replaces the one before; if that one is heard again after it was replaced, both
are running. What was under way before the replacement proves nothing, so a request counts only with a challenge that
was given later, and a reply only if its request was composed later. So a late request of an instance never heard before
replaces nothing.
"""

from sqlalchemy import Connection, bindparam, func, select

from node.service.commit import Batch
from node.store import tables as t
from node.store.engine import upsert
from node.store.links import Link
from schemas.ids import NodeCode

_REPLACED = select(func.count()).select_from(t.replaced_instances).where(t.replaced_instances.c.peer == bindparam("of"))
NONE_YET = ""
"""Stands for the instance before the first one that was heard."""


def check(batch: Batch, link: Link, instance: str | None, newest: int) -> bool:
    """Note which instance of the neighbour speaks; False where it is a clone: then the link has stopped.

    `newest` says how recent the document is: of a request the position of the challenge it answers, of a reply the
    `mark` that was taken when its request was composed.
    """
    if instance is None or instance == link.instance:
        return True
    r = t.replaced_instances.c
    replaced = batch.conn.execute(select(r.challenge).where(r.peer == link.peer, r.instance == instance)).scalar()
    last = batch.conn.execute(select(func.max(r.challenge)).where(r.peer == link.peer)).scalar()
    limit = last if replaced is None else replaced
    if limit is not None and newest <= limit:
        return True  # it was under way before the replacement, and says nothing of what runs now
    if replaced is None:
        _replace(batch, link, instance)
        return True
    link.stopped, link.dirty = "clone", True
    batch.audit("clone", None, "alarm", peer=link.peer)
    return False


def mark(conn: Connection, peer: NodeCode) -> int:
    """How many instances of the neighbour have been replaced so far."""
    found: int = conn.execute(_REPLACED, {"of": peer}).scalar_one()
    return found


def _replace(batch: Batch, link: Link, instance: str) -> None:
    given = batch.conn.execute(select(func.max(t.challenges.c.id))).scalar() or 0
    newest = given if link.relation == "child" else mark(batch.conn, link.peer)
    row = {"peer": link.peer, "instance": link.instance or NONE_YET, "challenge": newest, "at": batch.now}
    upsert(batch.conn, t.replaced_instances, [row])
    link.instance, link.dirty = instance, True
