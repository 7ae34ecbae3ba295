"""The suggested tier is the higher of area and power, with every reason shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.catalogue import builtin as powers
from node.domain.categories import builtin_categories
from node.domain.divisions import builtin as country
from node.domain.routing import Act, Rule, Suggestion, override_needed, suggest
from schemas.ids import Tier

TREE = country()
CATALOGUE = powers()
GANSU, LANZHOU, CHENGGUAN, YUZHONG = "620000", "620100", "620102", "620123"
STREETS = "城乡建设/城市建设和市政管理/环境卫生"
METRO = "城乡建设/城市建设和市政管理/地铁城铁"
BUS = "城乡建设/城市建设和市政管理/公共汽车"


def suggested(
    areas: list[str],
    category: str | None = None,
    own: str = CHENGGUAN,
    enrolled: tuple[str, ...] = (LANZHOU, GANSU),
) -> Suggestion:
    return suggest(areas, category, TREE, CATALOGUE, own, enrolled)


AREA = {
    "two townships of one county stay in the county": (["620102001", "620102002"], Tier.COUNTY, CHENGGUAN),
    "a township stays in its county": (["620102001"], Tier.COUNTY, CHENGGUAN),
    "an unlisted village stays in its county": (["620102001001"], Tier.COUNTY, CHENGGUAN),
    "one county stays there": ([YUZHONG], Tier.COUNTY, YUZHONG),
    "two counties of one city go to the city": ([CHENGGUAN, YUZHONG], Tier.CITY, LANZHOU),
    "townships of two counties go to the city": (["620102001", "620123100"], Tier.CITY, LANZHOU),
    "a city and one of its counties go to the city": ([LANZHOU, CHENGGUAN], Tier.CITY, LANZHOU),
    "two cities go to the province": ([CHENGGUAN, "620302"], Tier.PROVINCE, GANSU),
    "a development zone is a county": (["620171"], Tier.COUNTY, "620171"),
    "a zone and a district of one city go to the city": (["620171", CHENGGUAN], Tier.CITY, LANZHOU),
    "a province-run county stays there": (["429004"], Tier.COUNTY, "429004"),
    "two province-run counties go to the province": (["429004", "429005"], Tier.PROVINCE, "420000"),
    "a city without counties is the city": (["620200"], Tier.CITY, "620200"),
    "a city listed as its own county is the city": (["620201"], Tier.CITY, "620200"),
    "a township of such a city is the city's": (["620201001"], Tier.CITY, "620200"),
    "a city repeated under one code is the city": (["441900"], Tier.CITY, "441900"),
    "a municipality's district is a county": (["110101"], Tier.COUNTY, "110101"),
    "two districts of a municipality go to the municipality": (["110101", "110102"], Tier.PROVINCE, "110000"),
    "a municipality's districts row is the municipality": (["110100"], Tier.PROVINCE, "110000"),
    "several provinces have no common parent": ([CHENGGUAN, "630102"], Tier.PROVINCE, None),
    "the same place twice is one place": ([YUZHONG, YUZHONG], Tier.COUNTY, YUZHONG),
}


@pytest.mark.parametrize("sentence", AREA)
def test_area_rule(sentence: str) -> None:
    areas, tier, division = AREA[sentence]
    suggestion = suggested(areas)
    assert (suggestion.tier, suggestion.division) == (tier, division)
    assert {reason.rule for reason in suggestion.reasons} == {Rule.AREA}


POWER = {
    "a county's matter stays in the county": ([CHENGGUAN], STREETS, Tier.COUNTY, CHENGGUAN),
    "a city's power raises one county's matter to the city": ([CHENGGUAN], BUS, Tier.CITY, LANZHOU),
    "a province's power raises it to the province": ([CHENGGUAN], METRO, Tier.PROVINCE, GANSU),
    "the area counts where it is higher": ([CHENGGUAN, "620302"], BUS, Tier.PROVINCE, GANSU),
    "a city's power over a province-run county is the province's": (["429004"], BUS, Tier.PROVINCE, "420000"),
    "a city's power in a municipality is the municipality's": (["110101"], BUS, Tier.PROVINCE, "110000"),
    "an exception keeps a new area's matter there": (["620171"], BUS, Tier.COUNTY, "620171"),
    "several provinces stay without a common parent": ([CHENGGUAN, "630102"], METRO, Tier.PROVINCE, None),
}


@pytest.mark.parametrize("sentence", POWER)
def test_power_rule(sentence: str) -> None:
    areas, category, tier, division = POWER[sentence]
    suggestion = suggested(areas, category)
    assert (suggestion.tier, suggestion.division) == (tier, division)
    assert next(reason.rule for reason in suggestion.reasons) is Rule.AREA
    rows = {row.id for row in CATALOGUE.rows}
    hits = [reason.row for reason in suggestion.reasons if reason.rule is Rule.POWER]
    assert hits
    assert rows.issuperset(hits)


def test_reasons_say_the_same_in_english() -> None:
    place, *powers = suggested([CHENGGUAN, YUZHONG], METRO).reasons
    assert place.english == (
        "It concerns 城关区, 榆中县; the smallest scope that holds all is 兰州市, within the scope of the city."
    )
    bodies = {row.id: row.body for row in CATALOGUE.rows}
    assert powers
    for power in powers:
        assert f" on “{METRO}” lies with " in power.english
        assert f" or above: {bodies[power.row or '']} (" in power.english
    assert suggested([], own=LANZHOU).reasons[0].english.endswith("keeps it: 兰州市 (city).")


def test_handling_bodies_are_named_without_raising_the_tier() -> None:
    suggestion = suggested([CHENGGUAN], "环境保护/环境污染")
    assert suggestion.tier is Tier.COUNTY
    assert {power.function for power in suggestion.powers} == {"decide", "enforce", "inform"}


def test_matter_without_category_says_that_only_the_area_counted() -> None:
    assert "只按地域判断" in suggested([CHENGGUAN]).reasons[-1].text


@pytest.mark.parametrize("category", ["政法", "天文/望远镜"])
def test_category_without_rows_says_so_and_keeps_the_area(category: str) -> None:
    suggestion = suggested([CHENGGUAN], category)
    assert suggestion.tier is Tier.COUNTY
    assert (suggestion.reasons[-1].rule, suggestion.reasons[-1].row) == (Rule.POWER, None)
    assert category in suggestion.reasons[-1].text


@pytest.mark.parametrize(
    ("own", "tier"), [(CHENGGUAN, Tier.COUNTY), (LANZHOU, Tier.CITY), (GANSU, Tier.PROVINCE), ("999999", Tier.COUNTY)]
)
def test_matter_without_area_and_category_stays_with_the_first_receiver(own: str, tier: Tier) -> None:
    suggestion = suggested([], own=own)
    assert suggestion.tier is tier
    assert suggestion.division == (own if own in TREE else None)
    assert suggestion.reasons[0].rule is Rule.FALLBACK


def test_matter_without_area_but_with_category_goes_as_high_as_the_power() -> None:
    suggestion = suggested([], METRO)
    assert (suggestion.tier, suggestion.division) == (Tier.PROVINCE, GANSU)
    assert {reason.rule for reason in suggestion.reasons} == {Rule.FALLBACK, Rule.POWER}


def test_unknown_area_is_named_and_passed_over() -> None:
    suggestion = suggested(["999999", YUZHONG])
    assert (suggestion.tier, suggestion.unknown) == (Tier.COUNTY, ("999999",))
    assert any("999999" in reason.text for reason in suggestion.reasons)


def test_node_is_the_nearest_enrolled_one_at_or_above() -> None:
    assert suggested([YUZHONG]).node == LANZHOU
    assert suggested([YUZHONG], enrolled=(LANZHOU, YUZHONG)).node == YUZHONG
    assert suggested([CHENGGUAN]).node == CHENGGUAN
    assert suggested(["630102"]).node is None


def test_city_enrolled_as_its_own_county_is_a_county() -> None:
    suggestion = suggested(["620201"], own="620201", enrolled=("620200",))
    assert (suggestion.tier, suggestion.division, suggestion.node) == (Tier.COUNTY, "620201", "620201")


OVERRIDE = {
    "deciding a city's matter in the county": (Tier.CITY, Tier.COUNTY, Act.DECIDE, True),
    "deciding a county's matter in the county": (Tier.COUNTY, Tier.COUNTY, Act.DECIDE, False),
    "deciding a county's matter in the city": (Tier.COUNTY, Tier.CITY, Act.DECIDE, False),
    "delegating a city's matter to a county": (Tier.CITY, Tier.COUNTY, Act.DELEGATE, True),
    "delegating a city's matter to a city": (Tier.CITY, Tier.CITY, Act.DELEGATE, False),
    "delegating a county's matter to a city": (Tier.COUNTY, Tier.CITY, Act.DELEGATE, False),
    "escalating a county's matter to the city": (Tier.COUNTY, Tier.CITY, Act.ESCALATE, True),
    "escalating a city's matter to the city": (Tier.CITY, Tier.CITY, Act.ESCALATE, False),
    "escalating a province's matter to the city first": (Tier.PROVINCE, Tier.CITY, Act.ESCALATE, False),
}


@pytest.mark.parametrize("sentence", OVERRIDE)
def test_override_needed(sentence: str) -> None:
    suggested_tier, target, act, needed = OVERRIDE[sentence]
    assert override_needed(suggested_tier, target, act) is needed


CODES = sorted(division.code for division in TREE)
CATEGORIES = [None, *builtin_categories().second_level()]


@given(
    st.lists(st.sampled_from(CODES) | st.text(max_size=12), max_size=4),
    st.sampled_from(CATEGORIES),
    st.sampled_from(CODES),
)
def test_suggestion_always_has_a_reason_and_is_never_below_area_or_power(
    areas: list[str], category: str | None, own: str
) -> None:
    suggestion = suggested(areas, category, own)
    assert suggestion.reasons
    assert suggestion.tier.rank >= suggested(areas, None, own).tier.rank
    assert all(suggestion.tier.rank >= power.tier_needed.rank for power in suggestion.powers if power.raises)
    if suggestion.division:
        place = TREE.get(suggestion.division)
        assert place
        assert place.level.tier is suggestion.tier
        assert all(TREE.is_within(area, place.code) for area in areas if TREE.resolve_area(area))
