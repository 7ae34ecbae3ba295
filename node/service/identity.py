"""Who this node is: its row, its keys and its guard, from the data folder and the database into a Context."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from node.clock import Clock
from node.config import Settings
from node.context import Context, Identity
from node.domain.refusals import NoNode
from node.store import tables as t
from node.store.engine import connect, reading, upsert, writing
from node.store.schema import upgrade
from schemas.ids import NO_INCARNATION, Incarnation, Tier
from sync.keys import Signer

SIGNING_KEY = "signing.pem"
BOX_KEY = "box.txt"
GUARD = "guard.json"
VERIFY_THREADS = 2


def load(settings: Settings, clock: Clock, new_start: bool = False) -> Context:
    """The context of the node in this data folder. `new_start`: draw the instance id that its processes share.

    Raises NoNode where `init` has not been run, or the keys are not those of the database.
    """
    if not (settings.data / SIGNING_KEY).exists():
        raise NoNode(str(settings.data))
    engine = connect(settings.url)
    upgrade(engine)
    identity = read_identity(engine, settings.data)
    settle_guard(engine, settings.data, identity.inc)
    instance = _instance(engine, clock, new_start)
    return Context(settings, engine, clock, identity, instance, verify_pool())


def verify_pool() -> ThreadPoolExecutor:
    """Threads that check signatures beside the one that received them."""
    return ThreadPoolExecutor(VERIFY_THREADS, thread_name_prefix="verify")


def read_identity(engine: Engine, data: Path) -> Identity:
    """Raises NoNode where there is none, or where the key on disk is another node's."""
    try:
        with reading(engine) as conn:
            row = conn.execute(select(t.node)).first()
    except DBAPIError as error:
        raise NoNode(f"database: {type(error.orig).__name__}") from error
    if row is None:
        raise NoNode("database is empty")
    signer = read_signer(data / SIGNING_KEY)
    if signer.kid != row.kid:
        raise NoNode("the key in the data folder is not the one of this database")
    inc = Incarnation(row.inc_number, row.inc_nonce)
    box = (data / BOX_KEY).read_text().strip()
    return Identity(row.code, row.name, Tier(row.tier), row.url, inc, signer, box)


def read_signer(path: Path) -> Signer:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoNode("the signing key is not an Ed25519 key")
    return Signer(key)


def write_guard(data: Path, inc: Incarnation, epoch: str) -> None:
    """The small file outside the database and its backups that a restore cannot bring back (SPEC 10)."""
    named = inc if inc.number else NO_INCARNATION
    write_durably(data / GUARD, json.dumps({"v": 1, "inc": named, "epoch": epoch}).encode())


def settle_guard(engine: Engine, data: Path, inc: Incarnation) -> None:
    """After a grant was committed the guard names the incarnation too; a crash in between is made good here.

    Any other difference is no crash but a restore or a clone, and stays as it is.
    """
    try:
        said = json.loads((data / GUARD).read_bytes())
        alive, epoch = said["inc"] != list(NO_INCARNATION), said["epoch"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if alive or not inc.number:
        return
    with reading(engine) as conn:
        confirmed = conn.execute(select(t.guard.c.confirmed)).scalar()
    if epoch == confirmed:
        write_guard(data, inc, epoch)


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


def _instance(engine: Engine, clock: Clock, new_start: bool) -> str:
    if not new_start:
        with reading(engine) as conn:
            known: str | None = conn.execute(select(t.instances.c.instance)).scalar()
        if known is not None:
            return known
    fresh = clock.token(16)
    with writing(engine) as conn:
        upsert(conn, t.instances, [{"only": 1, "instance": fresh, "at": clock.now()}])
    return fresh
