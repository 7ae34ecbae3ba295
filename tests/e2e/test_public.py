"""The citizen's pages and the administration in a real Chromium on live nodes: a matter from the printed code to the
rated answer across all three tiers, on a telephone and without a script; and who keeps people, units and the audit."""

import io
from collections.abc import Iterator

import pyotp
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from node.clock import Clock
from node.config import Settings
from node.demo.town import Town
from node.service.identity import load
from node.service.users import add_user
from tests.chromium import chromium
from tests.e2e.people import PATIENCE_MS, PHONE, Person, Windows, make_town

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(300)]

PROVINCE, CITY, COUNTY = "620000", "620100", "620102"
PAGES = ("/people", "/people/1", "/sessions", "/units", "/handovers", "/handovers/1", "/posts/1", "/account")
PASSWORD = "一个足够长的口令"
REASON = {"reason": "需市里统筹", "tried": "已与供电所协调", "override_reason": "群众要求"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = make_town(tmp_path_factory.mktemp("town") / "town")
    try:
        county = next(place for place in made.places if place.code == COUNTY)
        ctx = load(Settings(data=county.data), Clock())
        add_user(ctx, "auditor", PASSWORD, ["auditor"])
        ctx.engine.dispose()
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


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (1200, 900), "darkorange").save(out, "JPEG")
    return out.getvalue()


def code_of_office(windows: Windows) -> str:
    """The address a printed code of the county leads to."""
    admin = windows.person(COUNTY).sign_in("admin")
    admin.open("/posters")
    make = admin.page.get_by_role("button", name="为本单位制作")
    if make.count():
        make.click()
    assert admin.faults() == []
    return admin.page.locator(".sheet .code").first.inner_text()


def raised(citizen: Person, url: str, text: str) -> str:
    """Raise a matter by a printed code; gives the path of its page."""
    citizen.page.goto(url)
    assert citizen.faults() == []
    citizen.fill(text=text, place="永昌路 12 号", name="张三", phone="13893000000")
    citizen.page.locator("#photo1").set_input_files({"name": "x.jpg", "mimeType": "image/jpeg", "buffer": picture()})
    citizen.page.locator("main button").click()
    expect(citizen.page.locator("main [role=status]")).to_contain_text("已收到")
    return citizen.page.url.removeprefix(citizen.place.url).partition("?")[0]


def stage(citizen: Person, path: str) -> Page:
    page = citizen.open(path)
    assert citizen.faults() == []
    return page


def test_matter_goes_from_the_printed_code_over_three_tiers_to_the_rated_answer(windows: Windows, town: Town):
    url = code_of_office(windows)
    plain = windows.person(COUNTY, scripts=False, size=PHONE)
    citizen = windows.person(COUNTY, size=PHONE)
    path = raised(citizen, url, "永昌路整条街路灯不亮\n已经一个月了。")
    expect(stage(citizen, path).locator(".holder .who")).to_have_text("已收到，等待受理")

    clerk = windows.person(COUNTY).sign_in()
    clerk.open("/drafts")
    clerk.page.get_by_role("link", name="永昌路整条街路灯不亮").click()
    expect(clerk.page.locator("img.photo")).to_be_visible()
    assert clerk.page.locator("img.photo").evaluate("image => image.naturalWidth") == 1200
    assert clerk.faults() == []
    clerk.fill(areas="城关区")
    clerk.page.get_by_role("button", name="受理为议题").click()
    topic = clerk.page.url.split("/topics/")[1].split("/")[0]
    page = stage(citizen, path)
    expect(page.locator(".holder")).to_contain_text("城关区政协（县级）负责")
    expect(page.locator(".holder")).to_contain_text("承诺答复日期")

    climb(clerk, windows.person(CITY).sign_in(), topic)
    expect(stage(citizen, path).locator(".holder")).to_contain_text("兰州市政协（市级）", timeout=PATIENCE_MS)
    city, province = windows.person(CITY).sign_in(), windows.person(PROVINCE).sign_in()
    city.do(topic, "step", text="列入市级协商。")
    climb(city, province, topic)
    province.do(topic, "result", outcome="A", text="省里已拨付资金，路灯全部更换。")
    province.do(topic, "report", text="请告知群众。")
    accepted(city, topic)
    page = wait_for(citizen, path, "兰州市政协")
    expect(page.locator(".holder .who")).to_have_text("已有办理结果，尚未办结")
    expect(page.locator(".holder")).to_contain_text("这还不是最后答复")
    city.do(topic, "report", text="请反馈。")
    accepted(clerk, topic)
    for said in ("现场查看", "邀请住户协商", "督促更换", "已告知反映人"):
        clerk.do(topic, "step", text=said)
    clerk.do(topic, "close")
    page = plain.open(path)
    expect(page.locator(".holder .who")).to_have_text("已办结")
    expect(page.locator("blockquote").first).to_have_text("省里已拨付资金，路灯全部更换。")
    page.get_by_label("满意", exact=True).check()
    page.get_by_role("button", name="提交评价").click()
    expect(page.locator("main [role=status]")).to_contain_text("评价已记录")
    page.locator("#reopen-text").fill("有两盏又坏了。")
    page.get_by_role("button", name="请求再办理").click()
    expect(page.locator("main [role=status]")).to_contain_text("已转工作人员")
    assert stage(citizen, path)
    for person in (plain, citizen, clerk, city, province):
        assert (person.strayed, person.said) == ([], [])


def climb(lower: Person, upper: Person, topic: str) -> None:
    lower.do(topic, "escalate", **REASON)
    accepted(upper, topic)


def accepted(person: Person, topic: str) -> None:
    for _ in range(30):
        person.open(f"/topics/{topic}")
        if person.page.locator("a[href$='/accept']").count():
            break
        person.page.wait_for_timeout(500)
    person.do(topic, "accept")


def wait_for(citizen: Person, path: str, office: str) -> Page:
    page = citizen.open(path)
    for _ in range(30):
        if office in page.locator(".holder").inner_text():
            break
        page.wait_for_timeout(500)
        page.reload()
    assert citizen.faults() == []
    return page


def test_wrong_code_of_a_receipt_is_told_and_the_right_one_typed_by_hand_opens_it(windows: Windows, town: Town):
    citizen = windows.person(COUNTY, size=PHONE)
    path = raised(citizen, code_of_office(windows), "小区门口垃圾无人清运")
    citizen.open("/follow")
    citizen.page.locator("#code").fill("0" * 32)
    citizen.page.locator("main button").click()
    expect(citizen.page.locator("[role=alert]")).to_contain_text("没有查到")
    assert citizen.faults() == []
    secret = path.removeprefix("/r/").upper()
    citizen.page.locator("#code").fill(" ".join(secret[n : n + 4] for n in range(0, 32, 4)))
    citizen.page.locator("main button").click()
    expect(citizen.page.locator("h1")).to_have_text("小区门口垃圾无人清运")
    citizen.speak_english()
    expect(citizen.page.locator(".holder .who")).to_have_text("Received, not taken up yet")
    assert citizen.faults() == []


def test_admin_keeps_accounts_units_and_hands_a_post_over_on_a_telephone_in_both_languages(
    windows: Windows, town: Town
):
    admin = windows.person(COUNTY, size=PHONE).sign_in("admin")
    admin.open("/people")
    admin.fill(name="赵统筹", password=PASSWORD)
    admin.page.locator("input[value=coordinator]").check()
    admin.page.get_by_role("button", name="新增账号").click()
    expect(admin.page.locator("main [role=status]")).to_contain_text("赵统筹")
    admin.open("/units")
    admin.fill(kind="station", name="雁滩委员工作站", code="620102013")
    admin.page.get_by_role("button", name="新增单位").click()
    expect(admin.page.locator("section").last).to_contain_text("缺站长")
    admin.page.get_by_role("link", name="交接 雁滩委员工作站 站长").click()
    admin.fill(note="任职")
    admin.page.locator("select#to").select_option(label="赵统筹")
    assert admin.faults() == []
    admin.page.locator("main button").click()
    expect(admin.page.locator("h1")).to_contain_text("岗位交接单")
    faults: dict[str, list[str]] = {}
    for lang in ("zh", "en"):
        if lang == "en":
            admin.speak_english()
        for path in (
            "/people",
            "/people/1",
            "/sessions",
            "/units",
            "/handovers",
            "/handovers/1",
            "/posts/1",
            "/account",
        ):
            admin.open(path)
            faults[f"{path} {lang}"] = admin.faults()
    assert {page: found for page, found in faults.items() if found} == {}
    assert (admin.strayed, admin.said) == ([], [])


def test_second_factor_is_set_up_from_the_screen_and_asked_for(windows: Windows, town: Town):
    auditor = windows.person(COUNTY, size=PHONE)
    sign_in(auditor)
    expect(auditor.page.locator("nav.menu")).to_be_visible()
    auditor.open("/audit")
    assert auditor.page.locator("tbody tr").count() > 5
    assert auditor.faults() == []
    auditor.open("/account")
    auditor.page.locator("#factor-password").fill(PASSWORD)
    auditor.page.get_by_role("button", name="启用动态验证码").click()
    assert auditor.faults() == []
    secret = auditor.page.locator("main p code").inner_text()
    auditor.page.locator("#otp").fill(pyotp.TOTP(secret).now())
    auditor.page.get_by_role("button", name="确认").click()
    codes = auditor.page.locator("main li code").all_inner_texts()
    assert len(codes) == 10
    assert auditor.faults() == []
    auditor.page.locator("form[data-sign-out] button").click()
    sign_in(auditor)
    expect(auditor.page.locator("[role=alert]")).to_contain_text("还需动态验证码")
    sign_in(auditor, codes[0])
    expect(auditor.page.locator("nav.menu")).to_be_visible()


def sign_in(person: Person, otp: str = "") -> None:
    person.open("/sign-in")
    person.page.locator("#username").fill("auditor")
    person.page.locator("#password").fill(PASSWORD)
    person.page.locator("#otp").fill(otp)
    person.page.locator("main button").click()
