"""Bodies of the JSON API about clocks: the calendar, the terms proposed now, and what is late or nearly so."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.api import View
from schemas.ids import Digest, NodeCode

WarningKind = Literal["answer_soon", "answer_overdue", "due_soon", "overdue"]


def _digits(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("must be a year")
    return value


class CalendarQuery(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    year: Annotated[int, Field(ge=1900, le=2999), BeforeValidator(_digits)] | None = None


class DayView(View):
    day: date
    kind: Literal["holiday", "workday"]
    name: str


class CalendarView(View):
    """The days that are otherwise than the week says; `covered` are the years some list names."""

    covered: list[int]
    items: list[DayView]
    next: str | None


class TermsView(View):
    """What this office proposes when nobody says otherwise; `covered` is false where the calendar has no such year."""

    answer_days: int
    answer_by: datetime
    handle_days: int
    due_at: datetime
    covered: bool


class WarningItem(View):
    """A term that is nearly over, or is; it moves nothing."""

    topic: Digest
    number: str
    title: str
    why: WarningKind
    due_at: datetime
    days_left: int
    """Working days; below zero: so many are over since."""
    covered: bool
    given: bool
    """Whether somebody gave the term, or it is the office's own."""
    holder: NodeCode
    owner: str | None
    """The post whose duty it is, and who holds that."""


class WarningPage(View):
    items: list[WarningItem]
    next: str | None
