"""What services are given: settings, database, clock, this node's identity and keys. Frozen; made once in node.app."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Engine

from node.clock import Clock
from node.config import Settings
from schemas.ids import NodeCode, Tier
from sync.keys import Signer


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is: its code and tier, its signing key and its bundle key (an age identity).

    Which incarnation it lives in is no part of it: that stands in the database alone (node.service.life).
    """

    code: NodeCode
    name: str
    tier: Tier
    url: str
    signer: Signer
    box: str


Listener = Callable[[frozenset[NodeCode]], None]


class Signal:
    """Tells who waits that something was committed, and which neighbours it goes to."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> None:
        """`listener` is called after every commit, in the committing thread; it must not block."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Listener) -> None:
        with self._lock:
            self._listeners = tuple(other for other in self._listeners if other != listener)

    def notify(self, peers: frozenset[NodeCode]) -> None:
        for listener in self._listeners:
            listener(peers)


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
