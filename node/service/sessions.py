"""Signing in and out. A session is a 256-bit token of which only the SHA-256 is kept; it ends when idle, after a fixed
time, on signing out, and when the account changes.

An unknown name and a wrong password look alike: the same work, the same answer, the same lock-out, and an account
that is locked answers so before any password is looked at. Signing in needs no room on the disk reserve, so that an
admin gets in when everything else is refused. A sign-in by an unknown name is never written down: people type their
passwords into the wrong field.
"""

import hashlib
import math
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from node.context import Context
from node.domain.refusals import TooManyRequests, Unauthenticated
from node.service.passwords import NOBODYS, matches
from node.service.perform import Actor
from node.store.engine import reading, writing
from node.store.tables import audit, sessions, users
from schemas.api import SessionView

TOKEN_BYTES = 32
TOUCH_AFTER_S = 60
"""How exactly a session's last use is known: a request is not a write."""
STRANGERS_MAX = 10_000
"""Names without an account whose failures are counted, so that a lock-out tells nobody which names exist."""
_STRANGERS = "strangers"

_ACCOUNT = select(users.c.id, users.c.password_hash, users.c.active, users.c.failures, users.c.locked_until)
_SESSION = (
    select(users.c.id, users.c.name, users.c.roles, users.c.active, sessions.c.used_at, sessions.c.expires_at)
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.token_hash == bindparam("digest"))
)
"""Built once: every request runs it, and building it takes longer than running it."""


class Locked(TooManyRequests):
    """Too many failed attempts; this account is locked for a while."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class WrongPassword(Unauthenticated):
    """Name or password is wrong."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: datetime | None = None


def sign_in(ctx: Context, name: str, password: str) -> SessionView:
    """A new session. Raises WrongPassword, Locked, TooManyRequests."""
    name = unicodedata.normalize("NFC", name)
    with reading(ctx.engine) as conn:
        account = conn.execute(_ACCOUNT.where(users.c.name == name)).first()
    if account is None or not account.active:
        raise _stranger(ctx, name, password)
    _check_lock(ctx, account.locked_until)
    right = matches(account.password_hash, password)
    with writing(ctx.engine) as conn:
        # Read again: the lock, the password and the account itself may have changed while this one was being checked.
        now = conn.execute(_ACCOUNT.where(users.c.id == account.id)).one()
        _check_lock(ctx, now.locked_until)
        right = right and now.active and now.password_hash == account.password_hash
        view = _open(ctx, conn, account.id, name) if right else None
        if view is None:
            _fail(ctx, conn, _Failures(now.failures), account.id, name)
    if view is None:
        raise WrongPassword
    return view


def authenticate(ctx: Context, token: str) -> Actor:
    """Who holds this token now. Raises Unauthenticated."""
    digest = _digest(token)
    with reading(ctx.engine) as conn:
        row = conn.execute(_SESSION, {"digest": digest}).first()
    now = ctx.clock.now()
    idle = timedelta(seconds=ctx.settings.session_idle_s)
    if row is None or not row.active or row.expires_at <= now or row.used_at + idle <= now:
        raise Unauthenticated
    if row.used_at + min(timedelta(seconds=TOUCH_AFTER_S), idle / 4) <= now:
        _touch(ctx, digest, now)
    return Actor(row.id, row.name, frozenset(row.roles))


def sign_out(ctx: Context, token: str) -> None:
    """The token is worthless from here on; one that is already is no error."""
    with writing(ctx.engine) as conn:
        row = conn.execute(_SESSION, {"digest": _digest(token)}).first()
        if row is not None:
            conn.execute(delete(sessions).where(sessions.c.token_hash == _digest(token)))
            _audit(ctx, conn, row.name, "sign_out")


def _open(ctx: Context, conn: Connection, user: int, name: str) -> SessionView:
    now, token = ctx.clock.now(), ctx.clock.token(TOKEN_BYTES)
    expires_at = now + timedelta(seconds=ctx.settings.session_absolute_s)
    conn.execute(delete(sessions).where(sessions.c.expires_at <= now))
    conn.execute(update(users).where(users.c.id == user).values(failures=0, locked_until=None))
    row = {"token_hash": _digest(token), "user_id": user, "created_at": now, "used_at": now, "expires_at": expires_at}
    conn.execute(insert(sessions).values(**row))
    _audit(ctx, conn, name, "sign_in")
    return SessionView(token=token, expires_at=expires_at)


def _fail(ctx: Context, conn: Connection, before: _Failures, user: int, name: str) -> None:
    after = _count(ctx, before)
    values = {"failures": after.count, "locked_until": after.locked_until}
    conn.execute(update(users).where(users.c.id == user).values(**values))
    _audit(ctx, conn, name, "sign_in", "locked" if after.locked_until else "refused")


def _stranger(ctx: Context, name: str, password: str) -> Unauthenticated:
    """The refusal of a name without an account; as slow, and in time as locked, as that of one with."""
    strangers: OrderedDict[str, _Failures] = ctx.cache.setdefault(_STRANGERS, OrderedDict())  # type: ignore[assignment]
    _check_lock(ctx, strangers.get(name, _Failures()).locked_until)
    matches(NOBODYS, password)
    strangers[name] = _count(ctx, strangers.get(name, _Failures()))
    while len(strangers) > STRANGERS_MAX:
        strangers.popitem(last=False)
    return WrongPassword()


def _count(ctx: Context, known: _Failures) -> _Failures:
    """One failure more; the last one that is allowed locks, and counting starts again after that."""
    if known.count + 1 < ctx.settings.login_failures_max:
        return _Failures(known.count + 1)
    return _Failures(0, ctx.clock.now() + timedelta(seconds=ctx.settings.login_lock_s))


def _check_lock(ctx: Context, locked_until: datetime | None) -> None:
    left_s = (locked_until - ctx.clock.now()).total_seconds() if locked_until else 0
    if left_s > 0:
        raise Locked(math.ceil(left_s))


def _touch(ctx: Context, digest: str, now: datetime) -> None:
    """Best effort: a full disk or a long import must not keep anyone from reading."""
    try:
        with writing(ctx.engine) as conn:
            conn.execute(update(sessions).where(sessions.c.token_hash == digest).values(used_at=now))
    except SQLAlchemyError:
        return


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _audit(ctx: Context, conn: Connection, actor: str, action: str, result: str = "done") -> None:
    row = {"at": ctx.clock.now(), "actor": actor, "action": action, "topic": None, "result": result, "detail": None}
    conn.execute(insert(audit).values(**row))
