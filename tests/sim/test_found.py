"""What the simulator found, each once mended as a case of its own: the shortest way to it, without a seed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select

from node.clock import Clock
from node.context import Context, Signal
from node.service import decide, delegate, escalate, exchange, joining, life, work
from node.service.commit import write
from node.service.guard import GUARD
from node.service.open import open_topic
from node.service.published import publish
from node.service.receive import receive_file, receive_request
from node.service.remark import remark
from node.service.retry import retry_parked
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from schemas.exchange import Budget
from schemas.ids import Tier
from sync.chain import header
from sync.delivery import Allowance
from sync.sealing import ENTRY, REGISTRY, identity, parse, seal
from tests.nodes import Wire, do, join, make, reload, settle
from tests.sim.events import POWERS
from tests.sim.machine import Crash, set_version
from tests.sim.operators import survey, thank


class Tree:
    """A province, a city and a county, with a push lane each."""

    def __init__(self, folder: Path) -> None:
        self.province = make(folder, "620000", Tier.PROVINCE, root=True)
        self.city = join(self.province, make(folder, "620100", Tier.CITY))
        self.county = join(self.city, make(folder, "620102", Tier.COUNTY))
        self._lanes = [_lane(self.city, self.province), _lane(self.county, self.city)]

    def settle(self) -> None:
        settle(self._lanes, [self.city, self.county])

    def call(self) -> None:
        """Once over each link, whether there is something to say or not."""
        for child, lane in zip((self.city, self.county), self._lanes, strict=True):
            exchange.call(child, lane)

    def close(self) -> None:
        for node in (self.province, self.city, self.county):
            node.engine.dispose()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.close()


def _lane(child: Context, parent: Context) -> exchange.Lane:
    wire: Any = Wire(parent)
    return exchange.Lane(parent.identity.code, "push", child.clock.token(16), wire)


def _all(node: Context, column: Any, *where: Any) -> list[Any]:
    with reading(node.engine) as conn:
        return list(conn.execute(select(column).where(*where)).scalars())


def _piece(sender: Context, to: str, after: int) -> bytes:
    """What a stick may bring: a document with the sender's stream from the middle on."""
    room = Budget(items=10, bytes=1024 * 1024, wait_s=0)
    envelope = exchange.Envelope(to, "file", None, None, None, None, room)
    return exchange.document(sender, envelope, exchange.Content(after, room))[0]


def _topic_at_city(tree: Tree) -> str:
    view = do(tree.province, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[]))
    form = api.DelegateForm(to="620100", instruction="请办理", override_reason="就近")
    do(tree.province, delegate.delegate, view.id, form)
    tree.settle()
    do(tree.city, decide.accept, view.id, api.AcceptForm())
    tree.settle()
    topic: str = view.id
    return topic


def test_a_node_that_joins_after_a_list_was_published_gets_its_content(tree: Tree, tmp_path: Path) -> None:
    """Its registry came with the answer to its joining, not over the stream that parts were allowed for."""
    with write(tree.province) as batch:
        publish(batch, "powers", POWERS.format(tier="city").encode())
    tree.settle()
    late = join(tree.city, make(tmp_path, "620103", Tier.COUNTY))
    lane = _lane(late, tree.city)
    for _ in range(3):
        exchange.call(late, lane)
    assert _all(late, t.catalogues.c.list) == ["powers"]
    assert _all(late, t.wanted_parts.c.digest) == []
    late.engine.dispose()


def test_what_came_ahead_by_stick_and_then_by_wire_waits_no_longer(tree: Tree) -> None:
    for _ in range(3):
        do(tree.city, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[]))
    last_two = _piece(tree.city, "620000", 2)
    receive_file(tree.province, last_two)
    assert _all(tree.province, t.parked.c.state) == ["ahead", "ahead"]
    tree.settle()
    assert _all(tree.province, t.parked.c.state) == ["done", "done"]
    receive_file(tree.province, last_two)
    assert len(_all(tree.province, t.topics.c.id)) == 3


def test_who_joins_a_topic_later_gets_what_was_passed_on_unread(tree: Tree) -> None:
    """The city cannot read the remark, keeps it, and makes the county a participant after that (R16)."""
    set_version(True)
    try:
        topic = _topic_at_city(tree)
        do(tree.province, thank, topic, api.NoteForm(text="辛苦了"))
        set_version(False)
        tree.settle()
        form = api.DelegateForm(to="620102", instruction="请办理", override_reason="就近")
        do(tree.city, delegate.delegate, topic, form)
        set_version(True)
        retry_parked(tree.city)
        tree.settle()
    finally:
        set_version(False)
    for node in (tree.province, tree.city, tree.county):
        assert _all(node, t.remarks.c.kind) == ["thanked"]


def test_what_came_ahead_and_was_passed_on_unread_is_stored_once(tree: Tree) -> None:
    """The city, which cannot read the first entry, gets the second one before it by stick; then it is upgraded."""
    set_version(True)
    try:
        topic = do(tree.county, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[])).id
        tree.settle()
        sent = _all(tree.county, t.links.c.sent_seq)[0]
        do(tree.county, survey, topic, api.NoteForm(text="已勘查"))
        do(tree.county, work.note, topic, api.NoteForm(text="待回复"))
        set_version(False)
        receive_file(tree.city, _piece(tree.county, "620100", sent + 1))
        tree.settle()
        assert sorted(_all(tree.city, t.parked.c.state)) == ["deferred", "held"]
        set_version(True)
        assert retry_parked(tree.city) == 2
        assert _all(tree.city, t.topics.c.seq) == [2]
    finally:
        set_version(False)


def test_what_was_here_before_its_key_was_revoked_is_applied_after_an_upgrade(tree: Tree, tmp_path: Path) -> None:
    """The city cannot read the county's remark and keeps it; then the county gets a new machine, the old key being
    in other hands. That revocation is about what comes after it (SPEC 14.7)."""
    set_version(True)
    try:
        topic = do(tree.county, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[])).id
        do(tree.county, thank, topic, api.NoteForm(text="辛苦了"))
        set_version(False)
        tree.settle()
        assert _all(tree.city, t.parked.c.code) == ["unknown-kind"]
        with write(tree.city) as batch:
            renewal = joining.Renewal("机器烧毁", revoked=True)
            token = joining.invite(batch, "620102", Tier.COUNTY, "县政协", renewal)
        fresh = make(tmp_path / "new", "620102", Tier.COUNTY)
        joining.enrol_child(tree.city, joining.join_request(fresh, token))
        fresh.engine.dispose()
        set_version(True)
        assert retry_parked(tree.city) == 1
        assert _all(tree.city, t.remarks.c.kind) == ["thanked"]
    finally:
        set_version(False)


def test_two_neighbours_that_have_lost_a_part_get_it_from_the_others(tree: Tree) -> None:
    """The province and the city were set back and each wants the list from the other; the county still has it."""
    with write(tree.province) as batch:
        publish(batch, "powers", POWERS.format(tier="city").encode())
    tree.settle()
    (digest,) = _all(tree.county, t.parts.c.digest)
    size = len(_all(tree.county, t.parts.c.content)[0])
    for node, other in ((tree.province, "620100"), (tree.city, "620000")):
        with write(node) as batch:
            batch.conn.execute(delete(t.parts))
            batch.conn.execute(insert(t.wanted_parts).values(peer=other, digest=digest, size=size, got=0))
    for _ in range(4):
        tree.settle()
        tree.call()
    for node in (tree.province, tree.city):
        assert _all(node, t.parts.c.digest) == [digest]
        assert _all(node, t.wanted_parts.c.digest) == []


def test_what_is_kept_twice_is_applied_once(tree: Tree) -> None:
    """An entry and the next one come ahead of their place from one neighbour, and each again as an old line."""
    topic = do(tree.county, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[])).id
    tree.settle()
    for text in ("一", "二", "三"):
        do(tree.county, work.note, topic, api.NoteForm(text=text))
    said = _all(tree.county, t.statements.c.raw, t.statements.c.typ == ENTRY)[1:]
    with write(tree.city) as batch:
        rows = [
            {"peer": peer, "inc": "0.", "stream_seq": n, "raw": raw, "statement": parse(raw).id, "topic": topic}
            | {"disposition": "deferred", "code": "gap", "state": "deferred", "relayed": False, "at": batch.now}
            for n, raw in enumerate(said[1:], start=1)
            for peer in ("620000", "620102")
        ]
        batch.conn.execute(insert(t.parked), rows)
    tree.settle()
    assert _all(tree.city, t.topics.c.seq) == [3]
    assert _all(tree.city, t.parked.c.state) == ["done"] * 4


class _Dies(Signal):
    """The process ends right after the commit."""

    def notify(self, peers: frozenset[str]) -> None:
        raise Crash


def test_a_crash_between_the_grant_and_the_guard_is_made_good_at_the_next_start(tree: Tree, tmp_path: Path) -> None:
    late = make(tmp_path, "620103", Tier.COUNTY)
    guard = tmp_path / "620103" / GUARD
    assert json.loads(guard.read_bytes())["inc"] == [0, ""]
    with write(tree.city) as batch:
        token = joining.invite(batch, "620103", Tier.COUNTY, "某区")
    answer = joining.enrol_child(tree.city, joining.join_request(late, token))
    with pytest.raises(Crash):
        joining.finish_join(replace(late, signal=_Dies()), token, answer)
    late.engine.dispose()
    again = reload(late)
    assert json.loads(guard.read_bytes())["inc"] == list(life.now(again).inc)
    assert life.now(again).inc.number == 1
    again.engine.dispose()


class _Stopped(Clock):
    """A clock that stands still, or was set back to the very instant."""

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)


def test_the_same_remark_at_the_same_instant_is_one_statement(tree: Tree) -> None:
    topic = do(tree.city, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[])).id
    node = replace(tree.city, clock=_Stopped())
    for _ in range(2):
        do(node, remark, topic, api.RemarkForm(kind="urge", text="请加快"))
    assert _all(node, t.remarks.c.kind) == ["urge"]


def test_who_answers_no_challenge_hears_nothing_but_a_challenge(tree: Tree) -> None:
    """A recorded request, sent again, read out which parts its receiver was waiting for."""
    topic = do(tree.city, open_topic, api.OpenForm(title="路灯", text="不亮" * 40_000, areas=[])).id
    do(tree.city, escalate.escalate, topic, api.EscalateForm(reason="超出权限", tried="已协商", override_reason="请示"))
    lane = _lane(tree.city, tree.province)
    lane.allowance = Allowance(items=20, bytes=4096)
    exchange.call(tree.city, lane)
    assert _all(tree.province, t.wanted_parts.c.digest)
    nonce = tree.city.clock.token(16)
    room = Budget(items=1, bytes=1024, wait_s=0)
    envelope = exchange.Envelope("620000", "push", lane.session, nonce, None, None, room)
    received = receive_request(tree.province, exchange.document(tree.city, envelope, exchange.Content(0, room))[0])
    assert received.challenged
    assert exchange.reply_to(tree.province, received).count(b"\n") == 2


def test_a_registry_written_twice_is_a_proof_and_stops_nothing(tree: Tree) -> None:
    """Two entries at one place of a node's registry were an internal error, again with every repetition (R9, R16)."""
    topic = do(tree.city, open_topic, api.OpenForm(title="路灯", text="不亮", areas=[])).id
    with write(tree.city) as batch:
        publish(batch, "powers", POWERS.format(tier="city").encode())
        published = batch.roster.heads[batch.me, batch.inc].seq
    tree.settle()
    signer, now = tree.city.identity.signer, life.now(tree.city).inc
    said = {**header("620100", now, "2026-03-01T08:00:00Z"), "seq": published, "prev": None, "kind": "published"}
    other = seal(said | {"body": {"list": "powers", "version": 9}, "parts": []}, REGISTRY, signer)
    with tree.city.engine.begin() as conn:
        row = {"id": identity(parse(other).payload), "raw": other, "typ": REGISTRY, "author": "620100"}
        conn.execute(t.statements.insert().values(row | {"at": tree.city.clock.now(), "source": None}))
    with write(tree.city) as batch:
        batch.enqueue("620000", row["id"])
    do(tree.city, work.note, topic, api.NoteForm(text="照办"))
    tree.settle()
    assert _all(tree.province, t.equivocations.c.author) == ["620100"]
    assert _all(tree.province, t.topics.c.status, t.topics.c.id == topic) == ["frozen"]
    assert _all(tree.province, t.links.c.acked_seq, t.links.c.peer == "620100")
    assert not _all(tree.city, t.links.c.failures, t.links.c.failures > 0)
