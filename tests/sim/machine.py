"""One simulated node: a data folder that lasts and a process that does not.

A process is a Context of node.service.identity.load with three things put in its place: a signer that keeps a record
of everything it ever signed, a signal that tells of each commit, and an engine that counts writes and at the one it is
told to, ends the process (Crash) or refuses for want of room (NoRoom). Nothing of a process is left after its end.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from node.config import Settings
from node.context import Context, Signal
from node.service.create import Plan, init_node
from node.service.exchange import Lane
from node.service.guard import GUARD
from node.service.guard import read as read_guard
from node.service.identity import load
from node.service.retry import retry_parked
from node.store.engine import connect
from node.store.schema import upgrade
from schemas.entry import Noted
from schemas.ids import Incarnation, NodeCode, Tier
from schemas.remark import Said
from schemas.statement import Entry, Remark
from sync.sealing import _PAYLOADS, ENTRY, REMARK
from tests.sim.chance import SimClock, private_key, write_keys
from tests.sim.ledger import Ledger, Recorder
from tests.sim.statements import make_quick

DATABASE = "node.db"
CLAIM_ASK_S = 600
_WRITES = ("INSERT", "UPDATE", "DELETE")
NEW_ENTRY, NEW_REMARK = "surveyed", "thanked"
"""Kinds of a later version, which an older node keeps and passes on unread."""


class Crash(BaseException):
    """The process of `machine` is gone, in the middle of what it did."""

    def __init__(self, machine: "Machine | None" = None) -> None:
        super().__init__()
        self.machine = machine


class Gone(BaseException):
    """The process whose call was under way has ended; nobody is left to hear the reply."""


class NoRoom(OperationalError):
    """The database refused one write; the process lives on."""


@dataclass(slots=True)
class Fuse:
    """What will happen, after `left` more writes where that counts."""

    kind: str
    left: int = 0


@dataclass(frozen=True, slots=True)
class Copy:
    """What a backup holds: the database, which knows the `epochs` its guard may name. With `guard` beside it, it is the
    copy of a whole machine."""

    database: bytes
    epochs: tuple[str | None, ...]
    guard: bytes | None


class _Committed(Signal):
    def __init__(self, machine: "Machine") -> None:
        super().__init__()
        self._machine = machine

    def notify(self, peers: frozenset[NodeCode]) -> None:
        super().notify(peers)
        self._machine.on_committed()


class Machine:
    def __init__(self, folder: Path, code: NodeCode, tier: Tier, clock: SimClock, ledger: Ledger, seed: int) -> None:
        self.code, self.tier, self.clock, self.ledger = code, tier, clock, ledger
        self.settings = Settings(data=folder / code, disk_reserve_bytes=0, claim_ask_s=CLAIM_ASK_S)
        self.epoch = 0
        self.commits = 0
        self.rested = -1
        """How many there had been when it last did, in the liveness phase, what nodes do by themselves."""
        self.generation = 0
        """How often another database was put in its place."""
        self.restored = False
        self.outlived = False
        """Whether it ever lost something of what it knew."""
        self.copies: list[Copy] = []
        self.unmet: set[NodeCode] = set()
        """Neighbours that have not been met since an older copy was put in place unnoticed."""
        self.refed: set[NodeCode] = set()
        """Neighbours that believe that this node has more than it has since its restore."""
        self.fuse: Fuse | None = None
        self.blown: list[str] = []
        self.knows_new = True
        self.joined = tier is Tier.PROVINCE
        self.lanes: dict[str, Lane] = {}
        self.busy: set[str] = set()
        self._seed, self._machines = seed, 0
        self._signer = Recorder(private_key(seed, code), ledger, code)
        self._make()
        self.ctx = self._load(True)
        self._side: Context | None = None
        self.looking = self._look()

    def _look(self) -> sqlite3.Connection:
        return sqlite3.connect(self.settings.data / DATABASE, isolation_level=None, check_same_thread=False)

    def _make(self) -> None:
        write_keys(self.settings.data, self._seed, self.code, self._machines)
        (self.settings.data / DATABASE).write_bytes(_empty())
        root = self.tier is Tier.PROVINCE
        plan = Plan(self.code, f"{self.code}政协", self.tier, f"http://127.0.0.1:1{self.code[:4]}", root)
        made = init_node(self.settings, self.clock, plan)
        made.engine.dispose()
        if made.pool is not None:
            made.pool.shutdown()
        self.ledger.adopt_stored(self.code, self.settings.data / DATABASE)

    def _load(self, new_start: bool) -> Context:
        ctx = load(self.settings, self.clock, new_start)
        if ctx.pool is not None:
            ctx.pool.shutdown()
        ctx.engine.dispose()
        _share_compiled(ctx.engine)
        make_quick(ctx.engine, self._on_execute)
        self._watch(ctx.engine)
        return replace(ctx, identity=replace(ctx.identity, signer=self._signer), pool=None, signal=_Committed(self))

    def _watch(self, engine: Engine) -> None:
        event.listen(engine, "connect", _unsynchronised)
        event.listen(engine, "commit", self._on_commit)
        event.listen(engine, "rollback", self._on_rollback)

    # ---- the life of a process ----------------------------------------------------------------------------------

    @contextmanager
    def at_work(self, side: bool = False) -> Iterator[Context]:
        """Code of this node runs, with the kinds its version knows; `side`: in a second process beside the first."""
        before = NEW_ENTRY in _PAYLOADS[ENTRY]
        set_version(self.knows_new)
        try:
            if side and self._side is None:
                self._side = self._load(False)
            yield self._side if side and self._side is not None else self.ctx
        finally:
            set_version(before)

    def restart(self, deaths: int = 0) -> None:
        """The process ends where it stands, and the next one starts from what was committed.

        `deaths`: as many of the next ones die while they start.
        """
        for n in range(deaths + 1):
            self.end()
            self.ctx = self._load(True)
            if n < deaths:
                self.fuse = Fuse("crash-at-commit")
            with suppress(Crash), self.at_work() as ctx:
                retry_parked(ctx)

    def renew(self) -> None:
        """After joining: the context that knows the granted incarnation."""
        self.end()
        self.ctx = self._load(True)

    def end(self) -> None:
        self.epoch += 1
        self.fuse = None
        self.lanes, self.busy = {}, set()
        self.ledger.forget(self.code)
        self._dispose()

    def _dispose(self) -> None:
        self.ctx.engine.dispose()
        if self._side is not None:
            self._side.engine.dispose()
            self._side = None

    @property
    def replaced(self) -> int:
        """How many machines with keys of their own there were before the present one."""
        return self._machines

    def close(self) -> None:
        self.looking.close()
        self._dispose()

    # ---- what a machine room does -------------------------------------------------------------------------------

    def copy(self, whole: bool) -> Copy:
        """The database as it is now; `whole`: with the guard, as a virtual machine is copied."""
        file = self.settings.data / GUARD
        guard = file.read_bytes() if whole and file.exists() else None
        return Copy(self.looking.serialize(), self.rows("SELECT confirmed, pending FROM guard")[0], guard)

    def put_back(self, copy: Copy) -> None:
        """Stop, replace the database (and the guard of a whole copy) by an older one, and start."""
        self._replace(copy.database, b"")
        if copy.guard is not None:
            (self.settings.data / GUARD).write_bytes(copy.guard)
        self.restored = True
        self.ctx = self._load(True)
        with self.at_work() as ctx:
            retry_parked(ctx)

    def swap(self, other: Copy) -> Copy:
        """Two copies of this node run side by side, and the other one acts now; gives the one that acted so far."""
        mine = self.copy(whole=True)
        self._replace(other.database, b"")
        (self.settings.data / GUARD).write_bytes(other.guard or b"")
        self.ctx = self._load(False)
        return mine

    def fits(self, copy: Copy) -> bool:
        """Whether the guard of this machine is the one the copy knows, so that nobody could tell it by that."""
        said = read_guard(self.settings.data)
        return said is not None and said.epoch in copy.epochs

    def lose_power(self, torn: bytes) -> None:
        """Only what was written to the disk is left: database and log of the last commit, and perhaps a torn write."""
        data = self.settings.data
        database, wal = (data / DATABASE).read_bytes(), data / f"{DATABASE}-wal"
        log = wal.read_bytes() if wal.exists() else b""
        self._replace(database, log + torn if log else b"")
        self.ctx = self._load(True)
        with self.at_work() as ctx:
            retry_parked(ctx)

    def _replace(self, database: bytes, wal: bytes) -> None:
        self.end()
        self.looking.close()
        data = self.settings.data
        for name in (f"{DATABASE}-wal", f"{DATABASE}-shm"):
            (data / name).unlink(missing_ok=True)
        (data / DATABASE).write_bytes(database)
        if wal:
            (data / f"{DATABASE}-wal").write_bytes(wal)
        self.looking = self._look()
        self.generation += 1

    def burn_down(self) -> None:
        """Nothing is left; another machine with another key takes the place, and is not enrolled yet."""
        self.end()
        self.looking.close()
        shutil.rmtree(self.settings.data)
        self._machines += 1
        self._signer = Recorder(private_key(self._seed, self.code, self._machines), self.ledger, self.code)
        self._make()
        self.ctx = self._load(True)
        self.looking = self._look()
        self.copies, self.generation, self.restored = [], self.generation + 1, True
        self.unmet = set()

    @property
    def inc(self) -> Incarnation:
        """The one it lives in; with number 0, the nonce drawn for the next."""
        number, nonce = self.rows("SELECT inc_number, inc_nonce FROM node")[0]
        return Incarnation(number, nonce)

    @property
    def healing(self) -> bool:
        return bool(self.rows("SELECT 1 FROM node WHERE inc_number = 0 AND healing_since IS NOT NULL"))

    def rows(self, query: str, *values: object) -> list[Any]:
        """What stands in the database, read beside the node."""
        return self.looking.execute(query, values).fetchall()

    # ---- what the fuse does -------------------------------------------------------------------------------------

    def _on_execute(self, statement: str) -> None:
        if self.fuse is None or not statement.startswith(_WRITES):
            return
        if self.fuse.kind in ("crash-in-transaction", "disk-full"):
            if self.fuse.left == 0:
                self._blow(statement)
            self.fuse.left -= 1

    def _on_commit(self, _conn: Any) -> None:
        if self.fuse is not None and self.fuse.kind == "crash-at-commit":
            self._blow("COMMIT")

    def _on_rollback(self, conn: Any) -> None:
        if conn.get_execution_options().get("liandong_write"):
            self.ledger.forget(self.code)

    def on_committed(self) -> None:
        self.commits += 1
        self.ledger.commit(self.code, lambda id: bool(self.rows("SELECT 1 FROM statements WHERE id = ?", id)))
        if self.fuse is not None and self.fuse.kind == "crash-after-commit":
            self._blow("")

    def _blow(self, statement: str) -> None:
        assert self.fuse is not None
        kind, self.fuse = self.fuse.kind, None
        self.blown.append(kind)
        if kind == "disk-full":
            raise NoRoom(statement[:40], {}, sqlite3.OperationalError("database or disk is full"))
        raise Crash(self)


_NEW = ((ENTRY, NEW_ENTRY, Entry[Noted]), (REMARK, NEW_REMARK, Remark[Said]))


def set_version(knows_new: bool) -> None:
    """All nodes share one process and so one table of kinds; whoever is at work finds in it what its version has."""
    for typ, kind, model in _NEW:
        if knows_new:
            _PAYLOADS[typ][kind] = model
        else:
            _PAYLOADS[typ].pop(kind, None)


_shared: list[Engine] = []
"""The first engine of this process. All are alike, so that what a query compiles to need not be found anew in each: a
tenth of the time of a run."""


def _share_compiled(engine: Engine) -> None:
    if not _shared:
        _shared.append(engine)
    engine.dialect, engine._compiled_cache = _shared[0].dialect, _shared[0]._compiled_cache


def _unsynchronised(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@cache
def _empty() -> bytes:
    """A database with all tables and nothing in them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / DATABASE
        engine = connect(f"sqlite:///{path}")
        upgrade(engine)
        engine.dispose()
        return path.read_bytes()
