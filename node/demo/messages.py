"""The messages that the offices import: real ones where a folder shared/data stands beside the checkout, or
LIANDONG_SHARED_DATA names it; the bundled samples, or as many as are wanted made up, otherwise."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from itertools import islice
from pathlib import Path

import node
from node.demo.generated import HEAD, made_up
from node.domain.divisions import DivisionTree

REAL = "messages-replied.csv"
ROWS_EACH = 24
_HEAD_OF = {"留言编号": "编号", "留言主题": "主题", "留言详情": "内容", "留言时间": "时间", "留言用户": "姓名"}
"""What the columns of the real messages are called below `HEAD`; the others keep their names."""

Row = dict[str, str]


def messages() -> tuple[str, list[bytes]]:
    """Where they are from, and one CSV for each of the two counties."""
    real = _real()
    content = real.read_text("utf-8-sig") if real else files("node.demo").joinpath("samples.csv").read_text("utf-8")
    rows = csv.reader(io.StringIO(content, newline=""))
    head = next(rows)
    taken = list(islice(rows, 2 * ROWS_EACH))
    half = (len(taken) + 1) // 2
    return ("真实留言" if real else "样例留言"), [_csv([head, *taken[:half]]), _csv([head, *taken[half:]])]


def rows_of(content: bytes) -> int:
    return sum(1 for _ in csv.reader(io.StringIO(content.decode(), newline=""))) - 1


class Supply:
    """As many messages as the offices of a demonstration want, no message twice."""

    def __init__(self, tree: DivisionTree, now: datetime) -> None:
        self._tree = tree
        self._now = now
        real = _real()
        self.kind = "真实留言" if real else "样例留言"
        self._rows: Iterator[Row] | None = _renamed(real) if real else None

    def rows(self, code: str, places: Sequence[str | None]) -> list[Row]:
        """For the office of a division, one for each place, None: any in it; each has a number of its own."""
        made = [dict(zip(HEAD, cells, strict=True)) for cells in made_up(self._tree, code, places, self._now)]
        if self._rows is None:
            return made
        real = list(islice(self._rows, len(places)))
        return [{**row, "地区": other["地区"], "来源": other["来源"]} for row, other in zip(real, made, strict=False)]


def sheet(rows: list[Row]) -> bytes:
    """The rows as the CSV file that somebody imports."""
    head = list(dict.fromkeys(name for row in rows for name in row))
    return _csv([head, *([row.get(name, "") for name in head] for row in rows)])


def _renamed(file: Path) -> Iterator[Row]:
    for row in csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")):
        yield {_HEAD_OF.get(name, name): cell for name, cell in row.items()}


def _real() -> Path | None:
    beside = Path(node.__file__).parent.parent.parent / "shared" / "data"
    file = Path(os.environ.get("LIANDONG_SHARED_DATA") or beside) / REAL
    return file if file.is_file() else None


def _csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
