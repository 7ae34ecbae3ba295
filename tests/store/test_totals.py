"""Totals of a month: what a node says it holds, counted again above; a row that differs is named."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update

from node.clock import Clock
from node.context import Context
from node.domain.rollup import month_of
from node.service import behind, life, totals
from node.service.aggregate import aggregate
from node.service.commit import write
from node.service.verify import verify
from node.store import aggregation as ag
from node.store import tables as t
from schemas import aggregate as views
from sync.chain import header
from sync.sealing import SUMMARY, seal
from sync.summary import listed, root
from tests.store.test_summaries import summed
from tests.store.tree import CITY, COUNTY, OTHER, Tree, accept, note, offer_up, open_topic, rows, smuggle


class Later(Clock):
    """The clock so many days on."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() + self._ahead


def month_over(tree: Tree, days: int = 40) -> None:
    """The month the topics were opened in ends, and every node looks."""
    for node in (tree.county, tree.other, tree.city):
        totals.tick(replace(node, clock=Later(days)))
        tree.settle()
    for node in (tree.city, tree.province):
        totals.tick(replace(node, clock=Later(days)))


def of(node: Context, author: str) -> Any:
    """The totals of the month the topics were opened in."""
    wanted = (ag.totals.c.author == author, ag.totals.c.period == month_of(Clock().now()))
    (found,) = rows(node, ag.totals, *wanted)
    return found


def commitments(node: Context) -> list[tuple[str, str, str]]:
    return sorted((row.author, row.period, row.root) for row in rows(node, ag.totals))


def test_totals_are_sealed_when_the_month_is_over_and_agree_above(tree: Tree):
    for n in range(3):
        topic = open_topic(tree.county, f"第{n}件")
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    summed(tree)
    assert rows(tree.county, ag.totals) == []
    month_over(tree)
    assert (of(tree.province, COUNTY).rows, of(tree.province, CITY).rows) == (2, 1)
    assert of(tree.province, COUNTY).figures["open"] == 2
    assert rows(tree.province, ag.totals, ag.totals.c.due) == []
    assert rows(tree.province, ag.totals_differences) == rows(tree.city, ag.totals_differences) == []
    tree.check()


def test_a_node_without_topics_says_so(tree: Tree):
    month_over(tree)
    assert {row.author: row.rows for row in rows(tree.province, ag.totals)} == {COUNTY: 0, OTHER: 0, CITY: 0}


def test_totals_are_sealed_again_a_day_after_a_row_changed(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    month_over(tree)
    before = of(tree.province, COUNTY)
    note(tree.county, topic)
    summed(tree)
    assert rows(tree.province, ag.totals, ag.totals.c.due)[0].author == COUNTY
    month_over(tree, 42)
    after = of(tree.province, COUNTY)
    assert after.seq > before.seq and after.root != before.root and after.first_at == before.first_at
    assert rows(tree.province, ag.totals_differences) == []


def test_a_topic_that_moved_on_leaves_the_totals_of_its_last_holder(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    month_over(tree)
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    summed(tree)
    month_over(tree, 42)
    assert (of(tree.province, COUNTY).rows, of(tree.province, CITY).rows) == (0, 1)
    assert rows(tree.province, ag.totals_differences) == []


def test_a_row_that_totals_count_otherwise_is_named(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    month_over(tree)
    period = of(tree.county, COUNTY).period
    false = {"ab" * 32: "cd" * 32}
    _lie(tree, period, false)
    month_over(tree, 42)
    found = {row.topic: (row.said, row.counted) for row in rows(tree.province, ag.totals_differences)}
    leaf = rows(tree.province, ag.said_rows)[0].leaf
    assert found == {"ab" * 32: ("cd" * 32, None), topic: (None, leaf)}
    (said,) = [item for item in aggregate(tree.province, views.FigureQuery()).differences if item.field[:4] == "rows"]
    assert (said.node, said.said, said.counted) == (COUNTY, 1, 1)
    assert {item.topic for item in behind.row_differences(tree.province, None, 50).items} == set(found)
    alarms = rows(tree.province, t.audit, t.audit.c.action == "totals-differ")
    assert [alarm.result for alarm in alarms] == ["alarm"]


def test_a_commitment_to_other_rows_than_it_lists_is_named(tree: Tree):
    open_topic(tree.county)
    summed(tree)
    month_over(tree)
    _lie(tree, of(tree.county, COUNTY).period, {"ab" * 32: "cd" * 32}, root="ef" * 32)
    month_over(tree, 42)
    (differs,) = rows(tree.province, ag.totals_differences)
    assert (differs.said, differs.counted) == ("ef" * 32, None)


def test_totals_are_made_again_from_what_is_stored(tree: Tree):
    open_topic(tree.county)
    summed(tree)
    month_over(tree)
    before = commitments(tree.province)
    with tree.province.engine.begin() as conn:
        conn.execute(update(ag.totals).values(figures={}))
    assert not verify(tree.province).ok
    assert verify(tree.province, rebuild=True).ok
    assert commitments(tree.province) == before


def _lie(tree: Tree, period: str, leaves: dict[str, str], **other: Any) -> None:
    """Totals over rows that nobody sealed."""
    with write(tree.county) as batch:
        part = batch.part("rows", listed(leaves.items()), "application/octet-stream", "full")
        shared = header(COUNTY, life.now(tree.county).inc, batch.at)
    body = {"period": period, "rows": len(leaves), "root": root(list(leaves.values())), "open": 1, "closed": 0}
    body |= {"outcomes": [0, 0, 0, 0], "participations": 0, **other}
    payload = {**shared, "kind": "totals", "seq": 90, "body": body, "parts": [part.model_dump(mode="json")]}
    id = smuggle(tree.county, seal(payload, SUMMARY, tree.county.identity.signer), CITY)
    row = {"statement": id, "name": "rows", "digest": part.digest, "size": part.size, "media": part.media}
    with tree.county.engine.begin() as conn:
        conn.execute(t.part_refs.insert().values({**row, "share": "full"}))
