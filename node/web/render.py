"""Templates made into pages: the environment, and how instants are told. Everything that is not markup is escaped."""

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from node.clock import instant, parse_instant
from node.service.claims import OVER
from node.service.names import Names
from node.web.assets import asset_url
from node.web.menu import MENU, current
from node.web.words import TAGS, pick

if TYPE_CHECKING:
    from node.web.visit import Visit

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CHINA = timezone(timedelta(hours=8))
"""What clocks on office walls show, at every node."""
HTMX_CONFIG = (
    '{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0,'
    '"historyEnabled":false,"scrollIntoViewOnBoost":false}'
)
"""Nothing evaluated, nothing called elsewhere, and no page kept in the browser's storage."""


def render(template: str, *, visit: "Visit", **values: Any) -> str:
    """A page for this visit."""
    return (
        environment()
        .get_template(template)
        .render(
            visit=visit, t=visit.words, lang=visit.lang, lang_tag=TAGS[visit.lang], now=visit.ctx.clock.now(), **values
        )
    )


@cache
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("node.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals.update(asset=asset_url, htmx_config=HTMX_CONFIG, menu=MENU, menu_item=current, over=OVER)
    made.filters.update(when=_when, day=_day, told_when=_told_when, bytes=_bytes, sort_of=_sort_of)
    made.filters.update(short=_short, words_of=_words_of, offices=_offices, in_one=pick)
    return made


def local_day(at: datetime) -> str:
    """`2026-05-01`, the day in China, as a date field takes it."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d")


def _when(at: datetime | None) -> Markup:
    """Day and minute."""
    return _time(at, "%Y-%m-%d %H:%M")


def _told_when(told: str) -> Markup:
    """As `_when`, of an instant as a statement says it."""
    return _when(parse_instant(told))


def _day(at: datetime | None) -> Markup:
    return _time(at, "%Y-%m-%d")


def _short(name: str) -> str:
    """An office's name where there is little room: without what all of them end with."""
    return name.removesuffix("政协")


def _bytes(size: int) -> str:
    """A size as people read it."""
    for unit, of in (("MB", 1_000_000), ("kB", 1_000)):
        if size >= of:
            return f"{size / of:.1f} {unit}"
    return f"{size} B"


def _sort_of(media: str) -> str:
    """Which word of `topic.media` says what a media type is."""
    known = {"application/json": "json", "application/pdf": "pdf", "text/csv": "sheet", XLSX: "sheet"}
    whole = media.partition("/")[0]
    return known.get(media) or (whole if whole in ("text", "image") else "file")


@pass_context
def _words_of(context: Context, codes: Iterable[str], prefix: str) -> list[tuple[str, str]]:
    """Codes of the vocabulary with their words, as a select field takes them."""
    return [(code, context["t"](f"{prefix}.{code}")) for code in codes]


def _offices(codes: Iterable[str], names: Names) -> list[tuple[str, str]]:
    return [(code, f"{names.office(code)}（{code}）") for code in codes]


def _time(at: datetime | None, form: str) -> Markup:
    if at is None:
        return Markup("—")
    shown = at.astimezone(CHINA).strftime(form)
    return Markup('<time datetime="{}">{}</time>').format(instant(at), shown)
