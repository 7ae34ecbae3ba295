"""The four pictures of the whole, the same on the page and in the sheet of a month: places, branches, months, steps.

A picture is known by its mark, which is made of what it shows. The page names the mark in the picture's address, so a
browser keeps it while the figures are the same, and asks for another as soon as they are not.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal, cast, get_args

from node.context import Context
from node.domain import charts
from node.domain.charts import Bar, Size, Spec, Theme
from node.domain.topic import STEPS
from node.service.aggregate import figures, funnel
from node.service.names import names
from node.service.overview import Overview, question_by_child, ranked
from node.service.press import mark, press
from schemas import aggregate as views

Name = Literal["areas", "children", "months", "funnel"]
PlaceName = Callable[[str], str]
NAMES: tuple[Name, ...] = get_args(Name)
Language = Literal["zh", "en"]
GROUPED_FROM = 25
"""So many places or more stand together by the city they lie in."""
ROWS_MAX = 16
"""Branches one picture ranks; the table beside it has them all."""
TOLD = 3
"""Rows that the words for a picture name."""
REMEMBERED_MAX = 256
_REMEMBERED = "pictures"

WORDS: Mapping[Language, Mapping[str, str]] = {
    "zh": {
        "areas": "各地议题",
        "children": "各下级议题",
        "months": "逐月提出的议题",
        "funnel": "六步进度",
        "count": "议题",
        "closed": "办结",
        "open": "在办",
        "overdue": "逾期",
        "none": "未注明地方",
        "gist": "{title}，共 {total} 件：{rows}",
        "row": "{label} {count}",
        "late": "{label} {count}（逾期 {overdue}）",
        "rate": "{label} {rate}",
        "between": "、",
        "more": "，等 {many} 项",
        **dict(zip(STEPS, ("收集议题", "确定议题", "议前调研", "协商议事", "办理实施", "结果反馈"), strict=True)),
    },
    "en": {
        "areas": "Topics by place",
        "children": "Topics by branch",
        "months": "Topics raised by month",
        "funnel": "The six steps",
        "count": "Topics",
        "closed": "Closed",
        "open": "Open",
        "overdue": "Overdue",
        "none": "No place named",
        "gist": "{title}, {total} in all: {rows}",
        "row": "{label} {count}",
        "late": "{label} {count} ({overdue} overdue)",
        "rate": "{label} {rate}",
        "between": ", ",
        "more": ", and others, {many} in all",
        **dict(zip(STEPS, ("Collect", "Decide", "Research", "Consult", "Implement", "Feedback"), strict=True)),
    },
}
"""What is drawn. It stands here and not with the words of the pages, for the sheet draws the same."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, whatever its size and theme."""

    name: Name
    bars: tuple[Bar, ...]
    total: int
    lang: Language

    def spec(self, size: Size = "wide", theme: Theme = "light") -> Spec:
        words = WORDS[self.lang]
        if self.name == "funnel":
            return charts.funnel(self.bars, self.total, size, theme)
        if self.name == "children":
            return charts.ranking(self.bars[:ROWS_MAX], words, size, theme)
        draw: Callable[..., Spec] = charts.tiles if self.name == "areas" else charts.trend
        return draw(self.bars, words, size, theme)

    def height(self, size: Size = "wide") -> int:
        """In pixels, for a browser to leave room."""
        return int(self.spec(size)["height"])

    @property
    def mark(self) -> str:
        return mark(self.spec())

    def svg(self, size: Size = "wide", theme: Theme = "light") -> bytes:
        """Drawn now, or before. Raises Unavailable."""
        return press().draw(self.spec(size, theme))

    @property
    def gist(self) -> str:
        """The picture in a sentence, for whoever does not see it."""
        words = WORDS[self.lang]
        bars = self.bars[::-1] if self.name == "months" else self.bars
        shown = bars if self.name == "funnel" else bars[:TOLD]
        rows = words["between"].join(_told(bar, words) for bar in shown)
        more = words["more"].format(many=len(bars)) if len(bars) > len(shown) else ""
        return words["gist"].format(title=words[self.name], total=self.total, rows=rows or "0") + more


def pictures(seen: Overview, rank: str, lang: Language, place: PlaceName) -> dict[Name, Picture]:
    """All of them, of figures that are there already."""
    return {
        "areas": of_areas(seen.areas, lang, place),
        "children": of_children(seen.children, rank, lang),
        "months": of_months(seen.months, lang),
        "funnel": of_funnel(seen.funnel, lang),
    }


def picture(ctx: Context, name: Name, wanted: views.FigureFilter, rank: str, lang: Language) -> Picture:
    """One of them, of figures counted now. Raises Invalid."""
    if name == "funnel":
        return of_funnel(funnel(ctx, wanted), lang)
    if name == "children":
        return of_children(figures(ctx, question_by_child(wanted)), rank, lang)
    by: views.By = "area" if name == "areas" else "month"
    view = figures(ctx, views.FigureQuery.model_validate({**wanted.model_dump(mode="json"), "by": by}))
    return of_areas(view, lang, names(ctx).place) if name == "areas" else of_months(view, lang)


class Remembered:
    """Pictures that a page has named and a browser will ask for; the oldest are forgotten."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[str, Picture] = OrderedDict()

    def keep(self, several: Iterable[Picture]) -> None:
        with self._lock:
            for item in several:
                self._known[item.mark] = item
                self._known.move_to_end(item.mark)
            while len(self._known) > REMEMBERED_MAX:
                self._known.popitem(last=False)

    def recall(self, name: str, mark: str) -> Picture | None:
        with self._lock:
            found = self._known.get(mark)
        return found if found is not None and found.name == name else None


def remembered(ctx: Context) -> Remembered:
    """Those of this node; where one is not, it is counted again."""
    return cast(Remembered, ctx.cache.setdefault(_REMEMBERED, Remembered()))


def of_areas(view: views.FiguresView, lang: Language, place: PlaceName) -> Picture:
    bars = _bars(view.rows, lang)
    if len(bars) >= GROUPED_FROM:
        cities = [_city_of(row.key) for row in view.rows]
        groups = [place(city) if city else WORDS[lang]["none"] for city in cities]
        bars = tuple(replace(bar, group=group) for bar, group in zip(bars, groups, strict=True))
    return Picture("areas", bars, view.total.sums.count, lang)


def _city_of(area: str) -> str:
    """The first four of the digits of a division name the city it lies in."""
    return area[:4] + "00" if area else ""


def of_children(view: views.FiguresView, rank: str, lang: Language) -> Picture:
    return Picture("children", _bars(ranked(view.rows, rank), lang, rank), view.total.sums.count, lang)


def of_months(view: views.FiguresView, lang: Language) -> Picture:
    return Picture("months", _bars(view.rows, lang), view.total.sums.count, lang)


def of_funnel(view: views.FunnelView, lang: Language) -> Picture:
    words = WORDS[lang]
    bars = tuple(Bar(words[step.step], step.count) for step in view.steps if step.step in STEPS)
    return Picture("funnel", bars, view.total, lang)


def _bars(rows: Sequence[views.Figures], lang: Language, rank: str = "") -> tuple[Bar, ...]:
    names = _distinct([(row.key, _short(row.label) if row.key else WORDS[lang]["none"]) for row in rows])
    return tuple(
        Bar(
            label=name,
            count=row.sums.count,
            closed=row.sums.closed,
            overdue=row.sums.overdue,
            rate=getattr(row.rates, rank) if rank else None,
        )
        for row, name in zip(rows, names, strict=True)
    )


def _distinct(named: Sequence[tuple[str, str]]) -> list[str]:
    """Names that more than one row has are told with their code: bars of one name would be drawn as one."""
    many = Counter(name for _, name in named)
    return [name if many[name] == 1 else f"{name} {key}" for key, name in named]


def _short(name: str) -> str:
    """Without what the names of all offices end with."""
    return name.removesuffix("政协") or name


def _told(bar: Bar, words: Mapping[str, str]) -> str:
    if bar.rate is not None:
        return words["rate"].format(label=bar.label, rate=charts.percent(bar.rate))
    form = words["late"] if bar.overdue else words["row"]
    return form.format(label=bar.label, count=bar.count, overdue=bar.overdue)
