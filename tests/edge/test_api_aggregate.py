"""The figures over HTTP: the fields that are promised, what is refused, and that every figure opens to its topics."""

from typing import Any

import pytest

from tests.edge.office import TOPIC, Office, make_office, problem

BY = ["custodian", "origin", "tier", "category", "area", "status", "step", "outcome", "month"]
SUM = {"count", "open", "overdue", "closed", "outcomes", "topics"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = make_office(tmp_path_factory.mktemp("office"), login_failures_max=4)
    for _ in range(3):
        assert made.post("/topics", TOPIC).status_code == 201
    return made


def get(office: Office, path: str) -> Any:
    response = office.client.get(path, headers=office.clerk)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("by", BY)
def test_aggregate_answers_with_the_fields_promised(office: Office, by: str):
    found = get(office, f"/api/v1/aggregate?by={by}")
    assert found.keys() == {"by", "as_of", "rows", "total", "differences"}
    assert found["by"] == by and found["differences"] == []
    assert found["total"].keys() == SUM
    for row in found["rows"]:
        assert row.keys() == SUM | {"key", "label"}
        assert row["outcomes"].keys() == set("ABCD")
    assert {frozenset(item) for item in found["as_of"]} == {frozenset({"node", "seq", "at"})}


@pytest.mark.parametrize("by", BY)
def test_the_address_of_a_figure_lists_as_many_topics(office: Office, by: str):
    found = get(office, f"/api/v1/aggregate?by={by}&from=2020-01-01&to=2999-12-31")
    assert found["total"]["count"] >= 3
    for row in [*found["rows"], found["total"]]:
        page = get(office, row["topics"])
        assert len(page["items"]) == row["count"] and page["next"] is None


def test_a_span_that_holds_nothing_counts_nothing(office: Office):
    found = get(office, "/api/v1/aggregate?by=status&from=2999-01-01T00:00:00Z")
    assert (found["rows"], found["total"]["count"]) == ([], 0)


def test_the_other_questions_are_answered(office: Office):
    assert get(office, "/api/v1/aggregate/figures?by=step")["total"]["sums"]["count"] >= 3
    assert get(office, "/api/v1/aggregate/funnel?status=active")["steps"][0]["step"] == "collect"
    assert get(office, "/api/v1/aggregate/differences") == {"items": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        "by=weather",
        "by=status&by=step",
        "from=yesterday",
        "from=2026-02-30",
        "from=20260501",
        "from=2026-05-02&to=2026-05-01",
        "month=2026-13",
        "area=62",
        "custodian=x",
        "status=lost",
        "overdue=1",
        "unknown=1",
        "since=2026-05-01",
    ],
)
def test_a_question_that_means_nothing_is_refused(office: Office, query: str):
    response = office.client.get(f"/api/v1/aggregate?{query}", headers=office.clerk)
    assert (response.status_code, problem(response)) == (422, "invalid")


def test_figures_need_an_account(office: Office):
    assert office.client.get("/api/v1/aggregate?by=status").status_code == 401


def test_a_cursor_of_another_list_is_refused(office: Office):
    response = office.client.get("/api/v1/aggregate/topics?cursor=WyJ4Il0", headers=office.clerk)
    assert problem(response) == "bad-cursor"
