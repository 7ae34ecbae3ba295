"""What every request passes first and every response last: limits before anything is parsed, headers, the log line,
the count, and the problem document of whatever nobody handled.

Plain ASGI: the framework's own middleware base costs a task and two queues for each request.
"""

import asyncio
from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.api.metrics import Metrics
from node.api.problems import kind_of
from node.context import Context
from node.domain.refusals import TooLarge, Unavailable

EXCHANGE_BYTES_MAX = 16 * 1024 * 1024
JOIN_BYTES_MAX = 64 * 1024
SUBMISSION_BYTES_MAX = 16 * 1024
SESSION_BYTES_MAX = 16 * 1024
MULTIPART_BYTES_MAX = 64 * 1024
"""What a form may weigh beside the file in it."""
BODY_SILENCE_S = 30
"""Longest wait for the next bytes of a body."""
OTHER_BYTES_MAX = 64 * 1024
UPLOADS = ("/api/v1/imports", "/import")
DOOR_BYTES_MAX = 25 * 1024 * 1024
DOORS = ("/p/", "/raise")
"""Where whoever has no account sends a few photos."""
API = "/api/"
WORK = (API, "/topics/", "/intake")
"""Where people write down matters: in JSON, or in the forms of pages."""
COUNTED = (API, "/federation/v1/log/", "/federation/v1/witness/")
REQUESTS_MAX = 256
"""Of the operators' API and of auditors at once; held exchanges of neighbours are counted by those who hold them."""
CLIENT_LEFT = 499
"""Only in log and count: nobody was there to be answered."""

Answer = Callable[[Scope, Exception, str | None], Response]
"""How an error is put to whoever asked: a problem document, or a page."""

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)


class BodyLimit:
    """Refuses a body above the limit of its path: at once where it says its size, else while its bytes are counted."""

    def __init__(self, app: ASGIApp, ctx: Context) -> None:
        self.app = app
        self.upload = ctx.settings.request_bytes_max + MULTIPART_BYTES_MAX
        self.json = ctx.settings.json_bytes_max
        self.paths = {
            "/federation/v1/exchange": EXCHANGE_BYTES_MAX,
            "/federation/v1/join": JOIN_BYTES_MAX,
            "/federation/v1/witness/add-checkpoint": SUBMISSION_BYTES_MAX,
            "/api/v1/sessions": SESSION_BYTES_MAX,
            **dict.fromkeys(UPLOADS, self.upload),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.limit(scope["path"])
        if _said_length(scope) > limit:
            raise TooLarge(f"at most {limit} bytes")
        left, more = limit, True

        # Exceptions of the framework's own kind: its form reader lets no other one through.
        async def counted() -> Message:
            nonlocal left, more
            try:
                async with asyncio.timeout(BODY_SILENCE_S if more else None):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(400, headers={"Connection": "close"}) from None
            more = message.get("more_body", False)
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)
            return message

        await self.app(scope, counted, send)

    def limit(self, path: str) -> int:
        known = self.paths.get(path)
        if known is not None:
            return known
        if path.startswith(DOORS):
            return DOOR_BYTES_MAX
        return self.json if path.startswith(WORK) else OTHER_BYTES_MAX


class Watch:
    """Outermost: sets the headers, writes one line and one count for each request, answers what nobody handled."""

    def __init__(self, app: ASGIApp, ctx: Context, metrics: Metrics, answer: Answer) -> None:
        self.app = app
        self.answer = answer
        self.clock = ctx.clock
        self.metrics = metrics
        self.log = structlog.get_logger("node.http")
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status = self.clock.monotonic_s(), 0

        async def out(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message)
            await send(message)

        self.running += 1
        try:
            if self.running > REQUESTS_MAX and scope["path"].startswith(COUNTED):
                raise Unavailable
            await self.app(scope, receive, out)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except Exception as error:
            if status:
                raise
            await self.answer(scope, error, self._note(error))(scope, receive, out)
        finally:
            self.running -= 1
            self._record(scope, status or CLIENT_LEFT, self.clock.monotonic_s() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.seen(scope["method"], route, status, seconds)
        self.log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 2))

    def _note(self, error: Exception) -> str | None:
        """The log entry of a fault of the program: where it was, never what it said, which may be a citizen's."""
        if kind_of(error).status != 500:
            return None
        instance = f"urn:liandong:fault:{self.clock.token(8)}"
        self.log.error("fault", instance=instance, error=type(error).__qualname__, where=_places(error))
        return instance


def _places(error: Exception) -> list[str]:
    places, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-8:]


def _said_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _add_headers(message: Message) -> None:
    headers = message.setdefault("headers", [])
    there = {name.lower() for name, _ in headers}
    headers.extend(pair for pair in _HEADERS if pair[0] not in there)
