"""Strict JSON (SPEC 3.2): one reading of every byte string, or none; and how this kit writes."""

import json
from typing import Any, NoReturn

Json = dict[str, Any]
COUNT_MAX = 9007199254740991
DEPTH_MAX = 32


class Wrong(Exception):
    """What SPEC refuses, with its disposition and code."""

    def __init__(self, disposition: str, code: str, why: str = "") -> None:
        super().__init__(f"{disposition} {code}{': ' if why else ''}{why}")
        self.disposition = disposition
        self.code = code


def malformed(why: str = "") -> Wrong:
    return Wrong("refused", "malformed", why)


def read(raw: bytes) -> Json:
    """The object these bytes are."""
    try:
        found = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError) as error:
        raise malformed(str(error)) from error
    if not isinstance(found, dict):
        raise malformed("no object")
    _check(found, 1)
    return found


def write(value: Any) -> bytes:
    """As writers should: names ascending, no white space, no needless escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _pairs(pairs: list[tuple[str, Any]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _integer(text: str) -> int:
    if text == "-0" or len(text) > 17 or abs(int(text)) > COUNT_MAX:
        raise ValueError(f"not an integer here: {text[:20]}")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"not a number here: {text[:20]}")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            raise malformed("U+0000 or a lone surrogate")
        return
    if isinstance(value, dict | list):
        if depth > DEPTH_MAX:
            raise malformed("too deep")
        inner = value if isinstance(value, list) else [*value.keys(), *value.values()]
        for each in inner:
            _check(each, depth + 1)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_no_number, parse_int=_integer, parse_constant=_no_number
)
