"""Rows of cells from delimited text as people have it.

Decides the encoding (UTF-8 with or without BOM, UTF-16 with BOM, GB18030) by reading all of the file once, and the
delimiter (comma, semicolon, tab) by which one makes more of the first records recognisable. Rows are counted as a
spreadsheet program shows them: a record with line breaks inside quotes is one row, a blank line is one too.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import BinaryIO, NamedTuple

from node.domain.errors import EmptySheet, SheetTooLarge, UnknownFormat, WrongEncoding

FILE_BYTES_MAX = 1 << 30
READ_BYTES = 1 << 20
SAMPLE_CHARS = 1 << 16
SAMPLE_RECORDS = 10
HAN_BEFORE_DAMAGE = 20
"""So much Chinese read as UTF-8 before the first wrong byte is no chance: the file is damaged, not GB18030."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CsvRows:
    """The records of a file, whose closing is the caller's. `total` and `done` are bytes."""

    unit = "bytes"

    def __init__(self, file: BinaryIO, score: Callable[[Sequence[object]], int]) -> None:
        """`score` says how many headings it recognises in a record.

        Raises EmptySheet, UnknownFormat (binary data), WrongEncoding, SheetTooLarge.
        """
        encoding, self.total = _encoding_and_size(file)
        file.seek(0)
        start = file.read(SAMPLE_CHARS)
        sample = codecs.getincrementaldecoder(encoding)().decode(start)
        if not sample.strip():
            raise EmptySheet
        file.seek(0)
        self._file = file
        self._text = io.TextIOWrapper(file, encoding=encoding, newline="")
        self._delimiter = max(",;\t", key=lambda delimiter: _recognised(sample, delimiter, score))

    @property
    def done(self) -> int:
        """Bytes read so far."""
        return self._file.tell()

    def __iter__(self) -> Iterator[tuple[int, Sequence[object]]]:
        """Yield `(row, cells)` from the start; row 1 is the first record. Raises csv.Error for an endless one."""
        self._text.seek(0)
        return enumerate(csv.reader(self._text, delimiter=self._delimiter), start=1)

    def close(self) -> None:
        """Let go of the file without closing it."""
        self._text.detach()


def _recognised(sample: str, delimiter: str, score: Callable[[Sequence[object]], int]) -> int:
    records = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    try:
        return max((score(record) for record in islice(records, SAMPLE_RECORDS)), default=0)
    except csv.Error:
        return 0


class _Damage(NamedTuple):
    byte: int
    han: int


def _encoding_and_size(file: BinaryIO) -> tuple[str, int]:
    file.seek(0)
    if file.read(2) in _UTF16:
        damage, size = _decode(file, "utf-16")
        if damage is None:
            return "utf-16", size
        raise WrongEncoding(f"damaged at byte {damage.byte}")
    damage, size = _decode(file, "utf-8-sig")
    if damage is None:
        return "utf-8-sig", size
    if damage.han < HAN_BEFORE_DAMAGE:
        other, size = _decode(file, "gb18030")
        if other is None:
            return "gb18030", size
    raise WrongEncoding(f"damaged at byte {damage.byte}")


def _decode(file: BinaryIO, encoding: str) -> tuple[_Damage | None, int]:
    """Read all of the file: where it stops being text of this encoding, if it does, and how many bytes it has."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    size = han = 0
    chunk = b"-"
    while chunk:
        chunk = file.read(READ_BYTES)
        if size + len(chunk) > FILE_BYTES_MAX:
            raise SheetTooLarge(f"more than {FILE_BYTES_MAX >> 20} MiB")
        if encoding != "utf-16" and b"\0" in chunk:
            raise UnknownFormat("binary data")
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, "ignore")
            return _Damage(max(0, size + error.end - 1), han + _han(good)), size
        han = max(han, _han(text))
        size += len(chunk)
    return None, size


def _han(text: str) -> int:
    return sum("\u4e00" <= char <= "\u9fff" for char in text[:SAMPLE_CHARS])
