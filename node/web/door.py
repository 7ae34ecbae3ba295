"""The public door's limits, before anything of a request is read: how often one address and all together may come.

What is refused here costs a dictionary look-up and a few bytes made before, so that a flood of citizens' requests
leaves the staff their node. A form that is sent without the cookie its page set can only be refused, so it does not use
up what all together may send. The counts are this process's own.
"""

import ipaddress

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.auth import address
from node.context import Context
from node.domain.refusals import TooManyRequests, Unavailable
from node.service.throttle import Bucket, bucket
from node.web.cookies import Name, read_cookie
from node.web.forgery import ForeignForm

DOORS = ("/p/", "/r/", "/raise", "/follow")
"""Pages for whoever has no account."""
AT_ONCE_MAX = 12
"""Requests of the public door that are worked on together; the threads are the staff's as well."""
READS = (2.0, 60)
"""Of one address: so many a second, so many at once."""
WRITES = (1 / 15, 12)
ALL_READS = (60.0, 240)
ALL_WRITES = (2.0, 60)
SECRETS: tuple[Name, ...] = ("guest", "session")
"""Cookies a form's token is made from."""
BUSY = (
    "现在提交的人太多，或页面已过期：请过一会儿重新打开。\nToo busy, or too old a page: open it again a little later.\n"
).encode()


class PublicDoor:
    """Refuses what is too much, and lets only so many in together."""

    def __init__(self, app: ASGIApp, ctx: Context) -> None:
        self.app = app
        self.ctx = ctx
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(DOORS):
            return await self.app(scope, receive, send)
        writes = scope["method"] not in ("GET", "HEAD")
        try:
            self._admit(Request(scope), writes)
        except TooManyRequests as error:
            return await _turn_away(send, 429, error.retry_after_s)
        except ForeignForm:
            return await _turn_away(send, 403, None)
        if self.inside >= AT_ONCE_MAX:
            return await _turn_away(send, 503, Unavailable.retry_after_s)
        self.inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.inside -= 1

    def _admit(self, request: Request, writes: bool) -> None:
        """Raises TooManyRequests, ForeignForm."""
        one, every = ("writes", "all writes") if writes else ("reads", "all reads")
        self._bucket(one, WRITES if writes else READS).take(_network(address(self.ctx, request)))
        if writes and not any(read_cookie(request, self.ctx, name) for name in SECRETS):
            raise ForeignForm
        self._bucket(every, ALL_WRITES if writes else ALL_READS).take("")

    def _bucket(self, name: str, limit: tuple[float, int]) -> Bucket:
        return bucket(self.ctx, f"door {name}", *limit)


async def _turn_away(send: Send, status: int, retry_after_s: int | None) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(BUSY)).encode())]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": BUSY})


def _network(host: str) -> str:
    """Whom an address counts for: of IPv6 the network of a household, which has addresses without number."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else host
