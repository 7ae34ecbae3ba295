"""Bodies of summaries, by kind (SPEC 16): what upper tiers know of topics they take no part in."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from schemas.entry import Areas, Label, Outcome, Step
from schemas.ids import AreaCode, Count, Digest, Instant, NodeCode, Term, Tier
from schemas.remark import Rating
from schemas.statement import Frozen, Status

ROWS_MAX = 200
PERIODS_PATTERN = r"^(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])$"

Period = Annotated[str, StringConstraints(pattern=PERIODS_PATTERN)]
"""A month of the Chinese calendar day, `2026-05`: days begin at 16:00 UTC."""


class Row(Frozen):
    """The last state of one topic, as its custodian has it; never its title, its text or a person."""

    topic: Digest
    head: Digest
    term: Term
    seq: Count
    rev: Count
    number: Label
    origin: NodeCode
    custodian: NodeCode
    kind: Label
    category: Label | None
    source: Label | None
    areas: Areas
    unit: AreaCode | None
    step: Step
    status: Status
    outcome: Outcome | None
    due_at: Instant | None
    answer_by: Instant | None
    tier_reached: Tier
    hops: Count
    returns: Count
    reopened: Count
    suggested: Count
    followed: Count
    participations: Count
    rating: Rating | None
    opened_at: Instant
    first_action_at: Instant | None
    closed_at: Instant | None


def _one_each(rows: list[Row]) -> list[Row]:
    if len({row.topic for row in rows}) != len(rows):
        raise ValueError("two rows of one topic")
    return rows


class Page(Frozen):
    """Rows of topics whose row changed; the author is the custodian of them all."""

    rows: Annotated[list[Row], Field(min_length=1, max_length=ROWS_MAX), AfterValidator(_one_each)]


class Totals(Frozen):
    """What the author holds of the topics opened in one month: how many, and a commitment to every row.

    The part `rows` lists what `root` commits to, so that a difference can be named row by row.
    """

    period: Period
    rows: Count
    root: Digest
    open: Count
    closed: Count
    outcomes: Annotated[list[Count], Field(min_length=4, max_length=4)]
    participations: Count


BODIES: dict[str, type[Frozen]] = {"page": Page, "totals": Totals}
