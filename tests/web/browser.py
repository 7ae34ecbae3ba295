"""A person at the console: keeps cookies, fills in the forms a page has, and reads what it says."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from httpx2 import Response
from starlette.testclient import TestClient

from node.app import create_app
from node.context import Context
from tests.edge.office import PASSWORD

HTML = {"accept": "text/html,application/xhtml+xml"}
VOID = {"meta", "link", "input", "br", "hr", "img", "source", "wbr"}
TYPED = {"text", "search", "date", "month", "number", "email", "hidden", "checkbox", "radio", "password", "tel"}


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Page(HTMLParser):
    """A page taken apart: its forms, its elements, its text, and whether its tags fit one another."""

    html: str
    forms: list[Form] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    text: str = ""
    unbalanced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._select = self._area = ""
        self.feed(self.html)
        self.unbalanced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.elements.append((tag, told))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "form":
            self.forms.append(Form(told.get("action") or "", told.get("method") or "get"))
        name = told.get("name") or ""
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area = name
            self._fill(name, "")
        elif tag == "option" and "selected" in told:
            self._fill(self._select, told.get("value") or "")
        elif tag == "input" and (told.get("type") or "text") in TYPED and _is_sent(told):
            self._fill(name, told.get("value") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)
        if tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._area and self.forms:
            self.forms[-1].fields[self._area][-1] += data

    def _fill(self, name: str, value: str) -> None:
        if name and self.forms:
            self.forms[-1].fields.setdefault(name, []).append(value)

    def form(self, action: str) -> Form:
        """The first form that goes to this address."""
        return next(form for form in self.forms if form.action == action)


def _is_sent(told: dict[str, str | None]) -> bool:
    return told.get("type") not in ("checkbox", "radio") or "checked" in told


class Browser:
    """One browser at one node."""

    def __init__(self, ctx: Context) -> None:
        self.client = TestClient(create_app(ctx), follow_redirects=False)

    def get(self, path: str, **headers: str) -> Response:
        return self.client.get(path, headers={**HTML, **headers})

    def read(self, path: str) -> Page:
        """The page, after the redirects a browser would follow."""
        return self._follow(self.get(path))

    def send(self, path: str, action: str, press: dict[str, str] | None = None, **filled: Any) -> Response:
        """Fill in the form of a page that goes to `action`, and send it; `press` is the button."""
        return self.submit(self.read(path).form(action), press, **filled)

    def submit(self, form: Form, press: dict[str, str] | None = None, files: Any = None, **filled: Any) -> Response:
        fields = {**form.fields, **filled, **(press or {})}
        sent = {name: value for name, value in fields.items() if value is not None}
        return self.client.post(form.action, data=sent, files=files, headers=HTML)

    def sign_in(self, name: str, password: str = PASSWORD) -> "Browser":
        response = self.send("/sign-in", "/sign-in", username=name, password=password)
        assert response.status_code == 303, response.text
        return self

    def speak(self, lang: str) -> "Browser":
        self.send("/", "/language", lang=lang)
        return self

    def _follow(self, response: Response) -> Page:
        while response.status_code == 303:
            response = self.get(response.headers["location"])
        return Page(response.text)


def problems_of_markup(page: Page) -> list[str]:
    """What a strict policy or a strict reader would hold against the page."""
    found = [f"unbalanced {tag}" for tag in page.unbalanced]
    for tag, attrs in page.elements:
        if tag == "style" or (tag == "script" and not attrs.get("src")):
            found.append(f"inline {tag}")
        found += [f"{tag} {name}" for name in attrs if name == "style" or re.match(r"on|hx-on", name)]
        for name in ("src", "href", "action"):
            if re.match(r"https?:|//|javascript:|data:", attrs.get(name) or ""):
                found.append(f"{tag} {name} leads elsewhere: {attrs[name]}")
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    found += [f"id {id} twice" for id in set(ids) if ids.count(id) > 1]
    labels = {attrs.get("for") for tag, attrs in page.elements if tag == "label"}
    for tag, attrs in page.elements:
        is_field = tag in ("select", "textarea") or (tag == "input" and attrs.get("type") not in ("hidden", "submit"))
        wrapped = attrs.get("type") in ("checkbox", "radio")
        if is_field and not wrapped and attrs.get("id") not in labels and "aria-label" not in attrs:
            found.append(f"{tag} {attrs.get('name')} has no label")
    return found
