"""`verify` finds every row that was tampered with, by name, and `--rebuild` makes every projection again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, select, text, update

from node.service import remark
from node.service.verify import verify
from node.store import log_tables as lt
from node.store import office
from node.store import tables as t
from node.store.engine import is_sqlite
from schemas import api
from tests.nodes import do
from tests.store.tree import (
    COUNTY,
    PROVINCE,
    Tree,
    accept,
    contents,
    delegated,
    note,
    offer_up,
    open_topic,
    recall,
    rows,
)


def work(tree: Tree) -> None:
    """A little of everything, so that every table has rows."""
    for n in range(2):
        topic = open_topic(tree.county, f"第{n}件", submitter={"name": "张三"})
        offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    offer_up(tree.city, topic)
    held = delegated(tree)
    note(tree.county, held)
    do(tree.city, remark.remark, held, api.RemarkForm(kind="urge", text="请快办"))
    recall(tree.city, topic)
    with_number = open_topic(tree.city)
    note(tree.city, with_number)
    tree.settle(tree.county, tree.other)


@pytest.fixture(scope="session")
def worked(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worked")
    tree = Tree(template, folder, "sqlite://")
    work(tree)
    for node in tree.nodes:
        with node.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    tree.close()
    return folder


@pytest.fixture
def used(worked: Path, tmp_path: Path, database_url: str) -> Iterator[Tree]:
    made = Tree(worked, tmp_path / "used", database_url)
    yield made
    made.close()


def _first(conn: Connection, column: Any, *where: Any) -> Any:
    return conn.execute(select(column).where(*where).order_by(column).limit(1)).scalar_one()


def _an_entry(conn: Connection, kind: str) -> str:
    return str(_first(conn, t.entries.c.id, t.entries.c.kind == kind))


def delete_entry_row(conn: Connection) -> str:
    id = _an_entry(conn, "accepted")
    conn.execute(delete(t.entries).where(t.entries.c.id == id))
    return id


def alter_entry_row(conn: Connection) -> str:
    id = _an_entry(conn, "noted")
    conn.execute(update(t.entries).where(t.entries.c.id == id).values(kind="amended"))
    return id


def reorder_entry_rows(conn: Connection) -> str:
    """Two entries of a topic change places."""
    topic = _first(conn, t.entries.c.topic, t.entries.c.seq == 2)
    one, two = (
        conn.execute(select(t.entries.c.id).where(t.entries.c.topic == topic).order_by(t.entries.c.seq))
        .scalars()
        .all()[1:3]
    )
    for id, seq in ((one, 99), (two, 1), (one, 2)):
        conn.execute(update(t.entries).where(t.entries.c.id == id).values(seq=seq))
    return str(two)


def delete_statement(conn: Connection) -> str:
    id = _an_entry(conn, "noted")
    topic = str(_first(conn, t.entries.c.topic, t.entries.c.id == id))
    for table in (t.outbox, t.part_refs, lt.leaves):
        conn.execute(delete(table).where(table.c.statement == id))
    conn.execute(delete(t.entries).where(t.entries.c.id == id))
    conn.execute(delete(t.statements).where(t.statements.c.id == id))
    return topic


def alter_statement(conn: Connection) -> str:
    id = _an_entry(conn, "noted")
    raw = conn.execute(select(t.statements.c.raw).where(t.statements.c.id == id)).scalar_one()
    at = raw.index(b'"payload":"') + 60
    conn.execute(
        update(t.statements)
        .where(t.statements.c.id == id)
        .values(raw=raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :])
    )
    return id


def swap_statement_bytes(conn: Connection) -> str:
    one, two = _an_entry(conn, "noted"), _an_entry(conn, "accepted")
    raw = {
        id: conn.execute(select(t.statements.c.raw).where(t.statements.c.id == id)).scalar_one() for id in (one, two)
    }
    for id, other in ((one, two), (two, one)):
        conn.execute(update(t.statements).where(t.statements.c.id == id).values(raw=raw[other]))
    return "wrong-id"


def reorder_statements(conn: Connection) -> str:
    topic = _first(conn, t.entries.c.topic, t.entries.c.seq == 2)
    ids = (
        conn.execute(select(t.entries.c.id).where(t.entries.c.topic == topic).order_by(t.entries.c.seq)).scalars().all()
    )
    place = dict(
        conn.execute(select(t.statements.c.id, t.statements.c.pos).where(t.statements.c.id.in_(ids[1:3]))).all()
    )
    for id, pos in ((ids[1], 10**6), (ids[2], place[ids[1]]), (ids[1], place[ids[2]])):
        conn.execute(update(t.statements).where(t.statements.c.id == id).values(pos=pos))
    return str(ids[2])


def alter_statement_author(conn: Connection) -> str:
    id = _an_entry(conn, "noted")
    conn.execute(update(t.statements).where(t.statements.c.id == id).values(author="999999"))
    return id


def delete_remark_row(conn: Connection) -> str:
    id = str(_first(conn, t.remarks.c.id))
    conn.execute(delete(t.remarks).where(t.remarks.c.id == id))
    return id


def alter_remark_row(conn: Connection) -> str:
    id = str(_first(conn, t.remarks.c.id))
    conn.execute(update(t.remarks).where(t.remarks.c.id == id).values(kind="cosign"))
    return id


def delete_registry_row(conn: Connection) -> str:
    id = str(_first(conn, t.registry.c.id))
    conn.execute(delete(t.registry).where(t.registry.c.id == id))
    return id


def alter_registry_row(conn: Connection) -> str:
    id = str(_first(conn, t.registry.c.id))
    conn.execute(update(t.registry).where(t.registry.c.id == id).values(kind="published"))
    return id


def delete_topic_row(conn: Connection) -> str:
    id = str(_first(conn, t.topics.c.id))
    conn.execute(delete(t.topic_areas).where(t.topic_areas.c.topic == id))
    conn.execute(delete(t.topics).where(t.topics.c.id == id))
    return id


def _alter_topic(**values: Any) -> Any:
    def alter(conn: Connection) -> str:
        id = str(_first(conn, t.topics.c.id))
        conn.execute(update(t.topics).where(t.topics.c.id == id).values(values))
        return id

    return alter


def alter_custody(conn: Connection) -> str:
    id = str(_first(conn, t.topics.c.id))
    custody = conn.execute(select(t.topics.c.custody).where(t.topics.c.id == id)).scalar_one()
    changed = custody.replace('"resulted":false', '"resulted":true')
    assert changed != custody
    conn.execute(update(t.topics).where(t.topics.c.id == id).values(custody=changed))
    return id


def delete_area(conn: Connection) -> str:
    topic = str(_first(conn, t.topic_areas.c.topic))
    conn.execute(delete(t.topic_areas).where(t.topic_areas.c.topic == topic, t.topic_areas.c.own))
    return topic


def alter_area(conn: Connection) -> str:
    topic = str(_first(conn, t.topic_areas.c.topic))
    mine = (t.topic_areas.c.topic == topic, t.topic_areas.c.own)
    conn.execute(update(t.topic_areas).where(*mine).values(area="110000"))
    return topic


def delete_part_ref(conn: Connection) -> str:
    id = str(_first(conn, t.part_refs.c.statement))
    conn.execute(delete(t.part_refs).where(t.part_refs.c.statement == id))
    return id


def alter_part_ref(conn: Connection) -> str:
    id = str(_first(conn, t.part_refs.c.statement))
    conn.execute(update(t.part_refs).where(t.part_refs.c.statement == id).values(share="local"))
    return id


def delete_part(conn: Connection) -> str:
    digest = str(_first(conn, t.parts.c.digest))
    conn.execute(delete(t.parts).where(t.parts.c.digest == digest))
    return digest


def alter_part(conn: Connection) -> str:
    digest = str(_first(conn, t.parts.c.digest))
    content = conn.execute(select(t.parts.c.content).where(t.parts.c.digest == digest)).scalar_one()
    conn.execute(update(t.parts).where(t.parts.c.digest == digest).values(content=content[:-1] + b"!"))
    return digest


def add_part(conn: Connection) -> str:
    row = {"digest": "f" * 64, "salt": "0" * 32, "content": b"x", "at": _first(conn, t.parts.c.at)}
    conn.execute(insert(t.parts).values(row))
    return "f" * 64


def delete_outbox_row(conn: Connection) -> str:
    conn.execute(delete(t.outbox).where(t.outbox.c.peer == PROVINCE, t.outbox.c.seq == 3))
    return f"outbox to {PROVINCE} seq 4"


def delete_last_outbox_row(conn: Connection) -> str:
    last = conn.execute(select(func.max(t.outbox.c.seq)).where(t.outbox.c.peer == PROVINCE)).scalar_one()
    conn.execute(delete(t.outbox).where(t.outbox.c.peer == PROVINCE, t.outbox.c.seq == last))
    return f"link {PROVINCE}"


def cut_stream_cleanly(conn: Connection) -> str:
    """The end of the stream and the link's own counter: only the topic knows what is missing."""
    last = conn.execute(select(func.max(t.outbox.c.seq)).where(t.outbox.c.peer == PROVINCE)).scalar_one()
    conn.execute(delete(t.outbox).where(t.outbox.c.peer == PROVINCE, t.outbox.c.seq == last))
    before = _first(conn, t.outbox.c.hash, t.outbox.c.peer == PROVINCE, t.outbox.c.seq == last - 1)
    conn.execute(update(t.links).where(t.links.c.peer == PROVINCE).values(sent_seq=last - 1, sent_hash=before))
    return "delivery"


def alter_outbox_row(conn: Connection) -> str:
    mine = (t.outbox.c.peer == COUNTY, t.outbox.c.seq == 2)
    conn.execute(update(t.outbox).where(*mine).values(hash="0" * 64))
    return f"outbox to {COUNTY} seq 2"


def reorder_outbox_rows(conn: Connection) -> str:
    ids = {
        seq: _first(conn, t.outbox.c.statement, t.outbox.c.peer == PROVINCE, t.outbox.c.seq == seq) for seq in (3, 4)
    }
    for seq, other in ((3, 4), (4, 3)):
        mine = (t.outbox.c.peer == PROVINCE, t.outbox.c.seq == seq)
        conn.execute(update(t.outbox).where(*mine).values(statement=ids[other]))
    return f"outbox to {PROVINCE} seq 3"


def _alter_link(**values: Any) -> Any:
    def alter(conn: Connection) -> str:
        conn.execute(update(t.links).where(t.links.c.peer == COUNTY).values(values))
        return f"link {COUNTY}"

    return alter


def delete_link(conn: Connection) -> str:
    conn.execute(delete(t.outbox).where(t.outbox.c.peer == COUNTY))
    conn.execute(delete(t.links).where(t.links.c.peer == COUNTY))
    return f"link {COUNTY}"


def alter_number(conn: Connection) -> str:
    conn.execute(update(t.numbers).values(last=0))
    return "number 620100"


def add_wanted_part(conn: Connection) -> str:
    conn.execute(insert(t.wanted_parts).values(peer=COUNTY, digest="f" * 64, size=1, salt=None, got=0))
    return "f" * 64


def add_imported(conn: Connection) -> str:
    conn.execute(insert(t.imported).values(mark="f" * 64, topic="e" * 64))
    return "f" * 64


def alter_anchor(conn: Connection) -> str:
    conn.execute(update(t.node).values(anchor="f" * 64))
    return "node 620100"


TAMPERINGS = [
    delete_entry_row,
    alter_entry_row,
    reorder_entry_rows,
    delete_statement,
    alter_statement,
    swap_statement_bytes,
    reorder_statements,
    alter_statement_author,
    delete_remark_row,
    alter_remark_row,
    delete_registry_row,
    alter_registry_row,
    delete_topic_row,
    pytest.param(_alter_topic(custodian="620103"), id="alter_custodian"),
    pytest.param(_alter_topic(status="closed"), id="alter_status"),
    pytest.param(_alter_topic(title="别的"), id="alter_title"),
    pytest.param(_alter_topic(text="别的"), id="alter_text"),
    pytest.param(_alter_topic(mine=False), id="alter_mine"),
    pytest.param(_alter_topic(due_at=None, step="decide"), id="alter_step"),
    alter_custody,
    delete_area,
    alter_area,
    delete_part_ref,
    alter_part_ref,
    delete_part,
    alter_part,
    add_part,
    delete_outbox_row,
    delete_last_outbox_row,
    cut_stream_cleanly,
    alter_outbox_row,
    reorder_outbox_rows,
    pytest.param(_alter_link(sent_seq=1), id="alter_sent_seq"),
    pytest.param(_alter_link(acked_hash="0" * 64), id="alter_acked_hash"),
    pytest.param(_alter_link(received_seq=0), id="alter_received_seq"),
    delete_link,
    alter_number,
    add_wanted_part,
    add_imported,
    alter_anchor,
]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_what_was_tampered_with_is_named(used: Tree, tamper: Any) -> None:
    with used.city.engine.connect() as raw:
        raw = raw.execution_options(liandong_write=True)
        if is_sqlite(used.city.engine):
            raw.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
        with raw.begin():
            named = tamper(raw)
        if is_sqlite(used.city.engine):
            raw.connection.driver_connection.execute("PRAGMA foreign_keys=ON")
    found = verify(used.city)
    assert not found.ok
    assert any(named in problem for problem in found.problems), (named, found.problems)


def test_an_untouched_node_is_well_and_says_how_much_it_looked_at(used: Tree) -> None:
    told: list[tuple[int, int]] = []
    for node in used.nodes:
        report = verify(node, progress=lambda done, total: told.append((done, total)))
        assert report.ok, report.problems
        assert (report.statements, report.topics) == (len(rows(node, t.statements)), len(rows(node, t.topics)))
        assert told[-1] == (report.statements, report.statements)


def test_several_bad_rows_are_named_once_for_each_kind(used: Tree) -> None:
    with used.city.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        conn.execute(update(t.entries).values(kind="amended"))
        conn.execute(update(t.links).values(sent_hash="0" * 64))
    problems = verify(used.city).problems
    assert sum(problem.startswith("entry ") for problem in problems) == 1
    assert any(problem.startswith("link ") for problem in problems)
    assert any("more)" in problem for problem in problems)


def test_a_rebuild_makes_every_projection_again_and_touches_nothing_else(used: Tree) -> None:
    before = contents(used.city)
    users = rows(used.city, office.users)
    views = sorted(map(repr, _rows_of_topics(used)))
    with used.city.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        for table in (t.topic_areas, t.topics, t.part_refs, t.entries, t.remarks, t.registry):
            conn.execute(delete(table))
    assert not verify(used.city).ok
    report = verify(used.city, rebuild=True)
    assert report.ok, report.problems
    after = contents(used.city)
    for name in before.keys() - {"remarks"}:
        assert after[name] == before[name], name
    assert len(after["remarks"]) == len(before["remarks"])
    assert sorted(map(repr, _rows_of_topics(used))) == views
    assert rows(used.city, office.users) == users
    used.settle()
    note(used.city, open_topic(used.city))
    used.settle()
    used.check()


def _rows_of_topics(tree: Tree) -> list[Any]:
    from node.store.codec import load_chain, load_topic

    found = []
    for row in rows(tree.city, t.topics):
        values = dict(row._mapping)
        chain = load_chain(values.pop("custody"))
        values["custody"] = (chain.head, chain.stack, sorted(chain.participants), chain.offer, chain.children)
        values["work"] = load_topic(values["work"])
        found.append(tuple(values.items()))
    return found


def test_a_rebuild_leaves_out_what_does_not_verify_and_says_so(used: Tree) -> None:
    with used.city.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        id = alter_statement(conn)
    report = verify(used.city, rebuild=True)
    assert not report.ok
    assert any(id in problem for problem in report.problems)
    assert not rows(used.city, t.entries, t.entries.c.id == id)
