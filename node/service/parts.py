"""Parts on the way: which go along, which are asked for, and pieces put together again (SPEC 4).

A part that is not `full` never leaves. What arrives is kept piece by piece and becomes a part only when the digest
over salt and bytes fits a reference that a verified statement holds.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, delete, exists, func, insert, or_, select, update

from node.service.commit import Batch
from node.service.published import list_arrived
from node.store import tables as t
from node.store.codec import load_chain
from node.store.engine import insert_new
from schemas.exchange import Chunk, Pull
from schemas.ids import Digest, NodeCode, TopicId
from schemas.statement import CHUNK_BYTES_MAX
from sync.errors import SyncError
from sync.keys import b64, unb64

PULLS_MAX = 64
LINE_OVERHEAD = 220
QUERY_VALUES_MAX = 500
_SIZES = select(t.parts.c.digest, t.parts.c.salt, func.length(t.parts.c.content).label("size")).where(
    t.parts.c.digest.in_(bindparam("digests", expanding=True)), t.parts.c.content.is_not(None)
)
_CONTENT = select(func.substr(t.parts.c.content, bindparam("first"), bindparam("count"), type_=LargeBinary())).where(
    t.parts.c.digest == bindparam("digest")
)
_KEPT = t.part_refs.alias("kept")
_MAY_LEAVE = ~exists().where(_KEPT.c.digest == t.part_refs.c.digest, _KEPT.c.share != "full")
"""What any statement calls local or for counts alone stays, whatever another says of the same digest."""
_FULL = select(t.part_refs.c.digest).where(
    t.part_refs.c.statement.in_(bindparam("statements", expanding=True)), t.part_refs.c.share == "full", _MAY_LEAVE
)
_WANTED = (
    select(t.wanted_parts)
    .where(t.wanted_parts.c.peer == bindparam("peer"))
    .order_by(t.wanted_parts.c.digest)
    .limit(PULLS_MAX)
)


def chunks_of(conn: Connection, offsets: Mapping[Digest, int], bytes_max: int) -> list[Chunk]:
    """Pieces of parts, each from its offset on, as far as `bytes_max` allows; parts that are not here are left out.

    Sizes are looked up first: of content no more is read than is sent.
    """
    found: list[Chunk] = []
    room = bytes_max
    for some in _slices(list(offsets)):
        for row in conn.execute(_SIZES, {"digests": some}).all():
            if room <= 0:
                return found
            pieces = _pieces(conn, row, offsets[row.digest], room)
            found += pieces
            room -= sum(len(piece.data) + LINE_OVERHEAD for piece in pieces)
    return found


def to_send(conn: Connection, statements: Sequence[Digest]) -> dict[Digest, int]:
    """The `full` parts these statements name, from their start."""
    found: dict[Digest, int] = {}
    for some in _slices(list(statements)):
        found.update(dict.fromkeys(conn.execute(_FULL, {"statements": some}).scalars(), 0))
    return found


def may_pull(conn: Connection, peer: NodeCode, pulls: Sequence[Pull]) -> dict[Digest, int]:
    """Those of a peer's pulls that ask for a `full` part of a statement we sent it, of a topic it takes part in, or of
    the registry: every node of the tree has that, one that joined later from the answer to its joining.
    """
    if not pulls:
        return {}
    offsets = {pull.digest: pull.offset for pull in pulls[:PULLS_MAX]}
    refs, sent = t.part_refs.c, t.outbox.c
    was_sent = exists().where(sent.statement == refs.statement, sent.peer == peer)
    before = exists().where(t.sent_before.c.statement == refs.statement, t.sent_before.c.peer == peer)
    registered = exists().where(t.registry.c.id == refs.statement)
    asked = (refs.digest.in_(offsets), refs.share == "full", _MAY_LEAVE)
    query = select(refs.digest).where(*asked, or_(was_sent, before, registered))
    found = {digest: offsets[digest] for digest in conn.execute(query).scalars()}
    rest = [digest for digest in offsets if digest not in found]
    return found | {digest: offsets[digest] for digest in _in_common(conn, peer, rest)}


def _in_common(conn: Connection, peer: NodeCode, digests: Sequence[Digest]) -> set[Digest]:
    """Those of the parts that belong to a topic the peer takes part in: what it lost it may have again (SPEC 14.3)."""
    if not digests:
        return set()
    refs = t.part_refs.c
    query = select(refs.digest, t.topics.c.custody).join(t.topics, t.topics.c.id == refs.topic)
    rows = conn.execute(query.where(refs.digest.in_(digests), refs.share == "full", _MAY_LEAVE)).all()
    return {row.digest for row in rows if peer in load_chain(row.custody).participants}


def pulls_for(conn: Connection, peer: NodeCode) -> list[Pull]:
    """What to ask this peer for."""
    return [Pull(digest=row.digest, offset=row.got) for row in conn.execute(_WANTED, {"peer": peer})]


def look_elsewhere(batch: Batch, peer: NodeCode, pulls: Sequence[Pull]) -> None:
    """Who asks this node for what this node wants from him has lost it as well, with a restore: ask the others, too.

    In a tree two such neighbours are the only way in which everybody waits for somebody.
    """
    if not pulls:
        return
    wanted, refs = t.wanted_parts.c, t.part_refs.c
    mine = (wanted.peer == peer, wanted.digest.in_({pull.digest for pull in pulls[:PULLS_MAX]}))
    query = select(wanted.digest, wanted.size, refs.topic).join(t.part_refs, refs.digest == wanted.digest)
    others = batch.roster.neighbours(batch.me) - {peer}
    rows = [
        {"peer": other, "digest": row.digest, "size": row.size, "got": 0}
        for row in batch.conn.execute(query.where(*mine).distinct()).all()
        for other in sorted(others)
        if row.topic is None or _takes_part(batch, other, row.topic)
    ]
    insert_new(batch.conn, t.wanted_parts, rows)


def _takes_part(batch: Batch, peer: NodeCode, topic: TopicId) -> bool:
    chain = batch.working(topic).chain
    return chain is not None and peer in chain.participants


def take(batch: Batch, peer: NodeCode, chunks: Sequence[Chunk]) -> None:
    """Keep pieces of wanted parts that continue what is here; complete, check and store those that are whole."""
    if not chunks:
        return
    batch.flush_rows()
    whole: dict[Digest, tuple[str, bytes]] = {}
    for some in _slices(list(dict.fromkeys(chunk.digest for chunk in chunks))):
        query = select(t.wanted_parts).where(t.wanted_parts.c.peer == peer, t.wanted_parts.c.digest.in_(some))
        wants = {row.digest: Want(peer, row.digest, row.size, row.salt, row.got) for row in batch.conn.execute(query)}
        for chunk in chunks:
            if (want := wants.get(chunk.digest)) is not None:
                _take_one(batch, want, chunk, whole)
    _store(batch, whole)


@dataclass(slots=True)
class Want:
    """A part on its way: how much of it is here."""

    peer: NodeCode
    digest: Digest
    size: int
    salt: str | None
    got: int

    def rest_of(self, chunk: Chunk, data: bytes) -> bytes | None:
        """What a piece adds to what is here. It may begin earlier: another document cuts a part elsewhere."""
        known = self.got - chunk.offset
        rest = data[known:] if known >= 0 else b""
        fits = known >= 0 and chunk.size == self.size and self.got + len(rest) <= self.size
        return rest if fits and self.salt in (None, chunk.salt) and (rest or self.size == 0) else None


def _take_one(batch: Batch, want: Want, chunk: Chunk, whole: dict[Digest, tuple[str, bytes]]) -> None:
    try:
        data = want.rest_of(chunk, unb64(chunk.data))
    except SyncError:
        return
    if want.digest in whole or data is None:
        return
    earlier = _earlier(batch, want) if want.got and want.got + len(data) == want.size else b""
    offset, want.got, want.salt = want.got, want.got + len(data), chunk.salt
    if want.got == want.size and _fits(chunk, earlier + data):
        whole[want.digest] = (chunk.salt, earlier + data)
        return
    if want.got == want.size:
        _drop_pieces(batch, want)
        want.got, want.salt = 0, None
    else:
        row = {"peer": want.peer, "digest": want.digest, "offset": offset, "data": data}
        batch.conn.execute(insert(t.part_chunks).values(row))
    mine = (t.wanted_parts.c.peer == want.peer, t.wanted_parts.c.digest == want.digest)
    batch.conn.execute(update(t.wanted_parts).where(*mine).values(got=want.got, salt=want.salt))


def _fits(chunk: Chunk, content: bytes) -> bool:
    return hashlib.sha256(bytes.fromhex(chunk.salt) + content).hexdigest() == chunk.digest


def _earlier(batch: Batch, want: Want) -> bytes:
    pieces = t.part_chunks.c
    query = select(pieces.data).where(pieces.peer == want.peer, pieces.digest == want.digest).order_by(pieces.offset)
    return b"".join(batch.conn.execute(query).scalars())


def _drop_pieces(batch: Batch, want: Want) -> None:
    mine = (t.part_chunks.c.peer == want.peer, t.part_chunks.c.digest == want.digest)
    batch.conn.execute(delete(t.part_chunks).where(*mine))


def _store(batch: Batch, whole: dict[Digest, tuple[str, bytes]]) -> None:
    """Whole parts come to rest and to use; nobody is asked for them any more."""
    rows = [
        {"digest": digest, "salt": salt, "content": content, "at": batch.now}
        for digest, (salt, content) in whole.items()
    ]
    insert_new(batch.conn, t.parts, rows)
    for some in _slices(list(whole)):
        batch.conn.execute(delete(t.wanted_parts).where(t.wanted_parts.c.digest.in_(some)))
        batch.conn.execute(delete(t.part_chunks).where(t.part_chunks.c.digest.in_(some)))
        refs = t.part_refs.c
        query = select(refs.statement, refs.topic, refs.name, refs.digest).where(refs.digest.in_(some))
        for row in batch.conn.execute(query).all():
            _put_to_use(batch, row, whole[row.digest][1])


def _put_to_use(batch: Batch, ref: Any, content: bytes) -> None:
    """A topic's text is shown and searched; a published list comes into force."""
    if ref.topic == ref.statement and ref.name == "text":
        batch.text_arrived(ref.topic, content.decode("utf-8", "replace").replace("\x00", ""))
    elif ref.topic is None and ref.name == "content":
        list_arrived(batch, ref.statement, ref.digest, content)


def _pieces(conn: Connection, row: Any, offset: int, room: int) -> list[Chunk]:
    """A part's content from `offset` on as chunks; an empty part is one empty chunk."""
    end = min(row.size, offset + max(room * 3 // 4, 1))
    content: bytes = b""
    if end > offset:
        wanted = {"digest": row.digest, "first": offset + 1, "count": end - offset}
        content = conn.execute(_CONTENT, wanted).scalar_one()
    starts = range(offset, end, CHUNK_BYTES_MAX) if row.size else range(1)
    return [
        Chunk(
            digest=row.digest,
            salt=row.salt,
            size=row.size,
            offset=at,
            data=b64(bytes(content[at - offset : at - offset + CHUNK_BYTES_MAX])),
        )
        for at in starts
    ]


def _slices(values: list[Digest]) -> Iterator[list[Digest]]:
    for start in range(0, len(values), QUERY_VALUES_MAX):
        yield values[start : start + QUERY_VALUES_MAX]
