"""A hostile child against a real parent over HTTP: whatever it says, a typed refusal, nothing changed, never a 500."""

import gzip
import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from node.store import tables as t
from node.store.engine import reading
from schemas.ids import NO_INCARNATION, Incarnation
from tests import nodes
from tests.edge.evil import (
    EXCHANGE,
    JOIN,
    PASSING,
    RECORD_OF_A_STATEMENT,
    RELAY,
    Evil,
    House,
    count,
    delegated,
    thread_of,
    topic_of,
    unchanged,
)
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, CITY2, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.good import opened_payload
from tests.wire.judge import raw_of
from tests.wire.make_vectors import VECTORS

NOTE: Json = {"text": "x"}
CLOSED: Json = {"text": "", "children": []}


# ---- no document at all -----------------------------------------------------------------------------------------

GARBAGE: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed"),
    "a line feed": (b"\n", 400, "malformed"),
    "two line feeds": (b"\n\n", 400, "malformed"),
    "text": (b"hello\nworld\n", 400, "malformed"),
    "random bytes": (os.urandom(4096), 400, "malformed"),
    "random lines": (b"\n".join(os.urandom(100).replace(b"\n", b"") for _ in range(50)) + b"\n", 400, "malformed"),
    "null bytes": (bytes(100_000), 400, "malformed"),
    "HTML": (b"<html>\n<body>\n", 400, "malformed"),
    "an empty object": (b"{}\n{}\n", 400, "malformed"),
    "500 levels": (b"{}\n" + b'{"seal":' * 500 + b"{}" + b"}" * 500 + b"\n", 400, "malformed"),
    "a lone surrogate": (b'{}\n{"seal":"\\ud800"}\n', 400, "malformed"),
    "a duplicate key": (b'{}\n{"seal":{},"seal":{}}\n', 400, "malformed"),
    "NaN": (b'{}\n{"seal":NaN}\n', 400, "malformed"),
    "an integer of 5000 digits": (b'{}\n{"seal":' + b"9" * 5000 + b"}\n", 400, "malformed"),
    "invalid UTF-8": (b'{}\n{"seal":"\xff"}\n', 400, "malformed"),
    "a byte order mark": (b"\xef\xbb\xbf{}\n{}\n", 400, "malformed"),
    "gzip": (gzip.compress(b"{}\n{}\n"), 400, "malformed"),
    "20,000 lines": (b"{}\n" * 20_000, 413, "too-large"),
    "a seal of 200 KiB": (b'{}\n{"seal":"' + b"x" * 200_000 + b'"}\n', 413, "too-large"),
    "17 MiB": (bytes(17 * 1024 * 1024), 413, "too-large"),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused(house: House, evil: Evil, name: str):
    raw, status, problem = GARBAGE[name]
    with unchanged(house.city, frozenset()):
        answer = evil.send(raw)
    assert (answer.status, answer.problem) == (status, problem)


@pytest.mark.parametrize("path", [EXCHANGE, JOIN])
def test_body_of_64_mib_is_cut_off_early(house: House, path: str):
    """Streamed without a length: the parent answers and hangs up long before the end."""
    at = urlsplit(house.url)
    sent = 0
    with unchanged(house.city), socket.create_connection((at.hostname, at.port), timeout=20) as sock:
        sock.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        try:
            for _ in range(1024):
                sock.sendall(piece)
                sent += 0x10000
        except OSError:
            pass
        try:
            said = sock.recv(4096)
        except OSError:
            said = b""
    assert sent < 48 * 1024 * 1024
    assert not said or said.startswith(b"HTTP/1.1 413"), said[:200]


def test_body_that_says_64_mib_is_refused_before_it_is_sent(house: House):
    at = urlsplit(house.url)
    with unchanged(house.city), socket.create_connection((at.hostname, at.port), timeout=20) as sock:
        sock.sendall(f"POST {EXCHANGE} HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", EXCHANGE), ("PUT", EXCHANGE), ("DELETE", EXCHANGE), ("GET", JOIN)]
)
def test_other_methods_are_not_there(evil: Evil, method: str, path: str):
    response = evil.client.request(method, path)
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"


# ---- a document whose envelope is wrong --------------------------------------------------------------------------

Wrong = Callable[[Evil], bytes]

ENVELOPES: dict[str, Wrong] = {
    "sealed under an unknown key": lambda evil: evil.document(signed_by=c.STRANGER),
    "sealed by another node": lambda evil: evil.document(signed_by=COUNTY2),
    "of a node nobody enrolled": lambda evil: evil.document(
        signed_by=c.STRANGER, **{"from": c.STRANGER}, seal={"author": c.STRANGER}
    ),
    "of a node that is no child": lambda evil: evil.document(signed_by=CITY2, **{"from": CITY2, "inc": c.inc(CITY2)}),
    "of the parent's own": lambda evil: evil.document(signed_by=CITY, **{"from": CITY, "inc": c.inc(CITY)}),
    "of the parent's parent": lambda evil: evil.document(
        signed_by=PROVINCE, **{"from": PROVINCE, "inc": c.inc(PROVINCE)}
    ),
    "in another's name": lambda evil: evil.document(**{"from": COUNTY2}),
    "to another node": lambda evil: evil.document(to=PROVINCE),
    "to nobody": lambda evil: evil.document(to="000000"),
    "in an incarnation nobody can have granted": lambda evil: evil.document(inc=[2**53 - 1, "0" * 32]),
    "in this number with another nonce": lambda evil: evil.document(inc=[1, "0" * 32]),
    "statements without incarnation": lambda evil: evil.document(b.born().raws, inc=list(NO_INCARNATION), first=1),
    "on the lane of bundles": lambda evil: evil.document(lane="file"),
    "on a lane of no meaning": lambda evil: evil.document(lane="fast"),
    "without session": lambda evil: evil.document(session=None),
    "without nonce": lambda evil: evil.document(nonce=None),
    "with another version": lambda evil: evil.document(v=2),
    "with an unknown field": lambda evil: evil.document(extra=1),
    "with a checkpoint": lambda evil: evil.document(checkpoint={"size": 1}),
    "with a budget of nothing": lambda evil: evil.document(budget={"items": 0, "bytes": 0, "wait_s": 0}),
    "that asks to wait for an hour": lambda evil: evil.document(budget={"items": 1, "bytes": 1024, "wait_s": 3600}),
    "with an ack below zero": lambda evil: evil.document(ack={"inc": c.inc(CITY), "seq": -1, "hash": "0" * 64}),
    "whose seal has another receiver": lambda evil: evil.document(seal={"to": PROVINCE}),
    "whose seal has another nonce": lambda evil: evil.document(seal={"nonce": "0" * 32}),
    "whose seal has another session": lambda evil: evil.document(seal={"session": "0" * 32}),
    "whose seal has another incarnation": lambda evil: evil.document(seal={"inc": [2, "0" * 32]}),
    "whose seal has another digest": lambda evil: evil.document(seal={"digest": "0" * 64}),
    "whose seal is a remark": lambda evil: evil.document().replace(
        *(c.b64(c.header(COUNTY, typ)).encode() for typ in (c.SEAL, c.REMARK))
    ),
    "without its seal": lambda evil: evil.document().rpartition(b'{"seal"')[0],
    "without its last byte": lambda evil: evil.document()[:-1],
    "cut in half": lambda evil: (lambda raw: raw[: len(raw) // 2])(evil.document(b.born().raws, first=1)),
    "with a byte flipped": lambda evil: evil.document().replace(b'"push"', b'"wait"'),
    "with a statement after a loose line": lambda evil: evil.ready(loose=[c.text("later", 1), *b.born().raws]),
    "with an empty line": lambda evil: evil.ready(loose=[b""]),
    "with a line of garbage": lambda evil: evil.ready(loose=[b"\x00\x01"]),
    "with a line of 500 levels": lambda evil: evil.ready(loose=[b'{"a":' * 500 + b"1" + b"}" * 500]),
    "with a key twice in a line": lambda evil: evil.ready(loose=[b'{"pull":1,"pull":2}']),
    "with a lone surrogate in a line": lambda evil: evil.ready(loose=[b'{"later":"\\udead"}']),
    "with NaN in a line": lambda evil: evil.ready(loose=[b'{"later":NaN}']),
    "with a chunk of no shape": lambda evil: evil.ready(loose=[c.text("chunk", {})]),
    "with a pull of no shape": lambda evil: evil.ready(loose=[c.text("pull", [])]),
    "with a verdict of no shape": lambda evil: evil.ready(loose=[c.text("verdict", 1)]),
}


OF_NO_PEER = (
    "sealed under an unknown key",
    "of a node nobody enrolled",
    "of a node that is no child",
    "of the parent's own",
    "of the parent's parent",
)


@pytest.mark.parametrize("name", ENVELOPES)
def test_document_with_a_wrong_envelope_is_refused(house: House, evil: Evil, name: str):
    raw = ENVELOPES[name](evil)
    with unchanged(house.city):
        answer = evil.send(raw)
    assert answer.status in (400, 403)
    assert answer.problem == ("unknown-peer" if name in OF_NO_PEER else "malformed")


def test_document_in_a_later_incarnation_is_answered_with_what_is_known_and_changes_nothing(house: House, evil: Evil):
    """One of the two has been restored; whoever it is learns it from the ack (SPEC 14.1)."""
    with unchanged(house.city):
        answer = evil.send(evil.document(b.born().raws, inc=[2, "0" * 32], first=1))
    assert answer.status == 428
    assert answer.document is not None
    assert answer.document.header.ack.inc == Incarnation(*c.inc(COUNTY))


LARGE: dict[str, Callable[[], list[bytes]]] = {
    "a huge line": lambda: [c.text("later", "x" * 600_000)],
    "100,000 lines": lambda: [c.text("later", 1)] * 100_000,
    "12,001 lines": lambda: [c.text("later", 1)] * 12_001,
}


@pytest.mark.parametrize("name", LARGE)
def test_document_too_large_is_refused(house: House, evil: Evil, name: str):
    raw = evil.ready(loose=LARGE[name]())
    with unchanged(house.city):
        answer = evil.send(raw)
    assert (answer.status, answer.problem) == (413, "too-large")


def test_document_of_5001_statements_is_refused(house: House, evil: Evil):
    raw = evil.ready(b.born().raws * 5001)
    with unchanged(house.city):
        assert evil.send(raw).problem == "too-large"


# ---- challenges and replays --------------------------------------------------------------------------------------

CHALLENGES: dict[str, Wrong] = {
    "answers nothing": lambda evil: evil.document(b.born().raws, first=evil.challenge()[1] + 1),
    "answers what nobody asked": lambda evil: evil.document(b.born().raws, first=1, answers="0" * 32),
    "answers a challenge of another session": lambda evil: evil.document(
        b.born().raws, first=1, answers=evil.challenge("1" * 32)[0]
    ),
}


@pytest.mark.parametrize("name", CHALLENGES)
def test_unknown_challenge_applies_nothing_and_gives_a_fresh_one(house: House, evil: Evil, name: str):
    raw = CHALLENGES[name](evil)
    with unchanged(house.city):
        answer = evil.send(raw)
    assert answer.status == 428
    assert answer.document is not None
    assert answer.document.header.challenge is not None
    assert answer.content == ()


def test_challenge_of_another_child_does_not_serve(house: House, evil: Evil):
    theirs = house.evil(COUNTY2).challenge()[0]
    with unchanged(house.city):
        assert evil.send(evil.document(b.born().raws, first=1, answers=theirs)).status == 428


def test_challenge_serves_once(house: House, evil: Evil):
    challenge, seq = evil.challenge()
    assert evil.send(evil.document(answers=challenge)).status == 200
    with unchanged(house.city):
        again = evil.send(evil.document(b.born().raws, first=seq + 1, answers=challenge))
    assert again.status == 428


def test_replay_changes_nothing_and_reads_nothing_out(house: House, evil: Evil):
    delegated(house)
    thread = b.born(what="replayed")
    raw = evil.ready(thread.raws, budget={"items": 5000, "bytes": 1 << 24, "wait_s": 0})
    first = evil.send(raw)
    assert first.status == 200
    assert first.content
    for _ in range(3):
        with unchanged(house.city):
            again = evil.send(raw)
        assert again.status == 428
        assert again.content == ()


def test_challenges_kept_are_few(house: House, evil: Evil):
    for _ in range(40):
        evil.challenge()
    with reading(house.city.engine) as conn:
        kept = conn.execute(select(func.count()).where(t.challenges.c.peer == COUNTY)).scalar_one()
    assert kept <= 16


# ---- statements in a good document ------------------------------------------------------------------------------

Lines = Callable[[House, Evil], list[bytes]]


def entry(kind: str, body: Json, **other: Any) -> Lines:
    """The next entry of a fresh topic of the county."""

    def make(house: House, evil: Evil) -> list[bytes]:
        thread = evil.topic()
        thread.add(COUNTY, kind, body, **other)
        return thread.raws[-1:]

    return make


def offers(to: str, mode: str, **other: Any) -> Lines:
    return entry("offered", b.offered(to, mode, **other))


def on_offer(kind: str, body: Callable[[Thread], Json]) -> Lines:
    """The entry after an open offer of the county to the city."""

    def make(house: House, evil: Evil) -> list[bytes]:
        thread = evil.topic()
        assert evil.add(thread, "offered", b.offered(CITY, "escalate")).verdicts == ()
        thread.add(COUNTY, kind, body(thread))
        return thread.raws[-1:]

    return make


def of_the_city(kind: str, body: Json, to: str | None = None) -> Lines:
    """The next entry of a topic of the city, by the county; `to` has an open offer of it."""

    def make(house: House, evil: Evil) -> list[bytes]:
        thread = thread_of(house, topic_of(house) if to is None else delegated(house, to))
        thread.add(COUNTY, kind, {"offer": thread.head} if kind == "accepted" else body)
        return thread.raws[-1:]

    return make


def newborn(**other: Any) -> Lines:
    return lambda house, evil: b.born(what=c.fixed(str(time.monotonic_ns())), **other).raws


def born_with(**header: Any) -> Lines:
    def make(house: House, evil: Evil) -> list[bytes]:
        thread = Thread()
        thread.add(COUNTY, "opened", b.opened(COUNTY, what=str(time.monotonic_ns())), **header)
        return thread.raws

    return make


def plain(raw: Callable[[], bytes]) -> Lines:
    return lambda house, evil: [raw()]


def made(code: str = COUNTY, typ: str = c.ENTRY, header: bytes | None = None, **fields: Any) -> Lines:
    """A birth of the county with these fields, signed by `code`."""
    return plain(lambda: c.jws(c.dumps(opened_payload(**fields)), typ, code, header))


def payload(old: bytes, new: bytes) -> Lines:
    """A payload of which some bytes are others, rightly signed."""

    def make(house: House, evil: Evil) -> list[bytes]:
        good = c.dumps(opened_payload())
        assert old in good
        return [c.jws(good.replace(old, new), c.ENTRY, COUNTY)]

    return make


def about_a_topic_of_others(house: House, evil: Evil) -> list[bytes]:
    topic = topic_of(house)
    return [c.remark(COUNTY, topic, topic, "comment", {"text": "x"})]


def register(code: str, seq: int, kind: str, body: Json, **other: Any) -> Lines:
    return lambda house, evil: [c.registered(code, seq, None, kind, body, **other)]


REF, SALT = c.part("text", b"x")
TITLE = "滨河路路灯不亮".encode()

DISPOSITIONS: dict[str, tuple[Lines, str, str]] = {
    "an author forged": (entry("noted", NOTE, author=COUNTY2), "held", "forged-author"),
    "an author forged in a birth": (born_with(author=CITY), "held", "forged-author"),
    "a signature changed": (plain(lambda: c.flip(b.born(what="flipped").raws[0])), "held", "bad-signature"),
    "a key nobody knows": (made(c.STRANGER), "deferred", "unknown-key"),
    "an unknown type": (made(typ="liandong-x+jws"), "held", "unknown-type"),
    "a wrong prev": (entry("noted", NOTE, prev="0" * 64), "held", "wrong-prev"),
    "a wrong seq": (entry("noted", NOTE, seq=5), "held", "wrong-seq"),
    "a wrong term": (entry("noted", NOTE, term=[9, 3, [0, ""], 0]), "held", "wrong-term"),
    "a wrong incarnation": (entry("noted", NOTE, inc=[2, "0" * 32]), "held", "not-the-writer"),
    "a birth in an incarnation never granted": (born_with(inc=[7, "0" * 32]), "deferred", "unknown-key"),
    "a birth at seq 1": (born_with(seq=1), "held", "wrong-position"),
    "a second birth": (entry("opened", b.opened(COUNTY)), "held", "wrong-position"),
    "an entry of no topic": (made(topic="0" * 64, kind="noted", body=NOTE), "deferred", "gap"),
    "a keeper of its own choice": (newborn(keeper=None), "held", "wrong-keeper"),
    "arbiters of its own choice": (newborn(arbiters=[COUNTY]), "held", "wrong-arbiters"),
    "a depth without a parent": (newborn(depth=3), "held", "wrong-position"),
    "an offer past the parent": (offers(PROVINCE, "escalate"), "held", "not-the-parent"),
    "an offer to a sibling": (offers(COUNTY2, "delegate"), "held", "not-a-descendant"),
    "an offer to itself": (offers(COUNTY, "delegate"), "held", "not-to-oneself"),
    "an offer to nobody": (offers(c.STRANGER, "delegate"), "deferred", "unknown-key"),
    "an offer to a dead incarnation": (offers(CITY, "escalate", to_inc=[0, ""]), "held", "wrong-incarnation"),
    "a report from the origin": (offers(CITY, "report"), "held", "not-the-way-back"),
    "a re-homing without a claim": (offers(CITY, "rehome"), "held", "not-claimed"),
    "a claim by a county": (
        entry("claimed", {"reason": "x", "approved_by": []}, term=[1, 1, c.inc(COUNTY), 0]),
        "held",
        "not-an-arbiter",
    ),
    "a close without result": (entry("closed", CLOSED), "held", "no-result"),
    "a reopening of what is open": (entry("reopened", {"reason": "x"}), "held", "not-closed"),
    "an end of a child never split off": (
        entry("child_closed", b.child("0" * 64, 0, "1" * 64, "2" * 64)),
        "held",
        "no-such-child",
    ),
    "work under its open offer": (on_offer("noted", lambda _: NOTE), "held", "offer-open"),
    "a second offer": (on_offer("offered", lambda _: b.offered(CITY, "escalate")), "held", "offer-open"),
    "an acceptance of its own offer": (
        on_offer("accepted", lambda thread: {"offer": thread.head}),
        "held",
        "not-offered-here",
    ),
    "an acceptance of another offer": (on_offer("accepted", lambda _: {"offer": "0" * 64}), "held", "no-such-offer"),
    "its topic back with its own decline": (
        on_offer("resumed", lambda thread: b.resumed(thread.head, b.declined(thread, COUNTY))),
        "held",
        "not-declined",
    ),
    "its topic back with a forged decline": (
        on_offer("resumed", lambda thread: b.resumed(thread.head, c.flip(b.declined(thread, CITY)))),
        "held",
        "bad-signature",
    ),
    "its topic back with no decline": (
        on_offer("resumed", lambda thread: {"offer": thread.head, "declined": {}}),
        "refused",
        "malformed",
    ),
    "work on a topic of others": (of_the_city("noted", NOTE), "held", "not-the-writer"),
    "an offer of a topic of others": (of_the_city("offered", b.offered(COUNTY, "delegate")), "held", "not-the-writer"),
    "an end of a topic of others": (of_the_city("closed", CLOSED), "held", "not-the-writer"),
    "work on a topic offered to it before it accepts": (of_the_city("noted", NOTE, COUNTY), "held", "not-the-writer"),
    "an acceptance of what a sibling is offered": (of_the_city("accepted", {}, COUNTY2), "held", "not-offered-here"),
    "a remark on a topic of others": (about_a_topic_of_others, "deferred", "not-a-participant"),
    "a remark on nothing": (
        plain(lambda: c.remark(COUNTY, "0" * 64, "0" * 64, "comment", {"text": "x"})),
        "deferred",
        "unknown-entry",
    ),
    "a node of its own": (register(COUNTY, 0, "enrolled", b.enrolled(c.STRANGER)), "held", "wrong-tier"),
    "a second root": (
        register(COUNTY, 0, "anchored", {"node": c.card(COUNTY), "inc": c.inc(COUNTY), "witnesses": []}),
        "held",
        "second-root",
    ),
    "a registry with a gap": (register(COUNTY, 4, "enrolled", b.enrolled(c.STRANGER)), "deferred", "gap"),
    "a registry in another incarnation": (
        register(COUNTY, 0, "enrolled", b.enrolled(c.STRANGER), inc=[2, "0" * 32]),
        "deferred",
        "unknown-key",
    ),
    "an object that is no JWS": (plain(lambda: b'{"payload":"e30"}'), "refused", "malformed"),
    "a payload that is no text": (plain(lambda: b'{"payload":1,"signatures":[]}'), "refused", "malformed"),
    "a key in band": (made(header=c.header(COUNTY, c.ENTRY)[:-1] + b',"jwk":{}}'), "refused", "malformed"),
    "alg none": (made(header=c.header(COUNTY, c.ENTRY, "none")), "refused", "malformed"),
    "a duplicate key": (payload(b'"v":1', b'"v":1,"v":1'), "refused", "malformed"),
    "NaN for seq": (payload(b'"seq":0', b'"seq":NaN'), "refused", "malformed"),
    "a float": (payload(b'"seq":0', b'"seq":0.0'), "refused", "malformed"),
    "a lone surrogate": (payload(TITLE, b"\\ud800"), "refused", "malformed"),
    "U+0000": (payload(TITLE, b"\\u0000"), "refused", "malformed"),
    "500 levels": (payload(b'"seq":0', b'"seq":' + b"[" * 500 + b"]" * 500), "refused", "malformed"),
    "an unknown field": (payload(b'"seq":0', b'"seq":0,"extra":0'), "refused", "invalid"),
    "a seq of text": (payload(b'"seq":0', b'"seq":"0"'), "refused", "invalid"),
    "a title of 301": (payload(TITLE, b"x" * 301), "refused", "invalid"),
    "a payload of 61,441 bytes": (payload(b'"seq":0', b'"seq":0' + b" " * 61_441), "refused", "too-large"),
    "two parts of one name": (payload(b'"parts":[]', b'"parts":' + c.dumps([REF, REF])), "refused", "invalid"),
    "a year no database knows": (payload(b"2026-05-01T01:00:00Z", b"9999-12-31T23:59:59Z"), "refused", "invalid"),
}


@pytest.mark.parametrize("name", DISPOSITIONS)
def test_statement_gets_its_disposition_and_changes_nothing(house: House, evil: Evil, name: str):
    lines, disposition, code = DISPOSITIONS[name]
    raw = evil.ready(lines(house, evil))
    with unchanged(house.city, RECORD_OF_A_STATEMENT):
        answer = evil.send(raw)
    assert answer.status == 200
    assert [(verdict.disposition, verdict.code) for verdict in answer.verdicts] == [(disposition, code)]


RELAYED: dict[str, tuple[Lines, str, str]] = {
    "a skipped seq": (entry("noted", NOTE, seq=5, prev="0" * 64), "deferred", "gap"),
    "an unknown kind": (entry("weighed", NOTE), "held", "unknown-kind"),
    "a fork by another": (of_the_city("noted", NOTE), "held", "not-the-writer"),
}


@pytest.mark.parametrize("name", RELAYED)
def test_statement_that_cannot_be_applied_yet_changes_no_topic(house: House, evil: Evil, name: str):
    lines, disposition, code = RELAYED[name]
    raw = evil.ready(lines(house, evil))
    with unchanged(house.city, RELAY):
        answer = evil.send(raw)
    assert [(verdict.disposition, verdict.code) for verdict in answer.verdicts] == [(disposition, code)]


def test_two_entries_at_one_position_freeze_their_author_alone(house: House):
    evil = house.another("620122")
    thread = evil.topic()
    assert evil.add(thread, "noted", {"text": "one"}).verdicts == ()
    rival = Thread(thread.raws[:1], thread.topic, thread.term)
    answer = evil.add(rival, "noted", {"text": "two"})
    assert [(verdict.disposition, verdict.code) for verdict in answer.verdicts] == [("held", "fork")]
    assert nodes.state_of(house.city, str(thread.topic))[3] == "frozen"
    assert count(house, t.equivocations) == 1
    held = evil.add(thread, "noted", {"text": "three"})
    assert [verdict.code for verdict in held.verdicts] == ["frozen"]
    again = evil.say(rival.raws[-1:])
    assert [verdict.disposition for verdict in again.verdicts] == ["duplicate"]
    assert nodes.state_of(house.city, topic_of(house))[3] == "active"


def test_bad_statement_does_not_stop_those_after_it(house: House, evil: Evil):
    one, two = b.born(what="before"), b.born(what="after")
    bad = c.flip(b.born(what="between").raws[0])
    answer = evil.say([*one.raws, bad, b'{"payload":""}', *two.raws])
    assert [verdict.disposition for verdict in answer.verdicts] == ["held", "refused"]
    for thread in (one, two):
        assert nodes.state_of(house.city, str(thread.topic))[:2] == (COUNTY, 0)


def test_statements_said_again_get_their_first_disposition_and_change_nothing(house: House, evil: Evil):
    _, seq = evil.challenge()
    lines = [b.born(what="said once").raws[0], c.flip(b.born(what="said badly").raws[0])]
    assert [verdict.code for verdict in evil.say(lines).verdicts] == ["bad-signature"]
    raw = evil.ready(lines, first=seq + 1)
    with unchanged(house.city, PASSING | {"links", "audit"}):
        again = evil.send(raw)
    assert [(verdict.disposition, verdict.code) for verdict in again.verdicts] == [
        ("duplicate", None),
        ("held", "bad-signature"),
    ]


def test_statements_ahead_of_the_stream_are_ignored(house: House, evil: Evil):
    _, seq = evil.challenge()
    for first in (seq + 2, seq + 1000, 2**53 - 1):
        raw = evil.ready(b.born(what="ahead").raws, first=first)
        with unchanged(house.city, PASSING | {"links"}):
            answer = evil.send(raw)
        assert (answer.status, answer.verdicts) == (200, ())
        assert answer.document is not None
        assert answer.document.header.ack.seq == seq


# ---- every wire vector, over the wire ----------------------------------------------------------------------------


def vectors(checks: str) -> list[Any]:
    found = []
    for file in sorted((VECTORS / "bad").glob("*.json")):
        vector = json.loads(file.read_text("utf-8"))
        if vector["checks"] == checks:
            found.append(pytest.param(vector, id=file.stem))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("vector", vectors("document"))
def test_bad_document_vector_is_refused(house: House, evil: Evil, vector: Json):
    with unchanged(house.city):
        answer = evil.send(raw_of(vector["given"]))
    assert answer.status == (413 if vector["expect"]["document"] == "too-large" else 400)


@pytest.mark.slow
@pytest.mark.parametrize("vector", vectors("statement"))
def test_bad_statement_vector_gets_its_disposition(house: House, evil: Evil, vector: Json):
    line = raw_of(vector["given"])
    raw = evil.ready([line])
    with unchanged(house.city, RECORD_OF_A_STATEMENT):
        answer = evil.send(raw)
    if answer.status != 200:
        assert vector["expect"]["code"] == "malformed", "not even a line of a document"
        return
    found = [(verdict.disposition, verdict.code) for verdict in answer.verdicts]
    assert found == [(vector["expect"]["disposition"], vector["expect"]["code"])]
