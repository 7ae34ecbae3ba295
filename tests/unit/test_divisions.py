"""Places lie in places over parent links only; a table that breaks this names its row."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import divisions, errors
from node.domain.divisions import Level, builtin, load
from schemas.ids import Tier

HEADER = "code,name,level,parent\n"
COUNTRY = builtin()
CODES = sorted(division.code for division in COUNTRY)


def table(*rows: str) -> bytes:
    return (HEADER + "\n".join(rows)).encode()


PROVINCE = "990000,西省,province,"
CITY = "990100,东市,city,990000"

LCA = {
    "one county is its own": (["620102"], "620102"),
    "two townships of one county meet in the county": (["620102001", "620102002"], "620102"),
    "a township and its county meet in the county": (["620102001", "620102"], "620102"),
    "two counties of one city meet in the city": (["620102", "620123"], "620100"),
    "two cities meet in the province": (["620102", "620302"], "620000"),
    "a development zone and a district meet in the city": (["620171", "620102"], "620100"),
    "two province-run counties meet in the placeholder above them": (["429004", "429005"], "429000"),
    "a province-run county and a city meet in the province": (["429004", "420100"], "420000"),
    "two villages of no listed township meet in the county": (["110101001001", "110101002001"], "110101"),
    "two provinces do not meet": (["620102", "630102"], None),
}


@pytest.mark.parametrize("sentence", LCA)
def test_lca(sentence: str) -> None:
    codes, expected = LCA[sentence]
    found = COUNTRY.lca(codes)
    assert (found.code if found else None) == expected


def test_lca_of_nothing_is_nothing() -> None:
    assert COUNTRY.lca([]) is None


@given(st.lists(st.sampled_from(CODES), min_size=1, max_size=5))
def test_lca_is_an_ancestor_of_each_and_no_lower_one_is(codes: list[str]) -> None:
    found = COUNTRY.lca(codes)
    lines = [[place.code for place in COUNTRY.ancestors(code)] for code in codes]
    common = [code for code in lines[0] if all(code in line for line in lines)]
    assert (found.code if found else None) == (common[0] if common else None)
    assert COUNTRY.lca(reversed(codes)) == found


@given(st.sampled_from(CODES))
def test_every_place_is_within_each_of_its_ancestors_and_in_their_subtrees(code: str) -> None:
    for place in COUNTRY.ancestors(code):
        assert COUNTRY.is_within(code, place.code)
        assert COUNTRY.get(code) in COUNTRY.subtree(place.code)


def test_ancestors_begin_with_the_place_itself_and_end_with_the_province() -> None:
    assert [place.name for place in COUNTRY.ancestors("620102001")] == ["酒泉路街道", "城关区", "兰州市", "甘肃省"]
    assert COUNTRY.province_of("620102001") == COUNTRY.get("620000")
    with pytest.raises(errors.UnknownDivision):
        COUNTRY.ancestors("999999")


def test_parent_link_counts_where_the_code_says_otherwise() -> None:
    tree = load(table(PROVINCE, CITY, "990200,西市,city,990000", "990199,渡口县,county,990200"))
    assert tree.is_within("990199", "990200")
    assert not tree.is_within("990199", "990100")
    assert [place.code for place in tree.subtree("990200")] == ["990200", "990199"]
    assert tree.children("990100") == ()


AREAS = {
    "a listed county is itself": ("620102", "620102", None),
    "a listed township is itself": ("620102001", "620102001", None),
    "a code padded with zeros is the unit it pads": ("620102000000", "620102", None),
    "a village hangs below its listed township": ("620102001007", "620102001007", "620102001"),
    "a village of an unlisted township hangs below the county": ("110101001007", "110101001007", "110101"),
    "an unlisted township hangs below its county": ("110101099", "110101099", "110101"),
    "a township of a city without counties hangs below the city": ("441900101", "441900101", "441900"),
    "an unlisted county is unknown": ("620199", None, None),
    "a township of an unlisted county is unknown": ("620199001", None, None),
    "a township cannot hang below a city that has counties": ("620100001", None, None),
    "a township cannot hang below a placeholder": ("429000001", None, None),
    "eight digits are no code": ("62010200", None, None),
    "letters are no code": ("62010a", None, None),
    "nothing is no code": ("", None, None),
}


@pytest.mark.parametrize("sentence", AREAS)
def test_resolve_area(sentence: str) -> None:
    code, expected, parent = AREAS[sentence]
    found = COUNTRY.resolve_area(code)
    assert (found.code if found else None) == expected
    if found and parent:
        assert (found.parent, found.listed) == (parent, False)


def test_unlisted_unit_has_ancestors_like_a_listed_one() -> None:
    assert [place.code for place in COUNTRY.ancestors("620102001007")] == [
        "620102001007",
        "620102001",
        "620102",
        "620100",
        "620000",
    ]


GOVERNED = {
    "a city listed as its own county is the city": ("620201", "620200"),
    "a municipality's districts row is the municipality": ("110100", "110000"),
    "the row of province-run counties is the province": ("429000", "420000"),
    "a province-run county is itself": ("429004", "429004"),
    "an ordinary county is itself": ("620102", "620102"),
}


@pytest.mark.parametrize("sentence", GOVERNED)
def test_governed(sentence: str) -> None:
    code, expected = GOVERNED[sentence]
    division = COUNTRY.get(code)
    assert division
    assert COUNTRY.governed(division).code == expected


def test_at_tier_skips_what_has_no_government() -> None:
    assert COUNTRY.at_tier("110101", Tier.CITY) is None
    assert COUNTRY.at_tier("429004", Tier.CITY) is None
    assert COUNTRY.at_tier("620201", Tier.COUNTY) is None
    assert COUNTRY.at_tier("620102001", Tier.CITY) == COUNTRY.get("620100")
    assert COUNTRY.at_tier("999999", Tier.CITY) is None


def test_tier_of_each_level() -> None:
    assert {level: level.tier for level in Level} == {
        Level.PROVINCE: Tier.PROVINCE,
        Level.CITY: Tier.CITY,
        Level.COUNTY: Tier.COUNTY,
        Level.TOWNSHIP: Tier.COUNTY,
        Level.VILLAGE: Tier.COUNTY,
    }


def test_builtin_table_holds_the_country_and_folds_cities_repeated_under_one_code() -> None:
    assert len(COUNTRY) == 3351 + 1403 - 3
    assert COUNTRY.get("441900") == divisions.Division("441900", "东莞市", Level.CITY, "440000")
    assert sum(place.level is Level.TOWNSHIP for place in COUNTRY) == 1403


def test_builtin_table_loads_fast() -> None:
    started = time.perf_counter()
    builtin.__wrapped__()
    assert time.perf_counter() - started < 0.5  # measured 0.03 s; the limit leaves room for a busy machine


REFUSED = {
    "a code twice": ((PROVINCE, CITY, "990100,另市,city,990000"), errors.DuplicateCode, 4),
    "a parent that is not there": ((PROVINCE, "990101,甲区,county,990100"), errors.UnknownParent, 3),
    "a circle": (("990101,甲区,county,990102", "990102,乙区,county,990101"), errors.ParentCycle, 2),
    "its own parent": ((PROVINCE, "990101,甲区,county,990101"), errors.ParentCycle, 3),
    "a level that is none": ((PROVINCE, "990100,东市,district,990000"), errors.BadLevel, 3),
    "a city below a county": ((PROVINCE, "990101,甲区,county,990000", "990100,东市,city,990101"), errors.BadLevel, 4),
    "a code of five digits": ((PROVINCE, "99010,东市,city,990000"), errors.BadCode, 3),
    "digits that are not ASCII": (("９９００００,西省,province,",), errors.BadCode, 2),
    "no name": ((PROVINCE, "990100,,city,990000"), errors.BadName, 3),
    "a short row": ((PROVINCE, "990100,东市"), errors.DivisionError, 3),
    "no rows": ((), errors.DivisionError, None),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_load_refuses_and_names_the_row(sentence: str) -> None:
    rows, error, row = REFUSED[sentence]
    with pytest.raises(error) as caught:
        load(table(*rows))
    assert caught.value.row == row


def test_load_refuses_a_table_without_the_columns() -> None:
    with pytest.raises(errors.DivisionError, match="parent"):
        load("code,name,level\n990000,西省,province\n".encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_load_reads_each_encoding_any_order_of_columns_and_blank_rows(encoding: str) -> None:
    text = "name,parent,level,code,note\r\n西省,,province,990000,\r\n\r\n东市,990000,city,990100,x\r\n"
    tree = load(text.encode(encoding))
    assert [place.name for place in tree.subtree("990000")] == ["西省", "东市"]


def test_load_refuses_other_encodings() -> None:
    with pytest.raises(errors.DivisionError, match="GB18030"):
        load(b"\xff\xff" + (HEADER + PROVINCE).encode("utf-16-le"))


def test_city_repeated_under_one_code_is_one_division_in_either_order() -> None:
    inner = "990100,东市,county,990100"
    for rows in ((PROVINCE, CITY, inner), (PROVINCE, inner, CITY)):
        assert load(table(*rows)).get("990100") == divisions.Division("990100", "东市", Level.CITY, "990000")


@given(st.binary(max_size=300))
def test_load_never_fails_but_with_a_division_error(data: bytes) -> None:
    with contextlib.suppress(errors.DivisionError):
        load(data)
