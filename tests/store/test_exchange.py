"""The exchange over links that lose, repeat and replay, and what must never be on them, on both databases."""

import base64
import random
import re
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from node.context import Context
from node.domain.refusals import Unavailable
from node.service import exchange, life, published, read
from node.service.bundle import export_bundle
from node.service.commit import write
from node.service.lists import in_force
from node.service.receive import receive_reply, receive_request
from node.service.verify import verify
from node.store import tables as t
from node.store.engine import reading
from schemas.entry import Noted
from schemas.exchange import DocumentHeader
from schemas.statement import CHUNK_BYTES_MAX
from sync.delivery import Allowance
from sync.errors import BadDocument, TransportError
from sync.strict import strict_json
from tests.nodes import state_of
from tests.store.tree import (
    CITY,
    COUNTY,
    PROVINCE,
    Tree,
    accept,
    contents,
    delegated,
    note,
    offer_down,
    offer_up,
    open_topic,
    rows,
)

PHONE = "13800138000"
SECRET = "只有本级知道的住址"


def head_of(raw: bytes) -> DocumentHeader:
    return DocumentHeader.model_validate_json(raw.split(b"\n", 1)[0])


def statements_in(raw: bytes) -> int:
    return raw.count(b'\n{"payload"')


def record(tree: Tree, child: str) -> list[bytes]:
    """Every document over a link from now on, both ways."""
    seen: list[bytes] = []

    def keep(raw: bytes) -> bytes:
        seen.append(raw)
        return raw

    tree.wires[child].on_request = tree.wires[child].on_reply = keep
    return seen


def call(tree: Tree, child: Context) -> None:
    with suppress(TransportError):
        exchange.call(child, tree.lanes[child.identity.code])


# ---- faults of the line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_lost_and_repeated_messages_make_no_difference_in_the_end(tree: Tree, seed: int) -> None:
    chance = random.Random(seed)

    def request(wire: Any) -> Any:
        def faulty(raw: bytes) -> bytes | None:
            if chance.random() < 0.25:
                return None
            if chance.random() < 0.25:
                receive_request(wire.parent, raw)
            return raw

        return faulty

    for wire in tree.wires.values():
        wire.on_request = request(wire)
        wire.on_reply = lambda raw: None if chance.random() < 0.25 else raw
    up, down = open_topic(tree.county, body="长" * 3000), open_topic(tree.city)
    offer_up(tree.county, up)
    note(tree.city, down)
    for _ in range(20):
        for child in (tree.county, tree.city):
            call(tree, child)
    accept(tree.city, up)
    for _ in range(20):
        for child in (tree.county, tree.city):
            call(tree, child)
    for wire in tree.wires.values():
        wire.on_request = wire.on_reply = lambda raw: raw
    tree.settle()
    assert tree.agree(up, tree.county, tree.city)[0] == CITY
    assert read.topic(tree.city, up).text == "长" * 3000
    tree.agree(down, tree.city, tree.province)
    assert all(row.acked_seq == row.sent_seq for node in tree.nodes for row in rows(node, t.links))
    tree.check()


def test_a_reply_lost_after_the_parent_applied_is_made_good_by_the_next_call(tree: Tree) -> None:
    topic = open_topic(tree.county)
    call(tree, tree.county)
    tree.wires[COUNTY].on_reply = lambda raw: None
    offer_up(tree.county, topic)
    call(tree, tree.county)
    assert state_of(tree.city, topic)[3] == "offered"
    link = rows(tree.county, t.links)[0]
    assert (link.failures, link.acked_seq < link.sent_seq) == (1, True)
    tree.wires[COUNTY].on_reply = lambda raw: raw
    tree.settle()
    link = rows(tree.county, t.links)[0]
    assert (link.failures, link.acked_seq) == (0, link.sent_seq)
    tree.check()


def test_a_restarted_child_goes_on_where_the_stream_is(tree: Tree) -> None:
    open_topic(tree.county)
    tree.settle()
    tree.connect(tree.county, tree.city)
    open_topic(tree.county)
    tree.settle()
    assert len(rows(tree.city, t.topics)) == 2
    tree.check()


def test_a_line_that_bears_one_statement_a_call_makes_progress(tree: Tree) -> None:
    for n in range(5):
        open_topic(tree.county, f"第{n}件")
    lane = tree.lanes[COUNTY]
    sizes = []
    tree.wires[COUNTY].on_request = lambda raw: sizes.append(statements_in(raw)) or raw  # type: ignore[func-returns-value]
    for _ in range(12):
        lane.allowance = Allowance(items=1, bytes=4096)
        call(tree, tree.county)
    assert max(sizes) == 1
    assert len(rows(tree.city, t.topics)) == 5


# ---- challenge and replay ----------------------------------------------------------------------------------------


def test_a_replayed_request_gets_a_challenge_reads_nothing_and_changes_nothing(tree: Tree) -> None:
    seen = record(tree, COUNTY)
    open_topic(tree.county)
    delegated(tree)
    requests = [raw for raw in seen if head_of(raw).from_ == COUNTY]
    note(tree.city, open_topic(tree.city))
    before = contents(tree.city)
    for raw in requests:
        received = receive_request(tree.city, raw)
        assert received.challenged and received.challenge
        reply = exchange.reply_to(tree.city, received)
        assert statements_in(reply) == 0 and b'{"chunk"' not in reply
    assert contents(tree.city) == before


def test_a_first_contact_only_fetches_a_challenge(tree: Tree) -> None:
    open_topic(tree.county)
    tree.connect(tree.county, tree.city)
    seen = record(tree, COUNTY)
    before = contents(tree.city)
    lane = tree.lanes[COUNTY]
    assert exchange._ask(tree.county, lane, 0)[0] is None
    after = contents(tree.city)
    assert after == before
    assert lane.answers == head_of(seen[1]).challenge is not None
    received, sent = exchange._ask(tree.county, lane, 0)
    assert received is not None and sent >= 1


def test_a_challenge_is_used_once_and_only_in_its_session(tree: Tree) -> None:
    call(tree, tree.county)
    seen = record(tree, COUNTY)
    call(tree, tree.county)
    assert receive_request(tree.city, seen[0]).challenged
    lane = tree.lanes[COUNTY]
    lane.session = "c" * 32
    assert exchange._ask(tree.county, lane, 0)[0] is None


def test_a_reply_to_another_request_is_refused(tree: Tree) -> None:
    seen = record(tree, COUNTY)
    call(tree, tree.county)
    note(tree.city, open_topic(tree.city))
    old = [raw for raw in seen if head_of(raw).from_ == CITY][-1]
    before = contents(tree.county)
    with pytest.raises(BadDocument):
        receive_reply(tree.county, old, CITY, tree.lanes[COUNTY].session, "d" * 32)
    assert contents(tree.county) == before
    tree.wires[COUNTY].on_reply = lambda raw: old
    with pytest.raises(TransportError):
        exchange.call(tree.county, tree.lanes[COUNTY])


# ---- two histories of one stream ---------------------------------------------------------------------------------


def _rewrite_stream(node: Context, peer: str) -> None:
    """As if this node had sent something else at its last position."""
    with write(node) as batch:
        wrong = (t.outbox.c.peer == peer, t.outbox.c.seq == batch.link(peer).sent_seq)  # type: ignore[union-attr]
        batch.conn.execute(update(t.outbox).where(*wrong).values(hash="e" * 64))
        batch.conn.execute(update(t.links).where(t.links.c.peer == peer).values(sent_hash="e" * 64))


def test_another_hash_at_an_acknowledged_position_stops_the_link_with_an_alarm(tree: Tree) -> None:
    open_topic(tree.county)
    tree.settle()
    _rewrite_stream(tree.city, PROVINCE)
    open_topic(tree.county)
    call(tree, tree.city)
    link = rows(tree.city, t.links, t.links.c.peer == PROVINCE)[0]
    assert link.stopped == "hash-mismatch"
    alarm = rows(tree.city, t.audit, t.audit.c.action == "link-stopped")[0]
    assert (alarm.result, alarm.detail["why"]) == ("alarm", "hash-mismatch")
    received = link.received_seq
    open_topic(tree.province)
    call(tree, tree.city)
    assert rows(tree.city, t.links, t.links.c.peer == PROVINCE)[0].received_seq == received
    tree.settle(tree.county)
    assert len(rows(tree.city, t.topics)) == 2
    assert not verify(tree.city).ok


def test_a_peer_that_knows_more_of_our_stream_than_we_do_ends_our_incarnation(tree: Tree) -> None:
    """What a restored node finds: its own past is ahead of it (R10)."""
    topic = open_topic(tree.city)
    tree.settle()
    with write(tree.city) as batch:
        link = batch.link(PROVINCE)
        assert link is not None
        mine = (t.outbox.c.peer == PROVINCE, t.outbox.c.seq == link.sent_seq)
        batch.conn.execute(delete(t.outbox).where(*mine))
        before = batch.conn.execute(
            select(t.outbox.c.hash).where(t.outbox.c.peer == PROVINCE, t.outbox.c.seq == link.sent_seq - 1)
        ).scalar_one()
        link.sent_seq, link.sent_hash, link.dirty = link.sent_seq - 1, before, True
        link.acked_seq, link.acked_hash = link.sent_seq, before
    assert state_of(tree.province, topic)
    call(tree, tree.city)
    assert not life.now(tree.city).live
    assert life.now(tree.city).healing_why == f"peer-knows-more {PROVINCE}"


# ---- parts -------------------------------------------------------------------------------------------------------


def _with_part(node: Context, topic: str, content: bytes, share: Any = "full") -> str:
    with write(node) as batch:
        ref = batch.part("scan", content, "application/pdf", share)
        batch.entry(topic, "noted", Noted(text="附件"), [ref])
    return ref.digest


def _content(node: Context, digest: str) -> bytes | None:
    found = rows(node, t.parts, t.parts.c.digest == digest)
    return found[0].content if found else None


def test_parts_larger_than_a_document_arrive_piece_by_piece_and_travel_on(tree: Tree) -> None:
    topic = delegated(tree)
    content = random.Random(1).randbytes(3 * CHUNK_BYTES_MAX + 17)
    digest = _with_part(tree.county, topic, content)
    empty = _with_part(tree.county, topic, b"")
    lost = 0

    def lose_some(raw: bytes) -> bytes | None:
        nonlocal lost
        lost += 1
        return None if lost % 3 == 0 else raw

    tree.wires[COUNTY].on_reply = lose_some
    for _ in range(60):
        tree.lanes[COUNTY].allowance = Allowance(items=5, bytes=100_000)
        call(tree, tree.county)
        if rows(tree.city, t.part_chunks):
            assert _content(tree.city, digest) is None
        if _content(tree.city, digest) is not None:
            break
    tree.wires[COUNTY].on_reply = lambda raw: raw
    tree.settle()
    for node in (tree.city, tree.province):
        assert _content(node, digest) == content
        assert _content(node, empty) == b""
        assert not rows(node, t.part_chunks) and not rows(node, t.wanted_parts)
    tree.check()


def test_a_part_that_is_not_what_its_digest_says_is_asked_for_again(tree: Tree) -> None:
    topic = delegated(tree)
    content = random.Random(2).randbytes(1000)
    digest = _with_part(tree.county, topic, content)
    with write(tree.county) as batch:
        batch.conn.execute(update(t.parts).where(t.parts.c.digest == digest).values(content=b"x" * 1000))
    for _ in range(4):
        call(tree, tree.county)
    assert _content(tree.city, digest) is None
    assert [(row.digest, row.got) for row in rows(tree.city, t.wanted_parts)] == [(digest, 0)]
    with write(tree.county) as batch:
        batch.conn.execute(update(t.parts).where(t.parts.c.digest == digest).values(content=content))
    tree.settle()
    assert _content(tree.province, digest) == content
    tree.check()


def test_a_part_of_a_topic_the_peer_has_no_part_in_is_not_served(tree: Tree) -> None:
    private = open_topic(tree.city, body="市里自己的事")
    digest = rows(tree.city, t.part_refs, t.part_refs.c.topic == private)[0].digest
    with write(tree.county) as batch:
        row = {"peer": CITY, "digest": digest, "size": 18, "salt": None, "got": 0}
        batch.conn.execute(t.wanted_parts.insert().values(row))
    seen = record(tree, COUNTY)
    for _ in range(3):
        call(tree, tree.county)
    assert any(digest.encode() in raw for raw in seen if head_of(raw).from_ == COUNTY)
    assert not any(digest.encode() in raw for raw in seen if head_of(raw).from_ == CITY)


def test_a_part_that_is_not_full_is_in_no_bytes_that_leave(tree: Tree) -> None:
    seen = [record(tree, COUNTY), record(tree, CITY)]
    submitter = {"name": "张三", "phone": PHONE, "address": SECRET}
    topic = open_topic(tree.county, submitter=submitter)
    counted = _with_part(tree.county, topic, SECRET.encode(), "counts")
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    offer_up(tree.city, topic)
    tree.settle()
    bundles = [export_bundle(tree.county, CITY, plain=True), export_bundle(tree.city, PROVINCE, plain=True)]
    sent = b"\n".join([*seen[0], *seen[1], *bundles])
    decoded = b"".join(base64.urlsafe_b64decode(run + b"=" * (-len(run) % 4)) for run in _runs(sent))
    assert "两县交界处坑洼。".encode() in decoded
    for secret in (PHONE.encode(), SECRET.encode()):
        assert secret not in sent and secret not in decoded
    for node in (tree.city, tree.province):
        assert _content(node, counted) is None
        local = {ref.name: ref.state for ref in read.entries(node, topic, None, 9).items[0].parts}
        assert local == {"text": "here", "submitter": "withheld"}
    own = {ref.name: ref.state for ref in read.entries(tree.county, topic, None, 9).items[0].parts}
    assert own == {"text": "here", "submitter": "here"}
    tree.check()


def _runs(raw: bytes) -> list[bytes]:
    return [run for run in re.findall(rb"[A-Za-z0-9_-]{16,}", raw) if len(run) % 4 != 1]


# ---- what flows down ---------------------------------------------------------------------------------------------


def test_a_published_list_comes_into_force_at_the_grandchildren(tree: Tree) -> None:
    table = "code,name,level,parent\n620000,甘肃省,province,\n620100,兰州市,city,620000\n620102,新城关,county,620100\n"
    with write(tree.province) as batch:
        published.publish(batch, "divisions", table.encode())
    tree.settle()
    for node in tree.nodes:
        with reading(node.engine) as conn:
            place = in_force(node, conn).tree.get(COUNTY)
        assert place is not None and place.name == "新城关"
    tree.check()


def test_news_for_a_waiting_child_is_seen_without_polling_the_database(tree: Tree) -> None:
    heard: list[frozenset[str]] = []
    tree.city.signal.listen(heard.append)
    topic = open_topic(tree.city)
    offer_down(tree.city, topic, COUNTY)
    assert COUNTY in heard[-1] and PROVINCE in heard[0]


def test_exchanging_at_once_says_when_the_parent_cannot_be_reached(tree: Tree) -> None:
    assert exchange.exchange_now(tree.city, COUNTY) is None
    with pytest.raises(Unavailable):
        exchange.exchange_now(tree.county, CITY)
    assert rows(tree.county, t.links)[0].failures >= 1


def test_strict_readers_agree_on_every_document_sent(tree: Tree) -> None:
    seen = record(tree, COUNTY)
    topic = open_topic(tree.county, title="“引号”与 emoji 🚧")
    offer_up(tree.county, topic)
    tree.settle()
    for raw in seen:
        for line in raw.splitlines():
            strict_json(line)
    assert seen


def test_the_lane_that_listens_leaves_the_stream_to_the_other(tree: Tree) -> None:
    call(tree, tree.county)
    open_topic(tree.county)
    lane = exchange.find_lane(tree.county, "wait")
    assert lane is not None
    tree.connect(tree.county, tree.city)
    lane.transport = tree.lanes[COUNTY].transport
    heard = exchange.call(tree.county, lane, listens=True)
    assert (heard.sent, heard.backlog) == (0, 1)
    lane.lacks = True
    assert exchange.call(tree.county, lane, listens=True).sent == 1
