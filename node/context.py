"""What services are given: settings, database, clock, this node's identity and keys. Frozen; made once in node.app."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Engine

from node.clock import Clock
from node.config import Settings
from schemas.ids import Incarnation, NodeCode, Tier
from sync.keys import Signer


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is: its code and tier, its incarnation, its signing key and its bundle key (an age identity)."""

    code: NodeCode
    name: str
    tier: Tier
    url: str
    inc: Incarnation
    signer: Signer
    box: str


class Signal:
    """Tells waiting link workers and held requests that something was committed."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        """`listener` is called after every commit, in the committing thread; it must not block."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    def notify(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()
        for listener in list(self._listeners):
            listener()

    def wait(self, seen: int, timeout_s: float) -> int:
        """Until the count is above `seen` or the time is up; gives the count."""
        with self._condition:
            self._condition.wait_for(lambda: self._count > seen, timeout_s)
            return self._count


@dataclass(frozen=True)
class Context:
    settings: Settings
    engine: Engine
    clock: Clock
    identity: Identity
    instance: str
    pool: ThreadPoolExecutor | None = None
    signal: Signal = field(default_factory=Signal)
    cache: dict[str, object] = field(default_factory=dict)
    """Values derived from the database and renewed when it changes (roster, division tree); never the only copy."""
