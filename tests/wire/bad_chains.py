"""Bad vectors of chains: the last statement of each breaks one rule of custody."""

from collections.abc import Iterator
from typing import Any

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.good import Vector, chain, expected

Row = tuple[str, str, Thread, str]


def bad_chains() -> Iterator[tuple[str, Vector]]:
    for group in (_positions, _writers, _accepts, _resumes, _ways, _ends, _children, _claims, _new):
        yield from group()


def _chain(name: str, spec: str, sentence: str, base: str, thread: Thread, code: str) -> tuple[str, Vector]:
    """The last statement of the thread is the bad one."""
    return name, {**chain(sentence, spec, thread, at=len(thread.raws) - 1, **expected(code)), "good": base}


def _then(thread: Thread, code: str, kind: str, body: Json, **other: Any) -> Thread:
    found = thread.copy()
    found.add(code, kind, body, **other)
    return found


def _positions() -> Iterator[tuple[str, Vector]]:
    note = {"text": "x"}
    born, head = b.born(), b.born().head
    two = _then(born, COUNTY, "noted", note)
    again = Thread([*two.raws, _then(born, COUNTY, "noted", {"text": "y"}).raws[1]], two.topic, two.term)
    rows: list[Row] = [
        ("wrong-prev", "another prev", _then(born, COUNTY, "noted", note, prev="0" * 64), "wrong-prev"),
        ("no-prev", "no prev", _then(born, COUNTY, "noted", note, prev=None), "wrong-prev"),
        ("wrong-seq", "the right prev under a higher seq", _then(born, COUNTY, "noted", note, seq=2), "wrong-seq"),
        ("skipped-seq", "a seq left out", _then(born, COUNTY, "noted", note, seq=2, prev="0" * 64), "gap"),
        ("fork", "another entry at a position taken", again, "fork"),
        ("opened-again", "a second opened", _then(born, COUNTY, "opened", b.opened(COUNTY)), "wrong-position"),
        (
            "other-topic",
            "an entry of another topic",
            _then(born, COUNTY, "noted", note, topic="0" * 64),
            "wrong-position",
        ),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-worked-on", thread, code)
    firsts: list[tuple[str, str, Json, str]] = [
        ("opened-seq-1", "opened with seq 1", {"seq": 1}, "wrong-position"),
        ("opened-with-prev", "opened with a prev", {"prev": head}, "wrong-position"),
        ("opened-with-topic", "opened with a topic", {"topic": head}, "wrong-position"),
        ("opened-with-term", "opened in another term", {"term": [0, 0, [0, ""], 1]}, "wrong-position"),
        ("opened-in-no-incarnation", "an incarnation never granted", {"inc": [2, "0" * 32]}, "unknown-key"),
    ]
    for name, sentence, other, code in firsts:
        thread = Thread()
        thread.add(COUNTY, "opened", b.opened(COUNTY), **other)
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-opened", thread, code)
    thread = b.born(depth=1)
    yield _chain(
        "chain-depth-without-parent", "5.3", "a depth without a parent", "chain-opened", thread, "wrong-position"
    )
    thread = Thread()
    thread.add(COUNTY, "noted", note)
    yield _chain(
        "chain-begins-otherwise",
        "5.3",
        "a first entry that is not opened",
        "chain-opened",
        thread,
        "wrong-position",
    )


def _writers() -> Iterator[tuple[str, Vector]]:
    note = {"text": "x"}
    born, offer, taken = b.born(), b.on_offer(), b.taken()
    rows: list[Row] = [
        ("author-other", "the keeper writes", _then(born, CITY, "noted", note), "not-the-writer"),
        ("author-past", "a past custodian writes", _then(taken, COUNTY, "noted", note), "not-the-writer"),
        ("inc-other", "another incarnation", _then(born, COUNTY, "noted", note, inc=[2, "0" * 32]), "not-the-writer"),
        ("term-later", "a later term", _then(born, COUNTY, "noted", note, term=[0, 0, [0, ""], 1]), "wrong-term"),
        ("term-earlier", "an earlier term", _then(taken, CITY, "noted", note, term=c.FIRST_TERM), "wrong-term"),
        ("write-while-offered", "work under an open offer", _then(offer, COUNTY, "noted", note), "offer-open"),
        (
            "offer-while-offered",
            "a second offer",
            _then(offer, COUNTY, "offered", b.offered(CITY, "escalate")),
            "offer-open",
        ),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-worked-on", thread, code)


def _accepts() -> Iterator[tuple[str, Vector]]:
    offer = b.on_offer()
    rows: list[Row] = [
        (
            "accept-other-offer",
            "accepted names another offer",
            _then(offer, CITY, "accepted", {"offer": "0" * 64}),
            "no-such-offer",
        ),
        (
            "accept-no-offer",
            "accepted without an offer",
            _then(b.born(), CITY, "accepted", {"offer": b.born().head}),
            "no-such-offer",
        ),
        (
            "accept-by-other",
            "accepted by another node",
            _then(offer, PROVINCE, "accepted", {"offer": offer.head}),
            "not-offered-here",
        ),
        (
            "accept-in-other-inc",
            "accepted in another incarnation",
            _then(offer, CITY, "accepted", {"offer": offer.head}, inc=[2, "0" * 32]),
            "not-offered-here",
        ),
        (
            "accept-same-term",
            "accepted without a new term",
            _then(offer, CITY, "accepted", {"offer": offer.head}, term=c.FIRST_TERM),
            "wrong-term",
        ),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-accepted", thread, code)


def _resumes() -> Iterator[tuple[str, Vector]]:
    offer = b.on_offer()
    said = b.declined(offer, CITY)
    other_topic = b.declined(b.on_offer(), CITY, topic="0" * 64)
    recalled = c.remark(CITY, offer.topic, offer.head, "recalled", {"reason": "x"})
    rows: list[Row] = [
        (
            "resume-other-offer",
            "resumed names another offer",
            _then(offer, COUNTY, "resumed", b.resumed("0" * 64, said)),
            "no-such-offer",
        ),
        (
            "resume-by-other",
            "resumed by another node",
            _then(offer, CITY, "resumed", b.resumed(offer.head, said)),
            "not-the-writer",
        ),
        (
            "resume-decline-of-other-offer",
            "the decline of another offer",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, b.declined(offer, CITY, "0" * 64))),
            "not-declined",
        ),
        (
            "resume-decline-by-other",
            "the decline of another node",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, b.declined(offer, PROVINCE))),
            "not-declined",
        ),
        (
            "resume-decline-in-other-inc",
            "a decline in another incarnation",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, b.declined(offer, CITY, inc=[2, "0" * 32]))),
            "not-declined",
        ),
        (
            "resume-decline-of-other-topic",
            "a decline in another topic",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, other_topic)),
            "not-declined",
        ),
        (
            "resume-no-decline",
            "a remark that is no decline",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, recalled)),
            "not-declined",
        ),
        (
            "resume-an-entry",
            "an entry for a decline",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, offer.raws[0])),
            "not-declined",
        ),
        (
            "resume-same-term",
            "resumed without a new term",
            _then(offer, COUNTY, "resumed", b.resumed(offer.head, said), term=c.FIRST_TERM),
            "wrong-term",
        ),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-resumed", thread, code)


def _ways() -> Iterator[tuple[str, Vector]]:
    taken, split = b.taken(), b.split()
    rows: list[Row] = [
        (
            "report-not-back",
            "a report to a node that is not next on the stack",
            _then(taken, CITY, "offered", b.offered(PROVINCE, "report")),
            "not-the-way-back",
        ),
        (
            "return-from-the-origin",
            "a return from the bottom of the stack",
            _then(b.born(), COUNTY, "offered", b.offered(CITY, "return")),
            "not-the-way-back",
        ),
        (
            "rehome-unclaimed",
            "re-homing without a claim",
            _then(taken, CITY, "offered", b.offered(COUNTY2, "rehome")),
            "not-claimed",
        ),
        (
            "offer-to-oneself",
            "an offer to oneself",
            _then(b.born(CITY), CITY, "offered", b.offered(CITY, "delegate")),
            "not-to-oneself",
        ),
        (
            "offer-with-open-children",
            "an offer before the children ended",
            _then(split, CITY, "offered", b.offered(PROVINCE, "escalate")),
            "children-open",
        ),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-accepted", thread, code)


def _ends() -> Iterator[tuple[str, Vector]]:
    split, ended = b.split(), b.portions_ended()
    empty: Json = {"text": "", "children": []}
    closed = _then(b.given_back(), COUNTY, "closed", empty)
    resulted = _then(b.taken(), CITY, "resulted", {"outcome": "A", "text": ""})
    heads = [{**one, "head": "0" * 64} for one in b.children_of_closed()]
    kept = [{**one, "detached": False} for one in b.children_of_closed()]
    rows: list[Row] = [
        (
            "close-elsewhere",
            "closed by a node that is not the origin",
            _then(resulted, CITY, "closed", empty),
            "close-at-origin",
        ),
        ("close-without-result", "closed without a result", _then(b.born(), COUNTY, "closed", empty), "no-result"),
        (
            "close-with-open-children",
            "closed before its children",
            _then(_then(split, CITY, "resulted", {"outcome": "A", "text": ""}), CITY, "closed", empty),
            "children-open",
        ),
        (
            "close-without-children",
            "closed without naming its children",
            _then(ended, CITY, "closed", empty),
            "children-differ",
        ),
        (
            "close-with-other-heads",
            "closed with other heads of its children",
            _then(ended, CITY, "closed", {"text": "", "children": heads}),
            "children-differ",
        ),
        (
            "close-hides-detached",
            "closed with a detached child as ended",
            _then(ended, CITY, "closed", {"text": "", "children": kept}),
            "children-differ",
        ),
        ("close-twice", "closed again", _then(closed, COUNTY, "closed", empty), "closed"),
        ("work-after-close", "work on a closed topic", _then(closed, COUNTY, "noted", {"text": "x"}), "closed"),
        (
            "offer-after-close",
            "an offer of a closed topic",
            _then(closed, COUNTY, "offered", b.offered(CITY, "escalate")),
            "closed",
        ),
        ("reopen-open", "reopened while open", _then(b.born(), COUNTY, "reopened", {"reason": "x"}), "not-closed"),
    ]
    for name, sentence, thread, code in rows:
        base = "chain-split-and-closed" if "child" in name else "chain-closed"
        yield _chain(f"chain-{name}", "5.3", sentence, base, thread, code)


def _children() -> Iterator[tuple[str, Vector]]:
    split = b.split()
    child = b.child(split.head, 0, "1" * 64, "2" * 64)
    twice = _then(split, CITY, "child_closed", child)
    portions = [b.portion(COUNTY, "assist")] * 64
    many = b.born(CITY)
    for _ in range(4):
        many.add(CITY, "split", {"portions": portions})
    deep = b.born(CITY, parent={"entry": "0" * 64, "n": 0}, depth=8)
    rows: list[Row] = [
        (
            "child-unknown",
            "a child that was never split off",
            _then(split, CITY, "child_closed", b.child(split.head, 2, "1" * 64, "2" * 64)),
            "no-such-child",
        ),
        (
            "child-of-other-entry",
            "a child of another entry",
            _then(split, CITY, "child_closed", b.child("0" * 64, 0, "1" * 64, "2" * 64)),
            "no-such-child",
        ),
        (
            "child-closed-twice",
            "a child that has ended already",
            _then(twice, CITY, "child_closed", child),
            "no-such-child",
        ),
        ("split-too-deep", "a split at depth 8", _then(deep, CITY, "split", {"portions": portions[:1]}), "too-deep"),
        ("split-too-wide", "257 children", _then(many, CITY, "split", {"portions": portions[:1]}), "too-many-children"),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-split-and-closed", thread, code)


def _claim(by: str, term: list[Any], start: Thread | None = None) -> Thread:
    thread = (start or b.born()).copy()
    thread.term = term
    thread.add(by, "claimed", {"reason": "x", "approved_by": []})
    return thread


def _claims() -> Iterator[tuple[str, Vector]]:
    city = c.inc(CITY)
    own, above = b.born(CITY), b.born(PROVINCE)
    away = b.born(PROVINCE)
    away.add(PROVINCE, "offered", b.offered(CITY, "delegate"))
    away.add(CITY, "accepted", {"offer": away.head})
    asked = b.born(PROVINCE)
    asked.add(PROVINCE, "offered", b.offered(CITY, "delegate"))
    other_inc = b.born()
    other_inc.term = [1, 2, [2, "0" * 32], 0]
    other_inc.add(CITY, "claimed", {"reason": "x", "approved_by": []}, inc=[2, "0" * 32])
    rows: list[Row] = [
        (
            "claim-by-no-arbiter",
            "a claim by a node that is no arbiter",
            _claim(COUNTY, [1, 1, c.inc(COUNTY), 0]),
            "not-an-arbiter",
        ),
        ("claim-g-kept", "a claim that does not raise g", _claim(CITY, [0, 2, city, 0]), "wrong-term"),
        ("claim-g-two", "a claim that raises g by two", _claim(CITY, [2, 2, city, 0]), "wrong-term"),
        ("claim-other-rank", "a claim under another rank", _claim(CITY, [1, 3, city, 0]), "wrong-term"),
        (
            "claim-without-inc",
            "a claim without the claimant's incarnation",
            _claim(CITY, [1, 2, [0, ""], 0]),
            "wrong-term",
        ),
        ("claim-in-no-incarnation", "a claim in an incarnation never granted", other_inc, "unknown-key"),
        (
            "claim-of-ones-own",
            "a claim from oneself in the same life",
            _claim(CITY, [1, 2, city, 0], own),
            "nothing-to-claim",
        ),
        (
            "claim-from-an-offer-to-the-living",
            "a claim from oneself over an offer whose receiver, as far as is known, lives on",
            _claim(PROVINCE, [1, 3, c.inc(PROVINCE), 0], asked),
            "unknown-key",
        ),
        (
            "claim-t-kept",
            "a claim that does not start t again",
            _claim(PROVINCE, [1, 3, c.inc(PROVINCE), 1], away),
            "wrong-term",
        ),
        ("claim-from-above", "a claim from a node above", _claim(CITY, [1, 2, city, 0], above), "not-an-arbiter"),
    ]
    for name, sentence, thread, code in rows:
        yield _chain(f"chain-{name}", "5.3", sentence, "chain-claimed", thread, code)


def _new() -> Iterator[tuple[str, Vector]]:
    arbiters = {"arbiters": [CITY]}
    taken = b.taken()
    rows: list[Row] = [
        ("keeper-other", "a keeper that is not the parent", b.born(keeper=PROVINCE), "wrong-keeper"),
        ("keeper-none", "no keeper below a parent", b.born(keeper=None), "wrong-keeper"),
        ("arbiters-too-few", "an ancestor left out", b.born(**arbiters), "wrong-arbiters"),
        ("arbiters-other-order", "the root first", b.born(arbiters=[PROVINCE, CITY]), "wrong-arbiters"),
        (
            "arbiters-stranger",
            "an arbiter that is no ancestor",
            b.born(arbiters=[CITY, PROVINCE, c.CITY2]),
            "wrong-arbiters",
        ),
        (
            "escalate-past-parent",
            "escalated past the parent",
            _then(b.born(), COUNTY, "offered", b.offered(PROVINCE, "escalate")),
            "not-the-parent",
        ),
        (
            "escalate-down",
            "escalated downwards",
            _then(taken, CITY, "offered", b.offered(COUNTY2, "escalate")),
            "not-the-parent",
        ),
        (
            "delegate-up",
            "delegated upwards",
            _then(b.born(), COUNTY, "offered", b.offered(CITY, "delegate")),
            "not-a-descendant",
        ),
        (
            "delegate-sideways",
            "delegated to a sibling",
            _then(b.born(), COUNTY, "offered", b.offered(COUNTY2, "delegate")),
            "not-a-descendant",
        ),
        (
            "delegate-to-stranger",
            "delegated to a node nobody enrolled",
            _then(taken, CITY, "offered", b.offered(c.STRANGER, "delegate")),
            "unknown-key",
        ),
        (
            "offer-to-another-first-inc",
            "offered to another first incarnation than the one enrolled",
            _then(b.born(), COUNTY, "offered", b.offered(CITY, "escalate", to_inc=[1, "0" * 32])),
            "wrong-incarnation",
        ),
        (
            "offer-to-unknown-inc",
            "offered to an incarnation whose grant is not here",
            _then(b.born(), COUNTY, "offered", b.offered(CITY, "escalate", to_inc=[2, "0" * 32])),
            "unknown-key",
        ),
        (
            "offer-to-no-inc",
            "offered to no incarnation",
            _then(b.born(), COUNTY, "offered", b.offered(CITY, "escalate", to_inc=[0, ""])),
            "wrong-incarnation",
        ),
    ]
    for name, sentence, thread, code in rows:
        base = "chain-opened" if len(thread.raws) == 1 else "chain-offered"
        yield _chain(f"new-{name}", "5.4", sentence, base, thread, code)
