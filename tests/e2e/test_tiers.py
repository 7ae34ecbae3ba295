"""Every task of an operator's day in a real Chromium on live nodes, at county, city and province alike."""

import io
from collections.abc import Iterator

import pytest
from openpyxl import load_workbook
from playwright.sync_api import Browser, expect

from node.demo.town import Town
from sync.sealing import identity, parse
from tests.chromium import chromium
from tests.e2e.people import PATIENCE_MS, PHONE, Person, Windows, make_town

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(300)]

PROVINCE, CITY, COUNTY, OTHER = "620000", "620100", "620102", "620103"
TIERS = (COUNTY, CITY, PROVINCE)
OVERRIDE = {"override_reason": "与上下级会商后这样安排"}
WORK = ("列入协商议题。", "现场走访两次。", "召开协商议事会。", "承办单位已进场。")
SHEET = (
    "编号,主题,内容,地区\n{n}-1,导入的第一件,内容一,{code}\n{n}-2,,没有标题,{code}\n{n}-3,导入的第三件,内容三,999999\n"
)
PASSWORD = "一个足够长的口令"


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


def taken_in(person: Person, title: str, *areas: str) -> str:
    """A matter written down at the counter; the window is at its screening then. One like it is no reason to stop."""
    person.open("/intake")
    person.fill(title=title, text="群众当面反映，请核实办理。", areas=" ".join(areas))
    person.page.locator("form[data-draft=intake] .actions button").click()
    alike = person.page.locator("input[name=seen]")
    expect(person.page.locator(".suggestion").or_(alike)).to_be_attached()
    if alike.count():
        person.page.locator("form[data-draft=intake] .actions button").click()
    expect(person.page.locator(".suggestion")).to_be_visible()
    return person.page.url.split("/topics/")[1].split("/")[0]


def await_offer(person: Person, topic: str) -> None:
    """Until the office is asked to accept the topic."""
    for _ in range(40):
        person.open(f"/topics/{topic}")
        if person.page.locator("a[href$='/accept']").count():
            return
        person.page.wait_for_timeout(250)
    raise AssertionError(f"{topic} was not offered to {person.place.code}")


def accepted(person: Person, topic: str) -> None:
    await_offer(person, topic)
    person.do(topic, "accept")


def fits(person: Person) -> None:
    assert person.faults() == [], person.page.url


# ---- at one office --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", TIERS)
def test_office_takes_a_matter_in_screens_it_and_works_it_to_its_end(code: str, windows: Windows):
    clerk = windows.person(code).sign_in()
    topic = taken_in(clerk, "老旧小区加装电梯意见不一", code)
    assert clerk.page.locator(".reasons li").count() >= 1
    expect(clerk.page.locator(".place.named")).to_have_count(1)
    for said in WORK:
        clerk.do(topic, "step", text=said)
    clerk.open(f"/topics/{topic}/attend")
    clerk.fill(headcount="26", form="专题协商会")
    clerk.page.locator("button[value=look]").click()
    clerk.open(f"/topics/{topic}/remark")
    clerk.fill(text="请承办单位按期完成。")
    clerk.page.locator("button[value=look]").click()
    clerk.do(topic, "result", outcome="A", text="电梯开工。")
    clerk.do(topic, "step", text="已公示。")
    clerk.do(topic, "close")
    page = clerk.open(f"/topics/{topic}")
    assert page.locator(".steps .done").count() == 6
    expect(page.locator("#history")).to_contain_text("26")
    clerk.do(topic, "reopen", reason="回访发现又停工了。")
    expect(clerk.open(f"/topics/{topic}").locator("a[href$='/step']")).to_be_visible()
    assert (clerk.strayed, clerk.said) == ([], [])


@pytest.mark.parametrize("code", TIERS)
def test_office_looks_at_a_sheet_first_then_imports_it_and_reads_what_is_wrong(code: str, windows: Windows):
    clerk = windows.person(code).sign_in()
    file = {"name": "留言.csv", "mimeType": "text/csv", "buffer": SHEET.format(n=code, code=code).encode()}
    clerk.open("/import")
    for stage, created in (("look", "1"), ("do", "1"), ("do", "0")):
        clerk.page.locator("#file").set_input_files(file)
        clerk.page.locator(f"button[value={stage}]").click()
        told = clerk.page.locator("main [role=status] li").first
        expect(told).to_contain_text(created)
        rows = clerk.page.locator("tbody tr td.number").all_inner_texts()
        assert rows == ["3", "4"], stage
    fits(clerk)


@pytest.mark.parametrize("code", TIERS)
def test_office_finds_filters_exports_and_prints(code: str, windows: Windows):
    clerk = windows.person(code, size=PHONE).sign_in()
    taken_in(clerk, f"名单里找得到{code}", code)
    clerk.open("/topics")
    clerk.fill(q=f"找得到{code}")
    clerk.page.locator("main form.filters button").first.click()
    expect(clerk.page.locator("#topics tbody tr")).to_have_count(1)
    fits(clerk)
    clerk.open("/topics?status=closed&q=名单里")
    expect(clerk.page.locator("#topics tbody tr")).to_have_count(0)
    clerk.open(f"/topics?custodian={code}&q=名单里")
    with clerk.page.expect_download() as started:
        clerk.page.locator("a[href^='/topics.xlsx']").click()
    sheet = load_workbook(io.BytesIO(started.value.path().read_bytes())).active
    assert any(f"名单里找得到{code}" in row for row in sheet.iter_rows(values_only=True))
    clerk.page.emulate_media(media="print")
    expect(clerk.page.locator("nav.menu")).to_be_hidden()
    expect(clerk.page.locator("#topics")).to_be_visible()


@pytest.mark.parametrize("code", TIERS)
def test_office_sees_its_links_its_health_and_what_it_signed(code: str, windows: Windows):
    clerk = windows.person(code).sign_in()
    topic = taken_in(clerk, "看得见签名的议题", code)
    clerk.open("/links")
    expect(clerk.page.locator("#board section")).to_have_count({PROVINCE: 1, CITY: 3, COUNTY: 1}[code])
    clerk.page.locator("#board form[action$='/exchange'] button").first.click()
    expect(clerk.page.locator("main [role=status]")).to_be_visible()
    expect(clerk.page.locator("#health")).to_be_visible()
    page = clerk.open(f"/topics/{topic}")
    expect(page.locator("#history")).to_contain_text("签名有效")
    first = page.locator("#history details").last
    first.locator("summary").click()
    with page.expect_download() as started:
        first.locator("a[href*='/statements/']").click()
    signed = started.value.path().read_bytes()
    assert identity(parse(signed).payload) == topic


@pytest.mark.parametrize("code", TIERS)
def test_admin_keeps_people_units_and_trust_at_every_tier(code: str, windows: Windows):
    admin = windows.person(code, size=PHONE).sign_in("admin").speak_english()
    admin.open("/people")
    admin.fill(name="赵统筹", password=PASSWORD)
    admin.page.locator("input[value=coordinator]").check()
    admin.page.locator("form[action='/people'] button").click()
    expect(admin.page.locator("main [role=status]")).to_contain_text("赵统筹")
    admin.open("/units")
    admin.fill(kind="station", name="委员工作站", code=code)
    admin.page.locator("form[action='/units'] button").click()
    expect(admin.page.locator("section").last).to_contain_text("委员工作站")
    for path in ("/trust", "/posters", "/overview", "/links", "/sessions"):
        admin.open(path)
        fits(admin)
    assert (admin.strayed, admin.said) == ([], [])


# ---- over three tiers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "lang"), [(None, "zh"), (PHONE, "en")], ids=["desk", "phone"])
def test_matter_is_delegated_split_returned_reported_and_closed(
    size: dict[str, int] | None, lang: str, windows: Windows
):
    offices = [windows.person(code, size=size).sign_in() for code in (PROVINCE, CITY, COUNTY, OTHER)]
    if lang == "en":
        for person in offices:
            person.speak_english()
    province, city, lead, assist = offices
    topic = taken_in(province, f"全省统一随迁子女入学材料 {lang}", PROVINCE)
    province.do(topic, "step", text=WORK[0])
    looked_at(province, topic, "delegate", to=CITY, instruction="请牵头落实。", due_at="2030-01-15", **OVERRIDE)
    accepted(city, topic)
    fits(city)
    children = divided(city, topic)
    accepted(lead, children[0])
    for said in WORK:
        lead.do(children[0], "step", text=said, **(OVERRIDE if said == WORK[0] else {}))
    lead.do(children[0], "result", outcome="A", text="窗口已开通。")
    lead.do(children[0], "report", text="任务完成。")
    accepted(assist, children[1])
    looked_at(assist, children[1], "return", reason="不属本区职责。")
    for child in children:
        accepted(city, child)
    city.do(children[0], "step", text="已反馈。")
    city.do(children[0], "close")
    looked_at(city, topic, "detach", topic=children[1], reason="由市里直接办理。")
    city.do(topic, "result", outcome="B", text="已列入计划。")
    looked_at(city, topic, "report", text="请审定。")
    accepted(province, topic)
    for said in (*WORK[1:], "已向社会公布。"):
        province.do(topic, "step", text=said)
    province.do(topic, "close")
    page = province.open(f"/topics/{topic}")
    assert page.locator("svg.trail circle").count() >= 3
    fits(province)
    for person in offices:
        assert (person.strayed, person.said) == ([], [])


def divided(city: Person, topic: str) -> list[str]:
    """The topics that the city makes of it for its two counties, the leading one first."""
    parts = {}
    for n, (code, role) in enumerate(((COUNTY, "lead"), (OTHER, "assist"))):
        parts |= {f"to-{n}": code, f"role-{n}": role, f"title-{n}": f"分办 {n}", f"instruction-{n}": "两周内报结果。"}
    looked_at(city, topic, "split", **parts)
    links = city.open(f"/topics/{topic}").locator("#related a")
    return [str(links.nth(n).get_attribute("href")).rpartition("/")[2] for n in range(2)]


def looked_at(person: Person, subject: str, verb: str, **filled: str) -> None:
    """As `Person.do`; on a telephone with a close look at the form and at the preview on the way."""
    narrow = person.page.viewport_size == PHONE
    person.open(f"/topics/{subject}/{verb}")
    if narrow:
        fits(person)
    person.fill(**filled)
    person.page.locator("button[value=look]").click()
    expect(person.page.locator("button[value=do]")).to_be_visible()
    if narrow:
        fits(person)
    person.page.locator("button[value=do]").click()
    expect(person.page.locator("main [role=status]")).to_be_visible()


@pytest.mark.parametrize(("below", "above"), [(COUNTY, CITY), (CITY, PROVINCE)])
def test_matter_offered_up_is_declined_with_a_reason_and_another_is_taken_back(
    below: str, above: str, windows: Windows
):
    lower, upper = windows.person(below, size=PHONE).sign_in(), windows.person(above, size=PHONE).sign_in()
    reason = {"reason": "需上级统筹", "tried": "已协调三次", **OVERRIDE}
    topic = taken_in(lower, "希望上级主持协调", below)
    looked_at(lower, topic, "escalate", **reason)
    await_offer(upper, topic)
    looked_at(upper, topic, "decline", code="not_our_power", reason="按权责清单由本级办理")
    page = lower.open(f"/topics/{topic}")
    expect(page.locator("#remarks")).to_contain_text("按权责清单由本级办理", timeout=PATIENCE_MS)
    expect(page.locator("a[href$='/step']")).to_be_visible(timeout=PATIENCE_MS)
    other = taken_in(lower, "上交后又自行解决", below)
    lower.do(other, "escalate", **reason)
    looked_at(lower, other, "recall", reason="已自行协调解决。")
    page = lower.open(f"/topics/{other}")
    expect(page.locator("a[href$='/step']")).to_be_visible(timeout=PATIENCE_MS)


# ---- by keyboard alone ----------------------------------------------------------------------------------------------

TABS_MAX = 150


def reach(person: Person, selector: str) -> None:
    """Tab forward until this has the focus, as somebody does who has no mouse."""
    for _ in range(TABS_MAX):
        if person.page.evaluate("wanted => !!document.activeElement?.matches(wanted)", selector):
            return
        person.page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by keyboard at {person.page.url}")


def typed(person: Person, **filled: str) -> None:
    for name, text in filled.items():
        expect(person.page.locator(f"main [name='{name}']").last).to_be_visible()
        reach(person, f"main [name='{name}']")
        person.page.keyboard.insert_text(text)


def pressed(person: Person, selector: str) -> None:
    expect(person.page.locator(selector).first).to_be_visible()
    reach(person, selector)
    person.page.keyboard.press("Enter")


def looked_and_done(person: Person) -> None:
    pressed(person, "main button[value=look]")
    expect(person.page.locator("button[value=do]")).to_be_visible()
    pressed(person, "main button[value=do]")
    expect(person.page.locator("main [role=status]")).to_be_visible()


@pytest.mark.parametrize(
    ("size", "title"), [(None, "公交线路延伸到新区"), (PHONE, "河堤夜间没有照明")], ids=["desk", "phone"]
)
def test_matter_goes_up_two_tiers_and_down_again_by_keyboard_alone(
    size: dict[str, int] | None, title: str, windows: Windows
):
    county, city, province = (windows.person(code, size=size).sign_in() for code in TIERS)
    county.open("/intake")
    typed(county, title=title, text="两区居民都有反映。", areas="城关区 七里河区")
    pressed(county, "form[data-draft=intake] .actions button")
    expect(county.page.locator(".suggestion")).to_be_visible()
    topic = county.page.url.split("/topics/")[1].split("/")[0]
    pressed(county, f"main a[href='/topics/{topic}/escalate']")
    typed(county, reason="涉及两个区", tried="已协调三次")
    looked_and_done(county)
    for lower, upper in ((city, province), (province, None)):
        await_offer(lower, topic)
        pressed(lower, "main a[href$='/accept']")
        looked_and_done(lower)
        if upper is not None:
            lower.open(f"/topics/{topic}/escalate")
            typed(lower, reason="需全省统一", tried="已会商", **OVERRIDE)
            looked_and_done(lower)
    province.open(f"/topics/{topic}/delegate")
    reach(province, "main select[name=to]")
    province.page.keyboard.press("ArrowDown")
    typed(province, instruction="请牵头办理。", **OVERRIDE)
    looked_and_done(province)
    expect(province.open(f"/topics/{topic}").locator(".holder")).to_contain_text("兰州市政协", timeout=PATIENCE_MS)
    assert [person.said for person in (county, city, province)] == [[], [], []]
