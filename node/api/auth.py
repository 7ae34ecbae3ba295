"""Who is asking: the bearer token of a request, the account behind it, and whether its roles have the verb."""

import re

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from node.context import Context
from node.domain.policy import allowed
from node.domain.refusals import NotAllowed, Unauthenticated
from node.service.perform import Actor
from node.service.sessions import authenticate

_BEARER = re.compile(r"bearer +([0-9a-f]{64})", re.IGNORECASE)


def context(request: HTTPConnection) -> Context:
    """The context the app was made with."""
    ctx: Context = request.app.state.ctx
    return ctx


def admit(ctx: Context, headers: Headers, verb: str) -> Actor:
    """Who asks, if this account may use the verb. Raises Unauthenticated, NotAllowed."""
    actor = authenticate(ctx, bearer(headers))
    if not allowed(actor.roles, verb):
        raise NotAllowed(verb)
    return actor


def bearer(headers: Headers) -> str:
    """The token of the one Authorization header. Raises Unauthenticated."""
    given = headers.getlist("authorization")
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        raise Unauthenticated
    return found[1].lower()
