"""Custody: who may write a topic's history (SPEC 5; rules R1-R6, R17 by number).

`evolve` is a pure function of the chain so far, one verified entry and the roster; `writer` names the only node that
may write next. They must never look at a clock, an order of arrival or a database. The tier rules that a *new* offer
must also meet are in `check_offer`: they hold when an entry is written or first received, not when an old chain is
verified again, because a node may be re-enrolled elsewhere later.
"""

from dataclasses import dataclass, replace
from typing import Any

from schemas import entry as entries
from schemas.ids import FIRST_TERM, Digest, Incarnation, NodeCode, Term
from schemas.remark import Declined
from schemas.statement import Entry, Remark
from sync.errors import Deferred, Held
from sync.roster import Roster
from sync.sealing import REMARK, Statement


@dataclass(frozen=True, slots=True)
class OpenOffer:
    """An offer nobody has decided yet: the topic is frozen at `by` (R2)."""

    id: Digest
    by: NodeCode
    to: NodeCode
    to_inc: Incarnation
    mode: str


@dataclass(frozen=True, slots=True)
class ChildState:
    """One portion of a split: `topic` and `head` are known once it is closed or detached."""

    entry: Digest
    n: int
    state: str = "open"
    topic: Digest | None = None
    head: Digest | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """The custody state after entry `head`. `inc` is the term opener's; the stack's last is the custodian, its first
    the topic's home: the origin, or who took its place after a claim."""

    topic: Digest
    origin: NodeCode
    keeper: NodeCode | None
    arbiters: tuple[NodeCode, ...]
    depth: int
    head: Digest
    seq: int
    term: Term
    inc: Incarnation
    opened_by: str
    stack: tuple[NodeCode, ...]
    participants: frozenset[NodeCode]
    offer: OpenOffer | None = None
    resulted: bool = False
    closed: bool = False
    children: tuple[ChildState, ...] = ()

    @property
    def custodian(self) -> NodeCode:
        return self.stack[-1]

    @property
    def rank(self) -> tuple[Term, int]:
        """What orders the ends of branches: the highest is the end of the chain (SPEC 14.6)."""
        return self.term, self.seq

    @property
    def at_home(self) -> bool:
        """Whether the custodian is the one that gives the feedback and closes."""
        return self.below is None

    @property
    def below(self) -> NodeCode | None:
        """The node a report or return goes to. Who claims what it gave away stands on the stack twice in a row."""
        return next((node for node in reversed(self.stack) if node != self.custodian), None)


@dataclass(frozen=True, slots=True)
class Writer:
    """The one node and incarnation that may write the next entry; `offer` is set while it has an offer to decide."""

    node: NodeCode
    inc: Incarnation
    offer: Digest | None = None


def writer(chain: Chain) -> Writer:
    if chain.offer is not None:
        return Writer(chain.offer.to, chain.offer.to_inc, chain.offer.id)
    return Writer(chain.custodian, chain.inc)


def evolve(chain: Chain | None, statement: Statement, roster: Roster) -> Chain:
    """The state after `statement`. Raises Deferred("gap") or Held with the rule it breaks."""
    entry: Entry[Any] = statement.payload
    if chain is None:
        return _open(entry, statement, roster)
    _check_position(chain, entry)
    if not statement.known:
        raise Held("unknown-kind", entry.kind)
    if entry.kind == "accepted":
        changed = _accept(chain, entry, roster)
    elif entry.kind == "resumed":
        changed = _resume(chain, entry, statement)
    elif entry.kind == "claimed":
        changed = _claim(chain, entry, roster)
    else:
        _check_writer(chain, entry)
        changed = _work(chain, entry, statement.id, roster)
    return replace(changed, head=statement.id, seq=entry.seq)


def check_offer(chain: Chain, offered: entries.Offered, roster: Roster) -> None:
    """The tier rules for a new offer: up only to the parent, down only to a named descendant."""
    member = roster.get(offered.to)
    if member is None:
        raise Deferred("unknown-key", offered.to)
    if offered.mode == "escalate" and roster.parent(chain.custodian) != offered.to:
        raise Held("not-the-parent", offered.to)
    if offered.mode in ("delegate", "rehome") and not roster.is_below(offered.to, chain.custodian):
        raise Held("not-a-descendant", offered.to)
    if offered.to_inc not in member.incs:  # one that has ended meanwhile is claimed, not held (SPEC 14.5)
        if offered.to_inc.number > 1:
            raise Deferred("unknown-key", f"{offered.to} {offered.to_inc.number}")  # its grant may be on its way
        raise Held("wrong-incarnation", offered.to)


def check_opened(opened: entries.Opened, author: NodeCode, roster: Roster) -> None:
    """Keeper and arbiters as the roster has them; true of a new topic, not asked of an old one."""
    ancestors = roster.ancestors(author)
    if opened.keeper != (ancestors[0] if ancestors else None):
        raise Held("wrong-keeper", author)
    named = tuple(opened.arbiters)
    if named not in (ancestors, (author, *ancestors)) or not named:
        raise Held("wrong-arbiters", author)


def declines(chain: Chain, declined: Statement) -> bool:
    """Whether this `declined` answers the open offer (R5: any other is kept and ignored)."""
    remark: Remark[Any] = declined.payload
    offer = chain.offer
    return (
        offer is not None
        and isinstance(remark.body, Declined)
        and (remark.topic, remark.entry) == (chain.topic, offer.id)
        and (remark.author, remark.inc) == (offer.to, offer.to_inc)
    )


def next_term(chain: Chain, kind: str, rank: int = 0, inc: Incarnation | None = None) -> Term:
    """The term of the next entry of this kind; `rank` and `inc` are the claimant's."""
    if kind in ("accepted", "resumed"):
        return chain.term._replace(t=chain.term.t + 1)
    if kind == "claimed":
        assert inc is not None  # noqa: S101 - callers claim in their own incarnation
        return Term(chain.term.g + 1, rank, inc, 0)
    return chain.term


def _open(entry: Entry[Any], statement: Statement, roster: Roster) -> Chain:
    if entry.kind != "opened" and entry.topic is not None:
        raise Deferred("gap", "chain unknown")
    if not statement.known:
        raise Held("unknown-kind", entry.kind)
    if (entry.kind, entry.topic, entry.prev, entry.seq, entry.term) != ("opened", None, None, 0, FIRST_TERM):
        raise Held("wrong-position", entry.kind)
    _check_alive(entry, roster)
    body: entries.Opened = entry.body
    if (body.parent is None) != (body.depth == 0):
        raise Held("wrong-position", f"depth {body.depth}")
    keeper = {body.keeper} if body.keeper else set()
    return Chain(
        topic=statement.id,
        origin=entry.author,
        keeper=body.keeper,
        arbiters=tuple(body.arbiters),
        depth=body.depth,
        head=statement.id,
        seq=0,
        term=FIRST_TERM,
        inc=entry.inc,
        opened_by="opened",
        stack=(entry.author,),
        participants=frozenset({entry.author, *keeper}),
    )


def _check_alive(entry: Entry[Any], roster: Roster) -> None:
    """The incarnation an entry is the first to name was granted to its author; a grant may still be on its way."""
    member = roster.get(entry.author)
    if member is None or entry.inc not in member.incs:
        raise Deferred("unknown-key", f"{entry.author} {entry.inc.number}")


def dead(roster: Roster, node: NodeCode, inc: Incarnation) -> bool:
    """Whether this incarnation of the node is over: a later one was granted."""
    member = roster.get(node)
    return member is not None and member.inc > inc


def lowest_arbiter_above(chain: Chain, node: NodeCode, roster: Roster) -> NodeCode | None:
    """The first of the node's ancestors that is an arbiter of the topic and has its chain; where none is, the node
    itself if it is an arbiter (R11)."""
    able = chain.participants.intersection(chain.arbiters)
    above = next((code for code in roster.ancestors(node) if code in able), None)
    return above or (node if node in able else None)


def needs_claim_by(chain: Chain, declined: bool, roster: Roster) -> NodeCode | None:
    """Who has to claim the topic because an incarnation is over (SPEC 14.5); None where nobody has to.

    `declined`: the open offer was declined by the node it was made to. An offer to a live incarnation is left to it.
    """
    holder, offer = chain.custodian, chain.offer
    lost_offer = offer is not None and dead(roster, offer.to, offer.to_inc)
    if dead(roster, holder, chain.inc):
        if offer is not None and not declined and not lost_offer:
            return None
        return lowest_arbiter_above(chain, holder, roster)
    if not lost_offer:
        return None
    return holder if holder in chain.arbiters else lowest_arbiter_above(chain, holder, roster)


def _check_position(chain: Chain, entry: Entry[Any]) -> None:
    if entry.kind == "opened" or entry.topic != chain.topic:
        raise Held("wrong-position", entry.kind)
    if entry.seq != chain.seq + 1:
        if entry.prev == chain.head:
            raise Held("wrong-seq", str(entry.seq))
        if entry.seq > chain.seq + 1:
            raise Deferred("gap", f"{chain.seq} then {entry.seq}")
        raise Held("fork", str(entry.seq))
    if entry.prev != chain.head:
        raise Held("wrong-prev", str(entry.prev))


def _check_writer(chain: Chain, entry: Entry[Any]) -> None:
    if entry.term != chain.term:
        raise Held("wrong-term", entry.kind)
    if (entry.author, entry.inc) != (chain.custodian, chain.inc):
        raise Held("not-the-writer", entry.author)
    if chain.offer is not None:
        raise Held("offer-open", chain.offer.id)
    if chain.closed and entry.kind != "reopened" and not _rehomes(entry):
        raise Held("closed", entry.kind)


def _rehomes(entry: Entry[Any]) -> bool:
    return entry.kind == "offered" and entry.body.mode == "rehome"


def _accept(chain: Chain, entry: Entry[Any], roster: Roster) -> Chain:
    offer = chain.offer
    if offer is None or entry.body.offer != offer.id:
        raise Held("no-such-offer", entry.body.offer)
    if (entry.author, entry.inc) != (offer.to, offer.to_inc):
        raise Held("not-offered-here", entry.author)
    if entry.term != next_term(chain, "accepted"):
        raise Held("wrong-term", "accepted")
    if offer.mode in ("report", "return"):
        stack = chain.stack
        while stack[-1] == chain.custodian:
            stack = stack[:-1]
    elif offer.mode == "rehome":
        stack = (*chain.stack[:-1], entry.author)
    else:
        stack = (*chain.stack, entry.author)
    return replace(chain, term=entry.term, inc=entry.inc, opened_by="accepted", stack=stack, offer=None)


def _resume(chain: Chain, entry: Entry[Any], statement: Statement) -> Chain:
    offer, declined = chain.offer, statement.embedded
    if offer is None or entry.body.offer != offer.id:
        raise Held("no-such-offer", entry.body.offer)
    if (entry.author, entry.inc) != (chain.custodian, chain.inc):
        raise Held("not-the-writer", entry.author)
    if declined is None or declined.typ != REMARK or not declines(chain, declined):
        raise Held("not-declined", offer.id)
    if entry.term != next_term(chain, "resumed"):
        raise Held("wrong-term", "resumed")
    return replace(chain, term=entry.term, opened_by="resumed", offer=None)


def _claim(chain: Chain, entry: Entry[Any], roster: Roster) -> Chain:
    member = roster.get(entry.author)
    if entry.author not in chain.arbiters or member is None:
        raise Held("not-an-arbiter", entry.author)
    _check_alive(entry, roster)
    if entry.term != next_term(chain, "claimed", member.tier.rank, entry.inc):
        raise Held("wrong-term", "claimed")
    below = roster.is_below(chain.custodian, entry.author)
    earlier = chain.custodian == entry.author and chain.inc < entry.inc
    if not (below or earlier):
        _check_offered_to_the_dead(chain, entry, roster)
    stack = (*chain.stack[:-1], entry.author)
    return replace(chain, term=entry.term, inc=entry.inc, opened_by="claimed", stack=stack, offer=None)


def _check_offered_to_the_dead(chain: Chain, entry: Entry[Any], roster: Roster) -> None:
    offer = chain.offer
    if offer is None or chain.custodian != entry.author:
        raise Held("nothing-to-claim", chain.custodian)
    if not dead(roster, offer.to, offer.to_inc):  # what ended it may be on its way
        raise Deferred("unknown-key", f"{offer.to} after {offer.to_inc.number}")


def _work(chain: Chain, entry: Entry[Any], id: Digest, roster: Roster) -> Chain:
    body = entry.body
    if isinstance(body, entries.Offered):
        return _offer(chain, body, id, roster)
    if isinstance(body, entries.SplitOff):
        if chain.depth >= entries.SPLIT_DEPTH_MAX:
            raise Held("too-deep", str(chain.depth))
        added = tuple(ChildState(id, n) for n in range(len(body.portions)))
        if len(chain.children) + len(added) > entries.CHILDREN_MAX:
            raise Held("too-many-children", str(len(chain.children)))
        return replace(chain, children=(*chain.children, *added))
    if isinstance(body, entries.ChildClosed | entries.Detached):
        state = "closed" if isinstance(body, entries.ChildClosed) else "detached"
        return replace(chain, children=_settle(chain, body.child, state))
    if isinstance(body, entries.Resulted):
        return replace(chain, resulted=True)
    if isinstance(body, entries.Closed):
        return _close(chain, body)
    if isinstance(body, entries.Reopened):
        if not chain.closed or not chain.at_home:
            raise Held("not-closed" if not chain.closed else "close-at-origin", chain.custodian)
        return replace(chain, closed=False, resulted=False)
    return chain


def _offer(chain: Chain, body: entries.Offered, id: Digest, roster: Roster) -> Chain:
    if body.mode in ("report", "return") and body.to != chain.below:
        raise Held("not-the-way-back", body.to)
    if body.mode == "rehome" and chain.opened_by != "claimed":
        raise Held("not-claimed", body.to)
    if body.to == chain.custodian:
        raise Held("not-to-oneself", body.to)
    if body.mode != "rehome" and any(child.state == "open" for child in chain.children):
        raise Held("children-open", chain.topic)
    offer = OpenOffer(id, chain.custodian, body.to, body.to_inc, body.mode)
    participants = chain.participants | set(roster.path(chain.custodian, body.to))
    return replace(chain, offer=offer, participants=participants)


def _settle(chain: Chain, child: entries.Child, state: str) -> tuple[ChildState, ...]:
    wanted = ChildState(child.entry, child.n)
    if wanted not in chain.children:
        raise Held("no-such-child", f"{child.entry} {child.n}")
    settled = replace(wanted, state=state, topic=child.topic, head=child.head)
    return tuple(settled if item == wanted else item for item in chain.children)


def _close(chain: Chain, body: entries.Closed) -> Chain:
    if not chain.at_home:
        raise Held("close-at-origin", chain.stack[0])
    if not chain.resulted:
        raise Held("no-result", chain.topic)
    if any(child.state == "open" for child in chain.children):
        raise Held("children-open", chain.topic)
    listed = {(item.topic, item.head, item.detached) for item in body.children}
    if listed != {(item.topic, item.head, item.state == "detached") for item in chain.children}:
        raise Held("children-differ", chain.topic)
    return replace(chain, closed=True)
