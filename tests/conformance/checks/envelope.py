"""Documents and challenges (SPEC 8.1, 8.3, 8.4): what is no good document changes nothing."""

import gzip
import os
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.conformance.child import EXCHANGE, JOIN, Child
from tests.conformance.kit import Stage, check, good, refused, same
from tests.conformance.office import nonce
from tests.conformance.wire import bodies, strict
from tests.conformance.wire.document import loose
from tests.conformance.wire.jose import Key, b64
from tests.conformance.wire.shapes import NONE

BELOW = "below"
GARBAGE: dict[str, bytes] = {
    "nothing": b"",
    "a line feed": b"\n",
    "two line feeds": b"\n\n",
    "text": b"hello\nworld\n",
    "random lines": b"\n".join(os.urandom(99).replace(b"\n", b"") for _ in range(50)) + b"\n",
    "empty objects": b"{}\n{}\n",
    "500 levels": b"{}\n" + b'{"seal":' * 500 + b"{}" + b"}" * 500 + b"\n",
    "a lone surrogate": b'{}\n{"seal":"\\ud800"}\n',
    "a key twice": b'{}\n{"seal":{},"seal":{}}\n',
    "NaN": b'{}\n{"seal":NaN}\n',
    "invalid UTF-8": b'{}\n{"seal":"\xff"}\n',
    "a byte order mark": b"\xef\xbb\xbf{}\n{}\n",
    "gzip": gzip.compress(b"{}\n{}\n"),
}


def _garbage(name: str, raw: bytes) -> None:
    @check(BELOW, "8.3", f"{name} is no document")
    def run(stage: Stage) -> None:
        refused(stage.child.post(raw), (400,))


for _name, _raw in GARBAGE.items():
    _garbage(_name, _raw)

Make = Callable[[Child], bytes]


def ready(child: Child, lines: list[bytes], **head: object) -> bytes:
    """A document that answers a challenge and so is applied, if it is good."""
    return child.compose(lines, answers=child.challenge(), **head)


def born(child: Child) -> bytes:
    return child.draft("opened", child.opened("从未收下"))


def first(child: Child) -> int:
    return len(child.link.lines) + 1


def of_others(child: Child, **head: object) -> bytes:
    """Sealed by the child in a name that is not its own."""
    return child.compose(**head, seal={"author": head["from"]} if "from" in head else None)


ENVELOPES: dict[str, Make] = {
    "under an unknown key": lambda child: child.compose(key=Key.new()),
    "in another's name": lambda child: child.compose(**{"from": child.parent}),
    "in another's name, the seal too": lambda child: of_others(child, **{"from": child.parent}),
    "to another node": lambda child: child.compose(to="999999"),
    "in an incarnation far above any that was granted": lambda child: child.compose(inc=[9999, "0" * 32]),
    "in this number with another nonce": lambda child: child.compose(inc=[1, "0" * 32]),
    "with statements and no incarnation": lambda child: child.compose([born(child)], inc=NONE, first=first(child)),
    "on the lane of bundles": lambda child: child.compose(lane="file"),
    "on a lane of no meaning": lambda child: child.compose(lane="fast"),
    "without session": lambda child: child.compose(session=None),
    "without nonce": lambda child: child.compose(nonce=None),
    "of another version": lambda child: child.compose(v=2),
    "with an unknown field": lambda child: child.compose(extra=1),
    "with a checkpoint in its header": lambda child: child.compose(checkpoint={"size": 1}),
    "with a budget of nothing": lambda child: child.compose(budget={"items": 0, "bytes": 0, "wait_s": 0}),
    "that asks to wait for an hour": lambda child: child.compose(budget={"items": 1, "bytes": 1024, "wait_s": 3600}),
    "with an ack below zero": lambda child: child.compose(ack={**child.link.into.ack, "seq": -1}),
    "with a float in its ack": lambda child: child.compose().replace(b'"first":0', b'"first":0.0'),
    "whose seal has another receiver": lambda child: child.compose(seal={"to": "999999"}),
    "whose seal has another nonce": lambda child: child.compose(seal={"nonce": "0" * 32}),
    "whose seal has another session": lambda child: child.compose(seal={"session": "0" * 32}),
    "whose seal has another incarnation": lambda child: child.compose(seal={"inc": [2, "0" * 32]}),
    "whose seal has another digest": lambda child: child.compose(seal={"digest": "0" * 64}),
    "whose seal has an unknown field": lambda child: child.compose(seal={"extra": 1}),
    "whose seal is of the type of a remark": lambda child: child.compose().replace(
        b64(strict.write({"alg": "Ed25519", "kid": child.key.kid, "typ": bodies.SEAL})).encode(),
        b64(strict.write({"alg": "Ed25519", "kid": child.key.kid, "typ": bodies.REMARK})).encode(),
    ),
    "without its seal": lambda child: child.compose().rpartition(b'{"seal"')[0],
    "without its last byte": lambda child: child.compose()[:-1],
    "cut in half": lambda child: (lambda raw: raw[: len(raw) // 2])(child.compose([born(child)], first=first(child))),
    "with a byte changed": lambda child: child.compose().replace(b'"push"', b'"wait"'),
    "with a statement after a loose line": lambda child: ready(
        child, [loose("later", 1), born(child)], first=first(child)
    ),
    "with an empty line": lambda child: ready(child, [b""]),
    "with a line of garbage": lambda child: ready(child, [b"\x00\x01"]),
    "with a line of 500 levels": lambda child: ready(child, [b'{"a":' * 500 + b"1" + b"}" * 500]),
    "with a line of two members": lambda child: ready(child, [b'{"later":1,"more":1}']),
    "with a key twice in a line": lambda child: ready(child, [b'{"pull":1,"pull":2}']),
    "with a lone surrogate in a line": lambda child: ready(child, [b'{"later":"\\udead"}']),
    "with NaN in a line": lambda child: ready(child, [b'{"later":NaN}']),
    "with U+0000 in a line": lambda child: ready(child, [b'{"later":"\\u0000"}']),
    "with a number beyond 2^53": lambda child: ready(child, [b'{"later":9007199254740992}']),
    "with a chunk of no shape": lambda child: ready(child, [loose("chunk", {})]),
    "with a pull of no shape": lambda child: ready(child, [loose("pull", [])]),
    "with a verdict of no shape": lambda child: ready(child, [loose("verdict", 1)]),
    "with a have of no shape": lambda child: ready(child, [loose("have", {"prefix": "xyz"})]),
    "with a heal of no shape": lambda child: ready(child, [loose("heal", {"nonce": 1})]),
    "with a settled of no shape": lambda child: ready(child, [loose("settled", {"ids": []})]),
    "with a cosignature of no shape": lambda child: ready(child, [loose("cosignature", None)]),
}


def _envelope(name: str, make: Make) -> None:
    @check(BELOW, "8.3", f"a document {name} is refused and changes nothing")
    def run(stage: Stage) -> None:
        child = stage.child
        refused(child.post(make(child)))
        same(child.post(child.compose()).header["ack"]["seq"], len(child.link.lines), "the ack afterwards")


for _name, _make in ENVELOPES.items():
    _envelope(_name, _make)

LARGE: dict[str, Make] = {
    "with a line of 524289 bytes": lambda child: ready(child, [loose("later", "x" * 524277)]),
    "of 12001 loose lines": lambda child: ready(child, [loose("later", 1)] * 12001),
    "of 5001 statements": lambda child: ready(child, [born(child)] * 5001, first=first(child)),
    "of 16777217 bytes": lambda child: bytes(16777217),
    "with a seal of 98305 bytes": lambda child: child.compose().rpartition(b'{"seal"')[0] + b"x" * 98305 + b"\n",
}


def _large(name: str, make: Make) -> None:
    @check(BELOW, "12", f"a document {name} is too large")
    def run(stage: Stage) -> None:
        refused(stage.child.post(make(stage.child)), (400, 413))


for _name, _make in LARGE.items():
    _large(_name, _make)


def _declared(path: str) -> None:
    @check(BELOW, "8.1", f"a body of 64 MiB for {path.rsplit('/', 1)[-1]} is refused before it is sent")
    def run(stage: Stage) -> None:
        at = urlsplit(stage.url)
        with socket.create_connection((at.hostname or "", at.port or 80), timeout=20) as sock:
            sock.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 67108864\r\n\r\n".encode())
            same(sock.recv(4096)[9:12], b"413", "status")


_declared(EXCHANGE)
_declared(JOIN)


# ---- challenges -------------------------------------------------------------------------------------------------

UNANSWERED: dict[str, Callable[[Child], str | None]] = {
    "that answers nothing": lambda child: None,
    "that answers what nobody asked": lambda child: nonce(),
    "that answers a challenge of another session": lambda child: child.challenge("wait"),
}


def _unanswered(name: str, make: Callable[[Child], str | None]) -> None:
    @check(BELOW, "8.4", f"a request {name} applies nothing and gets a fresh challenge")
    def run(stage: Stage) -> None:
        child = stage.child
        answer = child.post(child.compose([born(child)], answers=make(child), first=first(child)))
        same(answer.status, 428, "status")
        assert answer.document is not None
        same(answer.document.statements, [], "statements in it")
        same(answer.header["ack"]["seq"], len(child.link.lines), "its ack")
        assert answer.header["challenge"], "no challenge in it"


for _name, _answer in UNANSWERED.items():
    _unanswered(_name, _answer)


@check(BELOW, "8.4", "a challenge of another child does not serve")
def of_another_child(stage: Stage) -> None:
    theirs, child = stage.spare().challenge(), stage.child
    same(child.post(child.compose(answers=theirs)).status, 428)


@check(BELOW, "8.4", "a challenge serves once")
def serves_once(stage: Stage) -> None:
    child = stage.child
    given = child.challenge()
    same([child.post(child.compose(answers=given)).status for _ in range(2)], [200, 428])


@check(BELOW, "8.4", "a recorded request, sent again, changes nothing and reads nothing out")
def replay(stage: Stage) -> None:
    child = stage.child
    raw = ready(child, [])
    same(child.post(raw).status, 200)
    again = child.post(raw)
    assert again.document is not None
    same((again.status, again.document.statements, again.document.loose), (428, [], []))


@check(BELOW, "12", "of 20 open challenges of a child the newest 16 serve")
def newest_16(stage: Stage) -> None:
    child = stage.spare()
    given = [child.challenge() for _ in range(20)]
    same(child.post(child.compose(answers=given[0])).status, 428, "the oldest")
    same(child.post(child.compose(answers=given[-1])).status, 200, "the newest")


@check(BELOW, "8.1", "a reply echoes session, nonce and lane, is sealed by the parent and gives a fresh challenge")
def reply(stage: Stage) -> None:
    one, two = good(stage.child.exchange()), good(stage.child.exchange())
    assert one.header["challenge"] != two.header["challenge"], "a challenge twice"
    same((one.header["budget"]["wait_s"], one.header["checkpoint"]), (0, None))


@check(BELOW, "8.3", "a loose line of an unknown name is passed over")
def unknown_line(stage: Stage) -> None:
    good(stage.child.exchange([loose("of_a_later_version", {"deep": [1, {"x": None}]})]))


@check(BELOW, "3.2", "white space, escapes and the order of members are free")
def free_form(stage: Stage) -> None:
    child = stage.child
    line = b' { "later" : [ 1 ,\t2 ] } '
    good(child.exchange([line]))
    spaced = child.draft("opened", child.opened("空白")).replace(b'{"payload"', b'{ "payload"')
    good(child.say(spaced))


@check(BELOW, "8.1", "other methods are not there")
def methods(stage: Stage) -> None:
    for method in ("GET", "PUT", "DELETE"):
        status = stage.client.request(method, EXCHANGE).status_code
        assert status in (404, 405), f"{method}: {status}"
