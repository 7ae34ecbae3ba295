"""The composition root: one FastAPI app from a context, and the logging of a process.

Nothing is decided here. Routes are added flat rather than included: an included router is searched anew for every
request, twice.
"""

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TextIO, cast

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from node import __version__
from node.api import (
    aggregate,
    audit,
    drafts,
    federation,
    health,
    imports,
    links,
    lives,
    sessions,
    terms,
    topics,
    units,
    users,
)
from node.api.contract import describe
from node.api.gate import BodyLimit, Watch
from node.api.metrics import Metrics
from node.context import Context
from node.web.door import PublicDoor
from node.web.errors import answer, answer_framework
from node.web.site import ROUTES

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

ROUTERS: tuple[APIRouter, ...] = (
    topics.router,
    links.router,
    aggregate.router,
    lives.router,
    federation.router,
    sessions.router,
    imports.router,
    users.router,
    units.router,
    audit.router,
    terms.router,
    drafts.router,
    health.router,
)
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""The framework's own would carry citizens' text wherever the environment says; metrics and log are ours."""


def create_app(ctx: Context, lifespan: Lifespan | None = None) -> FastAPI:
    """The app that serves this node; `lifespan` starts and ends what runs beside it.

    Whoever stops the server sets `app.state.stopping` first, so that held requests come to an end.
    """
    app = FastAPI(
        title="联动 Liandong",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
        exception_handlers={HTTPException: _answer_framework, RequestValidationError: _answer_framework},
    )
    app.state.ctx = ctx
    app.state.metrics = Metrics()
    app.state.stopping = threading.Event()
    app.state.listeners = 0
    for router in ROUTERS:
        app.router.routes.extend(router.routes)
    app.router.routes.extend(ROUTES)
    app.add_middleware(BodyLimit, ctx=ctx)
    app.add_middleware(PublicDoor, ctx=ctx)
    app.add_middleware(Watch, ctx=ctx, metrics=app.state.metrics, answer=answer)
    app.openapi = lambda: _contract(app)  # type: ignore[method-assign]
    return app


class _Surviving:
    """Where the log goes. A line that cannot be written is lost, and not the request it was about: the log often
    stands on the disk that is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def set_up_logging(stream: TextIO | None = None) -> None:
    """JSON lines, ours and the libraries' alike, with everything but plain ASCII escaped: no line can pass for
    another, and none can turn a terminal or the reading direction round."""
    target = _Surviving(stream or sys.stderr)
    first: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _without_message,
    ]
    render = structlog.processors.JSONRenderer(ensure_ascii=True)
    structlog.configure(
        processors=[*first, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", target)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(cast("TextIO", target))
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=render, foreign_pre_chain=first))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], name != "uvicorn.access"
    for name in ("alembic", "apscheduler", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _answer_framework(request: Request, error: Exception) -> Response:
    response = await run_in_threadpool(answer_framework, request, error)
    if response.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods(request))
    return response


def _methods(request: Request) -> list[str]:
    """All methods of a path; the framework names those of the first route alone."""
    path = request.scope["path"]
    found = [route for route in request.app.routes if isinstance(route, Route) and route.path_regex.match(path)]
    return sorted({method for route in found for method in route.methods or ()})


def _contract(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = describe(app)
    return app.openapi_schema


def _without_message(_logger: Any, _name: str, event: Any) -> Any:
    """An exception by its class alone: what it says may be a citizen's text, as the values of a failed query are."""
    said = event.pop("exc_info", None)
    error = sys.exc_info()[1] if said is True else said[1] if isinstance(said, tuple) else said
    if isinstance(error, BaseException):
        event["error"] = type(error).__qualname__
    return event
