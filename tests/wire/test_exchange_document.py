"""The exchange document (SPEC 8.3): composed, read again, and refused as a whole or not at all."""

import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.exchange import (
    BYTES_DEFAULT,
    CHUNK_BYTES_MAX,
    DOCUMENT_BYTES_MAX,
    ITEMS_DEFAULT,
    ITEMS_MAX,
    LINE_BYTES_MAX,
    LINES_MAX,
    Chunk,
    Pull,
    Verdict,
)
from schemas.ids import Incarnation
from sync import delivery
from sync.chain import header
from sync.delivery import Allowance, retry_cap_s
from sync.errors import BadDocument
from sync.exchange import Old, compose, read, read_claims
from sync.keys import Signer, b64
from sync.stream import stream_hash, stream_start
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY
from tests.wire.judge import keyring_of

KEYRING = keyring_of({"keys": c.keys()})
SIGNER = Signer(c.private(COUNTY))
SHARED = header(COUNTY, Incarnation(*c.inc(COUNTY)), c.AT)
THREAD = b.on_offer()
HEAD = c.document_header(COUNTY, CITY, first=1)
REF, SALT = c.part("text", b"x" * 1000)
CHUNK = Chunk(digest=REF["digest"], salt=SALT, size=1000, offset=0, data=b64(b"x" * 1000))
VERDICT = Verdict(seq=3, id="0" * 64, disposition="held", code="wrong-prev")
PULL = Pull(digest="0" * 64, offset=7)


def code_of(raw: bytes) -> str:
    with pytest.raises(BadDocument) as caught:
        read(raw, KEYRING)
    return caught.value.code


def test_document_composed_is_read_as_it_was():
    found = read(compose(HEAD, THREAD.raws, [VERDICT, CHUNK, PULL], SHARED, SIGNER), KEYRING)
    assert [item.raw for item in found.items] == THREAD.raws
    assert [item.id for item in found.items] == [c.identity(raw) for raw in THREAD.raws]
    assert (found.chunks, found.verdicts, found.pulls) == ((CHUNK,), (VERDICT,), (PULL,))
    assert found.header.model_dump(mode="json", by_alias=True) == {**HEAD, "inc": HEAD["inc"]}


def test_document_composed_is_the_one_of_the_specification():
    """Same bytes as those put together by hand from SPEC 8.3."""
    assert compose(HEAD, THREAD.raws, [], SHARED, SIGNER) == c.document(HEAD, THREAD.raws)


@given(st.data())
def test_any_one_byte_changed_is_refused_whole(data: st.DataObject):
    raw = compose(HEAD, THREAD.raws, [PULL], SHARED, SIGNER)
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    try:
        found = read(changed, KEYRING)
    except BadDocument:
        return
    assert at > raw.rindex(b"\n", 0, -1), "only white space of the seal line is free"
    assert found == read(raw, KEYRING)


@pytest.mark.slow
def test_document_cut_at_any_byte_is_refused():
    raw = compose(HEAD, THREAD.raws, [PULL], SHARED, SIGNER)
    for at in range(len(raw)):
        code_of(raw[:at])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(raw: bytes):
    code_of(raw)


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=4))
def test_any_lines_under_a_good_seal_are_read_or_refused(lines: list[bytes]):
    try:
        read(c.document(HEAD, lines), KEYRING)
    except BadDocument as error:
        assert error.code == "malformed"


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=4))
def test_any_lines_of_a_stranger_are_read_or_refused(lines: list[bytes]):
    raw = c.document(HEAD, lines, signed_by=c.STRANGER)
    assert code_of(raw) == "unknown-peer"
    try:
        assert KEYRING.get(read_claims(raw).kid) is None
    except BadDocument as error:
        assert error.code == "malformed"


@pytest.mark.parametrize("value", [b"{}", b'{"payload":7}', b'{"payload":"="}', b'{"x":{}}', b"7", b"[]", b"null"])
def test_an_old_line_that_is_no_statement_is_refused_alone_or_no_line(value: bytes):
    raw = compose(HEAD, [], [Old(value)], SHARED, SIGNER)
    if not value.startswith(b"{"):
        assert code_of(raw) == "malformed"
        return
    (old,) = read(raw, KEYRING).olds
    assert old.signed is None and old.problem is not None


def loose(name: str, size: int) -> bytes:
    return c.dumps({name: "x" * (size - len(name) - 7)})


LIMITS = {
    "a line of the largest size": ([loose("later", LINE_BYTES_MAX)], None),
    "a line a byte larger": ([loose("later", LINE_BYTES_MAX + 1)], "too-large"),
    "as many lines as may be": ([c.text("later", 1)] * LINES_MAX, None),
    "a line more": ([c.text("later", 1)] * (LINES_MAX + 1), "too-large"),
    "as many statements as may be": ([THREAD.raws[0]] * ITEMS_MAX, None),
    "a statement more": ([THREAD.raws[0]] * (ITEMS_MAX + 1), "too-large"),
    "a chunk of the largest size": (
        [c.text("chunk", {**CHUNK.model_dump(), "data": "A" * (CHUNK_BYTES_MAX * 4 // 3)})],
        None,
    ),
    "a chunk larger": (
        [c.text("chunk", {**CHUNK.model_dump(), "data": "A" * (CHUNK_BYTES_MAX * 4 // 3 + 5)})],
        "malformed",
    ),
    "100,000 lines": ([b"{}"] * 100_000, "too-large"),
    "a line of a million brackets": ([b"[" * 500_000], "malformed"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_document_at_a_limit(name: str):
    lines, code = LIMITS[name]
    raw = c.document(HEAD, lines)
    assert len(raw) <= DOCUMENT_BYTES_MAX
    if code is None:
        read(raw, KEYRING)
    else:
        assert code_of(raw) == code


FROM_STRANGERS = {
    "16 MiB of nothing": bytes(DOCUMENT_BYTES_MAX),
    "16 MiB of line feeds": b"\n" * DOCUMENT_BYTES_MAX,
    "one line of brackets": b"x\n" + b"[" * (DOCUMENT_BYTES_MAX - 3) + b"\n",
    "one line that is a string": b'x\n{"seal":"' + b"x" * (DOCUMENT_BYTES_MAX - 15) + b'"}\n',
    "one line of empty lists": b'x\n{"seal":[' + b"[]," * (DOCUMENT_BYTES_MAX // 3 - 8) + b"1]}\n",
    "a byte too much": bytes(DOCUMENT_BYTES_MAX) + b"\n",
}


@pytest.mark.parametrize("name", FROM_STRANGERS)
def test_document_of_a_stranger_costs_next_to_nothing(name: str):
    """Nobody has verified a signature yet: these bytes may come from anywhere."""
    raw = FROM_STRANGERS[name]
    tracemalloc.start()
    started = time.process_time()
    assert code_of(raw) in ("malformed", "too-large")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert time.process_time() - started < 0.5


def test_statement_line_that_is_no_statement_keeps_the_identity_its_sender_counts():
    bad = c.dumps({"payload": c.b64(b"{}"), "signatures": [], "more": 1})
    worse = b'{"payload":"=","signatures":[]}'
    found = read(c.document(HEAD, [bad, THREAD.raws[0], worse, b'{"payload":7}']), KEYRING)
    digests = [
        c.hashlib.sha256(raw).hexdigest() for raw in (b"{}", c.payload_of(THREAD.raws[0]), worse, b'{"payload":7}')
    ]
    assert [item.id for item in found.items] == digests
    assert [item.problem is None for item in found.items] == [False, True, False, False]


def test_stream_hash_ties_a_stream_to_its_ends_and_its_incarnation():
    one, other = Incarnation(*c.inc(COUNTY)), Incarnation(2, c.inc(COUNTY)[1])
    starts = {
        stream_start(COUNTY, one, CITY),
        stream_start(CITY, one, COUNTY),
        stream_start(COUNTY, other, CITY),
        stream_start(COUNTY, one, c.CITY2),
    }
    assert len(starts) == 4
    ids = [c.fixed(f"{n}", 32) for n in range(3)]
    hashes = c.stream(COUNTY, CITY, ids)
    assert stream_hash(stream_hash(stream_start(COUNTY, one, CITY), ids[0]), ids[1]) == hashes[2]


def test_allowance_grows_shrinks_and_stays_within_its_bounds():
    allowance: Any = Allowance()
    assert (allowance.items, allowance.bytes) == (ITEMS_DEFAULT, BYTES_DEFAULT)
    for _ in range(20):
        allowance = allowance.after_success()
    assert (allowance.items, allowance.bytes) == (delivery.ITEMS_CEILING, delivery.BYTES_CEILING)
    for _ in range(40):
        allowance = allowance.after_timeout()
    assert (allowance.items, allowance.bytes) == (1, delivery.BYTES_FLOOR)


def test_retry_follows_8_6():
    assert [retry_cap_s(n) for n in range(1, 12)] == [0, 5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert retry_cap_s(10**9) == 900
