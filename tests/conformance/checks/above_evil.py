"""The node under test as the child of a parent that lies, forges, repeats and forgets."""

from collections.abc import Callable
from typing import Any

from tests.conformance.checks.above import delegated, said, verdict
from tests.conformance.checks.statements import flipped
from tests.conformance.child import MEDIA
from tests.conformance.kit import Stage, check, refused, same
from tests.conformance.office import nonce
from tests.conformance.parent import Parent, problem
from tests.conformance.wire import bodies, sets, strict
from tests.conformance.wire.document import Document, loose
from tests.conformance.wire.jose import Key, b64
from tests.conformance.wire.shapes import NONE
from tests.conformance.wire.statement import identity

ABOVE, ALONE = "above", "alone"
Make = Callable[[Parent, Document, bytes], tuple[int, str, bytes]]


def sealed(status: int = 200, **head: Any) -> Make:
    def make(parent: Parent, asked: Document, line: bytes) -> tuple[int, str, bytes]:
        first = parent.links[asked.header["from"]].out.seq + 1
        return status, MEDIA, parent.compose(asked, [line], **{"first": first, **head})

    return make


def bytes_of(change: Callable[[bytes], bytes]) -> Make:
    def make(parent: Parent, asked: Document, line: bytes) -> tuple[int, str, bytes]:
        status, media, raw = sealed()(parent, asked, line)
        return status, media, change(raw)

    return make


NO_ANSWER: dict[str, Make] = {
    "to another nonce": sealed(nonce="0" * 32),
    "of another session": sealed(session="0" * 32),
    "for another node": sealed(to="999999"),
    "sealed under another key": sealed(key=Key.new()),
    "whose seal has another nonce": sealed(seal={"nonce": "0" * 32}),
    "whose seal has another digest": sealed(seal={"digest": "0" * 64}),
    "in an incarnation nobody granted": sealed(inc=[2, "0" * 32]),
    "on the lane of bundles": sealed(lane="file"),
    "with an unknown field": sealed(extra=1),
    "cut in half": bytes_of(lambda raw: raw[: len(raw) // 2]),
    "without its last line feed": bytes_of(lambda raw: raw[:-1]),
    "with a byte changed": bytes_of(lambda raw: raw.replace(b'"budget"', b'"bugdet"')),
    "with a line of garbage": bytes_of(lambda raw: b"\x00\n" + raw),
    "with a key twice": bytes_of(lambda raw: raw.replace(b'{"ack"', b'{"v":1,"ack"', 1)),
    "of another media type and form": lambda parent, asked, line: (200, "text/html", b"<html>"),
    "that is nothing": lambda parent, asked, line: (200, MEDIA, b""),
    "of status 500": lambda parent, asked, line: (500, "text/plain", b"oops"),
    "of status 503": lambda parent, asked, line: problem(503, "busy"),
    "of status 400": lambda parent, asked, line: problem(400, "malformed"),
    "of status 307 to elsewhere": lambda parent, asked, line: (307, "text/plain", b""),
    "that repeats its own request": lambda parent, asked, line: (200, MEDIA, parent.recorded[-1]),
    "that was given before": lambda parent, asked, line: (200, MEDIA, parent.given[0]),
}


def _no_answer(name: str, make: Make) -> None:
    @check(ABOVE, "8.4", f"a reply {name} is no answer: nothing of it is taken, and the node tries again")
    def run(stage: Stage) -> None:
        parent = stage.parent
        line = parent.draft("opened", parent.opened("伪造"))
        shown: list[str] = []

        def once(asked: Document) -> Any:
            if shown:
                return None
            shown.append(asked.header["nonce"])
            return make(parent, asked, line)

        with parent.changed:
            parent.script = once
        try:
            parent.until(lambda: shown, why="a request")
            stage.operator.open()
            later = parent.next_request(2, lambda each: each.header["nonce"] not in shown)
        finally:
            parent.script = None
        ack, ours = later.header["ack"], parent.links[stage.node].out
        assert ack["seq"] <= ours.seq, "it took the forged line"
        same(ack, ours.at(ack["seq"]), "what it has of our stream")


for _name, _make in NO_ANSWER.items():
    _no_answer(_name, _make)


@check(ABOVE, "8.1", "challenged, the node repeats at once with what it had to say")
def challenged(stage: Stage) -> None:
    parent = stage.parent
    given: list[str] = []

    def challenge(asked: Document) -> Any:
        if given or asked.header["lane"] != "push":
            return None
        raw = parent.compose(asked)
        given.append(parent.open_challenges[stage.node][-1][1])
        return 428, MEDIA, raw

    with parent.changed:
        parent.script = challenge
    try:
        stage.operator.open()
        parent.until(lambda: given, why="a request")
        parent.until(lambda: any(each.header["answers"] in given for each in parent.requests), why="its repetition")
    finally:
        parent.script = None


@check(ABOVE, "8.4", "statements that leave a gap in the parent's stream are ignored")
def gap(stage: Stage) -> None:
    parent = stage.parent
    line, done = parent.draft("opened", parent.opened("跳过")), []

    def skips(asked: Document) -> Any:
        if done or not parent.uses(parent.links[stage.node], asked.header):
            return None
        done.append(1)
        first = parent.links[stage.node].out.seq + 2
        return 200, MEDIA, parent.compose(asked, [line], first=first)

    with parent.changed:
        parent.script = skips
    try:
        parent.until(lambda: done, why="a request")
        assert parent.next_request(3).header["ack"]["seq"] <= parent.links[stage.node].out.seq, "it took a later line"
    finally:
        parent.script = None


def _told(parent: Parent, raw: bytes) -> tuple[str, str | None]:
    parent.tell(raw)
    found = verdict(parent, raw)
    return found["disposition"], found["code"]


WRONG: dict[str, tuple[str, Callable[[Stage, Parent], bytes], tuple[str, str]]] = {
    "with a signature changed": (
        "3.4", lambda stage, parent: flipped(parent.draft("opened", parent.opened())), ("held", "bad-signature"),
    ),
    "in the name of the node": (
        "3.4", lambda stage, parent: parent.draft("opened", parent.opened(), author=stage.node),
        ("held", "forged-author"),
    ),
    "of an unknown kind": (
        "3.6", lambda stage, parent: parent.draft("weighed", {}), ("held", "unknown-kind"),
    ),
    "that writes in a topic of the node": (
        "5.3", lambda stage, parent: _in_theirs(stage, parent, "noted", {"text": "x"}), ("held", "not-the-writer"),
    ),
    "that accepts what the node did not offer": (
        "5.3", lambda stage, parent: _in_theirs(stage, parent, "accepted", {"offer": "0" * 64}),
        ("held", "no-such-offer"),
    ),
    "that is a summary from above": (
        "16.1", lambda stage, parent: parent.sign(
            {**parent.shared(), "seq": 0, "kind": "weighed", "body": {}, "parts": []}, bodies.SUMMARY
        ), ("held", "not-below"),
    ),
    "that is no JWS": ("3.1", lambda stage, parent: b'{"payload":"e30"}', ("refused", "malformed")),
}  # fmt: skip


def _in_theirs(stage: Stage, parent: Parent, kind: str, body: Any) -> bytes:
    topic = stage.operator.open()["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    return parent.draft(kind, body, topic)


def _wrong(name: str, case: tuple[str, Callable[[Stage, Parent], bytes], tuple[str, str]]) -> None:
    section, make, wanted = case

    @check(ABOVE, section, f"a statement from above {name} is {' '.join(wanted)}, and the link goes on")
    def run(stage: Stage) -> None:
        same(_told(stage.parent, make(stage, stage.parent)), wanted)
        delegated(stage)


for _name, _case in WRONG.items():
    _wrong(_name, _case)


@check(ABOVE, "14.3", "a parent that compares is answered until the sets are equal")
def compares(stage: Stage) -> None:
    parent = stage.parent
    with parent.changed:
        parent.equal.discard(stage.node)
        parent.comparing.add(stage.node)
        parent.changed.notify_all()
    parent.until(lambda: stage.node in parent.equal, 60, "equal sets")
    same([fault for fault in parent.faults if "part" in fault], [])


@check(ABOVE, "14.3", "a statement outside the stream is taken, and the next one builds on it")
def outside(stage: Stage) -> None:
    parent = stage.parent
    topic = delegated(stage)
    with parent.changed:
        offer = parent.chain(topic).head
        raw = parent.remark(topic, offer, "comment", {"text": "流外"})
        parent.apply(raw)
        parent.owed.setdefault(stage.node, []).append(loose("old", strict.read(raw)))
        parent.changed.notify_all()
    parent.next_request(3)
    texts = [str(each.get("body")) for each in stage.operator.get(f"/topics/{topic}/remarks")["items"]]
    assert any("流外" in each for each in texts), texts


# ---- with a node that is used up ----------------------------------------------------------------------------------


@check(ALONE, "14", "a parent that knows more ends the incarnation: compared, granted, claimed back, working again")
def knows_more(stage: Stage) -> None:
    alone = stage.fresh()
    parent, node = alone.parent, alone.node
    topic = alone.operator.open()["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    link, before = parent.links[node], parent.roster.live(node)
    lied: list[int] = []

    def lie(asked: Document) -> Any:
        if asked.header["inc"] == NONE or not parent.uses(link, asked.header):
            return None
        lied.append(1)
        more = {**link.into.ack, "seq": link.into.seq + 5, "hash": "5" * 64}
        return 200, MEDIA, parent.compose(asked, ack=more)

    with parent.changed:
        parent.script, parent.grants = lie, False
        parent.changed.notify_all()
    alone.operator.get("/node")
    found = parent.until(
        lambda: next((each for each in parent.requests if each.header["inc"] == NONE), None), 60, "it heals"
    )
    parent.script = None
    same(found.statements, [], "statements without an incarnation")
    heal = parent.until(lambda: next((h for each in parent.requests for h in each.of("heal") if h["ready"]), None), 60)
    same((heal["number"], len(heal["nonce"])), (before[0], 32))
    assert heal["nonce"] != before[1], "the nonce of the incarnation before"
    same(alone.operator.get("/node")["mode"], "healing")
    _another_nonce(parent, node, alone)
    parent.grants = True
    parent.until(lambda: parent.roster.live(node)[1] == heal["nonce"], 60, "the grant")
    new = parent.roster.live(node)
    parent.until(lambda: parent.requests[-1].header["inc"] == new, 60, "it lives in the new incarnation")
    _claim_back(alone, topic)


def _another_nonce(parent: Parent, node: str, alone: Stage) -> None:
    """A grant for another restore is not taken."""
    with parent.changed:
        number = parent.roster.live(node)[0] + 1
        body = {"node": node, "inc": [number, nonce()], "key": parent.kid(node), "closed": None, "log": None}
        parent.register("granted", body)
        parent.changed.notify_all()
    last = parent.next_request(3)
    same(last.header["inc"], NONE, "its incarnation after a grant for another nonce")


def _claim_back(alone: Stage, topic: str) -> None:
    parent, node = alone.parent, alone.node
    said(parent, "claimed", {"reason": "恢复后归还", "approved_by": []}, topic)
    said(parent, "offered", parent.offered(node, "rehome"), topic)
    parent.until(lambda: parent.chain(topic).custodian == node and parent.chain(topic).offer is None, 60, "it accepts")
    end = parent.chain(topic)
    same((end.stack, end.inc, end.term[0]), ((node,), parent.roster.live(node), 1))
    later = alone.operator.open("新生之后")["id"]
    parent.until(lambda: later in parent.topics, 60, "it works again")
    same([fault for fault in parent.faults if "statement" in fault], [])


@check(ALONE, "8.2", "a parent whose ack has another hash is not served any more, and the node works on alone")
def other_hash(stage: Stage) -> None:
    alone = stage.fresh()
    parent, node = alone.parent, alone.node
    topic = alone.operator.open()["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    link = parent.links[node]
    line = parent.draft("opened", parent.opened("不该收下"))

    def lie(asked: Document) -> Any:
        if not parent.uses(link, asked.header):
            return None
        return (
            200,
            MEDIA,
            parent.compose(asked, [line], ack={**link.into.ack, "hash": "0" * 64}, first=link.out.seq + 1),
        )

    with parent.changed:
        parent.script = lie
        parent.changed.notify_all()
    for _ in range(100):
        if alone.operator.links()[parent.code]["state"] == "stopped":
            break
        alone.operator.open()
    same(alone.operator.links()[parent.code]["state"], "stopped")
    assert identity(line) not in [each["id"] for each in alone.operator.get("/topics")["items"]], "applied all the same"
    same(alone.operator.get("/node")["mode"], "ready")


@check(ALONE, "14.4", "a root whose child knows more heals, grants itself when its neighbours answered, and goes on")
def root_heals(stage: Stage) -> None:
    alone = stage.fresh(True)
    child, liar = alone.child, alone.spare()
    child.settle()
    before = child.roster.live(child.parent)
    topic = child.open()
    more = {**liar.link.into.ack, "seq": liar.link.into.seq + 3, "hash": "1" * 64}
    liar.exchange(ack=more)
    for _ in range(20):
        for each in (liar, child):
            each.exchange([loose("have", sets.have(each.shared_with(each.parent)))])
        if child.roster.live(child.parent) != before:
            break
    new = child.roster.live(child.parent)
    same(new[0], before[0] + 1, "the number it granted itself")
    entry = next(each for each in child.roster.entries.values() if each.kind == "granted")
    same((entry.author, entry.inc, entry.payload["seq"]), (child.parent, new, 0))
    same((topic in child.topics, child.faults), (True, []))
    refused(liar.post(liar.compose()))


@check(ALONE, "5.6", "past a tier: the skipped node has the whole chain and relays, and custody moves between the ends")
def past_a_tier(stage: Stage) -> None:
    alone = stage.fresh(True)
    city, operator = alone.child, alone.operator
    key, inc = Key.new(), [1, nonce()]
    card = {**city.card, "code": "620102", "tier": "county", "name": "县", "key": b64(key.public)}
    city.register("enrolled", {"node": card, "inc": inc})
    city.settle()
    topic = operator.open()["id"]
    operator.do(topic, "delegate", to="620102", instruction="请办理", override_reason="检验")
    city.settle()
    same(city.chain(topic).participants, frozenset({city.parent, city.code, "620102"}))
    end = city.chain(topic)
    own = {"v": 1, "author": "620102", "inc": inc, "at": "2026-05-01T00:00:00Z"}
    place = {"topic": topic, "seq": end.seq + 1, "prev": end.head, "term": [*end.term[:3], 1]}
    payload = {**own, **place, "kind": "accepted", "body": {"offer": end.head}, "parts": []}
    city.take(strict.write(key.jws(payload, bodies.ENTRY)), "620102")
    city.settle()
    found = operator.until(topic, custodian="620102")
    same((found["seq"], city.chain(topic).stack), (end.seq + 1, (city.parent, "620102")))
