"""B5: what one more entry costs a parent that stores 1,000,000 entries, against one that stores 10,000.

The store is filled with rows of the right shape and number, straight into its tables: what is measured is how the cost
of real, verified entries grows with what is there already.
"""

import os
import sqlite3
from pathlib import Path

from benchmarks.catch_up import drain
from benchmarks.field import CHILD, PARENT, Pair, pair, running
from benchmarks.measure import Figure, median
from benchmarks.work import author

SMALL, LARGE = 10_000, 1_000_000
ENTRIES = 4_000
RUNS = 3
_SLICE = 10_000


def measure(folder: Path) -> list[Figure]:
    made = pair(folder / "made")
    child = made.context(CHILD)
    author(child, ENTRIES)
    child.engine.dispose()
    ratios = []
    small = made.copy(folder / "small")
    large = made.copy(folder / "large")
    _fill(small.folder / PARENT / "node.db", SMALL)
    _fill(large.folder / PARENT / "node.db", LARGE)
    for _ in range(RUNS):
        ratios.append(_rate(small, folder) / _rate(large, folder))
    return [
        Figure(
            "B5",
            f"cost per entry at {LARGE:,} stored",
            median(ratios),
            "x",
            median(ratios),
            f"cost at {SMALL:,}",
            1.3,
            1.05,
            lower=True,
        )
    ]


def _rate(stored: Pair, folder: Path) -> float:
    here = stored.copy(folder / "now")
    with running(here.parent, here.url):
        return drain(here)


def _fill(path: Path, count: int) -> None:
    """`count` entries of `count`/10 topics by another node, as rows."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("PRAGMA synchronous=OFF")
    for _ in range(0, count, _SLICE):
        conn.execute("BEGIN")
        topics = [os.urandom(32).hex() for _ in range(_SLICE // 10)]
        rows = [(os.urandom(32).hex(), topics[n // 10], n % 10) for n in range(_SLICE)]
        raw = os.urandom(300)
        conn.executemany(
            "INSERT INTO statements (id, raw, typ, author, at, source) VALUES (?, ?, 'liandong-entry+jws', '620103', "
            "'2026-01-01 00:00:00.000000', '620103')",
            [(identity, raw) for identity, _, _ in rows],
        )
        conn.executemany(
            "INSERT INTO entries (id, topic, seq, term, kind, author) VALUES (?, ?, ?, '0.0.0..0', 'noted', '620103')",
            rows,
        )
        conn.executemany(
            "INSERT INTO topics (id, number, title, text, kind, status, step, origin, custodian, mine, seq, head, "
            "created_at, updated_at, seen_at, custody, work) VALUES (?, 'n', 't', 't', 'matter', 'active', 'collect', "
            "'620103', '620103', 1, 9, ?, '2026-01-01 00:00:00.000000', '2026-01-01 00:00:00.000000', "
            "'2026-01-01 00:00:00.000000', '{}', '{}')",
            [(topic, topic) for topic in topics],
        )
        conn.execute("COMMIT")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
