"""Rows as Apache Parquet, typed, every column with its meaning in the file. Imported only where one is asked for."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import arro3.io
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema

from node.domain.columns import COLUMNS, Column

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = DataType.timestamp("ms", tz="UTC")
_TYPES = {"text": DataType.utf8(), "number": DataType.int64(), "yes/no": DataType.bool(), "instant": _MOMENT}


def write_parquet(file: IO[bytes], batches: Iterator[Sequence[tuple[Any, ...]]]) -> None:
    """One row group after the other, as the rows come."""
    schema = Schema([_field(column) for column in COLUMNS])
    arro3.io.write_parquet(RecordBatchReader.from_batches(schema, _arrays(schema, batches)), file)


def _field(column: Column) -> Field:
    meaning = {"meaning": column.english, "meaning_zh": column.chinese}
    return Field(column.name, _TYPES[column.type], nullable=column.empty, metadata=meaning)


def _arrays(schema: Schema, batches: Iterator[Sequence[tuple[Any, ...]]]) -> Iterator[RecordBatch]:
    for some in batches:
        columns = zip(COLUMNS, zip(*some, strict=True), strict=True)
        yield RecordBatch.from_arrays([_array(column, values) for column, values in columns], schema=schema)


def _array(column: Column, values: Sequence[Any]) -> Array:
    if column.type != "instant":
        return Array(list(values), type=_TYPES[column.type])
    since = [_milliseconds(value) if value is not None else None for value in values]
    return Array(since, type=DataType.int64()).cast(_MOMENT)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
