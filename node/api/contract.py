"""The OpenAPI document: what the framework knows of the routes, made complete with what this project adds to each.

The framework does not know who may use a route, which problems it answers, or that a POST can be repeated. Problems
follow from what a route is, by the same rules the code follows, so no route has to list them.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from node.api.problems import KINDS
from node.api.strict import KEY_HEADER, VERB
from node.domain.policy import PUBLIC, SELF_VERBS, STEP_UP, TOPIC_VERBS
from schemas.exchange import MEDIA_TYPE as EXCHANGE
from schemas.problem import MEDIA_TYPE, Problem

REF = "#/components/schemas/"
_SUMMARY = "Operators' interface of one node"
_FRAMEWORKS_OWN = ("HTTPValidationError", "ValidationError")
_UNKEPT = frozenset({PUBLIC, "import", "exchange", "own_account"})
"""POSTs whose answer is not kept under an Idempotency-Key: each may be repeated as it is."""
_FEDERATION = "/federation/"
_JOIN = "/federation/v1/join"
_SLOWED = {
    (f"/api/v1/{path}", "post")
    for path in (
        "sessions",
        "sessions/current/proof",
        "users",
        "users/{number}/password",
        "me/password",
        "me/factor",
        "me/factor/remove",
    )
}
"""Operations that look at a password, of which only a few are looked at together."""
_LOG = "/federation/v1/log/"
_WITNESS = "/federation/v1/witness/add-checkpoint"
_EXCHANGE = "/federation/v1/exchange"
_RECEIPT = "/api/v1/topics/{id}/receipt"
_ONLY_AT = {"checkpoint-conflict": _WITNESS, "not-witnessed": _RECEIPT}
"""Problems that one route alone answers with, and that route with no other of that status."""
_KEY: dict[str, Any] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "description": "Repeating a request with its key gives the first answer again and does nothing twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}}},
    **{key: {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}} for key in (429, 503, 507)},
}

Operation = dict[str, Any]


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(title=app.title, version=app.version, summary=_SUMMARY, routes=app.routes)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FRAMEWORKS_OWN:
        schemas.pop(name, None)
    schemas.update(_problem_schemas())
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return document


def _complete(path: str, method: str, operation: Operation) -> None:
    verb, responses = operation.get(VERB, PUBLIC), operation["responses"]
    if path.startswith(_FEDERATION) and method == "post":
        operation.setdefault("requestBody", {"required": True, "content": {EXCHANGE: {}}})
    if verb != PUBLIC:
        operation["security"] = [{"bearer": []}]
    if method == "post" and verb not in _UNKEPT:
        operation.setdefault("parameters", []).append(_KEY)
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)
    for status in sorted(_statuses(path, method, operation)):
        said = _response(status, path, operation)
        there = responses.setdefault(str(status), said)
        if path == _WITNESS:
            there["content"].update(said["content"])


def _statuses(path: str, method: str, operation: Operation) -> set[int]:
    """Every problem status this operation can answer."""
    verb, writes = operation.get(VERB, PUBLIC), method != "get"
    named = {parameter["name"] for parameter in operation.get("parameters", [])}
    found = {500, 503}
    if path.startswith(_LOG):
        return found | {404}
    if path == _WITNESS:
        return found | {400, 403, 404, 409, 413, 422, 507}
    if path.startswith(_FEDERATION):
        return found | {400, 413, 507} | ({403, 422} if path == _JOIN else set())
    if verb != PUBLIC or "requestBody" in operation:
        found.add(422)
    if verb != PUBLIC:
        found.add(401)
        if verb not in SELF_VERBS:
            found.add(403)
    if "{" in path:
        found.add(404)
    if path == _RECEIPT:
        found.add(409)
    if "cursor" in named:
        found.add(400)
    if "requestBody" in operation:
        found |= {400, 413, 415}
    if writes:
        found.add(507)
    if writes and verb not in (PUBLIC, "sign_out"):
        found.add(409)
    if path == "/api/v1/sessions" and method == "post":
        found.add(401)
    if (path, method) in _SLOWED:
        found.add(429)
    return found


def _response(status: int, path: str, operation: Operation) -> dict[str, Any]:
    kinds = [kind for kind in KINDS.values() if kind.status == status and _can_meet(kind.name, path, operation)]
    said: dict[str, Any] = {
        "description": "; ".join(f"`{kind.name}` {kind.title}" for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": {"$ref": REF + "Problem"}}},
    }
    return {**said, "headers": _HEADERS[status]} if status in _HEADERS else said


def _can_meet(name: str, path: str, operation: Operation) -> bool:
    """Whether the operation can answer with this problem of a status that several share."""
    if KINDS[name].status == 409 and (name in _ONLY_AT or path in _ONLY_AT.values()):
        return _ONLY_AT.get(name) == path
    if name == "unknown-peer":
        return path == _EXCHANGE
    if name == "malformed":
        return "requestBody" in operation
    if name == "bad-cursor":
        return "requestBody" not in operation
    if name == "step-up-needed":
        return operation.get(VERB) in STEP_UP
    if name == "duties-open":
        return operation.get(VERB) in ("change_user", "keep_units", "hand_over")
    if name == "already-taken":
        return operation.get(VERB) == "take_draft"
    if KINDS[name].status in (409, 422):
        return name in ("invalid", "healing") or operation.get(VERB) in TOPIC_VERBS - {"import"}
    return True


def _problem_schemas() -> dict[str, Any]:
    _, found = models_json_schema([(Problem, "serialization")], ref_template=REF + "{model}")
    schemas: dict[str, Any] = found["$defs"]
    return schemas
