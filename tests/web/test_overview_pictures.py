"""The pictures of the overview: what they draw is what the API says, in every size, theme and language."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from node.service.press import press
from tests.edge.office import Office
from tests.web.browser import Browser

NAMES = ("areas", "children", "months", "funnel")


@pytest.fixture(scope="module", autouse=True)
def topics(office: Office) -> None:
    office.open(title="一区的事", areas=["620102"])
    office.open(title="两区的事", areas=["620102", "620103"])
    office.open(title="没有地方的事", areas=[])


def drawing(browser: Browser, url: str) -> ElementTree.Element:
    response = browser.get(url)
    assert response.status_code == 200, url
    assert response.headers["content-type"] == "image/svg+xml"
    return ElementTree.fromstring(response.content)


def marks(root: ElementTree.Element) -> list[str]:
    """What each bar or tile says of itself to whoever has the drawing read out."""
    symbols = [item.attrib for item in root.iter() if item.attrib.get("role") == "graphics-symbol"]
    return [item["aria-label"] for item in symbols if "aria-label" in item]


def addresses(html: str) -> list[str]:
    found = re.findall(r'(?:src|srcset)="(/overview/chart/[^"]+)"', html)
    return [url.replace("&amp;", "&") for url in found]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_picture_the_page_names_is_drawn_well_formed(clerk: Browser, lang: str):
    html = clerk.speak(lang).get("/overview").text
    named = addresses(html)
    assert Counter(re.search(r"chart/(\w+)\.svg", url)[1] for url in named) == dict.fromkeys(NAMES, 4)
    for url in named:
        root = drawing(clerk, url)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not [item for item in root.iter() if item.tag.endswith(("script", "image", "foreignObject"))]
        assert clerk.get(url).headers["cache-control"].startswith("private")
    assert len(re.findall(r'<img class="chart"[^>]* alt="[^"]{8,}"', html)) == len(NAMES)


def test_tiles_say_the_numbers_of_the_api(clerk: Browser, office: Office):
    rows = office.get("/aggregate/figures?by=area").json()["rows"]
    said = marks(drawing(clerk, "/overview/chart/areas.svg"))
    named = [({"": "未注明地方"}.get(row["key"], row["label"]), row["sums"]) for row in rows]
    expected = [f"{name}：议题 {sums['count']}，逾期 {sums['overdue']}" for name, sums in named]
    assert sorted(said) == sorted(expected)


@pytest.mark.parametrize(("name", "by"), [("children", "child"), ("months", "month")])
def test_bars_add_up_to_the_counts_of_the_api(clerk: Browser, office: Office, name: str, by: str):
    rows = office.get(f"/aggregate/figures?by={by}").json()["rows"]
    root = drawing(clerk, f"/overview/chart/{name}.svg")
    drawn: Counter[str] = Counter()
    for said in marks(root):
        found = re.search(r"\bn: (\d+)", said)
        label = re.search(r"label: ([^;]+)", said)
        if found and label and "part:" in said:
            drawn[label[1]] += int(found[1])
    assert drawn == {row["label"].removesuffix("政协"): row["sums"]["count"] for row in rows}
    texts = [item.text for item in root.iter() if item.tag.endswith("}text")]
    assert {str(row["sums"]["count"]) for row in rows} <= set(texts)


def test_funnel_shows_every_step_with_the_number_of_the_api(clerk: Browser, office: Office):
    view = office.get("/aggregate/funnel").json()
    texts = [item.text for item in drawing(clerk, "/overview/chart/funnel.svg").iter() if item.tag.endswith("}text")]
    for step in view["steps"][:6]:
        assert step["label"] in texts
        assert f"{step['count']} · {step['count'] / view['total'] * 100:.1f}%" in texts


def test_ranking_by_a_ratio_shows_the_ratio(clerk: Browser, office: Office):
    rate = office.get("/aggregate/figures?by=child").json()["rows"][0]["rates"]["closing_rate"]
    texts = [
        item.text
        for item in drawing(clerk, "/overview/chart/children.svg?rank=closing_rate").iter()
        if item.tag.endswith("}text")
    ]
    assert f"{rate * 100:.1f}%" in texts


def test_picture_without_the_page_is_counted_for_its_own_query(clerk: Browser):
    assert marks(drawing(clerk, "/overview/chart/areas.svg?from=2100-01-01")) == []
    assert clerk.get("/overview/chart/areas.svg?from=2100-01-01").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/overview/chart/other.svg", 404),
        ("/overview/chart/areas.svg?size=huge", 422),
        ("/overview/chart/areas.svg?theme=pink", 422),
        ("/overview/chart/areas.svg?from=yesterday", 422),
    ],
)
def test_picture_that_cannot_be_is_refused(clerk: Browser, url: str, status: int):
    assert clerk.get(url).status_code == status


def test_picture_is_for_those_signed_in_alone(guest: Browser):
    assert guest.get("/overview/chart/areas.svg").status_code == 303


def test_new_topic_gives_its_picture_another_address(clerk: Browser, office: Office):
    before = addresses(clerk.get("/overview").text)
    assert addresses(clerk.get("/overview").text) == before
    office.open(title="又一件", areas=["620102"])
    after = addresses(clerk.get("/overview").text)
    assert not set(before) & {url for url in after if "areas" in url or "months" in url}


def test_libraries_that_draw_are_in_no_process_of_the_node(clerk: Browser):
    drawing(clerk, "/overview/chart/areas.svg?from=2001-01-01")
    ours = {Path(item.path).name for item in psutil.Process().memory_maps()}
    theirs = {Path(item.path).name for item in psutil.Process(press().pid).memory_maps()}
    assert not {name for name in ours if name.startswith(("vl_convert", "_typst"))}
    assert {name for name in theirs if name.startswith("vl_convert")}
