"""Make a node: key, database, guard; a root also anchors its tree (SPEC 7.1)."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import Engine, insert, select, update

from node.clock import Clock
from node.config import Settings
from node.context import Context, Identity
from node.domain.refusals import NodeExists
from node.service import guard
from node.service.commit import Batch, write
from node.service.identity import BOX_KEY, SIGNING_KEY, read_signer, verify_pool
from node.service.lists import add_version, check
from node.store import tables as t
from node.store.codec import inc_text
from node.store.engine import connect, upsert
from node.store.schema import upgrade
from schemas.ids import Digest, Incarnation, NodeCode, Tier
from schemas.registry import Anchored, Card
from sync.keys import b64


@dataclass(frozen=True, slots=True)
class Plan:
    """The node to be made; `divisions` replaces the built-in table."""

    code: NodeCode
    name: str
    tier: Tier
    url: str
    root: bool = False
    divisions: bytes | None = None


def init_node(settings: Settings, clock: Clock, plan: Plan) -> Context:
    """Make the node of `plan` in an empty data folder and database, in one transaction.

    Raises NodeExists, or the typed error of a bad division table; nothing is left behind then, and by a crash nothing
    but keys, which a second try uses.
    """
    if plan.divisions is not None:
        check("divisions", plan.divisions)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = connect(settings.url)
    upgrade(engine)
    with engine.connect() as conn:
        if conn.execute(select(t.node.c.code)).first() is not None:
            raise NodeExists(str(settings.data))
    _make_keys(settings.data)
    ctx = _context(settings, clock, plan, engine)
    with write(ctx) as batch:
        epoch = clock.token(16)
        batch.inc = Incarnation(1 if plan.root else 0, clock.token(16))
        batch.conn.execute(insert(t.node).values(_row(ctx, batch.inc, batch.now)))
        batch.conn.execute(insert(t.guard).values(only=1, confirmed=epoch))
        upsert(batch.conn, t.instances, [{"only": 1, "instance": ctx.instance, "at": batch.now}])
        if plan.root:
            _anchor(batch)
        if plan.divisions is not None:
            _own_divisions(batch, plan.divisions)
        guard.store(settings.data, batch.inc, epoch)
    return ctx


def card_of(ctx: Context) -> Card:
    """What this node is called by in the registry."""
    me = ctx.identity
    box = str(pyrage.x25519.Identity.from_str(me.box).to_public())
    return Card(code=me.code, name=me.name, tier=me.tier, url=me.url, key=b64(me.signer.public), box=box)


def record_grant(batch: Batch, anchor: Digest, parent: tuple[NodeCode, str] | None) -> None:
    """Put the granted incarnation, the trusted root and the parent (code, URL) into the node's row."""
    inc = batch.inc
    values: dict[str, object] = {"inc_number": inc.number, "inc_nonce": inc.nonce, "anchor": anchor}
    values |= {"stream_inc": inc_text(inc), "known_number": inc.number}
    if parent is not None:
        values |= {"parent": parent[0], "parent_url": parent[1]}
    batch.conn.execute(update(t.node).values(values))


def _context(settings: Settings, clock: Clock, plan: Plan, engine: Engine) -> Context:
    """The node before it is recorded anywhere."""
    signer = read_signer(settings.data / SIGNING_KEY)
    box = (settings.data / BOX_KEY).read_text().strip()
    identity = Identity(plan.code, plan.name, plan.tier, plan.url.rstrip("/"), signer, box)
    return Context(settings, engine, clock, identity, clock.token(16), verify_pool())


def _anchor(batch: Batch) -> None:
    anchored = batch.register("anchored", Anchored(node=card_of(batch.ctx), inc=batch.inc, witnesses=[]))
    record_grant(batch, anchored.id, None)
    batch.audit("anchor", None)


def _own_divisions(batch: Batch, content: bytes) -> None:
    """The node's own division table, in force from the start and, at a root, for the whole tree once published."""
    ref = batch.part("content", content, "text/csv", "full")
    row = {"list": "divisions", "author": batch.me, "version": 1, "rank": batch.ctx.identity.tier.rank}
    add_version(batch.conn, {**row, "statement": None, "digest": ref.digest, "at": batch.now})


def _make_keys(data: Path) -> None:
    if not (data / SIGNING_KEY).exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        guard.write_durably(data / SIGNING_KEY, pem)
    if not (data / BOX_KEY).exists():
        guard.write_durably(data / BOX_KEY, f"{pyrage.x25519.Identity.generate()}\n".encode())


def _row(ctx: Context, inc: Incarnation, now: datetime) -> dict[str, object]:
    """A root grants itself incarnation 1; any other waits for its parent, with the nonce it drew."""
    me = ctx.identity
    return {
        "code": me.code,
        "name": me.name,
        "tier": me.tier.value,
        "url": me.url,
        "kid": me.signer.kid,
        "inc_number": inc.number,
        "inc_nonce": inc.nonce,
        "created_at": now,
    }
