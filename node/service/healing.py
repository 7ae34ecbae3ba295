"""Healing: what a node without a live incarnation asks of its neighbours, and the grant that ends it (SPEC 14.4).

It compares with every neighbour until the sets are equal, learns the highest number anybody knows of it, and says that
it is ready; its parent grants. The root, with nobody above it, grants itself.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select

from node.context import Context
from node.domain.refusals import Invalid, NotFound
from node.service import compare, life, remedy, torn
from node.service.commit import Batch
from node.service.life import Life
from node.service.links import lift
from node.service.retry import retry_keys
from node.service.roster import current, name_of
from node.store import links as link_rows
from node.store import tables as t
from node.store.engine import reading, upsert
from node.store.links import Link
from schemas.api import HealingPeerView, HealingView
from schemas.exchange import Heal, Knows
from schemas.ids import Incarnation, NodeCode
from schemas.registry import Granted, StreamEnd
from sync.exchange import Document, Loose
from sync.roster import Roster

_ASKED = select(t.healing_peers)
_ASKED_OF = _ASKED.where(t.healing_peers.c.peer == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Peer:
    """A neighbour as far as healing has come with it: `asked`, `answered` or `waived`."""

    code: NodeCode
    relation: str
    state: str
    number: int


@dataclass(frozen=True, slots=True)
class Status:
    """What a healing node waits for; `peers` is empty and `why` None at a node that is not healing."""

    life: Life
    peers: tuple[Peer, ...]

    @property
    def waits_for(self) -> list[NodeCode]:
        """Who has to answer, or be waived; then the parent, who grants."""
        missing = [peer.code for peer in self.peers if peer.state == "asked"]
        return missing or [peer.code for peer in self.peers if peer.relation == "parent"]

    @property
    def ready(self) -> bool:
        return all(peer.state != "asked" for peer in self.peers)


def status(conn: Connection) -> Status:
    return status_of(conn, life.read(conn))


def status_of(conn: Connection, mine: Life) -> Status:
    if mine.live or mine.healing_since is None:
        return Status(mine, ())
    rows = {row.peer: row for row in conn.execute(_ASKED)}
    return Status(mine, tuple(_peer(link, rows.get(link.peer)) for link in link_rows.load_all(conn)))


def view(ctx: Context) -> HealingView:
    with reading(ctx.engine) as conn:
        return view_in(ctx, conn)


def view_in(ctx: Context, conn: Connection) -> HealingView:
    """As people and programs see it, inside an open transaction."""
    found, roster = status(conn), current(ctx, conn)
    said = _sentence(found, roster)
    peers = [
        HealingPeerView.model_validate(
            {"code": peer.code, "name": name_of(roster, peer.code), "relation": peer.relation, "state": peer.state}
        )
        for peer in found.peers
    ]
    return HealingView(
        mode="ready" if found.life.live else "healing",
        since=found.life.healing_since,
        why=found.life.healing_why,
        zh=said[0] if said else None,
        en=said[1] if said else None,
        peers=peers,
    )


def line(ctx: Context) -> tuple[str, str] | None:
    """What this node waits for, in one sentence of each language; None while it may sign."""
    with reading(ctx.engine) as conn:
        return _sentence(status(conn), current(ctx, conn))


def _sentence(found: Status, roster: Roster) -> tuple[str, str] | None:
    if found.life.live:
        return None
    if found.life.healing_since is None:
        return ("本节点尚未入网", "This node has not joined yet")
    names = "、".join(f"{code} {name_of(roster, code)}" for code in found.waits_for)
    if found.ready:
        return (f"已核对完毕，等待上级 {names} 准许继续", f"Compared with all; waits for {names} to let it go on")
    return (f"正在恢复（只读）：等待与 {names} 核对", f"Healing (read-only): waits to compare with {names}")


def lines(ctx: Context, conn: Connection, mine: Life, link: Link, idle: bool, by_file: bool = False) -> list[Loose]:
    """What goes into a document to this neighbour by itself; `idle`: nothing else of comparing is said in it.

    By file everything is said at once.
    """
    found = status_of(conn, mine)
    healing = not found.life.live and found.life.healing_since is not None
    said: list[Loose] = []
    if healing:
        said.append(Heal(nonce=found.life.inc.nonce, number=_number(ctx, conn, found), ready=found.ready))
    if (idle or by_file) and (healing or link.comparing):
        said.append(compare.whole(ctx, conn, link.peer))
        said += compare.listing(ctx, conn, link.peer) if by_file else []
    return said


def knows(roster: Roster, asker: NodeCode, heal: Heal) -> Knows:
    member = roster.get(asker)
    return Knows(nonce=heal.nonce, number=member.inc.number if member else 0)


def note(batch: Batch, link: Link, document: Document) -> tuple[bool, bool]:
    """Take what a document says in this matter: whether the neighbour's set is equal, and whether that needs no answer
    because it was this node that had asked."""
    batch.flush()
    equal = bool(document.haves) and compare.is_equal(batch.ctx, batch.conn, link.peer, document.haves)
    healing = batch.inc.number == 0 and batch.roster.get(batch.me) is not None
    was_comparing = healing or link.comparing
    if equal and link.comparing:
        link.comparing, link.dirty = not link.known, True
    if healing:
        _note_answer(batch, link.peer, equal, document.knows)
        rise(batch)
    if document.heal is not None and document.heal.ready and link.relation == "child" and batch.live:
        _grant(batch, link, document.heal)
    return equal, equal and was_comparing


def begin_anew(batch: Batch, reason: str) -> None:
    """A person ends this incarnation. What stopped because a neighbour knew another stream of it goes on: the next has
    a stream of its own."""
    life.end(batch, "by-hand")
    batch.audit("heal", None, reason=reason)
    for link in link_rows.load_all(batch.conn):
        if link.stopped == "hash-mismatch":
            lift(batch, link.peer, reason)


def waive(batch: Batch, peer: NodeCode, reason: str) -> None:
    """Go on without this neighbour, in writing (R12). Raises NotFound, Invalid at a node that is not healing."""
    found = status(batch.conn)
    if found.life.live or found.life.healing_since is None:
        raise Invalid("peer", "this node is not healing", rule="not_healing")
    if batch.link(peer) is None:
        raise NotFound(peer)
    _keep(batch, peer, {"waived_by": batch.actor, "reason": reason})
    batch.audit("waive", None, peer=peer)
    rise(batch)


def rise(batch: Batch) -> None:
    """The root grants itself when all its neighbours have answered or are waived (R13)."""
    found = status(batch.conn)
    if batch.roster.anchor != batch.me or found.life.live or found.life.healing_since is None or not found.ready:
        return
    number = 1 + _number(batch.ctx, batch.conn, found)
    batch.inc = Incarnation(number, found.life.inc.nonce)
    _register(batch, batch.me, batch.inc, None)
    retry_keys(batch)


def _grant(batch: Batch, link: Link, heal: Heal) -> None:
    """Once for each nonce; what follows from it is done when the grant is applied, here as everywhere.

    Where this node's registry forks, what is torn comes first, and nothing that not everybody could read.
    """
    if _is_granted(batch, link.peer, heal):
        return
    torn.repeat(batch)
    batch.flush_rows()
    if _is_granted(batch, link.peer, heal):
        return  # by what was just said again
    if not remedy.is_grantable(batch, link.peer):
        return
    member = batch.roster.members[link.peer]
    granted = member.inc.number
    number = 1 + max(life.plausible(heal.number, granted), granted)
    closed = StreamEnd(inc=link.received_inc, seq=link.received_seq, hash=link.received_hash)
    _register(batch, link.peer, Incarnation(number, heal.nonce), closed)
    batch.audit("grant", None, node=link.peer, number=number)


def _is_granted(batch: Batch, child: NodeCode, heal: Heal) -> bool:
    return any(inc.nonce == heal.nonce for inc in batch.roster.members[child].incs)


def _register(batch: Batch, node: NodeCode, inc: Incarnation, closed: StreamEnd | None) -> None:
    key = batch.roster.members[node].key.kid
    batch.register("granted", Granted(node=node, inc=inc, key=key, closed=closed, log=None))


def _note_answer(batch: Batch, peer: NodeCode, equal: bool, said: Knows | None) -> None:
    values: dict[str, Any] = {}
    if equal:
        values["equal"] = True
    if said is not None and said.nonce == batch.inc.nonce:
        values["number"] = said.number
    if values:
        _keep(batch, peer, values)


def _keep(batch: Batch, peer: NodeCode, values: dict[str, Any]) -> None:
    row = batch.conn.execute(_ASKED_OF, {"of": peer}).first()
    before = row._asdict() if row else {"number": None, "equal": False, "waived_by": None, "reason": None}
    upsert(batch.conn, t.healing_peers, [{**before, **values, "peer": peer, "at": batch.now}])


def _peer(link: Link, row: Any) -> Peer:
    state = "asked"
    if row is not None and row.equal and row.number is not None:
        state = "answered"
    elif row is not None and row.waived_by is not None:
        state = "waived"
    return Peer(link.peer, link.relation, state, (row.number or 0) if row is not None else 0)


def _number(ctx: Context, conn: Connection, found: Status) -> int:
    """The highest number of an incarnation of this node that it knows of, from whoever."""
    member = current(ctx, conn).get(ctx.identity.code)
    own = member.inc.number if member else 0
    return max(found.life.known_number, own, *(life.plausible(peer.number, own) for peer in found.peers), 0)
