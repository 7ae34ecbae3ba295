"""One request for a page: who asks, in which language, what was sent, and the ways to answer."""

import gzip
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from node.api.auth import context
from node.context import Context
from node.domain.policy import allowed
from node.domain.refusals import Unauthenticated
from node.service.names import Names, names
from node.service.perform import Actor, Command
from node.service.pulse import Pulse, pulse
from node.service.sessions import authenticate
from node.web import cookies
from node.web.forgery import form_token
from node.web.render import render
from node.web.words import LANGUAGES, Language, Words

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Encoding",
}
"""Of every page. No script and no style stands in a page itself, so the policy needs no exception."""
PICTURES_KEPT = "private, max-age=300"
GZIP_FROM_BYTES = 1400
GZIP_LEVEL = 5
GUEST_BYTES = 32


@dataclass
class Visit:
    """Given to every page; `token` is the session's, `guest` the secret of whoever has not signed in."""

    request: Request
    ctx: Context
    actor: Actor | None = None
    token: str | None = None
    guest: str | None = None
    form: FormData = field(default_factory=FormData)
    pending: dict[cookies.Name, str] = field(default_factory=dict)
    """Cookies the answer will set."""

    @cached_property
    def lang(self) -> Language:
        """The language chosen last; Chinese for whoever has not chosen."""
        chosen = cookies.read_cookie(self.request, self.ctx, "lang")
        return next((lang for lang in LANGUAGES if lang == chosen), LANGUAGES[0])

    @cached_property
    def words(self) -> Words:
        return Words(self.lang)

    @cached_property
    def names(self) -> Names:
        """What offices and places are called."""
        return names(self.ctx)

    @cached_property
    def pulse(self) -> Pulse:
        """How this node is, for the footer."""
        return pulse(self.ctx)

    @property
    def person(self) -> Actor:
        """Who is signed in. Raises Unauthenticated."""
        if self.actor is None:
            raise Unauthenticated
        return self.actor

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for a piece of a page."""
        return "hx-request" in self.request.headers

    @property
    def here(self) -> str:
        """Path and query of this page, for coming back to it."""
        query = self.request.url.query
        return self.request.url.path + (f"?{query}" if query else "")

    def may(self, verb: str) -> bool:
        return self.actor is not None and allowed(self.actor.roles, verb, self.ctx.settings.profile)

    def query(self, name: str) -> str:
        return self.request.query_params.get(name, "").strip()

    def field(self, name: str) -> str:
        """One text field of the form, "" where it was not sent."""
        value = self.form.get(name, "")
        return value if isinstance(value, str) else ""

    def fields(self, name: str) -> list[str]:
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    def upload(self, name: str) -> UploadFile | None:
        value = self.form.get(name)
        return value if isinstance(value, UploadFile) and value.filename else None

    def command(self, verb: str, status: int = 200) -> Command:
        """What the services are asked; the form's own key makes sending it twice do it once."""
        key = self.field("key") or None
        return Command(self.person, verb, key, f"page {self.request.url.path}" if key else "", status)

    def form_token(self) -> str:
        """For the hidden field of a form; makes a secret for a guest who has none yet."""
        secret = self.token or self.guest
        if secret is None:
            secret = self.guest = self.pending["guest"] = self.ctx.clock.token(GUEST_BYTES)
        return form_token(secret, self.ctx.clock)

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """The template, with what all pages show around it."""
        flash = None if self.is_partial else cookies.read_flash(self.request, self.ctx)
        if flash is not None and not self.words.known(flash[0]):
            flash = None
        content = render(template, visit=self, flash=flash, **values).encode()
        response = self._packed(content, status)
        if flash is not None:
            cookies.drop_cookie(response, self.ctx, "flash")
        return self._with_cookies(response)

    def file(self, content: bytes, media: str, name: str) -> Response:
        """A download; `name` is plain ASCII."""
        headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=media, headers=headers)

    def picture(self, content: bytes, kept: bool) -> Response:
        """An SVG of a page; `kept`: its address names what it shows, so a browser may keep it for a while."""
        response = self._packed(content, 200, "image/svg+xml")
        if kept:
            response.headers["Cache-Control"] = PICTURES_KEPT
        return response

    def to(self, path: str, said: str | None = None, **values: object) -> Response:
        """On to another page, which will say `said` on top."""
        response = RedirectResponse(path, 303, headers=HEADERS)
        if said is not None:
            cookies.set_flash(response, self.ctx, said, values)
        return self._with_cookies(response)

    def _packed(self, content: bytes, status: int, media: str = "text/html; charset=utf-8") -> Response:
        headers = dict(HEADERS)
        if len(content) >= GZIP_FROM_BYTES and "gzip" in self.request.headers.get("accept-encoding", ""):
            content = gzip.compress(content, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Response(content, status, headers, media)

    def _with_cookies(self, response: Response) -> Response:
        for name, value in self.pending.items():
            cookies.set_cookie(response, self.ctx, name, value, cookies.LANG_S if name == "lang" else None)
        return response


def visitor(request: Request) -> Visit:
    """Who asks: with a session that still holds, or a guest. Blocks."""
    ctx = context(request)
    visit = Visit(request, ctx, guest=cookies.read_cookie(request, ctx, "guest"))
    token = cookies.read_cookie(request, ctx, "session")
    if token is not None:
        with suppress(Unauthenticated):
            visit.actor, visit.token = authenticate(ctx, token), token
    return visit
