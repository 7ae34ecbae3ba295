"""The limits of the parts on this machine, now: what no program built of them can beat."""

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SAMPLE_BYTES = 900


def per_second(step: Callable[[], object], at_least_s: float = 0.5) -> float:
    """How often `step` runs in a second."""
    count, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < at_least_s:
        for _ in range(20):
            step()
        count += 20
    return count / passed


def verify_per_s() -> float:
    """Ed25519 verifications of a statement-sized message, one thread."""
    key = Ed25519PrivateKey.generate()
    data = os.urandom(SAMPLE_BYTES)
    signature, public = key.sign(data), key.public_key()
    return per_second(lambda: public.verify(signature, data))


def commits_per_s(folder: Path) -> float:
    """Durable SQLite commits of one row: WAL, synchronous=FULL."""
    conn = sqlite3.connect(folder / "limit.db", isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute("DROP TABLE IF EXISTS row")
    conn.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, raw BLOB)")
    data = os.urandom(SAMPLE_BYTES)

    def commit() -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT INTO row (raw) VALUES (?)", (data,))
        conn.execute("COMMIT")

    try:
        return per_second(commit)
    finally:
        conn.close()


def round_trips_per_s(url: str) -> float:
    """Requests to the same server that do nothing: `GET /api/v1/node` without a token, refused at the door."""
    from benchmarks.field import Client

    client = Client(url)
    return per_second(lambda: client.request("GET", "/api/v1/node"))
