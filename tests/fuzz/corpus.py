"""What the damage starts from: the wire vectors, good and bad, sorted by what reads them."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from sync.errors import SyncError
from sync.sealing import parse
from tests.wire.judge import raw_of
from tests.wire.make_vectors import VECTORS

Json = dict[str, Any]
_STATEMENTS = ("chain", "registry")


@cache
def vectors(checks: str, folder: str = "*") -> tuple[Json, ...]:
    """`given` of every vector of this kind."""
    files = sorted(VECTORS.glob(f"{folder}/*.json"))
    found = (json.loads(file.read_text("utf-8")) for file in files)
    return tuple(vector["given"] for vector in found if vector["checks"] == checks)


@cache
def raws(checks: str, folder: str = "*") -> tuple[bytes, ...]:
    return tuple(raw_of(given) for given in vectors(checks, folder))


@cache
def statements() -> tuple[bytes, ...]:
    """Statements of every type and kind there is, alone and out of chains."""
    alone = raws("statement")
    chained = [text.encode() for checks in _STATEMENTS for given in vectors(checks) for text in given["statements"]]
    return tuple(dict.fromkeys((*alone, *chained)))


@cache
def payloads() -> tuple[tuple[str, Json], ...]:
    """(type, payload) of every statement that can be read at all."""
    found = dict.fromkeys(_payloads(statements()))
    return tuple((typ, json.loads(raw)) for typ, raw in found)


def _payloads(some: tuple[bytes, ...]) -> Iterator[tuple[str, bytes]]:
    for raw in some:
        try:
            signed = parse(raw)
            if isinstance(json.loads(signed.payload), dict):
                yield signed.typ, signed.payload
        except (SyncError, ValueError):
            continue
