"""The only source of time and randomness; tests and the simulator swap it."""

import random
import secrets
import time
from datetime import UTC, datetime


class Clock:
    """Wall clock, monotonic clock and randomness of the machine."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def token(self, size: int = 16) -> str:
        """`size` unpredictable bytes in hexadecimal."""
        return secrets.token_hex(size)

    def jitter(self, upper_s: float) -> float:
        """Evenly between 0 and `upper_s` seconds."""
        return random.uniform(0, upper_s)  # noqa: S311 - spreads retries, hides nothing


def instant(at: datetime) -> str:
    """RFC 3339 UTC with milliseconds, as statements carry it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
