"""A hostile parent, or whoever answers in its place: the child refuses by type and changes nothing it need not."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import BadToken
from node.service import exchange, joining, life
from node.service.commit import write
from node.service.open import open_topic
from node.service.roster import current
from node.store import links as link_rows
from node.store.engine import reading
from node.store.tables import part_refs
from schemas.api import OpenForm
from schemas.ids import Incarnation, Tier
from sync.errors import TransportError
from sync.keys import b64, unb64
from sync.transport import Reply, Transport
from tests import nodes
from tests.edge.evil import PASSING, House, make, make_house, unchanged
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, PROVINCE, Json, Thread
from tests.wire.good import loose_lines

MISSED = PASSING | {"links", "replaced_instances"}
"""What may change when there was no answer: the failure is counted on the link."""
NOTED = MISSED | {"parked", "audit"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = make_house(tmp_path_factory.mktemp("tree"))
    lane = nodes.lane(house.county, house.city)
    nodes.settle([lane], [house.county])
    form = OpenForm(title="路灯", text="十二盏路灯不亮", areas=[COUNTY], submitter="0931-1234567")
    nodes.do(house.county, open_topic, form)
    return house


@dataclass
class FakeParent:
    """Answers every request of the county with what `answer` makes of its header, under the city's own key."""

    county: Any
    answer: Callable[["FakeParent", Json], Reply]
    requests: list[Json] = field(default_factory=list)

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        self.requests.append(json.loads(body.split(b"\n")[0]))
        return self.answer(self, self.requests[-1])

    def close(self) -> None:
        pass

    def reply(self, asked: Json, lines: tuple[bytes, ...] = (), status: int = 200, **head: Any) -> Reply:
        """A sealed reply to this request; `first` is the county's next position unless said."""
        return Reply(status, self.document(asked, lines, **head))

    def document(self, asked: Json, lines: tuple[bytes, ...] = (), **head: Any) -> bytes:
        with reading(self.county.engine) as conn:
            link = link_rows.load(conn, CITY)
        assert link is not None
        seal, signed_by = head.pop("seal", {}), head.pop("signed_by", None)
        statements = any(b'"payload"' in line[:12] for line in lines)
        known = {
            "lane": asked["lane"],
            "session": asked["session"],
            "nonce": asked["nonce"],
            "challenge": c.fixed("challenge"),
            "first": link.received_seq + 1 if statements else 0,
            "ack": {"inc": c.inc(COUNTY), "seq": link.acked_seq, "hash": link.acked_hash},
        }
        return c.document(c.document_header(CITY, COUNTY, **{**known, **head}), lines, signed_by, **seal)


def call(tree: House, answer: Callable[[FakeParent, Json], Reply]) -> tuple[FakeParent, exchange.Lane]:
    """One exchange of the county with such a parent. Raises what the exchange raises."""
    fake = FakeParent(tree.county, answer)
    lane = nodes.lane(tree.county, tree.city, fake)  # type: ignore[arg-type]
    exchange.call(tree.county, lane)
    return fake, lane


# ---- answers that are no answer ----------------------------------------------------------------------------------

Answering = Callable[[FakeParent, Json], Reply]


def status(code: int, body: bytes = b"{}") -> Answering:
    return lambda fake, asked: Reply(code, body)


def head(**change: Any) -> Answering:
    return lambda fake, asked: fake.reply(asked, **change)


NO_ANSWERS: dict[str, Answering] = {
    "nothing": status(200, b""),
    "garbage": status(200, b"hello\nworld\n"),
    "HTML of a portal": status(200, b"<html><body>login</body></html>\n"),
    "500 levels": status(200, b"{}\n" + b'{"seal":' * 500 + b"1" + b"}" * 500 + b"\n"),
    "a lone surrogate": status(200, b'{}\n{"seal":"\\ud800"}\n'),
    "a redirect": status(302),
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "413": status(413),
    "429": status(429),
    "500": status(500),
    "503": status(503),
    "a status of no meaning": status(299),
    "a challenge for ever": lambda fake, asked: fake.reply(asked, status=428),
    "a challenge that is no document": status(428, b"{}\n"),
    "under an unknown key": head(signed_by=c.STRANGER),
    "under the province's key": head(signed_by=PROVINCE),
    "in the province's name": head(signed_by=PROVINCE, **{"from": PROVINCE, "inc": c.inc(PROVINCE)}),
    "in the county's own name": head(signed_by=COUNTY, **{"from": COUNTY, "inc": c.inc(COUNTY)}),
    "for another node": head(to=c.COUNTY2),
    "to another request": head(nonce=c.fixed("other")),
    "in another session": head(session=c.fixed("other")),
    "without nonce": head(nonce=None),
    "without session": head(session=None),
    "in another incarnation": head(inc=[2, "0" * 32]),
    "with another digest": head(seal={"digest": "0" * 64}),
    "with another receiver under the seal": head(seal={"to": PROVINCE}),
    "with an unknown field": head(extra=1),
    "with a checkpoint": head(checkpoint="x"),
    "with another version": head(v=2),
    "with a challenge of no shape": head(challenge="x"),
    "with statements of no incarnation": lambda fake, asked: fake.reply(asked, tuple(b.born(CITY).raws), inc=[0, ""]),
    "with a line of garbage": lambda fake, asked: fake.reply(asked, (b"x",)),
    "with an empty line": lambda fake, asked: fake.reply(asked, (b"",)),
    "with a huge line": lambda fake, asked: fake.reply(asked, (c.text("later", "x" * 600_000),)),
    "with 13,000 lines": lambda fake, asked: fake.reply(asked, (c.text("later", 1),) * 13_000),
    "with 5,001 statements": lambda fake, asked: fake.reply(asked, tuple(b.born(CITY).raws) * 5001),
    "cut": lambda fake, asked: Reply(200, fake.document(asked)[:-20]),
    "with a byte flipped": lambda fake, asked: Reply(200, fake.document(asked).replace(b'"first":0', b'"first":1')),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_answer_that_is_none_is_a_failure_to_be_tried_again(tree: House, name: str):
    with unchanged(tree.county, MISSED), pytest.raises(TransportError):
        call(tree, NO_ANSWERS[name])


def test_reply_recorded_and_given_again_is_no_answer(tree: House):
    recorded: list[Reply] = []

    def record(fake: FakeParent, asked: Json) -> Reply:
        recorded.append(fake.reply(asked))
        return recorded[0]

    call(tree, record)
    with unchanged(tree.county, MISSED), pytest.raises(TransportError):
        call(tree, lambda fake, asked: recorded[0])


def test_request_of_the_county_is_no_reply_to_itself(tree: House):
    fake = FakeParent(tree.county, lambda fake, asked: Reply(200, b""))
    said: list[bytes] = []
    fake.post = lambda path, body, media, silence: (said.append(body), Reply(200, body))[1]  # type: ignore[method-assign]
    lane = nodes.lane(tree.county, tree.city, fake)  # type: ignore[arg-type]
    with unchanged(tree.county, MISSED), pytest.raises(TransportError):
        exchange.call(tree.county, lane)
    assert said


# ---- statements in a good reply ----------------------------------------------------------------------------------


def one(make_line: Callable[[], bytes]) -> Answering:
    return lambda fake, asked: fake.reply(asked, (make_line(),))


def city_topic(**other: Any) -> Thread:
    return b.born(CITY, what=f"of the city {c.fixed(str(other))}", **other)


def _root() -> Json:
    return {"node": c.card(CITY), "inc": c.inc(CITY), "witnesses": []}


def _enrolled(body: Json) -> Callable[[str], bytes]:
    """At the next position of the city's registry chain, which enrolled two counties."""
    return lambda head: c.registered(CITY, 2, head, "enrolled", body)


def _two_parts() -> bytes:
    ref, _ = c.part("text", b"x")
    thread = Thread()
    thread.add(CITY, "opened", b.opened(CITY, what="two parts"), [ref, ref])
    return thread.raws[0]


STATEMENTS: dict[str, tuple[Callable[[str], bytes], str]] = {
    "a signature changed": (lambda _: c.flip(city_topic().raws[0]), "bad-signature"),
    "an author forged": (lambda _: c.jws(c.payload_of(b.born().raws[0]), c.ENTRY, CITY), "forged-author"),
    "a key nobody knows": (lambda _: c.jws(c.payload_of(b.born().raws[0]), c.ENTRY, c.STRANGER), "unknown-key"),
    "an unknown type": (lambda _: c.jws(c.payload_of(city_topic().raws[0]), "liandong-x+jws", CITY), "unknown-type"),
    "arbiters of its own choice": (lambda _: city_topic(arbiters=[CITY]).raws[0], "wrong-arbiters"),
    "a keeper of its own choice": (lambda _: city_topic(keeper=None).raws[0], "wrong-keeper"),
    "a second root": (lambda _: c.registered(CITY, 9, None, "anchored", _root()), "gap"),
    "an enrolment of a code that is taken": (_enrolled(b.enrolled(COUNTY)), "code-taken"),
    "an enrolment of a province": (_enrolled(b.enrolled(c.STRANGER, tier="province")), "wrong-tier"),
    "an enrolment under a weak key": (
        _enrolled(b.enrolled(c.STRANGER, key=b64(bytes([1]) + bytes(31)))),
        "bad-key",
    ),
    "an enrolment under no key": (_enrolled(b.enrolled(c.STRANGER, key="_" * 43)), "bad-key"),
    "two parts of one name": (lambda _: _two_parts(), "invalid"),
    "no JWS": (lambda _: b'{"payload":"","signatures":[]}', "malformed"),
    "a float": (lambda _: c.jws(b'{"v":1.0}', c.ENTRY, CITY), "malformed"),
    "a payload of 60 KiB and more": (lambda _: c.jws(b" " * 61_500 + b"{}", c.ENTRY, CITY), "too-large"),
    "a remark on nothing": (lambda _: c.remark(CITY, "0" * 64, "0" * 64, "urge", {"text": "x"}), "unknown-entry"),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_of_the_parent_gets_its_disposition(tree: House, name: str):
    make_line, code = STATEMENTS[name]
    line = make_line(_registry_head(tree))
    with unchanged(tree.county, NOTED):
        _, lane = call(tree, one(lambda: line))
    assert [verdict.code for verdict in lane.verdicts] == [code]


def _registry_head(tree: House) -> str:
    with reading(tree.county.engine) as conn:
        found: str = current(tree.county, conn).heads[(CITY, life.now(tree.city).inc)].id
    return found


def test_work_of_the_parent_on_a_topic_of_the_county_is_held(tree: House):
    topic = nodes.do(tree.county, open_topic, OpenForm(title="x", text="x", areas=[COUNTY])).id
    _, _, head_, _ = nodes.state_of(tree.county, topic)
    position = {"topic": topic, "seq": 1, "prev": head_, "term": c.FIRST_TERM}
    work = {"kind": "noted", "body": {"text": "x"}, "parts": []}
    bad = c.jws(c.dumps({**c.shared(CITY), **position, **work}), c.ENTRY, CITY)
    with unchanged(tree.county, NOTED | {"outbox"}):
        _, lane = call(tree, one(lambda: bad))
    assert [verdict.code for verdict in lane.verdicts] == ["not-the-writer"]


# ---- what the parent says of the county's own stream -------------------------------------------------------------

ACKS: dict[str, Json] = {
    "more than was sent": {"seq": 2**31},
    "far more than a database counts": {"seq": 2**53 - 1},
    "of a later incarnation": {"inc": [2**53 - 1, "0" * 32]},
}


def ack_of(**change: Any) -> Json:
    return {"inc": c.inc(COUNTY), "seq": 0, "hash": c.stream(COUNTY, CITY, [])[0], **change}


def test_ack_with_another_hash_stops_the_link_and_nothing_else(tmp_path: Path):
    house = make_house(tmp_path)
    with unchanged(house.county, MISSED | {"audit"}):
        call(house, lambda fake, asked: fake.reply(asked, tuple(b.born(CITY).raws), ack=ack_of(hash="0" * 64)))
        with pytest.raises(TransportError, match="link-stopped"):
            call(house, lambda fake, asked: fake.reply(asked))


@pytest.mark.parametrize("name", ACKS)
def test_ack_that_knows_more_of_us_than_we_do_ends_our_incarnation_and_no_more(tmp_path: Path, name: str):
    """R10: a node that was restored would be told so; numbers that nobody can have granted are not believed."""
    house = make_house(tmp_path)
    with unchanged(house.county, MISSED | {"audit", "node"}):
        call(house, lambda fake, asked: fake.reply(asked, ack=ack_of(**ACKS[name])))
    mine = life.now(house.county)
    assert (mine.live, mine.healing_why, mine.known_number) == (False, f"peer-knows-more {CITY}", 1)


def test_ack_that_goes_back_is_fed_again(tmp_path: Path):
    tree = make_house(tmp_path)
    nodes.do(tree.county, open_topic, OpenForm(title="x", text="x", areas=[COUNTY]))
    lane = nodes.lane(tree.county, tree.city)
    nodes.settle([lane], [tree.county])
    start = {"inc": c.inc(COUNTY), "seq": 0, "hash": c.stream(COUNTY, CITY, [])[0]}
    _, lane = call(tree, lambda fake, asked: fake.reply(asked, ack=start, instance=tree.city.instance))
    assert lane.start == 0
    received: list[int] = []

    def watch(raw: bytes) -> bytes:
        received.append(json.loads(raw.split(b"\n")[0])["first"])
        return raw

    lane.transport = nodes.Wire(tree.city, on_request=watch)  # type: ignore[assignment]
    exchange.call(tree.county, lane)
    assert received[-1] == 1


# ---- parts -------------------------------------------------------------------------------------------------------


def test_pull_of_local_parts_and_of_nothing_is_not_served(tree: House):
    with reading(tree.county.engine) as conn:
        local = conn.execute(select(part_refs.c.digest).where(part_refs.c.share == "local")).scalars().all()
    assert local
    pulls = tuple(c.text("pull", {"digest": digest, "offset": 0}) for digest in (*local, "0" * 64))
    sent: list[bytes] = []
    fake = FakeParent(tree.county, lambda fake, asked: fake.reply(asked, pulls))
    real = fake.post

    def post(path: str, body: bytes, media: str, silence: float) -> Reply:
        sent.append(body)
        return real(path, body, media, silence)

    fake.post = post  # type: ignore[method-assign]
    lane = nodes.lane(tree.county, tree.city, fake)  # type: ignore[arg-type]
    exchange.call(tree.county, lane)
    assert len(lane.pulls) == len(pulls)
    with unchanged(tree.county, MISSED):
        exchange.call(tree.county, lane)
    assert not any(digest.encode() in body and b'"chunk"' in body for body in sent for digest in local)


def test_loose_lines_nobody_asked_for_change_nothing(tree: House):
    with unchanged(tree.county, MISSED | {"audit"}):
        call(tree, lambda fake, asked: fake.reply(asked, tuple(loose_lines() * 50)))


# ---- below the document: the HTTP answer itself -------------------------------------------------------------------


@contextmanager
def raw_server(said: bytes, repeat: int = 1) -> Iterator[str]:
    """Answers one connection with these bytes, whatever is asked."""
    sock = socket.create_server(("127.0.0.1", 0))
    sock.settimeout(10)

    def serve() -> None:
        try:
            peer, _ = sock.accept()
            with peer:
                peer.settimeout(5)
                peer.recv(65536)
                for _ in range(repeat):
                    peer.sendall(said)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    thread.join(10)
    sock.close()


OK = b"HTTP/1.1 200 OK\r\n"
HTTP_ANSWERS: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 1),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", 1),
    "a header of a megabyte": (OK + b"x: " + b"y" * 1_000_000, 1),
    "a wrong length": (OK + b"content-length: 100\r\n\r\nx", 1),
    "a negative length": (OK + b"content-length: -1\r\n\r\nx", 1),
    "two lengths": (OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx", 1),
    "a broken chunk": (OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 1),
    "64 MiB": (OK + b"content-length: 67108864\r\n\r\n" + bytes(1 << 20), 64),
}


@pytest.mark.parametrize("name", HTTP_ANSWERS)
def test_http_answer_that_is_broken_is_a_failure_to_be_tried_again(name: str):
    said, repeat = HTTP_ANSWERS[name]
    with raw_server(said, repeat) as url:
        transport = Transport(url, ("127.0.0.0/8",), url)
        with pytest.raises(TransportError):
            transport.post("/federation/v1/exchange", b"x", "text/plain", 5)
        transport.close()


def test_http_redirect_is_not_followed():
    with raw_server(b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n") as url:
        transport = Transport(url, ("127.0.0.0/8",), url)
        assert transport.post("/x", b"x", "text/plain", 5).status == 307
        transport.close()


def test_http_answer_is_not_unpacked():
    packed = b"\x1f\x8b" + bytes(100)
    said = OK + b"content-encoding: gzip\r\ncontent-length: " + str(len(packed)).encode() + b"\r\n\r\n" + packed
    with raw_server(said) as url:
        transport = Transport(url, ("127.0.0.0/8",), url)
        assert transport.post("/x", b"x", "text/plain", 5).body == packed
        transport.close()


# ---- joining: the answer of the parent ---------------------------------------------------------------------------

Spoil = Callable[[list[bytes]], list[bytes]]

JOIN_ANSWERS: dict[str, Spoil] = {
    "nothing": lambda lines: [],
    "garbage": lambda lines: [b"x"],
    "no anchor": lambda lines: lines[1:],
    "the anchor alone": lambda lines: lines[:1],
    "without the child": lambda lines: lines[:-1],
    "another order": lambda lines: [lines[0], *reversed(lines[1:])],
    "a line twice": lambda lines: [*lines, lines[-1]],
    "a signature changed": lambda lines: [*lines[:-1], c.flip(lines[-1])],
    "a line of the largest depth and more": lambda lines: [*lines, b'{"a":' * 100 + b"1" + b"}" * 100],
    "an anchor of another": lambda lines: [b.anchored(author=CITY), *lines[1:]],
}


@dataclass(frozen=True)
class Invited:
    """A county that has asked, and what its parent answered."""

    child: Context
    token: str
    answer: bytes


@pytest.fixture(scope="module")
def invited(tmp_path_factory: pytest.TempPathFactory) -> Invited:
    folder = tmp_path_factory.mktemp("invited")
    house = make_house(folder)
    child = make(folder, c.STRANGER)
    with write(house.city) as batch:
        token = joining.invite(batch, c.STRANGER, Tier.COUNTY, "x")
    return Invited(child, token, joining.enrol_child(house.city, joining.join_request(child, token)))


@pytest.mark.parametrize("name", JOIN_ANSWERS)
def test_answer_to_joining_that_does_not_verify_changes_nothing(invited: Invited, name: str):
    lines = JOIN_ANSWERS[name](invited.answer.rstrip(b"\n").split(b"\n"))
    with unchanged(invited.child, frozenset()), pytest.raises(BadToken):
        joining.finish_join(invited.child, invited.token, b"".join(line + b"\n" for line in lines))


def test_answer_of_a_parent_under_another_key_than_the_token_says_is_refused(invited: Invited):
    said = json.loads(unb64(invited.token))
    other = b64(c.dumps({**said, "key": b64(c.public(PROVINCE))}))
    with unchanged(invited.child, frozenset()), pytest.raises(BadToken):
        joining.finish_join(invited.child, other, invited.answer)


def test_answer_to_joining_is_taken_as_it_was_given(invited: Invited):
    joining.finish_join(invited.child, invited.token, invited.answer)
    assert life.now(nodes.reload(invited.child)).inc == Incarnation(*c.inc(c.STRANGER))
