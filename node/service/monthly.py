"""The sheet of a month, as a workbook: what was raised in it, by child, place, outcome and step, and who reported."""

from collections.abc import Sequence
from typing import Any

from node.context import Context
from node.domain.rollup import month_before
from node.service.overview import Overview, overview, reports
from node.service.sheets import Sheet, book
from schemas import aggregate as views

_SUMS = {
    "count": "议题",
    "open": "在办",
    "overdue": "逾期",
    "closed": "办结",
    "a": "解决或采纳",
    "b": "列入计划",
    "c": "暂不能解决",
    "d": "留作参考",
    "participations": "参与人次",
}
_RATES = {
    "closing_rate": "办结率",
    "solution_rate": "解决率",
    "satisfaction_rate": "满意率",
    "solved_at_origin_rate": "在早在小",
}
_REPORTED = ("代码", "名称", "应报时间", "实报时间", "按时", "行数", "不一致", "未到摘要", "失联", "最近听到")


def monthly_sheet(ctx: Context, month: str | None = None) -> bytes:
    """The workbook; by default of the last month that is over. Raises Invalid."""
    period = month or month_before(ctx.clock.now())
    return book(month_sheets(ctx, period, overview(ctx, views.FigureFilter(month=period), period)))


def month_sheets(ctx: Context, period: str, seen: Overview) -> list[Sheet]:
    """The tables of a month, for the workbook and for paper."""
    return [
        _figures("各下级", seen.children, total=True),
        _figures("各区划", seen.areas, total=True),
        _outcomes(seen),
        Sheet("六步", ("步骤", "到达议题"), [(step.label, step.count) for step in seen.funnel.steps]),
        Sheet(f"{period} 上报", _REPORTED, [_reported(node) for node in reports(ctx, period)]),
        _differences(seen),
    ]


def _figures(name: str, view: views.FiguresView, total: bool) -> Sheet:
    """A row for each key. Places overlap where a topic names several, so the total is counted, not added up."""
    rows = [*view.rows, *([view.total] if total else [])]
    return Sheet(name, ("代码", "名称", *_SUMS.values(), *_RATES.values()), [_row(row) for row in rows])


def _row(row: views.Figures) -> Sequence[Any]:
    sums = [getattr(row.sums, name) for name in _SUMS]
    return (row.key, row.label, *sums, *(getattr(row.rates, name) for name in _RATES))


def _outcomes(seen: Overview) -> Sheet:
    return Sheet("结果", ("代码", "结果", "议题"), [(row.key, row.label, row.count) for row in seen.outcomes.rows])


def _reported(node: views.NodeFigures) -> Sequence[Any]:
    on_time, silent = ("是" if said else "否" for said in (node.on_time, node.silent))
    seen = (node.rows, node.differs, node.missing, silent, node.heard_at)
    return (node.code, node.name, node.expected, node.actual, on_time, *seen)


def _differences(seen: Overview) -> Sheet:
    rows = [(item.node, item.field, item.said, item.counted) for item in seen.differences]
    return Sheet("差异", ("节点", "字段", "所报", "所计"), rows)
