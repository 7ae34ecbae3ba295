"""Papers (SPEC 14.9): what a node brings that is told that it is unknown, and what comes of those that lead nowhere."""

from collections.abc import Callable
from typing import Any

from tests.conformance.checks.lives import compare
from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, refused, same
from tests.conformance.office import nonce
from tests.conformance.parent import problem
from tests.conformance.wire import bodies, strict
from tests.conformance.wire.document import Document, loose
from tests.conformance.wire.jose import Key, b64
from tests.conformance.wire.statement import identity

BELOW, ABOVE = "below", "above"
STRANGER = "629999"


def old(raw: bytes) -> bytes:
    return loose("old", strict.read(raw))


def genuine(child: Child) -> list[bytes]:
    """The papers of this child."""
    above = child.roster.ancestors(child.code)
    return [old(child.store[entry.id]) for entry in child.roster.entries.values() if entry.author in above]


def forged(child: Child, key: Key, code: str) -> bytes:
    """An enrolment in the node's name, signed by somebody else."""
    node, live = child.parent, child.roster.live(child.parent)
    seq, prev = child.roster.heads[(node, *live)]
    card = {**child.card, "code": code, "key": b64(key.public)}
    payload = {
        "v": 1, "author": node, "inc": live, "at": "2026-01-01T00:00:00Z", "seq": seq + 1, "prev": prev,
        "kind": "enrolled", "body": {"node": card, "inc": [1, nonce()]}, "parts": [],
    }  # fmt: skip
    return loose("old", key.jws(payload, bodies.REGISTER))


def another_tree(child: Child, key: Key) -> list[bytes]:
    """A root and its enrolment of the sender, sound in themselves."""
    root, inc = Key.new(), [1, nonce()]
    card = {**child.card, "code": "990000", "tier": "province", "key": b64(root.public)}
    shared = {"v": 1, "author": "990000", "inc": inc, "at": "2026-01-01T00:00:00Z", "parts": []}
    body = {"node": card, "inc": inc, "witnesses": []}
    first = root.jws({**shared, "seq": 0, "prev": None, "kind": "anchored", "body": body}, bodies.REGISTER)
    mine = {"node": {**child.card, "code": STRANGER, "key": b64(key.public)}, "inc": [1, nonce()]}
    prev = identity_of(first)
    second = root.jws({**shared, "seq": 1, "prev": prev, "kind": "enrolled", "body": mine}, bodies.REGISTER)
    return [loose("old", first), loose("old", second)]


def identity_of(jws: Any) -> str:
    return identity(strict.write(jws))


Make = Callable[[Child, Key], bytes]
LEAD_NOWHERE: dict[str, Make] = {
    "of another node, in its name": lambda child, key: child.compose(genuine(child), key=key),
    "of another node, in no name that is known": lambda child, key: child.compose(
        genuine(child), key=key, **{"from": STRANGER}
    ),
    "that the node never signed": lambda child, key: child.compose(
        [*genuine(child), forged(child, key, STRANGER)], key=key, **{"from": STRANGER}
    ),
    "that give a known node another key, in a stranger's hand": lambda child, key: child.compose(
        [*genuine(child), forged(child, key, child.code)], key=key
    ),
    "of another tree": lambda child, key: child.compose(another_tree(child, key), key=key, **{"from": STRANGER}),
    "that are more than may be": lambda child, key: child.compose([genuine(child)[0]] * 1001, key=key),
    "that are no statements": lambda child, key: child.compose(
        [loose("old", {}), loose("old", {"payload": 1})], key=key
    ),
}


def _lead_nowhere(name: str, make: Make) -> None:
    @check(BELOW, "14.9", f"papers {name} make no key known and change nothing")
    def run(stage: Stage) -> None:
        child = stage.child
        child.settle()
        answer = child.post(make(child, Key.new()))
        refused(answer)
        same(answer.problem, "unknown-peer", "problem")
        compare(child)


for _name, _make in LEAD_NOWHERE.items():
    _lead_nowhere(_name, _make)


@check(ABOVE, "14.9", "told that it is unknown, a node brings the entries of those above it, and then goes on")
def brings(stage: Stage) -> None:
    parent = stage.parent
    refusals: list[Document] = []

    def forgets(asked: Document) -> Any:
        if refusals:
            return None
        refusals.append(asked)
        return problem(400, "unknown-peer")

    with parent.changed:
        parent.script = forgets
    try:
        brought = parent.next_request(1, lambda each: bool(refusals) and bool(each.of("old")))
        session = refusals[0].header["session"]
        parent.next_request(1, lambda each: each.header["session"] == session and not each.of("old"))
    finally:
        parent.script = None
    same((brought.header["session"], brought.header["answers"], brought.statements), (session, None, []), "papers")
    same({name for name, _ in brought.loose}, {"old"}, "its loose lines")
    said = [identity_of(each) for each in brought.of("old")]
    same(said, [entry.id for entry in parent.roster.entries.values() if entry.author == parent.code], "its papers")
