"""One node as the kit plays it: its key, what it knows of the tree, its topics, and its neighbours."""

import datetime
import secrets
from dataclasses import dataclass, field
from typing import Any

import pyrage

from tests.conformance.wire import bodies, log, strict
from tests.conformance.wire.chain import Chain, Topic
from tests.conformance.wire.jose import Key, b64, sha, unb64
from tests.conformance.wire.roster import Roster, opened_by
from tests.conformance.wire.shapes import FIRST_TERM, NONE, RANK
from tests.conformance.wire.statement import Statement, identity
from tests.conformance.wire.stream import Stream
from tests.conformance.wire.strict import Json, Wrong

CHUNK_BYTES = 100_000
OFFER = dict.fromkeys(
    ("reason", "tried", "opinion", "instruction", "answer_by", "due_at", "suggested", "override_reason")
)


def nonce() -> str:
    return secrets.token_hex(16)


def now(later_s: float = 0) -> str:
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=later_s)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Link:
    """One link: our stream with its lines, the other's as far as we have it."""

    peer: str
    out: Stream
    into: Stream
    lines: list[bytes] = field(default_factory=list)
    acked: int = 0

    def send(self, raw: bytes) -> None:
        self.lines.append(raw)
        self.out.add(identity(raw))


@dataclass
class Part:
    """Content of a part as it comes in."""

    size: int
    salt: str
    data: bytearray = field(default_factory=bytearray)

    @property
    def whole(self) -> bool:
        return len(self.data) == self.size


class Office:
    def __init__(self, code: str, tier: str, url: str) -> None:
        self.code, self.tier = code, tier
        self.key, self.instance, self.inc = Key.new(), nonce(), NONE
        self.drawn = nonce()
        """The nonce of the incarnation that is to come."""
        box = str(pyrage.x25519.Identity.generate().to_public())
        self.card = {
            "code": code, "name": f"{code} 一致性检验", "tier": tier, "url": url,
            "key": b64(self.key.public), "box": box,
        }  # fmt: skip
        self.roster = Roster()
        self.topics: dict[str, Topic] = {}
        self.remarks: dict[str, Statement] = {}
        self.summaries: list[Statement] = []
        self.store: dict[str, bytes] = {}
        """Entries, remarks and registry entries by identity, in the order they came."""
        self.parked: dict[str, tuple[bytes, Wrong]] = {}
        """What came and could not be applied."""
        self.parts: dict[str, Part] = {}
        self.links: dict[str, Link] = {}
        self.settled: set[str] = set()
        self.leaves: list[str] = []
        self.signed: dict[str, tuple[int, bytes, str | None]] = {}
        """Of each log the largest state signed as its witness, and the line."""
        self.evil: set[str] = set()
        """Statements that a check made wrong on purpose."""
        self.faults: list[str] = []

    # ---- writing ------------------------------------------------------------------------------------------------

    @property
    def log_name(self) -> str:
        return log.log_name(self.code, self.inc)

    def sign(self, payload: Json | bytes, typ: str, **header: Any) -> bytes:
        return strict.write(self.key.jws(payload, typ, **header))

    def shared(self) -> Json:
        return {"v": 1, "author": self.code, "inc": self.inc, "at": now()}

    def draft(self, kind: str, body: Json, topic: str | None = None, parts: Any = (), **other: Any) -> bytes:
        """The next entry of a topic, signed and not kept; `other` replaces fields of the payload."""
        return self.sign(self.payload(kind, body, topic, parts, **other), bodies.ENTRY)

    def payload(self, kind: str, body: Json, topic: str | None = None, parts: Any = (), **other: Any) -> Json:
        end = self.chain(topic) if topic else None
        seq, prev, term = (0, None, FIRST_TERM) if end is None else (end.seq + 1, end.head, self._term(end, kind))
        own = {"topic": topic, "seq": seq, "prev": prev, "term": term}
        return {**self.shared(), **own, "kind": kind, "body": body, "parts": list(parts), **other}

    def _term(self, end: Chain, kind: str) -> list[Any]:
        if kind in ("accepted", "resumed"):
            return [*end.term[:3], end.term[3] + 1]
        return [end.term[0] + 1, RANK[self.tier], self.inc, 0] if kind == "claimed" else end.term

    def write(self, kind: str, body: Json, topic: str | None = None, parts: Any = (), **other: Any) -> Statement:
        """The next entry of a topic, kept and put on the streams of neighbours that take part."""
        return self.utter(self.draft(kind, body, topic, parts, **other))

    def write_quietly(self, kind: str, body: Json, topic: str, **other: Any) -> Statement:
        """The next entry of a topic, kept and put on no stream."""
        statement = self.apply(self.draft(kind, body, topic, **other))
        self.leaves.append(statement.id)
        return statement

    def topics_of(self, entry: str) -> str:
        """The topic this entry belongs to."""
        return next(name for name, topic in self.topics.items() if entry in topic.entries)

    def remark(self, topic: str, entry: str, kind: str, body: Json, **other: Any) -> bytes:
        own = {"topic": topic, "entry": entry, "kind": kind, "body": body, "parts": []}
        return self.sign({**self.shared(), **own, **other}, bodies.REMARK)

    def register(self, kind: str, body: Json, **other: Any) -> Statement:
        seq, prev = self.roster.heads.get((self.code, *self.inc), (-1, None))
        own = {"seq": seq + 1, "prev": prev, "kind": kind, "body": body, "parts": []}
        return self.utter(self.sign({**self.shared(), **own, **other}, bodies.REGISTER))

    def utter(self, raw: bytes) -> Statement:
        statement = self.apply(raw)
        self.leaves.append(statement.id)
        self.pass_on(statement)
        return statement

    def pass_on(self, statement: Statement, source: str = "") -> None:
        """To whom, by 5.6: a neighbour that was in the topic gets this one, a new one the whole of it."""
        for link in self.links.values():
            if link.peer != source:
                for raw in self._for(link, statement):
                    link.send(raw)

    def _for(self, link: Link, statement: Statement) -> list[bytes]:
        if statement.typ == bodies.REGISTER:
            return [statement.raw]
        topic = self.topics[statement.payload.get("topic") or statement.id]
        if link.peer not in self.members(topic):
            return []
        before = topic.states.get(statement.payload.get("prev") or "")
        if statement.typ == bodies.REMARK or before is None or link.peer in before.participants:
            return [statement.raw]
        beside = [each.raw for each in self.remarks.values() if each.payload["topic"] == statement.payload["topic"]]
        return [each.raw for each in topic.path()] + beside

    def members(self, topic: Topic) -> frozenset[str]:
        return frozenset().union(*(state.participants for state in topic.states.values()))

    def chain(self, topic: str) -> Chain:
        end = self.topics[topic].end
        assert end is not None
        return end

    # ---- bodies -------------------------------------------------------------------------------------------------

    def opened(self, title: str = "路灯不亮", **other: Any) -> Json:
        above = self.roster.ancestors(self.code)
        return {
            "nonce": nonce(), "number": f"{self.code}-2026-000001", "title": title, "kind": "matter",
            "category": None, "areas": [self.code], "source": None, "external_id": None, "unit": None,
            "raised_at": None, "keeper": above[0] if above else None, "arbiters": above or [self.code],
            "parent": None, "depth": 0, **other,
        }  # fmt: skip

    def offered(self, to: str, mode: str, **other: Any) -> Json:
        return {**OFFER, "to": to, "to_inc": self.roster.live(to), "mode": mode, "reason": "请办理", **other}

    def part(self, name: str, content: bytes, share: str = "full", media: str = "text/plain") -> tuple[Json, Part]:
        salt = nonce()
        digest = sha(bytes.fromhex(salt) + content)
        ref = {"name": name, "digest": digest, "size": len(content), "media": media, "share": share}
        return ref, Part(len(content), salt, bytearray(content))

    # ---- reading ------------------------------------------------------------------------------------------------

    def apply(self, raw: bytes) -> Statement:
        """One more statement of record, by the reference folds; raises Wrong."""
        try:
            statement = opened_by(raw, self.roster)
        except Wrong as error:
            if error.code != "unknown-key":
                raise
            statement = self.roster.open(raw)
        if statement.typ == bodies.REGISTER:
            self.roster.add(statement)
        elif statement.typ == bodies.ENTRY:
            self._entry(statement)
        elif statement.typ == bodies.REMARK:
            self._remark(statement)
        else:
            self.summaries.append(statement)
        self.store[statement.id] = raw
        return statement

    def _entry(self, statement: Statement) -> None:
        name = statement.payload["topic"] or statement.id
        topic = self.topics.get(name)
        if topic is None and statement.kind != "opened":
            raise Wrong("deferred", "gap")
        fresh = topic or Topic()
        if statement.id not in fresh.entries:
            fresh.add(statement, self.roster)
            self.topics[name] = fresh

    def _remark(self, statement: Statement) -> None:
        topic = self.topics.get(statement.payload["topic"])
        if topic is None or statement.payload["entry"] not in topic.entries:
            raise Wrong("deferred", "unknown-entry")
        if not statement.known:
            raise Wrong("held", "unknown-kind")
        if statement.author not in self.members(topic):
            raise Wrong("deferred", "not-a-participant")
        self.remarks[statement.id] = statement

    def take(self, raw: bytes, source: str) -> None:
        """One statement of a neighbour: applied and passed on, or kept with what is wrong with it."""
        id = identity(raw)
        if id in self.store:
            return
        try:
            statement = self.apply(raw)
        except Wrong as error:
            self.parked[id] = (raw, error)
            return
        self.parked.pop(id, None)
        if statement.kind in ("granted", "rotated") and statement.typ == bodies.REGISTER:
            self.granted(statement)
        if statement.typ != bodies.SUMMARY:
            self.pass_on(statement, source)
        for other, _ in list(self.parked.values()):
            if identity(other) in self.parked and self._would(other):
                self.take(other, source)

    def _would(self, raw: bytes) -> bool:
        """Whether what waited can be taken now."""
        code = self.parked[identity(raw)][1].code
        return code in ("gap", "unknown-key", "unknown-entry", "not-a-participant") and self._known_now(raw)

    def _known_now(self, raw: bytes) -> bool:
        payload = strict.read(unb64(strict.read(raw)["payload"]))
        topic = self.topics.get(payload.get("topic") or "")
        needs = payload.get("prev") or payload.get("entry")
        return topic is not None and needs in topic.entries

    def granted(self, statement: Statement) -> None:
        """A grant begins streams anew (14.4)."""
        body = statement.body
        if statement.kind != "granted":
            return
        if body["node"] == self.code and body["inc"][1] == self.drawn and self.inc == NONE:
            self.live(body["inc"])
        elif body["node"] in self.links and self.roster.live(body["node"]) == body["inc"]:
            self.links[body["node"]].into = Stream(body["node"], body["inc"], self.code)

    def live(self, inc: list[Any]) -> None:
        self.inc, self.leaves = inc, []
        for link in self.links.values():
            rest = link.lines[link.acked :]
            link.out, link.lines, link.acked = Stream(self.code, inc, link.peer), [], 0
            for raw in rest:
                link.send(raw)

    def die(self) -> None:
        """This office was restored: no live incarnation, and a nonce for the next."""
        self.inc, self.drawn = NONE, nonce()

    # ---- parts --------------------------------------------------------------------------------------------------

    def wants(self) -> dict[str, int]:
        """Full parts that statements here name and that are not here, with how far we have each."""
        found = {}
        for raw in self.store.values():
            for part in strict.read(unb64(strict.read(raw)["payload"]))["parts"]:
                have = self.parts.get(part["digest"])
                if part["share"] == "full" and part["size"] and not (have and have.whole):
                    found[part["digest"]] = len(have.data) if have else 0
        return found

    def chunk(self, value: Json) -> None:
        part = self.parts.setdefault(value["digest"], Part(value["size"], value["salt"]))
        data = unb64(value["data"])
        if part.whole or value["offset"] > len(part.data) or value["salt"] != part.salt:
            return
        part.data[value["offset"] :] = data
        if part.whole and sha(bytes.fromhex(part.salt) + bytes(part.data)) != value["digest"]:
            self.faults.append(f"part {value['digest']} does not fit its digest")

    # ---- the set towards a neighbour (14.3) ----------------------------------------------------------------------

    def shared_with(self, peer: str) -> list[str]:
        found = set(self.roster.entries)
        for name, topic in self.topics.items():
            if {peer, self.code} <= self.members(topic):
                found |= set(topic.entries)
                found |= {id for id, remark in self.remarks.items() if remark.payload["topic"] == name}
        kept = [id for id, (_, error) in self.parked.items() if error.disposition in ("held", "deferred")]
        unverified = ("bad-signature", "unknown-key", "forged-author", "revoked-key")
        found |= {id for id in kept if self.parked[id][1].code not in unverified}
        return sorted(found)

    def raw_of(self, id: str) -> bytes:
        return self.store[id] if id in self.store else self.parked[id][0]

    def in_order(self, ids: list[str]) -> list[bytes]:
        """As 14.3 has it: each after what it stands on."""
        place = {id: n for n, id in enumerate([*self.store, *self.parked])}
        return [self.raw_of(id) for id in sorted(ids, key=lambda id: place.get(id, 0))]
