"""Streams, acknowledgements and budgets (SPEC 8.2, 8.4, 8.6)."""

from tests.conformance.checks.flows import delegated
from tests.conformance.kit import Stage, check, good, refused, same
from tests.conformance.wire.document import loose
from tests.conformance.wire.shapes import NONE
from tests.conformance.wire.statement import identity

BELOW = "below"


@check(BELOW, "8.4", "statements ahead of the stream are ignored")
def ahead(stage: Stage) -> None:
    child = stage.child
    for later in (2, 1000, 2**53 - 2 - len(child.link.lines)):
        raw = child.draft("opened", child.opened("未到"))
        answer = child.post(child.compose([raw], answers=child.challenge(), first=len(child.link.lines) + later))
        same((answer.status, answer.verdicts), (200, []))
        same(answer.header["ack"], child.link.out.ack, "the ack")


@check(BELOW, "8.4", "positions taken already are told their first disposition again")
def repeated(stage: Stage) -> None:
    child = stage.child
    raw = child.draft("opened", child.opened())
    later = child.draft("weighed", {})
    first = [*child.evil_say(later).verdicts, *child.say(raw).verdicts]
    at = len(child.link.lines) - 1
    again = child.post(child.compose([later, raw], answers=child.challenge(), first=at))
    same(first, [("held", "unknown-kind")], "the first time")
    same(again.verdicts, [("held", "unknown-kind"), ("duplicate", None)], "the second time")
    same(again.header["ack"], child.link.out.ack, "the ack")


@check(BELOW, "8.4", "what was sent before and what is new may stand in one document")
def overlapping(stage: Stage) -> None:
    child = stage.child
    child.open()
    child.write("opened", child.opened())
    at = len(child.link.lines) - 1
    answer = child.post(child.compose(child.link.lines[-2:], answers=child.challenge(), first=at))
    same((answer.status, answer.header["ack"]), (200, child.link.out.ack))
    child.link.acked = answer.header["ack"]["seq"]
    good(child.exchange())


@check(BELOW, "8.2", "an ack that goes back is fed again from there, in the same bytes")
def fed_again(stage: Stage) -> None:
    child = stage.child
    delegated(stage, child)
    have = child.link.into
    lower = max(0, have.seq - 2)
    answer = child.exchange(ack=have.at(lower))
    assert answer.document is not None
    same(answer.header["first"], lower + 1, "first")
    same([child.store.get(identity(raw)) for raw in answer.document.statements][: have.seq - lower],
         answer.document.statements[: have.seq - lower])  # fmt: skip


@check(
    BELOW,
    "14.1",
    "an ack of an earlier incarnation says nothing: compared, and served from there when it names the live one",
)
def other_incarnation(stage: Stage) -> None:
    child = stage.spare()
    delegated(stage, child)
    answer = child.exchange(ack={"inc": [0, ""], "seq": 0, "hash": "0" * 64})
    same((answer.status, answer.header["inc"], answer.header["first"]), (200, NONE, 0))
    assert answer.of("have"), "it does not compare"
    delegated(stage, child)
    same(child.exchange().header["inc"], child.roster.live(child.parent))


@check(BELOW, "8.2", "an ack with another hash stops the link, and a stopped link applies nothing more")
def another_hash(stage: Stage) -> None:
    child = stage.spare()
    delegated(stage, child)
    raw = child.draft("opened", child.opened("不该收下"))
    wrong = {**child.link.into.ack, "hash": "0" * 64}
    child.post(child.compose([raw], answers=child.challenge(), first=1, ack=wrong))
    refused(child.post(child.compose()))
    same(stage.child.exchange().status, 200, "another child")


@check(BELOW, "8.6", "a budget of one item gives one statement, until all has come")
def one_item(stage: Stage) -> None:
    child = stage.child
    topics = [stage.operator.open()["id"] for _ in range(3)]
    for topic in topics:
        stage.operator.do(topic, "delegate", to=child.code, instruction="x", override_reason="x")
    counts = []
    for _ in range(20):
        answer = child.exchange(budget={"items": 1, "bytes": 4194304, "wait_s": 0})
        assert answer.document is not None
        counts.append(len(answer.document.statements))
        if not counts[-1]:
            break
    same(set(counts[:-1]), {1}, "statements of each reply")
    assert all(topic in child.topics for topic in topics), "not all came"


@check(BELOW, "8.6", "a budget of 1024 bytes still brings one statement at a time")
def few_bytes(stage: Stage) -> None:
    child = stage.child
    topic = stage.operator.open(text="长" * 3000)["id"]
    stage.operator.do(topic, "delegate", to=child.code, instruction="x" * 900, override_reason="x")
    for _ in range(20):
        answer = child.exchange(budget={"items": 5000, "bytes": 1024, "wait_s": 0})
        assert answer.document is not None
        assert len(answer.document.statements) <= 1, "more than one statement"
        if not answer.document.statements:
            break
    assert topic in child.topics, "it did not come"


@check(BELOW, "13", "a neighbour of the version before, without instance and loose lines, is served")
def version_before(stage: Stage) -> None:
    child = stage.spare()
    child.write("opened", child.opened())
    for _ in range(2):
        answer = child.post(
            child.compose(
                child.link.lines, answers=child.challenge(), first=1, instance=None, ack=child.link.into.at(0)
            )
        )
        same((answer.status, answer.header["ack"]), (200, child.link.out.ack))


@check(BELOW, "8.3", "a sender without a live incarnation is answered, and nothing of record is taken from it")
def without_incarnation(stage: Stage) -> None:
    child = stage.spare()
    answer = child.post(child.compose(inc=NONE, answers=child.challenge()))
    same((answer.status, answer.header["ack"]), (200, child.link.out.at(0)))
    refused(child.post(child.compose([child.draft("opened", child.opened())], inc=NONE, first=1)))


@check(BELOW, "8.4", "a thousand verdicts and pulls of nothing are borne")
def noise(stage: Stage) -> None:
    child = stage.child
    verdict = {"seq": 1, "id": "0" * 64, "disposition": "held", "code": "fork"}
    pulls = [loose("pull", {"digest": f"{n:064x}", "offset": 0}) for n in range(1000)]
    answer = good(child.exchange([loose("verdict", verdict)] * 1000 + pulls))
    assert answer.document is not None
    same(answer.document.of("chunk"), [])
