"""Who is asking: the bearer token of a request, the account behind it, and whether its roles have the verb."""

import ipaddress
import re

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from node.context import Context
from node.domain.refusals import Unauthenticated
from node.service.admit import admitted
from node.service.perform import Actor

_BEARER = re.compile(r"bearer +([0-9a-f]{64})", re.IGNORECASE)


def context(request: HTTPConnection) -> Context:
    """The context the app was made with."""
    ctx: Context = request.app.state.ctx
    return ctx


def admit(ctx: Context, headers: Headers, verb: str) -> Actor:
    """Who asks, if this account may use the verb now. Raises Unauthenticated, NotAllowed and its kinds."""
    return admitted(ctx, bearer(headers), verb)


def address(ctx: Context, request: HTTPConnection) -> str:
    """Where a request comes from: the connection's other end, or what one's own reverse proxy says of it."""
    peer = request.client.host if request.client else ""
    if not _inside(peer, ctx.settings.proxies):
        return peer
    said = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return said if said and _address(said) else peer


def _inside(host: str, networks: tuple[str, ...]) -> bool:
    found = _address(host)
    return found is not None and any(found in ipaddress.ip_network(network) for network in networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def bearer(headers: Headers) -> str:
    """The token of the one Authorization header. Raises Unauthenticated."""
    given = headers.getlist("authorization")
    found = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if found is None:
        raise Unauthenticated
    return found[1].lower()
