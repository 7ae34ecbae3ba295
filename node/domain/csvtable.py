"""Small CSV tables with a fixed header: divisions, categories, powers.

Decides the encoding (UTF-8 with or without BOM, else GB18030) and which cell belongs to which column, whatever their
order. What the cells mean is the caller's; what people export from their own programs is `sheet`'s.
"""

import csv
import io
from collections.abc import Iterator, Sequence

from node.domain.errors import RowError


def decode(data: bytes) -> str | None:
    """The text of a table, or None when it is neither UTF-8 nor GB18030."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def read_table(
    data: bytes, columns: Sequence[str], error: type[RowError], optional: Sequence[str] = ()
) -> Iterator[tuple[int, list[str]]]:
    """Yield `(row number, cells)` of every row that is not blank; cells in the order `columns + optional`, trimmed.

    The header is row 1, and blank rows are counted. Raises `error` for a wrong encoding, a missing column or a row
    that is shorter than the header.
    """
    text = decode(data)
    if text is None:
        raise error("neither UTF-8 nor GB18030")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        missing = [name for name in columns if name not in header]
        if missing:
            raise error(f"no column {', '.join(missing)}", 1, missing[0])
        places = [header.index(name) if name in header else None for name in (*columns, *optional)]
        for row, cells in enumerate(reader, start=2):
            if any(cells):
                yield row, _pick(cells, places, row, error)
    except csv.Error as problem:
        raise error(str(problem), reader.line_num) from problem


def _pick(cells: list[str], places: list[int | None], row: int, error: type[RowError]) -> list[str]:
    picked = []
    for place in places:
        if place is not None and place >= len(cells):
            raise error("fewer cells than the header", row)
        picked.append("" if place is None else cells[place].strip())
    return picked
