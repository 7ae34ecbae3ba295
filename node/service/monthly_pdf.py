"""The sheet of a month as PDF: the pictures of the page and the tables of the workbook, to be printed or sent."""

from datetime import date, datetime
from typing import Any

from node.context import Context
from node.domain.charts import percent
from node.domain.rollup import CHINA, month_before
from node.service.asking import months_on
from node.service.figures import DAY
from node.service.monthly import month_sheets
from node.service.names import names
from node.service.overview import Overview, overview
from node.service.pictures import NAMES, WORDS, Name, Picture, picture, pictures
from node.service.press import press
from node.service.sheets import Sheet
from schemas import aggregate as views

TEMPLATE = "monthly.typ"
_LEFT_OUT = frozenset({"代码", "解决或采纳", "列入计划", "暂不能解决", "留作参考", "应报时间", "最近听到"})
"""Columns that paper has no room for; the workbook has them."""
_TEXTS = frozenset({"名称", "结果", "步骤", "实报时间", "按时", "失联", "节点", "字段", "所报", "所计"})
_EMPTY = {"差异": "所报与所计全部一致。"}
_ABOUT = "{month} 提出的议题，按 {made} 已知的情况统计。各表中的数字都可在系统“全局”页面逐项点开核对。"
_COUNTS = ("count", "closed", "overdue", "participations")
_PARTICIPATIONS = "参与人次"


def monthly_pdf(ctx: Context, month: str | None = None) -> bytes:
    """By default of the last month that is over. Raises Invalid, NoChineseFont, Unavailable."""
    period, now = month or month_before(ctx.clock.now()), ctx.clock.now()
    seen = overview(ctx, views.FigureFilter(month=period), period)
    made = now.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    data = {
        "title": f"协商议题月报 {period}",
        "office": names(ctx).office(ctx.identity.code),
        "about": _ABOUT.format(month=period, made=made),
        "made": f"{made} 生成",
        "counts": [_count(seen.children.total, name) for name in _COUNTS],
        "pictures": [_drawn(item) for item in _pictures(ctx, seen, period)],
        "total": seen.children.total.label,
        "sheets": [_printed(sheet) for sheet in month_sheets(ctx, period, seen)],
    }
    return press().typeset(TEMPLATE, data, now)


def _pictures(ctx: Context, seen: Overview, period: str) -> list[Picture]:
    """Those of the month; only the months lead up to it."""
    drawn: dict[Name, Picture] = pictures(seen, "", "zh", names(ctx).place)
    last = months_on(date(int(period[:4]), int(period[5:]), 1), 1) - DAY
    until = views.FigureFilter.model_validate({"to": last.isoformat()})
    drawn["months"] = picture(ctx, "months", until, "", "zh")
    return [drawn[name] for name in NAMES]


def _drawn(item: Picture) -> dict[str, str]:
    return {"title": WORDS["zh"][item.name], "alt": item.gist, "svg": item.svg("narrow").decode()}


def _count(total: views.Figures, name: str) -> dict[str, Any]:
    before = None if total.before is None else f"上月 {getattr(total.before, name)}"
    said = WORDS["zh"].get(name, _PARTICIPATIONS)
    return {"name": said, "value": str(getattr(total.sums, name)), "before": before, "bad": name == "overdue"}


def _printed(sheet: Sheet) -> dict[str, Any]:
    """A table as text, without the columns that are left out."""
    kept = [at for at, head in enumerate(sheet.heads) if head not in _LEFT_OUT]
    return {
        "name": sheet.name,
        "heads": [sheet.heads[at] for at in kept],
        "numbers": [sheet.heads[at] not in _TEXTS for at in kept],
        "rows": [[_cell(row[at]) for at in kept] for row in sheet.rows],
        "empty": _EMPTY.get(sheet.name, "没有议题。"),
    }


def _cell(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, float):
        return percent(value)
    return value.astimezone(CHINA).strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else str(value)
