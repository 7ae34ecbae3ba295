"""Templates made into pages: the environment, and how instants are told. Everything that is not markup is escaped."""

from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from node.clock import instant
from node.web.assets import asset_url
from node.web.menu import MENU, current
from node.web.words import TAGS

if TYPE_CHECKING:
    from node.web.visit import Visit

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
    made.globals.update(asset=asset_url, htmx_config=HTMX_CONFIG, menu=MENU, menu_item=current)
    made.filters.update(when=_when, day=_day, local=_local)
    return made


def local_day(at: datetime) -> str:
    """`2026-05-01`, the day in China."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d")


def _when(at: datetime | None) -> Markup:
    """Day and minute."""
    return _time(at, "%Y-%m-%d %H:%M")


def _day(at: datetime | None) -> Markup:
    return _time(at, "%Y-%m-%d")


def _local(at: datetime | None) -> str:
    """As a date field takes it."""
    return local_day(at) if at is not None else ""


def _time(at: datetime | None, form: str) -> Markup:
    if at is None:
        return Markup("—")
    shown = at.astimezone(CHINA).strftime(form)
    return Markup('<time datetime="{}">{}</time>').format(instant(at), shown)
