"""What becomes of every statement that comes in, on both databases: applied, deferred, held, refused, proven."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ConfigDict
from sqlalchemy import select, update

from node.context import Context
from node.domain.refusals import NotTheWriter
from node.service import decide, life, read, remark, work
from node.service.commit import write
from node.service.receive import receive_file, receive_reply, receive_request
from node.service.retry import retry_parked
from node.service.verify import verify
from node.store import tables as t
from schemas import api
from schemas.entry import Accepted
from schemas.statement import Entry, Frozen
from sync import sealing
from sync.chain import header
from sync.errors import BadDocument
from sync.exchange import compose
from sync.keys import b64, unb64
from sync.sealing import ENTRY, REMARK, author, seal
from sync.stream import stream_hash, stream_start
from sync.strict import dumps, strict_json
from tests.nodes import do, refused, state_of
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    Tree,
    accept,
    contents,
    decline,
    delegated,
    forge,
    note,
    offer_down,
    open_topic,
    rows,
    smuggle,
)

Change = Callable[[dict[str, Any]], None]


def waiting(node: Context, *states: str) -> list[tuple[str, str, bool]]:
    """(state, code, relayed) of what waits at a node."""
    found = rows(node, t.parked, t.parked.c.state.in_(states or ("deferred", "held", "refused", "ahead")))
    return [(row.state, row.code, row.relayed) for row in sorted(found, key=lambda row: row.id)]


def swap_last_two(node: Context, peer: str) -> None:
    """Let the last two statements of a stream change places, with hashes to match."""
    with write(node) as batch:
        last = batch.conn.execute(select(t.outbox).where(t.outbox.c.peer == peer).order_by(t.outbox.c.seq)).all()
        one, two = last[-2:]
        start = stream_start(node.identity.code, life.now(node).inc, peer)
        running = last[-3].hash if len(last) > 2 else start
        for seq, statement in ((one.seq, two.statement), (two.seq, one.statement)):
            running = stream_hash(running, statement)
            place = (t.outbox.c.peer == peer, t.outbox.c.seq == seq)
            batch.conn.execute(update(t.outbox).where(*place).values(statement=statement, hash=running))
        batch.conn.execute(update(t.links).where(t.links.c.peer == peer).values(sent_hash=running))


# ---- deferred: it solves itself ----------------------------------------------------------------------------------


def test_an_entry_ahead_of_its_turn_is_kept_relayed_and_applied_when_the_gap_closes(tree: Tree) -> None:
    topic = delegated(tree)
    note(tree.county, topic, "一")
    note(tree.county, topic, "二")
    swap_last_two(tree.county, CITY)
    tree.lanes[COUNTY].allowance = tree.lanes[COUNTY].allowance.__class__(items=1)
    tree.settle()
    assert waiting(tree.city) == [] == waiting(tree.province)
    said = rows(tree.city, t.parked)
    assert [(row.disposition, row.code, row.state, row.relayed) for row in said] == [("deferred", "gap", "done", True)]
    tree.agree(topic, tree.county, tree.city, tree.province)
    for node in (tree.city, tree.province, tree.other):
        assert verify(node).ok


def test_a_remark_about_an_entry_not_here_yet_waits_for_it(tree: Tree) -> None:
    topic = delegated(tree)
    note(tree.county, topic)
    do(tree.county, remark.remark, topic, api.RemarkForm(kind="urge", text="请快办"))
    swap_last_two(tree.county, CITY)
    tree.settle()
    assert [row.kind for row in rows(tree.province, t.remarks)] == ["urge"]
    assert waiting(tree.city) == []
    assert verify(tree.city).ok


# ---- held: its topic waits, all else flows -----------------------------------------------------------------------


def _author(payload: dict[str, Any]) -> None:
    payload["author"] = OTHER


def _prev(payload: dict[str, Any]) -> None:
    payload["prev"] = "0" * 64


def _gap(payload: dict[str, Any]) -> None:
    payload.update(seq=payload["seq"] + 5, prev="1" * 64)


def _seq(payload: dict[str, Any]) -> None:
    payload["seq"] += 1


def _term(payload: dict[str, Any]) -> None:
    payload["term"] = [0, 0, [0, ""], 7]


def _incarnation(payload: dict[str, Any]) -> None:
    payload["inc"] = [2, "a" * 32]


def _field(payload: dict[str, Any]) -> None:
    payload["body"]["more"] = 1


def _offer_above(payload: dict[str, Any]) -> None:
    payload.update(kind="offered", body=_offered(PROVINCE, "escalate"))


def _offer_aside(payload: dict[str, Any]) -> None:
    payload.update(kind="offered", body=_offered(OTHER, "delegate"))


def _offer_back_to_another(payload: dict[str, Any]) -> None:
    payload.update(kind="offered", body=_offered(PROVINCE, "report"))


def _claim(payload: dict[str, Any]) -> None:
    body = {"reason": "x", "approved_by": []}
    payload.update(kind="claimed", body=body, term=[1, 1, payload["inc"], 0])


def _offered(to: str, mode: str) -> dict[str, Any]:
    empty = dict.fromkeys(("tried", "opinion", "instruction", "answer_by", "due_at", "suggested", "override_reason"))
    return {"to": to, "to_inc": [1, "b" * 32], "mode": mode, "reason": "x", **empty}


@pytest.mark.parametrize(
    ("change", "state", "code", "relayed"),
    [
        pytest.param(_author, "held", "forged-author", False, id="another's name"),
        pytest.param(_prev, "held", "wrong-prev", False, id="a prev that is not the head"),
        pytest.param(_gap, "deferred", "gap", True, id="an entry before which others are missing"),
        pytest.param(_seq, "held", "wrong-seq", False, id="a seq that skips one"),
        pytest.param(_term, "held", "wrong-term", False, id="a term nobody opened"),
        pytest.param(_incarnation, "held", "not-the-writer", False, id="an incarnation nobody granted"),
        pytest.param(_field, "refused", "invalid", False, id="a field this kind does not have"),
        pytest.param(_offer_above, "held", "not-the-parent", False, id="an offer past the parent"),
        pytest.param(_offer_aside, "held", "not-a-descendant", False, id="an offer sideways"),
        pytest.param(
            _offer_back_to_another, "held", "not-the-way-back", False, id="a report to whom it did not come from"
        ),
        pytest.param(_claim, "held", "not-an-arbiter", False, id="a claim by who is no arbiter"),
    ],
)
def test_a_bad_entry_stops_its_topic_alone(tree: Tree, change: Change, state: str, code: str, relayed: bool) -> None:
    topic = delegated(tree)
    before = state_of(tree.city, topic)
    smuggle(tree.county, forge(tree.county, topic, change), CITY)
    good = open_topic(tree.county, "另一件")
    tree.settle()
    assert waiting(tree.city) == [(state, code, relayed)]
    assert state_of(tree.city, topic) == before
    tree.agree(good, tree.county, tree.city)
    assert rows(tree.county, t.links)[0].acked_seq == rows(tree.county, t.links)[0].sent_seq
    for node in (tree.city, tree.province):
        assert verify(node).ok


def test_a_bit_flipped_in_a_statement_is_held_and_the_stream_goes_on(tree: Tree) -> None:
    topic = delegated(tree)
    outer = strict_json(forge(tree.county, topic, lambda payload: None))
    signature = unb64(outer["signatures"][0]["signature"])
    outer["signatures"][0]["signature"] = b64(bytes([signature[0] ^ 1]) + signature[1:])
    smuggle(tree.county, dumps(outer), CITY)
    good = open_topic(tree.county, "另一件")
    tree.settle()
    assert waiting(tree.city) == [("held", "bad-signature", False)]
    tree.agree(good, tree.county, tree.city)
    assert verify(tree.city).ok


class Stamped(Frozen):
    """A kind of entry that a later version knows."""

    model_config = ConfigDict(**{**Frozen.model_config, "title": "Stamped"})
    text: str


def test_an_unknown_kind_is_held_relayed_and_applied_after_the_upgrade(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = delegated(tree)
    with monkeypatch.context() as newer:
        newer.setitem(sealing._PAYLOADS[ENTRY], "stamped", Entry[Stamped])
        with write(tree.county) as batch:
            batch.entry(topic, "stamped", Stamped(text="章"))
        note(tree.county, topic, "其后")
    open_topic(tree.county, "另一件")
    tree.settle()
    expected = [("held", "unknown-kind", True), ("deferred", "gap", True)]
    assert waiting(tree.city) == expected == waiting(tree.province)
    assert len(rows(tree.city, t.topics)) == 2
    assert verify(tree.city).ok and verify(tree.province).ok
    assert retry_parked(tree.city) == 0

    monkeypatch.setitem(sealing._PAYLOADS[ENTRY], "stamped", Entry[Stamped])
    for node in (tree.city, tree.province):
        assert retry_parked(node) == 2
        assert waiting(node) == []
    tree.settle()
    tree.agree(topic, tree.county, tree.city, tree.province)
    tree.check()


def test_a_statement_sent_again_gets_its_first_disposition(tree: Tree) -> None:
    """At the position it had, even after what it waited for has come."""
    topic = delegated(tree)
    sent: list[bytes] = []
    tree.wires[COUNTY].on_request = lambda raw: sent.append(raw) or raw  # type: ignore[func-returns-value]
    smuggle(tree.county, forge(tree.county, topic, _prev), CITY)
    tree.settle(tree.county)
    before = contents(tree.city)
    carrying = [raw for raw in sent if b'\n{"payload"' in raw]
    received = receive_file(tree.city, _as_file(tree.county, carrying[-1]))
    assert [(verdict.disposition, verdict.code) for verdict in received.verdicts] == [("held", "wrong-prev")]
    assert contents(tree.city) == before


def _as_file(node: Context, raw: bytes) -> bytes:
    """The statements of a document of the wire, in one of the kind that goes by stick."""
    first, *rest = raw.split(b"\n")[:-2]
    head = {**strict_json(first), "lane": "file"}
    head |= dict.fromkeys(("session", "nonce", "answers", "challenge"))
    shared = header(node.identity.code, life.now(node).inc, "2026-01-01T00:00:00Z")
    lines = [line for line in rest if line.startswith(b'{"payload"')]
    return compose(head, lines, [], shared, node.identity.signer)


# ---- equivocation ------------------------------------------------------------------------------------------------


def test_two_entries_at_one_position_freeze_their_author_everywhere(tree: Tree) -> None:
    topic, another = delegated(tree), delegated(tree)
    second = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic, "第一份")
    id = smuggle(tree.county, second, CITY)
    tree.settle()
    for node in (tree.city, tree.province):
        proof = rows(node, t.equivocations)
        assert [(row.other, row.author, row.topic) for row in proof] == [(id, COUNTY, topic)]
        assert {state_of(node, held)[3] for held in (topic, another)} == {"frozen"}
        assert [row.result for row in rows(node, t.audit, t.audit.c.action == "equivocation")] == ["alarm"]
        assert verify(node).ok
    note(tree.county, another, "还想写")
    tree.settle()
    assert ("held", "frozen", True) in waiting(tree.city)
    assert ("held", "frozen", True) in waiting(tree.province)
    assert verify(tree.city).ok
    own = open_topic(tree.city)
    tree.settle()
    assert tree.agree(own, tree.city, tree.province)[3] == "active"


def test_a_decline_after_an_acceptance_of_one_offer_is_a_proof(tree: Tree) -> None:
    topic = open_topic(tree.city)
    offer_down(tree.city, topic, COUNTY)
    tree.settle()
    offer = state_of(tree.county, topic)[2]
    accept(tree.county, topic)
    tree.settle()
    smuggle_remark(tree.county, topic, offer)
    tree.settle()
    for node in (tree.city, tree.province):
        assert [row.author for row in rows(node, t.equivocations)] == [COUNTY]
        assert state_of(node, topic)[0::3] == (COUNTY, "frozen")
        assert verify(node).ok


def test_an_acceptance_after_a_decline_of_one_offer_is_a_proof(tree: Tree) -> None:
    topic = open_topic(tree.city)
    offer_down(tree.city, topic, COUNTY)
    tree.settle()
    offer = state_of(tree.county, topic)[2]
    with write(tree.county) as batch:
        chain = batch.working(topic).chain
        assert chain is not None
        term = chain.term._replace(t=chain.term.t + 1)
    decline(tree.county, topic)

    def accepted(payload: dict[str, Any]) -> None:
        payload.update(kind="accepted", body=Accepted(offer=offer).model_dump(), term=term)

    smuggle(tree.county, forge(tree.county, topic, accepted), CITY)
    tree.settle()
    for node in (tree.city, tree.province):
        assert [row.author for row in rows(node, t.equivocations)] == [COUNTY]
        assert state_of(node, topic)[0] == CITY
        assert verify(node).ok


def smuggle_remark(node: Context, topic: str, offer: str) -> None:
    payload = {
        **header(node.identity.code, life.now(node).inc, "2026-01-01T00:00:00Z"),
        "topic": topic,
        "entry": offer,
        "kind": "declined",
        "body": {"code": "not_our_power", "reason": ""},
        "parts": [],
    }
    smuggle(node, author(payload, REMARK, node.identity.signer, node.identity.code).raw, CITY)
    with write(node) as batch:
        id = hashlib.sha256(sealing.parse(seal(payload, REMARK, node.identity.signer)).payload).hexdigest()
        batch.conn.execute(update(t.statements).where(t.statements.c.id == id).values(typ=REMARK))


# ---- documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\n", id="an empty line"),
        pytest.param(b"{}\n{}\n", id="no seal"),
        pytest.param(b"\x00" * 1000, id="binary"),
        pytest.param(b"{" * 500 + b"\n" + b"}" * 500 + b"\n", id="deep"),
        pytest.param(b'{"seal":{"payload":NaN}}\n{"seal":NaN}\n', id="NaN"),
        pytest.param(b'{"a":1,"a":2}\n{"seal":{},"seal":{}}\n', id="duplicate keys"),
        pytest.param(b'{"a":"\\ud800"}\n{"seal":{"payload":"\\ud800","signatures":[]}}\n', id="a lone surrogate"),
        pytest.param(b"a" * (17 * 1024 * 1024), id="17 MiB"),
    ],
)
def test_garbage_is_refused_and_changes_nothing(tree: Tree, raw: bytes) -> None:
    before = contents(tree.city)
    for door in (receive_request, receive_file, lambda ctx, raw: receive_reply(ctx, raw, PROVINCE, "0" * 32, "0" * 32)):
        with pytest.raises(BadDocument):
            door(tree.city, raw)
    assert contents(tree.city) == before


def test_any_byte_changed_in_a_document_makes_it_nothing(tree: Tree) -> None:
    open_topic(tree.county)
    sent: list[bytes] = []
    tree.wires[COUNTY].on_request = lambda raw: sent.append(raw) or None  # type: ignore[func-returns-value]
    tree.settle(tree.county)
    raw = sent[0]
    before = contents(tree.city)
    for at in range(0, len(raw), max(1, len(raw) // 150)):
        with pytest.raises(BadDocument):
            receive_request(tree.city, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    for cut in range(0, len(raw), max(1, len(raw) // 50)):
        with pytest.raises(BadDocument):
            receive_request(tree.city, raw[:cut])
    assert contents(tree.city) == before


def test_a_document_for_another_node_or_from_a_stranger_changes_nothing(tree: Tree) -> None:
    open_topic(tree.county)
    sent: list[bytes] = []
    tree.wires[COUNTY].on_request = lambda raw: sent.append(raw) or raw  # type: ignore[func-returns-value]
    tree.settle(tree.county)
    for node in (tree.province, tree.other, tree.county):
        before = contents(node)
        with pytest.raises(BadDocument):
            receive_request(node, sent[0])
        assert contents(node) == before


def test_a_participant_that_holds_nothing_writes_only_remarks(tree: Tree) -> None:
    topic = delegated(tree)
    assert refused(tree.province, work.note, topic, api.NoteForm(text="x")) is NotTheWriter
    assert refused(tree.province, decide.accept, topic, api.AcceptForm()) is not None
    do(tree.province, remark.remark, topic, api.RemarkForm(kind="urge", text="催办"))
    tree.settle()
    for node in (tree.city, tree.county):
        assert [item.kind for item in read.remarks(node, topic, None, 9).items] == ["urge"]
    tree.check()
