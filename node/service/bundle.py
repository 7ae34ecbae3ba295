"""Bundles: the exchange by stick (SPEC 8.7). The same documents as on the wire, with null session, nonce, answers and
challenge, one after the other in a file that is encrypted to the receiving node.

The file is JSON Lines: one line that says how many documents and bytes follow, then the documents, each ending with
its seal line. That first line only tells a cut file from a whole one; everything else stands under the seals. Every
seal is verified before anything is written, then each document is applied in a transaction of its own: a crash in
between leaves a prefix, and importing the file again does the rest. Twice or out of order makes no difference.
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyrage
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import NotFound
from node.service import compare, exchange, papers
from node.service import roster as rosters
from node.service.commit import Batch
from node.service.log import make_checkpoint
from node.service.receive import Received, by_file, learn, receive_file
from node.store import links as link_rows
from node.store import tables as t
from node.store.engine import reading
from schemas.exchange import Budget, Chunk, DocumentHeader, Pull
from schemas.ids import COUNT_MAX, Digest, NodeCode
from sync.errors import BadDocument, SyncError
from sync.exchange import Document, read
from sync.keys import unb64
from sync.roster import Roster
from sync.strict import dumps, strict_json

BUNDLE_BYTES_MAX = 256 * 1024 * 1024
"""Of a whole bundle, encrypted or not."""
DOCUMENTS_MAX = 4096
_LAST_STATEMENT_BYTES = BUNDLE_BYTES_MAX * 3 // 4
"""Beyond this a bundle takes no further statements, only the rest of the parts of those it has."""
_CEILING_BYTES = BUNDLE_BYTES_MAX - 8 * 1024 * 1024
_ROOM = Budget(items=1000, bytes=4 * 1024 * 1024, wait_s=0)
_BINARY, _ARMORED = b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"
_AGE_HEADER_MAX = 16 * 1024
"""Bytes of the header of an encrypted file; the library takes time in the square of it."""
_AGE_HEADER_END = b"\n--- "
_SEAL_LINE = re.compile(rb'^\s*\{\s*"seal"\s*:')


@dataclass(frozen=True, slots=True)
class BundleView:
    """What an imported bundle did: statements by what became of them, and how far the sender has our stream."""

    sender: NodeCode
    documents: int
    applied: int
    duplicates: int
    deferred: int
    held: int
    acked: int


class _Envelope(BaseModel):
    """The first line of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: int = Field(ge=1, le=1)
    documents: int = Field(ge=1, le=DOCUMENTS_MAX)
    bytes: int = Field(ge=1, le=BUNDLE_BYTES_MAX)


def export_bundle(ctx: Context, to: NodeCode, plain: bool = False) -> bytes:
    """All that `to`, a direct neighbour, has not acknowledged yet, with its parts, our acknowledgement and our log.

    Encrypted to that node unless `plain`. Raises NotFound where there is no link to it.
    """
    make_checkpoint(ctx)
    with reading(ctx.engine) as conn:
        link, member = link_rows.load(conn, to), rosters.current(ctx, conn).get(to)
    if link is None or member is None:
        raise NotFound(to)
    documents = list(_documents(ctx, to, link.acked_seq))
    body = b"".join(documents)
    raw = dumps({"bundle": {"v": 1, "documents": len(documents), "bytes": len(body)}}) + b"\n" + body
    if plain:
        return raw
    sealed: bytes = pyrage.encrypt(raw, [pyrage.x25519.Recipient.from_str(member.card.box)])
    return sealed


def import_bundle(ctx: Context, raw: bytes) -> BundleView:
    """Apply a bundle of a direct neighbour.

    Raises BadDocument, having changed nothing: not-a-bundle, cannot-decrypt, truncated, too-large, bad-seal,
    not-for-me, unknown-peer, mixed; and link-stopped or busy as on the wire.
    """
    documents = _split(_decrypted(ctx, raw))
    try:
        _verify(ctx, documents)
    except BadDocument as error:
        if error.code != papers.UNKNOWN:
            raise
        learn(ctx, documents[0], lambda batch, first: _accept(batch, documents, first))
    return _view([receive_file(ctx, document) for document in documents])


def _documents(ctx: Context, to: NodeCode, acked: int) -> Iterator[bytes]:
    """Papers, then documents until nothing is left: new statements only once all parts of the earlier ones are in.

    Turns are few, and a receiver that was set back and does not know this node cannot ask (SPEC 14.9).
    """
    start, size, missing = acked, 0, dict[Digest, int]()
    with reading(ctx.engine) as conn:
        asked, heal = compare.kept(conn, to)
    envelope = exchange.Envelope(to, "file", None, None, None, None, _ROOM)
    yield exchange.document(ctx, envelope, exchange.PAPERS)[0]
    for n in range(DOCUMENTS_MAX - 1):
        pulls = tuple(Pull(digest=digest, offset=offset) for digest, offset in missing.items())
        content = exchange.Content(COUNT_MAX if missing else start, _ROOM, pulls)
        if n == 0:
            content = replace(content, asked=asked, heal=heal, by_file=True)
        document, sent = exchange.document(ctx, envelope, content)
        if size and (not (sent or missing) or size + len(document) > _CEILING_BYTES):
            return
        yield document
        missing = {**missing, **_parts_named(ctx, to, start, sent)}
        start, size = start + sent, size + len(document)
        _strike(missing, document)
        if not missing and size > _LAST_STATEMENT_BYTES:
            return


def _parts_named(ctx: Context, to: NodeCode, start: int, sent: int) -> dict[Digest, int]:
    """The `full` parts that are here, of the statements at these positions of our stream, none of it sent yet."""
    query = (
        select(t.part_refs.c.digest)
        .join(t.outbox, t.outbox.c.statement == t.part_refs.c.statement)
        .join(t.parts, t.parts.c.digest == t.part_refs.c.digest)
        .where(
            t.outbox.c.peer == to,
            t.outbox.c.seq > start,
            t.outbox.c.seq <= start + sent,
            t.part_refs.c.share == "full",
            t.parts.c.content.is_not(None),
        )
        .order_by(t.outbox.c.seq)
    )
    with reading(ctx.engine) as conn:
        return dict.fromkeys(conn.execute(query).scalars(), 0)


def _strike(missing: dict[Digest, int], document: bytes) -> None:
    """Take note of the pieces a document carries."""
    for line in document.split(b"\n"):
        if not line.startswith(b'{"chunk":'):
            continue
        chunk = Chunk.model_validate(strict_json(line)["chunk"])
        end = chunk.offset + len(unb64(chunk.data))
        if end >= chunk.size:
            missing.pop(chunk.digest, None)
        elif chunk.digest in missing:
            missing[chunk.digest] = end


def _decrypted(ctx: Context, raw: bytes) -> bytes:
    if len(raw) > BUNDLE_BYTES_MAX:
        raise BadDocument("too-large", f"{len(raw)} bytes")
    if not raw.startswith((_BINARY, _ARMORED)):
        return raw
    if _AGE_HEADER_END not in _beginning(raw):
        raise BadDocument("cannot-decrypt", f"no header of at most {_AGE_HEADER_MAX} bytes")
    try:
        plain: bytes = pyrage.decrypt(raw, [pyrage.x25519.Identity.from_str(ctx.identity.box)])
    except pyrage.DecryptError as error:
        raise BadDocument("cannot-decrypt", f"made for another node, or damaged ({error})") from None
    return plain


def _beginning(raw: bytes) -> bytes:
    """The first bytes of an encrypted file, out of its armor."""
    if raw.startswith(_BINARY):
        return raw[:_AGE_HEADER_MAX]
    lines = raw[: 2 * _AGE_HEADER_MAX].split(b"\n")
    packed = b"".join(line.strip() for line in lines if not line.startswith(b"-----"))
    try:
        return a2b_base64(packed[: len(packed) // 4 * 4])[:_AGE_HEADER_MAX]
    except BinasciiError:
        return b""


def _split(raw: bytes) -> list[bytes]:
    """The documents of a bundle, as bytes."""
    first, newline, body = raw.partition(b"\n")
    if not newline or len(first) > 256:
        raise BadDocument("not-a-bundle")
    envelope = _envelope(first)
    if len(body) != envelope.bytes:
        raise BadDocument("truncated", f"{len(body)} of {envelope.bytes} bytes")
    found, begin, at = [], 0, 0
    while at < len(body):
        end = body.find(b"\n", at) + 1 or len(body)
        if _SEAL_LINE.match(body[at : min(at + 64, end)]):
            found.append(body[begin:end])
            begin = end
        at = end
    if begin != len(body) or len(found) != envelope.documents:
        raise BadDocument("truncated", f"{len(found)} of {envelope.documents} documents")
    return found


def _envelope(line: bytes) -> _Envelope:
    try:
        outer = strict_json(line)
        if set(outer) != {"bundle"}:
            raise BadDocument("not-a-bundle")
        return _Envelope.model_validate(outer["bundle"])
    except (SyncError, ValidationError):
        raise BadDocument("not-a-bundle", "the first line is not that of a bundle this version reads") from None


def _verify(ctx: Context, documents: list[bytes]) -> None:
    """Every seal and every line of the whole file, before anything of it is used."""
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
        peers = {link.peer for link in link_rows.load_all(conn)}
    _check(ctx, documents, roster, peers)


def _accept(batch: Batch, documents: list[bytes], first: Document) -> None:
    """The same with the papers of its first document applied; and that one itself is taken then."""
    by_file(batch, first)
    _check(batch.ctx, documents, batch.roster, {link.peer for link in link_rows.load_all(batch.conn)})


def _check(ctx: Context, documents: list[bytes], roster: Roster, peers: set[NodeCode]) -> None:
    headers = [_read(document, roster).header for document in documents]
    first = headers[0]
    for header in headers:
        _check_header(ctx, header, first)
    if first.from_ not in peers:
        raise BadDocument("unknown-peer", first.from_)


def _read(raw: bytes, roster: Roster) -> Document:
    return read(raw, roster.keyring)


def _check_header(ctx: Context, header: DocumentHeader, first: DocumentHeader) -> None:
    if header.to != ctx.identity.code:
        raise BadDocument("not-for-me", header.to)
    if header.lane != "file" or (header.session, header.nonce, header.answers, header.challenge) != (None,) * 4:
        raise BadDocument("not-a-bundle", "a document of the wire")
    if (header.from_, header.inc) != (first.from_, first.inc):
        raise BadDocument("mixed", "documents of two senders")


def _view(received: list[Received]) -> BundleView:
    found = [verdict.disposition for item in received for verdict in item.verdicts]
    return BundleView(
        sender=received[0].peer,
        documents=len(received),
        applied=sum(item.applied for item in received),
        duplicates=found.count("duplicate"),
        deferred=found.count("deferred") + sum(_ahead(item) for item in received[-1:]),
        held=found.count("held") + found.count("refused"),
        acked=received[-1].acked,
    )


def _ahead(received: Received) -> int:
    """Statements kept for what lies before them, which has not come yet."""
    document = received.document
    if not document.items:
        return 0
    return max(0, document.header.first + len(document.items) - 1 - max(received.ack.seq, document.header.first - 1))
