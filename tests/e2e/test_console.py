"""The console in a real Chromium on live nodes: the work itself, live, by keyboard, without scripts, off the line."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from node.demo.town import Place, Town
from tests.chromium import chromium
from tests.e2e.people import PATIENCE_MS, PHONE, Person, Windows, make_town

pytestmark = [pytest.mark.slow, pytest.mark.process]

PROVINCE, CITY, COUNTY, OTHER = "620000", "620100", "620102", "620103"
MATTER = {"title": "雁滩黄河桥头公交站牌被遮挡", "text": "站牌被树枝挡住，老人看不清。"}
REASON = {"reason": "涉及两个区", "tried": "已协调三次", "override_reason": "群众要求"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = make_town(tmp_path_factory.mktemp("town") / "town")
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def windows(browser: Browser, town: Town) -> Iterator[Windows]:
    made = Windows(browser, town)
    yield made
    made.close()


def topic_of(town: Town, code: str, **fields: Any) -> str:
    """A topic opened at a node over its API."""
    office = next(office for office in town.offices if office.code == code)
    found: str = office.post("/api/v1/topics", {**MATTER, "areas": [code], **fields})["id"]
    return found


def test_matter_goes_up_and_home_again_in_three_windows_that_renew_themselves(windows: Windows, town: Town):
    county, city = windows.person(COUNTY).sign_in(), windows.person(CITY).sign_in()
    county.open("/intake")
    county.fill(title="两区交界处路灯不亮", text="夜里摸黑走路。", areas="城关区 七里河区")
    county.page.get_by_role("button", name="登记", exact=True).click()
    expect(county.page.locator(".suggestion .big")).to_contain_text("市级")
    topic = county.page.url.split("/topics/")[1].split("/")[0]

    city.open("/")
    county.do(topic, "escalate", **{**REASON, "override_reason": ""})
    expect(city.page.locator("#offered")).to_contain_text("两区交界处路灯不亮", timeout=PATIENCE_MS)

    county.open(f"/topics/{topic}")
    city.do(topic, "accept")
    expect(county.page.locator(".holder .who").first).to_contain_text("兰州市政协", timeout=PATIENCE_MS)

    city.do(topic, "step", text="主席会议确定为协商议题。")
    city.do(topic, "delegate", to=OTHER, instruction="请牵头修复。", override_reason="路灯归七里河区")
    other = windows.person(OTHER).sign_in()
    other.open("/")
    expect(other.page.locator("#offered")).to_contain_text("两区交界处路灯不亮", timeout=PATIENCE_MS)
    other.do(topic, "accept")
    for said in ("现场查看", "邀请住户协商", "更换灯具"):
        other.do(topic, "step", text=said)
    other.do(topic, "result", outcome="A", text="已全部修好。")
    other.do(topic, "report", text="请验收。")
    for person in (city, county):
        person.open(f"/topics/{topic}")
        expect(person.page.locator("a[href$='/accept']")).to_be_visible(timeout=PATIENCE_MS)
        person.do(topic, "accept")
        if person is city:
            person.do(topic, "report", text="同意。")
    county.do(topic, "step", text="已当面告知反映人。")
    county.do(topic, "close")
    assert county.page.locator("svg.trail circle").count() == 5
    assert county.page.locator(".steps .done").count() == 6
    for person in (county, city, other):
        assert (person.strayed, person.said) == ([], [])


def test_page_that_renews_itself_does_not_take_the_message_for_the_next_page(windows: Windows, town: Town):
    person = windows.person(COUNTY).sign_in()
    page = person.open("/topics")
    with page.expect_event("request", lambda asked: asked.url == page.url and asked.resource_type == "fetch") as seen:
        topic_of(town, COUNTY, title="别处刚登记的议题")
    expect(page.locator("#topics")).to_contain_text("别处刚登记的议题")
    assert seen.value.headers.get("hx-request") == "true"


def test_every_page_lets_everyone_in_and_fits_its_window(windows: Windows, town: Town):
    topic = topic_of(town, COUNTY, submitter={"name": "张三"})
    pages = ["/", "/topics", "/topics?q=路灯", "/intake", "/import", "/links", "/nothing", f"/topics/{topic}"]
    verbs = ["screening", "escalate", "step", "note", "amend", "result", "remark", "attend"]
    pages += [f"/topics/{topic}/{verb}" for verb in verbs]
    faults: dict[str, list[str]] = {}
    for size in (None, PHONE):
        person = windows.person(COUNTY, size=size)
        person.open("/sign-in")
        faults["/sign-in"] = person.faults()
        person.sign_in()
        for lang in ("zh", "en"):
            if lang == "en":
                person.speak_english()
            for path in pages:
                person.open(path)
                faults[f"{path} {lang} {size}"] = person.faults()
            person.open(f"/topics/{topic}/escalate")
            person.fill(**REASON)
            person.page.locator("button[value=look]").click()
            faults[f"preview {lang} {size}"] = person.faults()
    assert {page: found for page, found in faults.items() if found} == {}


def test_pages_of_the_city_let_everyone_in(windows: Windows, town: Town):
    topic = topic_of(town, CITY)
    person = windows.person(CITY, size=PHONE).sign_in()
    for path in ("/", f"/topics/{topic}/delegate", f"/topics/{topic}/split", f"/topics/{topic}", "/links"):
        person.open(path)
        assert person.faults() == [], path


def test_overview_lets_everyone_in_at_city_and_province_with_its_pictures(windows: Windows, town: Town):
    topic_of(town, COUNTY)
    topic_of(town, CITY)
    for code, size in ((CITY, PHONE), (PROVINCE, PHONE), (PROVINCE, None)):
        person = windows.person(code, size=size).sign_in()
        person.open("/overview")
        assert person.faults() == [], (code, size)
        widths = person.page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert len(widths) == 4
        assert set(widths) == {330 if size else 520}
        assert all(person.page.evaluate("[...document.images].map(image => image.alt.length > 8)"))
        assert (person.strayed, person.said) == ([], [])


def test_pages_behind_a_figure_let_everyone_in(windows: Windows, town: Town):
    topic_of(town, COUNTY)
    person = windows.person(PROVINCE, size=PHONE).sign_in()
    for path in ("/overview/topics", "/overview/why", "/overview/nodes", "/overview/differences"):
        person.open(path)
        assert person.faults() == [], path


def test_open_overview_of_the_province_tells_of_a_topic_in_a_county(windows: Windows, town: Town):
    person = windows.person(PROVINCE).sign_in()
    person.open("/overview")
    whole = person.page.locator(".counts strong").first
    before, picture = int(whole.inner_text()), person.page.locator("#overview img").first.get_attribute("src")
    topic_of(town, COUNTY, title="省里当场看到的议题")
    expect(whole).to_have_text(str(before + 1), timeout=PATIENCE_MS)
    shown = person.page.locator("#overview img").first
    assert shown.get_attribute("src") != picture
    expect(shown).to_have_js_property("naturalWidth", 520)
    assert (person.strayed, person.said) == ([], [])


WHOLE = ("/overview", "/overview/topics", "/trust", "/links", "/drafts", "/posters", "/account")
LONG = "关于" + "背街小巷积水与路灯不亮" * 12 + "Attachment_Without_Any_Break_2026_final.pdf"


def test_pages_of_the_whole_and_of_trust_let_everyone_in(windows: Windows, town: Town):
    """With what they show in bad days alone: a stopped link, a record not taken, a claim that waits, an orphan."""
    topic = topic_of(town, CITY, title=LONG)
    faults: dict[str, list[str]] = {}
    with bad_days(next(place for place in town.places if place.code == CITY), topic):
        for size, lang, role in ((None, "zh", "clerk"), (PHONE, "zh", "admin"), (PHONE, "en", "clerk")):
            person = windows.person(CITY, size=size).sign_in(role)
            if lang == "en":
                person.speak_english()
            for path in (*WHOLE, f"/topics/{topic}"):
                person.open(path)
                faults[f"{path} {role} {lang} {size}"] = person.faults()
    assert {page: found for page, found in faults.items() if found} == {}


@contextmanager
def bad_days(place: Place, topic: str) -> Iterator[None]:
    """What goes wrong once in years, put straight into the tables of a running node, and taken out again."""
    with closing(sqlite3.connect(place.data / "node.db", timeout=30, isolation_level=None)) as conn:
        head = conn.execute("SELECT head FROM topics WHERE id = ?", (topic,)).fetchone()[0]
        row = {"topic": topic, "head": head, "peer": OTHER, "me": CITY, "topics": json.dumps([topic])}
        for change in WRONG:
            conn.execute(change, row)
        try:
            yield
        finally:
            for change in RIGHT:
                conn.execute(change, row)


WRONG = (
    "UPDATE links SET stopped = 'clone' WHERE peer = :peer",
    "INSERT INTO orphans (id, topic, seq, prev, term, kind, author) VALUES (:head, :topic, 1, :head, '', 'noted', :me)",
    "INSERT INTO claims (id, node, topics, reason, asked_by, state, at) VALUES"
    " ('aa', :peer, :topics, '机房失火，三天内不能恢复', '张三', 'needs_approval', '2026-11-01 00:00:00.000000')",
    "INSERT INTO parked (peer, inc, stream_seq, raw, statement, topic, disposition, code, state, relayed, at) VALUES"
    " (:peer, 'none', 1, x'00', :head, :topic, 'refused', 'fork', 'refused', 0, '2026-11-01 00:00:00.000000')",
)
RIGHT = (
    "UPDATE links SET stopped = NULL WHERE peer = :peer",
    "DELETE FROM orphans WHERE id = :head",
    "DELETE FROM claims WHERE id = 'aa'",
    "DELETE FROM parked WHERE inc = 'none'",
)


def test_work_is_done_without_scripts(windows: Windows, town: Town):
    person = windows.person(COUNTY, scripts=False).sign_in()
    person.open("/intake")
    person.fill(title="没有脚本也能登记", text="旧电脑。", areas="城关区")
    person.page.get_by_role("button", name="登记", exact=True).click()
    topic = person.page.url.split("/topics/")[1].split("/")[0]
    person.do(topic, "step", text="列入本区工作。")
    person.open(f"/topics/{topic}")
    assert person.page.locator(".steps .done").count() == 2


def test_work_is_done_by_keyboard_alone(windows: Windows, town: Town):
    topic_of(town, COUNTY, title="键盘找得到的议题")
    person = windows.person(COUNTY).sign_in()
    keys = person.page.keyboard
    person.open("/")
    keys.press("Tab")
    assert person.page.evaluate("document.activeElement.className") == "skip"
    keys.press("Enter")
    assert person.page.evaluate("document.activeElement.id") == "main"
    keys.press("/")
    keys.type("键盘找得到")
    keys.press("Enter")
    link = person.page.get_by_role("link", name="键盘找得到的议题")
    expect(link).to_be_visible()
    link.focus()
    keys.press("Enter")
    note = person.page.locator("a[href$='/note']")
    expect(note).to_be_visible()
    note.focus()
    keys.press("Enter")
    person.page.locator("#text").focus()
    keys.type("只用键盘写的")
    keys.press("Tab")
    keys.press("Enter")
    expect(person.page.locator("#history")).to_contain_text("只用键盘写的")


def test_draft_outlives_a_lost_connection_and_holds_nothing_private(windows: Windows, town: Town):
    person = windows.person(COUNTY).sign_in()
    person.open("/intake")
    person.fill(title="断线时写的标题", text="断线时写的内容", name="张三", phone="13900000000")
    expect(person.page.locator("form[data-kept]")).to_be_visible()
    kept = person.page.evaluate("JSON.stringify({...localStorage})")
    assert "断线时写的内容" in kept
    assert "张三" not in kept
    assert "13900000000" not in kept
    person.context.set_offline(True)
    person.page.get_by_role("button", name="登记", exact=True).click()
    person.page.wait_for_url("chrome-error://**")
    person.context.set_offline(False)
    person.open("/intake")
    expect(person.page.locator("#title")).to_have_value("断线时写的标题")
    expect(person.page.locator("[data-draft-note]")).to_be_visible()
    person.page.get_by_role("button", name="登记", exact=True).click()
    expect(person.page.locator(".suggestion")).to_be_visible()
    person.open("/intake")
    expect(person.page.locator("#title")).to_have_value("")


def test_places_and_categories_are_chosen_from_what_is_found(windows: Windows, town: Town):
    person = windows.person(COUNTY).sign_in()
    person.open("/intake")
    person.fill(title="选地方", text="选类别")
    person.page.locator("#areas-text").press_sequentially("七里河")
    person.page.get_by_role("button", name="七里河区").click()
    person.page.get_by_text("从区划树中选").click()
    person.page.locator("#areas-tree").get_by_role("button", name="城关区").click()
    assert person.page.locator("[data-chosen] input:checked").count() == 2
    person.page.locator("#category").press_sequentially("物业")
    person.page.locator("#category-found button").first.click()
    assert "物业" in person.page.locator("#category").input_value()
    person.page.get_by_role("button", name="登记", exact=True).click()
    expect(person.page.locator(".place.named")).to_have_count(2)


def test_signed_out_window_keeps_no_draft(windows: Windows, town: Town):
    person: Person = windows.person(COUNTY).sign_in()
    person.open("/intake")
    person.fill(title="退出以后不留")
    expect(person.page.locator("form[data-kept]")).to_be_visible()
    person.page.locator("form[data-sign-out] button").click()
    expect(person.page.locator("#username")).to_be_visible()
    assert person.page.evaluate("Object.keys(localStorage).length") == 0
