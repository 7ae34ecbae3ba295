"""Terms and warnings on both databases: who is told what before and after, and that nothing moves by it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.context import Context
from node.service import posts, terms, users
from node.service.perform import Actor
from node.service.published import publish, recognise
from schemas.people import DutyForm, HandOverForm, UnitForm
from tests.nodes import state_of
from tests.store.office import PASSWORD, SetClock, act, make_node
from tests.store.tree import open_topic

SUPERVISOR = Actor(99, "督办", frozenset({"supervisor"}))
NEXT_YEAR = "day,kind,name\n2027-01-01,holiday,元旦\n".encode()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ctx(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, clock)
    yield made
    made.engine.dispose()


def told(ctx: Context, actor: Actor = SUPERVISOR) -> list[tuple[str, str, int]]:
    return [(item.topic, item.why, item.days_left) for item in terms.warnings(ctx, actor, None, 50).items]


def test_terms_proposed_are_ends_of_working_days(ctx: Context):
    found = terms.terms(ctx)
    assert found.covered
    assert found.answer_by == datetime(2026, 5, 12, 15, 59, 59, tzinfo=UTC), "May 9 is worked, May 10 is not"
    assert (found.answer_days, found.handle_days) == (5, 20)


def test_supervisor_is_told_before_and_after_and_custody_stays(ctx: Context, clock: SetClock):
    topic = open_topic(ctx)
    before = state_of(ctx, topic)
    assert told(ctx) == []
    clock.at = datetime(2026, 6, 1, 1, tzinfo=UTC)
    assert told(ctx) == [(topic, "due_soon", 1)]
    clock.at = datetime(2026, 6, 5, 1, tzinfo=UTC)
    assert told(ctx) == [(topic, "overdue", -3)]
    assert state_of(ctx, topic) == before
    item = terms.warnings(ctx, SUPERVISOR, None, 1).items[0]
    assert (item.given, item.covered, item.holder) == (False, True, "620102")


def test_leader_is_told_of_her_units_alone_and_by_name_of_the_owner(ctx: Context, clock: SetClock):
    unit = act(ctx, posts.add_unit, UnitForm(kind="township", name="酒泉路街道", code="620102001"))
    leader = users.add_user(ctx, "赵领导", PASSWORD, ["leader"]).id
    act(ctx, posts.hand_over, unit.posts[1].id, HandOverForm(to=leader, note="任职"))
    mine, _other = open_topic(ctx, unit="620102001"), open_topic(ctx, unit="620102002")
    act(ctx, posts.assign, mine, DutyForm(post=unit.posts[1].id))
    clock.go_on(days=40)
    actor = Actor(leader, "赵领导", frozenset({"leader"}))
    assert [topic for topic, _, _ in told(ctx, actor)] == [mine]
    assert len(told(ctx)) == 2
    assert terms.warnings(ctx, actor, None, 1).items[0].owner == "酒泉路街道 包抓领导 赵领导"


def test_warnings_are_paged(ctx: Context, clock: SetClock):
    for n in range(5):
        open_topic(ctx, f"第{n}件")
    clock.go_on(days=60)
    found, cursor = [], None
    while True:
        page = terms.warnings(ctx, SUPERVISOR, cursor, 2)
        found += [item.topic for item in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(set(found)) == len(found) == 5


def test_loaded_calendar_covers_its_year_and_keeps_the_others(ctx: Context):
    assert terms.calendar(ctx, 2027).items == []
    assert recognise(NEXT_YEAR) == "calendar"
    act(ctx, publish, "calendar", NEXT_YEAR)
    found = terms.calendar(ctx, 2027)
    assert found.covered == [2024, 2025, 2026, 2027]
    assert [(str(day.day), day.name) for day in found.items] == [("2027-01-01", "元旦")]
    assert terms.calendar(ctx, 2025).items
