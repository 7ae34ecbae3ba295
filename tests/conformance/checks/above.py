"""The node under test as a child: what it says to an honest parent, and what it does with what that says."""

from typing import Any

from tests.conformance.child import MEDIA
from tests.conformance.kit import Stage, check, same
from tests.conformance.office import Part, now
from tests.conformance.parent import Parent
from tests.conformance.talk import CHUNK_BYTES
from tests.conformance.wire import bodies, strict
from tests.conformance.wire.document import Document
from tests.conformance.wire.statement import identity

ABOVE = "above"


def said(parent: Parent, kind: str, body: Any, topic: str | None = None, **other: Any) -> str:
    """One more entry of the parent, on its way to the node."""
    with parent.changed:
        made = parent.write(kind, body, topic, **other).id
        parent.changed.notify_all()
    return made


def remarked(parent: Parent, topic: str, entry: str, kind: str, body: Any) -> bytes:
    with parent.changed:
        raw = parent.remark(topic, entry, kind, body)
        parent.utter(raw)
        parent.changed.notify_all()
    return raw


def escalated(stage: Stage) -> str:
    """A topic of the node that it offers to the parent."""
    topic = stage.operator.open()["id"]
    stage.operator.do(topic, "escalate", reason="需省级", tried="已协商", override_reason="检验")
    stage.parent.until(lambda: topic in stage.parent.topics and stage.parent.chain(topic).offer, why="the offer")
    return str(topic)


def delegated(stage: Stage, **other: Any) -> str:
    """A topic of the parent that it offers to the node."""
    parent = stage.parent
    topic = said(parent, "opened", parent.opened())
    said(parent, "offered", parent.offered(stage.node, "delegate", **other), topic)
    stage.operator.until(topic, status="offered")
    return topic


def declines(parent: Parent, topic: str) -> list[str]:
    return [
        each.body["code"]
        for each in parent.remarks.values()
        if each.payload["topic"] == topic and each.kind == "declined"
    ]


@check(ABOVE, "8.3", "every document of the node is good by the reference reader")
def documents(stage: Stage) -> None:
    stage.parent.next_request(2)
    same([fault for fault in stage.parent.faults if "document" in fault], [])


@check(ABOVE, "8.1", "both lanes call, each in its own session, with a fresh nonce every time")
def lanes(stage: Stage) -> None:
    parent = stage.parent
    stage.operator.open()
    parent.until(lambda: {each.header["lane"] for each in parent.requests} == {"wait", "push"}, 40, "both lanes")
    sessions = {(each.header["lane"], each.header["session"]) for each in parent.requests}
    same(len({session for _, session in sessions}), len(sessions), "sessions that serve one lane")
    nonces = [each.header["nonce"] for each in parent.requests]
    same(len(set(nonces)), len(nonces), "nonces")


@check(ABOVE, "8.3", "a request gives no challenge, names its instance and keeps within the budgets")
def headers(stage: Stage) -> None:
    for each in stage.parent.requests:
        header = each.header
        same((header["challenge"], header["checkpoint"]), (None, None))
        assert header["instance"], "no instance"
        assert header["budget"]["items"] <= 2500 and header["budget"]["bytes"] <= 4194304, "a budget above the ceiling"
        same(header["first"] > 0, bool(each.statements), "first")
        assert header["lane"] == "wait" or header["budget"]["wait_s"] == 0, "patience on the push lane"


@check(ABOVE, "8.2", "the stream of the node has no gap and every statement is right by the reference fold")
def stream(stage: Stage) -> None:
    stage.operator.open()
    stage.parent.next_request(2)
    same([fault for fault in stage.parent.faults if "statement" in fault or "position" in fault], [])


@check(ABOVE, "5.3", "a topic opened at the node comes up with its keeper and arbiters")
def opened(stage: Stage) -> None:
    topic = stage.operator.open(areas=[stage.node])["id"]
    stage.parent.until(lambda: topic in stage.parent.topics, why="the topic comes up")
    end = stage.parent.chain(topic)
    same((end.origin, end.keeper, end.custodian), (stage.node, stage.parent.code, stage.node))


@check(ABOVE, "4", "its text is sent along, whole and under its salt; who raised it is not")
def text(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open(text="地下室积水" * 30, submitter="李某 138")["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    refs = {ref["name"]: ref for ref in parent.topics[topic].path()[0].payload["parts"]}
    part = parent.until(lambda: parent.parts.get(refs["text"]["digest"]), why="its text comes")
    parent.until(lambda: part.whole, why="all of its text")
    same(bytes(part.data).decode(), "地下室积水" * 30)
    assert refs["submitter"]["digest"] not in parent.parts, "the submitter came"


@check(ABOVE, "5.5", "escalate, accept above, report, accept below: the topic comes home")
def whole_way(stage: Stage) -> None:
    parent = stage.parent
    topic = escalated(stage)
    said(parent, "accepted", {"offer": parent.chain(topic).head}, topic)
    stage.operator.until(topic, custodian=parent.code)
    said(parent, "resulted", {"outcome": "A", "text": "省级协调"}, topic)
    said(parent, "offered", parent.offered(stage.node, "report"), topic)
    stage.operator.until(topic, status="offered")
    stage.operator.do(topic, "accept")
    parent.until(lambda: parent.chain(topic).stack == (stage.node,), why="it is taken back")


@check(ABOVE, "5.7", "a decline above makes the node resume by itself")
def declined(stage: Stage) -> None:
    parent = stage.parent
    topic = escalated(stage)
    offer = parent.chain(topic).head
    raw = remarked(parent, topic, offer, "declined", {"code": "incomplete", "reason": "材料不全"})
    parent.until(lambda: parent.chain(topic).offer is None, why="the node resumes")
    last = parent.topics[topic].path()[-1]
    same(
        (last.kind, last.author, identity(strict.write(last.body["declined"]))), ("resumed", stage.node, identity(raw))
    )


@check(ABOVE, "5.5", "delegate, accept below: the node becomes custodian")
def delegate(stage: Stage) -> None:
    topic = delegated(stage)
    stage.operator.do(topic, "accept")
    stage.parent.until(lambda: stage.parent.chain(topic).custodian == stage.node, why="the acceptance")


@check(ABOVE, "5.5", "what it could not do the node returns")
def returned(stage: Stage) -> None:
    topic = delegated(stage)
    stage.operator.do(topic, "accept")
    stage.operator.do(topic, "return", reason="无权办理")
    stage.parent.until(lambda: (stage.parent.chain(topic).offer or {}).get("mode") == "return", why="the return")
    same(stage.parent.chain(topic).offer["to"], stage.parent.code)


@check(ABOVE, "5.7", "recalled before it decided, the node declines by itself")
def recalled(stage: Stage) -> None:
    parent = stage.parent
    topic = delegated(stage)
    remarked(parent, topic, parent.chain(topic).head, "recalled", {"reason": "改派"})
    parent.until(lambda: declines(parent, topic) == ["recalled"], why="its decline")


@check(ABOVE, "5.7", "recalled after it accepted, the node does nothing")
def recalled_late(stage: Stage) -> None:
    parent = stage.parent
    topic = delegated(stage)
    offer = parent.chain(topic).head
    stage.operator.do(topic, "accept")
    parent.until(lambda: parent.chain(topic).custodian == stage.node, why="the acceptance")
    remarked(parent, topic, offer, "recalled", {"reason": "改派"})
    parent.next_request(3)
    same((declines(parent, topic), parent.chain(topic).custodian), ([], stage.node))


@check(ABOVE, "5.7", "an offer whose time to answer has passed is declined by the node: expired")
def expired(stage: Stage) -> None:
    parent = stage.parent
    topic = said(parent, "opened", parent.opened())
    said(parent, "offered", parent.offered(stage.node, "delegate", answer_by=now(-60)), topic)
    parent.until(lambda: declines(parent, topic) == ["expired"], 60, "its decline")


@check(ABOVE, "5.8", "a person's decline goes up and the offer ends when the parent resumes")
def persons_decline(stage: Stage) -> None:
    parent = stage.parent
    topic = delegated(stage)
    stage.operator.do(topic, "decline", code="not_our_area", reason="不属本市")
    parent.until(lambda: declines(parent, topic) == ["not_our_area"], why="its decline")
    found = next(each for each in parent.remarks.values() if each.payload["topic"] == topic)
    said(parent, "resumed", {"offer": found.payload["entry"], "declined": strict.read(found.raw)}, topic)
    stage.operator.until(topic, status="active", custodian=parent.code)


@check(ABOVE, "5.7", "a split above: its portion is worked on here and reported back")
def split(stage: Stage) -> None:
    parent = stage.parent
    whole = said(parent, "opened", parent.opened("跨市治理"))
    portion = {"to": stage.node, "role": "lead", "title": "本市部分", "instruction": "请办理", "due_at": None}
    made = said(parent, "split", {"portions": [portion]}, whole)
    part = said(parent, "opened", parent.opened("本市部分", kind="lead", parent={"entry": made, "n": 0}, depth=1))
    said(parent, "offered", parent.offered(stage.node, "delegate"), part)
    stage.operator.until(part, status="offered")
    stage.operator.do(part, "accept")
    parent.until(lambda: parent.chain(part).custodian == stage.node, why="the acceptance")


@check(ABOVE, "6", "remarks from above are shown, and those of the node come up")
def remarks(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open()["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    remarked(parent, topic, topic, "urge", {"text": "请抓紧"})
    stage.operator.do(topic, "remark", kind="comment", text="已知悉")
    parent.until(lambda: any(r.kind == "comment" and r.payload["topic"] == topic for r in parent.remarks.values()))
    parent.next_request(2)
    assert "urge" in {each["kind"] for each in stage.operator.get(f"/topics/{topic}/remarks")["items"]}


@check(ABOVE, "7.4", "an unknown kind in the registry is held, and what comes after it is taken")
def unknown_registry(stage: Stage) -> None:
    parent = stage.parent
    with parent.changed:
        own = {"seq": 7, "prev": "0" * 64, "kind": "weighed", "body": {}, "parts": []}
        raw = parent.sign({**parent.shared(), **own}, bodies.REGISTER)
        parent.tell(raw)
    found = verdict(parent, raw)
    same((found["disposition"], found["code"]), ("deferred", "gap"))


def verdict(parent: Parent, raw: bytes) -> Any:
    """What the node says became of this line."""
    id = identity(raw)

    def said_of() -> Any:
        return next((each for one in parent.requests for each in one.of("verdict") if each["id"] == id), None)

    return parent.until(said_of, why="a verdict")


@check(ABOVE, "8.4", "a part of a parent's topic is pulled, and resumed at the offset where it stopped")
def pulls(stage: Stage) -> None:
    parent = stage.parent
    content = ("长文" * 60000).encode()
    ref, part = parent.part("text", content)
    topic = said(parent, "opened", parent.opened(), parts=[ref])
    said(parent, "offered", parent.offered(stage.node, "delegate"), topic)
    parent.until(lambda: _pulled(parent, ref["digest"]) == [0], why="it is pulled")
    parent.parts[ref["digest"]] = part
    parent.until(lambda: _pulled(parent, ref["digest"])[-1] >= 3 * CHUNK_BYTES, 40, "it is resumed")
    asked = _pulled(parent, ref["digest"])
    same(asked[:4], [0, CHUNK_BYTES, 2 * CHUNK_BYTES, 3 * CHUNK_BYTES], "offsets pulled")
    stage.operator.until(topic, 40, text="长文" * 60000)


def _pulled(parent: Parent, digest: str) -> list[int]:
    found = [pull["offset"] for each in parent.requests for pull in each.of("pull") if pull["digest"] == digest]
    return sorted(set(found))


@check(ABOVE, "8.4", "content that does not fit is forgotten and pulled from the start again")
def wrong_content(stage: Stage) -> None:
    parent = stage.parent
    ref, part = parent.part("text", b"x" * 500)
    parent.parts[ref["digest"]] = Part(500, part.salt, bytearray(500))
    topic = said(parent, "opened", parent.opened(), parts=[ref])
    said(parent, "offered", parent.offered(stage.node, "delegate"), topic)
    asked = [0]

    def again() -> bool:
        asked[0] = sum(pull["digest"] == ref["digest"] for each in parent.requests for pull in each.of("pull"))
        return asked[0] >= 2

    parent.until(again, 40, "it is pulled again")
    parent.parts[ref["digest"]] = part
    stage.operator.until(topic, text="x" * 500)


@check(ABOVE, "4", "a pull of what is local gives nothing")
def local(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open(submitter="王某")["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    digest = next(p["digest"] for p in parent.topics[topic].path()[0].payload["parts"] if p["name"] == "submitter")
    with parent.changed:
        parent.owed.setdefault(stage.node, []).append(strict.write({"pull": {"digest": digest, "offset": 0}}))
        parent.changed.notify_all()
    parent.next_request(4)
    assert digest not in parent.parts, "it was sent"


@check(ABOVE, "8.2", "a parent that has less than it acknowledged is fed again, in the same bytes")
def fed_again(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open()["id"]
    parent.until(lambda: topic in parent.topics, why="the topic comes up")
    link = parent.links[stage.node]
    lower = link.into.seq - 1
    found: list[bytes] = []
    told: list[int] = []

    def forgets(asked: Document) -> Any:
        if told and asked.header["first"] == lower + 1:
            found.extend(asked.statements[:1])
        if found or not parent.uses(link, asked.header):
            return None
        told.append(lower)
        return 200, MEDIA, parent.compose(asked, ack=link.into.at(lower))

    with parent.changed:
        parent.script = forgets
        parent.changed.notify_all()
    try:
        parent.until(lambda: found, 40, "it is sent again")
    finally:
        parent.script = None
    assert found[0] in [*parent.store.values(), *(each.raw for each in parent.summaries)], "other bytes"


@check(ABOVE, "15.4", "the node's log is offered to its parent, which can sign it, and its receipts can be settled")
def log_offered(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open()["id"]
    parent.until(lambda: parent.signed, 40, "a checkpoint to sign")
    parent.until(lambda: stage.operator.topic(topic)["durability"] == "settled", 40, "it is settled")
    same([fault for fault in parent.faults if "checkpoint" in fault or "roots" in fault], [])


@check(ABOVE, "7.4", "a code list published above is taken and its content pulled")
def published(stage: Stage) -> None:
    parent = stage.parent
    rows = "day,kind,name\n2031-01-01,holiday,元旦\n".encode()
    ref, part = parent.part("content", rows, media="text/csv")
    parent.parts[ref["digest"]] = part
    with parent.changed:
        seq, prev = parent.roster.heads[(parent.code, *parent.inc)]
        own = {
            "seq": seq + 1,
            "prev": prev,
            "kind": "published",
            "body": {"list": "calendar", "version": 1},
            "parts": [ref],
        }
        parent.utter(parent.sign({**parent.shared(), **own}, bodies.REGISTER))
        parent.changed.notify_all()
    parent.until(lambda: _pulled(parent, ref["digest"]), why="it is pulled")
    same([fault for fault in parent.faults if "ack" in fault], [])
