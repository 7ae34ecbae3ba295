"""The only door in: a document of a neighbour, verified outside and applied inside one durable transaction (SPEC 8.4).

A document whose envelope is bad changes nothing. In a good one each statement gets its disposition, all of them move
the cursor, and a bad one stops only its topic. Verdicts are pure values before anything is written, so no savepoint is
needed: what is refused, held or deferred has not touched the working set.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel
from sqlalchemy import func, select, update

from node.context import Context
from node.service import clones, compare, forks, healing, life, papers, parts, witness
from node.service import roster as rosters
from node.service.challenges import give_challenge, use_challenge
from node.service.commit import Batch, write
from node.service.compare import NOTHING as NOTHING_ASKED
from node.service.compare import Asked
from node.service.parking import first_verdict, kept, next_without_position, park
from node.service.retry import RELAYED_CODES, after_fork, reopen, retry_after, retry_keys
from node.store import links as link_rows
from node.store.codec import inc_text
from node.store.engine import reading
from node.store.links import Link
from node.store.tables import parked
from schemas.exchange import Ack, Disposition, Pull, Verdict
from schemas.ids import NO_INCARNATION, NodeCode
from sync.errors import BadDocument, Deferred, Held, Refused, SyncError
from sync.exchange import Document, Item, read
from sync.roster import Roster
from sync.sealing import ENTRY, Statement, open_many, open_statement
from sync.stream import stream_start

VERDICTS_NOTED_MAX = 100
"""Of one document; they inform people, nothing depends on them."""
DEFERRED_MAX = 50_000
"""Statements of one neighbour that may wait for others; beyond, its documents wait at its own node."""


@dataclass(slots=True)
class Received:
    """What a document did here: `challenged` means nothing was applied and the caller must answer `challenge`.

    `ack` is how far we have the peer's stream, `acked` how far it has ours, both after this document, `said` how far
    this document says it has; `backlog` is what it still lacks. `asked` is what it wants compared (SPEC 14.3), `equal`
    whether it said that it has what is here.
    """

    document: Document
    peer: NodeCode
    ack: Ack
    acked: int
    backlog: int = 0
    challenge: str | None = None
    challenged: bool = False
    said: int = 0
    applied: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    pulls: Sequence[Pull] = ()
    cosigned: Sequence[BaseModel] = ()
    asked: Asked = NOTHING_ASKED
    equal: bool = False


Accept = Callable[[Batch, Document], object]
"""Takes a document that is good as a whole, or raises BadDocument."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A document with every statement in it verified, or what is wrong with it."""

    document: Document
    items: Sequence[Statement | SyncError]
    olds: Sequence[Statement | SyncError]


def receive_request(ctx: Context, raw: bytes) -> Received:
    """A child's document. Raises BadDocument."""
    opened = _introduced(ctx, raw, _request)
    document, header = opened.document, opened.document.header
    with write(ctx) as batch:
        batch.actor = f"node:{header.from_}"
        link = _request(batch, document)
        assert header.session is not None  # noqa: S101 - just checked
        challenge = batch.ctx.clock.token(16)
        used = use_challenge(batch, link.peer, header.session, header.answers)
        give_challenge(batch, link.peer, header.session, challenge)
        answered = used is not None and not _outlived(batch, document) and not _unheard_of(batch, document)
        found = Received(document, link.peer, _ack(link), link.acked_seq, challenge=challenge, challenged=not answered)
        if not answered or used is None:
            return found
        found.challenged = not clones.check(batch, link, header.instance, used)
        if not found.challenged:
            _apply(batch, link, found, opened)
    return found


def receive_reply(ctx: Context, raw: bytes, peer: NodeCode, session: str, nonce: str, mark: int = 0) -> Received:
    """The parent's answer to one's own document. Raises BadDocument unless it answers exactly that one.

    `mark` is what `clones.mark` said when that was composed.
    """
    opened = _verify(ctx, raw)
    document, header = opened.document, opened.document.header
    if (header.from_, header.session, header.nonce) != (peer, session, nonce) or header.lane == "file":
        raise BadDocument("malformed", "not the reply to this request")
    with write(ctx) as batch:
        batch.actor = f"node:{peer}"
        link = _link_of(batch, document, "parent")
        if _outlived(batch, document):
            raise BadDocument("wrong-incarnation", str(header.inc.number))
        found = Received(document, peer, _ack(link), link.acked_seq, challenge=header.challenge)
        if clones.check(batch, link, header.instance, mark):
            _apply(batch, link, found, opened)
    return found


def receive_file(ctx: Context, raw: bytes) -> Received:
    """A document that came by stick. Raises BadDocument. Twice or out of order makes no difference in the end."""
    opened = _introduced(ctx, raw, by_file)
    document = opened.document
    with write(ctx) as batch:
        batch.actor = f"node:{document.header.from_}"
        link = by_file(batch, document)
        found = Received(document, link.peer, _ack(link), link.acked_seq)
        _apply(batch, link, found, opened)
        compare.keep(batch, link.peer, document)
    return found


def learn(ctx: Context, raw: bytes, accept: Accept) -> None:
    """Apply the papers in a document whose key is unknown, if that makes it one that `accept` takes (SPEC 14.9).

    Raises BadDocument, having changed nothing, where it does not.
    """
    peer, news = papers.news(ctx, raw)
    with write(ctx) as batch:
        batch.actor = f"node:{peer}"
        known, applied = batch.known(item.id for item, _ in news), 0
        for item, statement in news:
            if item.id in known or _judge(batch, peer, item, statement)[0] != "applied":
                continue
            applied += 1 + retry_after(batch, statement)
        accept(batch, _checked(ctx, raw, batch.roster))
        batch.audit("papers", None, "done", peer=peer, applied=applied)


def _verify(ctx: Context, raw: bytes) -> _Opened:
    """Everything that needs no transaction: the seal, then every signature, spread over threads."""
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
    document = _checked(ctx, raw, roster)
    everything = (*document.items, *document.olds)
    verified = iter(open_many([item.signed for item in everything if item.signed], roster.keyring, ctx.pool))
    found = [next(verified) if item.signed else item.problem or Refused("malformed") for item in everything]
    cut = len(document.items)
    return _Opened(document, found[:cut], found[cut:])


def _introduced(ctx: Context, raw: bytes, accept: Accept) -> _Opened:
    """As `_verify`; a sender whose key is unknown may bring what makes it known."""
    try:
        return _verify(ctx, raw)
    except BadDocument as error:
        if error.code != papers.UNKNOWN:
            raise
    learn(ctx, raw, accept)
    return _verify(ctx, raw)


def _checked(ctx: Context, raw: bytes, roster: Roster) -> Document:
    document = read(raw, roster.keyring)
    if document.header.to != ctx.identity.code:
        raise BadDocument("not-for-me", document.header.to)
    member = roster.get(document.header.from_)
    if member is not None and document.kid in member.revoked:
        raise BadDocument("bad-seal", "its key is revoked")
    return document


def _request(batch: Batch, document: Document) -> Link:
    header = document.header
    if header.lane == "file" or header.session is None or header.nonce is None:
        raise BadDocument("malformed", "not a request")
    return _link_of(batch, document, "child")


def by_file(batch: Batch, document: Document) -> Link:
    """The link a document belongs to that came by stick. Raises BadDocument where it is not taken."""
    if document.header.lane != "file":
        raise BadDocument("malformed", "not a bundle document")
    link = _link_of(batch, document, None)
    if _outlived(batch, document):
        raise BadDocument("wrong-incarnation", str(document.header.inc.number))
    return link


def _link_of(batch: Batch, document: Document, relation: str | None) -> Link:
    header = document.header
    link, member = batch.link(header.from_), batch.roster.get(header.from_)
    if link is None or member is None or (relation is not None and link.relation != relation):
        raise BadDocument("unknown-peer", header.from_)
    if link.stopped is not None:
        raise BadDocument("link-stopped", link.stopped)
    known = header.inc in (*member.incs, NO_INCARNATION) or (relation == "child" and _unheard_of(batch, document))
    if not known:
        raise BadDocument("wrong-incarnation", str(header.inc.number))
    if header.inc == NO_INCARNATION and document.items:
        raise BadDocument("wrong-incarnation", "statements without one")
    return link


def _outlived(batch: Batch, document: Document) -> bool:
    """Whether the sender writes in an incarnation that is over; our ack tells it so (SPEC 14.1)."""
    header = document.header
    return header.inc not in (batch.roster.members[header.from_].inc, NO_INCARNATION)


def _unheard_of(batch: Batch, document: Document) -> bool:
    """Whether a child speaks in an incarnation that is later than any known here: one of the two has been restored. Our
    ack tells it what is known; it compares then, and brings the grant (SPEC 14.4)."""
    known = batch.roster.members[document.header.from_].inc.number
    return life.plausible(document.header.inc.number, known) > known


def _ack(link: Link) -> Ack:
    return Ack(inc=link.received_inc, seq=link.received_seq, hash=link.received_hash)


def _apply(batch: Batch, link: Link, found: Received, opened: _Opened) -> None:
    document, acked = found.document, link.acked_seq
    _heard(batch, link)
    ack = document.header.ack
    if _take_ack(batch, link, ack):
        _take_items(batch, link, found, opened.items)
        _take_olds(batch, link, found, opened.olds)
        parts.take(batch, link.peer, document.chunks)
        parts.look_elsewhere(batch, link.peer, document.pulls)
        witness.acknowledged(batch, link.peer, acked, link.acked_seq)
        found.cosigned, why = witness.take(batch, link.peer, document)
        if why == life.KNOWS_MORE:
            life.end(batch, f"{why} {link.peer}")
        elif why is not None:
            _stop(batch, link, why)
        found.asked = compare.asked(document)
        before = link.received_inc
        found.equal, done = healing.note(batch, link, document)
        if link.received_inc != before:  # granted here: what came ahead of its old stream
            found.applied += retry_keys(batch)
        if done:
            found.asked = found.asked.but_whole()
    found.ack, found.acked, found.pulls = _ack(link), link.acked_seq, document.pulls
    found.said = ack.seq if ack.inc == batch.inc else 0
    if batch.ctx.settings.sign_after_contact:
        life.meet(batch, link.peer)
    found.backlog = link.sent_seq - link.acked_seq
    for verdict in document.verdicts[:VERDICTS_NOTED_MAX]:
        if verdict.disposition in ("held", "refused"):
            batch.audit("peer-verdict", None, verdict.disposition, statement=verdict.id, code=verdict.code)
    if found.applied:
        batch.audit("receive", None, "done", applied=found.applied, upto=link.received_seq)


def _heard(batch: Batch, link: Link) -> None:
    link.last_contact_at, link.failures, link.next_try_at, link.dirty = batch.now, 0, None, True


def _take_ack(batch: Batch, link: Link, ack: Ack) -> bool:
    """Move our stream's cursor. False where the peer knows another stream than ours: the link stops, with an alarm.

    A peer that knows more of this node than it does itself ends its incarnation (R10).
    """
    if ack.inc != batch.inc:
        if batch.inc.number and ack.inc > batch.inc:
            life.end(batch, f"{life.KNOWS_MORE} {link.peer}", ack.inc.number)
        elif batch.inc.number and link.known:
            link.known, link.comparing, link.dirty = False, True, True  # it knows an earlier life of ours alone
        return True
    if not link.known:
        link.known = link.dirty = True
    if ack.seq > link.sent_seq:
        life.end(batch, f"{life.KNOWS_MORE} {link.peer}")
        return True
    start = stream_start(batch.me, batch.inc, link.peer)
    known = start if ack.seq == 0 else link_rows.hash_at(batch.conn, link.peer, ack.seq)
    if link.sent_seq == ack.seq:
        known = link.sent_hash
    if known != ack.hash:
        return _stop(batch, link, "hash-mismatch")
    if ack.seq > link.acked_seq:
        link.acked_seq, link.acked_hash, link.dirty = ack.seq, ack.hash, True
    return True


def _stop(batch: Batch, link: Link, why: str) -> bool:
    link.stopped, link.dirty = why, True
    batch.audit("link-stopped", None, "alarm", peer=link.peer, why=why)
    return False


def _take_olds(batch: Batch, link: Link, found: Received, opened: Sequence[Statement | SyncError]) -> None:
    """Statements outside the stream: judged like those in it, without a position and without a verdict (SPEC 14.3)."""
    olds = found.document.olds
    if not olds:
        return
    known = batch.known(item.id for item in olds) | kept(batch, link.peer, olds)
    for item, result in zip(olds, opened, strict=True):
        if item.signed is None or item.id in known or item.id in batch.fresh:
            continue
        disposition, code, relayed, read = _judge(batch, link.peer, item, result)
        if disposition in ("deferred", "held"):
            seq = next_without_position(batch, link.peer)
            park(batch, link, item, seq, disposition, code or "", disposition, relayed, NO_INCARNATION)
            found.applied += after_fork(batch, read, code)
        elif disposition == "applied" and isinstance(read, Statement):
            found.applied += 1 + retry_after(batch, read)


def _take_items(batch: Batch, link: Link, found: Received, opened: Sequence[Statement | SyncError]) -> None:
    document = found.document
    if not document.items:
        return
    _prepare(batch, link, opened)
    known = batch.known(item.id for item in document.items)
    for n, (item, result) in enumerate(zip(document.items, opened, strict=True)):
        seq = document.header.first + n
        if seq <= link.received_seq:
            found.verdicts.append(first_verdict(batch, link, item, seq))
        elif seq == link.received_seq + 1:
            _take(batch, link, found, item, seq, "duplicate" if item.id in known else result)
        elif document.header.lane == "file":
            park(batch, link, item, seq, "deferred", "ahead", "ahead", False)
        else:
            break
    if batch.flags.deferred:
        _catch_up(batch, link, found)


def _prepare(batch: Batch, link: Link, opened: Sequence[Statement | SyncError]) -> None:
    """One query for all topics of the document."""
    if batch.flags.deferred > DEFERRED_MAX and _deferred(batch, link.peer) > DEFERRED_MAX:
        raise BadDocument("busy", "too many statements wait for others")
    wanted = {item.payload.topic or item.id for item in opened if isinstance(item, Statement) and item.typ == ENTRY}
    batch.prefetch(wanted)
    batch.link(link.peer)


def _deferred(batch: Batch, peer: NodeCode) -> int:
    query = select(func.count()).select_from(parked)
    found: int = batch.conn.execute(query.where(parked.c.peer == peer, parked.c.state == "deferred")).scalar_one()
    return found


def _take(batch: Batch, link: Link, found: Received, item: Item, seq: int, result: Statement | SyncError | str) -> None:
    """Judge one statement, move the cursor, and go on with what waited for it."""
    disposition, code, relayed, read = _judge(batch, link.peer, item, result)
    if disposition not in ("applied", "duplicate"):
        state = "refused" if disposition == "refused" else disposition
        park(batch, link, item, seq, disposition, code or "", state, relayed)
        found.applied += after_fork(batch, read, code)
    if disposition != "applied":
        found.verdicts.append(Verdict(seq=seq, id=item.id, disposition=disposition, code=code))
    else:
        found.applied += 1
    link.receive(item.id)
    if disposition == "applied" and isinstance(read, Statement):
        found.applied += retry_after(batch, read)


def _judge(
    batch: Batch, peer: NodeCode, item: Item, result: Statement | SyncError | str
) -> tuple[Disposition, str | None, bool, Statement | SyncError | None]:
    """(disposition, code, relayed, what was read at last) of one statement: the whole ladder of checks, of which the
    last is `apply`. Who signed it may have become known with a statement before it."""
    if isinstance(result, str) or (item.signed and item.id in batch.fresh):
        return "duplicate", None, False, None
    if isinstance(result, Deferred) and item.signed is not None:
        result = _open_again(batch, item)
    if isinstance(result, SyncError):
        return _disposition(result), result.code, False, result
    if batch.inc.number and (result.payload.author, result.payload.inc) == (batch.me, batch.inc):
        life.end(batch, f"{life.KNOWS_MORE} {peer}")  # it is this node's own, and it does not know it (R10)
    try:
        batch.apply(result, peer)
    except SyncError as error:
        forks.prove(batch, result, error)
        relayed = error.code in RELAYED_CODES and batch.relay(result, peer)
        return _disposition(error), error.code, relayed, result
    return "applied", None, False, result


def _open_again(batch: Batch, item: Item) -> Statement | SyncError:
    """A statement whose signer was unknown before this transaction enrolled somebody."""
    assert item.signed is not None  # noqa: S101 - the caller checked
    try:
        return open_statement(item.signed, batch.roster.keyring)
    except SyncError as error:
        return error


def _disposition(error: SyncError) -> Disposition:
    if isinstance(error, Deferred):
        return "deferred"
    return "held" if isinstance(error, Held) else "refused"


def _catch_up(batch: Batch, link: Link, found: Received) -> None:
    """Take what came ahead by stick, now that what lies before it is here; let go of what the wire brought first."""
    mine = (parked.c.peer == link.peer, parked.c.inc == inc_text(link.received_inc), parked.c.state == "ahead")
    first = select(parked).where(*mine).order_by(parked.c.stream_seq).limit(1)
    while (row := batch.conn.execute(first).first()) is not None and row.stream_seq <= link.received_seq + 1:
        done = update(parked).where(parked.c.id == row.id)
        batch.conn.execute(done.values(state="done", disposition="applied"))
        if row.stream_seq <= link.received_seq:
            continue
        item, result = reopen(row.raw, row.statement, batch.roster)
        known = batch.known([item.id])
        _take(batch, link, found, item, row.stream_seq, "duplicate" if known else result)
