"""The overview and the figures of a province, on both databases: what its counties' topics add up to, however it is
narrowed; a county that fell silent; a span of days beside the one before.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from node.context import Context
from node.service.commit import write
from node.service.open import start
from node.service.users import add_user
from node.store import aggregation as ag
from node.store import tables as t
from schemas.api import OpenForm
from tests.edge.office import PASSWORD
from tests.store.test_aggregate import play
from tests.store.test_summaries import summed
from tests.store.test_totals import Later
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree, make_template, open_topic
from tests.web.browser import Browser
from tests.web.test_overview_pages import linked

CLERK = "李丹"
NARROWED = ["", "child=620100", "from=2020-01-01&to=2999-12-31", "child=620100&from=2020-01-01", "to=2020-01-01"]
HEADING = ("count", "closed", "overdue", "participations")
FILTERS = ["area=620103", "tier=county", "status=closed", "outcome=", "source=热线", "overdue=true", "month=2020-01"]


@dataclass
class Seen:
    """The tree, and the province as its clerk sees it, in the browser and over the API."""

    tree: Tree
    ctx: Context

    def __post_init__(self) -> None:
        self.clerk = Browser(self.ctx).sign_in(CLERK)
        signed = self.clerk.client.post("/api/v1/sessions", json={"username": CLERK, "password": PASSWORD})
        self._token = {"Authorization": f"Bearer {signed.json()['token']}"}

    def ask(self, path: str) -> Any:
        answer = self.clerk.client.get(f"/api/v1/aggregate{path}", headers=self._token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sums(self, query: str) -> Any:
        return self.ask(f"/figures?by=status&{query}")["total"]["sums"]

    def silent(self) -> list[str]:
        return [node["code"] for node in self.ask("/nodes")["items"] if node["silent"]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    template, folder = tmp_path_factory.mktemp("template"), tmp_path_factory.mktemp("played")
    make_template(template)
    tree = Tree(template, folder, "sqlite://")
    play(tree)
    add_user(tree.province, CLERK, PASSWORD, ["clerk"])
    for node in tree.nodes:
        with node.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    tree.close()
    return folder


@pytest.fixture
def seen(played: Path, tmp_path: Path, database_url: str) -> Iterator[Seen]:
    tree = Tree(played, tmp_path / "tree", database_url, tested=PROVINCE)
    yield Seen(tree, tree.province)
    tree.close()


def heading(html: str) -> list[tuple[str, int]]:
    """The figures of all that is shown, each with where it opens to."""
    return list(linked(html.split('<ul class="counts', 1)[1].split("</ul>", 1)[0]))


def warnings(html: str) -> str:
    """What stands above the figures."""
    return html.split('id="overview"', 1)[1].split('<ul class="counts', 1)[0]


def own(node: Context) -> Counter[str]:
    """What a node opened, counted from its own topics."""
    query = select(t.topics.c.status, t.topics.c.outcome).where(t.topics.c.origin == node.identity.code)
    found: Counter[str] = Counter()
    with node.engine.connect() as conn:
        for row in conn.execute(query):
            found.update(["count", "closed" if row.status == "closed" else "open"])
            found.update([row.outcome.lower()] if row.outcome else [])
    return found


def test_overview_of_a_province_shows_its_figures_and_each_opens_to_its_topics(seen: Seen):
    for query in NARROWED:
        sums, shown = seen.sums(query), heading(seen.clerk.get(f"/overview?{query}").text)
        assert [count for _, count in shown] == [
            sums[name] for name in ("count", "closed", "overdue", "participations")
        ]
        for href, count in shown[:3]:
            assert len(seen.ask(f"/topics?{href.partition('?')[2]}")["items"]) == count, (query, href)


def test_figures_of_a_province_are_the_sums_over_its_nodes_own_topics(seen: Seen):
    nodes = {node.identity.code: own(node) for node in (seen.tree.city, seen.tree.county, seen.tree.other)}
    by_origin = {row["key"]: row["sums"] for row in seen.ask("/figures?by=origin")["rows"]}
    assert by_origin.keys() == nodes.keys()
    for code, counted in nodes.items():
        assert {name: by_origin[code][name] for name in counted} == counted, code
    whole = sum(nodes.values(), Counter[str]())
    assert {name: seen.sums("")[name] for name in whole} == whole


def test_filters_of_a_province_count_the_topics_they_list(seen: Seen):
    for query in FILTERS:
        found = seen.ask(f"?by=custodian&{query}")
        assert len(seen.ask(f"/topics?{query}")["items"]) == found["total"]["count"], query
        for row in found["rows"]:
            assert len(seen.ask(row["topics"].removeprefix("/api/v1/aggregate"))["items"]) == row["count"], query


def test_a_county_that_fell_silent_is_named_until_it_speaks_and_stays_counted(seen: Seen):
    assert seen.silent() == []
    before = seen.sums("")
    long_ago = seen.ctx.clock.now() - timedelta(days=32)
    with seen.ctx.engine.begin() as conn:
        conn.execute(update(ag.heard).where(ag.heard.c.author == OTHER).values(heard_at=long_ago))
    assert seen.silent() == [OTHER]
    above = warnings(seen.clerk.get("/overview").text)
    assert seen.tree.other.identity.name in above and seen.tree.county.identity.name not in above
    assert seen.sums("") == before
    open_topic(seen.tree.other)
    summed(seen.tree)
    assert seen.silent() == []
    assert seen.tree.other.identity.name not in warnings(seen.clerk.get("/overview").text)
    assert seen.sums("")["count"] == before["count"] + 1


def test_all_children_silent_are_named_and_the_last_they_said_is_shown(seen: Seen):
    before = seen.sums("")
    later = Seen(seen.tree, replace(seen.ctx, clock=Later(60)))
    assert later.silent() == [CITY, COUNTY, OTHER]
    above = warnings(later.clerk.get("/overview").text)
    assert all(node.identity.name in above for node in (seen.tree.city, seen.tree.county, seen.tree.other))
    assert later.sums("")["count"] == before["count"] == 6


def test_a_span_of_days_is_its_months_and_parts_of_months_beside_the_span_before(seen: Seen):
    days = ["2026-01-09", "2026-01-10", "2026-02-01", "2026-02-28", "2026-03-20", "2026-03-21", "2025-11-15"]
    with write(seen.tree.county) as batch:
        for day in days:
            raised = datetime.fromisoformat(f"{day}T04:00:00").replace(tzinfo=UTC)
            start(batch, OpenForm(title=day, text="-", areas=[COUNTY]), raised)
    summed(seen.tree)
    for since, until, count, before in (
        ("2026-01-10", "2026-03-20", 4, 2),
        ("2026-01-01", "2026-03-31", 6, 1),
        ("2026-02-01", "2026-02-28", 2, 2),
    ):
        asked = f"from={since}&to={until}"
        total = seen.ask(f"/figures?by=month&{asked}")
        assert sum(row["sums"]["count"] for row in total["rows"]) == total["total"]["sums"]["count"] == count, asked
        assert total["total"]["before"]["count"] == before, asked
        assert seen.sums(f"{asked}&origin={COUNTY}")["count"] == count
        assert heading(seen.clerk.get(f"/overview?{asked}").text)[0][1] == count
