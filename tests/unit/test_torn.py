"""What a node says of its children where its registry was written twice, against those who took the other branch.

One reader took each branch. Whatever the two say, and whatever the node said later before it knew: everything it says
once it knows is read by both, and where nothing is left for a person to decide, both know the same children by the same
keys and lives.
"""

from dataclasses import dataclass, field

from hypothesis import assume, event, given, note, settings
from hypothesis import strategies as st

from node.service import remedy, torn
from node.service.remedy import Remedy
from schemas.ids import Incarnation, NodeCode, Tier
from schemas.registry import Anchored, Card, Enrolled, Granted, Rotated
from schemas.statement import Frozen
from sync.chain import header
from sync.errors import SyncError
from sync.keys import Signer, b64
from sync.roster import Roster, enrol
from sync.sealing import REGISTRY, Statement, author
from tests.wire import cast as c

AT = "2026-01-01T00:00:00Z"
ROOT, ME = c.PROVINCE, c.CITY
CHILDREN = (c.COUNTY, c.COUNTY2, "620104", "620105")
"""The first two both branches begin with."""
LIVES = tuple(Incarnation(number, f"{number:>032}") for number in (1, 2, 3))
KEYS = 4
Step = tuple[str, NodeCode, int, int, bool]


@dataclass
class Reader:
    """What one node has of the registry; `said`: all that the node in the middle wrote in it."""

    roster: Roster = field(default_factory=Roster)
    said: list[Statement] = field(default_factory=list)

    def write(self, author_: NodeCode, inc: Incarnation, body: Frozen) -> Statement:
        """Raises SyncError, changing nothing."""
        head = self.roster.heads.get((author_, inc))
        kind = type(body).__name__.lower()
        payload = {**header(author_, inc, AT), "seq": head.seq + 1 if head else 0, "prev": head.id if head else None}
        payload |= {"kind": kind, "body": body.model_dump(mode="json"), "parts": []}
        statement = author(payload, REGISTRY, Signer(c.private(author_)), author_)
        self.take(statement)
        return statement

    def take(self, statement: Statement) -> None:
        self.roster = enrol(self.roster, statement)
        if statement.payload.author == ME:
            self.said.append(statement)

    def copy(self) -> "Reader":
        return Reader(self.roster, list(self.said))


def _card(code: NodeCode, key: int | str) -> Card:
    tier = {ROOT: Tier.PROVINCE, ME: Tier.CITY}.get(code, Tier.COUNTY)
    named = code if key == 0 else f"{code} {key}"
    return Card(code=code, name=code, tier=tier, url="http://127.0.0.1:1", key=b64(c.public(named)), box=c.box(code))


def _base() -> Reader:
    reader = Reader()
    reader.write(ROOT, LIVES[0], Anchored(node=_card(ROOT, 0), inc=LIVES[0], witnesses=[]))
    reader.write(ROOT, LIVES[0], Enrolled(node=_card(ME, 0), inc=LIVES[0]))
    for life in LIVES[1:]:
        key = reader.roster.members[ME].key.kid
        reader.write(ROOT, LIVES[0], Granted(node=ME, inc=life, key=key, closed=None, log=None))
    for child in CHILDREN[:2]:
        reader.write(ME, LIVES[0], Enrolled(node=_card(child, 0), inc=LIVES[0]))
    return reader


BASE = _base()
steps = st.lists(
    st.tuples(
        st.sampled_from(["enrolled", "rotated", "granted"]),
        st.sampled_from(CHILDREN),
        st.integers(0, KEYS - 1),
        st.integers(1, 2),
        st.booleans(),
    ),
    max_size=5,
)


def _play(reader: Reader, life: Incarnation, some: list[Step]) -> None:
    """What a parent may do, as far as it knows."""
    for kind, code, key, nonce, revoked in some:
        member = reader.roster.get(code)
        card = _card(code, key)
        body: Frozen
        if kind == "enrolled" and member is None:
            body = Enrolled(node=card, inc=Incarnation(1, f"{nonce:>032}"))
        elif kind == "rotated" and member is not None and not member.had_key(card.key):
            body = Rotated(node=card, revoked=revoked, closed=None, reason="新机器")
        elif kind == "granted" and member is not None:
            inc = Incarnation(1 + member.inc.number, f"{nonce:>032}")
            body = Granted(node=code, inc=inc, key=member.key.kid, closed=None, log=None)
        else:
            continue
        reader.write(ME, life, body)


def _told(mine: Reader, there: list[Statement], forks_at: int, life: Incarnation) -> torn.Past:
    said = [torn.Said(one.payload, one.id, True, False) for one in mine.said]
    said += [torn.Said(one.payload, one.id, False, False) for one in there]
    return torn.told(mine.roster, ME, said, {LIVES[0]: forks_at}, life)


def _fresh(mine: Reader, other: Reader, code: NodeCode, needed: Remedy, plan: list[torn.Said]) -> list[Frozen]:
    """What a person does about a child."""
    if needed in (Remedy.RATIFY, Remedy.KEY):
        return [one.entry.body for one in plan]
    if needed is Remedy.RENEW:
        return [Rotated(node=_card(code, f"after {len(mine.said)}"), revoked=False, closed=None, reason="新机器")]
    return [_grant(mine, other, code)]


def _grant(mine: Reader, other: Reader, code: NodeCode) -> Granted:
    """For the number its neighbours knew."""
    member = mine.roster.members[code]
    inc = Incarnation(1 + max(reader.roster.members[code].inc.number for reader in (mine, other)), "f" * 32)
    return Granted(node=code, inc=inc, key=member.key.kid, closed=None, log=None)


@settings(max_examples=300, deadline=None)
@given(here=steps, there=steps, later=steps)
def test_everybody_reads_what_is_said_again_and_then_knows_the_same(
    here: list[Step], there: list[Step], later: list[Step]
) -> None:
    note(f"here {here}\nthere {there}\nlater {later}")
    mine, other = BASE.copy(), BASE.copy()
    _play(mine, LIVES[0], here)
    _play(other, LIVES[0], there)
    common = next((n for n, (a, b) in enumerate(zip(mine.said, other.said, strict=False)) if a.id != b.id), None)
    assume(common is not None)
    assert common is not None
    beside, before = other.said[common:], len(mine.said)
    _play(mine, LIVES[1], later)
    life = LIVES[1]
    found = _told(mine, beside, common, life)
    read = _reads(other, mine.said[before:])
    assert found.spoilt == (not read)
    if found.spoilt:
        life = LIVES[2]
    event("spoilt" if found.spoilt else "not spoilt")
    _repeat(mine, other, beside, common, life)
    for code in CHILDREN:
        for _ in range(2):
            found = _told(mine, beside, common, life)
            needed = remedy.needed(found, code)
            if needed is None or needed is Remedy.NONE:
                break
            event(str(needed))
            at = len(mine.said)
            for body in _fresh(mine, other, code, needed, remedy.ratifiable(found, code)):
                mine.write(ME, life, body)
            assert _reads(other, mine.said[at:]), needed
            _repeat(mine, other, beside, common, life)
        else:
            found = _told(mine, beside, common, life)
            assert remedy.needed(found, code) in (None, Remedy.NONE)
        if needed is None and code in mine.roster.members:
            if mine.roster.members[code].kid_of(mine.roster.members[code].inc) != mine.roster.members[code].key.kid:
                assert _reads(other, [mine.write(ME, life, _grant(mine, other, code))]), "its new machine heals"
            a, b = mine.roster.members[code], other.roster.members[code]
            assert a.key.kid == b.key.kid
            assert a.inc == b.inc
            if not any(step[:2] == ("rotated", code) for step in (*there, *later)):
                assert {kid for kid in a.revoked if kid in {key.kid for key in b.keys}} <= set(b.revoked)


def _repeat(mine: Reader, other: Reader, beside: list[Statement], common: int, life: Incarnation) -> None:
    found, at = _told(mine, beside, common, life), len(mine.said)
    assert not found.spoilt
    for entry in torn.again(found):
        mine.write(ME, life, entry.body)
    assert _reads(other, mine.said[at:])
    found = _told(mine, beside, common, life)
    assert not found.spoilt and torn.again(found) == []


def _reads(other: Reader, some: list[Statement]) -> bool:
    """Whether it can read them all; each as far as it can."""
    for statement in some:
        try:
            other.take(statement)
        except SyncError:
            return False
    return True
