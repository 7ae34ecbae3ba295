"""Custody by rule number (SPEC 5): who may write, what an offer does, and that there is never a second writer."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import entry as entries
from schemas.ids import FIRST_TERM, Incarnation, Term
from sync.chain import extend, header, verify
from sync.custody import Chain, declines, evolve, next_term, writer
from sync.errors import Deferred, Held, Refused
from sync.keys import Signer
from sync.sealing import ENTRY, REMARK, Statement, author, open_statement, parse
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.judge import roster_of, step

ROSTER = roster_of(c.roster())
NODES = list(c.TIERS)


def inc_of(code: str) -> Incarnation:
    return Incarnation(*c.inc(code))


def opened(thread: Thread) -> list[Statement]:
    return [open_statement(parse(raw), ROSTER.keyring) for raw in thread.raws]


def state(thread: Thread) -> Chain:
    return verify(opened(thread), ROSTER)


def refusal(thread: Thread, code: str, kind: str, body: Json, new: bool = False, **other: Any) -> str | None:
    """The code with which an entry after this chain is refused; None where it fits."""
    longer = thread.copy()
    longer.add(code, kind, body, **other)
    try:
        step(state(thread), open_statement(parse(longer.raws[-1]), ROSTER.keyring), ROSTER, new)
    except (Held, Deferred, Refused) as error:
        return error.code
    return None


NOTE: Json = {"text": "x"}
OFFER, TAKEN, BACK = b.on_offer(), b.taken(), b.given_back()
Case = tuple[Thread, str, str, Json, str | None]

RULES: dict[str, Case] = {
    "R1 the custodian writes": (b.born(), COUNTY, "noted", NOTE, None),
    "R1 nobody else does, not the parent": (b.born(), CITY, "noted", NOTE, "not-the-writer"),
    "R1 nor the root": (b.born(), PROVINCE, "noted", NOTE, "not-the-writer"),
    "R1 nor a sibling": (b.born(), COUNTY2, "noted", NOTE, "not-the-writer"),
    "R1 after a hand-over the new custodian writes": (TAKEN, CITY, "noted", NOTE, None),
    "R1 and the old one does not": (TAKEN, COUNTY, "noted", NOTE, "not-the-writer"),
    "R2 under an open offer the offerer writes nothing": (OFFER, COUNTY, "noted", NOTE, "offer-open"),
    "R2 nor makes another offer": (OFFER, COUNTY, "offered", b.offered(CITY, "escalate"), "offer-open"),
    "R2 nor closes": (OFFER, COUNTY, "closed", {"text": "", "children": []}, "offer-open"),
    "R2 nor does the offered node before it accepts": (OFFER, CITY, "noted", NOTE, "not-the-writer"),
    "R3 the offered node accepts": (OFFER, CITY, "accepted", {"offer": OFFER.head}, None),
    "R3 once": (TAKEN, CITY, "accepted", {"offer": OFFER.head}, "no-such-offer"),
    "R3 the offerer cannot accept its offer": (OFFER, COUNTY, "accepted", {"offer": OFFER.head}, "not-offered-here"),
    "R4 a recall alone gives nothing back": (
        OFFER, COUNTY, "resumed",
        b.resumed(OFFER.head, c.remark(COUNTY, OFFER.topic, OFFER.head, "recalled", {"reason": "x"})), "not-declined",
    ),
    "R4 a decline for the recall does": (
        OFFER, COUNTY, "resumed",
        b.resumed(OFFER.head, b.declined(OFFER, CITY, body={"code": "recalled", "reason": ""})), None,
    ),
    "R5 an acceptance of another offer does not fit": (OFFER, CITY, "accepted", {"offer": "0" * 64}, "no-such-offer"),
    "R5 a decline by the offerer itself decides nothing": (
        OFFER, COUNTY, "resumed", b.resumed(OFFER.head, b.declined(OFFER, COUNTY)), "not-declined",
    ),
    "R5 a decline in another incarnation decides nothing": (
        OFFER, COUNTY, "resumed", b.resumed(OFFER.head, b.declined(OFFER, CITY, inc=[2, "0" * 32])), "not-declined",
    ),
    "R6 re-homing needs a claim": (TAKEN, CITY, "offered", b.offered(COUNTY2, "rehome"), "not-claimed"),
    "R6 after a claim it is an ordinary offer": (b.claimed(), CITY, "offered", b.offered(COUNTY2, "rehome"), None),
    "R17 a topic with open children is not offered": (
        b.split(), CITY, "offered", b.offered(PROVINCE, "escalate"), "children-open",
    ),
    "R17 nor closed": (b.split(), CITY, "closed", {"text": "", "children": []}, "no-result"),
    "R17 depth 8 is not split": (
        b.born(CITY, parent={"entry": "0" * 64, "n": 0}, depth=8), CITY, "split",
        {"portions": [b.portion(COUNTY, "lead")]}, "too-deep",
    ),
    "5.5 a report goes to the node below on the stack": (TAKEN, CITY, "offered", b.offered(COUNTY, "report"), None),
    "5.5 and to no other": (TAKEN, CITY, "offered", b.offered(COUNTY2, "report"), "not-the-way-back"),
    "5.5 the origin reports to none": (b.born(), COUNTY, "offered", b.offered(CITY, "report"), "not-the-way-back"),
    "5.3 the origin closes after a result": (BACK, COUNTY, "closed", {"text": "", "children": []}, None),
    "5.3 nobody closes elsewhere": (TAKEN, CITY, "closed", {"text": "", "children": []}, "close-at-origin"),
}  # fmt: skip


@pytest.mark.parametrize("sentence", RULES)
def test_rule(sentence: str):
    thread, code, kind, body, expected = RULES[sentence]
    assert refusal(thread, code, kind, body) == expected


TIERS: dict[str, Case] = {
    "up to the parent": (b.born(), COUNTY, "offered", b.offered(CITY, "escalate"), None),
    "not past it": (b.born(), COUNTY, "offered", b.offered(PROVINCE, "escalate"), "not-the-parent"),
    "not from the root": (b.born(PROVINCE), PROVINCE, "offered", b.offered(CITY, "escalate"), "not-the-parent"),
    "down to a child": (b.born(CITY), CITY, "offered", b.offered(COUNTY, "delegate"), None),
    "down past a tier": (b.born(PROVINCE), PROVINCE, "offered", b.offered(COUNTY, "delegate"), None),
    "not sideways": (b.born(), COUNTY, "offered", b.offered(COUNTY2, "delegate"), "not-a-descendant"),
    "not to an unknown node": (b.born(CITY), CITY, "offered", b.offered(c.STRANGER, "delegate"), "unknown-key"),
    "only to an incarnation it was granted": (
        b.born(), COUNTY, "offered", b.offered(CITY, "escalate", to_inc=[1, "0" * 32]), "wrong-incarnation",
    ),
    "a later incarnation may not be known yet": (
        b.born(), COUNTY, "offered", b.offered(CITY, "escalate", to_inc=[2, "0" * 32]), "unknown-key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("sentence", TIERS)
def test_offer_when_new(sentence: str):
    thread, code, kind, body, expected = TIERS[sentence]
    assert refusal(thread, code, kind, body, new=True) == expected


@pytest.mark.parametrize("sentence", [name for name, case in TIERS.items() if case[4]])
def test_offer_when_verified_again_is_not_asked_for_tiers(sentence: str):
    thread, code, kind, body, _ = TIERS[sentence]
    assert refusal(thread, code, kind, body) is None


def test_decline_is_recognised_only_for_the_open_offer_of_this_topic():
    chain = state(OFFER)
    said = open_statement(parse(b.declined(OFFER, CITY)), ROSTER.keyring)
    assert declines(chain, said)
    assert not declines(state(TAKEN), said)
    assert not declines(chain, open_statement(parse(b.declined(OFFER, PROVINCE)), ROSTER.keyring))
    assert not declines(chain, open_statement(parse(b.declined(OFFER, CITY, "0" * 64)), ROSTER.keyring))
    assert not declines(chain, open_statement(parse(b.declined(OFFER, CITY, topic="0" * 64)), ROSTER.keyring))
    recalled = c.remark(CITY, OFFER.topic, OFFER.head, "recalled", {"reason": "x"})
    assert not declines(chain, open_statement(parse(recalled), ROSTER.keyring))


def test_participants_of_a_delegation_are_the_nodes_on_the_path():
    thread = b.born(PROVINCE)
    thread.add(PROVINCE, "offered", b.offered(COUNTY, "delegate"))
    assert state(thread).participants == {PROVINCE, CITY, COUNTY}


def test_terms_are_compared_left_to_right():
    low, high = Incarnation(1, "f" * 32), Incarnation(2, "0" * 32)
    rising = [
        FIRST_TERM,
        Term(0, 0, Incarnation(0, ""), 7),
        Term(1, 2, low, 0),
        Term(1, 2, low, 9),
        Term(1, 2, high, 0),
        Term(1, 3, low, 0),
        Term(2, 1, low, 0),
    ]
    assert sorted(rising) == rising
    assert Incarnation(1, "0" * 32) < Incarnation(1, "1" * 32)


def test_claim_gives_the_term_that_beats_every_hand_over():
    chain = state(TAKEN)
    claimed = next_term(chain, "claimed", 3, inc_of(PROVINCE))
    assert claimed == Term(1, 3, inc_of(PROVINCE), 0)
    assert claimed > chain.term


def test_empty_chain_is_no_chain():
    with pytest.raises(Refused):
        verify([], ROSTER)


# ---- what extend builds, and only that --------------------------------------------------------------------------


@dataclass
class World:
    """One topic in the hands of honest nodes, over the code that writes."""

    chain: Chain | None = None
    statements: list[Statement] = field(default_factory=list)
    decline: Json | None = None
    count: int = 0

    def write(self, node: str, kind: str, body: Any) -> None:
        """Raises Held where the rules forbid it."""
        self.count += 1
        shared = header(node, inc_of(node), c.AT)
        rank = ROSTER.members[node].tier.rank
        payload = extend(self.chain, shared, kind, body, (), rank)
        statement = author(payload, ENTRY, Signer(c.private(node)), node)
        self.chain = step(self.chain, statement, ROSTER, True)
        self.statements.append(statement)

    def say_no(self, node: str) -> None:
        assert self.chain is not None and self.chain.offer is not None
        payload = {**header(node, inc_of(node), c.AT), "topic": self.chain.topic, "entry": self.chain.offer.id}
        payload |= {"kind": "declined", "body": {"code": "duplicate", "reason": ""}, "parts": []}
        self.decline = json.loads(author(payload, REMARK, Signer(c.private(node)), node).raw)


def offered(to: str, mode: str) -> entries.Offered:
    return entries.Offered.model_validate_json(c.dumps(b.offered(to, mode)))


def act(name: str, target: str) -> Callable[[World, str], None]:
    """What a node tries: an action by name, towards `target` where it has one."""

    def run(world: World, node: str) -> None:
        chain = world.chain
        assert chain is not None
        offer = chain.offer.id if chain.offer else chain.head
        actions: dict[str, Callable[[], None]] = {
            "note": lambda: world.write(node, "noted", entries.Noted(text=str(world.count))),
            "result": lambda: world.write(node, "resulted", entries.Resulted(outcome="A", text="")),
            "close": lambda: world.write(node, "closed", entries.Closed(text="", children=[])),
            "reopen": lambda: world.write(node, "reopened", entries.Reopened(reason="x")),
            "accept": lambda: world.write(node, "accepted", entries.Accepted(offer=offer)),
            "decline": lambda: world.say_no(node),
            "resume": lambda: world.write(node, "resumed", entries.Resumed(offer=offer, declined=world.decline or {})),
            "claim": lambda: world.write(node, "claimed", entries.Claimed(reason="x", approved_by=["a", "b"])),
            **{
                mode: (lambda mode=mode: world.write(node, "offered", offered(target, mode)))
                for mode in ("escalate", "delegate", "report", "return", "rehome")
            },
        }
        actions[name]()

    return run


ACTIONS = [
    "note",
    "result",
    "close",
    "reopen",
    "accept",
    "accept",
    "accept",
    "decline",
    "decline",
    "resume",
    "resume",
    "claim",
]
MODES = ["escalate", "escalate", "delegate", "delegate", "report", "return", "rehome"]
WRITER, BELOW, ABOVE = "writer", "below", "above"
"""Stand for whoever that is at the time, so that a walk gets somewhere."""
moves = st.tuples(
    st.sampled_from([*NODES, *[WRITER] * 8]),
    st.sampled_from(ACTIONS + MODES),
    st.sampled_from([*NODES, BELOW, BELOW, ABOVE, ABOVE]),
)


def birth(node: str) -> World:
    world = World()
    world.write(node, "opened", entries.Opened.model_validate_json(c.dumps(b.opened(node))))
    return world


def walk(start: str, steps: list[tuple[str, str, str]]) -> World:
    """A random walk: everybody tries what they like; what the rules refuse has not happened."""
    world = birth(start)
    for node, name, target in steps:
        before, chain = len(world.statements), world.chain
        assert chain is not None
        if node == WRITER:
            node = chain.custodian if name == "resume" else writer(chain).node
        target = {BELOW: chain.below or node, ABOVE: ROSTER.parent(node) or node}.get(target, target)
        try:
            act(name, target)(world, node)
        except (Deferred, Held, Refused, AssertionError):
            assert len(world.statements) == before
            continue
        if len(world.statements) > before:
            _check_author(chain, world.statements[-1])
    return world


def _check_author(before: Chain, written: Statement) -> None:
    """Only the writer wrote; or the offerer with the decline in hand, or an arbiter."""
    entry, next_one = written.payload, writer(before)
    if entry.kind == "claimed":
        assert entry.author in before.arbiters
    elif entry.kind == "resumed":
        assert (entry.author, entry.inc) == (before.custodian, before.inc)
        assert written.embedded is not None
        assert written.embedded.payload.author == next_one.node
    else:
        assert (entry.author, entry.inc) == (next_one.node, next_one.inc)


def _may_write(chain: Chain, node: str) -> bool:
    """Whether the node can write the plain next entry of this state: accept, reopen or note."""
    kind, body = "noted", entries.Noted(text="x")
    if chain.offer is not None:
        kind, body = "accepted", entries.Accepted(offer=chain.offer.id)  # type: ignore[assignment]
    elif chain.closed:
        kind, body = "reopened", entries.Reopened(reason="x")  # type: ignore[assignment]
    payload = extend(chain, header(node, inc_of(node), c.AT), kind, body)
    try:
        evolve(chain, author(payload, ENTRY, Signer(c.private(node)), node), ROSTER)
    except Held:
        return False
    return True


@settings(max_examples=150)
@given(st.sampled_from([COUNTY, CITY, PROVINCE]), st.lists(moves, max_size=40))
def test_random_walk_keeps_exactly_one_writer(start: str, steps: list[tuple[str, str, str]]):
    world = walk(start, steps)
    chain = world.chain
    assert chain is not None
    able = [node for node in NODES if _may_write(chain, node)]
    if chain.closed and not chain.at_home:
        assert able == []
    else:
        assert able == [writer(chain).node]


@settings(max_examples=100)
@given(st.sampled_from([COUNTY, CITY, PROVINCE]), st.lists(moves, max_size=40))
def test_random_walk_gives_one_author_for_each_term_and_rising_terms(start: str, steps: list[tuple[str, str, str]]):
    world = walk(start, steps)
    payloads = [statement.payload for statement in world.statements]
    authors: dict[Term, tuple[str, Incarnation]] = {}
    for payload in payloads:
        assert authors.setdefault(payload.term, (payload.author, payload.inc)) == (payload.author, payload.inc)
    terms = [payload.term for payload in payloads]
    assert terms == sorted(terms)
    assert [payload.seq for payload in payloads] == list(range(len(payloads)))


@settings(max_examples=100)
@given(st.sampled_from([COUNTY, CITY, PROVINCE]), st.lists(moves, max_size=30))
def test_verify_takes_what_extend_builds(start: str, steps: list[tuple[str, str, str]]):
    world = walk(start, steps)
    assert verify(world.statements, ROSTER) == world.chain
    again = [open_statement(parse(statement.raw), ROSTER.keyring) for statement in world.statements]
    assert verify(again, ROSTER) == world.chain


CHANGES: dict[str, Callable[[Json], Any]] = {
    "topic": lambda payload: "0" * 64,
    "seq": lambda payload: payload["seq"] + 1,
    "prev": lambda payload: "0" * 64,
    "term": lambda payload: [*payload["term"][:3], payload["term"][3] + 1],
    "inc": lambda payload: [2, "0" * 32],
}


@settings(max_examples=200)
@given(st.data())
def test_verify_takes_nothing_else(data: st.DataObject):
    """A position field of any entry changed and signed again by its author: the chain is refused there or after."""
    world = walk(data.draw(st.sampled_from([COUNTY, CITY])), data.draw(st.lists(moves, max_size=20)))
    at = data.draw(st.integers(0, len(world.statements) - 1))
    name = data.draw(st.sampled_from(sorted(CHANGES)))
    payload = json.loads(c.payload_of(world.statements[at].raw))
    changed = c.jws(c.dumps({**payload, name: CHANGES[name](payload)}), ENTRY, payload["author"])
    statements = list(world.statements)
    statements[at] = open_statement(parse(changed), ROSTER.keyring)
    with pytest.raises((Held, Deferred)):
        verify(statements, ROSTER)


@settings(max_examples=100)
@given(st.data())
def test_verify_takes_no_other_order_and_no_gap(data: st.DataObject):
    world = walk(COUNTY, data.draw(st.lists(moves, min_size=5, max_size=20)))
    statements = list(world.statements)
    at = data.draw(st.integers(0, len(statements) - 1))
    shorter = statements[:at] + statements[at + 1 :]
    if at < len(statements) - 1:
        with pytest.raises((Held, Deferred)):
            verify(shorter, ROSTER)
    doubled = [*statements[: at + 1], *statements[at:]]
    with pytest.raises((Held, Deferred)):
        verify(doubled, ROSTER)
