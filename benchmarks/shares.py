"""A profile as shares of the steps an entry goes through, from the functions that do them."""

import pstats
from typing import Any

from rich.table import Table

STEPS = {
    "verify a signature": ("Ed25519PublicKey",),
    "read JSON strictly": ("strict.py", "json/decoder", "json/scanner", "validate_json"),
    "base64, hash": ("keys.py", "base64.py", "binascii", "hashlib", "stream.py"),
    "custody and work rules": ("custody.py", "domain/topic.py", "dataclasses.py", "codec.py"),
    "compose and seal": ("sync/exchange.py", "json/encoder", "Ed25519PrivateKey", "sealing.py"),
    "database driver": ("sqlite3",),
    "SQLAlchemy": ("sqlalchemy",),
    "services": ("node/service", "node/store"),
}
OTHER = "the rest of Python"


def shares(stats: pstats.Stats) -> Table:
    """Share of the whole time spent in the code of each step itself."""
    spent: dict[str, float] = dict.fromkeys((*STEPS, OTHER), 0.0)
    raw: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    for (path, _, name), (_, _, own, _, _) in raw.items():
        spent[_step(f"{path} {name}")] += own
    whole = sum(spent.values())
    found = Table(title="Where the time of a catch-up goes (both ends, one thread, under the profiler)")
    found.add_column("step")
    found.add_column("share", justify="right")
    for step, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        found.add_row(step, f"{seconds / whole:.1%}")
    return found


def _step(where: str) -> str:
    return next((step for step, marks in STEPS.items() if any(mark in where for mark in marks)), OTHER)
