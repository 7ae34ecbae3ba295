"""Every page there is, for every role, in both languages: it renders, its markup is clean, its words are there."""

import pytest

from node.domain.policy import PUBLIC, ROLES, allowed
from node.service.users import add_user
from node.web.site import ROUTERS
from node.web.words import LANGUAGES
from tests.edge.office import PASSWORD, Office
from tests.web.browser import Browser, Page, problems_of_markup

GETS = [route for router in ROUTERS for route in router.routes if "GET" in (route.methods or ())]


@pytest.fixture(scope="module")
def people(office: Office) -> dict[str, str]:
    """An account for each role alone."""
    for role in sorted(ROLES):
        add_user(office.ctx, f"only-{role}", PASSWORD, [role])
    return {role: f"only-{role}" for role in ROLES}


@pytest.fixture(scope="module")
def places(office: Office) -> dict[str, str]:
    """What stands for the parts of an address that vary."""
    return {"id": office.open()["id"], "code": "620000"}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_page_renders_clean_for_whoever_may_see_it(
    office: Office, people: dict[str, str], places: dict[str, str], role: str, lang: str
):
    browser = Browser(office.ctx).sign_in(people[role]).speak(lang)
    seen = 0
    for route in GETS:
        path = route.path.format(**places)
        response = browser.get(path)
        allows = route.verb == PUBLIC or allowed(frozenset({role}), route.verb)
        assert response.status_code in ((200, 303) if allows else (403,)), (path, response.status_code)
        if response.headers.get("content-type", "").startswith("text/html"):
            seen += 1
            assert problems_of_markup(Page(response.text)) == [], path
    assert seen >= len(GETS) // 2


def test_guest_sees_public_pages_alone(office: Office, guest: Browser, places: dict[str, str]):
    for route in GETS:
        response = guest.get(route.path.format(**places))
        if route.verb == PUBLIC:
            assert response.status_code in (200, 404), route.path
        else:
            assert response.headers["location"].startswith("/sign-in"), route.path


def test_every_form_asks_for_its_token(office: Office, clerk: Browser, places: dict[str, str]):
    for router in ROUTERS:
        for route in router.routes:
            if "POST" in (route.methods or ()):
                response = clerk.client.post(route.path.format(**places), headers={"accept": "text/html"})
                assert response.status_code == 403, route.path
