"""The messages of the demonstration: enough of them, none twice, each acceptable to an import as it stands."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.demo.courses import CITY, COUNTIES, PROVINCE, courses
from node.demo.messages import Supply, sheet
from node.domain.categories import builtin_categories
from node.domain.divisions import DivisionTree, builtin
from node.domain.sheet import read_sheet

NOW = datetime(2026, 11, 25, tzinfo=UTC)
OFFICES = (PROVINCE, CITY, *COUNTIES)


@pytest.fixture(scope="module")
def tree() -> DivisionTree:
    return builtin()


@pytest.fixture
def made_up(tree: DivisionTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Supply:
    monkeypatch.setenv("LIANDONG_SHARED_DATA", str(tmp_path))
    return Supply(tree, NOW)


@pytest.mark.parametrize("code", OFFICES)
def test_made_up_messages_are_read_without_a_problem(code: str, made_up: Supply, tree: DivisionTree):
    rows = made_up.rows(code, [None] * 150)
    found = list(read_sheet(io.BytesIO(sheet(rows)), "messages.csv", None).rows())
    assert [row.problems for row in found] == [()] * 150
    assert len({(row.fields.title, row.fields.text, row.fields.external_id) for row in found}) == 150
    for row in found:
        assert builtin_categories().known(row.fields.category), row.fields.category
        assert all(tree.is_within(area, code) for area in row.fields.areas)
        assert row.fields.areas
        assert row.fields.submitted_at is not None
        assert row.fields.submitted_at <= NOW


def test_real_messages_go_to_one_office_only_and_lie_in_its_division(shared_data: Path, tree: DivisionTree):
    supply = Supply(tree, NOW)
    taken = [row for code in OFFICES for row in supply.rows(code, [None] * 100)]
    assert supply.kind == "真实留言"
    assert len({row["编号"] for row in taken}) == 400
    assert all(row["地区"] for row in taken)


@pytest.mark.parametrize("code", OFFICES)
def test_courses_begin_at_their_office_and_hand_over_before_another_acts(code: str):
    for course in courses(code):
        holder = {None: code}
        for deed in course.deeds:
            before = holder.get(deed.child)
            if deed.verb == "accept":
                assert before != deed.by, course.name
                holder[deed.child] = deed.by
            elif deed.verb != "decline" and before is not None:
                assert before == deed.by, (course.name, deed)
