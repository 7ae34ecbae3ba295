"""Small CSV tables with a fixed header: divisions, categories, powers.

Decides the encoding (UTF-8 with or without BOM, else GB18030) and which cell belongs to which column, whatever their
order. What the cells mean is the caller's; what people export from their own programs is `sheet`'s.
"""

import csv
import io
from collections.abc import Iterator, Mapping

from node.domain.errors import RowError


def decode(data: bytes) -> str | None:
    """The text of a table, or None when it is neither UTF-8 nor GB18030."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def read_table(data: bytes, columns: Mapping[str, str], error: type[RowError]) -> Iterator[tuple[int, list[str]]]:
    """Yield `(row number, cells)` of every row that is not blank; cells in the order of `columns`, trimmed.

    `columns` maps each column's name to the Chinese one it may have instead. The header is row 1, and blank rows are
    counted. Raises `error` for a wrong encoding, a missing column or a row that is shorter than the header.
    """
    text = decode(data)
    if text is None:
        raise error("neither UTF-8 nor GB18030")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = [_place(header, name, chinese, error) for name, chinese in columns.items()]
        for row, cells in enumerate(reader, start=2):
            if any(cells):
                yield row, _pick(cells, places, row, error)
    except csv.Error as problem:
        raise error(str(problem), reader.line_num) from problem


def _place(header: list[str], name: str, chinese: str, error: type[RowError]) -> int:
    for known in (name, chinese):
        if known in header:
            return header.index(known)
    raise error(f"no column {name} ({chinese})", 1, name)


def _pick(cells: list[str], places: list[int], row: int, error: type[RowError]) -> list[str]:
    if max(places) >= len(cells):
        raise error("fewer cells than the header", row)
    return [cells[place].strip() for place in places]
