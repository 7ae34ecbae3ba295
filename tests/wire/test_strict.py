"""Strict JSON (SPEC 3.2): one reading, or none; and never much time or memory."""

import json
import time
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import COUNT_MAX
from sync.errors import Refused
from sync.strict import dumps, strict_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-COUNT_MAX, COUNT_MAX) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, max_size=5))
def test_what_is_written_is_read_again(value: dict[str, Any]):
    assert strict_json(dumps(value)) == value
    assert strict_json(json.dumps(value).encode()) == value
    assert strict_json(json.dumps(value, indent=3).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":"\\\\u0000"}',
        b'{"a":"\\\\ud800"}',
        b' \t\r\n{ "a" : [ 1 , -1 , 0 ] } \n',
        b'{"a":9007199254740991,"b":-9007199254740991}',
        b'{"":{}}',
        b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":' * 31 + b"{}" + b"}" * 31,
        b'{"a":[' + b"[]," * 100 + b"[]]}",
    ],
)
def test_strict_json_takes(raw: bytes):
    assert strict_json(raw) == json.loads(raw)


REFUSED = {
    "nothing": b"",
    "white space": b" ",
    "an array": b"[]",
    "a string": b'"a"',
    "null": b"null",
    "a number": b"1",
    "two objects": b"{}{}",
    "text after": b"{} x",
    "a mark": b"\xef\xbb\xbf{}",
    "a null byte after": b"{}\x00",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice, once escaped": b'{"a":1,"\\u0061":1}',
    "a key twice inside": b'{"b":[{"a":1,"a":2}]}',
    "a fraction": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "minus zero": b'{"a":-0}',
    "minus zero with fraction": b'{"a":-0.0}',
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "2^53": b'{"a":9007199254740992}',
    "-2^53": b'{"a":-9007199254740992}',
    "5000 digits": b'{"a":' + b"9" * 5000 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "-Infinity": b'{"a":-Infinity}',
    "depth 33": b'{"a":' * 32 + b"{}" + b"}" * 32,
    "depth 33 of arrays": b'{"a":' + b"[" * 32 + b"]" * 32 + b"}",
    "depth 100000": b'{"a":' * 100_000,
    "half a pair": b'{"a":"\\ud800"}',
    "the second half": b'{"a":"\\udc00"}',
    "the halves swapped": b'{"a":"\\ude00\\ud83d"}',
    "half a pair in a key": b'{"\\ud800":1}',
    "half a pair deep inside": b'{"a":[[{"b":"\\uD9ab"}]]}',
    "an escaped null": b'{"a":"\\u0000"}',
    "an escaped null in a key": b'{"\\u0000":1}',
    "a control character": b'{"a":"\x1f"}',
    "a line feed in a string": b'{"a":"\n"}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "an overlong form": b'{"a":"\xc0\x80"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "above U+10FFFF": b'{"a":"\xf4\x90\x80\x80"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a comment": b'{"a":1}//',
    "a comma too many": b'{"a":1,}',
    "an unknown escape": b'{"a":"\\x41"}',
    "a short escape": b'{"a":"\\u12"}',
    "an open string": b'{"a":"',
    "an open object": b'{"a":1',
    "True": b'{"a":True}',
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_strict_json_refuses(raw: bytes):
    with pytest.raises(Refused) as caught:
        strict_json(raw)
    assert caught.value.code == "malformed"


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes):
    try:
        found = strict_json(raw)
    except Refused:
        return
    assert found == json.loads(raw)


HEAVY = {
    "one long string": b'{"a":"' + b"x" * 4_000_000 + b'"' + b',"b":[[' + b"[]," * 40 + b"1]]}",
    "one long string of escapes": b'{"a":"' + b"\\n" * 2_000_000 + b'"' + b',"b":[[' + b"[]," * 40 + b"1]]}",
    "a string that never ends": b'{"b":[' + b"[]," * 40 + b'"' + b"x" * 4_000_000,
    "quotes and backslashes": b'{"a":[' + b'"\\\\\\"",' * 400_000 + b"1" * 40 + b"[" * 40,
}


@pytest.mark.parametrize("raw", HEAVY.values(), ids=HEAVY)
def test_heavy_input_costs_little_memory_and_time(raw: bytes):
    """A matcher that keeps a way back for every character took a hundred times the text."""
    tracemalloc.start()
    started = time.process_time()
    with suppress(Refused):
        strict_json(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 * len(raw) + 1_000_000
    assert time.process_time() - started < 5
