"""Which incarnation this node lives in: read from the database in every transaction, begun and ended only here.

A process keeps no incarnation of its own: whichever of several workers notices that it is over, all of them stop
signing with the next transaction (SPEC 14).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, union_all, update

from node.context import Context
from node.service import forks
from node.store import links as link_rows
from node.store import log as log_rows
from node.store import tables as t
from node.store.codec import inc_of, inc_text
from node.store.engine import reading
from schemas.ids import NO_INCARNATION, Digest, Incarnation, NodeCode
from schemas.registry import Enrolled, Granted
from sync.stream import stream_start

if TYPE_CHECKING:
    from node.service.commit import Batch


_NODE = select(t.node)
AHEAD_MAX = 1000
"""How far above the highest known grant a number may be that is believed."""
NO_SESSION = ""
"""That of a challenge nobody may answer any more. Its row stays: in which order all were given counts (SPEC 14.8)."""
KNOWS_MORE = "peer-knows-more"
"""Why an incarnation ended, before the neighbour that said so; and of its link, where it had nothing to show."""


@dataclass(frozen=True, slots=True)
class Life:
    """The node's row: `inc` has number 0 while none is live, and then holds the nonce drawn for the next one.

    `stream_inc` is the incarnation whose streams are in the outbox; `known_number` the highest this node ever had.
    """

    inc: Incarnation
    stream_inc: Incarnation
    parent: NodeCode | None
    anchor: Digest | None
    known_number: int
    healing_since: datetime | None
    healing_why: str | None

    @property
    def live(self) -> bool:
        return self.inc.number > 0

    @property
    def named(self) -> Incarnation:
        """What documents say: `[0, ""]` without a live one."""
        return self.inc if self.live else NO_INCARNATION


def read(conn: Connection) -> Life:
    return _life(conn.execute(_NODE).one())


def now(ctx: Context) -> Life:
    with reading(ctx.engine) as conn:
        return read(conn)


def end(batch: "Batch", why: str, known_number: int = 0) -> None:
    """The incarnation is over: nothing is signed from here on, and a fresh nonce is drawn for the next (R10).

    While healing already, a fresh nonce all the same: a grant for the one before is not for this restore.
    """
    life = read(batch.conn)
    member = batch.roster.get(batch.me)
    granted = member.inc.number if member else 0
    number = max(plausible(known_number, granted), life.known_number, life.inc.number, granted)
    values = {
        "inc_number": 0,
        "inc_nonce": batch.ctx.clock.token(16),
        "known_number": number,
        "healing_since": life.healing_since or batch.now,
        "healing_why": why,
    }
    batch.conn.execute(update(t.node).values(values))
    batch.conn.execute(delete(t.healing_peers))
    batch.conn.execute(update(t.challenges).values(session=NO_SESSION))
    batch.inc = Incarnation(0, str(values["inc_nonce"]))
    batch.audit("incarnation-over", None, "alarm", why=why, number=number)


def plausible(number: int, granted: int) -> int:
    """What somebody says of a number, 0 where nobody can have granted so many: one lie would use all numbers up."""
    return number if number <= granted + AHEAD_MAX else 0


def granted(batch: "Batch", grant: Granted) -> None:
    """A grant became part of the roster: this node's own, another's, or one that shows that there are two of this node.

    Everybody who has a link to the node begins to receive its stream anew; two grants of one number are an alarm.
    """
    member = batch.roster.members[grant.node]
    if sum(inc.number == grant.inc.number for inc in member.incs) > 1:
        batch.audit("granted-twice", None, "alarm", node=grant.node, number=grant.inc.number)
    if grant.node != batch.me:
        link = batch.link(grant.node)
        if link is not None and member.inc == grant.inc and link.received_inc != grant.inc:
            link.expect(grant.inc, stream_start(grant.node, grant.inc, batch.me))
            _release_ahead(batch, grant.node)
            log_rows.tell_all(batch.conn, grant.node)
            log_rows.forget_reminders(batch.conn, grant.node)
        return
    mine = read(batch.conn)
    if not mine.live and mine.inc.nonce == grant.inc.nonce:
        begin(batch, grant.inc)
    elif mine.live and member.inc != mine.inc:
        end(batch, "granted-elsewhere", grant.inc.number)


def _release_ahead(batch: "Batch", peer: NodeCode) -> None:
    """What came ahead by stick of a stream that is over waits for no position any more: the grant has it tried."""
    mine = (t.parked.c.peer == peer, t.parked.c.state == "ahead")
    if batch.conn.execute(update(t.parked).where(*mine).values(state="deferred", code="unknown-key")).rowcount:
        batch.note_deferred()


def enrolled(batch: "Batch", parent: NodeCode, found: Enrolled) -> None:
    """An enrolment became part of the roster: where it was by this node, the child has a link from here on, though it
    was a life of this node that a restore forgot, or its machine before this one, that enrolled it."""
    if parent == batch.me and batch.link(found.node.code) is None:
        create_link(batch, found.node.code, "child", found.node.url)


def create_link(batch: "Batch", peer: NodeCode, relation: str, url: str) -> None:
    """Both streams are at their start, in the incarnation of either end that is known here."""
    inc = batch.roster.members[peer].inc
    sent = stream_start(batch.me, batch.inc, peer)
    link_rows.create(batch.conn, peer, relation, url, sent, inc, stream_start(peer, inc, batch.me))
    batch.forget_link(peer)


def meet(batch: "Batch", peer: NodeCode) -> None:
    """A neighbour was met, and what it knows of this node has been heard. Whoever has a parent must have met that one:
    a child may never have heard what the parent was told and has signed for."""
    if batch.roster.parent(batch.me) not in (None, peer):
        return
    batch.conn.execute(update(t.instances).where(t.instances.c.met_at.is_(None)).values(met_at=batch.now))


def met(conn: Connection) -> bool:
    """Whether the parent was met since this start, by a root any neighbour."""
    return conn.execute(select(t.instances.c.met_at)).scalar() is not None


def begin(batch: "Batch", inc: Incarnation) -> None:
    """Live in a granted incarnation from this transaction on.

    Every stream begins anew with what was not acknowledged of the old one. No neighbour knows of the grant yet but the
    parent: until its ack names the new incarnation each is compared with, which brings it the grant.
    """
    batch.flush()
    before = read(batch.conn)
    values = {"inc_number": inc.number, "inc_nonce": inc.nonce, "stream_inc": inc_text(inc), "known_number": inc.number}
    batch.conn.execute(update(t.node).values(values | {"healing_since": None, "healing_why": None}))
    batch.inc = inc
    for peer in [link.peer for link in link_rows.load_all(batch.conn)]:
        _restart_stream(batch, peer, before.stream_inc)
    _stop_liar(batch, before)
    batch.conn.execute(delete(t.healing_peers))
    batch.audit("incarnation", None, number=inc.number)


def _stop_liar(batch: "Batch", before: Life) -> None:
    """A neighbour that said it knew more, and then had nothing to show for it, would do so again (SPEC 14.1).

    A statement that is held as half of a contradiction is something: what this node signed and forgot may be just that.
    Whoever brings it first spares the others to show it, for a neighbour says nothing that is here.
    """
    why, _, peer = (before.healing_why or "").partition(" ")
    link = batch.link(peer) if why == KNOWS_MORE and peer else None
    if link is None or before.healing_since is None:
        return
    s, p, e, since = t.statements.c, t.parked.c, t.equivocations.c, before.healing_since
    came = select(s.id).where(or_(s.source == peer, and_(s.author == batch.me, s.source.is_not(None))), s.at >= since)
    mine = or_(p.peer == peer, e.author == batch.me)
    shown = select(p.statement).join(t.equivocations, e.other == p.statement).where(mine, p.at >= since)
    if batch.conn.execute(union_all(came, shown).limit(1)).first() is None and not _has_another(batch, before):
        link.stopped, link.dirty = "peer-knows-more", True
        batch.audit("link-stopped", None, "alarm", peer=peer, why=KNOWS_MORE)


def _has_another(batch: "Batch", before: Life) -> bool:
    """Whether a later life than the last is granted to this node that it does not live in, be it in an entry that it
    must hold: who took that branch of its parent's registry knows more indeed."""
    return any(inc > before.stream_inc and inc != batch.inc for inc in _granted_here(batch))


def _granted_here(batch: "Batch") -> Iterator[Incarnation]:
    yield from batch.roster.members[batch.me].incs
    author = batch.roster.parent(batch.me) or batch.me
    for raw in forks.registry_beside(batch.conn):
        said = forks.registry_entry(raw, batch.roster.keyring, author)
        if said is not None and isinstance(said.payload.body, Granted) and said.payload.body.node == batch.me:
            yield said.payload.body.inc


def _restart_stream(batch: "Batch", peer: NodeCode, before: Incarnation) -> None:
    link = batch.link(peer)
    assert link is not None  # noqa: S101 - just listed
    rows = batch.conn.execute(
        select(t.outbox.c.seq, t.outbox.c.statement).where(t.outbox.c.peer == peer).order_by(t.outbox.c.seq)
    ).all()
    done = [
        {"peer": peer, "inc": inc_text(before), "seq": row.seq, "statement": row.statement}
        for row in rows
        if row.seq <= link.acked_seq
    ]
    if done:
        batch.conn.execute(t.sent_before.insert(), done)
    batch.conn.execute(delete(t.outbox).where(t.outbox.c.peer == peer))
    unsent: list[Digest] = [row.statement for row in rows[len(done) :]]
    start = stream_start(batch.me, batch.inc, peer)
    link.restart(start)
    for statement in unsent:
        batch.enqueue(peer, statement)
    batch.flush()


def _life(row: Row[Any]) -> Life:
    inc = Incarnation(row.inc_number, row.inc_nonce)
    stream_inc = inc_of(row.stream_inc or inc_text(NO_INCARNATION))
    return Life(inc, stream_inc, row.parent, row.anchor, row.known_number, row.healing_since, row.healing_why)
