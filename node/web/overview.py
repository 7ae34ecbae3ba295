"""The whole at a glance: figures by child, place, month, step and outcome, each with the topics behind it."""

from collections.abc import Mapping
from typing import Any, TypeVar, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import cursor
from node.domain.charts import WIDTHS, Size, Theme
from node.domain.refusals import Invalid, NotFound
from node.service import behind
from node.service.monthly import monthly_sheet
from node.service.overview import RANKS, overview, ranked
from node.service.pictures import NAMES, Name, Picture, picture, pictures, remembered
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.topics import XLSX
from node.web.visit import HEADERS, Visit
from schemas.aggregate import FigureFilter, Figures, NodesQuery

router = Pages()
Chosen = TypeVar("Chosen", bound=str)
ASKED = ("from", "to", "child")
"""What narrows the page; the topics behind a figure take every filter there is."""
SIZES: tuple[Size, ...] = get_args(Size)
THEMES: tuple[Theme, ...] = get_args(Theme)
SVG = "image/svg+xml"
KEPT = "private, max-age=300"
"""A picture named by what it shows may be kept in the browser for a while; there are no names of people in it."""
MONTHS_SHOWN = 24
SHADES = 5
SHOWN = 50


@router.get("/overview", verb="read")
def dashboard(visit: Visit) -> Response:
    wanted, errors = _filter(visit, ASKED)
    seen = overview(visit.ctx, wanted)
    rank = visit.query("rank") if visit.query("rank") in RANKS else ""
    asked = wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
    drawn = pictures(seen, rank, visit.lang)
    remembered(visit.ctx).keep(drawn.values())
    return visit.page(
        "overview.html",
        seen=seen,
        pictures=drawn,
        widths=WIDTHS,
        chart=lambda picture, **how: chart_url(picture, {**asked, "rank": rank}, **how),
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


@router.get("/overview/chart/{name}.svg", verb="read")
def chart(visit: Visit) -> Response:
    """A picture of the page. What the page has counted is not counted again; without the page it is counted here."""
    name, shown = visit.request.path_params["name"], visit.query("v")
    if name not in NAMES:
        raise NotFound
    size, theme = _one_of(visit, "size", SIZES), _one_of(visit, "theme", THEMES)
    found = remembered(visit.ctx).recall(name, shown) or _counted(visit, name)
    kept = {"Cache-Control": KEPT} if shown == found.mark else {}
    return Response(found.svg(size, theme), media_type=SVG, headers={**HEADERS, **kept})


@router.get("/overview.xlsx", verb="read")
def sheet(visit: Visit) -> Response:
    """The sheet of a month, by default of the last that is over."""
    month = _month(visit)
    return visit.file(monthly_sheet(visit.ctx, month), XLSX, f"overview-{month or 'last'}.xlsx")


def chart_url(picture: Picture, asked: Mapping[str, str], **how: str) -> str:
    """Where the picture is drawn, named by what it shows."""
    given = {name: value for name, value in {**asked, **how, "v": picture.mark}.items() if value}
    return f"/overview/chart/{picture.name}.svg?{urlencode(given)}"


def opens(url: str, **more: str) -> str:
    """The page that lists the topics behind a figure, narrowed further by `more`."""
    asked = {**dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)), **more}
    return f"/overview/topics?{urlencode(asked)}" if asked else "/overview/topics"


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


def _counted(visit: Visit, name: Name) -> Picture:
    """The picture of what is asked for now. Raises Invalid."""
    wanted, errors = _filter(visit, ASKED)
    if errors:
        raise Invalid(*next(iter(errors.items())))
    rank = visit.query("rank") if visit.query("rank") in RANKS else ""
    return picture(visit.ctx, name, wanted, rank, visit.lang)


def _one_of(visit: Visit, name: str, allowed: tuple[Chosen, ...]) -> Chosen:
    """The first where nothing is asked for. Raises Invalid."""
    asked = visit.query(name) or allowed[0]
    for value in allowed:
        if value == asked:
            return value
    raise Invalid(name, f"must be one of {', '.join(allowed)}")


def _month(visit: Visit) -> str | None:
    """The month asked for. Raises Invalid."""
    try:
        return NodesQuery(period=visit.query("month") or None).period
    except ValidationError:
        raise Invalid("month", "must be a month like 2026-10") from None
