"""Schemes: several rightly signed statements that together would take what is not theirs."""

import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from node.context import Context
from node.service import exchange, joining
from node.service.commit import write
from node.service.decide import accept
from node.service.delegate import delegate
from node.service.escalate import escalate
from node.service.giveback import report
from node.service.open import open_topic
from node.service.receive import DEFERRED_MAX
from node.service.roster import current
from node.service.split import split
from node.store import tables as t
from node.store.engine import reading, writing
from schemas import entry as entries
from schemas import remark as remarks
from schemas.api import AcceptForm, DelegateForm, EscalateForm, OpenForm, ReportForm, SplitForm, SplitPart
from schemas.ids import Tier
from schemas.statement import PartRef
from tests import nodes
from tests.edge.evil import House, make, make_house
from tests.edge.test_evil_parent import call
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE

pytestmark = pytest.mark.slow
SECRET = "0931-1234567"


class Tree:
    """The cast with all links at rest between steps."""

    def __init__(self, folder: Path) -> None:
        self.house = make_house(folder)
        self.city2 = nodes.join(self.house.province, make(folder, c.CITY2))
        house = self.house
        self.children = [house.city, self.city2, house.county, house.county2]
        parents = [house.province, house.province, house.city, house.city]
        self.lanes = [nodes.lane(*pair) for pair in zip(self.children, parents, strict=True)]
        self.settle()

    def settle(self) -> None:
        nodes.settle(self.lanes, self.children)

    def open(self, ctx: Context, **other: object) -> str:
        found: str = nodes.do(ctx, open_topic, OpenForm(title="路灯", text="不亮", areas=[COUNTY], **other)).id
        return found

    def delegate(self, ctx: Context, topic: str, to: str) -> None:
        nodes.do(ctx, delegate, topic, DelegateForm(to=to, instruction="请办理", override_reason="x"))
        self.settle()

    def escalate(self, ctx: Context, topic: str, to: Context) -> None:
        nodes.do(ctx, escalate, topic, EscalateForm(reason="x", tried="x", override_reason="x"))
        self.settle()
        self.accept(to, topic)

    def accept(self, ctx: Context, topic: str) -> None:
        nodes.do(ctx, accept, topic, AcceptForm())
        self.settle()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def parts_of(ctx: Context, topic: str, share: str) -> PartRef:
    refs = t.part_refs.c
    query = select(refs.name, refs.digest, refs.size, refs.media, refs.share)
    with reading(ctx.engine) as conn:
        row = conn.execute(query.where(refs.topic == topic, refs.share == share)).one()
    return PartRef(**row._mapping)


def kinds(ctx: Context, topic: str) -> list[str]:
    query = select(t.entries.c.kind).where(t.entries.c.topic == topic).order_by(t.entries.c.seq)
    with reading(ctx.engine) as conn:
        return list(conn.execute(query).scalars())


def test_decline_by_a_node_that_was_not_offered_stands_in_nobodys_way(tree: Tree):
    """SPEC R5. The county offers its report and declines its own offer, so that the city could never take it."""
    city, county = tree.house.city, tree.house.county
    topic = tree.open(city)
    tree.delegate(city, topic, COUNTY)
    tree.accept(county, topic)
    nodes.do(county, report, topic, ReportForm(text="x"))
    with write(county) as batch:
        offer = batch.held(topic).chain.offer.id
        batch.remark(topic, offer, "declined", remarks.Declined(code="duplicate", reason=""))
    tree.settle()
    tree.accept(city, topic)
    assert nodes.state_of(county, topic)[0] == CITY


def test_topic_that_names_a_portion_of_others_does_not_end_it(tree: Tree):
    """SPEC 5.7. The county opens a topic of its own as the portion that its sibling works on, and closes it."""
    city, county = tree.house.city, tree.house.county
    topic = tree.open(city)
    part = SplitPart(to=COUNTY2, role="lead", title="x", instruction="x")
    nodes.do(city, split, topic, SplitForm(parts=[part]))
    tree.settle()
    with reading(city.engine) as conn:
        portion = conn.execute(select(t.entries.c.id).where(t.entries.c.topic == topic, t.entries.c.kind == "split"))
        named = {"parent": {"entry": portion.scalar_one(), "n": 0}, "depth": 1}
    with write(county) as batch:
        forged = batch.entry(None, "opened", entries.Opened.model_validate_json(c.dumps(b.opened(COUNTY, **named))))
        batch.entry(forged.id, "resulted", entries.Resulted(outcome="A", text=""))
        batch.entry(forged.id, "closed", entries.Closed(text="", children=[]))
    tree.settle()
    assert kinds(city, topic) == ["opened", "split"]


def test_local_part_that_another_statement_calls_full_does_not_leave(tree: Tree):
    """SPEC 4. A county that saw the digest of a citizen's phone number in the province's topic names it as its own."""
    house = tree.house
    topic = tree.open(house.province, submitter=SECRET)
    tree.delegate(house.province, topic, COUNTY2)
    local = parts_of(house.county2, topic, "local")
    trap = tree.open(house.county2)
    with write(house.county2) as batch:
        batch.entry(trap, "noted", entries.Noted(text="x"), [local.model_copy(update={"share": "full"})])
    tree.settle()
    tree.escalate(house.county2, trap, house.city)
    tree.escalate(house.city, trap, house.province)
    tree.delegate(house.province, trap, c.CITY2)
    for ctx in tree.children:
        with reading(ctx.engine) as conn:
            found = conn.execute(select(t.parts.c.content).where(t.parts.c.digest == local.digest)).first()
        assert found is None, ctx.identity.code


def fill_queue(house: House, size: int) -> None:
    """What the county sends under keys nobody knows waits at the city."""
    raw = c.jws(c.payload_of(b.born().raws[0]), c.ENTRY, c.STRANGER)
    row = {"peer": COUNTY, "inc": "1.x", "raw": raw, "statement": "0" * 64, "topic": None, "disposition": "deferred"}
    row |= {"code": "unknown-key", "state": "deferred", "relayed": False, "at": house.city.clock.now()}
    with writing(house.city.engine) as conn:
        conn.execute(insert(t.parked), [{**row, "stream_seq": n} for n in range(1000, 1000 + size)])


def test_statements_of_one_child_that_wait_do_not_slow_another(tree: Tree):
    house = tree.house
    topic = tree.open(house.county2)
    tree.settle()

    def cost_s(remarks_made: int = 30) -> float:
        for n in range(remarks_made):
            with write(house.county2) as batch:
                batch.remark(topic, topic, "comment", remarks.Said(text=str(n)))
        started = time.process_time()
        tree.settle()
        return time.process_time() - started

    alone = cost_s()
    fill_queue(house, 2000)
    assert cost_s() < 5 * alone


def test_statements_of_one_child_that_wait_do_not_stop_another(tree: Tree):
    """SPEC 8.4. Anybody may fill its own queue with statements under keys nobody knows."""
    fill_queue(tree.house, DEFERRED_MAX + 1)
    topic = tree.open(tree.house.county2)
    tree.settle()
    assert nodes.state_of(tree.house.city, topic)[0] == COUNTY2


def test_answer_to_joining_under_another_root_is_refused(tmp_path: Path):
    """SPEC 9. Whoever answers in the parent's place puts a root of their own above its genuine entries."""
    house = make_house(tmp_path)
    child = make(tmp_path, c.STRANGER)
    with write(house.city) as batch:
        token = joining.invite(batch, c.STRANGER, Tier.COUNTY, "x")
    lines = joining.enrol_child(house.city, joining.join_request(child, token)).rstrip(b"\n").split(b"\n")
    with reading(house.city.engine) as conn:
        query = select(t.statements.c.raw).where(t.statements.c.author == CITY, t.statements.c.typ == c.REGISTRY)
        genuine = list(conn.execute(query.order_by(t.statements.c.pos)).scalars())
    card_of_city = {"node": _card(lines, CITY), "inc": c.inc(CITY)}
    false_root = {"node": {**c.card("610000"), "tier": "province"}, "inc": c.inc("610000"), "witnesses": []}
    anchor = c.registered("610000", 0, None, "anchored", false_root)
    below = c.registered("610000", 1, c.identity(anchor), "enrolled", card_of_city)
    with pytest.raises(joining.BadToken):
        joining.finish_join(child, token, b"".join(line + b"\n" for line in [anchor, below, *genuine]))


def _card(lines: list[bytes], code: str) -> c.Json:
    """The card in the genuine enrolment of a node."""
    bodies = [c.json.loads(c.payload_of(line))["body"] for line in lines]
    found: c.Json = next(body["node"] for body in bodies if body.get("node", {}).get("code") == code)
    return found


def test_list_published_twice_under_one_version_does_not_stop_the_link(tmp_path: Path):
    """SPEC 7.4. The parent publishes two lists as version 1; every document with the second would fail for ever."""
    house = make_house(tmp_path)
    nodes.settle([nodes.lane(house.county, house.city)], [house.county])
    with reading(house.city.engine) as conn:
        query = select(t.statements.c.id).join(t.registry, t.registry.c.id == t.statements.c.id)
        head = (
            conn.execute(query.where(t.registry.c.author == CITY).order_by(t.registry.c.seq.desc())).scalars().first()
        )
    for n, row in enumerate(("城乡建设,照明,路灯", "城乡建设,照明,灯具")):
        content = f"level1,level2,level3\n{row}\n".encode()
        ref, salt = c.part("content", content, media="text/csv")
        said = c.registered(CITY, 2 + n, head, "published", {"list": "categories", "version": 1}, parts=[ref])
        head = c.identity(said)
        data = {"digest": ref["digest"], "salt": salt, "size": ref["size"], "offset": 0, "data": c.b64(content)}
        lines = (said, c.text("chunk", data))
        _, lane = call(house, lambda fake, asked, lines=lines: fake.reply(asked, lines))
        assert lane.verdicts == ()
    assert exchange.find_lane(house.county, "push") is not None
    with reading(house.county.engine) as conn:
        assert PROVINCE in current(house.county, conn).members
