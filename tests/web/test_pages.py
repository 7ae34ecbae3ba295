"""Every page there is, for every role, in both languages: it renders, its markup is clean, its words are there."""

from pathlib import Path
from typing import Any

import pytest

from node.domain.policy import PUBLIC, ROLES, allowed
from node.service import drafts, posters, posts
from node.service.commit import write
from node.service.users import add_user
from node.web.act import VERB
from node.web.pages import PageRoute
from node.web.site import ROUTERS
from node.web.words import LANGUAGES
from schemas.drafts import MatterForm, PosterForm
from schemas.ids import Tier
from schemas.people import HandOverForm, UnitForm
from tests import nodes
from tests.edge.office import PASSWORD, Office
from tests.web.browser import Browser, Page, problems_of_markup

GETS = [route for router in ROUTERS for route in router.routes if "GET" in (route.methods or ())]

DOOR: dict[str, str] = {}


@pytest.fixture(scope="module")
def people(office: Office) -> dict[str, str]:
    """An account for each role alone."""
    for role in sorted(ROLES):
        add_user(office.ctx, f"only-{role}", PASSWORD, [role])
    return {role: f"only-{role}" for role in ROLES}


@pytest.fixture(scope="module", autouse=True)
def door(office: Office) -> dict[str, str]:
    """What the pages of units and of the public door are about; each the first of its kind, so that its number is 1."""
    with write(office.ctx) as batch:
        unit = posts.add_unit(batch, UnitForm(kind="room", name="协商议事室", code="620102013"))
        sheet = posts.hand_over(batch, unit.posts[0].id, HandOverForm(to=1, note="任职"))
        code = posters.make(batch, PosterForm())
        kept = drafts.keep(batch, MatterForm(text="路灯不亮"), "citizen", [b"jpeg"])
    assert {unit.posts[0].id, sheet.id, kept.id} == {1}
    DOOR.update(name="areas", poster=code.code, secret=kept.secret, claim="0" * 32, number="1", n="1")
    return DOOR


@pytest.fixture(scope="module")
def topic(office: Office) -> dict[str, Any]:
    return office.open(submitter={"name": "张三", "phone": "13900000000"})


def addresses(route: PageRoute, topic: dict[str, Any], office: Office) -> list[str]:
    """A route with everything that can stand in it; a new part of an address gets its line here."""
    id = topic["id"]
    if "{verb}" in route.path:
        return [route.path.format(id=id, verb=verb) for verb in VERB]
    entry = office.get(f"/topics/{id}/entries").json()["items"][0]
    shared = next(part["digest"] for part in entry["parts"] if part["share"] == "full")
    digest = shared if "parts" in route.path else entry["hash"]
    return [route.path.format(id=id, code="620000", digest=digest, **DOOR)]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_page_renders_clean_for_whoever_may_see_it(
    office: Office, people: dict[str, str], topic: dict[str, Any], role: str, lang: str
):
    browser = Browser(office.ctx).sign_in(people[role]).speak(lang)
    seen = 0
    for route, path in [(page, path) for page in GETS for path in addresses(page, topic, office)]:
        response = browser.get(path)
        allows = route.verb == PUBLIC or allowed(frozenset({role}), route.verb)
        early = (409,) if "/receipts/" in path else ()  # nobody has witnessed anything yet
        early = (404,) if path.endswith("/proof") else early  # nor taken the matter up
        assert response.status_code in ((200, 303, *early) if allows else (403,)), (path, response.status_code)
        if response.headers.get("content-type", "").startswith("text/html"):
            seen += 1
            assert problems_of_markup(Page(response.text)) == [], path
    assert seen >= len(GETS) // 2


def test_no_page_fails_at_a_node_that_has_not_joined(tmp_path: Path):
    ctx = nodes.make(tmp_path, "620102", Tier.COUNTY)
    add_user(ctx, "李丹", PASSWORD, sorted(ROLES))
    browser = Browser(ctx).sign_in("李丹")
    plain = [route.path for route in GETS if "{" not in route.path]
    assert len(plain) > 15
    assert {path: code for path in plain if (code := browser.get(path).status_code) >= 500} == {}
    assert "liandong join" in browser.read("/").text


def test_matter_written_at_a_node_that_may_not_sign_stays_on_the_page(tmp_path: Path):
    ctx = nodes.make(tmp_path, "620102", Tier.COUNTY)
    add_user(ctx, "李丹", PASSWORD, ["clerk"])
    answer = Browser(ctx).sign_in("李丹").send("/intake", "/intake", title="井盖", text="路中间的井盖没有了", areas="")
    assert answer.status_code == 422
    page = Page(answer.text)
    assert "暂时不能登记" in page.text
    assert page.form("/intake").fields["title"] == ["井盖"]


def test_guest_sees_public_pages_alone(office: Office, guest: Browser, topic: dict[str, Any]):
    for route in GETS:
        response = guest.get(addresses(route, topic, office)[0])
        if route.verb == PUBLIC:
            assert response.status_code in (200, 404), route.path
        else:
            assert response.headers["location"].startswith("/sign-in"), route.path


def test_every_form_asks_for_its_token(office: Office, clerk: Browser, topic: dict[str, Any]):
    for router in ROUTERS:
        for route in router.routes:
            if "POST" in (route.methods or ()):
                response = clerk.client.post(addresses(route, topic, office)[0], headers={"accept": "text/html"})
                assert response.status_code == 403, route.path
