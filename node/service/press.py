"""Drawing and printing, in a process of its own that is there only while somebody looks.

A node that draws nothing pays nothing: the process is started by the first picture asked for, and ended some minutes
after the last. There is one, so a rush of pictures costs one core and no more; who would wait too long is told that the
node is busy. A picture once drawn is kept by what it was drawn from: the same figures are never drawn twice.
"""

import atexit
import base64
import hashlib
import json
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from node.domain.charts import Spec
from node.domain.refusals import NoChineseFont, Unavailable

COMMAND = (sys.executable, "-m", "node.service.press_child")
IDLE_S = 180.0
"""How long the process is kept after the last picture."""
WORK_MAX_S = 60.0
"""Beyond, the process is taken to hang and is ended."""
WAIT_S = 20.0
WAITING_MAX = 16
"""Requests that may wait for it at once: each holds one of the node's threads."""
KEPT_MAX = 128
"""Pictures kept, of some twenty kilobytes each."""
HASH_CHARS = 16

_log = structlog.get_logger()


def mark(spec: Spec) -> str:
    """Names a picture by what it is drawn from."""
    plain = json.dumps(spec, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()[:HASH_CHARS]


class Press:
    """The process and what it has drawn; safe to use from many threads."""

    def __init__(
        self, command: Sequence[str] = COMMAND, idle_s: float = IDLE_S, work_max_s: float = WORK_MAX_S
    ) -> None:
        self._command = command
        self._idle_s = idle_s
        self._work_max_s = work_max_s
        self._turn = threading.Lock()
        self._waiting = threading.BoundedSemaphore(WAITING_MAX)
        self._child: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._keeping = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def draw(self, spec: Spec) -> bytes:
        """The SVG. Raises Unavailable."""
        key = mark(spec)
        return self._recalled(key) or self._ask({"work": "draw", "spec": spec}, key)

    def typeset(self, template: str, data: dict[str, Any], at: datetime) -> bytes:
        """The PDF that a template of this folder makes of `data`. Raises NoChineseFont, Unavailable."""
        return base64.b64decode(
            self._ask({"work": "typeset", "template": template, "data": data, "at": at.isoformat()})
        )

    def close(self) -> None:
        """End the process; the next picture starts another."""
        with self._turn:
            self._end()

    def _ask(self, asked: dict[str, Any], key: str | None = None) -> bytes:
        if not self._waiting.acquire(blocking=False):
            raise Unavailable
        try:
            if not self._turn.acquire(timeout=WAIT_S):
                raise Unavailable
            try:
                return (key and self._recalled(key)) or self._keep(key, self._worked(asked))
            finally:
                self._turn.release()
        finally:
            self._waiting.release()

    def _recalled(self, key: str) -> bytes | None:
        with self._keeping:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        return found

    def _keep(self, key: str | None, made: bytes) -> bytes:
        if key is not None:
            with self._keeping:
                self._kept[key] = made
                while len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
        return made

    def _worked(self, asked: dict[str, Any]) -> bytes:
        """One question and its answer; the turn is held."""
        child = self._running()
        watchdog = threading.Timer(self._work_max_s, child.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            said = _exchanged(child, asked)
        finally:
            watchdog.cancel()
        if said is None:
            self._end()
            _log.warning("press ended", work=asked["work"])
            raise Unavailable
        self._rest()
        if "error" in said:
            if said["error"] == "NoFont":
                raise NoChineseFont
            _log.warning("press failed", work=asked["work"], error=said["error"])
            raise Unavailable
        return str(said["made"]).encode()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._timer is not None:
            self._timer.cancel()
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=Path(__file__).parents[2],
            )
        return self._child

    def _rest(self) -> None:
        self._timer = threading.Timer(self._idle_s, self.close)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        """The turn is held. The process ends when its input does; one that does not is made to."""
        if self._timer is not None:
            self._timer.cancel()
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                _shut(pipe)
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _exchanged(child: "subprocess.Popen[bytes]", asked: dict[str, Any]) -> dict[str, Any] | None:
    """What the process answers; None where it is no more."""
    if child.stdin is None or child.stdout is None:
        return None
    try:
        child.stdin.write(json.dumps(asked).encode() + b"\n")
        child.stdin.flush()
        line = child.stdout.readline()
        found: dict[str, Any] | None = json.loads(line) if line else None
    except (OSError, ValueError):
        return None
    return found


def _shut(pipe: Any) -> None:
    """A pipe to a process that is gone cannot be flushed, and closes all the same."""
    try:
        pipe.close()
    except OSError:
        return


@cache
def press() -> Press:
    """The one of this process of the node."""
    made = Press()
    atexit.register(made.close)
    return made
