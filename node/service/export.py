"""The rows behind the figures as a file: JSON, CSV or Parquet, one consistent view, written whole before it is sent."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from node.clock import instant
from node.context import Context
from node.domain.columns import COLUMNS
from node.service.asking import asking
from node.service.figures import rows_of
from node.store import aggregation as ag
from schemas import aggregate as views

MEMORY_MAX = 8 * 1024 * 1024
"""Beyond, the file waits on disk."""
ROWS_AT_ONCE = 2000
MEDIA = {"json": "application/json", "csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
NAMES = [column.name for column in COLUMNS]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

Cells = tuple[Any, ...]


def export(ctx: Context, wanted: views.FigureFilter, form: views.Form) -> IO[bytes]:
    """The file, at its start; whoever takes it closes it. Raises Invalid."""
    file: Any = SpooledTemporaryFile(MEMORY_MAX)  # noqa: SIM115 - handed on
    with asking(ctx, wanted) as asked:
        now = ctx.clock.now()
        query = rows_of(asked.question(), now, ag.topic_rows).order_by(ag.topic_rows.c.day, ag.topic_rows.c.topic)
        result = asked.conn.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
        batches = ([_cells(row._mapping, now) for row in some] for some in result.partitions(ROWS_AT_ONCE))
        _WRITERS[form](file, batches)
    file.seek(0)
    return file  # type: ignore[no-any-return]


def columns() -> views.ColumnPage:
    """The data dictionary."""
    items = [
        views.ColumnView(name=it.name, type=it.type, empty=it.empty, chinese=it.chinese, english=it.english)
        for it in COLUMNS
    ]
    return views.ColumnPage(items=items, next=None)


def _cells(row: Any, now: datetime) -> Cells:
    late = row["overdue"] or (row["late_at"] is not None and row["late_at"] < now)
    derived = {"areas": " ".join(row["named"]) or None, "overdue": bool(late), "own": bool(row["own"])}
    empty = {name: row[name] or None for name in ("category", "source", "outcome")}
    values = {**row, **derived, **empty}
    return tuple(values[name] for name in NAMES)


def _write_json(file: IO[bytes], batches: Iterator[Sequence[Cells]]) -> None:
    """`{"columns": [name…], "rows": [[value…]…]}`."""
    file.write(f'{{"columns":{json.dumps(NAMES)},"rows":['.encode())
    first = True
    for some in batches:
        lines = (json.dumps([_text(value) for value in cells], ensure_ascii=False) for cells in some)
        file.write(("" if first else ",\n").encode() + ",\n".join(lines).encode())
        first = False
    file.write(b"]}")


def _write_csv(file: IO[bytes], batches: Iterator[Sequence[Cells]]) -> None:
    """RFC 4180 with a byte order mark, for the spreadsheets of offices; nothing in it is taken for a formula."""
    out = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
    writer = csv.writer(out)
    writer.writerow(NAMES)
    for some in batches:
        writer.writerows([[_cell(value) for value in cells] for cells in some])
    out.detach()


def _write_parquet(file: IO[bytes], batches: Iterator[Sequence[Cells]]) -> None:
    from node.service.parquet import write_parquet

    write_parquet(file, batches)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = _text(value)
    if isinstance(shown, str) and shown.strip().startswith(_FORMULA):
        return "'" + shown
    return shown


def _text(value: Any) -> Any:
    return instant(value) if isinstance(value, datetime) else value


_WRITERS = {"json": _write_json, "csv": _write_csv, "parquet": _write_parquet}
