"""Summaries (SPEC 16): pages and totals on their way up, and those that lie."""

from typing import Any

from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, same
from tests.conformance.office import now
from tests.conformance.wire import bodies, rows
from tests.conformance.wire.strict import Json

BELOW = "below"


def row(child: Child, topic: str, **other: Any) -> Json:
    """The row of a topic of the child that was just opened."""
    end, opened = child.chain(topic), child.topics[topic].path()[0]
    body = opened.body
    return {
        "topic": topic, "head": end.head, "term": end.term, "seq": end.seq, "rev": 0, "number": body["number"],
        "origin": child.code, "custodian": child.code, "kind": body["kind"], "category": body["category"],
        "source": body["source"], "areas": body["areas"], "unit": body["unit"], "step": "collect",
        "status": "active", "outcome": None, "due_at": None, "answer_by": None, "tier_reached": child.tier,
        "hops": 0, "returns": 0, "reopened": 0, "suggested": 0, "followed": 0, "participations": 0, "rating": None,
        "opened_at": opened.payload["at"], "first_action_at": None, "closed_at": None, **other,
    }  # fmt: skip


def sealed(child: Child, kind: str, body: Json, seq: int = 0, parts: Any = ()) -> bytes:
    own = {"seq": seq, "kind": kind, "body": body, "parts": list(parts)}
    return child.sign({**child.shared(), **own}, bodies.SUMMARY)


def page(child: Child, *listed: Json, seq: int = 0) -> bytes:
    return sealed(child, "page", {"rows": list(listed)}, seq)


@check(BELOW, "16.1", "a page of the child is taken and goes up as it came")
def taken(stage: Stage) -> None:
    child, parent = stage.child, stage.parent
    raw = page(child, row(child, child.open()))
    good(child.say(raw))
    parent.until(lambda: any(each.raw == raw for each in parent.summaries), why="the page goes up")


@check(BELOW, "16.1", "a page whose rows have another custodian than its author is held")
def not_the_custodian(stage: Stage) -> None:
    child = stage.child
    raw = page(child, row(child, child.open(), custodian=stage.node))
    same(child.evil_say(raw).verdicts, [("held", "not-the-custodian")])


@check(BELOW, "16.1", "a page of a sibling that comes through the wrong child is held")
def not_below(stage: Stage) -> None:
    child, other = stage.child, stage.spare()
    raw = page(other, row(other, other.write("opened", other.opened()).id))
    same(child.evil_say(raw).verdicts, [("held", "not-below")])


@check(BELOW, "16.1", "a summary of an unknown kind is held and goes up as it came")
def unknown_kind(stage: Stage) -> None:
    child, parent = stage.child, stage.parent
    raw = sealed(child, "weighed", {"kilos": 3})
    same(child.evil_say(raw).verdicts, [("held", "unknown-kind")])
    parent.until(lambda: any(each.raw == raw for each in parent.summaries), why="it goes up")


@check(BELOW, "16.1", "a page in an incarnation nobody granted waits")
def unknown_incarnation(stage: Stage) -> None:
    child = stage.child
    own = {"seq": 0, "kind": "page", "body": {"rows": [row(child, child.open())]}, "parts": []}
    raw = child.sign({**child.shared(), **own, "inc": [2, "3" * 32]}, bodies.SUMMARY)
    same(child.evil_say(raw).verdicts, [("deferred", "unknown-key")])


BAD: dict[str, Any] = {
    "without rows": lambda child, one: [],
    "with two rows of one topic": lambda child, one: [one, {**one, "rev": 1}],
    "with a title in a row": lambda child, one: [{**one, "title": "x"}],
    "with a status of no meaning": lambda child, one: [{**one, "status": "lost"}],
}


def _bad(name: str, make: Any) -> None:
    @check(BELOW, "16.2", f"a page {name} is refused")
    def run(stage: Stage) -> None:
        child = stage.child
        raw = page(child, *make(child, row(child, child.open())))
        same(child.evil_say(raw).verdicts, [("refused", "invalid")])


for _name, _make in BAD.items():
    _bad(_name, _make)


@check(BELOW, "16.3", "a row that says otherwise than the chain is named as a difference, and the chain counts")
def lies(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    good(child.say(page(child, row(child, topic, status="closed", outcome="A", closed_at=now()))))
    shown = stage.operator.get("/aggregate?by=status")["differences"]
    mine = [each for each in shown if each["node"] == child.code]
    assert any(each["field"] == "status" and each["said"] == "closed" for each in mine), f"differences: {shown}"


@check(BELOW, "16.4", "totals of the child are taken")
def totals(stage: Stage) -> None:
    child = stage.child
    one = row(child, child.open())
    listed = bytes.fromhex(one["topic"] + rows.leaf(one))
    ref, part = child.part("rows", listed, media="application/octet-stream")
    child.parts[ref["digest"]] = part
    said = {
        "period": "2020-01", "rows": 1, "root": rows.root([rows.leaf(one)]), "open": 1, "closed": 0,
        "outcomes": [0, 0, 0, 0], "participations": 0,
    }  # fmt: skip
    good(child.say(sealed(child, "totals", said, 1, [ref])))


@check(BELOW, "16.2", "the node seals rows of its own topics for those above, and their heads are those of the chains")
def own_pages(stage: Stage) -> None:
    parent = stage.parent
    topic = stage.operator.open()["id"]

    def seen() -> Any:
        found = [each for page in parent.summaries if page.kind == "page" for each in page.body["rows"]]
        return [each for each in found if each["topic"] == topic]

    listed = parent.until(seen, 40, "a row of the new topic")
    end = parent.chain(topic)
    same((listed[0]["custodian"], listed[0]["head"], listed[0]["seq"]), (stage.node, end.head, end.seq))
