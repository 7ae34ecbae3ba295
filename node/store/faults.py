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
_NOT_NOW = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What SQLite says of its own files by the codes below: reading or writing failed, read-only, no handle, no memory."""
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
        return _system(error.errno)
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


def _system(number: int | None) -> Fault | None:
    if number in _NO_ROOM:
        return Fault.FULL
    return Fault.BUSY if number in _NOT_NOW else None


def _sqlite(error: sqlite3.Error) -> Fault | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return Fault.FULL
    return Fault.BUSY if code in _SQLITE_BUSY else None
