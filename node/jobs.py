"""What runs by itself: the two lanes to the parent, and a few ticks under APScheduler.

Exactly one process per database runs these: a lock in the data folder, or on PostgreSQL in the database, says which.
Every job may run twice without harm; all durable due-times stand in the tables.
"""

import fcntl
import os
import threading
from collections.abc import Callable
from typing import IO

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Connection, text

from node.context import Context
from node.domain.errors import DomainError
from node.domain.refusals import NodeRunning
from node.service import exchange, guard, summaries, totals, upkeep
from node.service.log import make_checkpoint
from node.service.retry import retry_parked
from node.store.changes import Changes, Look
from node.store.engine import JOB_LOCK, is_sqlite
from node.store.health import LOCK_FILE
from schemas.exchange import WAIT_S_MAX
from schemas.ids import NodeCode
from sync.delivery import retry_cap_s
from sync.errors import SyncError, TransportError

EXPIRY_TICK_S = 2
SUMMARY_TICK_S = 1
"""What changes within it is one row; so long it takes at each node until the tier above can see it."""
CHECKPOINT_TICK_S = 2
"""A burst of work costs one signature, and settles a little later."""
TOTALS_TICK_S = 60
LIVES_TICK_S = 2
EPOCH_TICK_S = 3600
UPKEEP_TICK_S = 3600
IDLE_POLL_S = 1.0
"""How often the push lane looks for work another process committed."""
LOOK_S = 10.0
"""So often a job looks although nobody committed anything: what falls due by the clock waits no longer."""

log = structlog.get_logger("jobs")


JobLock = IO[str] | Connection
"""The right to run a node's jobs: held until it is closed or the process ends."""


class Jobs:
    """Starts and stops everything a node does by itself. `lock`: taken before; otherwise `start` takes it."""

    def __init__(self, ctx: Context, lock: JobLock | None = None) -> None:
        self._ctx = ctx
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._changes = Changes(ctx.engine)
        self._work = Look(self._changes, LOOK_S)
        self._has_work = self._compares = False
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._threads: list[threading.Thread] = []
        self._lock = lock

    def start(self) -> None:
        """Raises NodeRunning where another process runs this node's jobs."""
        self._lock = self._lock or take_lock(self._ctx)
        retry_parked(self._ctx)
        self._ctx.signal.listen(self._committed)
        self._tick(lambda: upkeep.expire_offers(self._ctx), EXPIRY_TICK_S)
        self._tick(lambda: summaries.tick(self._ctx), SUMMARY_TICK_S)
        self._tick(lambda: make_checkpoint(self._ctx), CHECKPOINT_TICK_S)
        self._tick(lambda: totals.tick(self._ctx), TOTALS_TICK_S)
        self._tick(lambda: upkeep.live_on(self._ctx), LIVES_TICK_S)
        self._tick(lambda: guard.turn(self._ctx), EPOCH_TICK_S)
        self._tick(lambda: upkeep.prune(self._ctx), UPKEEP_TICK_S)
        self._scheduler.start()
        for name in ("push", "wait"):
            thread = threading.Thread(target=self._run_lane, args=(name,), name=f"lane-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ends after the call under way; what is not acknowledged goes out again at the next start."""
        self._stop.set()
        self._wake.set()
        self._ctx.signal.unlisten(self._committed)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for thread in self._threads:
            thread.join(timeout=2)
        self._changes.close()
        if self._lock is not None:
            self._lock.close()

    def _tick(self, job: Callable[[], object], every_s: int) -> None:
        look = Look(self._changes, LOOK_S)

        def turn() -> None:
            if look.is_due(self._ctx.clock.monotonic_s()):
                job()

        self._scheduler.add_job(
            _logged(turn), "interval", seconds=every_s, max_instances=1, coalesce=True, misfire_grace_time=None
        )

    def _committed(self, peers: frozenset[NodeCode]) -> None:
        self._wake.set()

    def _run_lane(self, name: str) -> None:
        """One lane, for ever: call, and after a failure wait longer each time, until any call succeeds."""
        failures = 0
        lane: exchange.Lane | None = None
        while not self._stop.is_set():
            try:
                lane = lane or exchange.find_lane(self._ctx, name)
                if lane is None:
                    self._stop.wait(IDLE_POLL_S)
                    continue
                self._serve_lane(lane)
                failures = 0
            except (TransportError, SyncError, DomainError) as error:
                failures += 1
                delay_s = self._ctx.clock.jitter(retry_cap_s(failures))
                log.info("exchange failed", lane=name, why=str(error), failures=failures, retry_s=round(delay_s, 1))
                self._rest(lane, delay_s)
            except Exception:
                failures += 1
                log.exception("exchange broke", lane=name)
                self._stop.wait(max(1.0, self._ctx.clock.jitter(retry_cap_s(failures))))

    def _rest(self, lane: exchange.Lane | None, delay_s: float) -> None:
        """Wait before the next try; a success on the other lane, or an operator's call, ends it at once."""
        until = self._ctx.clock.monotonic_s() + delay_s
        while not self._stop.is_set() and (left := until - self._ctx.clock.monotonic_s()) > 0:
            self._stop.wait(min(left, IDLE_POLL_S))
            if lane is not None and not exchange.failing(self._ctx, lane.peer):
                return

    def _serve_lane(self, lane: exchange.Lane) -> None:
        if lane.name == "wait":
            exchange.call(self._ctx, lane, WAIT_S_MAX, listens=True)
            return
        self._wake.clear()
        if self._work.is_due(self._ctx.clock.monotonic_s()):
            self._has_work = exchange.has_work(self._ctx, lane)
            self._compares = exchange.is_comparing(self._ctx, lane.peer)
        due = self._has_work
        if not due and not self._wake.wait(IDLE_POLL_S):
            due = lane.lacks or self._compares
        if due:
            exchange.call(self._ctx, lane)


def take_lock(ctx: Context) -> JobLock:
    """The right to run this node's jobs. Raises NodeRunning."""
    if is_sqlite(ctx.engine):
        handle = open(ctx.settings.data / LOCK_FILE, "w")  # noqa: SIM115 - held as long as the node runs
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise NodeRunning(str(ctx.settings.data)) from None
        handle.write(str(os.getpid()))
        handle.flush()
        return handle
    conn = ctx.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    conn.detach()  # its end is the end of the lock: a pooled connection would keep it
    if not conn.execute(text(f"SELECT pg_try_advisory_lock({JOB_LOCK})")).scalar():
        conn.close()
        raise NodeRunning("in this database")
    return conn


def _logged(job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        try:
            job()
        except Exception:
            log.exception("job failed")

    return run
