"""Places in free text: read where they are sure, listed where they are not, never guessed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.divisions import Division, DivisionTree, builtin, load
from node.domain.place_scan import fold
from node.domain.places import FoundPlaces, areas_of, find_places

COUNTRY = builtin()
MASKED = load(
    """\
code,name,level,parent
990000,西地省,province,
990100,A市,city,990000
990101,A1区,county,990100
990103,A3区,county,990100
990107,A7县,county,990100
990200,B市,city,990000
990203,B3区,county,990200
990209,B9市,county,990200
990300,C市,city,990000
990305,C5市,county,990300
990401,D1区,county,990000
990411,D11市,county,990000
""".encode()
)


def names(found: FoundPlaces) -> tuple[list[str], list[str], list[str], list[str]]:
    return (
        [place.name for place in found.matches],
        [place.name for place in found.ambiguous],
        [place.name for place in found.unknown],
        [place.name for place in found.doubtful],
    )


# sentence: text, matches, ambiguous, unknown, doubtful
MASKED_TEXTS: dict[str, tuple[str, list[str], list[str], list[str], list[str]]] = {
    "a county is read": ("A3区的井盖坏了", ["A3区"], [], [], []),
    "small letters are read": ("家住a3区", ["A3区"], [], [], []),
    "full-width letters and digits are read": ("Ａ３区停水", ["A3区"], [], [], []),
    "spaces inside the name are passed over": ("A 3 区停水", ["A3区"], [], [], []),
    "a year before the name is no part of it": ("2019A3区招生", ["A3区"], [], [], []),
    "a longer run of letters is another name": ("AA3区和BA3区", [], [], [], []),
    "a number plate is no place": ("车牌楚BF67A3区", [], [], [], []),
    "a longer number is another name": ("D11市的D1区", ["D11市", "D1区"], [], [], []),
    "a name in no table is unknown": ("D区与M6县与A99区", [], [], ["D区", "M6县", "A99区"], []),
    "city and province are places too": ("西地省A市A3区", ["西地省", "A市", "A3区"], [], [], []),
    "words with 区 and 县 are no places": ("小区、社区、校区、县城、市区、开发区、县委、市政、区政府", [], [], [], []),
    "a road's name is doubtful": ("A市C5市中路积水", ["A市"], [], [], ["C5市"]),
    "a road's name with a crossing is doubtful": ("杨柳路C5市南路口", [], [], [], ["C5市"]),
    "a numbered road is not the county's name": ("A7县东七路没有灯", ["A7县"], [], [], []),
    "a town called 路口 is not a road": ("A7县路口镇", ["A7县"], [], [], []),
    "street lights are not a road": ("A7县路灯", ["A7县"], [], [], []),
    "an estate named like another county is doubtful": ("A7县华园B3区花苑物业", ["A7县"], [], [], ["B3区"]),
    "a county of another city right behind a city is doubtful": ("B市A1区新城", ["B市"], [], [], ["A1区"]),
    "a second county after a leading word is a place": ("从A7县到B3区的班车", ["A7县", "B3区"], [], [], []),
    "a second county after a comma is a place": ("A7县，A3区都没有", ["A7县", "A3区"], [], [], []),
    "two counties at their border are places": ("A7县A3区交界处", ["A7县", "A3区"], [], [], []),
}


@pytest.mark.parametrize("sentence", MASKED_TEXTS)
def test_masked_names(sentence: str) -> None:
    text, *expected = MASKED_TEXTS[sentence]
    assert list(names(find_places(text, MASKED))) == expected


# sentence: text, scope, matches (codes), ambiguous, unknown
REAL_TEXTS: dict[str, tuple[str, str | None, list[str], list[str], list[str]]] = {
    "province, city, county and street": (
        "甘肃省兰州市城关区张掖路街道",
        None,
        ["620000", "620100", "620102", "620102002"],
        [],
        [],
    ),
    "a city's short form": ("我在兰州的家", None, ["620100"], [], []),
    "short forms in a chain": ("甘肃兰州榆中的公路", None, ["620000", "620100", "620123"], [], []),
    "a university is no place": ("兰州大学和天津大学", None, [], [], []),
    "a road is no place": ("定西路与北京路口、兰州路", None, [], [], []),
    "a short form inside a word is no place": ("今天水管坏了，白银首饰", None, [], [], []),
    "a new area is not the city it is named after": ("兰州新区供水", None, ["620171"], [], []),
    "peoples' names may be left out": ("张家川县与东乡县、临夏州", None, ["620525", "622926", "622900"], [], []),
    "a name of several counties is ambiguous": ("和平区的路", None, [], ["和平区"], []),
    "the city before it settles it": ("天津市和平区的路", None, ["120000", "120101"], [], []),
    "the city before it counts more than the node's own": (
        "沈阳市和平区的路",
        "120000",
        ["210100", "210102"],
        [],
        [],
    ),
    "the node's subtree settles it": ("和平区的路", "120000", ["120101"], [], []),
    "a city elsewhere in the text settles it": ("天津市这几年变化大。和平区的路", None, ["120000", "120101"], [], []),
    "two cities elsewhere do not settle it": ("天津市和沈阳市，和平区的路", None, ["120000", "210100"], ["和平区"], []),
    "two cities each with theirs": (
        "沈阳市和平区与天津市河东区",
        None,
        ["210100", "210102", "120000", "120102"],
        [],
        [],
    ),
    "a town of many counties is ambiguous": ("城关镇的水", "620000", [], ["城关镇"], []),
    "the county before it settles it": ("榆中县城关镇的水", "620000", ["620123", "620123100"], [], []),
    "the county's own node settles it": ("城关镇的水", "620123", ["620123100"], [], []),
    "a town outside the node's subtree is not read": ("和平镇的水", "630000", [], [], []),
    "a town behind a place it does not lie in stays open": ("东莞市长安镇", "620000", ["441900"], ["长安镇"], []),
    "市辖区 is never a place": ("北京市市辖区", None, ["110000"], [], []),
    "a city listed twice is one place": ("嘉峪关市的风", None, ["620200"], [], []),
    "a county whose name is a word needs its city": ("城区与郊区，阳泉市城区", None, ["140300", "140302"], [], []),
    "an ordinary word is read in its own node only": ("合作市场和合作市的路", "623000", ["623001"], [], []),
    "an ordinary word is no place elsewhere": ("解放区的天", "620000", [], [], []),
    "two characters are read where a word begins": ("成县的路", "621200", ["621221"], [], []),
    "two characters inside a word are no place": ("已建成县级公路，市委和政府", "621200", [], [], []),
    "a province's name cut in two is no place": ("上海南区和云南山区", None, [], [], []),
    "the end of a word and 市 are no city": ("振兴城市经济，沿海城市", None, [], [], []),
    "a market is no city": ("东方市场", None, [], [], []),
    "a name in no table is unknown": ("位于青河湾县，来自长湖市", None, [], [], ["青河湾县", "长湖市"]),
    "common words with 区 市 县 are not unknown places": (
        "小区 社区 校区 全市 我县 本区 城市 超市 景区 高新区 该县 外县 工业区",
        None,
        [],
        [],
        [],
    ),
}


@pytest.mark.parametrize("sentence", REAL_TEXTS)
def test_real_names(sentence: str) -> None:
    text, scope, codes, ambiguous, unknown = REAL_TEXTS[sentence]
    found = find_places(text, COUNTRY, scope)
    assert [place.code for place in found.matches] == codes
    assert [place.name for place in found.ambiguous] == ambiguous
    assert [place.name for place in found.unknown] == unknown


def test_ambiguous_name_lists_all_that_bear_it() -> None:
    (place,) = find_places("和平区的路", COUNTRY).ambiguous
    assert place.codes == ("120101", "210102")
    assert (place.field, place.start, place.end) == ("text", 0, 3)


# sentence: title, text, codes
AREAS: dict[str, tuple[str, str, list[str]]] = {
    "the county of the title, not the text's": ("A3区停水", "我家在A7县", ["990103"]),
    "the city before its county is context": ("A市A3区停水", "", ["990103"]),
    "a city joined to its county is a place too": ("希望开通从A市到A7县的班车", "", ["990100", "990107"]),
    "two offices do not make the city a place": ("请A7县和A市教育局答复", "", ["990107"]),
    "two counties": ("A7县与A3区交界处", "", ["990107", "990103"]),
    "counties of two cities": ("由A市到B3区的班车太少", "", ["990100", "990203"]),
    "the text narrows the title's city by an address": ("A市某公司不退款", "地址：A市A3区某路5号", ["990103"]),
    "the text narrows it by naming the county twice": ("A市停水", "A3区政府说明天修，A3区没有修", ["990103"]),
    "the text does not narrow it in passing": ("建议A市提高补贴", "听说A3区政府有通知", ["990100"]),
    "the text does not narrow it by where one is registered": ("A市入学", "户口在A7县某镇", ["990100"]),
    "two counties in the text do not narrow it": ("A市停水", "A3区某路和A7县某镇都停", ["990100"]),
    "a county of another city does not narrow it": ("A市停水", "我是B市B3区某镇人", ["990100"]),
    "no place in the title: the text's, the one named most often": (
        "停水",
        "A3区停水。A7县没有停，A3区要修",
        ["990103"],
    ),
    "no place in the title: all that are named equally often": ("停水", "A3区停水。A7县也停", ["990103", "990107"]),
    "no place in the title: the text's city": ("停水", "在A市", ["990100"]),
    "a road alone is better than nothing": ("A3区大道太挤", "", ["990103"]),
    "a road gives way to a county of its city in the text": ("A3区大道太挤", "A市A1区这一段", ["990101"]),
    "a road does not give way to another city": ("A3区大道太挤", "B市没有这么挤", ["990103"]),
    "a road gives way to the city named with it": ("A市C5市中路积水", "", ["990100"]),
    "no place at all": ("停水", "修一修", []),
}


@pytest.mark.parametrize("sentence", AREAS)
def test_areas_of(sentence: str) -> None:
    title, text, codes = AREAS[sentence]
    assert list(areas_of(title, text, MASKED, "990000").codes) == codes


def test_areas_of_settles_a_name_of_the_title_by_the_text() -> None:
    assert areas_of("和平区的路", "天津市的路", COUNTRY).codes == ("120101",)


def test_areas_of_tells_what_each_area_was_taken_from() -> None:
    (area,) = areas_of("停水", "家住 榆中县 城关镇", COUNTRY, "620000").areas
    assert (area.code, area.name, area.field, area.start, area.end) == ("620123100", "城关镇", "text", 7, 10)


PIECES = st.sampled_from(["A3区", "Ａ３区", "a 3 区", "A市", "西地省", "D11市", "路", "到", "的", "，", " ", "X", "某"])


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from([None, "990000", "990103"]))
def test_offsets_slice_to_the_name_and_nothing_overlaps(text: str, scope: str | None) -> None:
    found = find_places(text, MASKED, scope)
    places = [*found.matches, *found.ambiguous, *found.unknown, *found.doubtful]
    for place in places:
        assert "".join(fold(text[place.start : place.end]).split()) == place.name
    spans = sorted((place.start, place.end) for place in places)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@given(st.text(max_size=80), st.sampled_from([COUNTRY, MASKED]))
def test_any_text_is_read_without_failing(text: str, tree: DivisionTree) -> None:
    assert find_places(text, tree) == find_places(text, tree)
    areas_of(text, text, tree)


LISTED = [division for division in COUNTRY if len(division.name) > 3 and division.level.rank > 0]


@given(st.sampled_from(LISTED))
def test_long_full_name_is_read_as_one_that_bears_it(division: Division) -> None:
    found = find_places(f"关于{division.name}的路", COUNTRY)
    bearers = {place.code for place in COUNTRY if place.name == division.name}
    read = {place.code for place in found.matches} | {code for place in found.ambiguous for code in place.codes}
    expected = {COUNTRY.governed(place).code for code in bearers if (place := COUNTRY.get(code))}
    assert expected <= read or division.is_placeholder
