"""Specifications of charts: what data they carry, in which order, and what they leave out."""

from typing import get_args

import pytest

from node.domain import charts
from node.domain.charts import BARS_MAX, WIDTHS, Bar, Size, Spec, Theme

WORDS = {"count": "议题", "closed": "办结", "open": "在办", "overdue": "逾期"}
SIZES: tuple[Size, ...] = get_args(Size)
THEMES: tuple[Theme, ...] = get_args(Theme)


def values(spec: Spec, layer: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = spec["layer"][layer]["data"]["values"]
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", THEMES)
def test_every_chart_has_the_width_of_its_size_whatever_it_shows(size: Size, theme: Theme):
    for bars in ((), (Bar("一", 0),), tuple(Bar(str(n), n, n // 2, n // 4) for n in range(60))):
        made = (
            charts.trend(bars, WORDS, size, theme),
            charts.ranking(bars, WORDS, size, theme),
            charts.funnel(bars, 60, size, theme),
            charts.tiles(bars, WORDS, size, theme),
        )
        assert {spec["width"] for spec in made} == {WIDTHS[size]}


def test_bar_is_made_of_parts_that_add_up_to_its_count():
    spec = charts.ranking((Bar("城关区", 9, closed=4, overdue=2), Bar("红古区", 1)), WORDS, "wide", "light")
    parts = [(row["label"], row["part"], row["n"]) for row in values(spec, 0)]
    assert parts == [("城关区", "办结", 4), ("城关区", "在办", 3), ("城关区", "逾期", 2), ("红古区", "在办", 1)]
    assert [row["n"] for row in values(spec, 1)] == [9, 1]


def test_branch_without_topics_keeps_its_place_in_the_ranking():
    spec = charts.ranking((Bar("城关区", 0), Bar("红古区", 1, closed=1)), WORDS, "wide", "light")
    assert [row["label"] for row in values(spec, 0)] == ["城关区", "红古区"]


def test_ranking_by_a_ratio_shows_a_dash_where_there_is_none():
    spec = charts.ranking((Bar("城关区", 9, rate=0.5), Bar("红古区", 0)), WORDS, "wide", "light")
    assert [(row["n"], row["said"]) for row in spec["data"]["values"]] == [(0.5, "50.0%"), (0, "—")]


@pytest.mark.parametrize("size", SIZES)
def test_trend_keeps_the_latest_months_that_fit(size: Size):
    bars = [Bar(f"{2020 + n // 12}-{n % 12 + 1:02d}", 1) for n in range(48)]
    shown = [row["label"] for row in values(charts.trend(bars, WORDS, size, "light"), 1)]
    assert shown == [bar.label for bar in bars[-BARS_MAX[size] :]]


def test_funnel_says_number_and_share_and_divides_by_nothing_safely():
    spec = charts.funnel((Bar("收集议题", 4), Bar("确定议题", 1)), 4, "wide", "light")
    assert [row["said"] for row in spec["data"]["values"]] == ["4 · 100.0%", "1 · 25.0%"]
    empty = charts.funnel((Bar("收集议题", 0),), 0, "wide", "light")
    assert [row["said"] for row in empty["data"]["values"]] == ["0 · —"]


def test_tiles_of_one_group_stand_below_its_heading_and_none_is_lost():
    bars = (Bar("城关区", 3, group="兰州市"), Bar("秦州区", 2, group="天水市"), Bar("红古区", 1, group="兰州市"))
    nodes = charts.tiles(bars, WORDS, "wide", "light")["data"][0]["values"]
    heads = {node["id"]: node["head"] for node in nodes if "head" in node}
    assert sorted(heads.values()) == ["兰州市", "天水市"]
    assert {node["label"]: heads[node["parent"]] for node in nodes if "n" in node} == {
        bar.label: bar.group for bar in bars
    }


def test_tile_without_topics_is_no_tile():
    nodes = charts.tiles((Bar("城关区", 0), Bar("红古区", 1)), WORDS, "wide", "light")["data"][0]["values"]
    assert [node["label"] for node in nodes if "n" in node] == ["红古区"]
