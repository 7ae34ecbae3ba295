"""Reading the sheets people have (CSV, XLSX) into neutral rows.

Decides the format by the file's first bytes and not its name, finds the header among the first rows, knows which
columns mean what, and reads each row into fields. A row that cannot be used says why and stands in nobody's way;
blank rows are passed over without a word. Row numbers are those a spreadsheet program shows, so the header is usually
row 1. What the fields mean for a topic is the service's.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Self, cast

from node.domain.errors import NoHeader, SheetError, SheetTooLarge, UnknownFormat
from node.domain.sheet_csv import FILE_BYTES_MAX, READ_BYTES, CsvRows
from node.domain.sheet_fields import HEADINGS, field_of, tidy_line
from node.domain.sheet_row import Fields, Problem, read_row
from node.domain.sheet_xlsx import XlsxRows

__all__ = ["Column", "Fields", "Problem", "Row", "Sheet", "read_sheet"]

HEADER_ROWS_MAX = 10
"""The header may stand below a heading of the whole sheet, but not further down than this."""
MEMORY_BYTES_MAX = 16 << 20
_ZIP = b"PK\x03\x04"
_FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an old .xls file or one with a password; save it as .xlsx without one",
    b"%PDF": "a PDF file",
    b"\x1f\x8b": "a compressed file",
    b"Rar!": "a compressed file",
    b"7z\xbc\xaf": "a compressed file",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that was recognised: its place from 0, its heading as written, the field it stands for."""

    index: int
    heading: str
    field: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row with something in it. With `problems` it is not to be imported, and `fields` holds what could be read."""

    number: int
    fields: Fields
    problems: tuple[Problem, ...] = ()


@dataclass
class Sheet:
    """An open sheet, read once from top to bottom. `ignored` are the headings that were not recognised."""

    name: str
    columns: tuple[Column, ...]
    ignored: tuple[str, ...]
    header_row: int
    _source: CsvRows | XlsxRows
    _own: BinaryIO | None = field(default=None, repr=False)

    @property
    def total(self) -> int:
        """How much there is to read, in `unit`; 0 when the file does not say."""
        return self._source.total

    @property
    def done(self) -> int:
        """How much has been read, in `unit`."""
        return self._source.done

    @property
    def unit(self) -> str:
        """What `total` and `done` count: bytes or rows."""
        return self._source.unit

    def rows(self) -> Iterator[Row]:
        """Every row below the header that is not blank. Never raises: where reading must stop, a last row says so."""
        places = {column.field: column.index for column in self.columns}
        source = iter(self._source)
        number = 0
        while True:
            try:
                number, cells = next(source)
            except StopIteration:
                return
            except Exception as error:  # csv.Error, or whatever a damaged workbook makes of openpyxl
                said = type(error).__name__
                text = f"从这一行起无法读取（{said}），后面的行没有导入 / unreadable from here on, not imported: {said}"
                yield Row(number + 1, Fields(), (Problem(number + 1, "row", text),))
                return
            if number > self.header_row and (read := read_row(number, cells, places)):
                yield Row(number, *read)

    def close(self) -> None:
        """Let go of the file; close it if `read_sheet` opened it."""
        self._source.close()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_sheet(source: Path | str | BinaryIO, name: str = "", mapping: Mapping[str, str] | None = None) -> Sheet:
    """Open a sheet and recognise its columns; `mapping` gives fields to headings this program does not know.

    Raises a SheetError: EmptySheet, NoHeader (no column holds the title), UnknownFormat, WrongEncoding,
    UnsafeWorkbook, SheetTooLarge, or one that names the field of a mapping that does not exist.
    """
    known = {tidy_line(heading): wanted for heading, wanted in (mapping or {}).items()}
    for heading, wanted in known.items():
        if wanted not in HEADINGS:
            raise SheetError(f"{heading}={wanted}: no such field; there are {', '.join(HEADINGS)}", field=wanted)
    if not isinstance(source, Path | str) and source.seekable():
        return _open(source, name, known, None)
    own = _own_file(source)
    name = name or (Path(source).name if isinstance(source, Path | str) else "")
    try:
        return _open(own, name, known, own)
    except BaseException:
        own.close()
        raise


def _open(file: BinaryIO, name: str, known: Mapping[str, str], own: BinaryIO | None) -> Sheet:
    def score(cells: Sequence[object]) -> int:
        fields = {column.field for column in _columns(cells, known)}
        return len(fields) if "title" in fields else 0

    file.seek(0)
    magic = file.read(4)
    for beginning, what in _FOREIGN.items():
        if magic.startswith(beginning):
            raise UnknownFormat(what)
    rows = XlsxRows(file, score, HEADER_ROWS_MAX) if magic == _ZIP else CsvRows(file, score)
    try:
        number, header = _header(rows, score)
    except NoHeader:
        rows.close()
        raise
    columns = _columns(header, known)
    taken = {column.index for column in columns}
    ignored = tuple(text for index, cell in enumerate(header) if index not in taken and (text := tidy_line(cell)))
    return Sheet(name, columns, ignored, number, rows, own)


def _header(rows: CsvRows | XlsxRows, score: Callable[[Sequence[object]], int]) -> tuple[int, Sequence[object]]:
    """The first of the rows that have most headings. Raises NoHeader."""
    number, cells = max(_readable(islice(rows, HEADER_ROWS_MAX)), key=lambda row: score(row[1]), default=(0, ()))
    if not score(cells):
        raise NoHeader
    return number, cells


def _readable(rows: Iterator[tuple[int, Sequence[object]]]) -> Iterator[tuple[int, Sequence[object]]]:
    """The rows up to the first that cannot be read."""
    with suppress(csv.Error):
        yield from rows


def _columns(header: Sequence[object], known: Mapping[str, str]) -> tuple[Column, ...]:
    """The recognised columns; of several for one field the first that was mapped, else the first."""
    columns = [
        Column(index, heading, found)
        for index, cell in enumerate(header)
        if (heading := tidy_line(cell)) and (found := known.get(heading) or field_of(cell))
    ]
    columns.sort(key=lambda column: column.heading not in known)
    first = {column.field: column for column in reversed(columns)}
    return tuple(sorted(first.values(), key=lambda column: column.index))


def _own_file(source: Path | str | BinaryIO) -> BinaryIO:
    """The file at a path, or a copy of a stream that cannot be read twice, on disk when it is large."""
    if isinstance(source, Path | str):
        return Path(source).open("rb")
    copy = cast(BinaryIO, SpooledTemporaryFile(max_size=MEMORY_BYTES_MAX))  # noqa: SIM115 - the sheet closes it
    while chunk := source.read(READ_BYTES):
        copy.write(chunk)
        if copy.tell() > FILE_BYTES_MAX:
            copy.close()
            raise SheetTooLarge(f"more than {FILE_BYTES_MAX >> 20} MiB")
    return copy
