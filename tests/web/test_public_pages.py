"""The public door: what a stranger can do, what she cannot find out, and that a flood of strangers stops no clerk."""

import re

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from node.app import create_app
from node.service import drafts, posters
from node.service.commit import write
from node.store.engine import reading
from node.store.office import drafts as draft_rows
from node.web.door import WRITES
from schemas.drafts import PosterForm
from tests.edge.office import Office, make_office
from tests.web.browser import HTML, Browser, Page, problems_of_markup

TEXT = "永昌路路灯不亮，晚上看不见路。"
NASTY = "<script>alert(1)</script> \u202egnp.exe =HYPERLINK(1) {{7*7}} %s \x1b[31m"


@pytest.fixture
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A node of its own for each test: limits remember who came."""
    return make_office(tmp_path_factory.mktemp("office"))


def raised(browser: Browser, text: str = TEXT, path: str = "/raise") -> str:
    """The secret of a matter just raised."""
    response = browser.send(path, path, text=text)
    assert response.status_code == 303, response.text
    return response.headers["location"].removeprefix("/r/").partition("?")[0]


def forwarded(office: Office, address: str) -> TestClient:
    """A client behind the node's own reverse proxy."""
    return TestClient(create_app(office.ctx), client=("127.0.0.1", 1), headers={**HTML, "x-forwarded-for": address})


def without_tokens(text: str) -> str:
    return re.sub(r'value="[0-9a-f]{96}"', "", text)


def test_matter_is_raised_without_account_and_its_page_needs_nothing_but_the_secret(office: Office):
    secret = raised(Browser(office.ctx))
    page = Page(Browser(office.ctx).get(f"/r/{secret}").text)
    assert "已收到，等待受理" in page.text
    assert problems_of_markup(page) == []
    assert not [attrs for tag, attrs in page.elements if tag == "script"]


def test_what_a_stranger_writes_is_shown_and_never_run(office: Office):
    refused = Browser(office.ctx).send("/raise", "/raise", text=NASTY)
    assert refused.status_code == 422, "control and direction-changing characters are refused"
    plain = NASTY.replace("\u202e", "").replace("\x1b", "")
    secret = raised(Browser(office.ctx), plain)
    page = Page(Browser(office.ctx).get(f"/r/{secret}").text)
    assert problems_of_markup(page) == []
    assert plain in page.text
    number = drafts.page(office.ctx, "waiting", None, 1).items[0].id
    assert problems_of_markup(Browser(office.ctx).sign_in("李丹").read(f"/drafts/{number}")) == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001])
def test_matter_without_words_or_with_too_many_is_asked_for_again(office: Office, text: str):
    response = Browser(office.ctx).send("/raise", "/raise", text=text, place="永昌路")
    assert response.status_code == 422
    assert 'value="永昌路"' in response.text
    assert drafts.page(office.ctx, "waiting", None, 1).items == []


def test_junk_for_a_photo_is_refused_and_nothing_kept(office: Office):
    browser = Browser(office.ctx)
    form = browser.read("/raise").form("/raise")
    for junk in (b"MZ\x90\x00", b"<svg onload=alert(1)>", b"%PDF-1.7", b"PK\x03\x04"):
        response = browser.submit(form, files={"photo1": ("x.jpg", junk, "image/jpeg")}, text=TEXT)
        assert response.status_code == 422
        assert "照片无法读取" in response.text
    assert drafts.page(office.ctx, "waiting", None, 1).items == []


def test_every_wrong_secret_gets_the_same_answer(office: Office):
    secret = raised(Browser(office.ctx))
    wrong = ["0" * 32, secret[:-1] + ("0" if secret[-1] != "0" else "1"), "x", "A" * 32, "0" * 500]
    answers = {guess: Browser(office.ctx).get(f"/r/{guess}") for guess in wrong}
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({without_tokens(answer.text).replace(f"/r/{guess}", "") for guess, answer in answers.items()}) == 1
    assert "查办理进度" in answers["x"].text, "the way on is the citizen's, not the staff's"


def test_who_guesses_is_soon_shut_out_and_others_are_not(office: Office):
    secret = raised(Browser(office.ctx))
    thief, owner = forwarded(office, "203.0.113.9"), forwarded(office, "203.0.113.10")
    statuses = [thief.get(f"/r/{n:032x}").status_code for n in range(30)]
    assert statuses[:5] == [404] * 5
    assert statuses[-1] == 429
    assert thief.get(f"/r/{secret}").status_code == 429, "even the right one has to wait now"
    assert owner.get(f"/r/{secret}").status_code == 200


def test_one_address_raises_only_so_much_and_another_is_served(office: Office):
    def send(client: TestClient) -> int:
        form = Page(client.get("/raise").text).form("/raise")
        return client.post("/raise", data={**form.fields, "text": TEXT}, follow_redirects=False).status_code

    flooder = forwarded(office, "203.0.113.20")
    statuses = [send(flooder) for _ in range(WRITES[1] + 5)]
    assert statuses[: WRITES[1]] == [303] * WRITES[1]
    assert set(statuses[WRITES[1] :]) == {429}
    assert send(forwarded(office, "203.0.113.21")) == 303


def test_neighbours_of_one_ipv6_network_share_a_limit(office: Office):
    statuses = [forwarded(office, f"2001:db8::{n:x}").post("/raise").status_code for n in range(1, WRITES[1] + 3)]
    assert statuses[-1] == 429
    assert forwarded(office, "2001:db8:0:1::1").post("/raise").status_code == 403, "no form token, but let in"


@pytest.mark.parametrize(("cookie", "refused"), [("", 403), (f"liandong-620100-guest={'0' * 64}", 429)])
def test_flood_from_everywhere_is_turned_away_and_the_staff_work_on(office: Office, cookie: str, refused: int):
    clerk = Browser(office.ctx).sign_in("李丹")
    app = create_app(office.ctx)
    turned = 0
    for n in range(300):
        client = TestClient(app, client=(f"10.{n // 250}.0.{n % 250}", 1), headers={**HTML, "cookie": cookie})
        turned += client.post("/raise", data={"text": "垃圾"}).status_code == refused
        if n % 20 == 0:
            assert clerk.get("/topics").status_code == 200
            assert office.get("/inbox").status_code == 200
    assert turned > 150
    if not cookie:
        assert raised(Browser(office.ctx)), "who came by the page is served all the while"


def test_address_is_believed_from_ones_own_proxy_alone(office: Office):
    stranger = TestClient(create_app(office.ctx), client=("198.51.100.1", 1), headers=HTML)
    statuses = [
        stranger.post("/raise", headers={"x-forwarded-for": f"203.0.113.{n}"}).status_code for n in range(WRITES[1] + 2)
    ]
    assert statuses[-1] == 429


def test_body_of_the_public_door_has_a_limit_of_its_own(office: Office):
    browser = Browser(office.ctx)
    browser.read("/raise")
    assert browser.client.post("/raise", content=b"x", headers={"content-length": str(26 << 20)}).status_code == 413


def test_code_of_a_topic_takes_opinions_that_wait_for_a_clerk(office: Office):
    topic = office.open()
    with write(office.ctx) as batch:
        code = posters.make(batch, PosterForm(topic=topic["id"])).code
    browser = Browser(office.ctx)
    page = browser.read(f"/p/{code}")
    assert topic["title"] in page.text
    assert topic["text"] not in page.text
    assert browser.send(f"/p/{code}", f"/p/{code}", text="支持，尽快办").status_code == 303
    assert browser.send(f"/p/{code}", f"/p/{code}", text=" ").status_code == 422
    with reading(office.ctx.engine) as conn:
        row = conn.execute(select(draft_rows)).one()
    assert (row.kind, row.topic, row.poster, row.state) == ("comment", topic["id"], code, "waiting")
    assert browser.get("/p/nothing").status_code == 404


def test_form_of_another_site_is_refused(office: Office):
    browser = Browser(office.ctx)
    form = browser.read("/raise").form("/raise")
    headers = {**HTML, "origin": "https://evil.example"}
    assert browser.client.post("/raise", data={**form.fields, "text": TEXT}, headers=headers).status_code == 403
    assert browser.client.post("/raise", data={"text": TEXT}, headers=HTML).status_code == 403


def test_code_to_print_fills_its_frame_whole(office: Office):
    with write(office.ctx) as batch:
        made = posters.make(batch, PosterForm())
    assert re.search(r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \d+ \d+"', made.qr)
    assert "width=" not in made.qr.partition(">")[0]


def test_photo_of_a_draft_is_served_to_staff_alone_and_as_nothing_but_a_picture(office: Office):
    with write(office.ctx) as batch:
        kept = drafts.keep(batch, drafts.MatterForm(text=TEXT), "citizen", [b"\xff\xd8\xff"])
    answer = Browser(office.ctx).sign_in("李丹").get(f"/drafts/{kept.id}/photos/1")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("image/jpeg", "nosniff")
    assert Browser(office.ctx).get(f"/drafts/{kept.id}/photos/1").status_code == 303
    assert Browser(office.ctx).sign_in("王强").get(f"/drafts/{kept.id}/photos/1").status_code == 403
