"""The dashboard: its figures are those of the API, and each opens to as many topics as it says."""

import io
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import openpyxl
import pytest
from pypdf import PdfReader

from node.domain.rollup import month_before
from node.service.overview import ranked
from node.web.overview import SHADES, opens, shades
from node.web.words import LANGUAGES
from schemas.aggregate import FigureFilter, Figures, Measures, Rates
from tests.edge.office import Office, problem
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


@pytest.mark.parametrize("form", ["xlsx", "pdf"])
@pytest.mark.parametrize("month", ["October", "2026-13", "2026-1", "'"])
def test_sheet_of_a_month_that_is_none_is_refused(clerk: Browser, form: str, month: str):
    assert clerk.get(f"/overview.{form}?month={month}").status_code == 422
    told = clerk.get(f"/overview.{form}?month={month}", accept="*/*")
    assert problem(told) == "invalid"
    assert [item["field"] for item in told.json()["errors"]] == ["month"]


def test_printed_sheet_says_the_numbers_of_the_api_with_its_pictures(clerk: Browser, office: Office):
    month = office.get("/aggregate?by=month").json()["rows"][0]["key"]
    response = clerk.get(f"/overview.pdf?month={month}")
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"] == f'attachment; filename="overview-{month}.pdf"'
    read = PdfReader(io.BytesIO(response.content))
    assert read.metadata is not None
    assert read.metadata.title == f"协商议题月报 {month}"
    catalogue: Any = read.trailer["/Root"]
    assert catalogue["/MarkInfo"]["/Marked"], "it can be read aloud"
    lines = [line.split() for page in read.pages for line in page.extract_text().splitlines()]
    total = office.get(f"/aggregate/figures?by=area&month={month}").json()
    for row in [*total["rows"], total["total"]]:
        sums = [str(row["sums"][name]) for name in ("count", "open", "overdue", "closed", "participations")]
        assert any(line[1:6] == sums for line in lines if line[:1] == [row["label"]]), (row["label"], lines)
    said = "".join(word for line in lines for word in line)
    for title in ("各地议题", "各下级议题", "逐月提出的议题", "六步进度", "差异"):
        assert title in said


def test_page_offers_the_last_month_as_pdf_and_workbook(clerk: Browser, office: Office):
    form = clerk.read("/overview").form("/overview.pdf")
    assert form.fields["month"] == [month_before(office.ctx.clock.now())]


def test_every_figure_of_reports_and_ratios_opens(clerk: Browser):
    html = clerk.get("/overview").text
    for section in re.findall(
        r'<section class="card" aria-labelledby="(?:children|reported)">.*?</section>', html, re.S
    ):
        cells = re.findall(r'<td class="number">(.*?)</td>', section, re.S)
        assert cells
        for cell in cells:
            link = re.search(r'href="([^"]+)"', cell)
            assert link or cell.strip().isdigit(), cell  # the rank is no figure
            if link:
                assert clerk.get(link[1].replace("&amp;", "&")).status_code == 200, link[1]


def test_filter_of_a_word_nobody_knows_is_told_as_it_is(clerk: Browser):
    assert "种类 <b>奇怪</b>" in clerk.read("/overview/topics?kind=<b>奇怪</b>").text


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", ["topics", "why"])
def test_every_filter_of_a_figure_is_told_in_words(clerk: Browser, lang: str, path: str):
    nodes = dict.fromkeys(("custodian", "origin", "child"), "620100")
    words = {"tier": "city", "kind": "matter", "status": "active", "step": "collect", "overdue": "false"}
    free = {"category": "", "category_is": "", "source": "热线", "outcome": "", "shown": "", "area": "620102"}
    asked = {"from": "2026-01-01", "to": "2099-01-01", "month": "2026-11", **nodes, **words, **free}
    assert set(asked) == {field.alias or name for name, field in FigureFilter.model_fields.items()}
    page = clerk.speak(lang).read(f"/overview/{path}?{urlencode(asked)}")
    tags = [attrs for tag, attrs in page.elements if attrs.get("class") == "tag"]
    assert len(tags) == len(asked)
    assert {"zh": "承办节点 620100政协", "en": "Held by 620100政协"}[lang] in page.text
    assert problems_of_markup(page) == []


def test_why_names_whose_topics_a_number_counts_and_adds_up(clerk: Browser, office: Office):
    view = office.get("/aggregate/figures?by=custodian").json()
    page = clerk.read("/overview/why")
    assert f"共 {view['total']['sums']['count']} 件议题" in page.text
    for row in view["rows"]:
        assert re.search(rf"{row['label']}\s*{row['sums']['count']}\b", page.text), row["label"]
    assert problems_of_markup(page) == []


def test_nodes_of_a_branch_are_listed_with_what_they_reported(clerk: Browser, office: Office):
    here = office.get("/aggregate/nodes").json()["items"]
    assert all(node["name"] in clerk.read("/overview/nodes").text for node in here)
    assert here[0]["name"] in clerk.read(f"/overview/nodes?child={here[0]['code']}").text
    assert "没有这样的节点" in clerk.read("/overview/nodes?child=629999").text
    assert clerk.get("/overview/nodes?child=nobody").status_code == 422


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
