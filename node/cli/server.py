"""The node as a process: one web server with its jobs beside it, or either alone.

Stopping: the signal lets held requests end and the jobs finish the call they are in, both at once, so that a node is
down within about two seconds. Nothing depends on that: a node killed at any moment goes on from its last commit.

A node that has not joined the tree yet, or is healing, is served read-only. Which incarnation it lives in stands in the
database, so nothing has to be restarted when that changes.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from node.app import create_app, set_up_logging
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.refusals import NodeRunning
from node.jobs import JobLock, Jobs, take_lock
from node.service import healing
from node.service.identity import load

STOP_S = 2
"""How long running requests may take to end."""
KEEP_ALIVE_S = 75
BACKLOG = 512
SWITCH_S = 0.001
"""How long a thread that takes in a backlog may compute while one that makes a page waits for its turn."""

Say = Callable[[str], None]


class _Server(uvicorn.Server):
    """Ends quietly on a signal, and tells others at once."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._on_signal()


def serve(settings: Settings, host: str | None, port: int | None, jobs: bool, say: Say) -> None:
    """Serve the node of `settings` until a signal. Raises NoNode, NodeRunning, OSError."""
    set_up_logging()
    sys.setswitchinterval(SWITCH_S)
    ctx, lock = start(settings, jobs)
    sock = _listen(*_address(ctx.identity.url, host, port))
    say(_greeting(ctx, sock, jobs))
    _serve(ctx, sock, Jobs(ctx, lock) if jobs else None)
    ctx.engine.dispose()


def work(settings: Settings, say: Say) -> None:
    """Run the jobs of the node of `settings` until a signal. Raises NoNode, NodeRunning."""
    set_up_logging()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ctx, lock = start(settings, True)
    say(f"{ctx.identity.code} {ctx.identity.name}：后台任务 / jobs, pid {os.getpid()}")
    jobs = Jobs(ctx, lock)
    jobs.start()
    ended.wait()
    jobs.stop()
    ctx.engine.dispose()


def start(settings: Settings, jobs: bool) -> tuple[Context, JobLock | None]:
    """The context, and the right to run the jobs where this process is to run them. Raises NoNode, NodeRunning.

    Whoever has that right draws the instance, and keeps the right from then on: let go in between, another process
    that starts at the same moment could draw its own, and the one that runs would not be the one on record.
    """
    ctx = load(settings, Clock())
    if not jobs:
        return ctx, None
    lock = take_lock(ctx)
    return load(settings, Clock(), new_start=True), lock


def _serve(ctx: Context, sock: socket.socket, jobs: Jobs | None) -> None:
    stopper = threading.Thread(target=jobs.stop, name="stop-jobs", daemon=True) if jobs else None

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if jobs:
            jobs.start()
        yield
        if stopper:
            _begin(stopper)
            stopper.join()

    app = create_app(ctx, lifespan)

    def stop() -> None:
        app.state.stopping.set()
        if stopper:
            _begin(stopper)

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
    )
    server = _Server(config, stop)
    server.run(sockets=[sock])
    if not server.started:
        raise NodeRunning(str(ctx.settings.data))


def _begin(thread: threading.Thread) -> None:
    if thread.ident is None:
        thread.start()


def _address(url: str, host: str | None, port: int | None) -> tuple[str, int]:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return host or parts.hostname or "127.0.0.1", port if port is not None else parts.port or default


def _listen(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, proto)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    sock.listen(BACKLOG)
    sock.set_inheritable(False)
    return sock


def _greeting(ctx: Context, sock: socket.socket, jobs: bool) -> str:
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    host, port = sock.getsockname()[:2]
    kind = "" if jobs else "（不含后台任务 / without jobs）"
    waits = healing.line(ctx)
    state = f"；{waits[0]} / {waits[1]}" if waits else ""
    shown = f"[{host}]" if ":" in host else host
    return f"{ctx.identity.code} {ctx.identity.name} http://{shown}:{port} pid {os.getpid()}{kind}{state}"
