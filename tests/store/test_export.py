"""Exports: the same rows in three forms, every column with its meaning, and nothing a spreadsheet would run."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from arro3.io import read_parquet

from node.clock import Clock
from node.context import Context
from node.domain.rollup import month_of
from node.service import reporting, totals
from node.service.export import NAMES, columns, export
from schemas import aggregate as views
from tests.store.test_aggregate import played  # noqa: F401 - a fixture
from tests.store.test_summaries import summed
from tests.store.test_totals import Later, month_over
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree, open_topic


@pytest.fixture
def lively(played: Path, tmp_path: Path, database_url: str) -> Iterator[Tree]:  # noqa: F811
    made = Tree(played, tmp_path / "lively", database_url)
    yield made
    made.close()


def rows_of(node: Context, form: Any, **query: Any) -> list[dict[str, Any]]:
    with export(node, views.FigureFilter.model_validate(query), form) as file:
        raw = file.read()
    if form == "json":
        found = json.loads(raw)
        return [dict(zip(found["columns"], row, strict=True)) for row in found["rows"]]
    if form == "csv":
        assert raw.startswith(b"\xef\xbb\xbf")
        return list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    table = read_parquet(io.BytesIO(raw)).read_all()
    values = {name: table.column(name).to_pylist() for name in table.schema.names}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def test_three_forms_hold_the_same_rows(lively: Tree):
    plain = rows_of(lively.city, "json")
    assert len(plain) == 6 and set(plain[0]) == set(NAMES)
    comma = rows_of(lively.city, "csv")
    typed = rows_of(lively.city, "parquet")
    for one, two, three in zip(plain, comma, typed, strict=True):
        for name, value in one.items():
            assert two[name] == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value))
            if name.endswith("_at") and value is not None:
                assert three[name].isoformat(timespec="milliseconds")[:23] == value[:23]
            else:
                assert three[name] == value, name


def test_an_export_holds_what_was_asked_for(lively: Tree):
    assert {row["custodian"] for row in rows_of(lively.province, "json", custodian=COUNTY)} == {COUNTY}
    assert rows_of(lively.province, "parquet", to="2020-01-01") == []
    assert rows_of(lively.province, "csv", to="2020-01-01") == []


def test_every_column_has_its_meaning(lively: Tree):
    assert [item.name for item in columns().items] == NAMES
    assert all(item.chinese and item.english for item in columns().items)
    with export(lively.city, views.FigureFilter(), "parquet") as file:
        schema = read_parquet(io.BytesIO(file.read())).schema
    assert schema.field("hops").metadata_str["meaning_zh"] == "交接次数"


def test_no_cell_is_taken_for_a_formula(tree: Tree):
    open_topic(tree.county, source="=1+1", external_id="x")
    (row,) = rows_of(tree.county, "csv")
    assert row["source"] == "'=1+1"
    assert rows_of(tree.county, "json")[0]["source"] == "=1+1"


def until_next_month() -> int:
    """Days from now to the first one of the next month, on which the totals of this one are due."""
    now = Clock().now()
    return next(days for days in range(1, 32) if month_of(now + timedelta(days=days)) != month_of(now))


def test_nodes_are_listed_with_what_was_expected_and_what_came(tree: Tree):
    open_topic(tree.county)
    summed(tree)
    days = until_next_month()
    month_over(tree, days)
    later = replace(tree.province, clock=Later(days))
    found = {item.code: item for item in reporting.nodes(later, None, None, 50).items}
    assert list(found) == [PROVINCE, CITY, COUNTY, OTHER]
    county = found[COUNTY]
    assert (county.count, county.rows, county.missing, county.differs) == (1, 1, 0, 0)
    assert county.actual is not None and county.on_time
    page = reporting.nodes(later, None, None, 2)
    assert [item.code for item in reporting.nodes(later, None, page.next, 2).items] == [COUNTY, OTHER]


def test_a_node_that_was_not_heard_for_a_month_is_silent(tree: Tree):
    open_topic(tree.county)
    summed(tree)
    later = replace(tree.province, clock=Later(60))
    found = {item.code: (item.silent, item.actual) for item in reporting.nodes(later, None, None, 50).items}
    assert found == {PROVINCE: (False, None), CITY: (True, None), COUNTY: (True, None), OTHER: (True, None)}
    assert totals.tick(tree.county) is None
