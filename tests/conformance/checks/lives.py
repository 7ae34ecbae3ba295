"""Lives of a node (SPEC 14): a child that was restored heals at the node under test; comparing, orphans, clones."""

from typing import Any

from tests.conformance.checks.flows import taken
from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, refused, same
from tests.conformance.office import nonce
from tests.conformance.wire import sets, strict
from tests.conformance.wire.document import loose
from tests.conformance.wire.shapes import NONE
from tests.conformance.wire.statement import identity

BELOW = "below"


def heal(child: Child, ready: bool, number: int = 1) -> bytes:
    return loose("heal", {"nonce": child.drawn, "number": number, "ready": ready})


def whole(child: Child) -> bytes:
    return loose("have", sets.have(child.shared_with(child.parent)))


def compare(child: Child, *more: bytes, rounds: int = 12) -> list[Any]:
    """Compare until the sets are equal; gives the `knows` that came."""
    known: list[Any] = []
    for _ in range(rounds):
        mine = sets.have(child.shared_with(child.parent))
        answer = child.exchange([*more, whole(child)])
        same(answer.status, 200, "status")
        known += answer.of("knows")
        if mine in answer.of("have"):
            return known
    raise AssertionError("the sets do not become equal")


def restored(stage: Stage, *, forget: bool = False) -> tuple[Child, str, str]:
    """A child that was restored, with a topic of its own and one it had accepted; `forget`: from before all work."""
    child = stage.spare()
    own, theirs = child.open(), taken(stage, child)
    child.settle()
    child.die()
    if forget:
        child.topics.clear()
        child.remarks.clear()
        for id in [id for id in child.store if id not in child.roster.entries]:
            del child.store[id]
    return child, own, theirs


def granted(child: Child) -> None:
    for _ in range(6):
        child.exchange([heal(child, True), whole(child)])
        if child.inc != NONE:
            return
    raise AssertionError("no grant came")


def rise(child: Child) -> None:
    """All of 14.4 as the child: compared, ready, granted, and the new streams under way."""
    compare(child, heal(child, False))
    granted(child)
    child.settle()


def given_back(child: Child, *topics: str) -> None:
    """Wait for the claims of the node and its offers in the child's live incarnation."""
    for _ in range(30):
        offers = [child.chain(topic).offer for topic in topics]
        if all(offer is not None and offer["to_inc"] == child.inc for offer in offers):
            return
        child.exchange(wait_s=1, lane="wait")
    raise AssertionError(f"not offered back: {offers}")


@check(BELOW, "14.4", "a child that heals is told what is known of it, and granted nothing before it is ready")
def knows(stage: Stage) -> None:
    child, _, _ = restored(stage)
    known = compare(child, heal(child, False))
    assert {"nonce": child.drawn, "number": 1} in known, f"knows: {known}"
    child.exchange([heal(child, False)])
    same(child.inc, NONE)


@check(BELOW, "14.4", "a ready child is granted the next number for the nonce it drew, once")
def grants(stage: Stage) -> None:
    child, _, _ = restored(stage)
    before = child.drawn
    rise(child)
    same(child.inc, [2, before], "the incarnation")
    child.exchange([loose("heal", {"nonce": before, "number": 1, "ready": True})])
    child.settle()
    mine = [
        entry for entry in child.roster.entries.values() if entry.kind == "granted" and entry.body["node"] == child.code
    ]
    same(len(mine), 1, "grants")
    same(mine[0].body["key"], child.key.kid, "its key")


@check(BELOW, "14.4", "a grant closes the stream of the incarnation before where the node had it")
def closes(stage: Stage) -> None:
    child, _, _ = restored(stage)
    end = child.link.out.ack
    rise(child)
    mine = next(
        each for each in child.roster.entries.values() if each.kind == "granted" and each.body["node"] == child.code
    )
    same(mine.body["closed"], end)


@check(BELOW, "14.3", "a child restored from before its work gets everything back")
def gets_back(stage: Stage) -> None:
    child, own, theirs = restored(stage, forget=True)
    compare(child, heal(child, False))
    assert own in child.topics and theirs in child.topics, "topics that did not come back"
    same(child.chain(theirs).custodian, child.code)


@check(BELOW, "14.5", "the node claims the topics of the dead incarnation and offers them back by itself")
def claims(stage: Stage) -> None:
    child, own, theirs = restored(stage)
    rise(child)
    given_back(child, own, theirs)
    for topic in (own, theirs):
        kinds = [(entry.kind, entry.author) for entry in child.topics[topic].path()[-2:]]
        same(kinds, [("claimed", stage.node), ("offered", stage.node)], "its last entries")
        offer = child.chain(topic).offer
        assert offer is not None
        same((offer["mode"], offer["to"], offer["to_inc"]), ("rehome", child.code, child.inc))
        same(child.chain(topic).term[:2], [1, 2], "g and k of the term")
        child.write("accepted", {"offer": offer["id"]}, topic)
    good(child.exchange())
    stage.operator.until(own, custodian=child.code, seq=child.chain(own).seq)
    same(child.chain(own).stack, (child.code,), "the stack")


@check(BELOW, "14.4", "streams begin anew at 1 in the new incarnation, and work goes on")
def anew(stage: Stage) -> None:
    child, _, _ = restored(stage)
    rise(child)
    child.settle()
    topic = child.open()
    same(child.link.out.inc, child.inc)
    stage.operator.until(topic, custodian=child.code)


@check(BELOW, "14.1", "a request in an incarnation that is over applies nothing, and the ack names the live one")
def outlived(stage: Stage) -> None:
    child, _, _ = restored(stage)
    rise(child)
    child.settle()
    new, old = child.inc, [1, _first_life(child)]
    answer = child.post(child.compose(inc=old, answers=child.challenge(), ack=child.link.into.ack))
    same((answer.status, answer.header["ack"]["inc"]), (428, new))


@check(
    BELOW,
    "14.1",
    "a request in a later incarnation than the node knows applies nothing, and the ack names what it knows",
)
def unheard(stage: Stage) -> None:
    child = stage.spare()
    answer = child.post(child.compose(inc=[2, "0" * 32], answers=child.challenge()))
    same((answer.status, answer.header["ack"]), (428, child.link.out.at(0)))


@check(BELOW, "14.4", "a number nobody can have granted is not believed")
def implausible(stage: Stage) -> None:
    child, _, _ = restored(stage)
    compare(child, heal(child, False))
    for _ in range(6):
        child.exchange([heal(child, True, 10**12), whole(child)])
        if child.inc != NONE:
            break
    same(child.inc[0], 2)


@check(BELOW, "14.4", "of two restores each gets its own number, and terms rise with them")
def twice(stage: Stage) -> None:
    child, own, _ = restored(stage)
    rise(child)
    child.die()
    rise(child)
    same(child.inc[0], 3)
    given_back(child, own)


@check(BELOW, "14.6", "an entry of the dead incarnation that surfaces beside a claim is an orphan, and is named")
def orphan(stage: Stage) -> None:
    child, own, _ = restored(stage)
    lost = child.draft("noted", {"text": "未送出的一笔"}, own, inc=[1, _first_life(child)])
    rise(child)
    given_back(child, own)
    child.apply(lost)
    child.exchange([loose("old", strict.read(lost))])
    listed = stage.operator.get(f"/topics/{own}/orphans")["items"]
    same(len(listed), 1, "orphans")
    end = child.chain(own)
    same(end.custodian, stage.node, "the chain is that of the claim")


@check(BELOW, "14.5", "an entry of the dead incarnation that surfaces before the claim continues the chain")
def surfaces(stage: Stage) -> None:
    child, own, _ = restored(stage)
    lost = child.draft("noted", {"text": "找回的一笔"}, own, inc=[1, _first_life(child)])
    child.apply(lost)
    rise(child)
    given_back(child, own)
    path = [entry.kind for entry in child.topics[own].path()]
    same(path, ["opened", "noted", "claimed", "offered"])


def _first_life(child: Child) -> str:
    return min(child.roster.members[child.code].lives)[1]


# ---- comparing ----------------------------------------------------------------------------------------------------


@check(BELOW, "14.3", "equal sets are answered with one's own")
def equal(stage: Stage) -> None:
    child = stage.spare()
    child.settle()
    compare(child)


@check(BELOW, "14.3", "a list that lacks something is answered with what it lacks, entries after what they stand on")
def lacks(stage: Stage) -> None:
    child = stage.spare()
    topic = taken(stage, child)
    found = child.exchange([loose("ids", {"prefix": "", "ids": []})]).of("old")
    ids = [identity(strict.write(jws)) for jws in found]
    same(set(child.shared_with(child.parent)) - set(ids), set(), "what did not come")
    chain = [entry.id for entry in child.topics[topic].path()]
    same([id for id in ids if id in chain], chain, "the order of the chain")


@check(BELOW, "14.3", "a list with something the node lacks is answered with its own, and what comes then is taken")
def hands_up(stage: Stage) -> None:
    child = stage.spare()
    topic = child.open()
    child.write_quietly("noted", {"text": "只在这里"}, topic)
    compare(child)
    stage.operator.until(topic, seq=1)


@check(BELOW, "14.3", "statements outside the stream get no verdict and no position, whatever they are")
def no_verdict(stage: Stage) -> None:
    child = stage.spare()
    topic = child.open()
    bad = child.draft("noted", {"text": "x"}, topic, author=stage.node)
    known = child.topics[topic].path()[0].raw
    answer = child.exchange([loose("old", strict.read(raw)) for raw in (known, bad)])
    same((answer.status, answer.verdicts, answer.header["ack"]), (200, [], child.link.out.ack))


@check(BELOW, "14.3", "more than 256 identities are cut by their first digit")
def cut(stage: Stage) -> None:
    child = stage.spare()
    for _ in range(260):
        child.write("opened", child.opened())
    child.settle()
    compare(child)  # what the node holds back of others is of its set too, and comes only so
    for _ in range(12):  # the node may write something itself in between, which comes by the stream
        child.owed.clear()
        answer = child.exchange([loose("have", {"prefix": "", "count": 0, "digest": "0" * 64})])
        theirs = {have["prefix"]: have for have in answer.of("have")}
        same(sorted(theirs), sorted("0123456789abcdef"))
        mine = [sets.have(child.shared_with(child.parent), digit) for digit in sorted(theirs)]
        if mine == [theirs[digit] for digit in sorted(theirs)]:
            return
    raise AssertionError("the parts do not become equal")


# ---- clones -------------------------------------------------------------------------------------------------------


@check(BELOW, "14.8", "a restart replaces an instance, and what was under way before it is no clone")
def restart(stage: Stage) -> None:
    child = stage.spare()
    good(child.exchange())
    before, old = child.challenge(), child.instance
    child.instance = nonce()
    child.challenges.clear()
    good(child.exchange())
    same(child.post(child.compose(answers=before, instance=old)).status, 200, "the late request")
    good(child.exchange())


@check(BELOW, "14.8", "a replaced instance that answers a later challenge is a clone: the link stops")
def clone(stage: Stage) -> None:
    child = stage.spare()
    good(child.exchange())
    old, child.instance = child.instance, nonce()
    child.challenges.clear()
    good(child.exchange())
    given = child.challenge()
    child.post(child.compose(answers=given, instance=old))
    refused(child.post(child.compose()))


@check(BELOW, "14.8", "a replaced instance that answers no challenge proves nothing")
def no_challenge(stage: Stage) -> None:
    child = stage.spare()
    good(child.exchange())
    old, child.instance = child.instance, nonce()
    child.challenges.clear()
    good(child.exchange())
    same(child.post(child.compose(instance=old)).status, 428)
    good(child.exchange())
