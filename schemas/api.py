"""Bodies of the operators' JSON API (SPEC has the wire; docs/api.md and /openapi.json have this).

Forms are what a person sends: extra fields are refused, text is NFC and free of control characters. Views are what
comes back.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from schemas.entry import AREAS_MAX, HEADCOUNT_MAX, SPLIT_PARTS_MAX, Mode, Outcome, Role, Step
from schemas.ids import AreaCode, Digest, Incarnation, NodeCode, Term, Tier, TopicId
from schemas.remark import PersonDeclineCode, PersonRemark, Rating
from schemas.statement import Status as Status

TOPIC_TEXT_MAX = 100_000
MOMENT_YEAR_MIN = 1900
MOMENT_YEAR_MAX = 2999
LIMIT_DEFAULT = 50
LIMIT_MAX = 200
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def _plain(value: str) -> str:
    """NFC text without control and direction-changing characters; surrounding space goes."""
    value = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if _CONTROL.search(value):
        raise ValueError("control characters are not allowed")
    return value


def _one_line(value: str) -> str:
    if "\n" in value or "\t" in value:
        raise ValueError("must be one line")
    return value


Line = Annotated[
    str, StringConstraints(max_length=120), AfterValidator(_plain), AfterValidator(_one_line), Field(min_length=1)
]
TitleText = Annotated[
    str, StringConstraints(max_length=300), AfterValidator(_plain), AfterValidator(_one_line), Field(min_length=1)
]
LongText = Annotated[str, StringConstraints(max_length=TOPIC_TEXT_MAX), AfterValidator(_plain), Field(min_length=1)]
WorkText = Annotated[str, StringConstraints(max_length=8000), AfterValidator(_plain), Field(min_length=1)]
ReasonText = Annotated[str, StringConstraints(max_length=2000), AfterValidator(_plain), Field(min_length=1)]
ShortReason = Annotated[str, StringConstraints(max_length=500), AfterValidator(_plain), Field(min_length=1)]


def _rfc3339(value: object) -> object:
    """Only RFC 3339 with an offset: pydantic alone would take numbers and half-dates as well."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError("must be an instant like 2026-05-01T09:00:00+08:00")
    return value


def _near(value: datetime) -> datetime:
    """In UTC; outside these years arithmetic overflows, and no deadline lies there."""
    if not MOMENT_YEAR_MIN <= value.year <= MOMENT_YEAR_MAX:
        raise ValueError(f"must lie in the years {MOMENT_YEAR_MIN} to {MOMENT_YEAR_MAX}")
    return value.astimezone(UTC)


UserName = Annotated[
    str, StringConstraints(max_length=64), AfterValidator(_plain), AfterValidator(_one_line), Field(min_length=1)
]
Moment = Annotated[AwareDatetime, BeforeValidator(_rfc3339), AfterValidator(_near)]
"""An instant a person gives: RFC 3339 with any offset, kept in UTC."""


CLAIM_TOPICS_MAX = 1000


class Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SessionForm(Form):
    username: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    otp: Annotated[str, StringConstraints(max_length=16)] | None = None


class Submitter(Form):
    """Who raised the matter; always a `local` part, so it never leaves the node."""

    name: Line | None = None
    phone: Line | None = None
    address: Line | None = None
    note: ShortReason | None = None


class OpenForm(Form):
    title: TitleText
    text: LongText
    category: Line | None = None
    areas: Annotated[list[AreaCode], Field(max_length=AREAS_MAX)]
    source: Line | None = None
    kind: Line | None = None
    unit: AreaCode | None = None
    submitter: Submitter | LongText | dict[str, Any] | None = None
    external_id: Line | None = None


class EscalateForm(Form):
    reason: ReasonText
    tried: ReasonText
    opinion: ReasonText | None = None
    answer_by: Moment | None = None
    override_reason: ReasonText | None = None


class DelegateForm(Form):
    to: NodeCode
    instruction: ReasonText
    reason: ReasonText | None = None
    answer_by: Moment | None = None
    due_at: Moment | None = None
    override_reason: ReasonText | None = None


class ReportForm(Form):
    text: ReasonText


class ReasonForm(Form):
    """For return, reopen."""

    reason: ReasonText


class ClaimForm(Form):
    """Claim named topics, or all that a node holds; offer them on to `to`, or keep them here."""

    topics: Annotated[list[TopicId], Field(min_length=1, max_length=CLAIM_TOPICS_MAX)] | None = None
    node: NodeCode | None = None
    to: NodeCode | None = None
    reason: ReasonText


class ApproveForm(Form):
    pass


class WaiveForm(Form):
    """Heal without this neighbour, and why."""

    peer: NodeCode
    reason: ReasonText


class DisposeForm(Form):
    """What becomes of an orphan; setting it aside needs a reason."""

    decision: Literal["adopt", "set_aside"]
    reason: ReasonText | None = None


class RecallForm(Form):
    reason: ShortReason


class AcceptForm(Form):
    pass


class DeclineForm(Form):
    code: PersonDeclineCode
    reason: ShortReason


class StepForm(Form):
    step: Step
    text: WorkText
    override_reason: ReasonText | None = None


class NoteForm(Form):
    text: WorkText


class AttendForm(Form):
    """A gathering on the matter: how many took part, in which form, when."""

    headcount: Annotated[int, Field(strict=True, ge=1, le=HEADCOUNT_MAX)]
    form: Line | None = None
    held_at: Moment | None = None
    text: WorkText | None = None


class AmendForm(Form):
    title: TitleText | None = None
    category: Line | None = None
    areas: Annotated[list[AreaCode], Field(max_length=AREAS_MAX)] | None = None
    reason: ReasonText


class ResultForm(Form):
    outcome: Outcome
    text: WorkText


class CloseForm(Form):
    text: WorkText | None = None


class SplitPart(Form):
    to: NodeCode
    role: Role
    title: TitleText
    instruction: ReasonText
    due_at: Moment | None = None


class SplitForm(Form):
    parts: Annotated[list[SplitPart], Field(min_length=1, max_length=SPLIT_PARTS_MAX)]


class DetachForm(Form):
    topic: Digest
    reason: ReasonText


class RemarkForm(Form):
    kind: PersonRemark
    text: WorkText
    entry: Digest | None = None
    rating: Rating | None = None


class View(BaseModel):
    model_config = ConfigDict(frozen=True)


class SessionView(View):
    token: str
    expires_at: datetime


class CheckpointView(View):
    """The node's log as last signed; `witnessed` of its leaves are under a checkpoint that its witness signed too."""

    log: str
    size: int
    root: Digest
    at: datetime
    witnessed: int
    key: str


class NodeView(View):
    code: NodeCode
    name: str
    tier: Tier
    parent: NodeCode | None
    children: list[NodeCode]
    incarnation: Incarnation
    mode: Literal["ready", "healing"]
    version: str
    checkpoint: CheckpointView | None


class OfferView(View):
    id: Digest
    from_: Annotated[NodeCode, Field(serialization_alias="from")]
    to: NodeCode
    to_inc: Incarnation
    mode: Mode
    reason: str | None
    tried: str | None
    opinion: str | None
    instruction: str | None
    answer_by: datetime | None
    due_at: datetime | None
    offered_at: datetime
    recall_sent_at: datetime | None


class TrailView(View):
    node: NodeCode
    name: str
    tier: Tier | None
    mode: str
    term: Term
    entry: Digest
    since: datetime
    until: datetime | None


Durability = Literal["local", "received", "settled"]


class TopicView(View):
    id: Digest
    number: str
    title: str
    text: str | None
    kind: str
    category: str | None
    areas: list[AreaCode]
    source: str | None
    external_id: str | None
    status: Status
    step: Step
    origin: NodeCode
    custodian: NodeCode
    term: Term
    seq: int
    head: Digest
    offer: OfferView | None
    trail: list[TrailView]
    participants: list[NodeCode]
    parent: Digest | None
    children: list[Digest]
    outcome: Outcome | None
    durability: Durability
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None


class PartView(View):
    name: str
    digest: Digest
    size: int
    media: str
    share: str
    state: Literal["here", "pending", "withheld", "erased"]


class EntryView(View):
    hash: Digest
    prev: Digest | None
    seq: int
    term: Term
    kind: str
    author: NodeCode
    inc: Incarnation
    at: datetime
    body: dict[str, Any]
    parts: list[PartView]
    durability: Durability
    verified: bool


class RemarkView(View):
    hash: Digest
    entry: Digest
    kind: str
    author: NodeCode
    inc: Incarnation
    at: datetime
    body: dict[str, Any]
    durability: Durability
    verified: bool


class PlaceView(View):
    code: AreaCode
    name: str
    field: str
    start: int | None
    end: int | None


class AmbiguousView(View):
    name: str
    field: str
    start: int
    end: int
    candidates: list[AreaCode]


class UnknownPlaceView(View):
    name: str
    field: str
    start: int
    end: int


class RuleView(View):
    rule: Literal["area", "power", "fallback"]
    text: str
    english: str
    row: str | None


class SuggestionView(View):
    tier: Tier
    node: NodeCode | None
    areas: list[PlaceView]
    ambiguous: list[AmbiguousView]
    unknown: list[UnknownPlaceView]
    reasons: list[RuleView]
    chosen: Tier


class InboxItem(View):
    topic: Digest
    number: str
    title: str
    why: Literal["offered", "overdue", "due_soon", "returned", "new", "answer"]
    due_at: datetime | None


class HeldView(View):
    id: str
    topic: Digest | None
    code: str


class LinkView(View):
    code: NodeCode
    relation: Literal["parent", "child"]
    url: str
    state: Literal["up", "down", "stopped"]
    sent_seq: int
    acked_seq: int
    received_seq: int
    backlog: int
    oldest_unacked_at: datetime | None
    last_contact_at: datetime | None
    next_try_at: datetime | None
    held: list[HeldView]
    failures: int


class OrphanView(EntryView):
    """An entry that lost against a claim; `disposed` is null while nobody has decided what becomes of it."""

    disposed: Literal["adopted", "set_aside"] | None


class OrphanPage(View):
    items: list[OrphanView]
    next: str | None


class ClaimView(View):
    """A claim of two persons, and how far it has come; `detail` says what of it could not be done."""

    id: str
    node: NodeCode | None
    topics: list[TopicId]
    to: NodeCode | None
    reason: str
    asked_by: str
    approved_by: str | None
    state: Literal["needs_approval", "asking", "done", "refused"]
    detail: str | None
    at: datetime


class ClaimPage(View):
    items: list[ClaimView]
    next: str | None


class HealingPeerView(View):
    code: NodeCode
    name: str
    relation: Literal["parent", "child"]
    state: Literal["asked", "answered", "waived"]


class HealingView(View):
    """What a node that may not sign waits for; `mode` is `ready` and everything else empty at one that may."""

    mode: Literal["ready", "healing"]
    since: datetime | None
    why: str | None
    zh: str | None
    en: str | None
    peers: list[HealingPeerView]


class ExchangeView(View):
    sent: int
    received: int
    backlog: int


class RowError(View):
    row: int
    field: str
    message: str


class ImportView(View):
    created: int
    skipped: int
    errors: list[RowError]


class TopicFilter(BaseModel):
    """Query of the topic list; every given field must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status | None = None
    step: Step | None = None
    custodian: NodeCode | None = None
    category: Line | None = None
    area: AreaCode | None = None
    q: Line | None = None


def _plain_number(value: object) -> object:
    """Digits only: pydantic alone would take "1_0", "+10" and " 10 " as well."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("must be a whole number")
    return value


class PageQuery(BaseModel):
    """Query of every list: `cursor` is the `next` of the page before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX), BeforeValidator(_plain_number)] = LIMIT_DEFAULT


class ReceiptQuery(BaseModel):
    """Of which entry the receipt is; without: the one by which this node took the topic up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry: Digest | None = None


class TopicQuery(TopicFilter, PageQuery):
    """Query of the topic list."""


class TopicPage(View):
    items: list[TopicView]
    next: str | None


class EntryPage(View):
    items: list[EntryView]
    next: str | None


class RemarkPage(View):
    items: list[RemarkView]
    next: str | None


class InboxPage(View):
    items: list[InboxItem]
    next: str | None


class LinkPage(View):
    items: list[LinkView]
    next: str | None
