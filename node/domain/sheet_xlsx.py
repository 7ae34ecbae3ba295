"""Rows of cells from an XLSX workbook, which is opened only after it was looked over.

A workbook is a zip archive of XML, and both can be built to harm: archives that unpack to a thousand times their size,
XML that declares entities. `check` refuses these before openpyxl sees the file. Sizes are those the archive declares;
the zip reader never gives more than what is declared.
"""

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from node.domain.errors import EmptySheet, NoHeader, SheetError, UnknownFormat, UnsafeWorkbook

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

MEMBERS_MAX = 1_000
UNPACKED_BYTES_MAX = 256 << 20
UNPACKED_RATIO_MAX = 100
RATIO_FREE_BYTES = 8 << 20
"""Below this much unpacked the ratio does not matter: empty rows pack well and do no harm."""
PROLOGUE_BYTES_MAX = 1 << 20
ROWS_MAX = 1_048_576
COLUMNS_MAX = 64
ROWS_AT_ONCE = 500
_ENCRYPTED = 0x1
_XML = re.compile(r".*\.(?:xml|rels|vml)", re.IGNORECASE | re.DOTALL)


class XlsxRows:
    """The rows of the first worksheet that has a header. `total` and `done` are rows, `total` 0 when not declared."""

    unit = "rows"

    def __init__(self, file: BinaryIO, score: Callable[[Sequence[object]], int], header_rows: int) -> None:
        """`score` says how many headings it recognises in a row.

        Raises EmptySheet, NoHeader, UnknownFormat, UnsafeWorkbook; SheetError when the workbook is damaged.
        """
        import openpyxl  # here, because it would be a tenth of a node's start and a node may never see a workbook

        check(file)
        self.done = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # styles and extensions openpyxl does not know are of no interest
                self._book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            self._sheet = self._choose(score, header_rows)
            self.total = min(self._sheet.max_row or 0, ROWS_MAX)
        except SheetError:
            raise
        except Exception as error:  # whatever a broken workbook makes of openpyxl
            raise UnknownFormat(f"damaged workbook ({type(error).__name__})") from error

    def _choose(self, score: Callable[[Sequence[object]], int], header_rows: int) -> "Worksheet":
        any_cell = False
        for sheet in self._book.worksheets:
            head = [cells for _, cells in islice(_rows(sheet), header_rows)]
            any_cell = any_cell or any(cell is not None for cells in head for cell in cells)
            if any(score(cells) for cells in head):
                return sheet
        raise NoHeader if any_cell else EmptySheet

    def __iter__(self) -> Iterator[tuple[int, Sequence[object]]]:
        """Yield `(row, cells)` from the start. Raises whatever a damaged workbook provokes."""
        rows = _rows(self._sheet)
        while True:
            some: list[tuple[int, Sequence[object]]] = []
            damage = None
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # a date out of range is an error value of its cell
                    some.extend(islice(rows, ROWS_AT_ONCE))
            except Exception as error:  # told after the rows before it
                damage = error
            for self.done, cells in some:
                yield self.done, cells
            if damage:
                raise damage
            if len(some) < ROWS_AT_ONCE:
                return

    def close(self) -> None:
        """Let go of the file without closing it."""
        self._book.close()


def _rows(sheet: "Worksheet") -> Iterator[tuple[int, Sequence[object]]]:
    return enumerate(sheet.iter_rows(max_row=ROWS_MAX, max_col=COLUMNS_MAX, values_only=True), start=1)


def check(file: BinaryIO) -> None:
    """Refuse what is no workbook (UnknownFormat) or one built to harm (UnsafeWorkbook)."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive.infolist())
            for member in archive.infolist():
                if _XML.fullmatch(member.filename):
                    with archive.open(member) as content:
                        _check_prologue(content.read(PROLOGUE_BYTES_MAX), member.filename)
            if "[Content_Types].xml" not in archive.namelist():
                raise UnknownFormat("a zip archive that is no workbook")
    except SheetError:
        raise
    except Exception as error:  # a damaged archive provokes a dozen kinds
        raise UnknownFormat(f"damaged archive ({type(error).__name__})") from error


def _check_sizes(members: Sequence[zipfile.ZipInfo]) -> None:
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise UnsafeWorkbook("protected by a password")
    if len(members) > MEMBERS_MAX:
        raise UnsafeWorkbook(f"more than {MEMBERS_MAX} parts")
    if unpacked > UNPACKED_BYTES_MAX:
        raise UnsafeWorkbook(f"more than {UNPACKED_BYTES_MAX >> 20} MiB unpacked")
    if unpacked > max(RATIO_FREE_BYTES, UNPACKED_RATIO_MAX * packed):
        raise UnsafeWorkbook(f"unpacks to more than {UNPACKED_RATIO_MAX} times its size")


class _RootSeen(Exception):
    """The prologue is over."""


def _check_prologue(data: bytes, name: str) -> None:
    """Entities can only be declared before the root element; a workbook never does."""

    def refuse(*_: object) -> None:
        raise UnsafeWorkbook(f"declares a document type ({name})")

    def stop(*_: object) -> None:
        raise _RootSeen

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        parser.Parse(data, len(data) < PROLOGUE_BYTES_MAX)
    except (_RootSeen, expat.ExpatError):  # what is not well-formed is openpyxl's to complain about
        return
    raise UnsafeWorkbook(f"no root element in the first {PROLOGUE_BYTES_MAX >> 20} MiB ({name})")
