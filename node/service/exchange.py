"""The exchange over a link: what a node sends, and the child's calls (SPEC 8).

The child always calls, the parent answers. Each lane of a link (`wait`, `push`) is a Lane of its own: a session, the
challenge to answer next, how much to ask for, and what is still to be told. All durable state is in the database; a
lost Lane costs one more round trip. Nothing here holds a transaction open across a request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection

from node.clock import instant
from node.context import Context
from node.domain.refusals import NotFound, Unavailable
from node.service import clones, compare, healing, life, log, memory, papers, parts, witness
from node.service.commit import write
from node.service.compare import NOTHING as NOTHING_ASKED
from node.service.compare import Asked
from node.service.receive import Received, receive_reply
from node.service.roster import current
from node.store import links as link_rows
from node.store.engine import reading
from node.store.links import Link
from schemas.api import ExchangeView
from schemas.exchange import MEDIA_TYPE, SILENCE_S, Ack, Budget, Heal, Pull, Verdict
from schemas.ids import COUNT_MAX, NO_INCARNATION, Incarnation, NodeCode
from schemas.statement import VERSION
from sync.chain import header
from sync.delivery import Allowance, retry_cap_s
from sync.errors import SyncError, TransportError
from sync.exchange import Loose, compose
from sync.roster import Roster
from sync.transport import TimedOut, Transport, host_networks

EXCHANGE_PATH = "/federation/v1/exchange"
CHALLENGED = 428
VERDICTS_MAX = 1000
OLD_BYTES_MIN = 1024
"""Room that statements outside the stream have at least, so that comparing ends on the narrowest line."""
NOTHING = Budget(items=1, bytes=1024, wait_s=0)
"""Room for a document that only gives a challenge."""


@dataclass(slots=True)
class Lane:
    """One lane of the link to the parent, as its worker carries it from call to call."""

    peer: NodeCode
    name: str
    session: str
    transport: Transport
    answers: str | None = None
    allowance: Allowance = field(default_factory=Allowance)
    peer_budget: Budget | None = None
    pulls: tuple[Pull, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cosigned: tuple[BaseModel, ...] = ()
    start: int = 0
    lacks: bool = False
    """Whether the parent, in its last reply, had less than it acknowledged before (SPEC 8.2)."""
    offered: int = 0
    """The size of the last checkpoint a call was made for."""
    told: int = 0
    """What of others' logs a call was made for last (memory.untold)."""
    asked: Asked = NOTHING_ASKED
    heal: Heal | None = None
    unknown: bool = False
    """Whether the parent said that it does not know this node, which brings its papers then (SPEC 14.9)."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What of a document is not content: whom to, which lane, what it answers, what may come back."""

    to: NodeCode
    lane: str
    session: str | None
    nonce: str | None
    answers: str | None
    challenge: str | None
    budget: Budget


@dataclass(frozen=True, slots=True)
class Content:
    """What a document may carry: our stream after `start`, within `room`, and loose lines; `streams`: the first
    of these at all; `asks`: for parts, too; `named`: in the incarnation that is live, where the peer knows it.

    `asked` and `heal` are what the peer's last document wants answered of comparing and healing (SPEC 14); `by_file`:
    say of that all there is, as turns are few.
    """

    start: int
    room: Budget
    pulls: tuple[Pull, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    cosigned: tuple[BaseModel, ...] = ()
    streams: bool = True
    asks: bool = True
    named: bool = True
    asked: Asked = NOTHING_ASKED
    heal: Heal | None = None
    by_file: bool = False
    papers: bool = False
    """Only what a receiver needs that does not know this node."""


PAPERS = Content(COUNT_MAX, NOTHING, streams=False, asks=False, papers=True)


def document(ctx: Context, envelope: Envelope, content: Content) -> tuple[bytes, int]:
    """The bytes of one document and how many statements it carries; one consistent view of the database."""
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, envelope.to)
        if link is None:
            raise NotFound(envelope.to)
        mine, roster = life.read(conn), current(ctx, conn)
        # sealed in no incarnation if none is live or the peer has not heard of it (SPEC 14.4)
        inc = mine.named if content.named and link.known else NO_INCARNATION
        chosen = _statements(conn, link, content) if inc.number and content.streams else []
        room = content.room.bytes - sum(len(raw) for _, _, raw in chosen)
        wanted = parts.to_send(conn, [identity for _, identity, _ in chosen])
        asked = parts.may_pull(conn, link.peer, content.pulls)
        chunks = parts.chunks_of(conn, {**asked, **wanted}, room)
        loose: list[Loose] = [*content.verdicts[:VERDICTS_MAX], *content.cosigned]
        if content.asks:
            has, by_file = (link.acked_seq, True) if envelope.lane == "file" else (content.start, False)
            loose += witness.to_say(ctx, conn, mine, roster, link.peer, has, by_file)
        loose += chunks
        if content.asks:
            loose += [*parts.pulls_for(conn, link.peer), *_of_lives(ctx, conn, mine, roster, link, content, room)]
        if content.papers:
            loose += papers.lines(conn, roster, ctx.identity.code)
        head = _header(ctx, envelope, link, inc, chosen[0][0] if chosen else 0)
    shared = header(ctx.identity.code, inc, instant(ctx.clock.now()))
    raw = compose(head, [raw for _, _, raw in chosen], loose, shared, ctx.identity.signer)
    return raw, len(chosen)


def _of_lives(
    ctx: Context, conn: Connection, mine: life.Life, roster: Roster, link: Link, content: Content, room: int
) -> list[Loose]:
    said = healing.lines(ctx, conn, mine, link, not content.asked, content.by_file)
    if content.heal is not None:
        said += [healing.knows(roster, link.peer, content.heal), *memory.kept_for(conn, link.peer)]
    return said + compare.answers(ctx, conn, link.peer, content.asked, max(room, OLD_BYTES_MIN))


def find_lane(ctx: Context, name: str) -> Lane | None:
    """A lane to the parent; None at a root, and at a node that has not joined yet."""
    with reading(ctx.engine) as conn:
        link = next((found for found in link_rows.load_all(conn) if found.relation == "parent"), None)
    if link is None:
        return None
    networks = (*ctx.settings.allowed_networks, *host_networks(link.url))
    transport = Transport(link.url, networks, ctx.identity.url, ctx.settings.ca_file)
    return Lane(link.peer, name, ctx.clock.token(16), transport, start=link.acked_seq)


def failing(ctx: Context, peer: NodeCode) -> bool:
    """Whether the last exchange with this neighbour failed; false as soon as one succeeded, on whichever lane."""
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, peer)
        return link is not None and link.failures > 0


def has_work(ctx: Context, lane: Lane) -> bool:
    """Whether the push lane has something to say to the parent; for each checkpoint, ours or signed here, once."""
    if lane.verdicts or lane.asked or lane.heal or can_serve(ctx, lane):
        return True
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, lane.peer)
        if link is None:
            return False
        unsigned, offered = log.unsigned(ctx, conn, lane.peer), lane.offered
        untold, told = memory.untold(ctx, conn, lane.peer), lane.told
    lane.offered, lane.told = max(unsigned, offered), untold
    return link.sent_seq > link.acked_seq or unsigned > offered or untold not in (0, told)


def is_comparing(ctx: Context, peer: NodeCode) -> bool:
    """Whether this node wants to compare with the neighbour, so that it should be called now and then (SPEC 14.3)."""
    with reading(ctx.engine) as conn:
        return _compares(conn, link_rows.load(conn, peer))


def _compares(conn: Connection, link: Link | None) -> bool:
    return link is not None and (link.comparing or not life.read(conn).live)


def call(ctx: Context, lane: Lane, wait_s: int = 0, *, listens: bool = False) -> ExchangeView:
    """One exchange over a lane, repeated at once if the parent asks for a fresh challenge first.

    `listens`: leave our stream to the other lane, which sends it meanwhile; the parent would verify all of it twice.
    A parent that lost some of it is fed again by whichever lane hears so.

    Raises TransportError (try later); the failure is counted on the link, and the allowance shrinks on a time-out.
    """
    try:
        received, sent = _ask(ctx, lane, wait_s, listens)
        if received is None:
            received, sent = _ask(ctx, lane, wait_s, listens)
        if received is None:
            raise TransportError("challenged-twice")
    except TransportError as error:
        if isinstance(error, TimedOut):
            lane.allowance = lane.allowance.after_timeout()
        _count_failure(ctx, lane.peer)
        raise
    lane.allowance = lane.allowance.after_success()
    return ExchangeView(sent=sent, received=received.applied, backlog=received.backlog)


def exchange_now(ctx: Context, peer: NodeCode) -> ExchangeView | None:
    """Exchange with a neighbour at once; None where it is the peer that calls. Raises NotFound, Unavailable."""
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, peer)
    if link is None:
        raise NotFound(peer)
    if link.relation == "child":
        return None
    lane = find_lane(ctx, "push")
    if lane is None:
        raise NotFound(peer)
    try:
        total = call(ctx, lane)
        while total.backlog or can_serve(ctx, lane):
            more = call(ctx, lane)
            total = ExchangeView(
                sent=total.sent + more.sent, received=total.received + more.received, backlog=more.backlog
            )
            if not more.sent and not can_serve(ctx, lane):
                break
    except TransportError as error:
        raise Unavailable(str(error)) from error
    finally:
        lane.transport.close()
    return total


def reply_to(ctx: Context, received: Received) -> bytes:
    """The parent's answer to a child's document, composed when there is news or the wait is over."""
    asked = received.document.header
    allowance = Allowance()
    budget = Budget(items=allowance.items, bytes=allowance.bytes, wait_s=0)
    envelope = Envelope(received.peer, asked.lane, asked.session, asked.nonce, None, received.challenge, budget)
    if received.challenged:  # in no incarnation: the child may know another one, and could not read its challenge
        return document(ctx, envelope, Content(COUNT_MAX, NOTHING, asks=False, named=False))[0]
    said = (tuple(received.pulls), tuple(received.verdicts), tuple(received.cosigned))
    start, heal = _reply_start(ctx, received), received.document.heal
    content = Content(start, asked.budget, *said, asked=received.asked, heal=heal)
    return document(ctx, envelope, content)[0]


def has_news(ctx: Context, received: Received) -> bool:
    """Whether a reply is due now; the parent holds it otherwise, on the `wait` lane."""
    if received.challenged or received.verdicts or received.cosigned or received.document.header.lane != "wait":
        return True
    if received.asked or received.document.heal is not None:
        return True
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, received.peer)
        if link is None or (link.known and link.sent_seq > _start(link.acked_seq, received)):
            return True
        return _can_serve(conn, received.peer, received.pulls)


def can_serve(ctx: Context, lane: Lane) -> bool:
    """Whether something the parent pulled is here, so that calling again at once is worth it."""
    if not lane.pulls:
        return False
    with reading(ctx.engine) as conn:
        return _can_serve(conn, lane.peer, lane.pulls)


def _can_serve(conn: Connection, peer: NodeCode, pulls: Sequence[Pull]) -> bool:
    return bool(parts.chunks_of(conn, parts.may_pull(conn, peer, pulls), 1))


def _reply_start(ctx: Context, received: Received) -> int:
    """As `_start`; only a reply that was held can find that the other lane has moved on meanwhile."""
    if received.document.header.lane != "wait":
        return _start(received.acked, received)
    with reading(ctx.engine) as conn:
        link = link_rows.load(conn, received.peer)
    return _start(link.acked_seq if link else received.acked, received)


def _start(acked: int, received: Received) -> int:
    """Where the reply's stream starts: what the child said it has, or what its other lane has said since."""
    return max(received.said, acked) if acked > received.acked else received.said


def _ask(ctx: Context, lane: Lane, wait_s: int, listens: bool = False) -> tuple[Received | None, int]:
    """One request and its reply; None where the parent only gave a challenge."""
    nonce = ctx.clock.token(16)
    budget = Budget(items=lane.allowance.items, bytes=lane.allowance.bytes, wait_s=wait_s)
    answers = None if lane.unknown else lane.answers
    envelope = Envelope(lane.peer, lane.name, lane.session, nonce, answers, None, budget)
    room = Budget(items=lane.allowance.items, bytes=lane.allowance.bytes, wait_s=0)
    said = (lane.pulls, lane.verdicts, lane.cosigned)
    content = Content(lane.start, room, *said, streams=lane.lacks or not listens, asked=lane.asked, heal=lane.heal)
    if lane.unknown:
        content = PAPERS
    with reading(ctx.engine) as conn:
        mark = clones.mark(conn, lane.peer)
        link = link_rows.load(conn, lane.peer)
        compares = lane.asked.is_whole or (not lane.asked and _compares(conn, link))
    raw, sent = document(ctx, envelope, content)
    lane.answers = None
    reply = lane.transport.post(EXCHANGE_PATH, raw, MEDIA_TYPE, SILENCE_S + wait_s)
    lane.unknown = papers.asked_for(reply)
    if reply.status not in (200, CHALLENGED):
        raise TransportError("unexpected-answer", f"HTTP {reply.status}")
    try:
        received = receive_reply(ctx, reply.body, lane.peer, lane.session, nonce, mark)
    except TransportError:
        raise
    except SyncError as error:
        raise TransportError(error.code, error.detail) from error
    lane.answers = received.challenge
    if reply.status == CHALLENGED:
        return None, 0
    lane.start, lane.lacks = received.said, link is not None and received.said < link.acked_seq
    lane.pulls, lane.verdicts = tuple(received.pulls), tuple(received.verdicts)
    lane.cosigned = tuple(received.cosigned)
    lane.heal = received.document.heal
    # an equal set in the answer to ours says that both know: to answer that again would never end
    lane.asked = received.asked.but_whole() if compares and received.equal else received.asked
    return received, sent


def _statements(conn: Connection, link: Link, content: Content) -> list[tuple[int, str, bytes]]:
    """What fits of our stream; always at least one statement, so that a narrow line makes progress."""
    chosen: list[tuple[int, str, bytes]] = []
    size = 0
    for row in link_rows.pending(conn, link.peer, content.start, content.room.items):
        size += len(row[2]) + 1
        if chosen and size > content.room.bytes:
            break
        chosen.append(row)
    return chosen


def _header(ctx: Context, envelope: Envelope, link: Link, inc: Incarnation, first: int) -> dict[str, Any]:
    ack = Ack(inc=link.received_inc, seq=link.received_seq, hash=link.received_hash)
    return {
        "v": VERSION,
        "from": ctx.identity.code,
        "to": envelope.to,
        "inc": inc,
        "instance": ctx.instance,
        "lane": envelope.lane,
        "session": envelope.session,
        "nonce": envelope.nonce,
        "answers": envelope.answers,
        "challenge": envelope.challenge,
        "ack": ack.model_dump(mode="json"),
        "first": first,
        "budget": envelope.budget.model_dump(mode="json"),
        "checkpoint": None,
    }


def _count_failure(ctx: Context, peer: NodeCode) -> None:
    with write(ctx) as batch:
        link = batch.link(peer)
        if link is not None:
            link.failures += 1
            link.next_try_at = batch.now + timedelta(seconds=ctx.clock.jitter(retry_cap_s(link.failures)))
            link.dirty = True
