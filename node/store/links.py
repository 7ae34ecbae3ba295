"""Rows of `links` and `outbox`: the two streams of every link and how far they got."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from node.store.codec import inc_of, inc_text
from node.store.tables import links, outbox, statements
from schemas.ids import Digest, Incarnation, NodeCode
from sync.stream import stream_hash


@dataclass(slots=True)
class Link:
    """One link under change: our stream to the peer and what it acknowledged; the peer's stream and how far we are."""

    peer: NodeCode
    relation: str
    url: str
    sent_seq: int
    sent_hash: Digest
    acked_seq: int
    acked_hash: Digest
    received_inc: Incarnation
    received_seq: int
    received_hash: Digest
    stopped: str | None
    last_contact_at: datetime | None
    next_try_at: datetime | None
    failures: int
    instance: str | None = None
    known: bool = True
    comparing: bool = False
    dirty: bool = False

    def send(self, identity: Digest) -> tuple[int, Digest]:
        """The next position of our stream for this identity."""
        self.sent_seq += 1
        self.sent_hash = stream_hash(self.sent_hash, identity)
        self.dirty = True
        return self.sent_seq, self.sent_hash

    def receive(self, identity: Digest) -> None:
        """The peer's stream moves on by one."""
        self.received_seq += 1
        self.received_hash = stream_hash(self.received_hash, identity)
        self.dirty = True

    def restart(self, start: Digest) -> None:
        """Our stream begins anew, in another incarnation, of which the peer has to hear first."""
        self.sent_seq = self.acked_seq = 0
        self.sent_hash = self.acked_hash = start
        self.known, self.comparing, self.dirty = False, True, True

    def expect(self, inc: Incarnation, start: Digest) -> None:
        """The peer's stream begins anew, in another incarnation of it."""
        self.received_inc, self.received_seq, self.received_hash, self.dirty = inc, 0, start, True


_ONE = select(links).where(links.c.peer == bindparam("peer"))
_ALL = select(links).order_by(links.c.peer)
_STORE = update(links).where(links.c.peer == bindparam("link"))
_PENDING = (
    select(outbox.c.seq, outbox.c.statement, statements.c.raw)
    .join(statements, statements.c.id == outbox.c.statement)
    .where(outbox.c.peer == bindparam("peer"), outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
    .limit(bindparam("limit"))
)
_HASH_AT = select(outbox.c.hash).where(outbox.c.peer == bindparam("peer"), outbox.c.seq == bindparam("seq"))
"""Built once: what a statement is made of costs more than to run it."""


def load(conn: Connection, peer: NodeCode) -> Link | None:
    row = conn.execute(_ONE, {"peer": peer}).first()
    return _link(row) if row else None


def load_all(conn: Connection) -> list[Link]:
    return [_link(row) for row in conn.execute(_ALL)]


def create(
    conn: Connection, peer: NodeCode, relation: str, url: str, sent: Digest, inc: Incarnation, got: Digest
) -> None:
    """A new link with both streams at their start (`sent`, `got`: hash_0 of ours and of the peer's)."""
    conn.execute(
        insert(links).values(
            peer=peer,
            relation=relation,
            url=url,
            sent_seq=0,
            sent_hash=sent,
            acked_seq=0,
            acked_hash=sent,
            received_inc=inc_text(inc),
            received_seq=0,
            received_hash=got,
            failures=0,
        )
    )


def store(conn: Connection, link: Link) -> None:
    values = {
        "link": link.peer,
        "url": link.url,
        "sent_seq": link.sent_seq,
        "sent_hash": link.sent_hash,
        "acked_seq": link.acked_seq,
        "acked_hash": link.acked_hash,
        "received_inc": inc_text(link.received_inc),
        "received_seq": link.received_seq,
        "received_hash": link.received_hash,
        "stopped": link.stopped,
        "last_contact_at": link.last_contact_at,
        "next_try_at": link.next_try_at,
        "failures": link.failures,
        "instance": link.instance,
        "known": link.known,
        "comparing": link.comparing,
    }
    conn.execute(_STORE, values)


def pending(conn: Connection, peer: NodeCode, after: int, limit: int) -> list[tuple[int, Digest, bytes]]:
    """(seq, identity, bytes) of our stream to `peer` after a seq, in order."""
    rows = conn.execute(_PENDING, {"peer": peer, "after": after, "limit": limit})
    return [(row.seq, row.statement, row.raw) for row in rows]


def hash_at(conn: Connection, peer: NodeCode, seq: int) -> Digest | None:
    return conn.execute(_HASH_AT, {"peer": peer, "seq": seq}).scalar()


def oldest_unacked(conn: Connection, link: Link) -> datetime | None:
    query = select(outbox.c.at).where(outbox.c.peer == link.peer, outbox.c.seq == link.acked_seq + 1)
    return conn.execute(query).scalar()


def backlog(conn: Connection) -> int:
    waiting: int = conn.execute(select(func.coalesce(func.sum(links.c.sent_seq - links.c.acked_seq), 0))).scalar_one()
    return waiting


def _link(row: Any) -> Link:
    values = dict(row._mapping)
    values["received_inc"] = inc_of(values["received_inc"])
    return Link(**values)
