"""Signing in and out. A session is a 256-bit token of which only the SHA-256 is kept; it ends when idle, after a fixed
time, on signing out, when the account changes, and when an admin ends it. Proving oneself again gives a new token.

An unknown name and a wrong password look alike: the same work, the same answer, the same lock-out, and an account
that is locked answers so before any password is looked at. Signing in needs no room on the disk reserve, so that an
admin gets in when everything else is refused. A sign-in by an unknown name is never written down: people type their
passwords into the wrong field.
"""

import hashlib
import math
import unicodedata
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from node.context import Context
from node.domain.policy import roles_of
from node.domain.refusals import NotFound, OtpNeeded, TooManyRequests, Unauthenticated
from node.service import factors as factors_of
from node.service.passwords import NOBODYS, matches
from node.service.perform import Actor
from node.service.throttle import bucket
from node.store import audit as audit_rows
from node.store.engine import reading, writing
from node.store.office import factors, posts, sessions, tenures, users
from schemas.api import SessionView
from schemas.people import SessionItem

TOKEN_BYTES = 32
REF_CHARS = 16
"""Of a token's hash: names a session to an admin and opens nothing."""
TOUCH_AFTER_S = 60
"""How exactly a session's last use is known: a request is not a write."""
STRANGERS_MAX = 10_000
"""Names without an account whose failures are counted, so that a lock-out tells nobody which names exist."""
_STRANGERS = "strangers"

ADDRESS_BUCKET = "sign-in failures"

_ACCOUNT = select(users.c.id, users.c.password_hash, users.c.active, users.c.failures, users.c.locked_until)
_SESSION = (
    select(
        users.c.id,
        users.c.name,
        users.c.roles,
        users.c.active,
        func.coalesce(users.c.password_at, users.c.created_at).label("password_at"),
        sessions.c.used_at,
        sessions.c.expires_at,
        func.coalesce(sessions.c.proved_at, sessions.c.created_at).label("proved_at"),
        func.coalesce(factors.c.confirmed, False).label("second_factor"),
    )
    .join(users, users.c.id == sessions.c.user_id)
    .outerjoin(factors, factors.c.user_id == users.c.id)
    .where(sessions.c.token_hash == bindparam("digest"))
)
"""Built once: every request runs it, and building it takes longer than running it."""
_POST_ROLES = (
    select(posts.c.role)
    .join(tenures, tenures.c.post_id == posts.c.id)
    .where(tenures.c.user_id == bindparam("user"), tenures.c.until.is_(None), posts.c.active, posts.c.role.is_not(None))
)


class Locked(TooManyRequests):
    """Too many failed attempts; this account is locked for a while."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s


class WrongPassword(Unauthenticated):
    """用户名或密码不对 / Name or password is wrong."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    locked_until: datetime | None = None


def sign_in(ctx: Context, name: str, password: str, otp: str | None = None, address: str = "") -> SessionView:
    """A new session. Raises WrongPassword, OtpNeeded, Locked, TooManyRequests."""
    limit = ctx.settings.login_address_failures_max
    failures = bucket(ctx, ADDRESS_BUCKET, limit / ctx.settings.login_lock_s, limit)
    failures.check(address)
    try:
        return _sign_in(ctx, unicodedata.normalize("NFC", name), password, otp)
    except WrongPassword:
        with suppress(TooManyRequests):
            failures.take(address)
        raise


def _sign_in(ctx: Context, name: str, password: str, otp: str | None) -> SessionView:
    with reading(ctx.engine) as conn:
        account = conn.execute(_ACCOUNT.where(users.c.name == name)).first()
    if account is None or not account.active:
        raise _stranger(ctx, name, password)
    _check_lock(ctx, account.locked_until)
    right = matches(account.password_hash, password)
    view: SessionView | None = None
    with writing(ctx.engine) as conn:
        # Read again: the lock, the password and the account itself may have changed while this one was being checked.
        now = conn.execute(_ACCOUNT.where(users.c.id == account.id)).one()
        _check_lock(ctx, now.locked_until)
        right = right and now.active and now.password_hash == account.password_hash
        if right and otp is None and factors_of.asked(conn, account.id):
            raise OtpNeeded
        if right and (not factors_of.asked(conn, account.id) or factors_of.use(ctx, conn, account.id, otp or "")):
            view = _open(ctx, conn, account.id, name)
        else:
            _fail(ctx, conn, _Failures(now.failures), account.id, name)
    if view is None:
        raise WrongPassword
    return view


def authenticate(ctx: Context, token: str) -> Actor:
    """Who holds this token now. Raises Unauthenticated."""
    digest = digest_of(token)
    with reading(ctx.engine) as conn:
        row = conn.execute(_SESSION, {"digest": digest}).first()
        held = [] if row is None else conn.execute(_POST_ROLES, {"user": row.id}).scalars().all()
    now = ctx.clock.now()
    idle = timedelta(seconds=ctx.settings.session_idle_s)
    if row is None or not row.active or row.expires_at <= now or row.used_at + idle <= now:
        raise Unauthenticated
    if row.used_at + min(timedelta(seconds=TOUCH_AFTER_S), idle / 4) <= now:
        _touch(ctx, digest, now)
    proved_until = row.proved_at + timedelta(seconds=ctx.settings.step_up_s)
    known = roles_of(ctx.settings.profile)
    roles = frozenset(role for role in (*row.roles, *held) if role in known)
    return Actor(row.id, row.name, roles, _owes(ctx, row, now), proved_until, digest)


def _owes(ctx: Context, row: Any, now: datetime) -> Literal["password", "factor"] | None:
    """What this person has to do before anything else."""
    strict = ctx.settings.profile == "mlps3"
    if strict and row.password_at + timedelta(days=ctx.settings.password_days) <= now:
        return "password"
    wanted = strict or ctx.settings.second_factor == "required"
    return "factor" if wanted and not row.second_factor else None


def prove(ctx: Context, token: str, password: str, otp: str | None) -> SessionView:
    """The same session under a new token, with the dangerous verbs open for a while; the old token is worthless.

    Raises Unauthenticated, WrongPassword, OtpNeeded, Locked, TooManyRequests.
    """
    actor = authenticate(ctx, token)
    proof = _sign_in(ctx, actor.name, password, otp)
    with writing(ctx.engine) as conn:
        old = conn.execute(select(sessions).where(sessions.c.token_hash == actor.session)).first()
        if old is None:
            raise Unauthenticated
        conn.execute(delete(sessions).where(sessions.c.token_hash == actor.session))
        renewed = {"created_at": old.created_at, "expires_at": old.expires_at, "proved_at": ctx.clock.now()}
        conn.execute(update(sessions).where(sessions.c.token_hash == digest_of(proof.token)).values(**renewed))
        _audit(ctx, conn, actor.name, "prove")
    return SessionView(token=proof.token, expires_at=old.expires_at)


def list_sessions(ctx: Context, current: str = "") -> list[SessionItem]:
    """Every session that has not ended, newest first; `current` is the asker's own."""
    now = ctx.clock.now()
    query = select(sessions, users.c.name).join(users, users.c.id == sessions.c.user_id)
    query = query.where(sessions.c.expires_at > now).order_by(sessions.c.created_at.desc(), sessions.c.token_hash)
    idle = timedelta(seconds=ctx.settings.session_idle_s)
    with reading(ctx.engine) as conn:
        return [
            SessionItem(
                ref=row.token_hash[:REF_CHARS],
                user=row.name,
                created_at=row.created_at,
                used_at=row.used_at,
                expires_at=row.expires_at,
                current=row.token_hash == current,
            )
            for row in conn.execute(query)
            if row.used_at + idle > now
        ]


def end_sessions(ctx: Context, by: str, ref: str | None = None, user: int | None = None, spare: str = "") -> int:
    """End one session, those of one account, or (neither given) all but `spare`; how many. Raises NotFound."""
    query = delete(sessions)
    if ref is not None:
        query = query.where(sessions.c.token_hash.startswith(ref, autoescape=True))
    elif user is not None:
        query = query.where(sessions.c.user_id == user)
    else:
        query = query.where(sessions.c.token_hash != spare)
    with writing(ctx.engine) as conn:
        ended = conn.execute(query).rowcount
        if ref is not None and not ended:
            raise NotFound(ref)
        _audit(ctx, conn, by, "end_sessions", detail={"ended": ended, "user": user})
    return ended


def sign_out(ctx: Context, token: str) -> None:
    """The token is worthless from here on; one that is already is no error."""
    with writing(ctx.engine) as conn:
        row = conn.execute(_SESSION, {"digest": digest_of(token)}).first()
        if row is not None:
            conn.execute(delete(sessions).where(sessions.c.token_hash == digest_of(token)))
            _audit(ctx, conn, row.name, "sign_out")


def _open(ctx: Context, conn: Connection, user: int, name: str) -> SessionView:
    now, token = ctx.clock.now(), ctx.clock.token(TOKEN_BYTES)
    expires_at = now + timedelta(seconds=ctx.settings.session_absolute_s)
    conn.execute(delete(sessions).where(sessions.c.expires_at <= now))
    conn.execute(update(users).where(users.c.id == user).values(failures=0, locked_until=None))
    row = {"token_hash": digest_of(token), "user_id": user, "created_at": now, "used_at": now, "expires_at": expires_at}
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


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _audit(
    ctx: Context, conn: Connection, actor: str, action: str, result: str = "done", detail: dict[str, Any] | None = None
) -> None:
    row = {"at": ctx.clock.now(), "actor": actor, "action": action, "topic": None, "result": result, "detail": detail}
    audit_rows.append(conn, ctx.identity.signer, [row])
