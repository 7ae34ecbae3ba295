"""Summaries: sealed by the custodian, passed on unchanged to the root, and the newest row of a topic stands."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from node.context import Context
from node.service import life, remark, row_check
from node.service.commit import write
from node.service.own_rows import own_rows
from node.service.retry import retry_parked
from node.service.summaries import tick
from node.service.verify import verify
from node.store import aggregation as ag
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from schemas.summary import Row
from sync.chain import header
from sync.sealing import SUMMARY, parse, read_unverified, seal
from sync.summary import leaf
from tests.nodes import do
from tests.store.test_lives import copy_of, heal, put_back, restart
from tests.store.tree import (
    CITY,
    COUNTY,
    Tree,
    accept,
    decline,
    note,
    offer_up,
    open_topic,
    rows,
    smuggle,
)


def summed(tree: Tree) -> None:
    """What changed is sealed and has come to the root."""
    tree.settle()
    for node in (tree.county, tree.other, tree.city, tree.province):
        tick(node)
        tree.settle()
    for node in tree.nodes:
        tick(node)


def row(node: Context, topic: str) -> Any:
    (found,) = rows(node, ag.topic_rows, ag.topic_rows.c.topic == topic)
    return found


def pages(node: Context) -> list[Row]:
    """Every row in every page this node has stored, in order."""
    with reading(node.engine) as conn:
        query = select(t.statements.c.raw).where(t.statements.c.typ == SUMMARY).order_by(t.statements.c.pos)
        raws = conn.execute(query).scalars().all()
    return [row for raw in raws for row in read_unverified(parse(raw)).body["rows"]]


def lie(node: Context, to: str, *rows: Row) -> None:
    """A page with these rows on the stream to a neighbour, as if this node had sealed it."""
    with write(node) as batch:
        shared = header(node.identity.code, life.now(node).inc, batch.at)
    page = {"kind": "page", "seq": 99, "parts": [], "body": {"rows": [row.model_dump(mode="json") for row in rows]}}
    smuggle(node, seal({**shared, **page}, SUMMARY, node.identity.signer), to)


def told(node: Context) -> set[tuple[str, str, str | None, str | None]]:
    return {(row.node, row.field, row.said, row.counted) for row in rows(node, ag.row_differences)}


def test_a_topic_of_a_county_is_a_row_at_the_root_that_takes_no_part_in_it(tree: Tree):
    topic = open_topic(tree.county, category=None)
    summed(tree)
    assert rows(tree.province, t.topics) == []
    found = row(tree.province, topic)
    assert (found.origin, found.custodian, found.status, found.step) == (COUNTY, COUNTY, "active", "collect")
    assert found.own is False and row(tree.city, topic).own is True
    tree.check()


def test_what_changed_within_a_moment_is_one_row(tree: Tree):
    topic = open_topic(tree.county)
    for _ in range(5):
        note(tree.county, topic)
    summed(tree)
    assert [said["seq"] for said in pages(tree.province)] == [5]


def test_a_topic_that_moves_is_counted_once_and_by_its_holder(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    offer_up(tree.county, topic)
    summed(tree)
    assert row(tree.province, topic).status == "offered"
    assert row(tree.province, topic).custodian == COUNTY
    accept(tree.city, topic)
    summed(tree)
    (found,) = rows(tree.province, ag.topic_rows)
    assert (found.custodian, found.hops, found.tier_reached, found.status) == (CITY, 1, "city", "active")
    tree.check()


def test_a_declined_offer_comes_back_as_a_return(tree: Tree):
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    tree.settle()
    decline(tree.city, topic)
    summed(tree)
    assert (row(tree.province, topic).returns, row(tree.province, topic).hops) == (1, 0)


def test_a_rating_beside_the_chain_is_a_new_revision_of_the_row(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    do(tree.county, remark.remark, topic, api.RemarkForm(kind="rate", rating="satisfied", text="好"))
    summed(tree)
    assert row(tree.province, topic).rating == "satisfied"
    assert [(said["seq"], said["rev"]) for said in pages(tree.province)] == [(0, 0), (0, 1)]


def test_nothing_is_sealed_again_when_nothing_changed(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    before = len(rows(tree.county, ag.summaries))
    do(tree.county, remark.remark, topic, api.RemarkForm(kind="comment", text="好"))
    summed(tree)
    assert len(rows(tree.county, ag.summaries)) == before


def test_many_rows_go_in_pages_within_the_limits(tree: Tree):
    topics = {open_topic(tree.county, f"第{n}件") for n in range(230)}
    summed(tree)
    assert {found.topic for found in rows(tree.province, ag.topic_rows)} == topics
    assert 2 <= len(rows(tree.county, ag.summaries)) <= 5
    tree.check()


def true_row(node: Context, topic: str) -> Row:
    with write(node) as batch:
        return own_rows(batch, [topic])[topic]


def test_a_row_that_differs_from_the_chain_is_named_field_by_field_and_not_counted(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    false = true_row(tree.county, topic).model_copy(update={"rev": 1, "status": "closed", "outcome": "A"})
    lie(tree.county, CITY, false)
    summed(tree)
    assert told(tree.city) == {(COUNTY, "status", "closed", "active"), (COUNTY, "outcome", "A", None)}
    assert row(tree.city, topic).status == "active"
    alarms = rows(tree.city, t.audit, t.audit.c.action == "summary-differs")
    assert {alarm.result for alarm in alarms} == {"alarm"} and len(alarms) == 2


def test_a_difference_goes_when_the_custodian_speaks_truly_again(tree: Tree):
    topic = open_topic(tree.county)
    lie(tree.county, CITY, true_row(tree.county, topic).model_copy(update={"hops": 7, "rev": 1}))
    summed(tree)
    assert told(tree.city) == {(COUNTY, "hops", "7", "0")}
    note(tree.county, topic)
    summed(tree)
    assert told(tree.city) == set()


def test_a_topic_its_keeper_never_heard_of_is_named_and_not_counted(tree: Tree):
    topic = open_topic(tree.county)
    invented = true_row(tree.county, topic).model_copy(update={"topic": "ab" * 32, "number": "620102-2026-999999"})
    lie(tree.county, CITY, invented)
    summed(tree)
    assert told(tree.city) == {(COUNTY, "topic", "620102-2026-999999", None)}
    assert rows(tree.city, ag.topic_rows, ag.topic_rows.c.topic == "ab" * 32) == []


def test_a_head_that_no_chain_has_is_named(tree: Tree):
    topic = open_topic(tree.county)
    lie(tree.county, CITY, true_row(tree.county, topic).model_copy(update={"head": "cd" * 32, "rev": 5}))
    note(tree.county, topic)
    tree.settle()
    tick(tree.city)
    assert told(tree.city) == {(COUNTY, "head", "cd" * 32, None)}


def test_a_row_ahead_of_the_chain_is_noted_without_an_alarm(tree: Tree):
    topic = open_topic(tree.county)
    lie(tree.county, CITY, true_row(tree.county, topic).model_copy(update={"seq": 9}))
    tree.settle()
    tick(tree.city)
    assert told(tree.city) == {(COUNTY, row_check.AHEAD, "9", "0")}
    assert rows(tree.city, t.audit, t.audit.c.action == "summary-differs") == []


def test_rows_in_anothers_name_are_held_and_change_nothing(tree: Tree):
    topic = open_topic(tree.county)
    summed(tree)
    lie(tree.other, CITY, true_row(tree.county, topic).model_copy(update={"rev": 3, "status": "closed"}))
    tree.settle()
    (held,) = rows(tree.city, t.parked)
    assert (held.disposition, held.code) == ("held", "not-the-custodian")
    assert row(tree.province, topic).status == "active"
    assert told(tree.city) == set()


def test_a_summary_from_above_is_held(tree: Tree):
    topic = open_topic(tree.city)
    lie(tree.city, COUNTY, true_row(tree.city, topic))
    tree.settle()
    (held,) = rows(tree.county, t.parked)
    assert (held.disposition, held.code) == ("held", "not-below")


def test_a_stale_custodian_loses_whenever_its_row_comes(tree: Tree):
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    stale = true_row(tree.county, topic).model_copy(update={"rev": 1000})
    summed(tree)
    accept(tree.city, topic)
    summed(tree)
    lie(tree.county, CITY, stale)
    tree.settle()
    tick(tree.province)
    assert row(tree.province, topic).custodian == CITY


def test_of_two_rows_at_one_place_every_node_keeps_the_same(tree: Tree):
    topic = open_topic(tree.county)
    one = true_row(tree.county, topic)
    two = one.model_copy(update={"hops": 3})
    for first, second in ((one, two), (two, one)):
        lie(tree.county, CITY, first)
        lie(tree.county, CITY, second)
        tree.settle()
        (kept,) = rows(tree.province, ag.said_rows)
    assert kept.leaf == max(_leaf(one), _leaf(two))


def _leaf(row: Row) -> str:
    return leaf(row)


def test_a_page_of_a_kind_nobody_knows_is_held_and_passed_on(tree: Tree):
    with write(tree.county) as batch:
        shared = header(COUNTY, life.now(tree.county).inc, batch.at)
    payload = {**shared, "kind": "weather", "seq": 0, "parts": [], "body": {"rain": 1}}
    smuggle(tree.county, seal(payload, SUMMARY, tree.county.identity.signer), CITY)
    tree.settle()
    assert [held.code for held in rows(tree.province, t.parked)] == ["unknown-kind"]
    assert retry_parked(tree.city) == 0
    for node in (tree.city, tree.province):
        assert verify(node).ok


def test_what_an_older_version_held_is_taken_in_and_passed_on_after_the_upgrade(tree: Tree):
    topic = open_topic(tree.county)
    tick(tree.county)
    (sealed,) = rows(tree.county, t.statements, t.statements.c.typ == SUMMARY)
    link = rows(tree.city, t.links, t.links.c.peer == COUNTY)[0]
    held = {"disposition": "held", "code": "unknown-type", "state": "held", "relayed": False}
    place = {"peer": COUNTY, "inc": link.received_inc, "stream_seq": 10**6}
    with write(tree.city) as batch:
        parked = {**held, **place, "raw": sealed.raw, "statement": sealed.id, "at": batch.now}
        batch.conn.execute(t.parked.insert().values(parked))
    assert retry_parked(tree.city) == 1
    tree.settle(tree.city)
    assert row(tree.province, topic).custodian == COUNTY


def test_rows_and_figures_are_made_again_from_what_is_stored(tree: Tree):
    for n in range(3):
        topic = open_topic(tree.county, f"第{n}件")
    offer_up(tree.county, topic)
    lie(tree.county, CITY, true_row(tree.county, topic).model_copy(update={"hops": 7, "rev": 4}))
    summed(tree)
    for node in (tree.city, tree.province):
        before = _aggregation(node)
        with node.engine.begin() as conn:
            for table in (ag.rollups, ag.topic_rows, ag.said_rows, ag.row_differences):
                conn.execute(delete(table))
        assert not verify(node).ok
        assert verify(node, rebuild=True).ok
        assert _aggregation(node) == before


def _aggregation(node: Context) -> dict[str, list[Any]]:
    moves = {"changed_at", "at", "heard_at"}
    return {
        table.name: sorted(repr({k: v for k, v in row._mapping.items() if k not in moves}) for row in rows(node, table))
        for table in (
            ag.summaries,
            ag.said_rows,
            ag.topic_rows,
            ag.topic_row_areas,
            ag.rollups,
            ag.mixes,
            ag.row_differences,
        )
    }


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (ag.topic_rows, {"status": "closed"}),
        (ag.topic_rows, {"participations": 5}),
        (ag.said_rows, {"leaf": "0" * 64}),
        (ag.rollups, {"count": 5}),
        (ag.mixes, {"count": 5}),
        (ag.summaries, {"seq": 5}),
    ],
    ids=["row", "row-figure", "said", "figure", "mix", "summary"],
)
def test_verify_names_a_row_that_was_tampered_with(tree: Tree, table: Any, change: dict[str, Any]):
    open_topic(tree.county)
    summed(tree)
    assert verify(tree.city).ok
    with tree.city.engine.begin() as conn:
        conn.execute(table.update().values(change))
    assert not verify(tree.city).ok
    assert verify(tree.city, rebuild=True).ok


def test_a_restored_county_is_counted_as_it_stands_after_healing(tree: Tree, tmp_path: Path):
    first = open_topic(tree.county)
    summed(tree)
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    second = open_topic(tree.county, "积水")
    note(tree.county, first)
    summed(tree)
    put_back(tree, "county", backup)
    assert tick(tree.county) == 0
    heal(tree)
    for _ in range(2):
        for node in (tree.county, tree.city, tree.province):
            tick(node)
            heal(tree)
    for topic in (first, second):
        own, above = row(tree.county, topic), row(tree.province, topic)
        assert (above.custodian, above.term, above.seq) == (COUNTY, own.term, own.seq)
        assert above.term.startswith("1.")
    (heard,) = rows(tree.province, ag.heard, ag.heard.c.author == COUNTY)
    assert heard.inc.startswith("2.") and heard.many == heard.seq + 1
    assert told(tree.city) == set()
    tree.check()
