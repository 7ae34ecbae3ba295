"""Figures are the sums over the topics known here, however they are asked for, and every figure opens to its topics."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl, urlsplit

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text, update

from node.context import Context
from node.domain.refusals import Invalid
from node.domain.rollup import HELD_BY, OPENED_AT
from node.service import behind, finish, remark, work
from node.service.aggregate import aggregate, figures, funnel
from node.service.verify import verify
from node.store import aggregation as ag
from node.store.schema import upgrade
from schemas import aggregate as views
from schemas import api
from tests.nodes import do
from tests.store.test_summaries import summed
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    Tree,
    accept,
    close,
    decline,
    offer_down,
    offer_up,
    open_topic,
    report,
    result,
    rows,
    steps,
)

ROAD, WATER = "城乡建设/市政设施", "城乡建设"
PAST = "2020-01-01T00:00:00Z"


def play(tree: Tree) -> None:
    """Topics of every sort, in the three tiers."""
    done = open_topic(tree.county, "路灯", source="热线", areas=["620102"])
    steps(tree.county, done, "decide", "research", "consult")
    do(tree.county, work.attend, done, api.AttendForm(headcount=30))
    steps(tree.county, done, "implement", "feedback")
    result(tree.county, done)
    close(tree.county, done)
    do(tree.county, remark.remark, done, api.RemarkForm(kind="rate", rating="satisfied", text="好"))
    both = open_topic(tree.county, "两县公路", areas=["620102", "620103"])
    offer_up(tree.county, both)
    open_topic(tree.other, "水价", areas=["620103001"], kind="matter")
    refused = open_topic(tree.other, "公交", areas=["620100"])
    offer_up(tree.other, refused)
    down = open_topic(tree.city, "河道", areas=["620103"], source="提案")
    offer_down(tree.city, down, COUNTY, due_at=PAST)
    tree.settle()
    accept(tree.city, both)
    decline(tree.city, refused)
    accept(tree.county, down)
    steps(tree.county, down, "decide")
    result(tree.county, down)
    report(tree.county, down)
    reopened = open_topic(tree.city, "噪声", areas=[])
    steps(tree.city, reopened, "decide", "research", "consult", "implement", "feedback")
    result(tree.city, reopened)
    close(tree.city, reopened)
    do(tree.city, finish.reopen, reopened, api.ReasonForm(reason="又来了"))
    summed(tree)


@pytest.fixture(scope="session")
def played(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played")
    tree = Tree(template, folder, "sqlite://")
    play(tree)
    for node in tree.nodes:
        with node.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    tree.close()
    return folder


@pytest.fixture
def lively(played: Path, tmp_path: Path, database_url: str) -> Iterator[Tree]:
    made = Tree(played, tmp_path / "lively", database_url)
    yield made
    made.close()


def ask(node: Context, **query: Any) -> views.AggregateView:
    return aggregate(node, views.FigureQuery.model_validate(query))


def listed(node: Context, url: str) -> list[views.RowView]:
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    wanted, cursor, found = views.BehindQuery.model_validate(query), None, []
    while True:
        page = behind.topics(node, wanted, cursor, 2)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def counted(items: list[views.RowView]) -> dict[str, Any]:
    """What a list of topics adds up to, by hand."""
    outcomes = {name: sum(item.outcome == name for item in items) for name in "ABCD"}
    closed = sum(item.status == "closed" for item in items)
    overdue = sum(item.overdue for item in items)
    return {
        "count": len(items),
        "open": len(items) - closed,
        "closed": closed,
        "overdue": overdue,
        "outcomes": outcomes,
    }


NARROWED: list[dict[str, str]] = [
    {},
    {"area": "620103"},
    {"area": "620100"},
    {"area": "620103001"},
    {"custodian": COUNTY},
    {"tier": "county"},
    {"child": CITY},
    {"origin": COUNTY},
    {"child": CITY, "from": "2020-01-01", "to": "2999-12-15"},
    {"status": "closed"},
    {"outcome": ""},
    {"source": "热线"},
    {"overdue": "true"},
    {"shown": ""},
    {"status": "active", "step": "consult"},
    {"kind": "matter", "outcome": "A"},
    {"kind": "matter", "overdue": "true"},
    {"status": "active", "overdue": "false"},
    {"custodian": COUNTY, "status": "active"},
    {"area": "620102", "origin": COUNTY},
    {"from": "2020-01-01", "to": "2999-12-31"},
    {"to": "2020-01-01"},
]


@pytest.mark.parametrize("narrowed", NARROWED, ids=str)
def test_every_figure_is_the_sum_over_the_topics_it_opens_to(lively: Tree, narrowed: dict[str, str]):
    for node in (lively.city, lively.province):
        for by in get_args(views.By):
            found = ask(node, by=by, **narrowed)
            for row in found.rows:
                items = listed(node, row.topics)
                assert row.model_dump(include=set(counted(items))) == counted(items), (by, row.key)
            everything = listed(node, found.total.topics)
            assert found.total.model_dump(include=set(counted(everything))) == counted(everything), by
            if by != "area":
                assert sum(row.count for row in found.rows) == found.total.count, by


def test_counted_under_exactly_one_division_is_what_its_list_holds(lively: Tree):
    for node in (lively.city, lively.province):
        for row in ask(node, by="area").rows:
            found = ask(node, by="step", shown=row.key)
            items = listed(node, found.total.topics)
            assert found.total.model_dump(include=set(counted(items))) == counted(items)
            assert found.total.count == row.count


def test_figures_of_branches_are_counted_for_a_database_that_had_none(lively: Tree):
    engine = lively.city.engine
    marked = [ag.rollups.c.place.startswith(mark) for mark in (OPENED_AT, HELD_BY)]
    assert all(rows(lively.city, ag.rollups, where) for where in marked) and rows(lively.city, ag.mixes)
    _set_back(engine, "0006")
    assert not any(rows(lively.city, ag.rollups, where) for where in marked)
    assert not inspect(engine).has_table("mixes")
    upgrade(engine)
    assert all(rows(lively.city, ag.rollups, where) for where in marked) and rows(lively.city, ag.mixes)
    assert verify(lively.city).ok


def _set_back(engine: Engine, version: str) -> None:
    """Make the tables those of an older version, without what it had no place for."""
    config = Config()
    config.set_main_option("script_location", "node.store:migrations")
    with engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        config.attributes["connection"] = conn
        command.downgrade(config, version)


def test_all_tiers_count_the_same_topics(lively: Tree):
    city, province = ask(lively.city, by="custodian"), ask(lively.province, by="custodian")
    strip = [(row.key, row.count, row.open, row.closed, row.overdue) for row in city.rows]
    assert strip == [(row.key, row.count, row.open, row.closed, row.overdue) for row in province.rows]
    assert province.total.count == 6
    assert province.differences == city.differences == []


def test_sums_over_the_nodes_are_the_whole(lively: Tree):
    total: dict[str, int] = {}
    for node in lively.nodes:
        held = figures(node, views.FigureQuery(custodian=node.identity.code)).total.sums
        for name, amount in held.model_dump().items():
            total[name] = total.get(name, 0) + amount
    assert total == figures(lively.province, views.FigureQuery()).total.sums.model_dump()
    assert total["participations"] == 30


def test_figures_by_place_count_a_topic_of_two_counties_in_each_and_once_in_all(lively: Tree):
    found = {row.key: row.count for row in ask(lively.province, by="area").rows}
    assert found == {"620102": 2, "620103": 3, "620100": 1, "": 1}
    assert ask(lively.province, by="area", area="620100").total.count == 5
    labels = {row.key: row.label for row in ask(lively.province, by="area").rows}
    assert labels["620102"] == "城关区"


def test_measures_and_rates_are_those_of_the_topics(lively: Tree):
    total = figures(lively.province, views.FigureQuery(by="status")).total
    said = total.sums
    assert (said.count, said.closed, said.reopened, said.hops, said.returns, said.rated) == (6, 1, 1, 2, 1, 1)
    assert said.solved_at_origin == 1
    assert total.rates.satisfaction_rate == 1.0
    assert total.rates.hops_per_topic == round(2 / 6, 4)


def test_funnel_counts_how_far_topics_came(lively: Tree):
    found = funnel(lively.province, views.FigureFilter())
    assert [step.count for step in found.steps] == [6, 2, 1, 1, 1, 1, 1]
    assert [step.step for step in found.steps][-1] == "closed"


def test_figures_stand_beside_those_of_the_period_before(lively: Tree):
    today = date.today()
    query = {"from": today.isoformat(), "to": (today + timedelta(days=1)).isoformat(), "by": "status"}
    total = figures(lively.province, views.FigureQuery.model_validate(query)).total
    assert total.sums.count == 6 and total.before is not None and total.before.count == 0


def test_what_was_written_just_now_is_counted(lively: Tree):
    before = ask(lively.county).total.count
    open_topic(lively.county)
    assert ask(lively.county).total.count == before + 1


LATE_OR_NOT: list[dict[str, str]] = [{}, {"overdue": "true"}, {"overdue": "false"}]


def test_a_deadline_that_passes_is_counted_although_nobody_looked(lively: Tree):
    with lively.province.engine.begin() as conn:
        before = ag.topic_rows.c.status == "active"
        conn.execute(update(ag.topic_rows).where(before).values(late_at=ag.topic_rows.c.opened_at))
    many = len(rows(lively.province, ag.topic_rows, ag.topic_rows.c.late_at.is_not(None)))
    found = ask(lively.province, by="status")
    assert many > 0 and found.total.overdue >= many
    for narrowed in ({}, {"kind": "matter"}, {"status": "active"}):
        every, late, rest = (ask(lively.province, by="step", **narrowed, **over) for over in LATE_OR_NOT)
        assert late.total.count == every.total.overdue == late.total.overdue > 0 == rest.total.overdue
        assert late.total.count + rest.total.count == every.total.count


def test_a_topic_known_from_a_summary_alone_has_a_number_and_no_title(lively: Tree):
    (known,) = [item for item in listed(lively.province, ask(lively.province).total.topics) if item.source == "热线"]
    assert (known.title, known.known_by, known.number[:6]) == (None, "summary", COUNTY)
    (here,) = [item for item in listed(lively.city, ask(lively.city).total.topics) if item.source == "热线"]
    assert (here.title, here.known_by) == ("路灯", "chain")


def test_as_of_names_every_node_below_and_how_far_it_was_heard(lively: Tree):
    found = {item.node: item for item in ask(lively.province).as_of}
    assert list(found) == [PROVINCE, CITY, COUNTY, OTHER]
    assert found[COUNTY].seq == len(rows(lively.county, ag.summaries)) and found[COUNTY].at is not None


def test_a_missing_summary_is_a_difference(lively: Tree):
    with lively.province.engine.begin() as conn:
        conn.execute(update(ag.heard).where(ag.heard.c.author == COUNTY).values(seq=ag.heard.c.seq + 2))
    (missing,) = ask(lively.province).differences
    assert (missing.node, missing.field) == (COUNTY, "summaries")


def test_a_span_that_ends_before_it_begins_is_refused(lively: Tree):
    with pytest.raises(Invalid):
        ask(lively.province, **{"from": "2026-05-02", "to": "2026-05-01"})
