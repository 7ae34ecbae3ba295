"""The kit as a parent: a small HTTP server that the node under test calls as its child.

It is honest until a check puts a `script` in front: a function that may answer a request in its own way.
"""

import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.conformance.child import EXCHANGE, JOIN, MEDIA, PROBLEM
from tests.conformance.office import Link, Office, nonce, now
from tests.conformance.talk import answers, hear, pulls
from tests.conformance.wire import document, joining, log, sets, strict
from tests.conformance.wire.document import Document, loose
from tests.conformance.wire.jose import b64
from tests.conformance.wire.shapes import NONE
from tests.conformance.wire.stream import Stream
from tests.conformance.wire.strict import Json, Wrong

Reply = tuple[int, str, bytes]
Script = Callable[[Document], "Reply | None"]
ADVICE = {"items": 200, "bytes": 1048576, "wait_s": 0}


class Parent(Office):
    """The root of a tree of its own; `compare` makes it compare sets with its child."""

    def __init__(self, code: str = "620000", tier: str = "province", port: int = 0) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        super().__init__(code, tier, f"http://127.0.0.1:{self.port}")
        self.inc = [1, self.drawn]
        self.anchor = self.register("anchored", {"node": self.card, "inc": self.inc, "witnesses": []}).id
        self.invited: dict[str, Json] = {}
        self.enrolments: dict[str, tuple[str, bytes]] = {}
        self.open_challenges: dict[str, list[tuple[str, str]]] = {}
        self.requests: list[Document] = []
        self.recorded: list[bytes] = []
        self.given: list[bytes] = []
        self.joins: list[bytes] = []
        self.owed: dict[str, list[bytes]] = {}
        self.script: Script | None = None
        self.join_script: Callable[[bytes], Reply | None] | None = None
        self.comparing: set[str] = set()
        self.equal: set[str] = set()
        self.grants = True
        self.pokes = 0
        self.changed = threading.Condition(threading.RLock())
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> "Parent":
        self.thread.start()
        return self

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # ---- for checks ---------------------------------------------------------------------------------------------

    def until(self, what: Callable[[], Any], seconds: float = 60, why: str = "") -> Any:
        """Wait until something is so; looked at after every request of the child."""
        with self.changed:
            end = time.monotonic() + seconds
            while not (found := what()):
                self.poke()
                left = end - time.monotonic()
                assert left > 0, f"it did not come to that: {why}"
                self.changed.wait(min(left, 0.1))
            return found

    def next_request(self, count: int = 1, where: Callable[[Document], bool] = lambda _: True) -> Document:
        """The next good document of the child that is so."""
        with self.changed:
            start = len(self.requests)
            self.poke()
        found: list[Document] = []

        def seen() -> bool:
            found[:] = [each for each in self.requests[start:] if where(each)]
            self.poke()
            return len(found) >= count

        self.until(seen, why="no further request of the child")
        return found[count - 1]

    def poke(self) -> None:
        """Let go of the replies that are held, so that the child calls again."""
        self.pokes += 1
        self.changed.notify_all()

    def tell(self, *raws: bytes, child: str = "") -> list[str]:
        """These lines on the stream to the child, right or wrong; gives their identities."""
        with self.changed:
            link = self.links[child] if child else next(iter(self.links.values()))
            for raw in raws:
                link.send(raw)
            self.changed.notify_all()
            return [document.sha(raw) for raw in raws]

    def invite(self, code: str, tier: str) -> str:
        token = {
            "v": 1, "url": self.card["url"], "parent": self.code, "key": self.card["key"], "anchor": self.anchor,
            "log": self.log_name, "code": code, "tier": tier, "name": f"{code} 受检节点", "secret": nonce(),
        }  # fmt: skip
        self.invited[token["secret"]] = token
        return b64(strict.write(token))

    # ---- joining ------------------------------------------------------------------------------------------------

    def answer_join(self, raw: bytes) -> Reply:
        self.joins.append(raw)
        if self.join_script is not None and (scripted := self.join_script(raw)) is not None:
            return scripted
        try:
            asked = joining.open_join(raw)
        except Wrong as error:
            return problem(400, error.code)
        token = self.invited.get(asked["secret"])
        if token is None or asked["parent"] != self.code:
            return problem(403, "not-allowed")
        used = self.enrolments.get(asked["secret"])
        if used is not None:
            return (200, MEDIA, used[1]) if used[0] == asked["node"]["key"] else problem(403, "not-allowed")
        if (asked["node"]["code"], asked["node"]["tier"]) != (token["code"], token["tier"]):
            return problem(403, "not-allowed")
        return self._enrol(asked)

    def _enrol(self, asked: Json) -> Reply:
        child = asked["node"]["code"]
        self.register("enrolled", {"node": asked["node"], "inc": [1, asked["nonce"]]})
        self.link_to(child)
        answer = b"".join(self.store[id] + b"\n" for id in self.roster.entries)
        self.enrolments[asked["secret"]] = (asked["node"]["key"], answer)
        return 200, MEDIA, answer

    def link_to(self, child: str) -> None:
        out, into = Stream(self.code, self.inc, child), Stream(child, self.roster.live(child), self.code)
        self.links[child] = Link(child, out, into)

    # ---- exchange -----------------------------------------------------------------------------------------------

    def answer_exchange(self, raw: bytes) -> Reply:
        with self.changed:
            self.recorded = [*self.recorded[-9:], raw]
            try:
                asked = document.read(raw, self.roster.keyring)
            except Wrong as error:
                self.faults.append(f"a document that is not good: {error}")
                return problem(400, "malformed")
            try:
                reply = self._answer(asked)
                self.given = [*self.given[:9], reply[2]]
                return reply
            finally:
                self.requests.append(asked)
                self.changed.notify_all()

    def _answer(self, asked: Document) -> Reply:
        header = asked.header
        link = self.links.get(header["from"])
        if link is None or header["to"] != self.code or header["lane"] == "file":
            self.faults.append("a document that is not for this link")
            return problem(400, "malformed")
        if self.script is not None and (scripted := self.script(asked)) is not None:
            return scripted
        if header["inc"] not in (self.roster.live(link.peer), NONE) or not self.uses(link, header):
            return 428, MEDIA, self.compose(asked, inc=NONE)
        self.apply_request(link, asked)
        if header["lane"] == "wait":
            self._wait(link, header["budget"]["wait_s"])
        rest = link.lines[link.acked :][: header["budget"]["items"]]
        said = [*rest, *self.owed.pop(link.peer, []), *pulls(self)]
        return 200, MEDIA, self.compose(asked, said, first=link.acked + 1 if rest else 0)

    def apply_request(self, link: Link, asked: Document) -> None:
        owed = self.owed.setdefault(link.peer, [])
        mine = self.shared_with(link.peer)
        hear(self, link, asked)
        owed += answers(self, link, asked)
        if any(each["prefix"] == "" and each == sets.have(mine) for each in asked.of("have")):
            self.equal.add(link.peer)
            self.comparing.discard(link.peer)
        if link.peer in self.comparing:
            owed.append(loose("have", sets.have(self.shared_with(link.peer))))
        for heal in asked.of("heal"):
            if heal["ready"] and self.grants:
                self.grant(link.peer, heal)

    def grant(self, child: str, heal: Json, number: int | None = None) -> None:
        """Once for a nonce (14.4); the live incarnation is begun anew here by the same entry."""
        if any(inc[1] == heal["nonce"] for inc in self.roster.members[child].lives):
            return
        highest = max(heal["number"], self.roster.live(child)[0])
        inc = [highest + 1 if number is None else number, heal["nonce"]]
        into = self.links[child].into
        body = {"node": child, "inc": inc, "key": self.kid(child), "closed": into.ack, "log": None}
        self.granted(self.register("granted", body))
        self.comparing.add(child)

    def kid(self, child: str) -> str:
        return next(kid for kid, (node, _) in self.roster.keyring.items() if node == child)

    def uses(self, link: Link, header: Json) -> bool:
        given = self.open_challenges.setdefault(link.peer, [])
        answer = (header["session"], header["answers"])
        if answer not in given:
            return False
        given.remove(answer)
        return True

    def _wait(self, link: Link, seconds: float) -> None:
        end, pokes = time.monotonic() + min(seconds, 25), self.pokes
        while (
            pokes == self.pokes
            and link.acked == len(link.lines)
            and not self.owed.get(link.peer)
            and self.script is None
        ):
            left = end - time.monotonic()
            if left <= 0:
                return
            self.changed.wait(left)

    def compose(self, asked: Document, lines: Sequence[bytes] = (), seal: Json | None = None, **head: Any) -> bytes:
        """The sealed reply to this request; `head` and `seal` replace fields."""
        header, link = asked.header, self.links[asked.header["from"]]
        challenge = nonce()
        self.open_challenges.setdefault(link.peer, []).append((header["session"], challenge))
        own = {
            "v": 1, "from": self.code, "to": link.peer, "inc": self.inc, "instance": self.instance,
            "lane": header["lane"], "session": header["session"], "nonce": header["nonce"], "answers": None,
            "challenge": challenge, "ack": link.into.ack, "first": 0, "budget": ADVICE, "checkpoint": None, **head,
        }  # fmt: skip
        key = own.pop("key", self.key)
        return document.compose(key, own, lines, now(), seal)

    # ---- HTTP ---------------------------------------------------------------------------------------------------

    def checkpoint_of(self, leaves: list[str]) -> str:
        return log.checkpoint(self.key, self.log_name, [log.leaf_hash(id) for id in leaves])

    def _handler(parent) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                if self.path == JOIN:
                    status, media, body = parent.answer_join(raw)
                elif self.path == EXCHANGE:
                    status, media, body = parent.answer_exchange(raw)
                else:
                    status, media, body = problem(404, "not-found")
                self.send_response(status)
                self.send_header("content-type", media)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler


def problem(status: int, name: str) -> Reply:
    body = {"type": f"urn:liandong:problem:{name}", "title": name, "status": status}
    return status, PROBLEM, strict.write(body)
