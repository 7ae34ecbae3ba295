"""Damage: what line noise, careless writers and people with bad intent make of good bytes."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Json = Any

NUMBERS = (
    *(b"0", b"-0", b"-1", b"1", b"2", b"255", b"256", b"999999", b"2147483648", b"00", b"01", b"1.0", b"1e0", b"1e999"),
    *(b"9007199254740991", b"9007199254740992", b"-9007199254740992", b"9223372036854775808", b"9" * 40, b"9" * 5000),
    *(b"NaN", b"Infinity", b"-Infinity", b"0x1", b"1_0", b"+1", b"true", b"null", b'"1"'),
)
TEXTS = (
    *("", " ", "0", "\x00", "\n", "\r\n", "\ud800", "\udfff\ud800", "\U0001f600", "\ufeff", "\u202e", "é", "e\u0301"),
    *(
        "a" * 121,
        "a" * 301,
        "a" * 2001,
        "x" * 70000,
        "中" * 300,
        "../..",
        "%00",
        "\\u0000",
        "{",
        "]",
        '"',
        "A",
        "=",
        "==",
    ),
    *("620102", "999999", "０００００１", "0" * 32, "0" * 64, "F" * 64, "2026-13-01T00:00:00Z", "2026-05-01T24:00:00Z"),
)
VALUES = (None, True, False, 0, -1, 1, 2, 200, 2**53 - 1, 2**53, -(2**53), 10**400, 1.5, [], {}, [[]], [None], *TEXTS)
DEPTHS = (5, 31, 32, 33, 400, 20000)
TOKENS = (
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\n\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"=",
)
SIZE_MAX = 200_000


def damage(raw: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One to four faults in bytes; `others` is what may be spliced in."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        raw = random.choice(_BYTES)(raw, random, random.choice(others))[:SIZE_MAX]
    return raw


def damage_json(value: Json, random: Random, other: Json) -> Json:
    """One to three faults in a JSON value, which stays writable; `other` is what may be put in its place."""
    value = json.loads(json.dumps(value))
    for _ in range(random.choice((1, 1, 2, 3))):
        holder = {"": value}
        where, key = random.choice(list(_places(holder)))
        random.choice(_JSON)(where, key, random, other)
        value = holder.get("")
    return value


def written(value: Json, random: Random) -> bytes:
    """The value as JSON in one of the ways writers have; a name may stand twice."""
    form = random.choice(({}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"sort_keys": True}))
    text = json.dumps(value, **form)
    raw = text.encode("utf-8", "surrogatepass")[:SIZE_MAX]
    return _twice(raw, random, b"") if random.random() < 0.05 else raw


# ---- in bytes ----------------------------------------------------------------------------------------------------


def _flip(raw: bytes, random: Random, other: bytes) -> bytes:
    if not raw:
        return other
    at = random.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << random.randrange(8)]) + raw[at + 1 :]


def _cut(raw: bytes, random: Random, other: bytes) -> bytes:
    return raw[: random.randint(0, len(raw))]


def _behead(raw: bytes, random: Random, other: bytes) -> bytes:
    return raw[random.randint(0, len(raw)) :]


def _leave_out(raw: bytes, random: Random, other: bytes) -> bytes:
    start, end = sorted((random.randint(0, len(raw)), random.randint(0, len(raw))))
    return raw[:start] + raw[min(end, start + 64) :]


def _double(raw: bytes, random: Random, other: bytes) -> bytes:
    start = random.randint(0, len(raw))
    some = raw[start : start + random.choice((1, 8, 100, 5000))]
    return raw[:start] + some * random.choice((1, 2, 40)) + raw[start:]


def _splice(raw: bytes, random: Random, other: bytes) -> bytes:
    return raw[: random.randint(0, len(raw))] + other[random.randint(0, len(other)) :]


def _token(raw: bytes, random: Random, other: bytes) -> bytes:
    at = random.randint(0, len(raw))
    return raw[:at] + random.choice(TOKENS) + raw[at + random.randint(0, 1) :]


def _noise(raw: bytes, random: Random, other: bytes) -> bytes:
    at = random.randint(0, len(raw))
    return raw[:at] + random.randbytes(random.choice((1, 4, 64))) + raw[at:]


def _lines(raw: bytes, random: Random, other: bytes) -> bytes:
    """A line twice, left out, elsewhere, or of another input."""
    rows = raw.split(b"\n")
    at, to = random.randrange(len(rows)), random.randrange(len(rows))
    what = random.randrange(4)
    if what == 0:
        rows.insert(to, rows[at])
    elif what == 1:
        del rows[at]
    elif what == 2:
        rows[at], rows[to] = rows[to], rows[at]
    else:
        rows[at] = random.choice(other.split(b"\n"))
    return b"\n".join(rows)


def _number(raw: bytes, random: Random, other: bytes) -> bytes:
    """One run of digits becomes a number at a limit."""
    starts = [at for at in range(len(raw)) if raw[at : at + 1].isdigit() and not raw[at - 1 : at].isdigit()]
    if not starts:
        return raw
    at = end = random.choice(starts)
    while raw[end : end + 1].isdigit():
        end += 1
    return raw[:at] + random.choice(NUMBERS) + raw[end:]


def _twice(raw: bytes, random: Random, other: bytes) -> bytes:
    """A name of an object stands twice, with another value or the same."""
    starts = [at for at in range(len(raw)) if raw[at : at + 1] == b"{"]
    if not starts:
        return raw
    at = random.choice(starts) + 1
    end = raw.find(b":", at)
    name = raw[at:end] if end > 0 else b'"v"'
    return raw[:at] + name + b":" + random.choice((b"1", b"null", b'"x"', b"{}")) + b"," + raw[at:]


def _deep(raw: bytes, random: Random, other: bytes) -> bytes:
    at, depth = random.randint(0, len(raw)), random.choice(DEPTHS)
    opened, closed = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return raw[:at] + opened * depth + b"1" + closed * random.choice((depth, depth, depth - 1)) + raw[at:]


_Bytes = Callable[[bytes, Random, bytes], bytes]
_BYTES: tuple[_Bytes, ...] = (
    *(_flip, _flip, _cut, _behead, _leave_out, _double, _splice, _token, _token, _noise, _lines, _lines),
    *(_number, _number, _twice, _deep),
)


# ---- in values ---------------------------------------------------------------------------------------------------


def _places(value: Json) -> Any:
    """Each (container, key) of the value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def _replace(where: Json, key: Any, random: Random, other: Json) -> None:
    where[key] = json.loads(json.dumps(random.choice(VALUES)))


def _bend(where: Json, key: Any, random: Random, other: Json) -> None:
    """Almost what was there."""
    value = where[key]
    if isinstance(value, bool) or value is None:
        where[key] = random.choice((0, 1, "null", not value))
    elif isinstance(value, int):
        where[key] = value + random.choice((-1, 1, 2**53))
    elif isinstance(value, str):
        at = random.randint(0, len(value))
        where[key] = value[:at] + random.choice((*TEXTS[:20], "0", "a")) + value[at + random.randint(0, 1) :]
    elif isinstance(value, list):
        where[key] = random.choice((value * 2, value[1:], value[::-1], [*value, None], value * 300))
    else:
        where[key] = [value]


def _remove(where: Json, key: Any, random: Random, other: Json) -> None:
    del where[key]


def _rename(where: Json, key: Any, random: Random, other: Json) -> None:
    if isinstance(where, dict):
        where[random.choice((f"{key}x", str(key).upper(), "", "more", "v"))] = where.pop(key)


def _add(where: Json, key: Any, random: Random, other: Json) -> None:
    if isinstance(where, dict):
        where[random.choice(TEXTS)] = where[key]
    else:
        where.insert(key, where[key])


def _graft(where: Json, key: Any, random: Random, other: Json) -> None:
    """Something that stands elsewhere, in this input or in another."""
    if isinstance(other, dict | list) and other:
        holder, at = random.choice(list(_places(other)))
        where[key] = json.loads(json.dumps(holder[at]))


def _wrap(where: Json, key: Any, random: Random, other: Json) -> None:
    for _ in range(random.choice((1, 2, 30, 40))):
        where[key] = {"a": where[key]} if random.random() < 0.5 else [where[key]]


_JSON: tuple[Callable[[Json, Any, Random, Json], None], ...] = (
    *(_replace, _replace, _bend, _bend, _bend, _remove, _rename, _add, _graft, _graft, _wrap),
)
