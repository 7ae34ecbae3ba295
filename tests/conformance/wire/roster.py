"""The reference fold of registry chains (SPEC 7): who is a node, below whom, under which keys and incarnations."""

from dataclasses import dataclass, field
from typing import Any

from tests.conformance.wire import strict
from tests.conformance.wire.jose import fit, form, kid_of, unb64
from tests.conformance.wire.shapes import NONE, RANK
from tests.conformance.wire.statement import Statement, open_statement
from tests.conformance.wire.strict import Json, Wrong


@dataclass
class Member:
    card: Json
    parent: str | None
    lives: dict[tuple[int, str], str]
    """Incarnation to the key id it signs with."""
    cards: list[Json] = field(default_factory=list)
    """All that named it, the first one first."""

    @property
    def tier(self) -> str:
        return str(self.card["tier"])

    @property
    def inc(self) -> list[Any]:
        return list(max(self.lives)) if self.lives else NONE


@dataclass
class Roster:
    members: dict[str, Member] = field(default_factory=dict)
    keyring: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    heads: dict[tuple[str, int, str], tuple[int, str]] = field(default_factory=dict)
    """Of each registry chain its last seq and identity."""
    entries: dict[str, Statement] = field(default_factory=dict)
    anchor: str | None = None

    def has(self, code: str, inc: list[Any]) -> bool:
        return code in self.members and tuple(inc) in self.members[code].lives

    def live(self, code: str) -> list[Any]:
        return self.members[code].inc if code in self.members else NONE

    def ancestors(self, code: str) -> list[str]:
        found, at = [], self.members[code].parent if code in self.members else None
        while at is not None:
            found.append(at)
            at = self.members[at].parent
        return found

    def below(self, code: str, above: str) -> bool:
        return above in self.ancestors(code)

    def path(self, a: str, b: str) -> list[str]:
        """Up from a to the first common ancestor and down to b, both ends included."""
        up, down = [a, *self.ancestors(a)], [b, *self.ancestors(b)]
        common = next((code for code in up if code in down), None)
        if common is None:
            return [a]
        return [*up[: up.index(common) + 1], *reversed(down[: down.index(common)])]

    def open(self, raw: bytes) -> Statement:
        """A registry line, where the first is an anchor under the key its own card names (7.1)."""
        ring = dict(self.keyring)
        if not self.members:
            try:
                signed = form(strict.read(raw))
                body = strict.read(signed.payload)["body"]
                key = _key_of(body["node"]["key"])
                ring = {signed.kid: (body["node"]["code"], key)} if signed.kid == kid_of(key) else {}
            except (KeyError, TypeError) as error:
                raise Wrong("refused", "invalid") from error
        return open_statement(raw, ring)

    def add(self, entry: Statement) -> None:
        """Rules 1 to 5 of 7.2, in order."""
        if entry.id in self.entries:
            return
        p, chain = entry.payload, (entry.author, *entry.inc)
        last, head = self.heads.get(chain, (-1, None))
        if p["seq"] != last + 1:
            raise Wrong("deferred", "gap") if p["seq"] > last else Wrong("held", "equivocation")
        _hold(p["prev"] == head, "wrong-prev")
        _hold(entry.known, "unknown-kind")
        if entry.kind == "anchored":
            _hold(not self.members, "second-root")
            _hold((entry.author, entry.inc) == (entry.body["node"]["code"], entry.body["inc"]), "forged-author")
        else:
            own = entry.kind == "granted" and entry.body["node"] == entry.author and self.is_root(entry.author)
            _hold(own or self.has(entry.author, entry.inc), "unknown-key", "deferred")
        _KINDS[entry.kind](self, entry)
        self.heads[chain] = (p["seq"], entry.id)
        self.entries[entry.id] = entry

    def keyring_of(self, code: str) -> bytes:
        """The key of the card of this node."""
        return unb64(self.members[code].card["key"])

    def keys_of(self, code: str) -> list[bytes]:
        """All keys it ever had."""
        return [key for node, key in self.keyring.values() if node == code]

    def learn_entry(self, entry: Statement) -> None:
        """What an entry says, without its place in its chain (15.6)."""
        _KINDS[entry.kind](self, entry)

    def is_root(self, code: str) -> bool:
        return code in self.members and self.members[code].parent is None

    def learn(self, card: Json) -> str:
        public = _key_of(card["key"])
        kid = kid_of(public)
        _hold(self.keyring.get(kid, (card["code"],))[0] == card["code"], "key-taken")
        self.keyring[kid] = (card["code"], public)
        return kid


def _key_of(text: Any) -> bytes:
    try:
        public = unb64(text)
    except Wrong:
        public = b""
    if not fit(public):
        raise Wrong("refused", "bad-key")
    return public


def _hold(true: Any, code: str, disposition: str = "held") -> None:
    if not true:
        raise Wrong(disposition, code)


def _anchored(roster: Roster, entry: Statement) -> None:
    inc, card = entry.body["inc"], entry.body["node"]
    _hold(inc[0] == 1 and inc[1], "wrong-incarnation")
    roster.members[entry.author] = Member(card, None, {tuple(inc): roster.learn(card)}, [card])
    roster.anchor = entry.author


def _enrolled(roster: Roster, entry: Statement) -> None:
    inc, card = entry.body["inc"], entry.body["node"]
    known = roster.members.get(card["code"])
    if (
        known is not None
        and known.parent == entry.author
        and known.cards[:1] == [card]
        and tuple(inc) == min(known.lives)
    ):
        return
    _hold(known is None, "code-taken")
    _hold(RANK[card["tier"]] < RANK[roster.members[entry.author].tier], "wrong-tier")
    _hold(inc[0] == 1 and inc[1], "wrong-incarnation")
    kid = roster.learn(card)
    roster.members[card["code"]] = Member(card, entry.author, {tuple(inc): kid}, [card])


def _granted(roster: Roster, entry: Statement) -> None:
    body = entry.body
    member = roster.members.get(body["node"])
    _hold(member is not None, "unknown-key", "deferred")
    own = body["node"] == entry.author and roster.is_root(entry.author)
    _hold(own or (member is not None and member.parent == entry.author), "not-the-parent")
    _hold(body["inc"][0] >= 2 and body["inc"][1], "wrong-incarnation")
    _hold(roster.keyring.get(body["key"], ("",))[0] == body["node"], "unknown-key", "deferred")
    assert member is not None
    member.lives[tuple(body["inc"])] = body["key"]


def _rotated(roster: Roster, entry: Statement) -> None:
    card = entry.body["node"]
    member = roster.members.get(card["code"])
    _hold(member is not None, "unknown-key", "deferred")
    assert member is not None
    own = card["code"] == entry.author and roster.is_root(entry.author)
    _hold(own or member.parent == entry.author, "not-the-parent")
    _hold(card["tier"] == member.tier, "wrong-tier")
    if any(card["key"] == known["key"] for known in member.cards):
        return
    roster.learn(card)
    member.card = card
    member.cards.append(card)


_KINDS = {
    "anchored": _anchored,
    "enrolled": _enrolled,
    "granted": _granted,
    "rotated": _rotated,
    "published": lambda roster, entry: None,
}


def opened_by(raw: bytes, roster: Roster) -> Statement:
    """A statement of record, under the keys and for the incarnations this roster knows."""
    statement = open_statement(raw, roster.keyring)
    member = roster.members.get(statement.author)
    kid = form(strict.read(raw)).kid
    if member is not None and member.lives.get(tuple(statement.inc), kid) != kid:
        raise Wrong("held", "forged-author")
    return statement
