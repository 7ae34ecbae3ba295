"""What lies beside a topic's chain, for people of this node: contents of parts, and statements as they were signed."""

from dataclasses import dataclass

from sqlalchemy import or_, select

from node.context import Context
from node.domain.refusals import NotAllowed, NotFound
from node.service.perform import Actor
from node.service.standing import may
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Digest, TopicId
from sync.errors import SyncError
from sync.strict import strict_json

SHOWN_BYTES_MAX = 64 * 1024
JSON = "application/json"
LOCAL = "local"
PRIVATE = "submitter"
"""The verb of reading what never leaves this node: who raised a matter."""


@dataclass(frozen=True, slots=True)
class Content:
    """One part: `said` is its JSON object, `text` its plain text, both None where it is neither or not here."""

    name: str
    digest: Digest
    size: int
    media: str
    share: str
    text: str | None = None
    said: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    media: str
    name: str


def contents(ctx: Context, actor: Actor, topic: TopicId) -> list[Content]:
    """The parts of all of a topic's entries that are here and this person may read, with what they say."""
    refs = t.part_refs
    columns = (refs.c.name, refs.c.digest, refs.c.size, refs.c.media, refs.c.share, t.parts.c.content)
    query = (
        select(*columns)
        .join(t.parts, t.parts.c.digest == refs.c.digest)
        .join(t.topics, t.topics.c.id == refs.c.topic)
        .where(refs.c.topic == topic, t.topics.c.mine, t.parts.c.content.is_not(None), refs.c.size <= SHOWN_BYTES_MAX)
        .order_by(refs.c.name, refs.c.digest)
    )
    with reading(ctx.engine) as conn:
        private = may(ctx, conn, actor, PRIVATE, topic)
        return [_content(*row) for row in conn.execute(query) if private or row.share != LOCAL]


def part(ctx: Context, actor: Actor, topic: TopicId, digest: Digest) -> File:
    """The content of a part a topic's entries refer to. Raises NotFound, also where it is not here, and NotAllowed."""
    query = (
        select(t.part_refs.c.name, t.part_refs.c.media, t.part_refs.c.share, t.parts.c.content)
        .join(t.parts, t.parts.c.digest == t.part_refs.c.digest)
        .join(t.topics, t.topics.c.id == t.part_refs.c.topic)
        .where(t.part_refs.c.topic == topic, t.part_refs.c.digest == digest, t.topics.c.mine)
    )
    with reading(ctx.engine) as conn:
        rows = conn.execute(query).all()
        row = next((row for row in rows if row.share == LOCAL), rows[0] if rows else None)
        if row is None or row.content is None:
            raise NotFound(digest)
        if row.share == LOCAL and not may(ctx, conn, actor, PRIVATE, topic):
            raise NotAllowed(PRIVATE)
    return File(row.content, row.media, row.name)


def statement(ctx: Context, topic: TopicId, id: Digest) -> File:
    """An entry or a remark of a topic exactly as it was signed. Raises NotFound."""
    entries = select(t.entries.c.id).where(t.entries.c.topic == topic)
    said = select(t.remarks.c.id).where(t.remarks.c.topic == topic)
    here = select(t.topics.c.id).where(t.topics.c.id == topic, t.topics.c.mine).exists()
    query = select(t.statements.c.raw).where(
        t.statements.c.id == id, or_(t.statements.c.id.in_(entries), t.statements.c.id.in_(said)), here
    )
    with reading(ctx.engine) as conn:
        raw = conn.execute(query).scalar()
    if raw is None:
        raise NotFound(id)
    return File(raw, "application/jose+json", id)


def _content(name: str, digest: Digest, size: int, media: str, share: str, content: bytes) -> Content:
    if media == JSON:
        try:
            return Content(name, digest, size, media, share, said=strict_json(content))
        except SyncError:
            return Content(name, digest, size, media, share)
    if media == "text/plain":
        return Content(name, digest, size, media, share, text=content.decode("utf-8", "replace"))
    return Content(name, digest, size, media, share)
