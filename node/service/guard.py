"""The guard: a small file outside the database and its backups that tells a restore from a crash (SPEC 10).

It holds the incarnation and an epoch. The epoch turns at every start, every hour and at every backup, in three steps of
which each is durable: the database notes the next one as pending, the file is replaced, the database confirms. So after
a crash the file holds what the database calls confirmed or pending; anything else is an older copy of the database, and
its incarnation is over.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select, update

from node.context import Context
from node.service import life
from node.service.commit import write
from node.store import tables as t
from node.store.engine import reading, writing
from schemas.ids import NO_INCARNATION, Incarnation

GUARD = "guard.json"
LOCK = "guard.lock"


@dataclass(frozen=True, slots=True)
class Guard:
    """What the file says."""

    inc: Incarnation
    epoch: str


def read(data: Path) -> Guard | None:
    """None where the file is missing or no guard."""
    try:
        said = json.loads((data / GUARD).read_bytes())
        number, nonce = said["inc"]
        return Guard(Incarnation(int(number), str(nonce)), str(said["epoch"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fits(conn: Connection, said: Guard | None) -> bool:
    """Whether database and file belong together, a crash between their steps allowed for."""
    row = conn.execute(select(t.guard)).first()
    return row is not None and said is not None and said.epoch in (row.confirmed, row.pending)


def check(ctx: Context) -> None:
    """End the incarnation where the database is not the one the guard was written for; done whenever it is opened."""
    with reading(ctx.engine) as conn:
        if fits(conn, read(ctx.settings.data)):
            return
    with write(ctx) as batch:  # nobody is between the two database steps of a turn now
        said = read(ctx.settings.data)
        if fits(batch.conn, said):
            return
        if batch.roster.get(batch.me) is not None:
            life.end(batch, "restored", said.inc.number if said else 0)
    turn(ctx)


def turn(ctx: Context) -> None:
    """A new epoch, and the incarnation of now, in file and database."""
    data = ctx.settings.data
    with _alone(data):
        epoch, said = ctx.clock.token(16), read(data)
        with writing(ctx.engine) as conn:
            if said is not None:  # a turn that was cut short had replaced the file already
                conn.execute(update(t.guard).where(t.guard.c.pending == said.epoch).values(confirmed=said.epoch))
            conn.execute(update(t.guard).values(pending=epoch))
            inc = life.read(conn).named
        store(data, inc, epoch)
        with writing(ctx.engine) as conn:
            conn.execute(update(t.guard).values(confirmed=epoch, pending=None))


def keep(ctx: Context) -> None:
    """Turn if another incarnation has begun or ended since the file was written."""
    said = read(ctx.settings.data)
    if said is None or said.inc != life.now(ctx).named:
        turn(ctx)


def store(data: Path, inc: Incarnation, epoch: str) -> None:
    named = inc if inc.number else NO_INCARNATION
    write_durably(data / GUARD, json.dumps({"v": 1, "inc": named, "epoch": epoch}).encode())


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file for its owner alone so that a crash leaves the old or the new one, never half."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(fresh, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One turn at a time, whichever process does it."""
    with open(data / LOCK, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
