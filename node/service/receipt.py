"""Receipts for what this node said (SPEC 15.6): proof that anybody can check offline, by the root's key alone.

`receipt` makes one for a statement of this node's own, once a witness has signed above it; `topic_receipt` chooses the
statement a citizen means. Nothing is stored: a receipt made later proves the same under a larger checkpoint.
"""

from sqlalchemy import Connection, select

from node.context import Context
from node.domain.refusals import NoReceipt, NotFound, NotWitnessed
from node.service import log
from node.service import roster as rosters
from node.service.views import topic_view
from node.store import log as rows
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Digest, Incarnation, NodeCode, TopicId
from schemas.registry import Anchored, Granted
from sync.log import Proof
from sync.merkle import inclusion_ranges
from sync.receipt import Receipt, read_receipt, write_receipt
from sync.roster import Roster
from sync.sealing import Statement, open_statement, parse

SUFFIX = ".tlog-proof"
_WITNESSES_MAX = 15
_MAKE_KNOWN = ("anchored", "enrolled", "granted", "rotated")


def receipt(ctx: Context, conn: Connection, statement: Digest) -> bytes:
    """The receipt for a statement in this node's log. Raises NoReceipt for any other, NotWitnessed before its time."""
    at = rows.leaf_of(conn, statement)
    if at is None:
        raise NoReceipt(statement)
    inc, index = at
    roster = rosters.current(ctx, conn)
    size, note, signers = _checkpoint(ctx, conn, roster, inc, index)
    hashes = log.hashes_of(conn, inc, inclusion_ranges(index, size))
    raw = _raw(conn, statement)
    opened = open_statement(parse(raw), roster.keyring)
    nodes = [*reversed(roster.ancestors(ctx.identity.code)), ctx.identity.code, *signers]
    known = _registry(conn, roster, nodes, opened.payload.inc)
    return write_receipt(Proof(index, hashes, note), raw, known, _context(conn, opened))


def topic_receipt(ctx: Context, topic: TopicId, entry: Digest | None = None) -> tuple[str, bytes]:
    """(file name, receipt) for a topic: that this node took it up, or for one of its entries by this node.

    Raises NoReceipt where this node neither opened nor accepted it, NotWitnessed before its time.
    """
    with reading(ctx.engine) as conn:
        view = topic_view(ctx, conn, topic)
        e = t.entries.c
        mine = select(e.id).where(e.topic == topic, e.author == ctx.identity.code)
        wanted = e.id == entry if entry is not None else e.kind.in_(("opened", "accepted"))
        found = conn.execute(mine.where(wanted).order_by(e.seq.desc()).limit(1)).scalar()
        if found is None:
            raise NoReceipt(entry or topic)
        return view.number + SUFFIX, receipt(ctx, conn, found)


def root_key(ctx: Context) -> tuple[NodeCode, str]:
    """The code and public key (base64url) of the root this node trusts. Raises NotFound before it has joined."""
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
        if roster.anchor is None:
            raise NotFound("no root is trusted here yet")
        anchored = open_anchored(_raw(conn, roster.members[roster.anchor].entry))
    return roster.anchor, anchored


def open_anchored(raw: bytes) -> str:
    """The key that a root's `anchored` names: the one receipts are checked by, whatever keys the root has had since."""
    body = rosters.open_anchor(raw).payload.body
    assert isinstance(body, Anchored)  # noqa: S101 - open_anchor takes nothing else
    return body.node.key


def check_receipt(raw: bytes, key: bytes) -> Receipt:
    """What a receipt proves; touches nothing but its arguments. Raises SyncError for a bad one."""
    return read_receipt(raw, key)


def _checkpoint(
    ctx: Context, conn: Connection, roster: Roster, inc: Incarnation, index: int
) -> tuple[int, str, list[NodeCode]]:
    """(size, note with the witnesses' lines, those witnesses) of the largest signed checkpoint above a leaf."""
    signed = rows.cosigned(conn, inc, log.witnesses(roster, ctx.identity.code))
    size = signed[0].size if signed else 0
    kept = rows.note_at(conn, inc, size)
    if kept is None or size <= index:
        raise NotWitnessed
    by = [row for row in signed if row.size == size][:_WITNESSES_MAX]
    return size, kept.note + "".join(row.line for row in by), [row.witness for row in by]


def _registry(conn: Connection, roster: Roster, nodes: list[NodeCode], inc: Incarnation) -> list[bytes]:
    """The registry entries that make these nodes known, in an order in which each verifies by those before it.

    Every key they had; of their further incarnations only that of the statement. What was said again after a fork is in
    it once.
    """
    wanted, found, told = set(nodes), [], set()
    query = select(t.statements.c.raw).join(t.registry, t.registry.c.id == t.statements.c.id)
    speakers = {roster.parent(code) or code for code in wanted}
    query = query.where(t.registry.c.author.in_(speakers), t.registry.c.kind.in_(_MAKE_KNOWN))
    for raw in conn.execute(query.order_by(t.statements.c.pos)).scalars():
        body = _body(raw, roster)
        named = body.node if isinstance(body, Granted) else getattr(getattr(body, "node", None), "code", None)
        what = (named, body.inc if isinstance(body, Granted) else getattr(getattr(body, "node", None), "key", None))
        if named in wanted and what not in told and (not isinstance(body, Granted) or body.inc == inc):
            found.append(raw)
            told.add(what)
    return found


def _body(raw: bytes, roster: Roster) -> object:
    return open_statement(parse(raw), roster.keyring).payload.body


def _context(conn: Connection, said: Statement) -> list[bytes]:
    """Payloads of the topic's `opened`, and of the offer an acceptance answers: by their identities part of it."""
    named = [getattr(said.payload, "topic", None), getattr(said.payload.body, "offer", None)]
    wanted = [id for id in named if id is not None][: 2 if said.payload.kind == "accepted" else 1]
    return [parse(_raw(conn, id)).payload for id in wanted]


def _raw(conn: Connection, id: Digest) -> bytes:
    raw: bytes = conn.execute(select(t.statements.c.raw).where(t.statements.c.id == id)).scalar_one()
    return raw
