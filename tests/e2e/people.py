"""People at the consoles of live nodes: a town of real processes, and a browser window for each of them."""

from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from node.demo.telling import Teller
from node.demo.town import Place, Town

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
PATIENCE_MS = 15_000
"""How long a page may take to tell of what happened at another node; the machine may be busy."""
SERIOUS = frozenset({"serious", "critical"})


@dataclass
class Person:
    """One window at one node. `strayed`: addresses elsewhere its pages reached for; `said`: what they complain of."""

    place: Place
    context: BrowserContext
    page: Page
    strayed: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        self.page.goto(self.place.url + path)
        return self.page

    def sign_in(self, role: str = "clerk") -> "Person":
        user = next(user for user in self.place.users if role in user.roles)
        self.open("/sign-in")
        self.page.locator("#username").fill(user.name)
        self.page.locator("#password").fill(user.password)
        self.page.locator("main button").click()
        expect(self.page.locator("nav.menu")).to_be_visible()
        return self

    def speak_english(self) -> "Person":
        self.page.get_by_role("button", name="English").click()
        expect(self.page.locator("html")).to_have_attribute("lang", "en")
        return self

    def do(self, topic: str, verb: str, **filled: str) -> None:
        """The verb's form, what it would do, and the deed."""
        self.open(f"/topics/{topic}/{verb}")
        self.fill(**filled)
        self.page.locator("button[value=look]").click()
        self.page.locator("button[value=do]").click()
        expect(self.page.locator("main [role=status]")).to_be_visible()

    def fill(self, **filled: str) -> None:
        for name, value in filled.items():
            target = self.page.locator(f"main [name='{name}']").last
            if target.evaluate("field => field.tagName") == "SELECT":
                target.select_option(value)
            else:
                target.fill(value)

    def holder(self) -> str:
        return self.page.locator(".holder .who").first.inner_text()

    def faults(self) -> list[str]:
        """What axe finds wrong that keeps people out, and what is wider than the window."""
        found = Axe().run(self.page).response["violations"]
        told = [
            f"{item['id']}: {node['target']} {node['failureSummary']}"
            for item in found
            if item["impact"] in SERIOUS
            for node in item["nodes"]
        ]
        wide = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return [*told, *([f"{wide} px wider than the window"] if wide > 0 else [])]


class Windows:
    """All windows of one browser, at the nodes of one town."""

    def __init__(self, browser: Browser, town: Town) -> None:
        self._browser = browser
        self._town = town
        self._people: list[Person] = []

    def person(self, code: str, scripts: bool = True, size: dict[str, int] | None = None) -> Person:
        place = next(place for place in self._town.places if place.code == code)
        context = self._browser.new_context(
            viewport=size or DESKTOP, java_script_enabled=scripts, locale="zh-CN", service_workers="block"
        )
        context.set_default_timeout(PATIENCE_MS)
        person = Person(place, context, context.new_page())
        person.page.on("request", lambda request: self._note(person, request.url))
        person.page.on("console", lambda line: person.said.append(line.text) if line.type == "error" else None)
        person.page.on("pageerror", lambda error: person.said.append(str(error)))
        self._people.append(person)
        return person

    def close(self) -> None:
        for person in self._people:
            person.context.close()
        self._people.clear()

    @staticmethod
    def _note(person: Person, url: str) -> None:
        if not url.startswith(person.place.url):
            person.strayed.append(url)


def make_town(folder: Path) -> Town:
    """Province, city and two counties, joined and running."""
    town = Town(folder, Teller(0))
    town.build()
    return town
