"""The work on a topic: what it is called, which of the six steps (六步议事) is done, where it has been, what is due.

`work` folds chain entries into a Topic. It judges nothing about custody (sync.custody does); the rules of the field
that a *command* must meet, such as the order of steps, are the `check_*` functions.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

from node.domain.course import Course, follow
from node.domain.refusals import CloseAtOrigin, Invalid, StepOrder
from schemas import entry as entries
from schemas.entry import Outcome, Step
from schemas.ids import Digest, Incarnation, NodeCode, Term
from schemas.statement import Entry

STEPS: tuple[Step, ...] = get_args(Step)
REOPENED_STEP: Step = "collect"
"""A reopened matter is decided on anew, so every later step leaves a new artefact."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One stay of a topic at a node, from the entry that gave it custody until the one that took it on."""

    node: NodeCode
    mode: str
    term: Term
    entry: Digest
    since: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """The open offer with everything a person reads before answering; instants as in the entry."""

    id: Digest
    by: NodeCode
    to: NodeCode
    to_inc: Incarnation
    mode: str
    reason: str | None
    tried: str | None
    opinion: str | None
    instruction: str | None
    answer_by: str | None
    due_at: str | None
    offered_at: str
    recall_sent_at: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    number: str
    title: str
    kind: str
    category: str | None
    areas: tuple[str, ...]
    source: str | None
    external_id: str | None
    unit: str | None
    parent: entries.Split | None
    origin: NodeCode
    created_at: str
    updated_at: str
    trail: tuple[Stop, ...]
    dues: tuple[str | None, ...] = (None,)
    step: Step = "collect"
    outcome: Outcome | None = None
    offer: Offer | None = None
    course: Course | None = None

    @property
    def due_at(self) -> str | None:
        """The nearest deadline among those this and the nodes below it in the custody stack were given."""
        given = [due for due in self.dues if due is not None]
        return min(given, key=datetime.fromisoformat) if given else None


def work(topic: Topic | None, entry: Entry[Any], id: Digest) -> Topic:
    """The topic after one more valid entry."""
    if topic is None:
        return _opened(entry, id)
    updated_at = max(topic.updated_at, entry.at, key=datetime.fromisoformat)
    course = follow(topic.course, entry, topic.offer.mode if topic.offer else None)
    topic = replace(topic, updated_at=updated_at, course=course)
    body = entry.body
    if isinstance(body, entries.Stepped):
        return replace(topic, step=body.step)
    if isinstance(body, entries.Amended):
        return _amended(topic, body)
    if isinstance(body, entries.Resulted):
        return replace(topic, outcome=body.outcome)
    if isinstance(body, entries.Reopened):
        return replace(topic, outcome=None, step=REOPENED_STEP)
    if isinstance(body, entries.Offered):
        return replace(topic, offer=_offer(entry, body, id))
    if isinstance(body, entries.Accepted):
        return _accepted(topic, entry, id)
    if isinstance(body, entries.Resumed):
        return replace(topic, offer=None)
    if isinstance(body, entries.Claimed):
        return replace(topic, offer=None, trail=_move(topic, entry, id, "claim"))
    return topic


def recall_sent(topic: Topic, offer: Digest, at: str) -> Topic:
    """The topic with its open offer marked as asked back; unchanged for any other offer."""
    if topic.offer is None or topic.offer.id != offer or topic.offer.recall_sent_at is not None:
        return topic
    return replace(topic, offer=replace(topic.offer, recall_sent_at=at))


def check_step(topic: Topic, step: Step) -> None:
    """Raises StepOrder unless `step` is the one after the last completed one."""
    done = STEPS.index(topic.step)
    expected = STEPS[done + 1] if done + 1 < len(STEPS) else None
    if step != expected:
        raise StepOrder(f"done: {topic.step}, next: {expected or 'none'}")


def check_close(topic: Topic, at_home: bool) -> None:
    """Raises CloseAtOrigin elsewhere, StepOrder before feedback and result."""
    if not at_home:
        raise CloseAtOrigin(topic.origin)
    if topic.step != STEPS[-1]:
        raise StepOrder(f"done: {topic.step}, closing needs feedback")
    if topic.outcome is None:
        raise StepOrder("a result (A, B, C or D) comes before closing")


def check_amend(title: str | None, category: str | None, areas: list[str] | None) -> None:
    if title is None and category is None and areas is None:
        raise Invalid("title", "nothing to amend: give title, category or areas", rule="nothing_to_amend")


def _opened(entry: Entry[Any], id: Digest) -> Topic:
    body: entries.Opened = entry.body
    return Topic(
        number=body.number,
        title=body.title,
        kind=body.kind,
        category=body.category,
        areas=tuple(body.areas),
        source=body.source,
        external_id=body.external_id,
        unit=body.unit,
        parent=body.parent,
        origin=entry.author,
        created_at=entry.at,
        updated_at=entry.at,
        trail=(Stop(entry.author, "open", entry.term, id, entry.at),),
        course=Course(opened_at=body.raised_at or entry.at),
    )


def _amended(topic: Topic, body: entries.Amended) -> Topic:
    return replace(
        topic,
        title=body.title if body.title is not None else topic.title,
        category=body.category if body.category is not None else topic.category,
        areas=tuple(body.areas) if body.areas is not None else topic.areas,
    )


def _offer(entry: Entry[Any], body: entries.Offered, id: Digest) -> Offer:
    return Offer(
        id=id,
        by=entry.author,
        to=body.to,
        to_inc=body.to_inc,
        mode=body.mode,
        reason=body.reason,
        tried=body.tried,
        opinion=body.opinion,
        instruction=body.instruction,
        answer_by=body.answer_by,
        due_at=body.due_at,
        offered_at=entry.at,
    )


def _accepted(topic: Topic, entry: Entry[Any], id: Digest) -> Topic:
    offer = topic.offer
    mode = offer.mode if offer else "delegate"
    dues, trail = topic.dues, _move(topic, entry, id, mode)
    if mode in ("escalate", "delegate"):
        dues = (*dues, offer.due_at if offer else None)
    elif mode in ("report", "return"):
        dues = dues[: _depth(trail)]
    return replace(topic, offer=None, dues=dues, trail=trail)


def _depth(trail: tuple[Stop, ...]) -> int:
    """How high the custody stack is after these stays (SPEC 5.5)."""
    stack: list[NodeCode] = []
    for stop in trail:
        if stop.mode in ("report", "return"):
            while stack[-1] != stop.node:
                stack.pop()
        elif stop.mode in ("claim", "rehome"):
            stack[-1] = stop.node
        else:
            stack.append(stop.node)
    return len(stack)


def _move(topic: Topic, entry: Entry[Any], id: Digest, mode: str) -> tuple[Stop, ...]:
    left = replace(topic.trail[-1], until=entry.at)
    return (*topic.trail[:-1], left, Stop(entry.author, mode, entry.term, id, entry.at))
