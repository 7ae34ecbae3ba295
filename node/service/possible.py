"""What a node can do with a topic as it stands, for the buttons of a page; the verb itself decides what is done."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from node.context import Context
from node.domain.topic import STEPS, Topic
from node.service import life
from node.service import roster as rosters
from node.service.perform import Actor
from node.service.standing import usable
from node.store import tables as t
from node.store.codec import load_chain, load_topic
from node.store.engine import reading
from schemas.entry import Step
from schemas.ids import NodeCode, TopicId
from sync.custody import Chain
from sync.roster import Roster


@dataclass(frozen=True, slots=True)
class Possible:
    """`verbs` in the order of the work; `parent`, `below` and `back` are whom it could go to."""

    verbs: tuple[str, ...] = ()
    step: Step | None = None
    parent: NodeCode | None = None
    below: tuple[NodeCode, ...] = ()
    back: NodeCode | None = None


def possible(ctx: Context, actor: Actor, topic: TopicId) -> Possible:
    """For a topic this node takes part in and this person; nothing for any other."""
    with reading(ctx.engine) as conn:
        found = _of_node(ctx, conn, topic)
        return replace(found, verbs=usable(ctx, conn, actor, found.verbs, topic))


def _of_node(ctx: Context, conn: Connection, topic: TopicId) -> Possible:
    """Whoever it is."""
    row = conn.execute(
        select(t.topics.c.custody, t.topics.c.work, t.topics.c.status).where(t.topics.c.id == topic, t.topics.c.mine)
    ).first()
    mine = life.read(conn)
    if row is None or not mine.live:
        return Possible()
    chain, work, roster = load_chain(row.custody), load_topic(row.work), rosters.current(ctx, conn)
    me = ctx.identity.code
    if row.status == "offered":
        return Possible(_on_offer(conn, chain, me))
    if row.status == "frozen" or (chain.custodian, chain.inc) != (me, mine.inc):
        return Possible(("remark",))
    if chain.closed:
        return Possible(("reopen", "remark") if chain.at_home else ("remark",))
    return _in_hand(chain, work, roster, me)


def descendants(roster: Roster, me: NodeCode) -> tuple[NodeCode, ...]:
    """Every enrolled node below, nearest first."""
    found: list[NodeCode] = []
    todo = list(roster.children(me))
    while todo:
        code = todo.pop(0)
        found.append(code)
        todo += roster.children(code)
    return tuple(found)


def _on_offer(conn: Connection, chain: Chain, me: NodeCode) -> tuple[str, ...]:
    offer = chain.offer
    if offer is not None and offer.to == me:
        declined = select(t.remarks.c.id).where(
            t.remarks.c.entry == offer.id, t.remarks.c.kind == "declined", t.remarks.c.author == me
        )
        return ("remark",) if conn.execute(declined).first() else ("accept", "decline", "remark")
    return ("recall", "remark") if offer is not None and offer.by == me else ("remark",)


def _in_hand(chain: Chain, work: Topic, roster: Roster, me: NodeCode) -> Possible:
    done = STEPS.index(work.step)
    step = STEPS[done + 1] if done + 1 < len(STEPS) else None
    waiting = any(child.state == "open" for child in chain.children)
    below = descendants(roster, me)
    parent = roster.parent(me)
    wanted = {
        "step": step is not None,
        "result": True,
        "close": chain.at_home and step is None and work.outcome is not None and not waiting,
        "escalate": parent is not None and not waiting,
        "delegate": bool(below) and not waiting,
        "split": bool(below),
        "report": chain.below is not None and not waiting,
        "return": chain.below is not None and not waiting,
        "detach": waiting,
        "attend": True,
        "note": True,
        "amend": True,
        "assign": True,
        "remark": True,
    }
    return Possible(tuple(verb for verb, can in wanted.items() if can), step, parent, below, chain.below)
