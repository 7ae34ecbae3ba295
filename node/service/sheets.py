"""Lists to take along, as XLSX workbooks. Text stays text: a cell that begins like a formula is none."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import xlsxwriter

from node.context import Context
from node.service import read
from node.service.open import CHINA
from schemas.api import LIMIT_MAX, TopicFilter, TopicView

ROWS_MAX = 20_000
"""Topics in one workbook; who needs more narrows the filters."""
WIDTH_MAX = 60
_OPTIONS = {
    "in_memory": True,
    "constant_memory": False,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}

Cells = Callable[[TopicView], Sequence[Any]]


def list_sheet(ctx: Context, wanted: TopicFilter, heads: Sequence[str], cells: Cells) -> bytes:
    """The topics that `wanted` names, last changed first, one row each."""
    rows: list[Sequence[Any]] = []
    after: str | None = None
    while len(rows) < ROWS_MAX:
        page = read.topics(ctx, wanted, after, LIMIT_MAX)
        rows += [cells(view) for view in page.items]
        after = page.next
        if after is None:
            break
    return workbook(heads, rows)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page of a workbook; `name` is at most 31 characters."""

    name: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]


def workbook(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """One sheet with a heading that stays in view and can be filtered."""
    return book([Sheet("Sheet1", heads, rows)])


def book(sheets: Sequence[Sheet]) -> bytes:
    """Sheets with headings that stay in view and can be filtered. Instants are told in China's time."""
    target = io.BytesIO()
    made = xlsxwriter.Workbook(target, _OPTIONS)
    bold = made.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    instant = made.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    ratio = made.add_format({"num_format": "0.0%"})
    for item in sheets:
        _fill(made.add_worksheet(item.name), item, bold, instant, ratio)
    made.close()
    return target.getvalue()


def _fill(sheet: Any, item: Sheet, bold: Any, instant: Any, ratio: Any) -> None:
    for column, head in enumerate(item.heads):
        sheet.write_string(0, column, head, bold)
    for number, row in enumerate(item.rows, 1):
        for column, value in enumerate(row):
            if isinstance(value, datetime):
                sheet.write_datetime(number, column, value.astimezone(CHINA).replace(tzinfo=None), instant)
            elif isinstance(value, float):
                sheet.write_number(number, column, value, ratio)
            elif isinstance(value, int):
                sheet.write_number(number, column, value)
            elif value is not None:
                sheet.write_string(number, column, str(value))
    for column, head in enumerate(item.heads):
        sheet.set_column(column, column, _width(head, [row[column] for row in item.rows[:200]]))
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(len(item.rows), 1), len(item.heads) - 1)


def _width(head: str, values: Sequence[Any]) -> int:
    """About as wide as the longest value; a Chinese character takes two."""
    told = [head, *("2026-01-01 00:00" if isinstance(value, datetime) else str(value or "") for value in values)]
    return min(WIDTH_MAX, max(sum(2 if ord(char) > 0x2E7F else 1 for char in text) for text in told) + 2)
