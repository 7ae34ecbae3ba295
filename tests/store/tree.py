"""A tree of real nodes for tests: a province, its city, two counties of the city. Made once and copied for each test.

The city, which stands in the middle of everything, keeps its data in the database under test, or another node where a
test names one; the others use SQLite.
"""

import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select, text

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service import decide, delegate, escalate, exchange, finish, giveback, life, work
from node.service import open as opening
from node.service.commit import write
from node.service.identity import load
from node.service.verify import verify
from node.store import tables as t
from node.store.engine import connect, reading
from node.store.schema import upgrade
from schemas import api
from schemas.ids import Tier
from sync.chain import header
from sync.keys import Signer
from sync.sealing import ENTRY, identity, parse, seal
from tests.nodes import Wire, do, join, lane, make, reload, settle, state_of

PROVINCE, CITY, COUNTY, OTHER = "620000", "620100", "620102", "620103"
PAST = "2026-01-01T00:00:00Z"


class Tree:
    """The nodes, each copied from the template when it is first asked for, and a wire from each child to its parent."""

    def __init__(self, template: Path, folder: Path, database_url: str, tested: str = CITY) -> None:
        self._template = template
        self._tested = tested
        self._folder = folder
        self._database_url = database_url
        self.wires: dict[str, Wire] = _Made(lambda code: self._connect(code) and self.wires[code])
        self.lanes: dict[str, exchange.Lane] = _Made(lambda code: self._connect(code) and self.lanes[code])

    @cached_property
    def province(self) -> Context:
        return self._copy(PROVINCE)

    @cached_property
    def city(self) -> Context:
        return self._copy(CITY)

    @cached_property
    def county(self) -> Context:
        return self._copy(COUNTY)

    @cached_property
    def other(self) -> Context:
        return self._copy(OTHER)

    @property
    def nodes(self) -> list[Context]:
        return [self.province, self.city, self.county, self.other]

    def connect(self, child: Context, parent: Context) -> None:
        """A fresh lane, as after a restart of the child's process."""
        code = child.identity.code
        self.wires[code] = Wire(parent)
        self.lanes[code] = lane(child, parent, self.wires[code])

    def _connect(self, code: str) -> bool:
        child = {COUNTY: "county", OTHER: "other", CITY: "city"}[code]
        self.connect(getattr(self, child), self.province if code == CITY else self.city)
        return True

    def _copy(self, code: str) -> Context:
        """The node in a folder of its own, the one under test in its database."""
        shutil.copytree(self._template / code, self._folder / code)
        url = self._database_url if code == self._tested and not self._database_url.startswith("sqlite") else ""
        if url:
            _move(self._folder / code / "node.db", url)
        return load(Settings(data=self._folder / code, disk_reserve_bytes=0, database_url=url), Clock())

    def settle(self, *only: Context) -> None:
        """Exchange over the links of these children, else of all, until nothing is left to say."""
        children = list(only) or [self.county, self.other, self.city]
        settle([self.lanes[child.identity.code] for child in children], children)

    def agree(self, topic: str, *nodes: Context) -> tuple[str, int, str, str]:
        """The one state of the topic that all these nodes have."""
        states = {state_of(node, topic) for node in nodes}
        assert len(states) == 1, states
        return states.pop()

    def check(self) -> None:
        """Everything every node has stored is what was signed."""
        for node in self.nodes:
            report = verify(node)
            assert report.ok, (node.identity.code, report.problems)

    def close(self) -> None:
        for made in list(vars(self).values()):
            if isinstance(made, Context):
                made.engine.dispose()


class _Made(dict[str, Any]):
    """Makes what is missing."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> Any:
        return self._make(key)


def make_template(folder: Path) -> None:
    """The four nodes, joined, each with its own data folder and a closed SQLite database."""
    province = make(folder, PROVINCE, Tier.PROVINCE, root=True)
    city = join(province, make(folder, CITY, Tier.CITY))
    county = join(city, make(folder, COUNTY, Tier.COUNTY))
    other = join(city, make(folder, OTHER, Tier.COUNTY))
    nodes = [reload(province), reload(city), county, other]
    settle([lane(county, nodes[1]), lane(other, nodes[1]), lane(nodes[1], nodes[0])], [county, other, nodes[1]])
    for node in (*nodes, province, city):
        with node.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        node.engine.dispose()


def _move(file: Path, url: str) -> None:
    """All rows of a SQLite database into an empty one of another kind."""
    source, target = connect(f"sqlite:///{file}"), connect(url)
    upgrade(target)
    with source.connect() as old, target.begin() as new:
        for table in t.metadata.sorted_tables:
            rows = [dict(row._mapping) for row in old.execute(select(table))]
            if rows:
                new.execute(insert(table), rows)
            for column in table.columns:
                if column.autoincrement is True:
                    last = new.execute(select(func.coalesce(func.max(column), 0))).scalar_one()
                    sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
                    new.execute(text(f"SELECT setval({sequence}, {last + 1}, false)"))
    source.dispose()
    target.dispose()
    file.unlink()


# ---- what offices do ---------------------------------------------------------------------------------------------


def open_topic(node: Context, title: str = "跨县公路破损", body: str = "两县交界处坑洼。", **more: Any) -> str:
    form = api.OpenForm(**{"title": title, "text": body, "areas": [node.identity.code], **more})
    return str(do(node, opening.open_topic, form).id)


def offer_up(node: Context, topic: str, **more: Any) -> None:
    do(
        node,
        escalate.escalate,
        topic,
        api.EscalateForm(reason="涉及两县", tried="已协调", override_reason="特", **more),
    )


def offer_down(node: Context, topic: str, to: str, **more: Any) -> None:
    do(node, delegate.delegate, topic, api.DelegateForm(to=to, instruction="请办", override_reason="特", **more))


def accept(node: Context, topic: str) -> None:
    do(node, decide.accept, topic, api.AcceptForm())


def decline(node: Context, topic: str) -> None:
    do(node, decide.decline, topic, api.DeclineForm(code="not_our_power", reason="无此权限"))


def recall(node: Context, topic: str) -> None:
    do(node, decide.recall, topic, api.RecallForm(reason="交错了"))


def note(node: Context, topic: str, said: str = "记") -> None:
    do(node, work.note, topic, api.NoteForm(text=said))


def steps(node: Context, topic: str, *names: Any) -> None:
    for name in names:
        do(node, work.step, topic, api.StepForm(step=name, text=name, override_reason="特"))


def result(node: Context, topic: str) -> None:
    do(node, work.result, topic, api.ResultForm(outcome="A", text="已修好"))


def report(node: Context, topic: str) -> None:
    do(node, giveback.report, topic, api.ReportForm(text="已办结"))


def close(node: Context, topic: str) -> None:
    do(node, finish.close, topic, api.CloseForm())


def delegated(tree: Tree) -> str:
    """A topic of the city that the county holds: what the county writes goes through the city to the province."""
    topic = open_topic(tree.city)
    offer_down(tree.city, topic, COUNTY)
    tree.settle()
    accept(tree.county, topic)
    tree.settle()
    assert state_of(tree.province, topic)[0] == COUNTY
    return topic


# ---- what no honest node does ------------------------------------------------------------------------------------


def forge(node: Context, topic: str, change: Callable[[dict[str, Any]], None], signer: Signer | None = None) -> bytes:
    """The bytes of a note on a topic as this node would write it next, changed before it is signed."""
    with write(node) as batch:
        chain = batch.working(topic).chain
        assert chain is not None
        payload: dict[str, Any] = {
            **header(node.identity.code, life.now(node).inc, batch.at),
            "topic": topic,
            "seq": chain.seq + 1,
            "prev": chain.head,
            "term": chain.term,
            "kind": "noted",
            "body": {"text": "forged"},
            "parts": [],
        }
    change(payload)
    return seal(payload, ENTRY, signer or node.identity.signer)


def smuggle(node: Context, raw: bytes, to: str) -> str:
    """Put bytes on the stream to a neighbour as if this node had written them; gives their identity."""
    signed = parse(raw)
    id = identity(signed.payload)
    row = {"id": id, "raw": raw, "typ": signed.typ, "author": node.identity.code}
    with write(node) as batch:
        batch.conn.execute(insert(t.statements).values(**row, at=batch.now, source=None))
        batch.enqueue(to, id)
    return id


def rows(node: Context, table: Any, *where: Any) -> list[Any]:
    with reading(node.engine) as conn:
        return list(conn.execute(select(table).where(*where)))


def contents(node: Context) -> dict[str, list[Any]]:
    """Everything a node knows of topics and streams, to compare with what it knew before."""
    tables = (t.statements, t.entries, t.remarks, t.registry, t.outbox, t.parked, t.parts, t.equivocations)
    found = {table.name: sorted(map(repr, rows(node, table))) for table in tables}
    cursors = (t.links.c.peer, t.links.c.sent_seq, t.links.c.acked_seq, t.links.c.received_seq, t.links.c.stopped)
    with reading(node.engine) as conn:
        found["links"] = sorted(map(repr, conn.execute(select(*cursors))))
        found["topics"] = sorted(map(repr, conn.execute(select(t.topics.c.id, t.topics.c.head, t.topics.c.status))))
    return found
