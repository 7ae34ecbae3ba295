"""The forms of values (SPEC 2): each is a function that raises ValueError where a value has another."""

import datetime
import re
from collections.abc import Callable
from typing import Any

from tests.conformance.wire.jose import unb64
from tests.conformance.wire.strict import COUNT_MAX, Wrong

Shape = Callable[[Any], None]


def must(true: bool, why: str) -> None:
    if not true:
        raise ValueError(why)


def string(low: int, high: int) -> Shape:
    def shape(value: Any) -> None:
        must(isinstance(value, str) and low <= len(value) <= high, f"string({low}..{high})")

    return shape


def matching(pattern: str) -> Shape:
    compiled = re.compile(pattern)

    def shape(value: Any) -> None:
        must(isinstance(value, str) and compiled.fullmatch(value) is not None, pattern)

    return shape


def integer(low: int, high: int) -> Shape:
    def shape(value: Any) -> None:
        must(type(value) is int and low <= value <= high, f"integer {low}..{high}")

    return shape


def one_of(*values: Any) -> Shape:
    def shape(value: Any) -> None:
        must(any(type(value) is type(each) and value == each for each in values), f"one of {values}")

    return shape


def maybe(inner: Shape) -> Shape:
    def shape(value: Any) -> None:
        if value is not None:
            inner(value)

    return shape


def array(inner: Shape, low: int, high: int) -> Shape:
    def shape(value: Any) -> None:
        must(isinstance(value, list) and low <= len(value) <= high, f"list of {low}..{high}")
        for each in value:
            inner(each)

    return shape


def tuple_of(*inner: Shape) -> Shape:
    def shape(value: Any) -> None:
        must(isinstance(value, list) and len(value) == len(inner), f"array of {len(inner)}")
        for each, one in zip(value, inner, strict=True):
            one(each)

    return shape


def record(**fields: Shape) -> Shape:
    """Every field present, none other allowed; a trailing underscore keeps clear of Python's own words."""
    named = {name.rstrip("_"): shape for name, shape in fields.items()}

    def shape(value: Any) -> None:
        must(isinstance(value, dict), "an object")
        must(set(value) == set(named), f"fields {sorted(set(value) ^ set(named))}")
        for name, inner in named.items():
            try:
                inner(value[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

    return shape


def anything(value: Any) -> None:
    must(isinstance(value, dict), "an object")


def base64url(size: int | None = None, most: int | None = None) -> Shape:
    def shape(value: Any) -> None:
        try:
            raw = unb64(value)
        except Wrong as error:
            raise ValueError(str(error)) from error
        must(size in (None, len(raw)) and (most is None or len(raw) <= most), "base64url of another length")

    return shape


def instant(value: Any) -> None:
    _INSTANT(value)
    must("1900" <= value[:4] <= "2999", "years 1900 to 2999")
    datetime.datetime.strptime(value[:19], "%Y-%m-%dT%H:%M:%S")


def inc(value: Any) -> None:
    """An incarnation (2.2): whether number and nonce fit together is asked where one is enrolled or granted."""
    _PAIR(value)


_INSTANT = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
count = integer(0, COUNT_MAX)
_PAIR = tuple_of(count, matching(r"([0-9a-f]{32})?"))
code = matching(r"[0-9]{6}")
area = matching(r"[0-9]{6}|[0-9]{9}|[0-9]{12}")
digest = matching(r"[0-9a-f]{64}")
nonce = matching(r"[0-9a-f]{32}")
kid = base64url(32)
tier = one_of("county", "city", "province")
kind = matching(r"[a-z][a-z_]{0,31}")
label, title, reason, text = string(1, 120), string(1, 300), string(1, 2000), string(0, 8000)
url = matching(r"https?://[!-~]{1,192}")
boolean = one_of(True, False)
term = tuple_of(count, count, inc, count)
RANK = {"county": 1, "city": 2, "province": 3}
NONE = [0, ""]
FIRST_TERM = [0, 0, [0, ""], 0]
