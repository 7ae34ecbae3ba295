"""The nodes of a province as processes: each forked from this one after the program is loaded, with its own database,
web server, jobs and player. They are started, killed, backed up, lost and restored one by one, and looked into from
outside.
"""

import ctypes
import gc
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import gansu
from benchmarks.gansu import Place
from benchmarks.lines import Lines
from benchmarks.replay import LASTING, Office
from node.cli.server import serve
from node.clock import Clock
from node.config import Settings
from node.domain import catalogue as powers
from node.domain.categories import builtin_categories
from node.domain.divisions import builtin
from node.service.backup import back_up, restore
from node.service.identity import load

_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2): whatever ends the measuring process ends the nodes."""
_MIB = 2**20
STOP_S = 30


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. A node's `own` is what no other process shares; `whole` is everything, shared pages once."""

    own: list[float]
    whole: float


class Fleet:
    """The running nodes; the processes are children of this one."""

    def __init__(self, folder: Path, places: Sequence[Place], quotas: Mapping[str, int]) -> None:
        self.folder = folder
        self.places = {place.code: place for place in places}
        self.quotas = quotas
        self._pids: dict[str, int] = {}
        self._lines: Lines | None = None

    def make(self) -> None:
        """Every node, in a process that ends: nothing of theirs stays open here."""
        _run(lambda: gansu.make(self.folder, list(self.places.values()), Clock()))

    def start_all(self) -> None:
        """Raises RuntimeError where another program took one of their ports meanwhile."""
        for port in [port for place in self.places.values() for port in (place.port, place.line)]:
            if gansu.taken(port):
                raise RuntimeError(f"port {port} is in use by another program; end it, or begin anew")
        above = {place.code: self.places[place.parent] for place in self.places.values() if place.parent}
        self._lines = Lines({code: (self.places[code].line, parent.port) for code, parent in above.items()}, _fork)
        for code in self.places:
            self.start(code)

    @property
    def lines(self) -> Lines:
        assert self._lines is not None
        return self._lines

    def start(self, code: str) -> None:
        settings, quota = self.settings(code), self.quotas.get(code, 0)
        self._pids[code] = _fork(lambda: _serve(settings, quota))

    def kill(self, code: str) -> None:
        os.kill(self._pids[code], signal.SIGKILL)
        os.waitpid(self._pids.pop(code), 0)

    def stop(self) -> None:
        """Let all end; who takes too long on a busy machine is killed, which may befall it at any time."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGTERM)
        _, slow = psutil.wait_procs([psutil.Process(pid) for pid in self._pids.values()], timeout=STOP_S)
        for process in slow:
            process.kill()
        psutil.wait_procs(slow)
        self._pids.clear()
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def back_up(self, code: str) -> None:
        """While it works, as its administrator would."""
        _run(lambda: back_up(load(self.settings(code), Clock()), self._backup(code)))

    def lose_and_restore(self, code: str) -> None:
        """Its machine is gone; another gets the last backup and is started."""
        self.kill(code)
        shutil.rmtree(self.folder / code)
        _run(lambda: restore(self.settings(code), self._backup(code)))
        self.start(code)

    def settings(self, code: str) -> Settings:
        return Settings(data=self.folder / code, disk_reserve_bytes=0)

    def ask(self, code: str, query: str, *values: Any) -> list[Any]:
        """Rows of a node's own database, read beside it."""
        path = self.folder / code / "node.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as conn:
            return conn.execute(query, values).fetchall()

    def memory(self) -> Memory:
        found = [psutil.Process(pid).memory_full_info() for pid in (*self._pids.values(), os.getpid())]
        return Memory([info.uss / _MIB for info in found[:-1]], sum(info.pss for info in found) / _MIB)

    def solved(self) -> int:
        query = "SELECT count(*) FROM topics WHERE origin = ? AND status = 'closed' AND kind <> ?"
        return sum(self.ask(code, query, code, LASTING)[0][0] for code in self.quotas)

    def incarnation(self, code: str) -> int:
        """The number of the one a node lives in; 0 while it heals."""
        found: int = self.ask(code, "SELECT inc_number FROM node")[0][0]
        return found

    def restless(self) -> list[str]:
        """The nodes that still have something to seal or to send, or may not write yet."""
        query = (
            "SELECT (SELECT count(*) FROM rows_due) + (SELECT coalesce(sum(sent_seq - acked_seq), 0) FROM links)"
            " + (SELECT inc_number = 0 FROM node)"
        )
        return [code for code in self.places if self.ask(code, query)[0][0]]

    def _backup(self, code: str) -> Path:
        return self.folder / f"{code}.liandong"


def preload() -> None:
    """What all processes share: the program, and the lists it comes with."""
    builtin()
    builtin_categories()
    powers.builtin()
    gc.collect()
    gc.freeze()


def _serve(settings: Settings, quota: int) -> None:
    log = os.open(settings.data / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    Office(settings, quota).start()
    serve(settings, None, None, True, lambda _text: None)


def _run(work: Callable[[], object]) -> None:
    """In a process of its own, to its end. Raises RuntimeError where it fails."""
    if os.waitpid(_fork(work), 0)[1] != 0:
        raise RuntimeError("a step of the replay failed; its reason is above")


def _fork(work: Callable[[], object]) -> int:
    """Do it in another process, which ends with it, whatever comes."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        work()
        code = 0
    except BaseException as error:
        print(f"{time.strftime('%H:%M:%S')} {type(error).__name__} {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)
