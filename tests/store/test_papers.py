"""A neighbour whose key is forgotten brings its papers, and whoever has none of its own changes nothing (SPEC 14.9)."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from node.context import Context
from node.service import bundle, exchange, joining, life, papers, upkeep, work
from node.service import roster as rosters
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.receive import receive_file, receive_request
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from schemas.exchange import PAPERS_BYTES_MAX, PAPERS_MAX
from schemas.ids import Tier
from schemas.problem import PREFIX
from sync.chain import header
from sync.errors import BadDocument, TransportError
from sync.exchange import Old, compose, read
from sync.keys import Signer, b64
from sync.sealing import REGISTRY, parse, seal
from sync.strict import dumps, strict_json
from sync.transport import Reply
from tests.nodes import Wire, do, join, lane, make, reload, settle
from tests.store.lives import brought_back, exchange_some, heal, opened, saved
from tests.store.tree import CITY, COUNTY, PAST, PROVINCE, Tree, contents, rows

LATE = "620104"


class Forgotten:
    """A county that city and province, both set back, know nothing of; or, `renewed`, not under the key it has.

    The other counties have not heard of it yet. A `snapshot` brings the guard back, too.
    """

    def __init__(self, tree: Tree, folder: Path, renewed: bool = False, snapshot: bool = False) -> None:
        self.tree = tree
        self.late = join(tree.city, make(folder / "first", LATE, Tier.COUNTY)) if renewed else tree.county
        if renewed:
            self.settle()
        tree.settle()
        backups = {name: saved(tree, name, folder / name, snapshot) for name in ("city", "province")}
        if renewed:
            self.late.engine.dispose()
            self.late = self.on_a_new_machine(folder / "second")
            self.call()
        else:
            self.late = join(tree.city, make(folder / "first", LATE, Tier.COUNTY))
        self.settle()
        self.topic = opened(self.late)
        self.settle()
        tree.settle(tree.city)
        for name, backup in backups.items():
            brought_back(tree, name, backup)
        self.lane = lane(self.late, tree.city)

    def settle(self) -> None:
        self.lane = lane(self.late, self.tree.city)
        settle([self.lane], [self.late])

    def on_a_new_machine(self, folder: Path) -> Context:
        with write(self.tree.city) as batch:
            token = joining.invite(batch, LATE, Tier.COUNTY, "县政协", joining.Renewal("机器烧毁", revoked=True))
        fresh = make(folder, LATE, Tier.COUNTY)
        request = joining.join_request(fresh, token)
        joining.finish_join(fresh, token, joining.enrol_child(self.tree.city, request))
        fresh = reload(fresh)
        self.lane = lane(fresh, self.tree.city)
        return fresh

    def call(self, times: int = 8) -> None:
        for _ in range(times):
            with suppress(TransportError):
                exchange.call(self.late, self.lane)

    def check(self) -> None:
        """All is well again."""
        for _ in range(20):
            exchange_some(self.tree, 1)
            self.call(1)
            for node in self.tree.nodes:
                upkeep.live_on(node)
        heal(self.tree)
        settle([self.lane], [self.late])
        do(self.late, work.note, self.topic, api.NoteForm(text="还在办"))
        settle([self.lane], [self.late])
        self.tree.settle()
        self.tree.agree(self.topic, self.tree.city, self.late)
        self.tree.check()
        self.late.engine.dispose()


def refusal(door: Callable[[Context, bytes], object], node: Context, raw: bytes) -> str:
    with pytest.raises(BadDocument) as said:
        door(node, raw)
    return said.value.code


def sealed(node: Context, to: str, olds: list[bytes], signer: Signer | None = None, **change: Any) -> bytes:
    """A document that brings these lines, as this node would send it, under its key or another."""
    session, nonce = "1" * 32, "2" * 32
    inc = life.now(node).inc
    head = {
        "v": 1,
        "from": node.identity.code,
        "to": to,
        "inc": inc,
        "instance": None,
        "lane": "push",
        "session": session,
        "nonce": nonce,
        "answers": None,
        "challenge": None,
        "ack": {"inc": [0, ""], "seq": 0, "hash": "0" * 64},
        "first": 0,
        "budget": exchange.NOTHING.model_dump(mode="json"),
        "checkpoint": None,
        **change,
    }
    shared = header(head["from"], head["inc"], PAST)
    return compose(head, [], [Old(raw) for raw in olds], shared, signer or node.identity.signer)


def papers_of(node: Context) -> list[bytes]:
    with reading(node.engine) as conn:
        return [line.raw for line in papers.lines(conn, rosters.current(node, conn), node.identity.code)]


@pytest.mark.parametrize("heals_first", [True, False], ids=["live", "healing"])
@pytest.mark.parametrize("renewed", [False, True], ids=["enrolled", "rotated"])
def test_a_county_that_city_and_province_have_forgotten_brings_its_papers_and_goes_on(
    tree: Tree, tmp_path: Path, renewed: bool, heals_first: bool
) -> None:
    found = Forgotten(tree, tmp_path, renewed)
    mine = life.now(found.late)
    if heals_first and not renewed:
        heal(tree)
        assert not rows(tree.city, t.links, t.links.c.peer == LATE)
    elif heals_first:
        with pytest.raises(AssertionError, match=f"waits to compare with {LATE}"):
            heal(tree)
    with pytest.raises(TransportError, match="unexpected-answer"):
        exchange.call(found.late, found.lane)
    exchange.call(found.late, found.lane)
    assert [row.actor for row in rows(tree.city, t.audit, t.audit.c.action == "papers")] == [f"node:{LATE}"]
    assert rows(tree.city, t.links, t.links.c.peer == LATE)[0].relation == "child"
    exchange.call(found.late, found.lane)
    assert not found.lane.unknown
    found.check()
    assert life.now(found.late).inc == mine.inc
    assert life.now(tree.city).live and life.now(tree.province).live


def test_a_city_that_a_snapshot_set_back_unnoticed_learns_of_it_from_the_papers(tree: Tree, tmp_path: Path) -> None:
    """What they show is its own word, of the life it lives in: that life is over (14.1)."""
    found = Forgotten(tree, tmp_path, snapshot=True)
    assert life.now(tree.city).live
    found.call(2)
    assert not life.now(tree.city).live
    assert (
        rows(tree.city, t.audit, t.audit.c.action == "incarnation-over")[-1].detail["why"]
        == f"{life.KNOWS_MORE} {LATE}"
    )
    found.check()
    assert life.now(tree.city).inc.number == 2


@pytest.mark.parametrize("renewed", [False, True], ids=["enrolled", "rotated"])
def test_a_forgotten_county_brings_its_papers_by_stick(tree: Tree, tmp_path: Path, renewed: bool) -> None:
    found = Forgotten(tree, tmp_path, renewed)
    view = import_bundle(tree.city, export_bundle(found.late, CITY))
    assert view.sender == LATE
    assert rows(tree.city, t.links, t.links.c.peer == LATE)
    for _ in range(6):
        import_bundle(found.late, export_bundle(tree.city, LATE))
        import_bundle(tree.city, export_bundle(found.late, CITY))
    found.check()


def test_counties_learn_the_new_key_of_their_city_by_stick(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    tree.city.engine.dispose()
    with write(tree.province) as batch:
        token = joining.invite(batch, CITY, Tier.CITY, "市政协", joining.Renewal("机器烧毁"))
    old, fresh = tree.city, make(tmp_path, CITY, Tier.CITY)
    joining.finish_join(fresh, token, joining.enrol_child(tree.province, joining.join_request(fresh, token)))
    vars(tree)["city"] = reload(fresh)
    for child, parent in ((tree.city, tree.province), (tree.county, tree.city), (tree.other, tree.city)):
        tree.connect(child, parent)
    with pytest.raises(TransportError, match="unknown-peer"):
        exchange.call(tree.county, tree.lanes[COUNTY])
    for county in (tree.county, tree.other):
        import_bundle(county, export_bundle(tree.city, county.identity.code))
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[0] == COUNTY
    old.engine.dispose()
    tree.check()


def test_one_bad_document_of_a_bundle_and_its_papers_change_nothing(tree: Tree, tmp_path: Path) -> None:
    found = Forgotten(tree, tmp_path)
    raw = export_bundle(found.late, CITY, plain=True)
    first, *rest = bundle._split(raw)
    assert rest
    bad = rest[-1].replace(b'"signature":"', b'"signature":"A', 1)
    body = b"".join([first, *rest[:-1], bad])
    framed = dumps({"bundle": {"v": 1, "documents": 1 + len(rest), "bytes": len(body)}}) + b"\n" + body
    before = contents(tree.city)
    assert refusal(import_bundle, tree.city, framed) != ""
    assert contents(tree.city) == before
    assert receive_file(tree.city, first).applied == 0
    assert rows(tree.city, t.links, t.links.c.peer == LATE)
    found.late.engine.dispose()


def test_papers_are_no_request_and_leave_out_what_nobody_needs(tree: Tree, tmp_path: Path) -> None:
    found = Forgotten(tree, tmp_path)
    seen: list[bytes] = []
    found.lane.transport = Wire(tree.city, on_request=lambda raw: seen.append(raw) or raw)  # type: ignore[assignment, func-returns-value]
    found.call(2)
    with reading(found.late.engine) as conn:
        roster = rosters.fold(conn)
    plain, brought, again, *_ = [read(raw, roster.keyring) for raw in seen]
    assert not plain.olds and not again.olds
    assert brought.header.answers is None
    assert not brought.items and not brought.haves and not brought.pulls and not brought.log
    authors = {strict_json(item.signed.payload)["author"] for item in brought.olds if item.signed}
    assert authors == {CITY, PROVINCE}
    found.check()


def test_a_forged_word_that_the_parent_does_not_know_its_child_costs_one_document(tree: Tree) -> None:
    problem = dumps({"type": f"{PREFIX}unknown-peer", "title": "", "status": 403, "detail": ""})
    wire, link = tree.wires[COUNTY], tree.lanes[COUNTY]
    tree.settle()
    seen: list[bytes] = []
    wire.on_request = lambda raw: seen.append(raw) or raw  # type: ignore[func-returns-value]
    post, wire.post = wire.post, lambda *_: Reply(403, problem)  # type: ignore[method-assign]
    with pytest.raises(TransportError, match="unexpected-answer"):
        exchange.call(tree.county, link)
    wire.post = post  # type: ignore[method-assign]
    before = contents(tree.city)
    topic = opened(tree.county)
    exchange.call(tree.county, link)
    assert [b'{"old":' in raw for raw in seen] == [True, False]
    assert len(rows(tree.city, t.registry)) == len(before["registry"])
    assert not rows(tree.city, t.audit, t.audit.c.action == "papers")
    tree.settle()
    tree.agree(topic, tree.county, tree.city)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"type":7}', b'{"type":"urn:liandong:problem:malformed"}', b"\xff"]
)
def test_no_other_refusal_asks_for_papers(body: bytes) -> None:
    assert not papers.asked_for(Reply(400, body))
    said = dumps({"type": f"{PREFIX}unknown-peer"})
    assert papers.asked_for(Reply(400, said)) and papers.asked_for(Reply(403, said))
    assert not papers.asked_for(Reply(503, said)) and not papers.asked_for(Reply(200, said))


def test_a_stranger_with_foreign_or_forged_papers_changes_nothing(tree: Tree, tmp_path: Path) -> None:
    found = Forgotten(tree, tmp_path)
    genuine = papers_of(found.late)
    stranger = make(tmp_path / "strange", "620109", Tier.COUNTY)
    beyond = join(make_root(tmp_path / "beyond"), make(tmp_path / "beyond", "630100", Tier.CITY))
    card = {**strict_json(parse(genuine[-1]).payload)["body"]["node"]}
    taken = {**card, "code": "620109", "key": b64(stranger.identity.signer.public)}
    forged = enrolment(tree.city, taken, stranger.identity.signer)
    own = stranger.identity.signer
    bad = {
        "no papers": sealed(stranger, CITY, []),
        "papers of another, under a key of its own": sealed(stranger, CITY, genuine),
        "in the name of the forgotten county": sealed(found.late, CITY, genuine, own),
        "in the name of a known county": sealed(tree.county, CITY, genuine, own),
        "in the name of the city": sealed(tree.city, CITY, genuine, own),
        "an enrolment that the city never signed": sealed(stranger, CITY, [*genuine, forged]),
        "papers of another tree": sealed(beyond, CITY, papers_of(beyond)),
        "without the last": sealed(found.late, CITY, genuine[:-1]),
        "for another node": sealed(found.late, PROVINCE, genuine),
        "statements that are none": sealed(found.late, CITY, [b"{}", b'{"payload":1}']),
    }
    whole = sealed(found.late, CITY, genuine)
    bad["damaged"] = whole.replace(b'"nonce":"22', b'"nonce":"23', 1)
    bad["without its last line"] = whole[: whole.rindex(b'{"seal":')]
    before = contents(tree.city), life.now(tree.city), len(rows(tree.city, t.audit)), rows(tree.city, t.challenges)
    for name, raw in bad.items():
        for door in (receive_request, receive_file):
            code = refusal(door, tree.city, raw)
            assert code in ("unknown-peer", "malformed", "bad-seal"), (name, code)
        assert (contents(tree.city), life.now(tree.city), len(rows(tree.city, t.audit))) == before[:3], name
        assert rows(tree.city, t.challenges) == before[3], name
    assert receive_request(tree.city, whole).challenged
    for node in (stranger, beyond):
        node.engine.dispose()
    found.check()


def test_genuine_papers_under_a_bad_envelope_change_nothing(tree: Tree, tmp_path: Path) -> None:
    found = Forgotten(tree, tmp_path)
    genuine = papers_of(found.late)
    far = [life.AHEAD_MAX + 9, "3" * 32]
    stop: list[tuple[Callable[[Context, bytes], object], dict[str, Any], str]] = [
        (receive_request, {"lane": "file"}, "malformed"),
        (receive_request, {"session": None}, "malformed"),
        (receive_request, {"inc": far}, "wrong-incarnation"),
        (receive_file, {}, "malformed"),
        (receive_file, {"lane": "file", "inc": far}, "wrong-incarnation"),
    ]
    before = contents(tree.city)
    for door, change, code in stop:
        assert refusal(door, tree.city, sealed(found.late, CITY, genuine, **change)) == code
        assert contents(tree.city) == before
    found.check()


def test_more_than_papers_may_be_is_not_looked_at(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Forgotten(tree, tmp_path)
    genuine = papers_of(found.late)
    for olds in ([*[genuine[0]] * PAPERS_MAX, *genuine], [*genuine, b'{"x":"' + b"x" * PAPERS_BYTES_MAX + b'"}']):
        with monkeypatch.context() as patched:
            patched.setattr(papers, "read_claims", lambda raw: pytest.fail("it was read"))
            assert refusal(receive_request, tree.city, sealed(found.late, CITY, olds)) == "unknown-peer"
    monkeypatch.setattr(papers, "PAPERS_MAX", 2)
    assert papers_of(found.late) == genuine[-2:]
    monkeypatch.setattr(papers, "PAPERS_MAX", PAPERS_MAX)
    monkeypatch.setattr(papers, "PAPERS_BYTES_MAX", papers._ENVELOPE_BYTES + len(genuine[-1]) + 100)
    assert papers_of(found.late) == genuine[-1:]
    monkeypatch.undo()
    found.check()


def make_root(folder: Path) -> Context:
    root = make(folder, "630000", Tier.PROVINCE, root=True)
    return reload(root)


def enrolment(city: Context, card: dict[str, Any], signer: Signer) -> bytes:
    """What the city would say next, in a stranger's hand."""
    with reading(city.engine) as conn:
        roster = rosters.current(city, conn)
    inc = roster.members[CITY].inc
    head = roster.heads[(CITY, inc)]
    payload = {
        **header(CITY, inc, PAST),
        "seq": head.seq + 1,
        "prev": head.id,
        "kind": "enrolled",
        "body": {"node": card, "inc": [1, "4" * 32]},
        "parts": [],
    }
    return seal(payload, REGISTRY, signer)
