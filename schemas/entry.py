"""Bodies of topic-chain entries, by kind (SPEC 5). Every field is present; what does not apply is null."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.ids import AreaCode, Digest, Incarnation, Instant, NodeCode, Nonce, Tier
from schemas.statement import Frozen, Reason, Text, Title

AREAS_MAX = 64
SPLIT_PARTS_MAX = 64
SPLIT_DEPTH_MAX = 8
CHILDREN_MAX = 256
HEADCOUNT_MAX = 1_000_000

Mode = Literal["escalate", "delegate", "report", "return", "rehome"]
Step = Literal["collect", "decide", "research", "consult", "implement", "feedback"]
Outcome = Literal["A", "B", "C", "D"]
Role = Literal["lead", "assist"]
Label = Annotated[str, Field(min_length=1, max_length=120)]
Areas = Annotated[list[AreaCode], Field(max_length=AREAS_MAX)]


class Split(Frozen):
    """Which part of which `split` entry a split-off topic is."""

    entry: Digest
    n: Annotated[int, Field(ge=0, lt=SPLIT_PARTS_MAX)]


class Suggested(Frozen):
    """What the routing said when a person decided, kept beside the decision."""

    tier: Tier
    node: NodeCode | None
    rules: Annotated[list[Label], Field(max_length=16)]


class Opened(Frozen):
    """The birth of a topic: its identity is the topic's id."""

    nonce: Nonce
    number: Label
    title: Title
    kind: Label
    category: Label | None
    areas: Areas
    source: Label | None
    external_id: Label | None
    unit: AreaCode | None
    raised_at: Instant | None
    keeper: NodeCode | None
    arbiters: Annotated[list[NodeCode], Field(min_length=1, max_length=8)]
    parent: Split | None
    depth: Annotated[int, Field(ge=0, le=SPLIT_DEPTH_MAX)]


class Stepped(Frozen):
    step: Step
    text: Text
    suggested: Suggested | None
    override_reason: Reason | None


class Noted(Frozen):
    text: Text


class Attended(Frozen):
    """People took part in a gathering on the matter: how many, never who."""

    headcount: Annotated[int, Field(ge=1, le=HEADCOUNT_MAX)]
    form: Label | None
    held_at: Instant | None
    text: Text


class Amended(Frozen):
    """New values; null leaves the old one."""

    title: Title | None
    category: Label | None
    areas: Areas | None
    reason: Reason


class Portion(Frozen):
    to: NodeCode
    role: Role
    title: Title
    instruction: Reason
    due_at: Instant | None


class SplitOff(Frozen):
    """Part n becomes a topic of its own whose `opened` names {this entry, n}."""

    portions: Annotated[list[Portion], Field(min_length=1, max_length=SPLIT_PARTS_MAX)]


class Child(Frozen):
    entry: Digest
    n: Annotated[int, Field(ge=0, lt=SPLIT_PARTS_MAX)]
    topic: Digest
    head: Digest
    outcome: Outcome | None


class ChildClosed(Frozen):
    """A split-off topic ended; written by the node that split it, in the transaction that closes it."""

    child: Child


class Detached(Frozen):
    """A split-off topic goes its own way: its parent no longer waits for it."""

    child: Child
    reason: Reason


class Resulted(Frozen):
    outcome: Outcome
    text: Text


class ClosedChild(Frozen):
    topic: Digest
    head: Digest
    detached: bool


class Closed(Frozen):
    text: Text
    children: Annotated[list[ClosedChild], Field(max_length=CHILDREN_MAX)]


class Reopened(Frozen):
    reason: Reason


class Offered(Frozen):
    to: NodeCode
    to_inc: Incarnation
    mode: Mode
    reason: Reason | None
    tried: Reason | None
    opinion: Reason | None
    instruction: Reason | None
    answer_by: Instant | None
    due_at: Instant | None
    suggested: Suggested | None
    override_reason: Reason | None


class Accepted(Frozen):
    offer: Digest


class Resumed(Frozen):
    """Embeds the whole signed `declined` for exactly that offer."""

    offer: Digest
    declined: dict[str, object]


class Claimed(Frozen):
    reason: Reason
    approved_by: Annotated[list[Label], Field(max_length=2)]


class Adopted(Frozen):
    """What an orphan says counts as said; it moves neither custody nor step (R8)."""

    orphan: Digest


class SetAside(Frozen):
    """An orphan does not count, and why (R8)."""

    orphan: Digest
    reason: Reason


BODIES: dict[str, type[Frozen]] = {
    "opened": Opened,
    "stepped": Stepped,
    "noted": Noted,
    "attended": Attended,
    "amended": Amended,
    "split": SplitOff,
    "child_closed": ChildClosed,
    "detached": Detached,
    "resulted": Resulted,
    "closed": Closed,
    "reopened": Reopened,
    "offered": Offered,
    "accepted": Accepted,
    "resumed": Resumed,
    "claimed": Claimed,
    "adopted": Adopted,
    "set_aside": SetAside,
}
OPENERS = frozenset({"opened", "accepted", "resumed", "claimed"})
"""The kinds that open a term."""
