"""What an error of the database means to whoever waits: the disk is full, or try again; anything else is a bug.

With engine.py the only place that knows one database from the other.
"""

import errno
import sqlite3
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError


class Fault(Enum):
    """Which of the two it is."""

    FULL = auto()
    BUSY = auto()


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_BUSY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_POSTGRES_FULL = frozenset({"53100"})
_POSTGRES_BUSY = frozenset({"40", "53", "55", "57", "58", "08"})
"""Classes of SQLSTATE: rolled back, out of resources, in the wrong state, by an operator, system, connection."""


def fault(error: BaseException) -> Fault | None:
    """Whether an exception is the storage's doing; None for every other one."""
    if isinstance(error, TimeoutError):
        return Fault.BUSY
    if isinstance(error, OSError):
        return Fault.FULL if error.errno in _NO_ROOM else None
    if not isinstance(error, DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite(error.orig)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _POSTGRES_FULL:
        return Fault.FULL
    if state[:2] in _POSTGRES_BUSY or (not state and isinstance(error, OperationalError | InterfaceError)):
        return Fault.BUSY
    return None


def _sqlite(error: sqlite3.Error) -> Fault | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Fault.FULL
    return Fault.BUSY if code in _SQLITE_BUSY else None
