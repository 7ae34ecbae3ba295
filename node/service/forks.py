"""Two statements of one author at one position (R9): the proof, and the entries that are held because of it.

Which of the two came first differs from node to node, so until a claim each node may hold another of them. The claim
names one by standing on it: there the held entries become the way to it; everywhere else they become orphans.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, func, or_, select, update

from node.store.codec import inc_text
from node.store.tables import entries, orphans, parked, registry, remarks, statements
from schemas.ids import Digest, NodeCode, TopicId
from sync.errors import SyncError
from sync.keys import Keyring
from sync.sealing import ENTRY, REGISTRY, Statement, open_statement, parse
from sync.strict import strict_json

if TYPE_CHECKING:
    from node.service.commit import Batch

CODES = ("fork", "frozen", "wrong-prev", "gap")
"""What an entry is kept for that stands on or beside an entry that came second."""
_BESIDE = (
    parked.c.topic.is_(None),
    parked.c.state.in_(("held", "deferred")),
    parked.c.code.in_(("equivocation", "wrong-prev", "gap")),
)
"""Where registry entries are kept of branches that this node does not go by, among others."""
_IS_BESIDE = select(parked.c.raw).where(*_BESIDE).order_by(parked.c.id)
BESIDE_LAST = select(func.max(parked.c.id)).where(*_BESIDE)


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry that is kept and not applied: who it came from, and whether it was passed on, and so stored, already."""

    statement: Statement
    peer: NodeCode
    relayed: bool


def held(batch: "Batch", topic: TopicId) -> list[HeldEntry]:
    """What is kept of a topic for such a reason, each once, in the order of their positions."""
    mine = (parked.c.topic == topic, parked.c.state.in_(("held", "deferred")), parked.c.code.in_(CODES))
    found: dict[Digest, HeldEntry] = {}
    rows = batch.conn.execute(select(parked).where(*mine).order_by(parked.c.id)).all()
    stored = batch.known(row.statement for row in rows)  # not row.relayed: another row of the same may say so
    for row in rows:
        try:
            statement = open_statement(parse(row.raw), batch.roster.keyring)
        except SyncError:
            continue
        waits = statement.typ == ENTRY and statement.known
        if waits and batch.topic_of_entry(statement.id) is None:  # kept twice, it may be applied by now
            found.setdefault(statement.id, HeldEntry(statement, row.peer, statement.id in stored))
    return sorted(found.values(), key=lambda one: (one.statement.payload.term, one.statement.payload.seq))


def registry_beside(conn: Connection) -> Iterator[bytes]:
    """Each entry once that may be of a branch of somebody's registry that this node does not go by."""
    yield from dict.fromkeys(conn.execute(_IS_BESIDE).scalars())


def registry_entry(raw: bytes, keyring: Keyring, author: NodeCode) -> Statement | None:
    """What this is, if it is an entry of that node's registry; None too where it is kept unread, or by a state of the
    registry that a restore forgot."""
    try:
        signed = parse(raw)
        if signed.typ != REGISTRY or strict_json(signed.payload).get("author") != author:
            return None
        return open_statement(signed, keyring)
    except SyncError:
        return None


def path_to(batch: "Batch", topic: TopicId, claim: Statement) -> list[HeldEntry]:
    """The held entries between what is here and the one this claim stands on; none where it is no claim."""
    at = claim.payload.prev
    if claim.payload.kind != "claimed" or at is None or batch.topic_of_entry(at) == topic:
        return []
    known = {one.statement.id: one for one in held(batch, topic)}
    path: list[HeldEntry] = []
    while at in known:
        path.append(known[at])
        at = known[at].statement.payload.prev
    return path[::-1]


def store(batch: "Batch", topic: TopicId, some: Sequence[HeldEntry]) -> None:
    """These are held no longer: they are stored like any other."""
    for one in some:
        batch.store(one.statement, one.peer, topic, one.relayed)
        mine = (parked.c.statement == one.statement.id, parked.c.state.in_(("held", "deferred")))
        batch.conn.execute(update(parked).where(*mine).values(state="done"))


def prove(batch: "Batch", statement: Statement, error: SyncError) -> None:
    """Two statements of one author and incarnation at one position: keep both, freeze the author (R9)."""
    if error.code not in ("fork", "equivocation"):
        return
    said, topic = statement.payload, getattr(statement.payload, "topic", None)
    chain = batch.working(topic).chain if topic else None
    if chain is None and statement.typ != REGISTRY:
        return
    batch.flush_rows()
    for row in batch.conn.execute(_rivals(statement)).all():
        other = open_statement(parse(row.raw), batch.roster.keyring).payload
        same_term = statement.typ != ENTRY or row.typ != ENTRY or other.term == said.term
        if (other.author, other.inc) == (said.author, said.inc) and same_term:
            batch.equivocation(row.id, statement.id, chain, said.author, said.inc)
            return


def _rivals(statement: Statement) -> Select[Any]:
    """What is stored at the statement's position; that of an acceptance or a decline is also the offer it answers."""
    said = statement.payload
    seq = getattr(said, "seq", -1)
    if statement.typ == REGISTRY:
        r = registry.c
        there = select(r.id).where(r.author == said.author, r.inc == inc_text(said.inc), r.seq == seq)
        return select(statements.c.id, statements.c.raw, statements.c.typ).where(statements.c.id.in_(there))
    ids = [select(table.c.id).where(table.c.topic == said.topic, table.c.seq == seq) for table in (entries, orphans)]
    if said.kind == "accepted":
        ids.append(select(remarks.c.id).where(remarks.c.entry == said.body.offer, remarks.c.kind == "declined"))
    elif said.kind == "declined":
        answer = select(entries.c.seq + 1).where(entries.c.id == said.entry).scalar_subquery()
        accepted = (entries.c.topic == said.topic, entries.c.seq == answer, entries.c.kind == "accepted")
        ids.append(select(entries.c.id).where(*accepted))
    return select(statements.c.id, statements.c.raw, statements.c.typ).where(
        or_(*(statements.c.id.in_(q) for q in ids))
    )
