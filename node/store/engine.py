"""Every difference between SQLite and PostgreSQL, and the two ways into the database: reading and writing.

A node has one writer at a time: BEGIN IMMEDIATE on SQLite, one advisory lock on PostgreSQL. That is what makes a
stream's sequence gapless and a decision single, whichever of several workers takes it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, ColumnElement, Connection, Engine, Table, cast, create_engine, event, func, text
from sqlalchemy.pool import QueuePool

WRITE_LOCK = 0x11A2D026
JOB_LOCK = 0x11A2D027
BUSY_TIMEOUT_MS = 30_000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA cache_size=-16000",
    "PRAGMA temp_store=MEMORY",
)
_TURNS: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()
_TURNS_LOCK = threading.Lock()


def connect(url: str, pool_size: int = 8) -> Engine:
    """An engine for `url`; opens no connection yet."""
    if url.startswith("sqlite"):
        engine = create_engine(url, poolclass=QueuePool, pool_size=pool_size, max_overflow=32, hide_parameters=True)
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(url, pool_size=pool_size, max_overflow=32, pool_pre_ping=True, hide_parameters=True)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot; nothing is written."""
    options = {} if is_sqlite(engine) else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as conn, conn.begin() as transaction:
        yield conn
        transaction.rollback()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """The one write transaction of the node: commits at the end, rolls back on any exception.

    Threads of this process queue on a lock of their own first: SQLite's own waiting is a poll with growing naps.
    """
    with _turn(engine), engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        if not is_sqlite(engine):
            conn.execute(text(f"SELECT pg_advisory_xact_lock({WRITE_LOCK})"))
        yield conn


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def json_at(conn: Connection, column: ColumnElement[str], *path: str | int) -> ColumnElement[str]:
    """The text at a path of a column that holds JSON text; -1 is the last of a list."""
    if conn.dialect.name != "sqlite":
        return func.json_extract_path_text(cast(column, JSON), *map(str, path))
    steps = (f".{step}" if isinstance(step, str) else f"[#{step}]" if step < 0 else f"[{step}]" for step in path)
    return func.json_extract(column, "$" + "".join(steps))


def upsert(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, replacing those with the same primary key."""
    if rows:
        conn.execute(_upsert(conn.dialect.name, table, tuple(rows[0])), rows)


def add_up(conn: Connection, table: Table, rows: list[dict[str, Any]], sums: tuple[str, ...]) -> None:
    """Insert rows, adding the columns `sums` to those of the row with the same primary key."""
    if rows:
        conn.execute(_add_up(conn.dialect.name, table, sums), rows)


def insert_new(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, leaving those that are there already as they are."""
    if rows:
        conn.execute(_insert_new(conn.dialect.name, table), rows)


@cache
def _insert_new(dialect: str, table: Table) -> Any:
    return _insert(dialect)(table).on_conflict_do_nothing()


@cache
def _upsert(dialect: str, table: Table, columns: tuple[str, ...]) -> Any:
    statement = _insert(dialect)(table)
    keys = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in columns if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def _add_up(dialect: str, table: Table, sums: tuple[str, ...]) -> Any:
    statement = _insert(dialect)(table)
    keys = [column.name for column in table.primary_key]
    changed = {name: table.c[name] + statement.excluded[name] for name in sums}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _insert(dialect: str) -> Any:
    """The dialect's own `insert`, which knows ON CONFLICT; only the one in use is imported."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert

        return insert
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql

    return insert_postgresql


def _turn(engine: Engine) -> threading.Lock:
    with _TURNS_LOCK:
        return _TURNS.setdefault(engine, threading.Lock())


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(conn: Connection) -> None:
    conn.exec_driver_sql("BEGIN IMMEDIATE" if conn.get_execution_options().get("liandong_write") else "BEGIN")
