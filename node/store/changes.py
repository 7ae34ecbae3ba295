"""Whether anybody committed to the database since somebody looked last: what an idle node asks instead of looking.

SQLite tells it for the price of one look into shared memory, of every process and connection; of PostgreSQL it is never
known, so that there everything is looked at every time.
"""

import threading
from typing import Any

from sqlalchemy import Engine

from node.store.engine import is_sqlite


class Changes:
    """One connection of its own, opened when it is first asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._conn: Any = None
        self._closed = False
        self._lock = threading.Lock()

    def version(self) -> int | None:
        """Another number after every commit; None where that cannot be known."""
        if not is_sqlite(self._engine):
            return None
        with self._lock:
            if self._closed:
                return None
            if self._conn is None:
                self._conn = self._engine.raw_connection()
                self._conn.detach()
            cursor = self._conn.cursor()
            found: int = cursor.execute("PRAGMA data_version").fetchone()[0]
            cursor.close()
        return found

    def close(self) -> None:
        """A job that is still at work looks every time from now on."""
        with self._lock:
            self._closed = True
            if self._conn is not None:
                self._conn.close()
            self._conn = None


class Look:
    """When one job looks again: after a commit, and now and then all the same, as some things fall due by time."""

    def __init__(self, changes: Changes, every_s: float) -> None:
        self._changes = changes
        self._every_s = every_s
        self._seen: int | None = None
        self._at = float("-inf")

    def is_due(self, now_s: float) -> bool:
        """`now_s`: by a clock that only goes forward. What is committed after this is seen by the next."""
        version = self._changes.version()
        if version is not None and version == self._seen and now_s - self._at < self._every_s:
            return False
        self._seen, self._at = version, now_s
        return True
