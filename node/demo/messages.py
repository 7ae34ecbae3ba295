"""The messages that the two counties import: real ones where a folder shared/data stands beside the checkout, or
LIANDONG_SHARED_DATA names it; the bundled samples otherwise."""

import csv
import io
import os
from importlib.resources import files
from itertools import islice
from pathlib import Path

import node

REAL = "messages-replied.csv"
ROWS_EACH = 24


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


def _real() -> Path | None:
    beside = Path(node.__file__).parent.parent.parent / "shared" / "data"
    file = Path(os.environ.get("LIANDONG_SHARED_DATA") or beside) / REAL
    return file if file.is_file() else None


def _csv(rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
