"""Roll-ups equal a dumb recount, whatever rows come, change and go, in whatever order."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from node.domain.divisions import builtin
from node.domain.placing import placed
from node.domain.rollup import (
    DIMENSIONS,
    HELD_BY,
    MEASURES,
    MIXED,
    OPENED_AT,
    WHOLE,
    Deltas,
    Fact,
    add,
    amounts,
    cells,
    changed,
    day_of,
    month_before,
    month_of,
    rates,
    seconds,
)
from schemas.ids import Tier

COUNTIES = ("620102", "620103", "620201")
words = st.sampled_from(["", "甲", "乙"])
counts = st.integers(0, 5)
facts = st.builds(
    Fact,
    custodian=st.sampled_from(COUNTIES),
    origin=st.sampled_from(COUNTIES),
    category=words,
    source=words,
    kind=st.sampled_from(["matter", "lead"]),
    status=st.sampled_from(["active", "offered", "closed"]),
    step=st.sampled_from(["collect", "feedback"]),
    outcome=st.sampled_from(["", "A", "D"]),
    month=st.sampled_from(["2026-04", "2026-05"]),
    areas=st.lists(st.sampled_from(COUNTIES), unique=True, max_size=2).map(tuple),
    places=st.lists(st.sampled_from(["620100", "620102"]), unique=True, max_size=2).map(tuple),
    overdue=st.booleans(),
    stayed=st.booleans(),
    hops=counts,
    returns=counts,
    reopened=counts,
    suggested=counts,
    followed=counts,
    participations=counts,
    rating=st.sampled_from([None, "satisfied", "basically_satisfied", "not_satisfied"]),
    responded=st.booleans(),
    response_s=counts,
    resolution_s=counts,
)


def recount(rows: dict[int, Fact]) -> dict[tuple[str, str, str, str], tuple[int, ...]]:
    """Every cell counted from nothing, by a loop of its own."""
    found: dict[tuple[str, str, str, str], Counter[str]] = {}
    for fact in rows.values():
        for place in {WHOLE, *fact.places, OPENED_AT + fact.origin, HELD_BY + fact.custodian}:
            for dimension in DIMENSIONS:
                keys = fact.areas or ("",) if dimension == "area" else (getattr(fact, dimension) or "",)
                for key in keys:
                    cell = found.setdefault((place, dimension, key, fact.month), Counter())
                    cell.update(dict(zip(MEASURES, amounts(fact), strict=True)))
    return {cell: tuple(sums[name] for name in MEASURES) for cell, sums in found.items()}


def mixed(rows: dict[int, Fact]) -> dict[tuple[str | bool, ...], tuple[int, ...]]:
    """Every mix counted from nothing, by a loop of its own."""
    found: dict[tuple[str | bool, ...], Counter[str]] = {}
    for fact in rows.values():
        values = [fact.overdue if name == "late" else getattr(fact, name) or "" for name in MIXED]
        found.setdefault(tuple(values), Counter()).update(dict(zip(MEASURES, amounts(fact), strict=True)))
    return {key: tuple(sums[name] for name in MEASURES) for key, sums in found.items()}


@given(st.lists(st.tuples(st.integers(0, 6), st.none() | facts), max_size=30))
def test_figures_kept_by_changes_equal_a_recount(steps: list[tuple[int, Fact | None]]):
    rows: dict[int, Fact] = {}
    deltas = Deltas()
    for topic, new in steps:
        add(deltas, rows.get(topic), new)
        if new is None:
            rows.pop(topic, None)
        else:
            rows[topic] = new
    assert changed(deltas.cells) == {cell: sums for cell, sums in recount(rows).items() if any(sums)}
    assert changed(deltas.mixes) == mixed(rows)


@given(facts)
def test_a_row_belongs_to_a_cell_once(fact: Fact):
    found = list(cells(fact))
    assert len(found) == len(set(found))


@given(facts)
def test_every_rate_is_a_share_or_a_mean(fact: Fact):
    sums = dict(zip(MEASURES, amounts(fact), strict=True))
    for name, value in rates(sums).items():
        assert value is None or value >= 0, name
    assert rates(dict.fromkeys(MEASURES, 0)).keys() == rates(sums).keys()
    assert set(rates(dict.fromkeys(MEASURES, 0)).values()) == {None}


def test_days_and_months_are_those_of_china():
    late = datetime(2026, 4, 30, 16, 30, tzinfo=UTC)
    assert month_of(late) == "2026-05"
    assert day_of(late) == day_of(datetime(2026, 5, 1, 10, tzinfo=UTC))
    assert month_before(datetime(2026, 12, 31, 16, tzinfo=UTC)) == "2026-12"


def test_a_clock_that_runs_backwards_counts_as_nothing():
    assert seconds(datetime(2026, 5, 2, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)) == 0


def test_a_topic_is_shown_under_its_counties_and_counted_in_the_places_below():
    found = placed(["620102001", "620103", "620100"], builtin(), Tier.PROVINCE)
    assert found.shown == ("620102", "620103", "620100")
    assert set(found.places) == {"620102", "620103", "620100"}
    assert set(found.within) == {"620102001", "620102", "620103", "620100", "620000"}
    assert placed(["620102"], builtin(), Tier.CITY).places == ("620102",)
    assert placed(["620102"], builtin(), Tier.COUNTY).places == ()


def test_an_area_no_table_knows_stands_for_itself():
    assert placed(["999999"], builtin(), Tier.PROVINCE).shown == ("999999",)


def test_a_city_listed_as_its_own_county_is_the_city():
    assert placed(["620201"], builtin(), Tier.PROVINCE).shown == ("620200",)
