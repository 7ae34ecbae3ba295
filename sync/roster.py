"""The roster: who is a node of the tree, below whom, under which key and in which incarnation (SPEC 7).

It is a fold over registry chains. It must never depend on order of arrival between authors: an entry whose author
is not enrolled yet is deferred, not judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from schemas.ids import Digest, Incarnation, KeyId, NodeCode, Tier
from schemas.registry import Anchored, Card, Enrolled, Published
from schemas.statement import RegistryEntry
from sync.errors import BadKey, Deferred, Held, Refused
from sync.keys import Key, Keyring, check_public_key, load_key, unb64
from sync.sealing import Statement


@dataclass(frozen=True, slots=True)
class Member:
    """A node as its parent enrolled it. `entry` is the registry statement that says so."""

    card: Card
    parent: NodeCode | None
    incs: tuple[Incarnation, ...]
    key: Key
    entry: Digest

    @property
    def tier(self) -> Tier:
        return self.card.tier

    @property
    def inc(self) -> Incarnation:
        return self.incs[-1]


@dataclass(frozen=True, slots=True)
class RegistryHead:
    seq: int
    id: Digest


RegistryKey = tuple[NodeCode, Incarnation]


@dataclass(frozen=True)
class Roster:
    """An immutable state of the registry; `anchor` is the root's code once known."""

    members: Mapping[NodeCode, Member] = field(default_factory=dict)
    heads: Mapping[RegistryKey, RegistryHead] = field(default_factory=dict)
    anchor: NodeCode | None = None

    @cached_property
    def keyring(self) -> Keyring:
        return Keyring({member.key.kid: member.key for member in self.members.values()})

    def key(self, kid: KeyId) -> Key | None:
        return self.keyring.get(kid)

    def get(self, code: NodeCode) -> Member | None:
        return self.members.get(code)

    def parent(self, code: NodeCode) -> NodeCode | None:
        member = self.members.get(code)
        return member.parent if member else None

    def ancestors(self, code: NodeCode) -> tuple[NodeCode, ...]:
        """From the parent up to the root."""
        found: list[NodeCode] = []
        at = self.parent(code)
        while at is not None:
            found.append(at)
            at = self.parent(at)
        return tuple(found)

    def children(self, code: NodeCode) -> tuple[NodeCode, ...]:
        return self._children.get(code, ())

    def neighbours(self, code: NodeCode) -> frozenset[NodeCode]:
        """The parent and the children: the nodes this one has links with."""
        parent = self.parent(code)
        return frozenset((*self.children(code), *((parent,) if parent else ())))

    @cached_property
    def _children(self) -> Mapping[NodeCode, tuple[NodeCode, ...]]:
        found: dict[NodeCode, tuple[NodeCode, ...]] = {}
        for code, member in sorted(self.members.items()):
            if member.parent is not None:
                found[member.parent] = (*found.get(member.parent, ()), code)
        return found

    def is_below(self, code: NodeCode, upper: NodeCode) -> bool:
        return upper in self.ancestors(code)

    def path(self, a: NodeCode, b: NodeCode) -> tuple[NodeCode, ...]:
        """The nodes on the tree path from a to b, both included. Nodes unknown here stand alone."""
        up_a, up_b = (a, *self.ancestors(a)), (b, *self.ancestors(b))
        common = next((code for code in up_a if code in up_b), None)
        if common is None:
            return (a, b)
        return (*up_a[: up_a.index(common) + 1], *reversed(up_b[: up_b.index(common)]))


def enrol(roster: Roster, statement: Statement) -> Roster:
    """The roster after one more registry entry. Raises Deferred for a gap or unknown author, Held for a violation."""
    entry: RegistryEntry[object] = statement.payload
    _check_position(roster, entry)
    if not statement.known:
        raise Held("unknown-kind", entry.kind)
    heads = {**roster.heads, (entry.author, entry.inc): RegistryHead(entry.seq, statement.id)}
    if isinstance(entry.body, Anchored):
        return replace(_anchor(roster, entry, entry.body, statement.id), heads=heads)
    author = roster.members.get(entry.author)
    if author is None or entry.inc not in author.incs:
        raise Deferred("unknown-key", f"{entry.author} {entry.inc.number}")
    if isinstance(entry.body, Enrolled):
        return replace(_add_child(roster, entry.author, entry.body, statement.id), heads=heads)
    assert isinstance(entry.body, Published)  # noqa: S101 - BODIES holds these three
    return replace(roster, heads=heads)


def anchored_key(body: Anchored) -> Keyring:
    """The keyring with which a root's own `anchored` verifies: the key it names."""
    return Keyring.of({body.node.code: unb64(body.node.key)})


def _check_position(roster: Roster, entry: RegistryEntry[object]) -> None:
    head = roster.heads.get((entry.author, entry.inc))
    expected = head.seq + 1 if head else 0
    if entry.seq > expected:
        raise Deferred("gap", f"registry {entry.author} {entry.seq}")
    if entry.seq < expected:
        raise Held("equivocation", f"registry {entry.author} {entry.seq}")
    if entry.prev != (head.id if head else None):
        raise Held("wrong-prev", f"registry {entry.author} {entry.seq}")


def _anchor(roster: Roster, entry: RegistryEntry[object], body: Anchored, id: Digest) -> Roster:
    if roster.anchor is not None:
        raise Held("second-root", body.node.code)
    if body.node.code != entry.author or entry.inc != body.inc:
        raise Held("forged-author", body.node.code)
    _check_first(body.inc, body.node.code)
    return replace(roster, members=_member(roster, body.node, None, body.inc, id), anchor=body.node.code)


def _add_child(roster: Roster, parent: NodeCode, body: Enrolled, id: Digest) -> Roster:
    if body.node.code in roster.members:
        raise Held("code-taken", body.node.code)
    if body.node.tier.rank >= roster.members[parent].tier.rank:
        raise Held("wrong-tier", body.node.code)
    _check_first(body.inc, body.node.code)
    return replace(roster, members=_member(roster, body.node, parent, body.inc, id))


def _check_first(inc: Incarnation, code: NodeCode) -> None:
    if inc.number != 1 or not inc.nonce:
        raise Held("wrong-incarnation", code)


def _member(
    roster: Roster, card: Card, parent: NodeCode | None, inc: Incarnation, id: Digest
) -> dict[NodeCode, Member]:
    try:
        raw = unb64(card.key)
    except Refused:
        raise BadKey("bad-key", "not base64url") from None
    check_public_key(raw)
    key = load_key(card.code, raw)
    if any(other.key.kid == key.kid for other in roster.members.values()):
        raise Held("key-taken", card.code)
    return {**roster.members, card.code: Member(card, parent, (inc,), key, id)}
