"""The catalogue says which tier has which power; the most specific row counts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import catalogue, errors
from node.domain.catalogue import Function, builtin, load
from node.domain.categories import builtin_categories, load_categories
from node.domain.divisions import builtin as country
from schemas.ids import Tier

TREE = country()
LANZHOU, CHENGGUAN, YUZHONG, ZONE = "620100", "620102", "620123", "620171"
HEADER = "category,function,tier,body,area,source\n"
TABLE = """\
农村农业/水利水电,decide,county,水务局,,水法
农村农业/水利水电,decide,city,市水务局,620102,本地规定
农村农业/水利水电,decide,township,酒泉路街道,620102001,本地规定
农村农业/水利水电/引水调水,decide,province,省水利厅,,假定
农村农业/水利水电,approve,city,市水务局,,假定
农村农业/水利水电,enforce,province,执法总队,,假定
政法/诉讼,inform,county,法院,,假定
"""
SMALL = load((HEADER + TABLE).encode())

LOWEST = {
    "the row of the class counts": ("农村农业/水利水电", "decide", [YUZHONG], Tier.COUNTY),
    "an exception replaces it in its area": ("农村农业/水利水电", "decide", [CHENGGUAN], Tier.CITY),
    "an exception reaches the places below": ("农村农业/水利水电", "decide", ["620102002"], Tier.CITY),
    "the deepest exception counts, a township's power is its county's": (
        "农村农业/水利水电",
        "decide",
        ["620102001001"],
        Tier.COUNTY,
    ),
    "an exception does not reach the places above": ("农村农业/水利水电", "decide", [LANZHOU], Tier.COUNTY),
    "of several areas the highest tier counts": ("农村农业/水利水电", "decide", [YUZHONG, CHENGGUAN], Tier.CITY),
    "a row of level 3 comes before an exception of level 2": (
        "农村农业/水利水电/引水调水",
        "decide",
        [CHENGGUAN],
        Tier.PROVINCE,
    ),
    "a level-3 class without a row takes that of its branch": (
        "农村农业/水利水电/其他",
        "decide",
        [YUZHONG],
        Tier.COUNTY,
    ),
    "a function without a row of level 3 takes that of the branch": (
        "农村农业/水利水电/引水调水",
        "approve",
        [YUZHONG],
        Tier.CITY,
    ),
    "without areas the general row counts": ("农村农业/水利水电", "decide", [], Tier.COUNTY),
    "odd writing of the path is read": (" 农村农业 ／ 水利水电 ", "decide", [YUZHONG], Tier.COUNTY),
    "a first-level class has no rows": ("农村农业", "decide", [YUZHONG], None),
    "a class without rows gives none": ("民政/优抚", "decide", [YUZHONG], None),
    "a class that does not exist gives none": ("天文/望远镜", "decide", [YUZHONG], None),
    "an area that does not exist is passed over": ("农村农业/水利水电", "decide", ["999999"], Tier.COUNTY),
}


@pytest.mark.parametrize("sentence", LOWEST)
def test_lowest_tier(sentence: str) -> None:
    category, function, areas, expected = LOWEST[sentence]
    assert SMALL.lowest_tier(category, Function(function), areas, TREE) == expected


def test_only_decide_approve_and_fund_raise() -> None:
    assert {function for function in Function if function in catalogue.RAISING} == {"decide", "approve", "fund"}
    powers = SMALL.powers("农村农业/水利水电", [YUZHONG], TREE)
    assert [(power.id, power.raises) for power in powers] == [
        ("农村农业/水利水电:decide", True),
        ("农村农业/水利水电:approve", True),
        ("农村农业/水利水电:enforce", False),
    ]


def test_row_id_names_category_function_and_area_exception() -> None:
    assert (
        next(power.id for power in SMALL.powers("农村农业/水利水电", [CHENGGUAN], TREE))
        == "农村农业/水利水电:decide@620102"
    )


def test_sentence_says_whether_the_row_is_an_assumption() -> None:
    row = {power.id: power for power in SMALL.rows}
    assert "依据：水法" in row["农村农业/水利水电:decide"].sentence
    assert "假定" in row["农村农业/水利水电:approve"].sentence
    assert "乡镇" in row["农村农业/水利水电:decide@620102001"].sentence


def test_version_follows_the_content() -> None:
    again = load((HEADER + TABLE).encode())
    other = load((HEADER + TABLE.replace("法院", "人民法院")).encode())
    assert SMALL.version == again.version != other.version


def test_header_may_be_chinese() -> None:
    text = "类别,职能,层级,承办单位,例外地区,依据\n政法/诉讼,inform,county,法院,,假定\n"
    assert [row.body for row in load(text.encode("gb18030")).rows] == ["法院"]


REFUSED = {
    "a class that does not exist": ("天文/望远镜,decide,county,局,,假定", errors.UnknownCategory, "category"),
    "a first-level class": ("政法,decide,county,局,,假定", errors.UnknownCategory, "category"),
    "a function that is none": ("政法/诉讼,judge,county,局,,假定", errors.UnknownFunction, "function"),
    "a tier that is none": ("政法/诉讼,decide,nation,局,,假定", errors.UnknownTier, "tier"),
    "no body": ("政法/诉讼,decide,county,,,假定", errors.CatalogueError, "body"),
    "an area that is no code": ("政法/诉讼,decide,county,局,兰州,假定", errors.BadException, "area"),
    "no source": ("政法/诉讼,decide,county,局,,", errors.MissingSource, "source"),
    "the same row twice": ("农村农业/水利水电,decide,city,局,,假定", errors.DuplicateRow, None),
    "a short row": ("政法/诉讼,decide", errors.CatalogueError, None),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_load_refuses_and_names_row_and_column(sentence: str) -> None:
    line, error, field = REFUSED[sentence]
    with pytest.raises(error) as caught:
        load((HEADER + TABLE + line).encode())
    assert (caught.value.row, caught.value.field) == (9, field)


def test_load_refuses_an_empty_table() -> None:
    with pytest.raises(errors.CatalogueError):
        load(HEADER.encode())


@given(st.binary(max_size=200))
def test_load_never_fails_but_with_a_catalogue_error(data: bytes) -> None:
    for read in (load, load_categories):
        with contextlib.suppress(errors.CatalogueError):
            read(HEADER.encode() + data)


def test_builtin_catalogue_covers_every_second_level_class_with_a_row_that_settles_the_tier() -> None:
    catalogue = builtin()
    for category in builtin_categories().second_level():
        powers = catalogue.powers(category, [YUZHONG], TREE)
        assert len(powers) >= 2, category
        assert any(power.raises for power in powers), category


def test_builtin_catalogue_speaks_only_of_listed_areas() -> None:
    assert all(row.area in TREE for row in builtin().rows if row.area)


EXAMPLES = {
    "a metro line is approved by the province": ("城乡建设/城市建设和市政管理/地铁城铁", CHENGGUAN, Tier.PROVINCE),
    "street cleaning is the county's": ("城乡建设/城市建设和市政管理/环境卫生", CHENGGUAN, Tier.COUNTY),
    "a bus line is the city's": ("城乡建设/城市建设和市政管理/公共汽车", CHENGGUAN, Tier.CITY),
    "a bus line in the new area is the area's own": ("城乡建设/城市建设和市政管理/公共汽车", ZONE, Tier.COUNTY),
    "paying for taken land is the county's": ("国土资源/土地征收/安置补偿", YUZHONG, Tier.COUNTY),
    "allowing land to be taken is the province's": ("国土资源/土地征收/审批手续", YUZHONG, Tier.PROVINCE),
    "the minimum wage is the province's": ("劳动和社会保障/工资福利/最低工资标准", YUZHONG, Tier.PROVINCE),
    "the medical insurance fund is the city's": ("劳动和社会保障/城镇职工社会保险/职工医疗保险", YUZHONG, Tier.CITY),
}


@pytest.mark.parametrize("sentence", EXAMPLES)
def test_builtin_catalogue_examples(sentence: str) -> None:
    category, area, expected = EXAMPLES[sentence]
    raising = [power.tier_needed for power in builtin().powers(category, [area], TREE) if power.raises]
    assert max(raising, key=lambda tier: tier.rank) == expected


def test_categories_know_paths_of_each_level() -> None:
    categories = builtin_categories()
    assert len(categories.classes) == 517
    assert len(categories.second_level()) == 118
    assert len(categories.below()) == 15
    assert categories.below("政法/诉讼") == tuple(
        f"政法/诉讼/{name}" for name in ("其他", "刑事诉讼", "民事诉讼", "行政诉讼")
    )
    for path in ("政法", "政法/诉讼", "政法 ＞ 诉讼/民事诉讼"):
        assert categories.known(path)
    for path in ("", "诉讼", "政法/诉讼/民事诉讼/其他", "政法诉讼"):
        assert not categories.known(path)


def test_categories_search_puts_the_name_itself_first() -> None:
    search = builtin_categories().search
    assert search("土地征收")[0] == "国土资源/土地征收"
    assert search("土地 补偿")[0] == "国土资源/土地征收/安置补偿" or "补偿" in search("土地 补偿")[0]
    assert search("") == () == search("望远镜")
    assert len(search("其他")) <= 20


def test_load_categories_refuses_a_class_twice_and_a_slash_in_a_name() -> None:
    header = "一级分类,二级分类,三级分类\n"
    for lines in ("甲,乙,丙\n甲,乙,丙", "甲,乙/丁,丙", "甲,,丙", ""):
        with pytest.raises(errors.CatalogueError):
            load_categories((header + lines).encode())
