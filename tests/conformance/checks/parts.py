"""Parts (SPEC 4, 8.4): what is shared, in which pieces, and what never leaves."""

from tests.conformance.checks.flows import delegated
from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, same
from tests.conformance.office import Part, nonce
from tests.conformance.wire.document import loose
from tests.conformance.wire.jose import b64
from tests.conformance.wire.strict import Json

BELOW = "below"
TEXT = "滨河路东段十二盏路灯不亮。" * 40


def piece(ref: Json, part: Part, start: int, end: int, **other: object) -> bytes:
    data = b64(bytes(part.data[start:end]))
    own = {"digest": ref["digest"], "salt": part.salt, "size": part.size, "offset": start, "data": data}
    return loose("chunk", {**own, **other})


def with_text(child: Child, content: str = TEXT, share: str = "full") -> tuple[str, Json, Part]:
    """A topic of the child whose text has not been sent."""
    ref, part = child.part("text", content.encode(), share)
    topic = child.write("opened", child.opened(), parts=[ref]).id
    good(child.exchange())
    return topic, ref, part


def pulled(child: Child) -> dict[str, int]:
    """What the node asks for now."""
    return {pull["digest"]: pull["offset"] for pull in child.exchange().of("pull")}


@check(BELOW, "8.4", "a full part that has not come is pulled, again and again")
def is_pulled(stage: Stage) -> None:
    _, ref, _ = with_text(stage.child)
    same([pulled(stage.child).get(ref["digest"]) for _ in range(2)], [0, 0])


@check(BELOW, "8.4", "a part in three pieces is resumed where it stopped and shown when whole")
def in_pieces(stage: Stage) -> None:
    child = stage.child
    topic, ref, part = with_text(child)
    third = part.size // 3
    good(child.exchange([piece(ref, part, 0, third)]))
    same(pulled(child).get(ref["digest"]), third, "pulled from")
    good(child.exchange([piece(ref, part, third - 7, 2 * third)]))
    same(pulled(child).get(ref["digest"]), 2 * third, "pulled from, after a piece that overlaps")
    good(child.exchange([piece(ref, part, 2 * third, part.size)]))
    same(pulled(child).get(ref["digest"]), None, "pulled when whole")
    same(stage.operator.topic(topic)["text"], TEXT)


@check(BELOW, "8.4", "pieces that leave a gap are not kept")
def gap(stage: Stage) -> None:
    _, ref, part = with_text(stage.child)
    good(stage.child.exchange([piece(ref, part, 100, part.size)]))
    same(pulled(stage.child).get(ref["digest"]), 0)


@check(BELOW, "8.4", "pieces of another size are not kept")
def other_size(stage: Stage) -> None:
    _, ref, part = with_text(stage.child)
    good(stage.child.exchange([piece(ref, part, 0, part.size, size=part.size + 1)]))
    same(pulled(stage.child).get(ref["digest"]), 0)


@check(BELOW, "8.4", "content that does not fit its digest is forgotten and asked for again")
def wrong_content(stage: Stage) -> None:
    child = stage.child
    topic, ref, part = with_text(child)
    lie = Part(part.size, part.salt, bytearray(part.size))
    good(child.exchange([piece(ref, lie, 0, part.size)]))
    same((pulled(child).get(ref["digest"]), stage.operator.topic(topic)["text"]), (0, None))
    good(child.exchange([piece(ref, part, 0, part.size)]))
    same(stage.operator.topic(topic)["text"], TEXT)


@check(BELOW, "8.4", "content under another salt is not what was referenced")
def wrong_salt(stage: Stage) -> None:
    child = stage.child
    topic, ref, part = with_text(child)
    good(child.exchange([piece(ref, part, 0, part.size, salt=nonce())]))
    same((pulled(child).get(ref["digest"]), stage.operator.topic(topic)["text"]), (0, None))


@check(BELOW, "8.4", "pieces nobody asked for are dropped")
def unwanted(stage: Stage) -> None:
    child = stage.child
    ref, part = child.part("text", b"x" * 1000)
    good(child.exchange([piece(ref, part, 0, 1000)]))
    topic = child.write("opened", child.opened(), parts=[ref]).id
    good(child.exchange())
    same(stage.operator.topic(topic)["text"], None)


@check(BELOW, "4", "what is local or for counting is not asked for")
def not_asked(stage: Stage) -> None:
    refs = [with_text(stage.child, share=share)[1]["digest"] for share in ("local", "counts")]
    asked = pulled(stage.child)
    same([asked.get(digest) for digest in refs], [None, None])


@check(BELOW, "8.4", "the text of a topic comes with it and fits its digest")
def comes_along(stage: Stage) -> None:
    child = stage.child
    topic = delegated(stage, child)
    child.settle()
    ref = next(part for part in child.topics[topic].path()[0].payload["parts"] if part["name"] == "text")
    same(bytes(child.parts[ref["digest"]].data).decode(), "三号楼没有电梯。")


@check(BELOW, "8.4", "a pull is served from the offset it names")
def from_offset(stage: Stage) -> None:
    child = stage.child
    topic = delegated(stage, child)
    child.settle()
    ref = next(part for part in child.topics[topic].path()[0].payload["parts"] if part["name"] == "text")
    answer = child.exchange([loose("pull", {"digest": ref["digest"], "offset": 9})])
    found = [chunk for chunk in answer.of("chunk") if chunk["digest"] == ref["digest"]]
    same([(chunk["offset"], chunk["size"]) for chunk in found], [(9, ref["size"])])


@check(BELOW, "4", "a part that is not full never leaves: who raised a matter stays where it was written down")
def local_stays(stage: Stage) -> None:
    child, operator = stage.child, stage.operator
    topic = operator.open(submitter="王某 0931-1234567")["id"]
    operator.do(topic, "delegate", to=child.code, instruction="x", override_reason="x")
    child.settle()
    refs = [part for part in child.topics[topic].path()[0].payload["parts"] if part["share"] != "full"]
    same([(part["name"], part["share"]) for part in refs], [("submitter", "local")])
    for offset in (0, 1):
        pull = loose("pull", {"digest": refs[0]["digest"], "offset": offset})
        same(child.exchange([pull]).of("chunk"), [])
    wrapped = child.draft("opened", child.opened("借名"), parts=[{**refs[0], "share": "full"}])
    good(child.say(wrapped))
    same(child.exchange([pull]).of("chunk"), [], "after a statement calls it full")
    child.parts[refs[0]["digest"]] = Part(0, nonce())


@check(BELOW, "8.4", "a pull of a part of a topic one has no part in gives nothing")
def not_theirs(stage: Stage) -> None:
    child, other = stage.child, stage.spare()
    topic = delegated(stage, child)
    ref = next(part for part in child.topics[topic].path()[0].payload["parts"] if part["name"] == "text")
    came = other.exchange([loose("pull", {"digest": ref["digest"], "offset": 0})]).of("chunk")
    assert ref["digest"] not in {chunk["digest"] for chunk in came}, "it came"
