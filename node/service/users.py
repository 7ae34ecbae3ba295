"""Accounts of the people who work at this node: made by the admin, deactivated rather than deleted.

An account's name stands in the audit for ever, so names are never used again and never changed.
"""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, delete, insert, select, update

from node.context import Context
from node.domain.policy import ROLES
from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch, write
from node.service.passwords import SALT_BYTES, hash_password
from node.store.engine import reading
from node.store.tables import sessions, users
from schemas.api import UserName

LOCAL = "local"
"""Who acts, in the audit, when a command is given at the machine itself."""
_RESERVED = frozenset({LOCAL, "job"})
_NAME = TypeAdapter[str](UserName)


class NameTaken(Invalid):
    """An account has this name already."""

    def __init__(self) -> None:
        super().__init__("name", "an account has this name already")


@dataclass(frozen=True, slots=True)
class User:
    """One account, without its password."""

    id: int
    name: str
    roles: tuple[str, ...]
    active: bool
    created_at: datetime


def add_user(ctx: Context, name: str, password: str, roles: Collection[str], by: str = LOCAL) -> User:
    """A new account. Raises Invalid, NameTaken, TooManyRequests, StorageFull."""
    name, given = user_name(name), checked_roles(roles)
    hashed = hash_password(password, bytes.fromhex(ctx.clock.token(SALT_BYTES)))
    with write(ctx) as batch:
        if _find(batch.conn, name) is not None:
            raise NameTaken
        values = {"name": name, "password_hash": hashed, "roles": given, "active": True, "created_at": batch.now}
        new = insert(users).values(failures=0, **values).returning(users.c.id)
        user: int = batch.conn.execute(new).scalar_one()
        _audit(batch, by, "add_user", user)
        return User(user, name, tuple(given), True, batch.now)


def change_password(ctx: Context, name: str, password: str, by: str = LOCAL) -> None:
    """A new password; whoever is signed in with the old one is signed out. Raises NotFound, Invalid."""
    hashed = hash_password(password, bytes.fromhex(ctx.clock.token(SALT_BYTES)))
    with write(ctx) as batch:
        user = _change(batch, name, {"password_hash": hashed, "failures": 0, "locked_until": None})
        _audit(batch, by, "change_password", user)


def change_roles(ctx: Context, name: str, roles: Collection[str], by: str = LOCAL) -> None:
    """Other roles; whoever is signed in has to sign in again. Raises NotFound, Invalid."""
    given = checked_roles(roles)
    with write(ctx) as batch:
        user = _change(batch, name, {"roles": given})
        _audit(batch, by, "change_roles", user)


def set_active(ctx: Context, name: str, active: bool, by: str = LOCAL) -> None:
    """Deactivate an account, which ends its sessions at once, or let it back in. Raises NotFound."""
    with write(ctx) as batch:
        user = _change(batch, name, {"active": active, "failures": 0, "locked_until": None})
        _audit(batch, by, "activate_user" if active else "deactivate_user", user)


def list_users(ctx: Context) -> list[User]:
    """Every account there ever was, by name."""
    with reading(ctx.engine) as conn:
        return [
            User(row.id, row.name, tuple(row.roles), row.active, row.created_at)
            for row in conn.execute(select(users).order_by(users.c.name))
        ]


def user_name(name: str) -> str:
    """The name as it is stored: one line of NFC text, 1 to 64 characters, none of them invisible. Raises Invalid."""
    try:
        text = _NAME.validate_python(name)
    except ValidationError as error:
        raise Invalid("name", error.errors()[0]["msg"]) from None
    if text in _RESERVED or text.startswith("node:"):
        raise Invalid("name", "means something else in the audit")
    if any(unicodedata.category(char) == "Cf" for char in text):
        raise Invalid("name", "invisible characters are not allowed")
    return text


def checked_roles(roles: Collection[str]) -> list[str]:
    if not roles or not ROLES.issuperset(roles):
        raise Invalid("roles", f"one or several of {', '.join(sorted(ROLES))}")
    return sorted(set(roles))


def _change(batch: Batch, name: str, values: dict[str, object]) -> int:
    found = _find(batch.conn, unicodedata.normalize("NFC", name))
    if found is None:
        raise NotFound(name)
    batch.conn.execute(update(users).where(users.c.id == found).values(**values))
    batch.conn.execute(delete(sessions).where(sessions.c.user_id == found))
    return found


def _find(conn: Connection, name: str) -> int | None:
    return conn.execute(select(users.c.id).where(users.c.name == name)).scalar()


def _audit(batch: Batch, by: str, action: str, user: int) -> None:
    batch.actor = by
    batch.audit(action, None, user=user)
