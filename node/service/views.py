"""Rows as people and programs see them: the views of topics, entries and remarks (docs/api.md)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, select

from node.clock import parse_instant
from node.context import Context
from node.domain.refusals import NotFound
from node.domain.topic import Topic
from node.service import roster as rosters
from node.store import log
from node.store import tables as t
from node.store.codec import load_chain, load_topic
from schemas.api import (
    Durability,
    EntryView,
    OfferView,
    PartView,
    RemarkView,
    TopicView,
    TrailView,
)
from schemas.ids import Digest, TopicId
from sync.custody import Chain
from sync.errors import SyncError
from sync.roster import Roster
from sync.sealing import open_statement, parse, read_unverified

_TOPIC = select(t.topics).where(t.topics.c.id == bindparam("id"), t.topics.c.mine)
_TOPIC_OF = select(t.entries.c.id, t.entries.c.topic).where(t.entries.c.id.in_(bindparam("ids", expanding=True)))
_DURABILITY = select(
    t.statements.c.id,
    t.statements.c.source.is_(None)
    & ~exists().where(
        t.outbox.c.statement == t.statements.c.id,
        t.links.c.peer == t.outbox.c.peer,
        t.outbox.c.seq <= t.links.c.acked_seq,
    )
    & ~exists().where(t.sent_before.c.statement == t.statements.c.id),
).where(t.statements.c.id.in_(bindparam("ids", expanding=True)))


def topic_view(ctx: Context, conn: Connection, id: TopicId, roster: Roster | None = None) -> TopicView:
    """A topic this node takes part in, inside an open transaction. Raises NotFound."""
    row = conn.execute(_TOPIC, {"id": id}).first()
    if row is None:
        raise NotFound(id)
    return topic_views(ctx, conn, [row], roster)[0]


def topic_views(
    ctx: Context, conn: Connection, rows: Sequence[Row[Any]], roster: Roster | None = None
) -> list[TopicView]:
    """Rows of `topics`, each with what stands in other tables: durability, parent, children."""
    roster = roster or rosters.current(ctx, conn)
    durable = _durability(conn, [row.head for row in rows])
    parents = _parents(conn, rows)
    states = [(row, load_chain(row.custody)) for row in rows]
    children = _children(conn, [row.id for row, chain in states if chain.children])
    return [
        _topic_view(row, chain, roster, durable[row.head], parents.get(row.id), children.get(row.id, []))
        for row, chain in states
    ]


def entry_views(ctx: Context, conn: Connection, rows: Sequence[Any]) -> list[EntryView]:
    """Rows of (id, raw); every signature is verified again."""
    roster = rosters.current(ctx, conn)
    durable = _durability(conn, [row.id for row in rows])
    states = _part_views(conn, [row.id for row in rows])
    views = []
    for row in rows:
        entry, verified = _open(row.raw, roster)
        views.append(
            EntryView(
                hash=row.id,
                prev=entry.prev,
                seq=entry.seq,
                term=entry.term,
                kind=entry.kind,
                author=entry.author,
                inc=entry.inc,
                at=parse_instant(entry.at),
                body=_body(entry.body),
                parts=states.get(row.id, []),
                durability=durable[row.id],
                verified=verified,
            )
        )
    return views


def remark_views(ctx: Context, conn: Connection, rows: Sequence[Any]) -> list[RemarkView]:
    """Rows of (id, raw, ...), as `entry_views`."""
    roster = rosters.current(ctx, conn)
    durable = _durability(conn, [row.id for row in rows])
    views = []
    for row in rows:
        said, verified = _open(row.raw, roster)
        views.append(
            RemarkView(
                hash=row.id,
                entry=said.entry,
                kind=said.kind,
                author=said.author,
                inc=said.inc,
                at=parse_instant(said.at),
                body=_body(said.body),
                durability=durable[row.id],
                verified=verified,
            )
        )
    return views


def _topic_view(
    row: Row[Any], chain: Chain, roster: Roster, durability: Any, parent: TopicId | None, children: list[TopicId]
) -> TopicView:
    work = load_topic(row.work)
    return TopicView(
        id=row.id,
        number=work.number,
        title=work.title,
        text=row.text,
        kind=work.kind,
        category=work.category,
        areas=list(work.areas),
        source=work.source,
        external_id=work.external_id,
        status=row.status,
        step=work.step,
        origin=chain.origin,
        custodian=chain.custodian,
        term=chain.term,
        seq=chain.seq,
        head=chain.head,
        offer=_offer_view(work),
        trail=_trail(work, roster),
        participants=sorted(chain.participants),
        parent=parent,
        children=children,
        outcome=work.outcome,
        durability=durability,
        created_at=parse_instant(work.created_at),
        updated_at=parse_instant(work.updated_at),
        due_at=_when(work.due_at),
    )


def _offer_view(work: Topic) -> OfferView | None:
    offer = work.offer
    if offer is None:
        return None
    return OfferView(
        id=offer.id,
        from_=offer.by,
        to=offer.to,
        to_inc=offer.to_inc,
        mode=offer.mode,  # type: ignore[arg-type]
        reason=offer.reason,
        tried=offer.tried,
        opinion=offer.opinion,
        instruction=offer.instruction,
        answer_by=_when(offer.answer_by),
        due_at=_when(offer.due_at),
        offered_at=parse_instant(offer.offered_at),
        recall_sent_at=_when(offer.recall_sent_at),
    )


def _trail(work: Topic, roster: Roster) -> list[TrailView]:
    found = []
    for stop in work.trail:
        member = roster.get(stop.node)
        found.append(
            TrailView(
                node=stop.node,
                name=rosters.name_of(roster, stop.node),
                tier=member.tier if member else None,
                mode=stop.mode,
                term=stop.term,
                entry=stop.entry,
                since=parse_instant(stop.since),
                until=_when(stop.until),
            )
        )
    return found


def _open(raw: bytes, roster: Roster) -> tuple[Any, bool]:
    """The payload, and whether its signature verifies now; one that does not is shown, marked, for a person to see."""
    signed = parse(raw)
    try:
        return open_statement(signed, roster.keyring).payload, True
    except SyncError:
        return read_unverified(signed), False


def _body(body: Any) -> dict[str, Any]:
    found: dict[str, Any] = body if isinstance(body, dict) else body.model_dump(mode="json")
    return found


def _durability(conn: Connection, ids: Iterable[Digest]) -> dict[Digest, Durability]:
    """What came from a peer, and what a peer acknowledged, is `received`; `settled` is what its author was found to
    have under a witness's signature (node.service.witness); the rest is `local`."""
    wanted = list(ids)
    rows = conn.execute(_DURABILITY, {"ids": wanted})
    known = log.are_settled(conn, wanted)
    return {id: "settled" if id in known else "local" if only_here else "received" for id, only_here in rows}


def _parents(conn: Connection, rows: Sequence[Row[Any]]) -> dict[TopicId, TopicId]:
    above = {row.id: row.parent_entry for row in rows if row.parent_entry is not None}
    if not above:
        return {}
    found = conn.execute(_TOPIC_OF, {"ids": list(above.values())})
    topic_of = {row.id: row.topic for row in found}
    return {id: topic_of[entry] for id, entry in above.items() if entry in topic_of}


_CHILDREN = (
    select(t.entries.c.topic, t.topics.c.id)
    .join(t.topics, t.topics.c.parent_entry == t.entries.c.id)
    .where(t.entries.c.topic.in_(bindparam("of", expanding=True)), t.entries.c.kind == "split")
    .where(t.topics.c.origin == t.entries.c.author)
    .order_by(t.entries.c.seq, t.topics.c.parent_n)
)


def _children(conn: Connection, ids: Sequence[TopicId]) -> dict[TopicId, list[TopicId]]:
    if not ids:
        return {}
    found: dict[TopicId, list[TopicId]] = {}
    for topic, child in conn.execute(_CHILDREN, {"of": list(ids)}):
        found.setdefault(topic, []).append(child)
    return found


def _part_views(conn: Connection, ids: Sequence[Digest]) -> dict[Digest, list[PartView]]:
    query = (
        select(t.part_refs, t.parts.c.digest.label("stored"), t.parts.c.content.is_(None).label("erased"))
        .outerjoin(t.parts, t.parts.c.digest == t.part_refs.c.digest)
        .where(t.part_refs.c.statement.in_(ids))
        .order_by(t.part_refs.c.name)
    )
    found: dict[Digest, list[PartView]] = {}
    for row in conn.execute(query):
        view = PartView(
            name=row.name, digest=row.digest, size=row.size, media=row.media, share=row.share, state=_part_state(row)
        )
        found.setdefault(row.statement, []).append(view)
    return found


def _part_state(row: Row[Any]) -> Any:
    if row.stored is not None:
        return "erased" if row.erased else "here"
    return "pending" if row.share == "full" else "withheld"


def _when(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None
