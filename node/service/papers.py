"""A neighbour whose key is unknown brings its papers: the registry entries that say who it is (SPEC 14.9).

A node that was set back, and whose parent was too, has forgotten what it said itself of a child since. The child still
has those words, signed; whoever carries them, they verify. Here is what the child sends, and what of a document of an
unknown key is worth a transaction; `receive.learn` applies it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from node.context import Context
from node.service import roster as rosters
from node.store.engine import reading
from node.store.tables import registry, statements
from schemas.exchange import PAPERS_BYTES_MAX, PAPERS_MAX
from schemas.ids import KeyId, NodeCode
from schemas.problem import PREFIX
from sync.errors import BadDocument, SyncError
from sync.exchange import Document, Item, Old, read_claims
from sync.keys import Key
from sync.roster import Roster, enrol
from sync.sealing import REGISTRY, Statement, open_statement
from sync.strict import strict_json
from sync.transport import Reply

UNKNOWN = "unknown-peer"
_REFUSALS = (400, 403)
_PROBLEM_BYTES_MAX = 64 * 1024
_ENVELOPE_BYTES = 8 * 1024
"""Kept free for header and seal."""
_LINE_BYTES = len(b'{"old":}\n')


def asked_for(reply: Reply) -> bool:
    """Whether a reply says that the sender is unknown. Nobody vouches for that: it may cost a useless document."""
    if reply.status not in _REFUSALS or len(reply.body) > _PROBLEM_BYTES_MAX:
        return False
    try:
        return bool(strict_json(reply.body).get("type") == PREFIX + UNKNOWN)
    except SyncError:
        return False


def lines(conn: Connection, roster: Roster, me: NodeCode) -> list[Old]:
    """What all nodes above this one (above a root: itself) said for the registry, in the order it was applied here.

    Nobody else's words are needed to know this node by. Of too many it is the newest.
    """
    query = (
        select(statements.c.raw)
        .join(registry, registry.c.id == statements.c.id)
        .where(registry.c.author.in_(roster.ancestors(me) or (me,)))
        .order_by(statements.c.pos.desc())
        .limit(PAPERS_MAX)
    )
    found: list[Old] = []
    left = PAPERS_BYTES_MAX - _ENVELOPE_BYTES
    for raw in conn.execute(query).scalars():
        left -= len(raw) + _LINE_BYTES
        if left < 0:
            break
        found.append(Old(raw))
    return found[::-1]


def news(ctx: Context, raw: bytes) -> tuple[NodeCode, Sequence[tuple[Item, Statement]]]:
    """Who sent a document whose key is unknown, and what of its papers is new here, verified, in their order.

    Raises BadDocument unless those make its key that of a neighbour. Nothing is written, and no transaction held.
    """
    document = _claims(raw)
    if document.header.to != ctx.identity.code:
        raise BadDocument(UNKNOWN, document.header.to)
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
    found: list[tuple[Item, Statement]] = []
    for item in document.olds:
        if item.signed is None or item.signed.typ != REGISTRY:
            continue
        try:
            statement = open_statement(item.signed, roster.keyring)
            roster = enrol(roster, statement)
        except SyncError:
            continue  # known already, or of no use to know this sender by
        found.append((item, statement))
    peer = document.header.from_
    member = roster.get(peer)
    if member is None or peer not in roster.neighbours(ctx.identity.code) or not _has(member.keys, document.kid):
        raise BadDocument(UNKNOWN, peer)
    return peer, found


def _has(keys: Sequence[Key], kid: KeyId) -> bool:
    return any(key.kid == kid for key in keys)


def _claims(raw: bytes) -> Document:
    """Such a document, if it is small enough to be read for a stranger."""
    if len(raw) > PAPERS_BYTES_MAX or raw.count(b"\n") > PAPERS_MAX + 2:
        raise BadDocument(UNKNOWN)
    try:
        return read_claims(raw)
    except BadDocument:
        raise BadDocument(UNKNOWN) from None
