"""Buckets that fill again with time: how often one key (an address, a receipt) may do a thing, and all together.

In the memory of each process: a limit is a protection of this process, not a promise, so nothing is written for it.
"""

import math
import threading
from collections import OrderedDict

from node.clock import Clock
from node.context import Context
from node.domain.refusals import TooManyRequests

KEYS_MAX = 20_000
"""Keys remembered; the one longest unused goes first."""


class Throttled(TooManyRequests):
    """Too many requests from here; wait a little."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class Bucket:
    """Each key may do a thing `burst` times at once, and again `per_s` times a second."""

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock, self._per_s, self._burst = clock, per_s, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Count one. Raises Throttled."""
        with self._lock:
            left = self._now(key)
            if left < 1:
                raise Throttled(self._wait_s(left))
            self._keep(key, left - 1)

    def check(self, key: str) -> None:
        """Count nothing. Raises Throttled where the next one would be too many."""
        with self._lock:
            left = self._now(key)
        if left < 1:
            raise Throttled(self._wait_s(left))

    def _now(self, key: str) -> float:
        left, at = self._left.get(key, (float(self._burst), 0.0))
        return min(float(self._burst), left + (self._clock.monotonic_s() - at) * self._per_s)

    def _wait_s(self, left: float) -> int:
        return max(1, math.ceil((1 - left) / self._per_s))

    def _keep(self, key: str, left: float) -> None:
        self._left[key] = (left, self._clock.monotonic_s())
        self._left.move_to_end(key)
        while len(self._left) > KEYS_MAX:
            self._left.popitem(last=False)


def bucket(ctx: Context, name: str, per_s: float, burst: int) -> Bucket:
    """The bucket of that name in this process."""
    found: Bucket = ctx.cache.setdefault(f"bucket {name}", Bucket(ctx.clock, per_s, burst))  # type: ignore[assignment]
    return found
