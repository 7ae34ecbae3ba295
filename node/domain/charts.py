"""Charts of the figures, as Vega and Vega-Lite specifications: data in, data out; node.service.press draws them.

Two sizes, for a desk and for a phone, and two themes. Nothing is told by colour alone: every bar and every tile that
has the room carries its number, and each mark's name and number stand in the drawing for those who have it read out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Spec = dict[str, Any]
Size = Literal["wide", "narrow"]
Theme = Literal["light", "dark"]

VEGA_LITE = "https://vega.github.io/schema/vega-lite/v6.json"
VEGA = "https://vega.github.io/schema/vega/v6.json"
FONTS = '"PingFang SC","Microsoft YaHei","Noto Sans CJK SC","Noto Sans SC","WenQuanYi Micro Hei",sans-serif'
"""As the pages have it; the first one there is."""
TEXT_PX = 13
ROW_PX = 26
WIDTHS: Mapping[Size, int] = {"wide": 520, "narrow": 330}
BARS_MAX: Mapping[Size, int] = {"wide": 18, "narrow": 12}
"""Months that fit side by side."""
PARTS = ("closed", "open", "overdue")
"""What a bar of topics is made of, from its foot."""
_GLYPH_PX = 14
_LINE_PX = 18


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of figures. `rate` stands for the bar instead where the ranking is by a ratio; tiles of one `group`
    stand together under its name."""

    label: str
    count: int
    closed: int = 0
    overdue: int = 0
    rate: float | None = None
    group: str = ""

    @property
    def parts(self) -> dict[str, int]:
        """Closed, open and in time, open and late: together the count."""
        return {"closed": self.closed, "open": self.count - self.closed - self.overdue, "overdue": self.overdue}


@dataclass(frozen=True, slots=True)
class _Look:
    ink: str
    quiet: str
    line: str
    parts: tuple[str, str, str]
    calm: str
    hot: str


_LOOKS: Mapping[Theme, _Look] = {
    "light": _Look("#1b2430", "#56616f", "#d3d9e1", ("#14508c", "#8fb8e0", "#c0392b"), "#dce9f7", "#f08f84"),
    "dark": _Look("#e8edf3", "#aab5c2", "#364150", ("#5b9bdc", "#35506e", "#ff8a7d"), "#24405f", "#8a2f28"),
}


def trend(rows: Sequence[Bar], words: Mapping[str, str], size: Size, theme: Theme) -> Spec:
    """A column for each month, of what became of the topics raised in it; the latest months that fit."""
    shown = rows[-BARS_MAX[size] :]
    x = {
        "field": "label",
        "type": "ordinal",
        "sort": None,
        "title": None,
        "axis": {"labelAngle": -45, "ticks": False, "domain": False},
    }
    y = {"field": "n", "type": "quantitative", "title": None, "stack": "zero", "axis": _counting_axis(shown)}
    columns = {
        "data": {"values": _split(shown, words)},
        "mark": {"type": "bar"},
        "encoding": {"x": x, "y": y, **_by_part(words, theme)},
    }
    return _frame(size, theme, 300) | {"layer": [columns, _totals(shown, {"x": x, "y": {**y, "stack": None}}, "top")]}


def ranking(rows: Sequence[Bar], words: Mapping[str, str], size: Size, theme: Theme) -> Spec:
    """A bar for each row in the order given: of its topics, or of its ratio where it has one."""
    y = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelLimit": 150 if size == "wide" else 96, "ticks": False, "domain": False},
    }
    frame = _frame(size, theme, ROW_PX * max(len(rows), 1) + 40)
    if any(row.rate is not None for row in rows):
        return frame | _rated(rows, y, theme)
    x = {"field": "n", "type": "quantitative", "title": None, "stack": "zero", "axis": None}
    bars = {
        "data": {"values": _split(rows, words)},
        "mark": {"type": "bar"},
        "encoding": {"x": x, "y": y, **_by_part(words, theme)},
    }
    return frame | {"layer": [bars, _totals(rows, {"x": {**x, "stack": None}, "y": y}, "right")]}


def funnel(rows: Sequence[Bar], total: int, size: Size, theme: Theme) -> Spec:
    """How many of `total` came at least to each step: bars about a common middle, with number and share."""
    values = [
        {"label": row.label, "n": row.count, "from": -row.count / 2, "to": row.count / 2, "said": _shared(row, total)}
        for row in rows
    ]
    reach = max([total, 1]) / 2 * (1.75 if size == "wide" else 2.3)
    y = {"field": "label", "type": "nominal", "sort": None, "title": None, "axis": {"ticks": False, "domain": False}}
    scale = {"domain": [-max(total, 1) / 2, reach], "nice": False}
    x = {"field": "from", "type": "quantitative", "title": None, "axis": None, "scale": scale}
    bar = {"mark": {"type": "bar", "color": _LOOKS[theme].parts[0]}, "encoding": {"x": x, "x2": {"field": "to"}}}
    said = {
        "mark": {"type": "text", "align": "left", "dx": 6},
        "encoding": {"x": {**x, "field": "to"}, "text": {"field": "said"}},
    }
    frame = _frame(size, theme, ROW_PX * max(len(rows), 1) + 16)
    return frame | {"data": {"values": values}, "encoding": {"y": y}, "layer": [bar, said]}


def tiles(rows: Sequence[Bar], words: Mapping[str, str], size: Size, theme: Theme) -> Spec:
    """A treemap: the larger a tile the more topics, the redder the larger the part of them that is late."""
    look, width, height = _LOOKS[theme], WIDTHS[size], 400 if size == "wide" else 440
    shown = [row for row in rows if row.count]
    head = _LINE_PX if any(row.group for row in shown) else 0
    treemap = {
        "type": "treemap",
        "field": "n",
        "sort": {"field": "value", "order": "descending"},
        "round": True,
        "method": "squarify",
        "paddingInner": 2,
        "paddingTop": head,
        "size": [width, height + head],
    }
    tree = [{"type": "stratify", "key": "id", "parentKey": "parent"}, treemap]
    return {
        "$schema": VEGA,
        "width": width,
        "height": height,
        "padding": 0,
        "autosize": "none",
        "config": {"text": {"font": FONTS, "fontSize": TEXT_PX, "fill": look.ink}},
        "data": [
            {"name": "tree", "values": _nodes(shown), "transform": tree},
            {"name": "tiles", "source": "tree", "transform": [{"type": "filter", "expr": "isValid(datum.n)"}]},
            {"name": "heads", "source": "tree", "transform": [{"type": "filter", "expr": "isValid(datum.head)"}]},
        ],
        "scales": [{"name": "heat", "domain": [0, 0.5], "range": [look.calm, look.hot], "clamp": True}],
        "marks": [
            _tile(words, head),
            _caption("tiles", "datum.label", 1, head),
            _caption("tiles", _counted(words), 2, head),
            _caption("heads", "datum.head", 1, head + 3, bold=True),
        ],
    }


def _nodes(rows: Sequence[Bar]) -> list[Spec]:
    """The tree: everything, the groups where there are any, the tiles."""
    groups = sorted({row.group for row in rows if row.group})
    heads = [{"id": f"group {name}", "parent": "all", "head": name} for name in groups]
    leaves = [
        {
            "id": f"tile {at}",
            "parent": f"group {row.group}" if row.group else "all",
            "label": row.label,
            "n": row.count,
            "late": row.overdue,
            "part": row.overdue / row.count,
        }
        for at, row in enumerate(rows)
    ]
    return [{"id": "all", "parent": None}, *heads, *leaves]


def _tile(words: Mapping[str, str], head: int) -> Spec:
    """`head`: how far everything is moved up, for the tree as a whole has no heading."""
    told = f"datum.label + '：{words['count']} ' + datum.n + '，{words['overdue']} ' + datum.late"
    across = {"x": {"field": "x0"}, "x2": {"field": "x1"}}
    down = {"y": {"field": "y0", "offset": -head}, "y2": {"field": "y1", "offset": -head}}
    fill = {"fill": {"scale": "heat", "field": "part"}, "description": {"signal": told}}
    return {"type": "rect", "from": {"data": "tiles"}, "encode": {"update": {**across, **down, **fill}}}


def _caption(data: str, expression: str, line: int, up: int, bold: bool = False) -> Spec:
    """A line of text in each that has the room for one; what is too long is cut."""
    room = f"datum.x1 - datum.x0 > {2 * _GLYPH_PX + 8} && datum.y1 - datum.y0 > {line * _LINE_PX + 6}"
    placed = {"x": {"field": "x0", "offset": 2 if bold else 6}, "y": {"field": "y0", "offset": line * _LINE_PX - up}}
    text = {
        "limit": {"signal": "max(datum.x1 - datum.x0 - 8, 1)"},
        "text": {"signal": f"{room} ? {expression} : ''"},
        "fontWeight": {"value": "bold" if bold else "normal"},
        "aria": {"value": False},
    }
    return {"type": "text", "from": {"data": data}, "encode": {"update": {**placed, **text}}}


def _counted(words: Mapping[str, str]) -> str:
    """The number, and how many are late where there is room for all of it."""
    both = f"datum.n + ' · {words['overdue']} ' + datum.late"
    width = f"datum.x1 - datum.x0 > {_GLYPH_PX} * {len(words['overdue']) + 4}"
    return f"(datum.late && {width} ? {both} : '' + datum.n)"


def _frame(size: Size, theme: Theme, height: int) -> Spec:
    """What all drawings of Vega-Lite share: measures, letters, colours; the ground is the page's."""
    look = _LOOKS[theme]
    return {
        "$schema": VEGA_LITE,
        "width": WIDTHS[size],
        "height": height,
        "padding": 4,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": None,
        "config": {
            "font": FONTS,
            "view": {"stroke": None},
            "axis": {
                "labelFontSize": TEXT_PX,
                "labelColor": look.ink,
                "gridColor": look.line,
                "domainColor": look.line,
                "labelPadding": 6,
            },
            "legend": {"labelFontSize": TEXT_PX, "labelColor": look.ink, "symbolType": "square", "orient": "top"},
            "text": {"fontSize": TEXT_PX, "color": look.ink},
        },
    }


def _split(rows: Sequence[Bar], words: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every bar's parts, those that are nothing left out."""
    found: list[dict[str, Any]] = []
    for row in rows:
        parts = row.parts
        values = [{"label": row.label, "part": words[it], "at": at, "n": parts[it]} for at, it in enumerate(PARTS)]
        found += [value for value in values if value["n"]] or values[:1]
    return found


def _by_part(words: Mapping[str, str], theme: Theme) -> Spec:
    names = [words[name] for name in PARTS]
    scale = {"domain": names, "range": list(_LOOKS[theme].parts)}
    color = {"field": "part", "type": "nominal", "title": None, "scale": scale}
    return {"color": color, "order": {"field": "at", "type": "quantitative"}}


def _totals(rows: Sequence[Bar], encoding: Spec, side: Literal["top", "right"]) -> Spec:
    """The number at the end of each bar."""
    placed = {"baseline": "bottom", "dy": -3} if side == "top" else {"align": "left", "dx": 5}
    values = [{"label": row.label, "n": row.count} for row in rows]
    text = {"field": "n", "type": "quantitative"}
    return {"data": {"values": values}, "mark": {"type": "text", **placed}, "encoding": {**encoding, "text": text}}


def _rated(rows: Sequence[Bar], y: Spec, theme: Theme) -> Spec:
    """Ratios from nothing to all; who has none has no bar and a dash."""
    values = [{"label": row.label, "n": row.rate or 0, "said": percent(row.rate)} for row in rows]
    scale = {"domain": [0, 1.12], "nice": False}
    x = {"field": "n", "type": "quantitative", "title": None, "axis": None, "scale": scale}
    bar = {"mark": {"type": "bar", "color": _LOOKS[theme].parts[0]}, "encoding": {"x": x}}
    text = {"mark": {"type": "text", "align": "left", "dx": 5}, "encoding": {"x": x, "text": {"field": "said"}}}
    return {"data": {"values": values}, "encoding": {"y": y}, "layer": [bar, text]}


def _counting_axis(rows: Sequence[Bar]) -> Spec:
    """Whole numbers only."""
    most = max((row.count for row in rows), default=0)
    return {"format": "d", "tickCount": min(most, 5) or 1, "tickMinStep": 1, "ticks": False, "domain": False}


def _shared(row: Bar, total: int) -> str:
    return f"{row.count} · {percent(row.count / total if total else None)}"


def percent(ratio: float | None) -> str:
    return "—" if ratio is None else f"{ratio * 100:.1f}%"
