"""The roster: who is a node of the tree, below whom, under which key and in which incarnation (SPEC 7).

It is a fold over registry chains. It must never depend on order of arrival between authors: an entry whose author
is not enrolled yet is deferred, not judged.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from schemas.ids import Digest, Incarnation, KeyId, NodeCode, Tier
from schemas.registry import Anchored, Card, Enrolled, Granted, Published, Rotated
from schemas.statement import RegistryEntry
from sync.errors import BadKey, Deferred, Held, Refused
from sync.keys import Key, Keyring, b64, check_public_key, load_key, unb64
from sync.sealing import Statement


@dataclass(frozen=True, slots=True)
class Member:
    """A node as its parent enrolled it. `entry` is the registry statement that says so.

    `lives` are its incarnations with the key each signs with, in order; `keys` all it ever had, the present one last;
    `revoked` the keys that are in other hands, which only its parent, or the root of itself, can say; `born` the card
    it was enrolled with.
    """

    card: Card
    parent: NodeCode | None
    lives: tuple[tuple[Incarnation, KeyId], ...]
    keys: tuple[Key, ...]
    entry: Digest
    revoked: tuple[KeyId, ...] = ()
    born: Card | None = None

    @property
    def tier(self) -> Tier:
        return self.card.tier

    @property
    def incs(self) -> tuple[Incarnation, ...]:
        return tuple(inc for inc, _ in self.lives)

    @property
    def inc(self) -> Incarnation:
        """The live one, as far as anybody knows: the highest that was granted."""
        return self.lives[-1][0]

    @property
    def key(self) -> Key:
        return self.keys[-1]

    def had_key(self, key: str) -> bool:
        """Whether this key, as a card has it, is or was its own. No key comes back: it may be in other hands."""
        return key in {b64(had.public.public_bytes_raw()) for had in self.keys}

    def kid_of(self, inc: Incarnation) -> KeyId | None:
        """The key this incarnation signs with; None where it was never granted."""
        return dict(self.lives).get(inc)

    def granted(self, inc: Incarnation, kid: KeyId) -> "Member":
        """With one more incarnation, wherever it belongs in the order: grants may come from two lives of the parent."""
        return replace(self, lives=tuple(sorted({*self.lives, (inc, kid)})))


@dataclass(frozen=True, slots=True)
class RegistryHead:
    seq: int
    id: Digest


RegistryKey = tuple[NodeCode, Incarnation]
SECOND = 2
"""The lowest number of an incarnation that is granted after the first, which enrolment gives."""


@dataclass(frozen=True)
class Roster:
    """An immutable state of the registry; `anchor` is the root's code once known."""

    members: Mapping[NodeCode, Member] = field(default_factory=dict)
    heads: Mapping[RegistryKey, RegistryHead] = field(default_factory=dict)
    anchor: NodeCode | None = None

    @cached_property
    def keyring(self) -> Keyring:
        return Keyring({key.kid: key for member in self.members.values() for key in member.keys})

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

    def towards(self, here: NodeCode, there: NodeCode) -> NodeCode | None:
        """The neighbour of a node on the path to another; None where that is the node itself."""
        return None if here == there else self.path(here, there)[1]


def enrol(roster: Roster, statement: Statement) -> Roster:
    """The roster after one more registry entry. Raises Deferred for a gap or unknown author, Held for a violation."""
    entry: RegistryEntry[object] = statement.payload
    _check_position(roster, entry)
    if not statement.known:
        raise Held("unknown-kind", entry.kind)
    heads = {**roster.heads, (entry.author, entry.inc): RegistryHead(entry.seq, statement.id)}
    if isinstance(entry.body, Anchored):
        return replace(_anchor(roster, entry, entry.body, statement.id), heads=heads)
    if not _grants_itself(roster, entry):
        author = roster.members.get(entry.author)
        if author is None or entry.inc not in author.incs:
            raise Deferred("unknown-key", f"{entry.author} {entry.inc.number}")
    if isinstance(entry.body, Published):
        return replace(roster, heads=heads)
    return replace(after(roster, entry, statement.id), heads=heads)


def after(roster: Roster, entry: RegistryEntry[object], id: Digest) -> Roster:
    """The roster after what an entry says of a child, wherever it stands. Raises Deferred, Held, BadKey."""
    body = entry.body
    if isinstance(body, Enrolled):
        return _add_child(roster, entry.author, body, id)
    if isinstance(body, Granted):
        return _grant(roster, entry.author, body)
    assert isinstance(body, Rotated)  # noqa: S101 - BODIES holds no other
    return _rotate(roster, entry.author, body)


def _grants_itself(roster: Roster, entry: RegistryEntry[object]) -> bool:
    """The root's first words in a new incarnation are the grant of it: nobody above could have given it."""
    body = entry.body
    itself = isinstance(body, Granted) and (body.node, body.inc) == (entry.author, entry.inc)
    return itself and entry.author == roster.anchor and entry.seq == 0


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
    known = roster.members.get(body.node.code)
    if known is not None:
        if (known.parent, known.born, known.incs[0]) == (parent, body.node, body.inc):
            return roster
        raise Held("code-taken", body.node.code)
    if body.node.tier.rank >= roster.members[parent].tier.rank:
        raise Held("wrong-tier", body.node.code)
    _check_first(body.inc, body.node.code)
    return replace(roster, members=_member(roster, body.node, parent, body.inc, id))


def _grant(roster: Roster, author: NodeCode, body: Granted) -> Roster:
    member = _own_child(roster, author, body.node)
    if body.inc.number < SECOND or not body.inc.nonce:
        raise Held("wrong-incarnation", body.node)
    if body.key not in {key.kid for key in member.keys}:
        raise Deferred("unknown-key", f"{body.node} {body.key}")
    if body.inc in member.incs:
        return roster
    return replace(roster, members={**roster.members, body.node: member.granted(body.inc, body.key)})


def _rotate(roster: Roster, author: NodeCode, body: Rotated) -> Roster:
    card = body.node
    member = _own_child(roster, author, card.code)
    if card.tier is not member.tier:
        raise Held("wrong-tier", card.code)
    if member.had_key(card.key):
        return roster  # said again
    revoked = (*member.revoked, member.key.kid) if body.revoked else member.revoked
    renewed = replace(member, card=card, keys=(*member.keys, _new_key(roster, card)), revoked=revoked)
    return replace(roster, members={**roster.members, card.code: renewed})


def _own_child(roster: Roster, author: NodeCode, code: NodeCode) -> Member:
    """The node that `author` may speak of: its child, or the root itself."""
    member = roster.members.get(code)
    if member is None:
        raise Deferred("unknown-key", code)
    if author != (member.parent or roster.anchor):
        raise Held("not-the-parent", code)
    return member


def _check_first(inc: Incarnation, code: NodeCode) -> None:
    if inc.number != 1 or not inc.nonce:
        raise Held("wrong-incarnation", code)


def _member(
    roster: Roster, card: Card, parent: NodeCode | None, inc: Incarnation, id: Digest
) -> dict[NodeCode, Member]:
    key = _new_key(roster, card)
    return {**roster.members, card.code: Member(card, parent, ((inc, key.kid),), (key,), id, born=card)}


def _new_key(roster: Roster, card: Card) -> Key:
    """The card's key, fit and free. Raises BadKey, Held."""
    try:
        raw = unb64(card.key)
    except Refused:
        raise BadKey("bad-key", "not base64url") from None
    check_public_key(raw)
    key = load_key(card.code, raw)
    if roster.key(key.kid) is not None:
        raise Held("key-taken", card.code)
    return key
