"""Accounts of the people who work at this node: made by the admin, deactivated rather than deleted.

An account's name stands in the audit for ever, so names are never used again and never changed.
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, delete, func, insert, select, update

from node.context import Context
from node.domain.policy import Profile, conflict, roles_of
from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch, write
from node.service.passwords import SALT_BYTES, hash_password, matches
from node.service.posts import leave_posts
from node.store.engine import reading
from node.store.office import factors, posts, sessions, tenures, units, users
from schemas.api import UserName
from schemas.people import UserView

LOCAL = "local"
"""Who acts, in the audit, when a command is given at the machine itself."""
LOCKED_FOR = timedelta(days=1)
_RESERVED = frozenset({LOCAL, "job", "cli", "demo", "citizen"})
_NAME = TypeAdapter[str](UserName)


class NameTaken(Invalid):
    """An account has this name already."""

    def __init__(self) -> None:
        super().__init__("name", "an account has this name already", rule="name_taken")


@dataclass(frozen=True, slots=True)
class User:
    """One account, without its password."""

    id: int
    name: str
    roles: tuple[str, ...]
    active: bool
    created_at: datetime


def hashed_password(ctx: Context, password: str, name: str) -> str:
    """The string to store, made before any transaction begins: it takes a while. Raises Invalid, TooManyRequests."""
    salt = bytes.fromhex(ctx.clock.token(SALT_BYTES))
    return hash_password(password, salt, ctx.settings.profile, name)


def add_user(ctx: Context, name: str, password: str, roles: Collection[str], by: str = LOCAL) -> User:
    """A new account. Raises Invalid, NameTaken, TooManyRequests, StorageFull."""
    name, given = user_name(name), checked_roles(roles, ctx.settings.profile)
    hashed = hashed_password(ctx, password, name)
    with write(ctx) as batch:
        batch.actor = by
        return add(batch, name, hashed, given)


def add(batch: Batch, name: str, hashed: str, roles: Collection[str]) -> User:
    """A new account, with a password hashed before. Raises Invalid, NameTaken."""
    name, given = user_name(name), checked_roles(roles, batch.ctx.settings.profile)
    if _find(batch.conn, name) is not None:
        raise NameTaken
    values = {"name": name, "password_hash": hashed, "roles": given, "active": True, "created_at": batch.now}
    new = insert(users).values(failures=0, password_at=batch.now, **values).returning(users.c.id)
    user: int = batch.conn.execute(new).scalar_one()
    batch.audit("add_user", None, user=user)
    return User(user, name, tuple(given), True, batch.now)


def change_password(ctx: Context, name: str, password: str, by: str = LOCAL) -> None:
    """A new password; whoever is signed in with the old one is signed out. Raises NotFound, Invalid."""
    hashed = hashed_password(ctx, password, name)
    with write(ctx) as batch:
        batch.actor = by
        set_password(batch, _known(batch, name), hashed)


def set_password(batch: Batch, user: int, hashed: str) -> None:
    """As `change_password`, by number. Raises NotFound."""
    fresh = {"password_hash": hashed, "password_at": batch.now, "failures": 0, "locked_until": None}
    _change(batch, user, fresh)
    batch.audit("change_password", None, user=user)


def change_own_password(ctx: Context, user: int, name: str, current: str, password: str) -> None:
    """Raises Invalid where `current` is not the password or the new one is the old; ends every session."""
    with reading(ctx.engine) as conn:
        stored = conn.execute(select(users.c.password_hash).where(users.c.id == user)).scalar_one()
    if not matches(stored, current):
        raise Invalid("current", "is not your password", rule="wrong_password")
    if current == password:
        raise Invalid("password", "is the old one", rule="same_password")
    hashed = hashed_password(ctx, password, name)
    with write(ctx) as batch:
        batch.actor = name
        set_password(batch, user, hashed)


def change_roles(ctx: Context, name: str, roles: Collection[str], by: str = LOCAL) -> None:
    """Other roles; whoever is signed in has to sign in again. Raises NotFound, Invalid."""
    with write(ctx) as batch:
        batch.actor = by
        set_roles(batch, _known(batch, name), roles)


def set_roles(batch: Batch, user: int, roles: Collection[str]) -> None:
    """As `change_roles`, by number. Raises NotFound, Invalid."""
    given = checked_roles(roles, batch.ctx.settings.profile)
    _change(batch, user, {"roles": given})
    batch.audit("change_roles", None, user=user, roles=given)


def set_active(ctx: Context, name: str, active: bool, by: str = LOCAL) -> None:
    """Deactivate an account, which ends its sessions at once, or let it back in. Raises NotFound, DutiesOpen."""
    with write(ctx) as batch:
        batch.actor = by
        activate(batch, _known(batch, name), active)


def activate(batch: Batch, user: int, active: bool) -> None:
    """As `set_active`, by number. Who leaves holds no post afterwards; posts with open items must be handed over first.

    Raises NotFound, DutiesOpen.
    """
    _change(batch, user, {"active": active, "failures": 0, "locked_until": None})
    if not active:
        for post in leave_posts(batch, user):
            batch.audit("leave_post", None, user=user, post=post)
    batch.audit("activate_user" if active else "deactivate_user", None, user=user)


def lock(batch: Batch, user: int) -> None:
    """The emergency stop for one account: out at once, and in again only after a day or a new password."""
    _change(batch, user, {"failures": 0, "locked_until": batch.now + LOCKED_FOR})
    batch.audit("lock_user", None, user=user)


def list_users(ctx: Context) -> list[User]:
    """Every account there ever was, by name."""
    with reading(ctx.engine) as conn:
        return [
            User(row.id, row.name, tuple(row.roles), row.active, row.created_at)
            for row in conn.execute(select(users).order_by(users.c.name))
        ]


def user_views(ctx: Context) -> list[UserView]:
    """Every account with its second factor and the posts it holds."""
    with reading(ctx.engine) as conn:
        return _views(conn, ctx.clock.now())


def one_view(ctx: Context, user: int) -> UserView:
    """Raises NotFound."""
    with reading(ctx.engine) as conn:
        found = _views(conn, ctx.clock.now(), user)
    if not found:
        raise NotFound(str(user))
    return found[0]


def user_view(batch: Batch, user: int) -> UserView:
    """One account inside a transaction. Raises NotFound."""
    found = _views(batch.conn, batch.now, user)
    if not found:
        raise NotFound(str(user))
    return found[0]


def _views(conn: Connection, now: datetime, user: int | None = None) -> list[UserView]:
    held: dict[int, list[str]] = {}
    titles = select(tenures.c.user_id, posts.c.title, units.c.name).join(posts, posts.c.id == tenures.c.post_id)
    titles = titles.join(units, units.c.id == posts.c.unit_id).where(tenures.c.until.is_(None))
    for row in conn.execute(titles.order_by(tenures.c.id)):
        held.setdefault(row.user_id, []).append(f"{row.name} {row.title}")
    query = select(users, func.coalesce(factors.c.confirmed, False).label("second_factor"))
    query = query.outerjoin(factors, factors.c.user_id == users.c.id).order_by(users.c.name)
    if user is not None:
        query = query.where(users.c.id == user)
    return [
        UserView(
            id=row.id,
            name=row.name,
            roles=row.roles,
            active=row.active,
            locked=row.locked_until is not None and row.locked_until > now,
            second_factor=row.second_factor,
            posts=held.get(row.id, []),
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]


def user_name(name: str) -> str:
    """The name as it is stored: one line of NFC text, 1 to 64 characters, none of them invisible. Raises Invalid."""
    try:
        text = _NAME.validate_python(name)
    except ValidationError as error:
        raise Invalid("name", error.errors()[0]["msg"], rule="bad_name") from None
    if text in _RESERVED or text.startswith("node:"):
        raise Invalid("name", "means something else in the audit", rule="reserved_name")
    if any(unicodedata.category(char) == "Cf" for char in text):
        raise Invalid("name", "invisible characters are not allowed", rule="bad_name")
    return text


def checked_roles(roles: Collection[str], profile: Profile = "asvs") -> list[str]:
    """Raises Invalid for none, an unknown one, or some that the profile forbids one person to hold together."""
    known = roles_of(profile)
    if not roles or not known.issuperset(roles):
        raise Invalid("roles", f"one or several of {', '.join(sorted(known))}", rule="no_role")
    if conflict(frozenset(roles), profile):
        message = "system, security and audit are kept by three persons, who do nothing else"
        raise Invalid("roles", message, rule="roles_apart")
    return sorted(set(roles))


def _known(batch: Batch, name: str) -> int:
    found = _find(batch.conn, unicodedata.normalize("NFC", name))
    if found is None:
        raise NotFound(name)
    return found


def _change(batch: Batch, user: int, values: dict[str, object]) -> None:
    if not batch.conn.execute(update(users).where(users.c.id == user).values(**values)).rowcount:
        raise NotFound(str(user))
    batch.conn.execute(delete(sessions).where(sessions.c.user_id == user))


def _find(conn: Connection, name: str) -> int | None:
    return conn.execute(select(users.c.id).where(users.c.name == name)).scalar()
