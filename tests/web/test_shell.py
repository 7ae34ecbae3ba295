"""The frame of every page: signing in and out, language, headers, forms from elsewhere, errors, files, live updates."""

import re
import threading
from dataclasses import replace

import pytest
from sqlalchemy import select

from node.store.office import sessions as session_rows
from node.web.assets import assets
from node.web.errors import answer
from node.web.sign_in import own_path
from tests.edge.office import TOPIC, Office, problem
from tests.web.browser import HTML, Browser, Page


def test_page_without_session_leads_to_sign_in_and_back(guest: Browser):
    response = guest.get("/?a=1")
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in?next=/%3Fa%3D1")
    form = Page(guest.get(response.headers["location"]).text).form("/sign-in")
    signed_in = guest.submit(form, username="李丹", password="联动联动联动联动")
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/?a=1")
    assert "今天要办的" in guest.read("/").text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb"]
)
def test_sign_in_that_would_lead_elsewhere_leads_home(target: str):
    assert own_path(target) == "/"


def test_sign_in_with_wrong_password_says_so_and_keeps_the_name(guest: Browser):
    response = guest.send("/sign-in", "/sign-in", username="李丹", password="wrong")
    page = Page(response.text)
    assert response.status_code == 401
    assert "用户名或密码不对" in page.text
    assert page.form("/sign-in").fields["username"] == ["李丹"]
    assert "session" not in " ".join(guest.client.cookies)


def test_sign_out_ends_the_session(office: Office, clerk: Browser):
    token = next(value for name, value in clerk.client.cookies.items() if name.endswith("-session"))
    clerk.send("/", "/sign-out")
    clerk.client.cookies.set(f"liandong-{office.ctx.identity.code}-session", token)
    assert clerk.get("/").status_code == 303


def test_language_chosen_is_remembered(clerk: Browser):
    assert clerk.read("/").elements[0][1]["lang"] == "zh-CN"
    clerk.speak("en")
    page = clerk.read("/")
    assert page.elements[0][1]["lang"] == "en"
    assert "Today" in page.text


def test_cookies_of_a_node_on_plain_http_are_named_after_the_node(clerk: Browser, office: Office):
    assert set(clerk.client.cookies) == {f"liandong-{office.ctx.identity.code}-session"}


def test_cookies_of_a_node_on_https_are_bound_to_host_and_tls(office: Office):
    there = replace(office.ctx, identity=replace(office.ctx.identity, url="https://lz.example"))
    browser = Browser(there)
    cookie = browser.get("/sign-in").headers["set-cookie"]
    assert cookie.startswith("__Host-liandong-620100-guest=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie


def test_page_carries_the_headers_of_a_strict_page(clerk: Browser):
    headers = clerk.get("/").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= set(policy.split("; "))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", ["", "0" * 96, "another session's"])
def test_form_without_the_sessions_own_token_is_refused(office: Office, clerk: Browser, token: str):
    if token.startswith("another"):
        token = Browser(office.ctx).sign_in("李丹").read("/").form("/sign-out").fields["csrf"][0]
    response = clerk.client.post("/sign-out", data={"csrf": token}, headers=HTML)
    assert response.status_code == 403
    assert clerk.get("/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}],
)
def test_form_sent_by_another_site_is_refused(clerk: Browser, headers: dict[str, str]):
    token = clerk.read("/").form("/sign-out").fields["csrf"][0]
    assert clerk.client.post("/sign-out", data={"csrf": token}, headers={**HTML, **headers}).status_code == 403
    own = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert clerk.client.post("/sign-out", data={"csrf": token}, headers={**HTML, **own}).status_code == 303


def test_form_tokens_differ_in_every_page(clerk: Browser):
    first, second = (clerk.read("/").form("/sign-out").fields["csrf"][0] for _ in range(2))
    assert first != second


def test_unknown_page_is_a_page_for_people_and_a_document_for_programs(clerk: Browser):
    page = clerk.get("/nothing")
    assert page.status_code == 404
    assert "未找到" in page.text
    assert "主菜单" in page.text
    assert problem(clerk.client.get("/nothing")) == "not-found"
    assert problem(clerk.get("/api/v1/nothing")) == "not-found"


def test_wrong_method_of_a_page_is_a_page(clerk: Browser):
    response = clerk.client.post("/", headers=HTML)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


def test_fault_of_the_program_is_a_page_without_a_word_of_what_it_said(office: Office, clerk: Browser):
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "app": clerk.client.app}
    scope["headers"] = [(b"accept", b"text/html")]
    response = answer(scope, RuntimeError("13900000000"), "urn:liandong:fault:1")
    assert response.status_code == 500
    assert b"13900000000" not in response.body
    assert b"urn:liandong:fault:1" in response.body


def test_htmx_without_session_is_told_where_to_sign_in(guest: Browser):
    response = guest.get("/", **{"hx-request": "true", "hx-current-url": "http://testserver/topics?q=1"})
    assert response.status_code == 401
    assert response.headers["hx-redirect"] == "/sign-in?next=/topics"


def test_asset_is_kept_for_ever_and_only_under_its_own_hash(guest: Browser):
    for asset in assets().values():
        for encoding, content in (("gzip", asset.content), ("identity", asset.content)):
            response = guest.client.get(asset.url, headers={"accept-encoding": encoding})
            assert response.status_code == 200
            assert response.content == content
            assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert guest.client.get(f"/static/{'0' * 16}/app.css").status_code == 404


def test_first_page_is_small(clerk: Browser):
    page = clerk.get("/", **{"accept-encoding": "gzip"})
    sizes = [int(page.headers["content-length"])]
    for tag, attrs in Page(page.text).elements:
        url = attrs.get("src") if tag == "script" else attrs.get("href") if tag == "link" else None
        if url:
            sizes.append(int(clerk.client.get(url, headers={"accept-encoding": "gzip"}).headers["content-length"]))
    assert sum(sizes) < 150_000


def test_own_assets_name_no_other_place():
    for asset in assets().values():
        if asset.name != "htmx.min.js":
            urls = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", asset.content.decode())
            assert [url for url in urls if url != "http://www.w3.org/2000/svg"] == [], asset.name


def test_events_tell_of_a_commit_and_end_with_the_node(office: Office, clerk: Browser):
    app = clerk.client.app
    app.state.stopping.clear()

    def work() -> None:
        while app.state.listeners == 0:
            threading.Event().wait(0.01)
        office.open(**TOPIC)
        threading.Timer(0.5, app.state.stopping.set).start()

    thread = threading.Thread(target=work)
    thread.start()
    text = clerk.client.get("/events").text
    thread.join()
    app.state.stopping.clear()
    assert re.search(r"event: change\ndata: \d+\n\n", text)
    assert app.state.listeners == 0


def test_events_without_session_are_none(guest: Browser):
    assert guest.client.get("/events").status_code == 204


def test_sessions_of_the_console_are_kept_as_hashes(office: Office, clerk: Browser):
    token = next(value for name, value in clerk.client.cookies.items() if name.endswith("-session"))
    with office.ctx.engine.connect() as conn:
        kept = set(conn.execute(select(session_rows.c.token_hash)).scalars())
    assert kept
    assert token not in kept
