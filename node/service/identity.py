"""Who this node is: its row, its keys and its guard, from the data folder and the database into a Context."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from node.clock import Clock
from node.config import Settings
from node.context import Context, Identity
from node.domain.refusals import NodeRunning, NoNode
from node.service import guard
from node.store import tables as t
from node.store.engine import connect, reading, upsert, writing
from node.store.health import jobs_running
from node.store.schema import is_behind, upgrade
from schemas.ids import Tier
from sync.keys import Signer

SIGNING_KEY = "signing.pem"
BOX_KEY = "box.txt"
VERIFY_THREADS = 2


def load(settings: Settings, clock: Clock, new_start: bool = False) -> Context:
    """The context of the node in this data folder. `new_start`: draw the instance id that its processes share.

    A guard that does not fit ends the node's incarnation here. Raises NoNode where `init` has not been run, or the keys
    are not those of the database; NodeRunning where an older version of the program still runs on this database: it
    would go on writing into tables it does not know.
    """
    if not (settings.data / SIGNING_KEY).exists():
        raise NoNode(str(settings.data))
    engine = connect(settings.url)
    # Asked again at the end: a process that was started with this one may have done the upgrade meanwhile.
    if is_behind(engine) and jobs_running(engine, settings.data) and is_behind(engine):
        engine.dispose()
        raise NodeRunning("an older version of the program runs on this database")
    upgrade(engine)
    identity = read_identity(engine, settings.data)
    instance = _instance(engine, clock, new_start)
    ctx = Context(settings, engine, clock, identity, instance, verify_pool())
    guard.check(ctx)
    if new_start:
        guard.turn(ctx)
    return ctx


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
    box = (data / BOX_KEY).read_text().strip()
    return Identity(row.code, row.name, Tier(row.tier), row.url, signer, box)


def read_signer(path: Path) -> Signer:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoNode("the signing key is not an Ed25519 key")
    return Signer(key)


def _instance(engine: Engine, clock: Clock, new_start: bool) -> str:
    if not new_start:
        with reading(engine) as conn:
            known: str | None = conn.execute(select(t.instances.c.instance)).scalar()
        if known is not None:
            return known
    fresh = clock.token(16)
    with writing(engine) as conn:
        upsert(conn, t.instances, [{"only": 1, "instance": fresh, "at": clock.now(), "met_at": None}])
    return fresh
