"""Strict JSON (SPEC 3.2): one reading of every byte string, or none.

Two parsers that read one text differently are how signatures get moved from one meaning to another, so everything
on which parsers differ is refused: duplicate keys, floats, NaN, big integers, deep nesting, lone surrogates, U+0000.
"""

import json
import re
from typing import Any, NoReturn

from schemas.ids import COUNT_MAX
from schemas.statement import JSON_DEPTH_MAX
from sync.errors import Refused

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
"""Possessive: without, the matcher keeps a way back for every character, a hundred times the text in memory."""
_BAD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def strict_json(raw: bytes, depth_max: int = JSON_DEPTH_MAX) -> dict[str, Any]:
    """The JSON object in `raw`. Raises Refused("malformed") for anything on which readers could disagree."""
    if _too_deep(raw, depth_max):
        raise Refused("malformed", f"nested deeper than {depth_max}")
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Refused("malformed", type(error).__name__) from None
    if not isinstance(value, dict):
        raise Refused("malformed", "not an object")
    if _BAD_ESCAPE.search(raw):
        _check_strings(value)
    return value


def dumps(value: object) -> bytes:
    """The bytes this project writes for a value: sorted keys, no spaces, UTF-8 as it is. Readers never rely on it."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _too_deep(raw: bytes, depth_max: int) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= depth_max:
        return False
    depth = 0
    for byte in _STRINGS.sub(b"", raw):
        if byte in b"{[":
            depth += 1
            if depth > depth_max:
                return True
        elif byte in b"}]":
            depth -= 1
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_float(text: str) -> NoReturn:
    raise ValueError("not an integer")


def _integer(text: str) -> int:
    value = int(text) if len(text) <= 17 else COUNT_MAX + 1
    if abs(value) > COUNT_MAX or text == "-0":
        raise ValueError("integer out of range")
    return value


def _check_strings(value: object) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
            raise Refused("malformed", "lone surrogate or U+0000")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_strings(key)
            _check_strings(item)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_no_float, parse_constant=_no_float, parse_int=_integer
)
