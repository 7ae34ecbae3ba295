"""The public door's limits, before anything of a request is read: how often one address and all together may come.

What is refused here costs a dictionary look-up, so that a flood of citizens' requests leaves the staff their node. The
counts are this process's own.
"""

import ipaddress

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from node.api.auth import address
from node.context import Context
from node.domain.refusals import Unavailable
from node.service.throttle import Bucket, bucket

DOORS = ("/p/", "/r/", "/raise", "/follow")
"""Pages for whoever has no account."""
AT_ONCE_MAX = 12
"""Requests of the public door that are worked on together; the threads are the staff's as well."""
READS = (2.0, 60)
"""Of one address: so many a second, so many at once."""
WRITES = (1 / 15, 12)
ALL_READS = (60.0, 240)
ALL_WRITES = (2.0, 60)


class PublicDoor:
    """Refuses what is too much, and lets only so many in together. Raises Throttled, Unavailable."""

    def __init__(self, app: ASGIApp, ctx: Context) -> None:
        self.app = app
        self.ctx = ctx
        self.inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(DOORS):
            return await self.app(scope, receive, send)
        writes = scope["method"] not in ("GET", "HEAD")
        one, every = ("writes", "all writes") if writes else ("reads", "all reads")
        self._bucket(one, WRITES if writes else READS).take(_network(address(self.ctx, Request(scope))))
        self._bucket(every, ALL_WRITES if writes else ALL_READS).take("")
        if self.inside >= AT_ONCE_MAX:
            raise Unavailable
        self.inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.inside -= 1

    def _bucket(self, name: str, limit: tuple[float, int]) -> Bucket:
        return bucket(self.ctx, f"door {name}", *limit)


def _network(host: str) -> str:
    """Whom an address counts for: of IPv6 the network of a household, which has addresses without number."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else host
