"""The route class of the operators' API: what is asked of every request, in one order, in one worker thread.

Who asks (401), may they (403), is the query known and the Idempotency-Key well formed (422), is the content type the
one that is read here (415), is the body strict JSON (400), read exactly as signed bytes are, and are its fields right
(422). Only then is the endpoint called. Each route names its verb of node.domain.policy; one without a verb cannot be
built, so nothing is open by omission.

The framework describes these routes and checks nothing: it would read a body before anyone is asked who they are, and
with a parser that takes what strict JSON refuses. Only multipart forms are still taken apart by it.
"""

import hashlib
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fastapi import params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from node.api.auth import admit, context
from node.domain.policy import PUBLIC, VERBS, UnknownVerb
from node.domain.refusals import Invalid, Malformed, UnsupportedMedia
from node.service.perform import Command
from sync.errors import Refused
from sync.strict import strict_json

VERB = "x-liandong-verb"
KEY_HEADER = "Idempotency-Key"
JSON = "application/json"
FORM = "multipart/form-data"
QUERY_FIELDS_MAX = 32
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_UTF8 = re.compile(r'charset="?utf-8"?', re.IGNORECASE)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Field = tuple[str, type[BaseModel]]
"""A parameter of an endpoint and the model it is given."""


def verb(name: str) -> dict[str, Any]:
    """What a route says of itself in `openapi_extra`."""
    return {VERB: name}


def command(request: Request) -> Command:
    """Who asks for what, as the route has found out; absent on public routes."""
    found: Command = request.state.command
    return found


@dataclass(frozen=True, slots=True)
class Door:
    """What one route asks for, read once from its description: `path` maps an endpoint's parameter to its place."""

    verb: str
    status: int
    endpoint: Callable[..., Response]
    path: tuple[tuple[str, str], ...]
    query: Field | None
    form: Field | None
    media: str | None

    def serve(self, request: Request, raw: bytes) -> Response:
        """Everything from the first question to the response. Blocks."""
        query = self.enter(request, raw)
        values: dict[str, Any] = {name: request.path_params[place] for name, place in self.path}
        if self.query is not None:
            values[self.query[0]] = _model(self.query[1], query, "query")
        if self.form is not None:
            values[self.form[0]] = _model(self.form[1], _strict(raw), "body")
        return self.endpoint(request=request, **values)

    @property
    def watched(self) -> bool:
        """Whether this is for machines that watch the node, which add to a query what they like."""
        return self.verb == PUBLIC and self.media is None

    def enter(self, request: Request, raw: bytes) -> dict[str, str]:
        """What is asked before the body is looked at; gives the query. Blocks."""
        actor = None if self.verb == PUBLIC else admit(context(request), request.headers, self.verb)
        query = {} if self.watched else _query(request, self.query)
        key = _idempotency_key(request) if request.method == "POST" else None
        if self.media is not None:
            _check_media(request, self.media)
        if actor is not None:
            fingerprint = _fingerprint(request, raw) if key else ""
            request.state.command = Command(actor, self.verb, key, fingerprint, self.status)
        return query


class StrictRoute(APIRoute):
    """See the module."""

    def get_route_handler(self) -> Handler:
        door = self._door()
        apart = super().get_route_handler()

        async def strict(request: Request) -> Response:
            raw = await request.body() if door.media == JSON else b""
            return await run_in_threadpool(door.serve, request, raw)

        async def strict_form(request: Request) -> Response:
            await run_in_threadpool(door.enter, request, b"")
            return await apart(request)

        return strict_form if door.media == FORM else strict

    def _door(self) -> Door:
        name = (self.openapi_extra or {}).get(VERB, "")
        if name not in VERBS and name != PUBLIC:
            raise UnknownVerb(f"{self.path}: {name}")
        asked, media = self.dependant, None
        if self.body_field is not None:
            media = FORM if isinstance(self.body_field.field_info, params.Form) else JSON
        return Door(
            verb=name,
            status=self.status_code or 200,
            endpoint=self.endpoint,
            path=tuple((field.name, field.alias) for field in asked.path_params),
            query=_only(asked.query_params),
            form=_only(asked.body_params) if media == JSON else None,
            media=media,
        )


def _only(fields: list[Any]) -> Field | None:
    """The one model a route takes its query or its body in."""
    if not fields:
        return None
    (field,) = fields
    return field.name, field.field_info.annotation


def _model(model: type[BaseModel], value: dict[str, Any], where: str) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    raise RequestValidationError([{**item, "loc": (where, *item["loc"])} for item in found])


def _strict(raw: bytes) -> dict[str, Any]:
    try:
        return strict_json(raw)
    except Refused as error:
        raise Malformed(error.detail) from None


def _query(request: Request, field: Field | None) -> dict[str, str]:
    """The query by name. Refuses names no one reads, names given twice and bytes that are no text. Raises Invalid."""
    if not request.scope["query_string"]:
        return {}
    try:
        text = request.scope["query_string"].decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        raise Invalid("query", "cannot be read") from None
    query = dict(pairs)
    if len(query) < len(pairs):
        raise Invalid("query", "names a parameter more than once")
    known = {found.alias or name for name, found in field[1].model_fields.items()} if field is not None else set()
    for name in query:
        if name not in known:
            raise Invalid(name, "is not a parameter of this request")
    return query


def _fingerprint(request: Request, raw: bytes) -> str:
    return hashlib.sha256(f"{request.method} {request.scope['path']}\n".encode() + raw).hexdigest()


def _idempotency_key(request: Request) -> str | None:
    given = request.headers.getlist(KEY_HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Invalid(KEY_HEADER, "must be 1 to 255 visible ASCII characters")
    return given[0]


def _check_media(request: Request, wanted: str) -> None:
    """Raises UnsupportedMedia unless the one content type is `wanted`, in UTF-8 and not compressed."""
    given = request.headers.getlist("content-type")
    essence, _, parameters = (given[0] if len(given) == 1 else "").partition(";")
    if essence.strip().lower() != wanted:
        raise UnsupportedMedia(f"send {wanted}")
    charset = [item.strip() for item in parameters.split(";") if item.strip().lower().startswith("charset")]
    if any(not _UTF8.fullmatch(item) for item in charset):
        raise UnsupportedMedia("send UTF-8")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("send it uncompressed")
