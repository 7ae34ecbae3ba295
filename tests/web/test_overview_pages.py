"""The dashboard: its figures are those of the API, and each opens to as many topics as it says."""

import io
import re
from collections.abc import Iterator

import openpyxl
import pytest

from node.service.overview import ranked
from node.web.overview import SHADES, opens, shades
from schemas.aggregate import FigureFilter, Figures, Measures, Rates
from tests.edge.office import Office
from tests.web.browser import Browser, problems_of_markup

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.fixture(scope="module", autouse=True)
def topics(office: Office) -> None:
    office.open(title="一区的事", areas=["620102"])
    office.open(title="两区的事", areas=["620102", "620103"])
    office.open(title="没有地方的事", areas=[])


def linked(html: str) -> Iterator[tuple[str, int]]:
    """Every figure of the page that opens to topics, with what it says."""
    for href, said in re.findall(r'<a [^>]*href="(/overview/topics[^"]*)"[^>]*>(.*?)</a>', html, re.DOTALL):
        number = re.search(r"\d+", re.sub(r"<[^>]*>", "", said.split("<strong>")[-1]))
        if number is not None:
            yield href.replace("&amp;", "&"), int(number[0])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_overview_shows_clean_markup_in_both_languages(clerk: Browser, lang: str):
    page = clerk.speak(lang).read("/overview")
    assert problems_of_markup(page) == []
    assert {"zh": "六步进度", "en": "The six steps"}[lang] in page.text


def test_every_count_by_place_step_and_outcome_opens_to_that_many_topics(clerk: Browser):
    html = clerk.get("/overview").text
    named = ("areas", "funnel", "outcomes", "statuses")
    sections = [part for part in html.split("<section") if part.split('"')[3] in named]
    assert len(sections) == len(named)
    found = list(linked("".join(sections)))
    assert {1, 2} <= {count for _, count in found}
    for href, count in found:
        assert clerk.get(href).text.count('href="/topics/') == count, href


def test_overview_with_a_wrong_day_says_so_and_shows_the_rest(clerk: Browser):
    response = clerk.get("/overview?from=yesterday")
    assert response.status_code == 200
    assert "aria-invalid" in response.text


def test_overview_that_ends_before_it_begins_is_refused(clerk: Browser):
    assert clerk.get("/overview?from=2026-05-02&to=2026-05-01").status_code == 422


def test_month_sheet_holds_the_figures_by_child_and_in_all(clerk: Browser, office: Office):
    month = office.get("/aggregate?by=month").json()["rows"][0]["key"]
    response = clerk.get(f"/overview.xlsx?month={month}")
    assert response.headers["content-type"] == XLSX
    book = openpyxl.load_workbook(io.BytesIO(response.content))
    assert book.sheetnames[:4] == ["各下级", "各区划", "结果", "六步"]
    assert [row[2].value for row in book["各下级"].iter_rows(min_row=2)] == [3, 3]


def test_tiles_shade_by_share_of_the_fullest():
    rows = [_figures("a", 8), _figures("b", 4), _figures("c", 0)]
    assert shades(rows) == {"a": SHADES - 1, "b": (SHADES - 1) // 2, "c": 0}
    assert shades([]) == {}


def test_ranking_puts_who_has_nothing_to_divide_by_last():
    rows = [_figures("a", 0), _figures("b", 4, 0.5), _figures("c", 4, 0.75)]
    assert [row.key for row in ranked(rows, "closing_rate")] == ["c", "b", "a"]
    assert ranked(rows, "") == rows


def test_figure_opens_with_all_its_filters_and_one_more():
    assert opens("/api/v1/aggregate/topics?shown=", status="closed") == "/overview/topics?shown=&status=closed"
    assert set(FigureFilter.model_fields) >= {"shown", "status"}


def _figures(key: str, count: int, rate: float | None = None) -> Figures:
    sums = Measures(**dict.fromkeys(Measures.model_fields, 0) | {"count": count})
    rates = Rates(**dict.fromkeys(Rates.model_fields) | {"closing_rate": rate})
    return Figures(key=key, label=key, sums=sums, rates=rates, before=None, topics="")
