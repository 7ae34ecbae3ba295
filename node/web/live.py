"""Tells open pages that something has changed here, as server-sent events; what changed, they ask for themselves.

An event is held without a thread or a transaction. It ends with the session, and when the node stops.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from node.context import Context
from node.domain.refusals import Unavailable
from node.service.pulse import mark
from node.web.visit import HEADERS, visitor

POLL_S = 2.0
"""How often it is looked for what another process committed; this one's is told at once."""
REST_S = 1.0
"""Shortest time between two events: a backlog that drains is many commits."""
BEAT_S = 20.0
"""Something is sent at least so often, so that a dead connection is noticed at both ends."""
SESSION_CHECK_S = 60.0
LISTENERS_MAX = 200

MEDIA_TYPE = "text/event-stream"


async def events(request: Request) -> Response:
    """`GET /events`. 204 tells a browser not to come again: nobody is signed in."""
    visit = await run_in_threadpool(visitor, request)
    if visit.actor is None:
        return Response(status_code=204, headers=HEADERS)
    if request.app.state.listeners >= LISTENERS_MAX:
        raise Unavailable
    return StreamingResponse(_stream(request, visit.ctx), media_type=MEDIA_TYPE, headers=HEADERS)


async def _stream(request: Request, ctx: Context) -> AsyncIterator[str]:
    loop, news = asyncio.get_running_loop(), asyncio.Event()

    def wake(_peers: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    request.app.state.listeners += 1
    ctx.signal.listen(wake)
    try:
        async for line in _told(request, ctx, news):
            yield line
    finally:
        ctx.signal.unlisten(wake)
        request.app.state.listeners -= 1


async def _told(request: Request, ctx: Context, news: asyncio.Event) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    seen, said, checked = await run_in_threadpool(mark, ctx), clock(), clock()
    yield "retry: 5000\n\n"
    while not request.app.state.stopping.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), POLL_S)
        news.clear()
        if clock() - checked > SESSION_CHECK_S:
            checked = clock()
            if (await run_in_threadpool(visitor, request)).actor is None:
                return
        now = await run_in_threadpool(mark, ctx)
        if now != seen:
            seen, said = now, clock()
            yield f"event: change\ndata: {now}\n\n"
            await asyncio.sleep(REST_S)
        elif clock() - said > BEAT_S:
            said = clock()
            yield ": still here\n\n"
