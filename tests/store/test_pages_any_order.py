"""Pages may come twice, late and in any order: nodes that heard the same pages know the same rows and figures."""

import random
from typing import Any

import pytest
from sqlalchemy import Connection, delete, select

from node.clock import instant
from node.context import Context
from node.domain.rollup import MEASURES, MIXED, Deltas, add, changed
from node.service import life
from node.service.commit import write
from node.store import aggregation as ag
from node.store import tables as t
from node.store.engine import reading
from node.store.rows import CELL, fact_of
from schemas.ids import Incarnation, Term, Tier
from schemas.summary import Page, Row
from sync.chain import header
from sync.sealing import SUMMARY, Statement, author
from sync.summary import place
from tests.store.tree import CITY, Tree
from tests.wire import summaries as wire

TOPICS = 6
PAGES = 25
HEARD = (ag.said_rows, ag.topic_rows, ag.topic_row_areas, ag.rollups, ag.mixes)


def page(node: Context, seq: int, rows: list[Row]) -> Statement:
    me = node.identity
    body = Page(rows=rows).model_dump(mode="json")
    payload = {
        **header(me.code, life.now(node).inc, instant(node.clock.now())),
        "seq": seq,
        "kind": "page",
        "parts": [],
    }
    return author({**payload, "body": body}, SUMMARY, me.signer, me.code)


def some_row(chance: random.Random, topic: int, custodian: str) -> Row:
    closed = chance.random() < 0.3
    changes = {
        "term": Term(chance.randint(0, 1), 0, Incarnation(0, ""), chance.randint(0, 2)),
        "seq": chance.randint(0, 2),
        "rev": chance.randint(0, 1),
        "status": "closed" if closed else "active",
        "outcome": "A" if closed else None,
        "participations": chance.randint(0, 9),
        "areas": chance.sample(["620102", "620103001", "620200"], chance.randint(0, 2)),
        "custodian": custodian,
        "opened_at": chance.choice(["2026-04-30T16:30:00Z", "2026-04-30T15:30:00Z"]),
    }
    return Row.model_validate({**wire.row(f"any order {topic}"), **changes, "tier_reached": Tier.CITY})


def heard(node: Context, pages: list[Statement]) -> dict[str, Any]:
    """What the node knows after it heard these pages, in documents of some each."""
    with node.engine.begin() as conn:
        for table in (*HEARD, ag.heard):
            conn.execute(delete(table))
    for at in range(0, len(pages), 7):
        with write(node) as batch:
            for one in pages[at : at + 7]:
                if not batch.known([one.id]):
                    batch.apply(one, CITY)
        _forget(node)
    with reading(node.engine) as conn:
        return {table.name: _rows(conn, table) for table in HEARD}


def _forget(node: Context) -> None:
    """Only what the pages did is compared; the statements themselves may be taken again."""
    with node.engine.begin() as conn:
        conn.execute(delete(ag.summaries))
        conn.execute(delete(t.statements).where(t.statements.c.typ == SUMMARY))


def _rows(conn: Connection, table: Any) -> list[str]:
    moves = {"changed_at", "page"}
    found = [{k: v for k, v in row._mapping.items() if k not in moves} for row in conn.execute(select(table))]
    cells = [row for row in found if table not in (ag.rollups, ag.mixes) or any(row[name] for name in MEASURES)]
    return sorted(map(repr, cells))


@pytest.mark.parametrize("seed", range(4))
def test_pages_in_any_order_and_any_number_of_times_leave_the_same(tree: Tree, seed: int):
    chance = random.Random(seed)
    authors = [tree.county, tree.other]
    pages, rows = [], []
    for seq in range(PAGES):
        node = chance.choice(authors)
        topics = chance.sample(range(TOPICS), chance.randint(1, 3))
        said = [some_row(chance, topic, node.identity.code) for topic in topics]
        rows += said
        pages.append(page(node, seq, said))
    first = heard(tree.province, pages)
    for _ in range(2):
        again = pages + chance.sample(pages, 10)
        chance.shuffle(again)
        assert heard(tree.province, again) == first
    best = {topic: max((row for row in rows if row.topic == topic), key=place) for topic in {row.topic for row in rows}}
    with reading(tree.province.engine) as conn:
        stored = {row.topic: row for row in conn.execute(select(ag.topic_rows))}
        cells, mixes = (
            {tuple(row)[:n]: tuple(row)[n:] for row in conn.execute(select(table)) if any(tuple(row)[n:])}
            for table, n in ((ag.rollups, len(CELL)), (ag.mixes, len(MIXED)))
        )
    assert {topic: (row.custodian, row.seq, row.participations) for topic, row in stored.items()} == {
        topic: (row.custodian, row.seq, row.participations) for topic, row in best.items()
    }
    deltas = Deltas()
    for row in stored.values():
        add(deltas, None, fact_of(dict(row._mapping)))
    assert (cells, mixes) == (changed(deltas.cells), changed(deltas.mixes))
