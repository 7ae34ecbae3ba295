"""The whole at a glance: figures by child, place, month, step and outcome, each with the topics behind it."""

from collections.abc import Mapping
from typing import TypeVar, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import Response

from node.domain.charts import WIDTHS, Size, Theme
from node.domain.refusals import Invalid, NotFound
from node.domain.rollup import month_before, month_of
from node.service.monthly import monthly_sheet
from node.service.monthly_pdf import monthly_pdf
from node.service.overview import RANKS, overview, ranked
from node.service.pictures import NAMES, Name, Picture, picture, pictures, remembered
from node.web.overview_ask import asked_of, filter_of, month_asked
from node.web.pages import Pages
from node.web.render import XLSX
from node.web.visit import Visit
from schemas.aggregate import Figures

router = Pages()
Chosen = TypeVar("Chosen", bound=str)
ASKED = ("from", "to", "child")
"""What narrows the page; the topics behind a figure take every filter there is."""
SIZES: tuple[Size, ...] = get_args(Size)
THEMES: tuple[Theme, ...] = get_args(Theme)
PDF = "application/pdf"
COUNTED = {"closing_rate": {"status": "closed"}, "solution_rate": {"outcome": "A"}, "overdue_rate": {"overdue": "true"}}
"""Which topics a ratio counts, where one filter names them; another opens to those it divides by."""
MONTHS_SHOWN = 24
SHADES = 5


@router.get("/overview", verb="read")
def dashboard(visit: Visit) -> Response:
    wanted, errors = filter_of(visit, ASKED)
    seen = overview(visit.ctx, wanted)
    rank = visit.query("rank") if visit.query("rank") in RANKS else ""
    asked = asked_of(wanted)
    drawn = pictures(seen, rank, visit.lang, visit.names.place)
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
        counted=COUNTED,
        this_month=month_of(visit.ctx.clock.now()),
        last_month=month_before(visit.ctx.clock.now()),
        opens=opens,
        narrowed=lambda **more: f"/overview?{urlencode({**asked, **more})}",
    )


@router.get("/overview/chart/{name}.svg", verb="read")
def chart(visit: Visit) -> Response:
    """A picture of the page. What the page has counted is not counted again; without the page it is counted here."""
    name, shown = visit.request.path_params["name"], visit.query("v")
    if name not in NAMES:
        raise NotFound
    size, theme = _one_of(visit, "size", SIZES), _one_of(visit, "theme", THEMES)
    found = remembered(visit.ctx).recall(name, shown) or _counted(visit, name)
    return visit.picture(found.svg(size, theme), kept=shown == found.mark)


@router.get("/overview.xlsx", verb="read")
def sheet(visit: Visit) -> Response:
    """The sheet of a month, by default of the last that is over."""
    month = month_asked(visit)
    return visit.file(monthly_sheet(visit.ctx, month), XLSX, f"overview-{month or 'last'}.xlsx")


@router.get("/overview.pdf", verb="read")
def printed(visit: Visit) -> Response:
    """The same with the pictures of the page, for paper."""
    month = month_asked(visit)
    return visit.file(monthly_pdf(visit.ctx, month), PDF, f"overview-{month or 'last'}.pdf")


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


def _counted(visit: Visit, name: Name) -> Picture:
    """The picture of what is asked for now. Raises Invalid."""
    wanted, errors = filter_of(visit, ASKED)
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
