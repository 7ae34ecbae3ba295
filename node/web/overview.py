"""The whole at a glance: figures by child, place, month, step and outcome, each with the topics behind it."""

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import cursor
from node.service import behind
from node.service.monthly import monthly_sheet
from node.service.overview import overview
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.topics import XLSX
from node.web.visit import Visit
from schemas.aggregate import FigureFilter, Figures, NodesQuery

router = Pages()
ASKED = ("from", "to", "child")
"""What narrows the page; the topics behind a figure take every filter there is."""
RANKS = ("closing_rate", "solution_rate", "satisfaction_rate", "solved_at_origin_rate", "overdue_rate")
MONTHS_SHOWN = 24
SHADES = 5
SHOWN = 50


@router.get("/overview", verb="read")
def dashboard(visit: Visit) -> Response:
    wanted, errors = _filter(visit, ASKED)
    seen = overview(visit.ctx, wanted)
    rank = visit.query("rank") if visit.query("rank") in RANKS else ""
    asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
    return visit.page(
        "overview.html",
        seen=seen,
        asked=asked,
        errors=errors,
        rank=rank,
        ranks=RANKS,
        children=ranked(seen.children.rows, rank),
        shades=shades(seen.areas.rows),
        months=seen.months.rows[-MONTHS_SHOWN:],
        opens=opens,
        narrowed=lambda **more: f"/overview?{urlencode({**asked, **more})}",
    )


@router.get("/overview/topics", verb="read")
def topics(visit: Visit) -> Response:
    """The topics a figure counts: why the number is what it is."""
    names = [field.alias or name for name, field in FigureFilter.model_fields.items()]
    wanted, errors = _filter(visit, names, keep_empty=True)
    page = behind.topics(visit.ctx, wanted, cursor(visit.query("cursor") or None), SHOWN)
    asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
    after = urlencode({**asked, "cursor": page.next}) if page.next else None
    return visit.page("overview_topics.html", rows=page.items, asked=asked, errors=errors, after=after)


@router.get("/overview.xlsx", verb="read")
def sheet(visit: Visit) -> Response:
    """The sheet of a month; one that cannot be is answered with the last that is over."""
    try:
        month = NodesQuery(period=visit.query("month") or None).period
    except ValidationError:
        month = None
    return visit.file(monthly_sheet(visit.ctx, month), XLSX, f"overview-{month or 'last'}.xlsx")


def opens(url: str, **more: str) -> str:
    """The page that lists the topics behind a figure, narrowed further by `more`."""
    asked = {**dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)), **more}
    return f"/overview/topics?{urlencode(asked)}" if asked else "/overview/topics"


def ranked(rows: list[Figures], by: str) -> list[Figures]:
    """Highest first; who has nothing to divide by comes last. Without a ratio the order stays."""
    if by not in RANKS:
        return rows
    return sorted(rows, key=lambda row: (getattr(row.rates, by) is None, -(getattr(row.rates, by) or 0)))


def shades(rows: list[Figures]) -> dict[str, int]:
    """How dark each tile is: 0 for the emptiest to SHADES - 1 for the fullest."""
    most = max((row.sums.count for row in rows), default=0)
    return {row.key: (row.sums.count * (SHADES - 1)) // most if most else 0 for row in rows}


def _filter(visit: Visit, names: Any, keep_empty: bool = False) -> tuple[FigureFilter, dict[str, str]]:
    """What the query asks for; what is wrong with it is said, and the rest still holds."""
    sent = visit.request.query_params
    given = {name: visit.query(name) for name in names if name in sent and (keep_empty or visit.query(name))}
    try:
        return FigureFilter.model_validate(given), {}
    except ValidationError as error:
        errors = field_errors(error, visit.words)
        return FigureFilter.model_validate({k: v for k, v in given.items() if k not in errors}), errors
