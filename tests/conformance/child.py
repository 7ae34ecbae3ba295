"""The kit as a child: an honest peer that calls its parent, and one that says whatever a check wants."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.conformance.office import Link, Office, nonce, now
from tests.conformance.talk import answers, hear, pulls
from tests.conformance.wire import document, joining, strict
from tests.conformance.wire.document import Document
from tests.conformance.wire.jose import unb64
from tests.conformance.wire.statement import identity
from tests.conformance.wire.stream import Stream
from tests.conformance.wire.strict import Json

EXCHANGE, JOIN = "/federation/v1/exchange", "/federation/v1/join"
MEDIA = "application/liandong-exchange+jsonl"
PROBLEM = "application/problem+json"
BUDGET = {"items": 2500, "bytes": 4194304, "wait_s": 0}


@dataclass(frozen=True)
class Answer:
    """What the parent said: a status, and a document or the name of a problem."""

    status: int
    document: Document | None
    problem: str | None
    raw: bytes

    @property
    def verdicts(self) -> list[tuple[str, str | None]]:
        return [(each["disposition"], each["code"]) for each in self.of("verdict")]

    def of(self, name: str) -> list[Any]:
        return self.document.of(name) if self.document else []

    @property
    def header(self) -> Json:
        assert self.document is not None, f"no document but {self.status} {self.problem}"
        return self.document.header


class Child(Office):
    def __init__(self, token: str, url: str | None = None) -> None:
        self.token = strict.read(unb64(token))
        joining.TOKEN(self.token)
        super().__init__(self.token["code"], self.token["tier"], f"http://127.0.0.1:1{self.token['code'][:4]}")
        self.parent = str(self.token["parent"])
        self.client = httpx.Client(base_url=url or self.token["url"], trust_env=False, timeout=60)
        self.sessions: dict[str, str] = {}
        self.challenges: dict[str, str] = {}
        self.heard: list[Document] = []
        self.owed: list[bytes] = []
        """Loose lines for the next document."""

    # ---- joining ------------------------------------------------------------------------------------------------

    def ask_to_join(self, raw: bytes | None = None) -> httpx.Response:
        request = joining.request(self.key, self.token, self.card, self.drawn) if raw is None else raw
        return self.client.post(JOIN, content=request, headers={"content-type": MEDIA})

    def join(self) -> "Child":
        response = self.ask_to_join()
        assert response.status_code == 200, f"join: {response.status_code} {response.text[:300]}"
        self.enrol(response.content)
        return self

    def enrol(self, answer: bytes) -> None:
        """The checks of 9 on the parent's answer."""
        for line in answer.split(b"\n")[:-1]:
            statement = self.roster.open(line)
            self.roster.add(statement)
            self.store[statement.id] = line
        first, mine = next(iter(self.roster.entries)), self.roster.members[self.code]
        assert first == self.token["anchor"], "the root is not the anchor of the token"
        assert self.roster.members[self.parent].card["key"] == self.token["key"], "the parent has another key"
        assert (mine.parent, mine.card, mine.inc) == (self.parent, self.card, [1, self.drawn]), "enrolled otherwise"
        self.inc = [1, self.drawn]
        into = Stream(self.parent, self.roster.live(self.parent), self.code)
        self.links[self.parent] = Link(self.parent, Stream(self.code, self.inc, self.parent), into)

    @property
    def link(self) -> Link:
        return self.links[self.parent]

    # ---- one request --------------------------------------------------------------------------------------------

    def session(self, lane: str = "push") -> str:
        return self.sessions.setdefault(lane, nonce())

    def header(self, lane: str = "push", **head: Any) -> Json:
        return {
            "v": 1, "from": self.code, "to": self.parent, "inc": self.inc, "instance": self.instance, "lane": lane,
            "session": self.session(lane), "nonce": nonce(), "answers": None, "challenge": None,
            "ack": self.link.into.ack, "first": 0, "budget": BUDGET, "checkpoint": None, **head,
        }  # fmt: skip

    def compose(self, lines: Sequence[bytes] = (), seal: Json | None = None, key: Any = None, **head: Any) -> bytes:
        """A sealed document by hand; `seal` and `head` replace fields."""
        return document.compose(key or self.key, self.header(**head), lines, now(), seal)

    def post(self, content: Any, path: str = EXCHANGE, **headers: str) -> Answer:
        response = self.client.post(path, content=content, headers={"content-type": MEDIA, **headers})
        media = response.headers.get("content-type", "")
        if media == PROBLEM:
            found = response.json()
            assert found["status"] == response.status_code, "a problem names another status"
            return Answer(response.status_code, None, found["type"].removeprefix("urn:liandong:problem:"), b"")
        assert media == MEDIA, f"media type {media}"
        return Answer(
            response.status_code, document.read(response.content, self.roster.keyring), None, response.content
        )

    def challenge(self, lane: str = "push") -> str:
        """A fresh challenge of this lane."""
        answer = self.post(self.compose(lane=lane))
        assert answer.status == 428, f"expected a challenge, got {answer.status} {answer.problem}"
        assert answer.header["inc"] == [0, ""], "a challenge is given in an incarnation its reader may not know"
        found = answer.header["challenge"]
        assert isinstance(found, str)
        return found

    # ---- the honest way -----------------------------------------------------------------------------------------

    def exchange(self, lines: Sequence[bytes] = (), wait_s: int = 0, lane: str = "push", **head: Any) -> Answer:
        """All that is not acknowledged, and what is owed, in one honest request; its reply is taken."""
        rest = self.link.lines[self.link.acked :]
        own = {"first": self.link.acked + 1 if rest else 0, "budget": {**BUDGET, "wait_s": wait_s}, **head}
        owed, self.owed = self.owed, []
        for _ in range(2):
            answers_to = self.challenges.pop(lane, None)
            sent = self.header(lane, answers=answers_to, **own)
            said = [*owed, *lines, *pulls(self)]
            answer = self.post(document.compose(self.key, sent, [*rest, *said], now()))
            if answer.document is not None:
                self._check_reply(sent, answer)
                self.challenges[lane] = answer.header["challenge"]
            if answer.status != 428:
                break
        if answer.status == 200 and answer.document is not None:
            self.heard.append(answer.document)
            hear(self, self.link, answer.document)
            self.owed += answers(self, self.link, answer.document)
        return answer

    def _check_reply(self, sent: Json, answer: Answer) -> None:
        names = ("session", "nonce", "lane")
        header = answer.header
        assert [header[name] for name in names] == [sent[name] for name in names], "a reply names another request"
        assert (header["from"], header["to"]) == (self.parent, self.code), "a reply of others"
        assert header["answers"] is None, "a reply answers a challenge"
        assert header["challenge"], "a reply gives no challenge"

    def say(self, *raws: bytes, loose: Sequence[bytes] = (), **head: Any) -> Answer:
        """These lines as the next of our stream, right or wrong; what is wrong is told in the answer."""
        for raw in raws:
            self.link.send(raw)
        return self.exchange(loose, **head)

    def evil_say(self, *raws: bytes) -> Answer:
        self.evil |= {identity(raw) for raw in raws}
        return self.say(*raws)

    def settle(self, rounds: int = 12) -> None:
        """Exchange until neither side has anything left to say."""
        for _ in range(rounds):
            before = (self.link.into.seq, len(self.link.lines))
            self.exchange()
            if before == (self.link.into.seq, len(self.link.lines)) and self.link.acked == len(self.link.lines):
                return

    def open(self, **other: Any) -> str:
        """A topic of this child that the parent has."""
        topic = self.write("opened", self.opened(**other)).id
        answer = self.exchange()
        assert (answer.status, answer.verdicts) == (200, []), f"{answer.status} {answer.verdicts}"
        return topic

    def escalate(self, topic: str, **other: Any) -> str:
        offer = self.write("offered", self.offered(self.parent, "escalate", tried="x", **other), topic).id
        answer = self.exchange()
        assert (answer.status, answer.verdicts) == (200, []), f"{answer.status} {answer.verdicts}"
        return offer

    def close(self) -> None:
        with contextlib.suppress(httpx.HTTPError):
            self.client.close()
