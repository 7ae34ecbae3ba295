"""What the database says about itself, and whether a process runs this node's jobs. Reads only."""

import fcntl
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from node.store.engine import JOB_LOCK, is_sqlite

LOCK_FILE = "jobs.lock"
"""In the data folder; locked by the process that runs the jobs of a node on SQLite."""


def integrity(conn: Connection) -> str | None:
    """None where the database finds nothing wrong with its own structure and may be trusted to keep a commit."""
    if conn.dialect.name == "sqlite":
        said = str(conn.execute(text("PRAGMA quick_check(1)")).scalar())
        return None if said == "ok" else said
    for setting, bad in (("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")):
        if conn.execute(text(f"SHOW {setting}")).scalar() == bad:
            return f"{setting} = {bad}"
    return None


def jobs_running(engine: Engine, data: Path) -> bool:
    """Whether some process holds the right to run this node's jobs."""
    if not is_sqlite(engine):
        query = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = :key AND granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with engine.connect() as conn:
            return bool(conn.execute(query, {"key": JOB_LOCK}).scalar())
    try:
        with (data / LOCK_FILE).open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
