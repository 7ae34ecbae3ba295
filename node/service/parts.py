"""Parts on the way: which go along, which are asked for, and pieces put together again (SPEC 4).

A part that is not `full` never leaves. What arrives is kept piece by piece and becomes a part only when the digest
over salt and bytes fits a reference that a verified statement holds.
"""

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, insert, select, update

from node.service.commit import Batch
from node.service.published import list_arrived
from node.store import tables as t
from node.store.engine import insert_new
from schemas.exchange import Chunk, Pull
from schemas.ids import Digest, NodeCode
from schemas.statement import CHUNK_BYTES_MAX
from sync.errors import SyncError
from sync.keys import b64, unb64

PULLS_MAX = 64


def chunks_of(conn: Connection, wanted: Iterable[tuple[Digest, int]], bytes_max: int) -> list[Chunk]:
    """Pieces of parts from an offset on, as far as `bytes_max` allows."""
    found: list[Chunk] = []
    room = bytes_max
    for digest, offset in wanted:
        row = conn.execute(select(t.parts.c.salt, t.parts.c.content).where(t.parts.c.digest == digest)).first()
        if row is None or row.content is None or offset > len(row.content):
            continue
        at = offset
        while room > 0 and (at < len(row.content) or at == offset):
            data = row.content[at : at + min(CHUNK_BYTES_MAX, max(room * 3 // 4, 1))]
            found.append(Chunk(digest=digest, salt=row.salt, size=len(row.content), offset=at, data=b64(data)))
            room -= len(data) * 4 // 3 + 200
            at += len(data)
            if not data or at >= len(row.content):
                break
    return found


def to_send(conn: Connection, statements: Sequence[Digest]) -> list[tuple[Digest, int]]:
    """The `full` parts these statements name, from their start."""
    if not statements:
        return []
    query = select(t.part_refs.c.digest).where(t.part_refs.c.statement.in_(statements), t.part_refs.c.share == "full")
    return [(digest, 0) for digest in dict.fromkeys(conn.execute(query).scalars())]


def may_pull(conn: Connection, peer: NodeCode, pulls: Sequence[Pull]) -> list[tuple[Digest, int]]:
    """Those of a peer's pulls that ask for a `full` part of a statement we sent it."""
    if not pulls:
        return []
    offsets = {pull.digest: pull.offset for pull in pulls[:PULLS_MAX]}
    query = (
        select(t.part_refs.c.digest)
        .join(t.outbox, t.outbox.c.statement == t.part_refs.c.statement)
        .where(t.part_refs.c.digest.in_(offsets), t.part_refs.c.share == "full", t.outbox.c.peer == peer)
    )
    return [(digest, offsets[digest]) for digest in dict.fromkeys(conn.execute(query).scalars())]


def pulls_for(conn: Connection, peer: NodeCode) -> list[Pull]:
    """What to ask this peer for."""
    query = select(t.wanted_parts).where(t.wanted_parts.c.peer == peer).order_by(t.wanted_parts.c.digest)
    return [Pull(digest=row.digest, offset=row.got) for row in conn.execute(query.limit(PULLS_MAX))]


def take(batch: Batch, peer: NodeCode, chunks: Sequence[Chunk]) -> None:
    """Keep pieces of wanted parts that continue what is here; complete, check and store those that are whole."""
    if not chunks:
        return
    batch.flush_rows()
    for chunk in chunks:
        _take_one(batch, peer, chunk)


def _take_one(batch: Batch, peer: NodeCode, chunk: Chunk) -> None:
    key = (t.wanted_parts.c.peer == peer, t.wanted_parts.c.digest == chunk.digest)
    want = batch.conn.execute(select(t.wanted_parts).where(*key)).first()
    if want is None or chunk.offset != want.got or chunk.size != want.size:
        return
    try:
        data = unb64(chunk.data)
    except SyncError:
        return
    got = want.got + len(data)
    if got > want.size or (want.salt is not None and want.salt != chunk.salt) or (not data and want.size):
        return
    if got < want.size:
        row = {"peer": peer, "digest": chunk.digest, "offset": chunk.offset, "data": data}
        batch.conn.execute(insert(t.part_chunks).values(row))
        batch.conn.execute(update(t.wanted_parts).where(*key).values(got=got, salt=chunk.salt))
        return
    _complete(batch, peer, chunk, data)


def _complete(batch: Batch, peer: NodeCode, chunk: Chunk, last: bytes) -> None:
    pieces = t.part_chunks.c
    mine = (pieces.peer == peer, pieces.digest == chunk.digest)
    earlier = batch.conn.execute(select(pieces.data).where(*mine).order_by(pieces.offset)).scalars()
    content = b"".join(earlier) + last
    batch.conn.execute(delete(t.part_chunks).where(*mine))
    key = (t.wanted_parts.c.peer == peer, t.wanted_parts.c.digest == chunk.digest)
    if hashlib.sha256(bytes.fromhex(chunk.salt) + content).hexdigest() != chunk.digest:
        batch.conn.execute(update(t.wanted_parts).where(*key).values(got=0, salt=None))
        return
    row = {"digest": chunk.digest, "salt": chunk.salt, "content": content, "at": batch.now}
    insert_new(batch.conn, t.parts, [row])
    batch.conn.execute(delete(t.wanted_parts).where(t.wanted_parts.c.digest == chunk.digest))
    _put_to_use(batch, chunk.digest, content)


def _put_to_use(batch: Batch, digest: Digest, content: bytes) -> None:
    """A topic's text is shown and searched; a published list comes into force."""
    query = select(t.part_refs.c.statement, t.part_refs.c.topic, t.part_refs.c.name).where(
        t.part_refs.c.digest == digest
    )
    for row in batch.conn.execute(query).all():
        if row.topic == row.statement and row.name == "text":
            batch.text_arrived(row.topic, content.decode("utf-8", "replace").replace("\x00", ""))
        elif row.topic is None and row.name == "content":
            list_arrived(batch, row.statement, digest, content)
