"""Aggregation in the operators' JSON API: what is asked, and the figures that come back (docs/aggregation.md)."""

import re
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from schemas.api import PageQuery, View
from schemas.entry import Step
from schemas.ids import AreaCode, Digest, NodeCode, Tier
from schemas.remark import Rating
from schemas.statement import Status
from schemas.summary import PERIODS_PATTERN

CHINA = timezone(timedelta(hours=8))
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,15}(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)

By = Literal[
    "custodian",
    "origin",
    "tier",
    "category",
    "area",
    "status",
    "step",
    "outcome",
    "month",
    "source",
    "kind",
    "child",
    "age",
]
Key = Annotated[str, StringConstraints(max_length=120)]


def _day(value: object) -> object:
    """A day of the offices' calendar: as such, or the one an instant lies in."""
    if not isinstance(value, str):
        raise ValueError("must be a day like 2026-05-01")
    if _DAY.fullmatch(value):
        return date.fromisoformat(value)
    if _INSTANT.fullmatch(value):
        return datetime.fromisoformat(value).astimezone(CHINA).date()
    raise ValueError("must be a day like 2026-05-01 or an instant like 2026-05-01T09:00:00+08:00")


Day = Annotated[date, BeforeValidator(_day), Field(ge=date(1900, 1, 1), le=date(2999, 12, 31))]


class FigureFilter(BaseModel):
    """Which topics are counted; every given field must hold. `area` is a subtree, `from` and `to` are days of opening,
    both included; `category` takes in those below it, `category_is` does not; `shown` is the division a topic is
    counted under; an empty value asks for topics that have none."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    month: Annotated[str, StringConstraints(pattern=PERIODS_PATTERN)] | None = None
    area: AreaCode | None = None
    shown: AreaCode | Literal[""] | None = None
    custodian: NodeCode | None = None
    origin: NodeCode | None = None
    child: NodeCode | None = None
    tier: Tier | None = None
    category: Key | None = None
    category_is: Key | None = None
    source: Key | None = None
    kind: Key | None = None
    status: Status | None = None
    step: Step | None = None
    outcome: Literal["A", "B", "C", "D", ""] | None = None
    overdue: Literal["true", "false"] | None = None


class FigureQuery(FigureFilter):
    by: By = "custodian"


class BehindQuery(FigureFilter, PageQuery):
    """Query of the topics behind a figure."""


class Outcomes(View):
    A: int
    B: int
    C: int
    D: int


class Sum(View):
    """`topics` is where the topics behind it are listed."""

    count: int
    open: int
    overdue: int
    closed: int
    outcomes: Outcomes
    topics: str


class KeyedSum(Sum):
    key: str
    label: str


class AsOf(View):
    """How far a node below was heard: how many of its summaries, and when it sealed the last."""

    node: NodeCode
    seq: int
    at: datetime | None


class DifferenceView(View):
    """What a node says and what was counted from what is held here."""

    node: NodeCode
    field: str
    said: int | str | None
    counted: int | str | None


class AggregateView(View):
    by: By
    as_of: list[AsOf]
    rows: list[KeyedSum]
    total: Sum
    differences: list[DifferenceView]


class Measures(View):
    """Sums over the topics counted."""

    count: int
    open: int
    overdue: int
    closed: int
    a: int
    b: int
    c: int
    d: int
    solved_at_origin: int
    hops: int
    returns: int
    reopened: int
    suggested: int
    followed: int
    participations: int
    responded: int
    rated: int
    satisfied: int
    basically_satisfied: int


class Rates(View):
    """Null where there is nothing to divide by."""

    response_rate: float | None
    solution_rate: float | None
    satisfaction_rate: float | None
    closing_rate: float | None
    overdue_rate: float | None
    solved_at_origin_rate: float | None
    suggestion_followed_rate: float | None
    hops_per_topic: float | None
    returns_per_topic: float | None
    response_days: float | None
    resolution_days: float | None


class Figures(View):
    """`before` are the sums of the period of the same length before, where `from` and `to` are given."""

    key: str
    label: str
    sums: Measures
    rates: Rates
    before: Measures | None
    topics: str


class FiguresView(View):
    by: By
    rows: list[Figures]
    total: Figures


class FunnelStep(View):
    """How many topics have come at least to this of the six steps; `closed` comes after the last."""

    step: str
    label: str
    count: int


class FunnelView(View):
    steps: list[FunnelStep]
    total: int


class RowView(View):
    """A topic behind a figure. `title` is null where it is known from a summary alone."""

    id: Digest
    number: str
    title: str | None
    origin: NodeCode
    custodian: NodeCode
    kind: str
    category: str | None
    source: str | None
    areas: list[str]
    unit: str | None
    status: Status
    step: Step
    outcome: str | None
    overdue: bool
    due_at: datetime | None
    answer_by: datetime | None
    tier_reached: Tier
    hops: int
    returns: int
    reopened: int
    participations: int
    rating: Rating | None
    opened_at: datetime
    first_action_at: datetime | None
    closed_at: datetime | None
    changed_at: datetime
    known_by: Literal["chain", "summary"]


class RowPage(View):
    items: list[RowView]
    next: str | None


class NodesQuery(PageQuery):
    """Query of the nodes: `period` is the month whose totals are looked for, by default the last that is over."""

    period: Annotated[str, StringConstraints(pattern=PERIODS_PATTERN)] | None = None


class NodeFigures(View):
    """A node and what was heard of it. `missing`: summaries that never came; `silent`: nothing came for a month;
    `actual`: when the month's totals came first; `differs`: rows of that month that are counted otherwise here."""

    code: NodeCode
    name: str
    tier: Tier
    parent: NodeCode | None
    count: int
    open: int
    overdue: int
    heard_at: datetime | None
    missing: int
    silent: bool
    period: str
    expected: datetime
    actual: datetime | None
    on_time: bool
    rows: int | None
    differs: int


class NodesPage(View):
    items: list[NodeFigures]
    next: str | None


Form = Literal["json", "csv", "parquet"]


class ExportQuery(FigureFilter):
    format: Form = "json"


class ColumnView(View):
    """What a column of an export means."""

    name: str
    type: Literal["text", "number", "yes/no", "instant"]
    empty: bool
    chinese: str
    english: str


class ColumnPage(View):
    items: list[ColumnView]
    next: str | None


class RowsView(View):
    """An export as JSON: names of the columns, then the values of each row in their order."""

    columns: list[str]
    rows: list[list[str | int | bool | None]]


class RowDifference(View):
    topic: Digest
    node: NodeCode
    field: str
    said: str | None
    counted: str | None
    at: datetime


class RowDifferencePage(View):
    items: list[RowDifference]
    next: str | None
