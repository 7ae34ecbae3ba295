"""The reference fold of topic chains (SPEC 5.3 to 5.6), and of their branches (14.6)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.conformance.wire import bodies, strict
from tests.conformance.wire.jose import form
from tests.conformance.wire.roster import Roster
from tests.conformance.wire.shapes import FIRST_TERM, RANK
from tests.conformance.wire.statement import Statement
from tests.conformance.wire.strict import Json, Wrong

CHILDREN_MAX, DEPTH_MAX = 256, 8
Child = tuple[str, bool]
"""Head and whether detached; of an open child there is none."""


@dataclass(frozen=True)
class Chain:
    """The state of 5.1, by the same names."""

    topic: str
    origin: str
    keeper: str | None
    arbiters: tuple[str, ...]
    depth: int
    head: str
    seq: int
    term: list[Any]
    inc: list[Any]
    stack: tuple[str, ...]
    participants: frozenset[str]
    offer: Json | None = None
    resulted: bool = False
    closed: bool = False
    claimed: bool = False
    children: Mapping[tuple[str, int], tuple[str, str, bool] | None] = field(default_factory=dict)

    @property
    def custodian(self) -> str:
        return self.stack[-1]

    @property
    def open_children(self) -> bool:
        return None in self.children.values()

    @property
    def writer(self) -> Json:
        if self.offer is not None:
            return {"node": self.offer["to"], "inc": self.offer["to_inc"], "offer": self.offer["id"]}
        return {"node": self.custodian, "inc": self.inc, "offer": None}


def evolve(chain: Chain | None, entry: Statement, roster: Roster) -> Chain:
    """The chain after this entry, or Wrong."""
    if chain is None:
        return _first(entry, roster)
    _position(chain, entry)
    after = _OPENERS.get(entry.kind, _other)(chain, entry, roster)
    return replace(after, head=entry.id, seq=chain.seq + 1)


def _hold(true: Any, code: str, disposition: str = "held") -> None:
    if not true:
        raise Wrong(disposition, code)


def _first(entry: Statement, roster: Roster) -> Chain:
    p = entry.payload
    _hold(entry.kind == "opened" or p["topic"] is None, "gap", "deferred")
    _hold(entry.known, "unknown-kind")
    fits = entry.kind == "opened" and p["topic"] is None and p["prev"] is None and p["seq"] == 0
    _hold(fits and p["term"] == FIRST_TERM, "wrong-position")
    _hold(roster.has(entry.author, entry.inc), "unknown-key", "deferred")
    body = entry.body
    _hold((body["depth"] == 0) == (body["parent"] is None), "wrong-position")
    members = frozenset({entry.author, *([body["keeper"]] if body["keeper"] else [])})
    stack = (entry.author,)
    arbiters = tuple(body["arbiters"])
    return Chain(
        entry.id, entry.author, body["keeper"], arbiters, body["depth"], entry.id, 0, p["term"], entry.inc,
        stack, members,
    )  # fmt: skip


def _position(chain: Chain, entry: Statement) -> None:
    p = entry.payload
    _hold(p["topic"] == chain.topic and entry.kind != "opened", "wrong-position")
    if p["seq"] != chain.seq + 1:
        _hold(p["prev"] != chain.head, "wrong-seq")
        _hold(p["seq"] <= chain.seq, "gap", "deferred")
        raise Wrong("held", "fork")
    _hold(p["prev"] == chain.head, "wrong-prev")
    _hold(entry.known, "unknown-kind")


def _handed(chain: Chain) -> list[Any]:
    return [*chain.term[:3], chain.term[3] + 1]


def _accepted(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    offer = chain.offer
    _hold(offer is not None and entry.body["offer"] == offer["id"], "no-such-offer")
    assert offer is not None
    _hold((entry.author, entry.inc) == (offer["to"], offer["to_inc"]), "not-offered-here")
    _hold(entry.payload["term"] == _handed(chain), "wrong-term")
    if offer["mode"] in ("escalate", "delegate"):
        stack = (*chain.stack, entry.author)
    elif offer["mode"] == "rehome":
        stack = (*chain.stack[:-1], entry.author)
    else:
        stack = _lower(chain)
    return replace(chain, term=_handed(chain), inc=entry.inc, offer=None, stack=stack, claimed=False)


def _lower(chain: Chain) -> tuple[str, ...]:
    """The stack without the custodian, which may stand there several times in a row."""
    stack = chain.stack
    while stack and stack[-1] == chain.custodian:
        stack = stack[:-1]
    return stack


def _resumed(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    offer = chain.offer
    _hold(offer is not None and entry.body["offer"] == offer["id"], "no-such-offer")
    _hold((entry.author, entry.inc) == (chain.custodian, chain.inc), "not-the-writer")
    assert offer is not None
    signed = form(entry.body["declined"])
    said = strict.read(signed.payload)
    fits = signed.typ == bodies.REMARK and said["kind"] == "declined"
    fits = fits and (said["topic"], said["entry"]) == (chain.topic, offer["id"])
    _hold(fits and (said["author"], said["inc"]) == (offer["to"], offer["to_inc"]), "not-declined")
    _hold(entry.payload["term"] == _handed(chain), "wrong-term")
    return replace(chain, term=_handed(chain), offer=None, claimed=False)


def _claimed(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    author, custodian = entry.author, chain.custodian
    _hold(author in chain.arbiters and author in roster.members, "not-an-arbiter")
    _hold(roster.has(author, entry.inc), "unknown-key", "deferred")
    term = [chain.term[0] + 1, RANK[roster.members[author].tier], entry.inc, 0]
    _hold(entry.payload["term"] == term, "wrong-term")
    offer = chain.offer
    if not roster.below(custodian, author) and not (custodian == author and chain.inc < entry.inc):
        _hold(custodian == author and offer is not None, "nothing-to-claim")
        _hold(roster.live(offer["to"]) > offer["to_inc"], "unknown-key", "deferred")
    return replace(chain, term=term, inc=entry.inc, offer=None, stack=(*chain.stack[:-1], author), claimed=True)


def _other(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    body, kind = entry.body, entry.kind
    _hold(entry.payload["term"] == chain.term, "wrong-term")
    _hold((entry.author, entry.inc) == (chain.custodian, chain.inc), "not-the-writer")
    _hold(chain.offer is None, "offer-open")
    again = kind == "reopened" or (kind == "offered" and body["mode"] == "rehome")
    _hold(not chain.closed or again, "closed")
    return _WORK.get(kind, lambda chain, entry, roster: chain)(chain, entry, roster)


def _offered(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    to, mode = entry.body["to"], entry.body["mode"]
    if mode in ("report", "return"):
        _hold(_lower(chain)[-1:] == (to,), "not-the-way-back")
    _hold(mode != "rehome" or chain.claimed, "not-claimed")
    _hold(to != chain.custodian, "not-to-oneself")
    _hold(mode == "rehome" or not chain.open_children, "children-open")
    path = frozenset(roster.path(chain.custodian, to))
    return replace(chain, offer={"id": entry.id, **entry.body}, participants=chain.participants | path | {to})


def _split(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    portions = entry.body["portions"]
    _hold(chain.depth < DEPTH_MAX, "too-deep")
    _hold(len(chain.children) + len(portions) <= CHILDREN_MAX, "too-many-children")
    return replace(chain, children={**chain.children, **{(entry.id, n): None for n in range(len(portions))}})


def _child(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    child = entry.body["child"]
    key = (child["entry"], child["n"])
    _hold(key in chain.children and chain.children[key] is None, "no-such-child")
    end = (child["topic"], child["head"], entry.kind == "detached")
    return replace(chain, children={**chain.children, key: end})


def _close(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    _hold(not _lower(chain), "close-at-origin")
    _hold(chain.resulted, "no-result")
    _hold(not chain.open_children, "children-open")
    said = [(child["topic"], child["head"], child["detached"]) for child in entry.body["children"]]
    _hold(set(said) == set(chain.children.values()) and len(said) == len(set(said)), "children-differ")
    return replace(chain, closed=True)


def _reopened(chain: Chain, entry: Statement, roster: Roster) -> Chain:
    _hold(chain.closed, "not-closed")
    _hold(not _lower(chain), "close-at-origin")
    return replace(chain, closed=False, resulted=False)


_OPENERS = {"accepted": _accepted, "resumed": _resumed, "claimed": _claimed}
_WORK = {
    "offered": _offered,
    "split": _split,
    "child_closed": _child,
    "detached": _child,
    "resulted": lambda chain, entry, roster: replace(chain, resulted=True),
    "closed": _close,
    "reopened": _reopened,
}


def ask_new(chain: Chain | None, entry: Statement, roster: Roster) -> None:
    """What is asked of a new entry only (5.4), but for proofs of R9, which the caller knows."""
    body = entry.body
    if entry.kind == "opened":
        above = roster.ancestors(entry.author)
        _hold(body["keeper"] == (above[0] if above else None), "wrong-keeper")
        _hold(body["arbiters"] in (above, [entry.author, *above]) and body["arbiters"], "wrong-arbiters")
    if entry.kind == "offered" and chain is not None:
        to, mode, custodian = body["to"], body["mode"], chain.custodian
        _hold(to in roster.members, "unknown-key", "deferred")
        _hold(mode != "escalate" or to == roster.members[custodian].parent, "not-the-parent")
        _hold(mode not in ("delegate", "rehome") or roster.below(to, custodian), "not-a-descendant")
        if not roster.has(to, body["to_inc"]):
            _hold(body["to_inc"][0] < 2, "unknown-key", "deferred")
            _hold(False, "wrong-incarnation")


@dataclass
class Topic:
    """All entries of a topic that are here, as a tree by `prev`; `end` is the chain (14.6)."""

    entries: dict[str, Statement] = field(default_factory=dict)
    states: dict[str, Chain] = field(default_factory=dict)
    end: Chain | None = None

    def add(self, entry: Statement, roster: Roster) -> None:
        if self.end is None:
            after = evolve(None, entry, roster)
            ask_new(None, entry, roster)
        else:
            before = self.states.get(entry.payload["prev"] or "")
            after = evolve(self.end if before is None else before, entry, roster)
            ask_new(before, entry, roster)
            self._rivals(entry)
        self.entries[entry.id], self.states[entry.id] = entry, after
        if self.end is None or (after.term, after.seq) > (self.end.term, self.end.seq):
            self.end = after

    def _rivals(self, entry: Statement) -> None:
        place = (entry.payload["term"], entry.payload["seq"])
        assert self.end is not None
        for other in self.entries.values():
            same = (other.author, other.inc) == (entry.author, entry.inc)
            if (other.payload["term"], other.payload["seq"]) == place and (same or other.id == self.end.head):
                raise Wrong("held", "fork")

    def path(self) -> list[Statement]:
        """The chain, `opened` first."""
        found, at = [], self.end.head if self.end else None
        while at is not None:
            found.append(self.entries[at])
            at = self.entries[at].payload["prev"]
        return found[::-1]

    def orphans(self) -> set[str]:
        return set(self.entries) - {entry.id for entry in self.path()}
