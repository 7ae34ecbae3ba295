"""What the pages of the overview are asked, read from their addresses."""

from collections.abc import Sequence

from pydantic import ValidationError

from node.domain.refusals import Invalid
from node.web.errors import field_errors
from node.web.visit import Visit
from schemas.aggregate import FigureFilter, NodesQuery


def filter_of(visit: Visit, names: Sequence[str], keep_empty: bool = False) -> tuple[FigureFilter, dict[str, str]]:
    """What the query asks for; what is wrong with it is said, and the rest still holds."""
    sent = visit.request.query_params
    given = {name: visit.query(name) for name in names if name in sent and (keep_empty or visit.query(name))}
    try:
        return FigureFilter.model_validate(given), {}
    except ValidationError as error:
        errors = field_errors(error, visit.words)
        return FigureFilter.model_validate({k: v for k, v in given.items() if k not in errors}), errors


def asked_of(wanted: FigureFilter) -> dict[str, str]:
    """The filter as an address carries it."""
    return wanted.model_dump(mode="json", by_alias=True, exclude_none=True)


def month_asked(visit: Visit) -> str | None:
    """The month asked for. Raises Invalid."""
    try:
        return NodesQuery(period=visit.query("month") or None).period
    except ValidationError:
        raise Invalid("month", "must be a month like 2026-10") from None
