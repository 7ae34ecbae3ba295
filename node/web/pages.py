"""How a page is declared, and what is asked of every request before it is made.

    router = Pages()

    @router.get("/links", verb="read")
    def links(visit: Visit) -> Response: ...

Who asks and may they (a guest is sent to the sign-in page), is a form from this page, in one worker thread together
with the page itself. A page without a verb of node.domain.policy cannot be declared, so nothing is open by omission.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from node.domain.policy import PUBLIC, VERBS, UnknownVerb
from node.domain.refusals import Unauthenticated
from node.service.admit import audited_check
from node.web import forgery
from node.web.errors import error_page
from node.web.visit import Visit, visitor

FIELDS_MAX = 1000
FILES_MAX = 8

Page = Callable[[Visit], Response]


class PageRoute(Route):
    """A route that names itself in the log line and the count, as the framework's own do; `verb` says who may."""

    verb = PUBLIC

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self} if match is not Match.NONE else child


class Pages:
    """The pages of one module, as routes for the app."""

    def __init__(self) -> None:
        self.routes: list[PageRoute] = []

    def get(self, path: str, verb: str) -> Callable[[Page], Page]:
        return self._add("GET", path, verb)

    def post(self, path: str, verb: str) -> Callable[[Page], Page]:
        return self._add("POST", path, verb)

    def _add(self, method: str, path: str, verb: str) -> Callable[[Page], Page]:
        if verb not in VERBS and verb != PUBLIC:
            raise UnknownVerb(f"{path}: {verb}")

        def add(page: Page) -> Page:
            route = PageRoute(path, _endpoint(page, verb), methods=[method], include_in_schema=False)
            route.verb = verb
            self.routes.append(route)
            return page

        return add


def _endpoint(page: Page, verb: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        if request.method != "POST":
            return await run_in_threadpool(_serve, page, verb, request, FormData())
        async with request.form(max_fields=FIELDS_MAX, max_files=FILES_MAX) as form:
            return await run_in_threadpool(_serve, page, verb, request, form)

    return endpoint


def _serve(page: Page, verb: str, request: Request, form: FormData) -> Response:
    visit = visitor(request)
    visit.form = form
    try:
        _admit(visit, verb)
        return page(visit)
    except Exception as error:
        found = error_page(visit, error)
        if found is None:
            raise
        return found


def _admit(visit: Visit, verb: str) -> None:
    """Raises Unauthenticated, ForeignForm, NotAllowed and its kinds."""
    if verb != PUBLIC and visit.actor is None:
        raise Unauthenticated
    if visit.request.method == "POST":
        forgery.check_origin(visit.request)
        forgery.check_token(visit.token or visit.guest, visit.field(forgery.FIELD))
    if verb != PUBLIC:
        audited_check(visit.ctx, visit.person, verb)
