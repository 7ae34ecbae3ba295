"""Honest work between a child and its parent (SPEC 5, 6): the custody of topics up, down and back."""

from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, same
from tests.conformance.office import nonce
from tests.conformance.wire import strict
from tests.conformance.wire.statement import identity

BELOW = "below"
STEPS = ("decide", "research", "consult", "implement", "feedback")


def agree(stage: Stage, child: Child, topic: str) -> None:
    """Both report the same custodian, seq and head."""
    end = child.chain(topic)
    stage.operator.until(topic, custodian=end.custodian, seq=end.seq, head=end.head)


def delegated(stage: Stage, child: Child, **form: object) -> str:
    """A topic of the node, offered to the child, as the child has it."""
    topic = stage.operator.open()["id"]
    stage.operator.do(topic, "delegate", to=child.code, instruction="请办理", override_reason="检验", **form)
    child.settle()
    assert topic in child.topics, "the offer did not arrive"
    same(child.chain(topic).writer["node"], child.code, "who may answer")
    return str(topic)


def taken(stage: Stage, child: Child, **form: object) -> str:
    """One that the child has accepted."""
    topic = delegated(stage, child, **form)
    child.write("accepted", {"offer": child.chain(topic).head}, topic)
    good(child.exchange())
    return topic


def step(child: Child, topic: str, *names: str) -> None:
    for name in names:
        child.write("stepped", {"step": name, "text": "", "suggested": None, "override_reason": None}, topic)


@check(BELOW, "5.3", "a topic of the child is known to its keeper with the same head")
def opened(stage: Stage) -> None:
    topic = stage.child.open()
    agree(stage, stage.child, topic)
    same(stage.operator.topic(topic)["participants"], sorted([stage.node, stage.child.code]))


@check(BELOW, "5.3", "work of every kind by the custodian is taken")
def work(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    step(child, topic, "decide")
    child.write("noted", {"text": "现场看过"}, topic)
    child.write("attended", {"headcount": 12, "form": "院坝会", "held_at": None, "text": ""}, topic)
    child.write("amended", {"title": "新标题", "category": None, "areas": None, "reason": "更正"}, topic)
    good(child.exchange())
    agree(stage, child, topic)
    same(stage.operator.topic(topic)["title"], "新标题")


@check(BELOW, "5.5", "escalate, accept, report, accept, work and close: the topic comes home and ends")
def whole_life(stage: Stage) -> None:
    child, operator = stage.child, stage.operator
    topic = child.open()
    child.escalate(topic)
    operator.do(topic, "accept")
    child.settle()
    same(child.chain(topic).stack, (child.code, stage.node), "stack")
    agree(stage, child, topic)
    operator.do(topic, "report", text="已协调")
    child.settle()
    child.write("accepted", {"offer": child.chain(topic).head}, topic)
    step(child, topic, *STEPS)
    child.write("resulted", {"outcome": "A", "text": "办结"}, topic)
    child.write("closed", {"text": "", "children": []}, topic)
    good(child.exchange())
    agree(stage, child, topic)
    same(operator.topic(topic)["status"], "closed")


@check(BELOW, "5.3", "a closed topic is reopened by its home, and no other work is taken before")
def reopened(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    child.write("resulted", {"outcome": "B", "text": ""}, topic)
    child.write("closed", {"text": "", "children": []}, topic)
    good(child.exchange())
    late = child.draft("noted", {"text": "x"}, topic)
    same(child.evil_say(late).verdicts, [("held", "closed")])
    child.write("reopened", {"reason": "群众不满意"}, topic)
    good(child.exchange())
    agree(stage, child, topic)


@check(BELOW, "5.7", "a decline by the node comes down and the child resumes by embedding it")
def declined(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    offer = child.escalate(topic)
    stage.operator.do(topic, "decline", code="not_our_power", reason="属县级职权")
    child.settle()
    said = next(each for each in child.remarks.values() if each.payload["entry"] == offer)
    same((said.kind, said.author, said.body["code"]), ("declined", stage.node, "not_our_power"))
    child.write("resumed", {"offer": offer, "declined": strict.read(said.raw)}, topic)
    good(child.exchange())
    agree(stage, child, topic)
    same(stage.operator.topic(topic)["status"], "active")


@check(BELOW, "5.7", "a recall before a decision makes the node decline by itself")
def recalled(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    offer = child.escalate(topic)
    good(child.say(child.remark(topic, offer, "recalled", {"reason": "重复"})))
    child.settle()
    said = [each for each in child.remarks.values() if each.payload["entry"] == offer and each.kind == "declined"]
    same([each.body["code"] for each in said], ["recalled"])
    child.write("resumed", {"offer": offer, "declined": strict.read(said[0].raw)}, topic)
    good(child.exchange())
    agree(stage, child, topic)


@check(BELOW, "5.8", "a recall after the acceptance changes nothing")
def recalled_late(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    offer = child.escalate(topic)
    stage.operator.do(topic, "accept")
    good(child.say(child.remark(topic, offer, "recalled", {"reason": "重复"})))
    child.settle()
    same(child.chain(topic).custodian, stage.node)
    agree(stage, child, topic)


@check(BELOW, "5.7", "an offer whose time to answer has passed is declined by the node itself")
def expired(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    offer = child.write("offered", child.offered(stage.node, "escalate", answer_by="2026-01-01T00:00:00Z"), topic).id
    good(child.exchange())
    for _ in range(30):
        child.exchange(wait_s=2, lane="wait")
        if any(each.payload["entry"] == offer for each in child.remarks.values()):
            break
    said = [each.body["code"] for each in child.remarks.values() if each.payload["entry"] == offer]
    same(said, ["expired"])


@check(BELOW, "5.6", "an offer down brings the whole chain first, and its acceptance moves custody")
def delegate(stage: Stage) -> None:
    child = stage.child
    topic = taken(stage, child)
    same(child.chain(topic).stack, (stage.node, child.code), "stack")
    agree(stage, child, topic)


@check(BELOW, "5.5", "what was done below is reported up and taken back")
def report(stage: Stage) -> None:
    child = stage.child
    topic = taken(stage, child)
    child.write("resulted", {"outcome": "A", "text": "已修"}, topic)
    child.write("offered", child.offered(stage.node, "report"), topic)
    good(child.exchange())
    stage.operator.do(topic, "accept")
    child.settle()
    same(child.chain(topic).stack, (stage.node,), "stack")
    agree(stage, child, topic)


@check(BELOW, "5.5", "what was not done below is returned")
def returned(stage: Stage) -> None:
    child = stage.child
    topic = taken(stage, child)
    child.write("offered", child.offered(stage.node, "return"), topic)
    good(child.exchange())
    stage.operator.do(topic, "accept")
    child.settle()
    same(child.chain(topic).custodian, stage.node)
    agree(stage, child, topic)


@check(BELOW, "5.7", "the node resumes by itself, in the reply to the decline of its offer")
def resumes(stage: Stage) -> None:
    child = stage.child
    topic = delegated(stage, child)
    offer = child.chain(topic).head
    said = child.remark(topic, offer, "declined", {"code": "not_our_area", "reason": "不属我县"})
    good(child.say(said))
    child.settle()
    last = child.topics[topic].path()[-1]
    same((last.kind, last.author, last.body["offer"]), ("resumed", stage.node, offer))
    same(identity(strict.write(last.body["declined"])), identity(said), "the decline inside")


@check(BELOW, "5.8", "a decline for another offer decides nothing and is no offence")
def other_decline(stage: Stage) -> None:
    child = stage.child
    topic = delegated(stage, child)
    good(child.say(child.remark(topic, topic, "declined", {"code": "duplicate", "reason": ""})))
    child.write("accepted", {"offer": child.chain(topic).head}, topic)
    good(child.exchange())
    agree(stage, child, topic)


@check(BELOW, "5.7", "an operator's recall comes as a remark; the decline it asks for lets the node resume")
def node_recalls(stage: Stage) -> None:
    child = stage.child
    topic = delegated(stage, child)
    offer = child.chain(topic).head
    stage.operator.do(topic, "recall", reason="派错了")
    child.settle()
    kinds = [each.kind for each in child.remarks.values() if each.payload["entry"] == offer]
    same(kinds, ["recalled"])
    good(child.say(child.remark(topic, offer, "declined", {"code": "recalled", "reason": ""})))
    child.settle()
    same(child.topics[topic].path()[-1].kind, "resumed")


@check(BELOW, "5.8", "asked again for what it decided, the node gives the same bytes")
def decides_once(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    child.escalate(topic)
    stage.operator.do(topic, "accept")
    before = child.link.into.seq
    child.settle()
    first = child.topics[topic].path()[-1].raw
    again = child.exchange(ack=child.link.into.at(before))
    assert again.document is not None
    assert first in again.document.statements, "other bytes when fed again"


@check(BELOW, "5.7", "a split: portions are opened and offered, and end in the topic they were split from")
def split(stage: Stage) -> None:
    child, operator = stage.child, stage.operator
    whole = operator.open()["id"]
    portion = {"to": child.code, "role": "lead", "title": "分件", "instruction": "请办理", "due_at": None}
    operator.do(whole, "split", parts=[portion])
    child.settle()
    ours = [name for name, each in child.topics.items() if _parent_of(child, name) and each.end and each.end.offer]
    part = next(name for name in ours if (child.chain(name).offer or {}).get("to") == child.code)
    same(child.chain(part).depth, 1, "depth")
    child.write("accepted", {"offer": child.chain(part).head}, part)
    child.write("resulted", {"outcome": "A", "text": ""}, part)
    child.write("offered", child.offered(stage.node, "report"), part)
    good(child.exchange())
    operator.do(part, "accept")
    for name in STEPS[:4]:
        operator.do(part, "step", step=name, text="已办", override_reason="检验")
    operator.do(part, "step", step="feedback", text="已反馈")
    operator.do(part, "close", text="办结")
    ended = [each["kind"] for each in operator.get(f"/topics/{whole}/entries")["items"]]
    same(ended[-1], "child_closed", "the last entry above")


def _parent_of(child: Child, topic: str) -> bool:
    return child.topics[topic].path()[0].body["parent"] is not None


@check(BELOW, "5.3", "splitting of the child: its portions are children that hold the end of the topic up")
def child_splits(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    portion = {"to": stage.node, "role": "assist", "title": "协办", "instruction": "请办理", "due_at": None}
    made = child.write("split", {"portions": [portion]}, topic)
    good(child.exchange())
    held = child.draft("offered", child.offered(stage.node, "escalate"), topic)
    same(child.evil_say(held).verdicts, [("held", "children-open")])
    end = {"entry": made.id, "n": 0, "topic": "1" * 64, "head": "2" * 64, "outcome": None}
    child.write("detached", {"child": end, "reason": "合并办理"}, topic)
    child.write("resulted", {"outcome": "A", "text": ""}, topic)
    hidden = child.draft("closed", {"text": "", "children": []}, topic)
    good(child.exchange())
    same(child.evil_say(hidden).verdicts, [("held", "children-differ")])
    listed = [{"topic": "1" * 64, "head": "2" * 64, "detached": True}]
    child.write("closed", {"text": "", "children": listed}, topic)
    good(child.exchange())
    agree(stage, child, topic)


@check(BELOW, "6", "remarks of every kind by a participant are taken and shown")
def remarks(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    said = [child.remark(topic, topic, kind, {"text": kind}) for kind in ("urge", "comment", "cosign", "read")]
    said.append(child.remark(topic, topic, "rate", {"rating": "satisfied", "text": ""}))
    said.append(
        child.remark(topic, topic, "told", {"claim": nonce(), "head": topic, "seq": 0, "term": [0, 0, [0, ""], 0]})
    )
    good(child.say(*said))
    shown = {each["kind"] for each in stage.operator.get(f"/topics/{topic}/remarks")["items"]}
    assert {"urge", "comment", "cosign", "read", "rate"} <= shown, f"shown: {shown}"


@check(BELOW, "5.6", "a remark of the node comes down to the participants")
def remark_down(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    stage.operator.do(topic, "remark", kind="urge", text="请抓紧")
    child.settle()
    same([each.body["text"] for each in child.remarks.values() if each.payload["topic"] == topic], ["请抓紧"])


@check(BELOW, "5.6", "an unknown kind beside a chain is relayed as it came to participants further up")
def relayed(stage: Stage) -> None:
    child, operator, parent = stage.child, stage.operator, stage.parent
    topic = child.open()
    child.escalate(topic)
    operator.do(topic, "accept")
    operator.do(topic, "escalate", reason="需省级", tried="x", override_reason="检验")
    parent.until(lambda: topic in parent.topics and parent.chain(topic).offer, why="the node escalates")
    child.settle()
    later = child.remark(topic, topic, "weighed", {"kilos": [1, 2]})
    parent.evil.add(identity(later))
    same(child.evil_say(later).verdicts, [("held", "unknown-kind")])
    parent.until(lambda: identity(later) in parent.parked, why="the remark is relayed")
    same(parent.parked[identity(later)][0], later, "as it came")


@check(BELOW, "5.6", "a topic that goes on upwards brings its whole history to the next tier, as it was signed")
def upwards(stage: Stage) -> None:
    child, operator, parent = stage.child, stage.operator, stage.parent
    topic = child.open()
    child.write("noted", {"text": "县级意见"}, topic)
    good(child.say(child.remark(topic, topic, "comment", {"text": "附议"})))
    child.escalate(topic)
    operator.do(topic, "accept")
    operator.do(topic, "escalate", reason="需省级", tried="x", override_reason="检验")
    parent.until(lambda: topic in parent.topics and parent.chain(topic).offer, why="the node escalates")
    child.settle()
    same(parent.chain(topic).participants, frozenset({child.code, stage.node, parent.code}))
    theirs, ours = ([each.raw for each in office.topics[topic].path()] for office in (parent, child))
    same(theirs, ours, "the chain above")
    assert any(each.payload["topic"] == topic for each in parent.remarks.values()), "the remark did not come along"
    with parent.changed:
        parent.write("accepted", {"offer": parent.chain(topic).head}, topic)
        parent.changed.notify_all()
    operator.until(topic, custodian=parent.code)
    child.settle()
    same(child.chain(topic).stack, (child.code, stage.node, parent.code), "the stack below")


@check(BELOW, "8.4", "everything the node sent to this child was right by the reference fold")
def no_faults(stage: Stage) -> None:
    same(stage.child.faults, [])
