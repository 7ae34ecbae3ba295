"""What a statement gets in a good document: the ladders of SPEC 3.4, 5.3, 5.4, 6 and 7.2, seen from outside."""

from collections.abc import Callable
from typing import Any

from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, same
from tests.conformance.office import now
from tests.conformance.wire import bodies, strict
from tests.conformance.wire.jose import Key, b64
from tests.conformance.wire.shapes import FIRST_TERM
from tests.conformance.wire.statement import identity
from tests.conformance.wire.strict import Json

BELOW = "below"
Make = Callable[[Stage], bytes]
NOTE: Json = {"text": "x"}


def flipped(raw: bytes) -> bytes:
    """The signature with one bit changed."""
    jws = strict.read(raw)
    text = jws["signatures"][0]["signature"]
    jws["signatures"][0]["signature"] = ("B" if text[0] == "A" else "A") + text[1:]
    return strict.write(jws)


def born(stage: Stage, **fields: Any) -> Json:
    return stage.child.payload("opened", stage.child.opened("从未收下"), **fields)


def birth(header: Json | None = None, key: Key | None = None, **fields: Any) -> Make:
    def make(stage: Stage) -> bytes:
        typ = (header or {}).get("typ", bodies.ENTRY)
        more = {name: value for name, value in (header or {}).items() if name != "typ"}
        return strict.write((key or stage.child.key).jws(born(stage, **fields), typ, **more))

    return make


def payload(old: bytes, new: bytes) -> Make:
    """A payload of which some bytes are others, rightly signed."""

    def make(stage: Stage) -> bytes:
        raw = strict.write(born(stage))
        assert old in raw
        return stage.child.sign(raw.replace(old, new), bodies.ENTRY)

    return make


def opened(**other: Any) -> Make:
    return lambda stage: stage.child.draft("opened", stage.child.opened("从未收下", **other))


def entry(kind: str, body: Json, **other: Any) -> Make:
    """The next entry of a fresh topic of the child."""
    return lambda stage: stage.child.draft(kind, body, stage.child.open(), **other)


def offer(to: str | None, mode: str, **other: Any) -> Make:
    def make(stage: Stage) -> bytes:
        child = stage.child
        return child.draft("offered", child.offered(to or child.parent, mode, **other), child.open())

    return make


def under_offer(kind: str, body: Callable[[Child, str], Json]) -> Make:
    """The entry after an open offer of the child to its parent."""

    def make(stage: Stage) -> bytes:
        child = stage.child
        topic = child.open()
        made = child.escalate(topic)
        return child.draft(kind, body(child, made), topic)

    return make


def beside(kind: str, body: Json, topic: str | None = None, about: str | None = None, **other: Any) -> Make:
    def make(stage: Stage) -> bytes:
        child = stage.child
        name = topic or child.open()
        return child.remark(name, about or name, kind, body, **other)

    return make


def registered(kind: str, body: Callable[[Child], Json], **other: Any) -> Make:
    def make(stage: Stage) -> bytes:
        child = stage.child
        own = {"seq": 0, "prev": None, "kind": kind, "body": body(child), "parts": []}
        return child.sign({**child.shared(), **own, **other}, bodies.REGISTER)

    return make


def declined_by(child: Child, made: str) -> Json:
    said = child.remark(child.topics_of(made), made, "declined", {"code": "duplicate", "reason": ""})
    return {"offer": made, "declined": strict.read(said)}


def card(child: Child, **other: Any) -> Json:
    return {**child.card, "code": "620199", "key": b64(Key.new().public), **other}


def enrolment(child: Child, **other: Any) -> Json:
    return {"node": card(child, **other), "inc": [1, "5" * 32]}


CHILD: Json = {"entry": "0" * 64, "n": 0, "topic": "0" * 64, "head": "0" * 64, "outcome": None}
TITLE = "从未收下".encode()
REF: Json = {"name": "text", "digest": "0" * 64, "size": 1, "media": "text/plain", "share": "full"}

CASES: dict[str, tuple[str, Make, str, str]] = {
    # name: section, what, disposition, code
    "with a signature changed": ("3.4", lambda stage: flipped(birth()(stage)), "held", "bad-signature"),
    "under a key nobody knows": ("3.4", birth(key=Key.new()), "deferred", "unknown-key"),
    "with an author that is not the signer": ("3.4", birth(author="620000"), "held", "forged-author"),
    "of an unknown type": ("3.6", birth({"typ": "liandong-later+jws"}), "held", "unknown-type"),
    "of the type of a seal": ("3.1", birth({"typ": bodies.SEAL}), "held", "unknown-type"),
    "with alg none": ("3.1", birth({"alg": "none"}), "refused", "malformed"),
    "with alg HS256": ("3.1", birth({"alg": "HS256"}), "refused", "malformed"),
    "with a key in its header": ("3.1", birth({"jwk": {}}), "refused", "malformed"),
    "without typ": ("3.1", birth({"typ": None}), "refused", "malformed"),
    "that is no JWS": ("3.1", lambda stage: b'{"payload":"e30"}', "refused", "malformed"),
    "whose payload is no text": ("3.1", lambda stage: b'{"payload":1,"signatures":[]}', "refused", "malformed"),
    "with a key twice": ("3.2", payload(b'"v":1', b'"v":1,"v":1'), "refused", "malformed"),
    "with a float": ("3.2", payload(b'"seq":0', b'"seq":0.0'), "refused", "malformed"),
    "with an exponent": ("3.2", payload(b'"seq":0', b'"seq":0e0'), "refused", "malformed"),
    "with -0": ("3.2", payload(b'"seq":0', b'"seq":-0'), "refused", "malformed"),
    "with NaN": ("3.2", payload(b'"seq":0', b'"seq":NaN'), "refused", "malformed"),
    "with a lone surrogate": ("3.2", payload(TITLE, b"\\ud800"), "refused", "malformed"),
    "with U+0000": ("3.2", payload(TITLE, b"\\u0000"), "refused", "malformed"),
    "of 33 levels": ("3.2", payload(b'"seq":0', b'"seq":' + b"[" * 32 + b"]" * 32), "refused", "malformed"),
    "with an unknown field": ("3.6", payload(b'"seq":0', b'"seq":0,"extra":0'), "refused", "invalid"),
    "with a field missing": ("3.5", payload(b'"seq":0,', b""), "refused", "invalid"),
    "of another version": ("3.5", payload(b'"v":1', b'"v":2'), "refused", "invalid"),
    "with text for a count": ("5.1", payload(b'"seq":0', b'"seq":"0"'), "refused", "invalid"),
    "with true for 1": ("3.5", payload(b'"v":1', b'"v":true'), "refused", "invalid"),
    "with a day that does not exist": ("2", birth(at="2026-02-30T00:00:00Z"), "refused", "invalid"),
    "with a local time": ("2", birth(at="2026-02-01T00:00:00+08:00"), "refused", "invalid"),
    "of a year after 2999": ("2", birth(at="3000-01-01T00:00:00Z"), "refused", "invalid"),
    "with a title of 301": ("5.2", payload(TITLE, b"x" * 301), "refused", "invalid"),
    "with two parts of one name": ("3.5", birth(parts=[REF, REF]), "refused", "invalid"),
    "with a part of 33554433 bytes": ("4", birth(parts=[{**REF, "size": 33554433}]), "refused", "invalid"),
    "with a part of an unknown share": ("4", birth(parts=[{**REF, "share": "some"}]), "refused", "invalid"),
    "of 61441 bytes": ("12", payload(b'"seq":0', b'"seq":0' + b" " * 61441), "refused", "too-large"),
    # first entries
    "that opens at seq 1": ("5.3", birth(seq=1), "held", "wrong-position"),
    "that opens after another": ("5.3", birth(prev="0" * 64), "held", "wrong-position"),
    "that opens in a later term": ("5.3", birth(term=[0, 0, [0, ""], 1]), "held", "wrong-position"),
    "that opens in an incarnation nobody granted": ("5.3", birth(inc=[2, "0" * 32]), "deferred", "unknown-key"),
    "that opens at a depth without a parent": ("5.3", opened(depth=1), "held", "wrong-position"),
    "with another keeper": ("5.4", opened(keeper="999999"), "held", "wrong-keeper"),
    "with other arbiters": ("5.4", opened(arbiters=["999999"]), "held", "wrong-arbiters"),
    "of a topic that is not here": ("5.3", lambda stage: _elsewhere(stage), "deferred", "gap"),
    # later entries
    "in an earlier term": ("5.3", entry("noted", NOTE, term=[0, 0, [0, ""], 7]), "held", "wrong-term"),
    "with another seq after the head": ("5.3", entry("noted", NOTE, seq=2), "held", "wrong-seq"),
    "with a seq skipped": ("5.3", entry("noted", NOTE, seq=5, prev="0" * 64), "deferred", "gap"),
    "after an entry nobody knows": ("5.3", entry("noted", NOTE, prev="0" * 64), "held", "wrong-prev"),
    "that opens a topic again": ("5.3", lambda stage: _reborn(stage), "held", "wrong-position"),
    "that closes without a result": ("5.3", entry("closed", {"text": "", "children": []}), "held", "no-result"),
    "that reopens what is open": ("5.3", entry("reopened", {"reason": "x"}), "held", "not-closed"),
    "that accepts what nobody offered": ("5.3", entry("accepted", {"offer": "0" * 64}), "held", "no-such-offer"),
    "that ends a portion nobody split": ("5.3", entry("child_closed", {"child": CHILD}), "held", "no-such-child"),
    "that reports with nobody below": ("5.3", offer(None, "report"), "held", "not-the-way-back"),
    "that rehomes without a claim": ("5.3", offer(None, "rehome"), "held", "not-claimed"),
    "that delegates upwards": ("5.4", offer(None, "delegate"), "held", "not-a-descendant"),
    "that offers to a node nobody enrolled": (
        "5.4", offer("999999", "escalate", to_inc=[1, "0" * 32]), "deferred", "unknown-key",
    ),
    "that offers to an incarnation whose grant may yet come": (
        "5.4", offer(None, "escalate", to_inc=[9, "0" * 32]), "deferred", "unknown-key",
    ),
    "that offers to another first incarnation": (
        "5.4", offer(None, "escalate", to_inc=[1, "0" * 32]), "held", "wrong-incarnation",
    ),
    "that claims without being an arbiter": (
        "5.3", entry("claimed", {"reason": "x", "approved_by": []}, term=[1, 1, [1, "0" * 32], 0]),
        "held", "not-an-arbiter",
    ),
    "that works under an open offer": ("5.3", under_offer("noted", lambda c, o: NOTE), "held", "offer-open"),
    "that offers under an open offer": (
        "5.3", under_offer("offered", lambda c, o: c.offered(c.parent, "escalate")), "held", "offer-open",
    ),
    "that accepts its own offer": (
        "5.3", under_offer("accepted", lambda c, o: {"offer": o}), "held", "not-offered-here",
    ),
    "that resumes by its own decline": ("5.3", under_offer("resumed", declined_by), "held", "not-declined"),
    "that resumes with no JWS": (
        "3.4", under_offer("resumed", lambda c, o: {"offer": o, "declined": {}}), "refused", "malformed",
    ),
    # remarks
    "that remarks on nothing": ("6", beside("comment", NOTE, "0" * 64), "deferred", "unknown-entry"),
    "that remarks on another entry": ("6", beside("comment", NOTE, None, "0" * 64), "deferred", "unknown-entry"),
    "that remarks in an unknown kind": ("6", beside("weighed", NOTE), "held", "unknown-kind"),
    "that rates in an unknown word": ("6", beside("rate", {"rating": "fine", "text": ""}), "refused", "invalid"),
    "that declines at length": (
        "12", beside("declined", {"code": "duplicate", "reason": "x" * 501}), "refused", "invalid",
    ),
    # registry
    "that enrols a node of its own tier": ("7.3", registered("enrolled", enrolment), "held", "wrong-tier"),
    "that enrols a code that is taken": (
        "7.3", registered("enrolled", lambda c: enrolment(c, code=c.parent)), "held", "code-taken",
    ),
    "that anchors a second root": (
        "7.2", registered("anchored", lambda c: {"node": c.card, "inc": c.inc, "witnesses": []}),
        "held", "second-root",
    ),
    "that registers with a gap": ("7.2", registered("enrolled", enrolment, seq=4, prev="0" * 64), "deferred", "gap"),
    "that registers after nothing": ("7.2", registered("enrolled", enrolment, prev="0" * 64), "held", "wrong-prev"),
    "that registers in an unknown kind": ("7.2", registered("weighed", lambda c: {}), "held", "unknown-kind"),
    "that grants to its parent": (
        "7.3", registered("granted", lambda c: grant(c, c.parent)), "held", "not-the-parent",
    ),
    "that grants to itself": ("7.3", registered("granted", lambda c: grant(c, c.code)), "held", "not-the-parent"),
    "that grants to a stranger": (
        "7.3", registered("granted", lambda c: grant(c, "999999")), "deferred", "unknown-key",
    ),
}  # fmt: skip


def grant(child: Child, node: str) -> Json:
    return {"node": node, "inc": [2, "7" * 32], "key": child.key.kid, "closed": None, "log": None}


def _elsewhere(stage: Stage) -> bytes:
    child = stage.child
    own = {
        "topic": "7" * 64,
        "seq": 1,
        "prev": "7" * 64,
        "term": FIRST_TERM,
        "kind": "noted",
        "body": NOTE,
        "parts": [],
    }
    return child.sign({**child.shared(), **own}, bodies.ENTRY)


def _reborn(stage: Stage) -> bytes:
    child = stage.child
    return child.draft("opened", child.opened(), child.open())


def _case(name: str, case: tuple[str, Make, str, str]) -> None:
    section, make, disposition, code = case

    @check(BELOW, section, f"a statement {name} is {disposition} {code}")
    def run(stage: Stage) -> None:
        raw = make(stage)
        answer = stage.child.evil_say(raw)
        same((answer.status, answer.verdicts), (200, [(disposition, code)]), answer.problem or "verdict")
        same(answer.header["ack"], stage.child.link.out.ack, "its place in the stream is taken")


for _name, _case_of in CASES.items():
    _case(_name, _case_of)


@check(BELOW, "3.1", "alg EdDSA and a second signature of an unknown suite are taken")
def suites(stage: Stage) -> None:
    child = stage.child
    old = strict.write(child.key.jws(born(stage), bodies.ENTRY, alg="EdDSA"))
    two = child.key.jws(born(stage), bodies.ENTRY)
    header = strict.write({"alg": "SM2", "kid": child.key.kid, "typ": bodies.ENTRY})
    two["signatures"].append({"protected": b64(header), "signature": b64(b"x" * 70)})
    good(child.say(old, strict.write(two)))


@check(BELOW, "8.4", "a bad statement does not stop those after it")
def between(stage: Stage) -> None:
    child = stage.child
    bad = flipped(birth()(stage))
    child.evil.add(identity(bad))
    answer = child.say(child.draft("opened", child.opened()), bad, child.draft("opened", child.opened()))
    same(answer.verdicts, [("held", "bad-signature")])


@check(BELOW, "8.4", "a statement known already is a duplicate")
def duplicate(stage: Stage) -> None:
    child = stage.child
    raw = child.draft("opened", child.opened())
    good(child.say(raw))
    same(child.say(raw).verdicts, [("duplicate", None)])


@check(BELOW, "8.4", "what stood on something missing is applied by itself when that comes")
def catches_up(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    one, two = (child.write_quietly("noted", {"text": text}, topic) for text in ("一", "二"))
    same(child.say(two.raw).verdicts, [("deferred", "gap")], "the later one alone")
    good(child.say(one.raw))
    good(child.say(child.draft("noted", {"text": "三"}, topic)))


@check(BELOW, "3.6", "an unknown kind is kept and held, and what follows it waits behind it")
def unknown_kind(stage: Stage) -> None:
    child = stage.child
    topic = child.open()
    later = child.draft("weighed", {"any": [1, {"thing": None}]}, topic)
    same(child.evil_say(later).verdicts, [("held", "unknown-kind")])
    end = child.chain(topic)
    after = child.draft("noted", NOTE, topic, seq=end.seq + 2, prev=identity(later))
    same(child.evil_say(after).verdicts, [("deferred", "gap")])


@check(BELOW, "5.8", "two entries at one position freeze their author: held fork, then frozen, the proof kept")
def equivocation(stage: Stage) -> None:
    child = stage.spare()
    topic = child.open()
    rival = child.draft("noted", {"text": "另一种说法"}, topic)
    child.write("noted", {"text": "一种说法"}, topic)
    good(child.exchange())
    same(child.evil_say(rival).verdicts, [("held", "fork")])
    same(child.evil_say(child.draft("noted", NOTE, topic)).verdicts, [("held", "frozen")], "its next entry")
    same(child.say(rival).verdicts, [("duplicate", None)], "the proof is kept")
    same(stage.child.exchange().status, 200, "another child afterwards")


@check(BELOW, "5.8", "a decline after an acceptance of the same offer is a proof of having signed twice")
def both_answers(stage: Stage) -> None:
    child, operator = stage.spare(), stage.operator
    topic = operator.open()["id"]
    operator.do(topic, "delegate", to=child.code, instruction="请办理", override_reason="x")
    child.settle()
    made = child.chain(topic).head
    child.write("accepted", {"offer": made}, topic)
    good(child.exchange())
    said = child.remark(topic, made, "declined", {"code": "not_our_area", "reason": ""})
    same(child.evil_say(said).verdicts, [("held", "equivocation")])


@check(BELOW, "6", "a remark of a node that takes no part waits")
def stranger(stage: Stage) -> None:
    child, other = stage.child, stage.spare()
    topic = child.open()
    said = other.remark(topic, topic, "comment", NOTE)
    same(other.evil_say(said).verdicts, [("deferred", "not-a-participant")])


@check(BELOW, "5.3", "an entry by a node that is not the custodian is held")
def not_the_writer(stage: Stage) -> None:
    child, other = stage.child, stage.spare()
    topic = child.open()
    end = child.chain(topic)
    own = {"topic": topic, "seq": 1, "prev": end.head, "term": FIRST_TERM, "kind": "noted", "body": NOTE, "parts": []}
    same(other.evil_say(other.sign({**other.shared(), **own}, bodies.ENTRY)).verdicts, [("held", "not-the-writer")])


@check(BELOW, "5.8", "clocks decide nothing: entries dated a century ago and ahead are taken")
def clocks(stage: Stage) -> None:
    child = stage.child
    topic = child.write("opened", child.opened(), at="1926-01-01T00:00:00Z").id
    child.write("noted", NOTE, topic, at="2126-01-01T00:00:00.000001Z")
    child.write("noted", NOTE, topic, at=now())
    good(child.exchange())
