"""A hostile child: streams that cannot be, parts that are not for it, floods, and joining."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from node.service import exchange, life
from node.store import links
from node.store import tables as t
from node.store.engine import reading
from sync.errors import TransportError
from tests import nodes
from tests.edge.evil import (
    JOIN,
    PASSING,
    Evil,
    House,
    count,
    delegated,
    digest_of,
    make_house,
    served,
    topic_of,
    unchanged,
)
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.good import join_payload, loose_lines

REF, SALT = c.part("text", b"x")


# ---- streams: more than was sent, another hash -------------------------------------------------------------------

ACKS: dict[str, tuple[str, Json]] = {
    "more than was sent": {"seq": 2**31},
    "far more than any database counts": {"seq": 2**53 - 1},
    "of a later incarnation": {"inc": [9, "0" * 32]},
}


def test_ack_with_another_hash_stops_the_link_and_nothing_else(house: House):
    code = "620121"
    evil = house.another(code)
    ack = {"inc": c.inc(CITY), "seq": 0, "hash": "0" * 64}
    raw = evil.ready(b.born(what="with a bad ack").raws, ack=ack)
    with unchanged(house.city, PASSING | {"links", "replaced_instances", "audit"}):
        assert evil.send(raw).status == 200
        refused = evil.send(evil.document())
    assert refused.status in (400, 403)
    assert house.evil(COUNTY2).say().status == 200


@pytest.mark.parametrize("name", ACKS)
def test_child_that_only_says_that_it_knows_more_is_believed_once(tmp_path: Path, name: str):
    """R10 asks no proof; but who then has nothing to show stands still until a person has looked."""
    house = make_house(tmp_path)
    above = nodes.lane(house.city, house.province)
    with served(house.city) as url:
        evil = Evil(url, COUNTY)
        ack = {"inc": c.inc(CITY), "seq": 0, "hash": c.stream(CITY, COUNTY, [])[0], **ACKS[name]}
        assert evil.send(evil.ready(ack=ack)).status == 200
        evil.client.close()
    assert life.now(house.city).healing_why == f"peer-knows-more {COUNTY}"
    lanes = [(node, nodes.lane(node, house.city)) for node in (house.county, house.county2)]
    for _ in range(12):
        for node, lane in ((house.city, above), *lanes):
            with suppress(TransportError):
                exchange.call(node, lane)
    mine = life.now(house.city)
    assert mine.live and mine.inc.number > 1
    with reading(house.city.engine) as conn:
        assert {link.peer: link.stopped for link in links.load_all(conn) if link.stopped} == {COUNTY: "peer-knows-more"}


def test_ack_of_an_earlier_incarnation_says_nothing(house: House, evil: Evil):
    raw = evil.ready(ack={"inc": [0, ""], "seq": 2**53 - 1, "hash": "0" * 64})
    with unchanged(house.city, PASSING | {"links", "replaced_instances"}):
        assert evil.send(raw).status == 200
    assert evil.say().status == 200


# ---- parts -------------------------------------------------------------------------------------------------------


def pull(digest: str, offset: int = 0) -> bytes:
    return c.text("pull", {"digest": digest, "offset": offset})


def with_room(evil: Evil, *loose: bytes) -> Any:
    return evil.say(loose=loose, budget={"items": 1, "bytes": 1 << 20, "wait_s": 0})


PULLS: dict[str, Callable[[House], str]] = {
    "a part of nothing": lambda house: "0" * 64,
    "a part of a topic it has no part in": lambda house: digest_of(house, topic_of(house), "full"),
    "a local part of such a topic": lambda house: digest_of(house, topic_of(house), "local"),
    "a local part of a topic it takes part in": lambda house: digest_of(house, delegated(house), "local"),
    "a part of a sibling's topic": lambda house: digest_of(house, delegated(house, COUNTY2), "full"),
}


@pytest.mark.parametrize("name", PULLS)
def test_pull_of_what_is_not_for_it_gives_nothing(house: House, evil: Evil, name: str):
    digest = PULLS[name](house)
    with unchanged(house.city, PASSING | {"links", "replaced_instances"}):
        answer = with_room(evil, pull(digest))
    assert answer.status == 200
    assert [chunk for chunk in answer.document.chunks if chunk.digest == digest] == []


def test_pull_of_what_was_sent_to_it_gives_it(house: House, evil: Evil):
    digest = digest_of(house, delegated(house), "full")
    answer = with_room(evil, pull(digest))
    assert digest in {chunk.digest for chunk in answer.document.chunks}
    beyond = with_room(evil, pull(digest, 2**25))
    assert [chunk for chunk in beyond.document.chunks if chunk.digest == digest] == []


def chunk(digest: str, data: bytes, salt: str = SALT, size: int | None = None, offset: int = 0) -> bytes:
    found = {"digest": digest, "salt": salt, "size": len(data) if size is None else size, "offset": offset}
    return c.text("chunk", {**found, "data": c.b64(data)})


def test_chunks_nobody_asked_for_are_dropped(house: House, evil: Evil):
    known = digest_of(house, topic_of(house), "local")
    loose = [chunk("0" * 64, b"x"), chunk(REF["digest"], b"x"), chunk(known, b"x"), *loose_lines()] * 20
    raw = evil.ready(loose=loose)
    with unchanged(house.city, PASSING | {"links", "replaced_instances", "audit"}):
        assert evil.send(raw).status == 200


CHUNKS: dict[str, Callable[[Json], bytes]] = {
    "another content": lambda ref: chunk(ref["digest"], b"y" * ref["size"]),
    "another salt": lambda ref: chunk(ref["digest"], b"x" * ref["size"], salt="0" * 32),
    "another size": lambda ref: chunk(ref["digest"], b"x" * ref["size"], size=ref["size"] + 1),
    "more than the size": lambda ref: chunk(ref["digest"], b"x" * (ref["size"] + 1), size=ref["size"]),
    "a hole before it": lambda ref: chunk(ref["digest"], b"x", size=ref["size"], offset=5),
    "no bytes": lambda ref: chunk(ref["digest"], b"", size=ref["size"]),
    "base64 with bits to spare": lambda ref: c.text(
        "chunk", {"digest": ref["digest"], "salt": SALT, "size": ref["size"], "offset": 0, "data": "AB"}
    ),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunk_that_does_not_fit_is_not_kept(house: House, evil: Evil, name: str):
    content = name.encode() * 7
    ref, salt = c.part("text", content)
    thread = Thread()
    thread.add(COUNTY, "opened", b.opened(COUNTY, what=f"chunk {name}"), [ref])
    assert evil.say(thread.raws).verdicts == ()
    parts = count(house, t.parts)
    assert with_room(evil, CHUNKS[name](ref)).status == 200
    assert count(house, t.parts) == parts
    assert count(house, t.part_chunks) == 0
    asked = with_room(evil).document.pulls
    assert ref["digest"] in {one.digest for one in asked}
    assert with_room(evil, chunk(ref["digest"], content, salt)).status == 200
    assert count(house, t.parts) == parts + 1


# ---- floods ------------------------------------------------------------------------------------------------------


def test_verdicts_without_end_change_no_topic(house: House, evil: Evil):
    said = [c.text("verdict", {"seq": n, "id": "0" * 64, "disposition": "held", "code": "x"}) for n in range(11_000)]
    raw = evil.ready(loose=said)
    with unchanged(house.city, PASSING | {"links", "replaced_instances", "audit"}):
        assert evil.send(raw).status == 200


def test_pulls_without_end_give_no_more_than_the_budget(house: House, evil: Evil):
    digest = digest_of(house, delegated(house), "full")
    answer = evil.say(loose=[pull(digest)] * 10_000)
    assert answer.status == 200
    assert sum(len(one.data) for one in answer.document.chunks) < 4096


def test_health_answers_after_all_that(evil: Evil):
    assert evil.client.get("/healthz").status_code == 200


# ---- joining -----------------------------------------------------------------------------------------------------

JOINS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "garbage": lambda: os.urandom(500),
    "500 levels": lambda: b'{"payload":' * 500 + b"1" + b"}" * 500,
    "a secret nobody gave": lambda: c.jws(c.dumps(join_payload(node=c.card(c.STRANGER))), c.JOIN, c.STRANGER),
    "under another key": lambda: c.jws(c.dumps(join_payload(node=c.card(c.STRANGER))), c.JOIN, COUNTY),
    "of another type": lambda: c.jws(c.dumps(join_payload()), c.SEAL, COUNTY),
    "for another parent": lambda: c.jws(c.dumps(join_payload(parent=PROVINCE)), c.JOIN, COUNTY),
    "with an unknown field": lambda: c.jws(c.dumps(join_payload(extra=1)), c.JOIN, COUNTY),
    "with a key of small order": lambda: c.jws(
        c.dumps(join_payload(node={**c.card(c.STRANGER), "key": c.b64(bytes([1]) + bytes(31))})), c.JOIN, c.STRANGER
    ),
    "with a key that is no key": lambda: c.jws(
        c.dumps(join_payload(node={**c.card(c.STRANGER), "key": "_" * 43})), c.JOIN, c.STRANGER
    ),
    "with a duplicate key": lambda: c.jws(c.dumps(join_payload())[:-1] + b',"v":1}', c.JOIN, COUNTY),
}


@pytest.mark.parametrize("name", JOINS)
def test_join_is_refused(house: House, evil: Evil, name: str):
    with unchanged(house.city, frozenset()):
        answer = evil.send(JOINS[name](), JOIN)
    assert 400 <= answer.status < 500
    assert answer.problem in ("malformed", "invalid", "not-allowed")


def test_join_too_large_is_refused(house: House, evil: Evil):
    with unchanged(house.city, frozenset()):
        assert evil.send(bytes(65_537), JOIN).problem == "too-large"
