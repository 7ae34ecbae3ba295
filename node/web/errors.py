"""Problems as pages: the one table of node.api.problems, in the reader's language, with what to do about it."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from node.api import problems
from node.api.auth import context
from node.domain.refusals import Invalid, Unauthenticated
from node.web.door import DOORS
from node.web.visit import HEADERS, Visit, visitor
from node.web.words import Words, field_key, pick
from schemas.problem import PREFIX, FieldError, Problem

MACHINES = ("/api/", "/federation/", "/healthz", "/metrics", "/openapi.json")
"""Their callers read problem documents."""
SIGN_IN = "/sign-in"


def error_page(visit: Visit, error: Exception) -> Response | None:
    """The page for what went wrong in a page, the problem document for whoever asked for a file or a picture and not
    for a page; None for a fault of the program, which is logged further out."""
    if isinstance(error, Unauthenticated):
        return to_sign_in(visit)
    if problems.kind_of(error) is problems.INTERNAL and not isinstance(error, HTTPException):
        return None
    if not (wants_page(visit.request) or visit.is_partial):
        return problems.answer(error)
    problem, headers = problems.describe(error)
    if isinstance(error, (Invalid, ValidationError)):
        errors = [FieldError(field=name, message=said) for name, said in field_errors(error, visit.words).items()]
        problem = problem.model_copy(update={"errors": errors})
    return _page(visit, problem, headers)


def answer(scope: Scope, error: Exception, instance: str | None = None) -> Response:
    """What an error is answered with that no page and no route of the API has handled; never asks the database."""
    request = Request(scope)
    if not wants_page(request):
        return problems.answer(error, instance)
    problem, headers = problems.describe(error, instance)
    return _page(Visit(request, context(request)), problem, headers)


def answer_framework(request: Request, error: Exception) -> Response:
    """As `answer`, for what the framework finds wrong with a request: a page with the reader's menu. Blocks."""
    found = error_page(visitor(request), error) if wants_page(request) else None
    return found or problems.answer(error)


def wants_page(request: Request) -> bool:
    """Whether a person asks with a browser, rather than a program."""
    path: str = request.scope["path"]
    return not path.startswith(MACHINES) and "text/html" in request.headers.get("accept", "")


def to_sign_in(visit: Visit) -> Response:
    """To the sign-in page and back here afterwards; a form is not sent again by itself."""
    asked = visit.here
    if visit.is_partial:
        parts = urlsplit(visit.request.headers.get("hx-current-url", "/"))
        asked = parts.path or "/"
    elif visit.request.method != "GET":
        asked = visit.request.url.path
    target = f"{SIGN_IN}?next={quote(asked, safe='/')}" if asked != "/" else SIGN_IN
    if visit.is_partial:
        return Response(status_code=401, headers={**HEADERS, "HX-Redirect": target})
    return visit.to(target)


def hint(problem: Problem, words: Words) -> str | None:
    """What to do about it."""
    key = f"problem.{problem.type.removeprefix(PREFIX)}"
    return words(key) if words.known(key) else None


def field_errors(error: ValidationError | Invalid, words: Words) -> dict[str, str]:
    """What is wrong with a form, by field, in the reader's words."""
    if isinstance(error, Invalid):
        return {error.field: broken_rule(error, words)}
    return {_path(found["loc"]): _message(found, words) for found in reversed(error.errors(include_url=False))}


def broken_rule(error: Invalid, words: Words) -> str:
    """What is wrong with the field; what only programs can send wrongly is said as the service says it."""
    return words(f"problem.rule.{error.rule}", **error.values) if error.rule else error.message


def _path(loc: Sequence[Any]) -> str:
    return ".".join(str(step) for step in loc) or "form"


def _message(found: Any, words: Words) -> str:
    key = field_key(found)
    if not words.known(key):
        return words("problem.field.other")
    values = {name: str(value) for name, value in found.get("ctx", {}).items()}
    return words(key, **values)


def _page(visit: Visit, problem: Problem, headers: dict[str, str]) -> Response:
    title = pick(problem.title, visit.lang)
    kept = {name: value for name, value in headers.items() if name != "WWW-Authenticate"}
    values = {"title": title, "problem": problem, "hint": hint(problem, visit.words)}
    template = "public/error.html" if visit.request.url.path.startswith(DOORS) else "error.html"
    response = visit.page(template, problem.status, **values)
    response.headers.update(kept)
    return response
