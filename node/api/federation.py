"""The door to neighbours: one exchange document in, one out; joining; and the log, for everybody (SPEC 8, 9, 15).

Raw bytes go straight to the protocol. On the `wait` lane the reply is held, without a thread or a transaction, until
something was committed for that child or its patience is over.
"""

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from node.context import Context
from node.domain.refusals import StaleCheckpoint
from node.service.exchange import CHALLENGED, has_news, is_comparing, reply_to
from node.service.joining import enrol_child
from node.service.log import checkpoint_text, tile_bytes
from node.service.receive import Received, receive_request
from node.service.witness import add_checkpoint
from schemas.exchange import MEDIA_TYPE
from schemas.ids import NodeCode

NOTE = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"
TILE = "application/octet-stream"
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
COMPARE_S = 1.0
"""How long a reply is held at most while this node wants to compare with the caller."""
POLL_S = 2.0
"""How often a held reply looks for news that another process committed; this one's wake it at once."""

router = APIRouter(prefix="/federation/v1", tags=["federation"])


@router.post(
    "/exchange",
    summary="Exchange documents with a child node",
    response_class=Response,
    responses={
        200: {"content": {MEDIA_TYPE: {}}},
        428: {"content": {MEDIA_TYPE: {}}, "description": "Challenge first"},
    },
)
async def exchange(request: Request) -> Response:
    """A sealed document in, a sealed document out; 428 gives a challenge and has applied nothing."""
    ctx: Context = request.app.state.ctx
    raw = await request.body()
    received = await run_in_threadpool(receive_request, ctx, raw)
    if received.document.header.lane == "wait" and not received.challenged:
        await _wait_for_news(ctx, received, request)
    body = await run_in_threadpool(reply_to, ctx, received)
    return Response(body, status_code=CHALLENGED if received.challenged else 200, media_type=MEDIA_TYPE)


@router.post("/join", summary="Enrol the sender as a child", response_class=Response)
async def join(request: Request) -> Response:
    """A signed join request in, the registry of the tree out."""
    ctx: Context = request.app.state.ctx
    raw = await request.body()
    return Response(await run_in_threadpool(enrol_child, ctx, raw), media_type=MEDIA_TYPE)


@router.get(
    "/log/checkpoint",
    summary="The latest checkpoint of this node's log, with its cosignatures",
    response_class=Response,
    responses={200: {"content": {NOTE: {}}}},
)
def log_checkpoint(request: Request) -> Response:
    """A C2SP tlog-checkpoint."""
    return Response(checkpoint_text(request.app.state.ctx), media_type=NOTE)


@router.get(
    "/log/tile/{path:path}",
    summary="A tile of this node's log: hashes, or identities of statements",
    response_class=Response,
    responses={200: {"content": {TILE: {}}}},
)
def log_tile(request: Request, path: str) -> Response:
    """C2SP tlog-tiles: `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, within the latest checkpoint."""
    return Response(tile_bytes(request.app.state.ctx, path), media_type=TILE, headers=IMMUTABLE)


@router.post(
    "/witness/add-checkpoint",
    summary="Ask this node to cosign a checkpoint of a neighbour's log",
    response_class=Response,
    responses={200: {"content": {NOTE: {}}}, 409: {"content": {SIZE: {}}, "description": "Not the size signed last"}},
    openapi_extra={"requestBody": {"required": True, "content": {NOTE: {}}}},
)
async def witness_checkpoint(request: Request) -> Response:
    """C2SP tlog-witness: old size, consistency proof and checkpoint in, a cosignature line out."""
    raw = await request.body()
    try:
        line = await run_in_threadpool(add_checkpoint, request.app.state.ctx, raw)
    except StaleCheckpoint as stale:
        return Response(f"{stale.size}\n", status_code=409, media_type=SIZE)
    return Response(line, media_type=NOTE)


async def _wait_for_news(ctx: Context, received: Received, request: Request) -> None:
    loop = asyncio.get_running_loop()
    patience_s: float = received.document.header.budget.wait_s
    if await run_in_threadpool(is_comparing, ctx, received.peer):
        patience_s = min(patience_s, COMPARE_S)
    deadline = loop.time() + patience_s
    news = asyncio.Event()
    listener = _waker(loop, news, received.peer)
    ctx.signal.listen(listener)
    try:
        while not await run_in_threadpool(has_news, ctx, received):
            left = deadline - loop.time()
            if left <= 0 or await request.is_disconnected() or request.app.state.stopping.is_set():
                return
            await _wait(news, min(left, POLL_S))
    finally:
        ctx.signal.unlisten(listener)


async def _wait(news: asyncio.Event, timeout_s: float) -> None:
    try:
        await asyncio.wait_for(news.wait(), timeout_s)
    except TimeoutError:
        return
    news.clear()


def _waker(
    loop: asyncio.AbstractEventLoop, news: asyncio.Event, peer: NodeCode
) -> Callable[[frozenset[NodeCode]], None]:
    def wake(peers: frozenset[NodeCode]) -> None:
        if peer in peers and not loop.is_closed():
            loop.call_soon_threadsafe(news.set)

    return wake
