"""What must hold after every step, checked on what the step changed (docs/reliability.md names the invariants).

Reads the databases beside the nodes and keeps its own account of every topic and link; nothing here asks a service.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.store.codec import load_chain
from schemas.ids import Digest, NodeCode, TopicId
from sync.custody import Chain, writer
from sync.keys import unb64
from tests.sim.ledger import Violation
from tests.sim.machine import Machine
from tests.sim.oracle import Oracle

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(slots=True)
class Seen:
    """A topic as one node has it."""

    id: TopicId
    chain: Chain
    step: str
    status: str
    mine: bool
    declined: bool
    """Whether this node has declined the open offer."""


@dataclass(slots=True)
class Account:
    """What is known of one node's database so far."""

    commits: int = -1
    entries: int = 0
    remarks: int = 0
    heads: dict[TopicId, tuple[int, Digest]] = field(default_factory=dict)
    topics: dict[TopicId, Seen] = field(default_factory=dict)
    links: dict[NodeCode, "LinkRow"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkRow:
    sent: int
    acked: int
    received: int
    received_hash: Digest
    stopped: str | None


_ENTRIES = """SELECT e.rowid, e.id, e.topic, e.seq, e.term, e.kind, e.author, s.raw
FROM entries e JOIN statements s ON s.id = e.id WHERE e.rowid > ? ORDER BY e.rowid"""
_REMARKS = "SELECT rowid, topic FROM remarks WHERE rowid > ? ORDER BY rowid"
_TOPIC = "SELECT id, custody, step, status, mine, seq, head FROM topics WHERE id = ?"
_LINKS = "SELECT peer, sent_seq, acked_seq, received_seq, received_hash, stopped FROM links ORDER BY peer"
_DECLINED = "SELECT 1 FROM remarks WHERE entry = ? AND kind = 'declined' AND author = ?"


class Checker:
    def __init__(self, world: "World") -> None:
        self._world = world
        self._accounts: dict[NodeCode, Account] = {}
        self.order: list[TopicId] = []
        """All topics, in the order they came to be."""
        self._number: dict[TopicId, int] = {}
        self._parts: dict[tuple[Digest, int], TopicId] = {}
        self._entry_at: dict[tuple[TopicId, str, int], Digest] = {}
        self._opener: dict[tuple[TopicId, str], tuple[NodeCode, tuple[Any, ...]]] = {}
        self._decider: dict[TopicId, set[NodeCode]] = {}
        self.payloads: dict[Digest, dict[str, Any]] = {}
        self.oracle = Oracle(world.options)

    # ---- what operators look at ---------------------------------------------------------------------------------

    def topics_at(self, code: NodeCode) -> list[Seen]:
        """The topics a node takes part in, oldest first."""
        here = [seen for seen in self.account(code).topics.values() if seen.mine]
        return sorted(here, key=lambda seen: self._number[seen.id])

    def seen(self, code: NodeCode, topic: TopicId) -> Seen | None:
        return self.account(code).topics.get(topic)

    def split_off(self, topic: TopicId) -> list[TopicId]:
        return [child for (entry, _), child in self._parts.items() if self.payloads[entry]["topic"] == topic]

    def deciders(self, topic: TopicId) -> set[NodeCode]:
        return self._decider.get(topic, set())

    def participants(self, topic: TopicId) -> list[NodeCode]:
        """The nodes that take part in a topic and know it, parents before children."""
        return [code for code in self._world.machines if (seen := self.seen(code, topic)) is not None and seen.mine]

    def behind(self, child: NodeCode, parent: NodeCode) -> bool:
        """Whether there is something to say over this link, one way or the other."""
        ends = (self.account(child).links.get(parent), self.account(parent).links.get(child))
        return any(link is not None and link.sent > link.acked for link in ends)

    def decided(self, offerer: NodeCode, topic: TopicId) -> bool:
        """Whether the node that has this node's offer has answered it already, and the answer is on its way."""
        seen = self.seen(offerer, topic)
        if seen is None or seen.chain.offer is None:
            return False
        there = self.seen(seen.chain.offer.to, topic)
        return there is not None and (there.declined or there.chain.seq > seen.chain.seq)

    def known(self, topic: TopicId) -> bool:
        return topic in self._number

    def number(self, topic: TopicId) -> int:
        return self._number[topic]

    def account(self, code: NodeCode) -> Account:
        return self._accounts.setdefault(code, Account())

    # ---- after a step -------------------------------------------------------------------------------------------

    def after_step(self) -> None:
        changed = [m for m in self._world.machines.values() if m.commits != self.account(m.code).commits]
        for machine in changed:
            self._read_topics(machine)
        for machine in changed:
            self._read_links(machine)
            self.account(machine.code).commits = machine.commits
        for machine in changed:
            for peer in self.account(machine.code).links:
                self._check_link(machine.code, peer)
                self._check_link(peer, machine.code)

    def _read_topics(self, machine: Machine) -> None:
        account = self.account(machine.code)
        touched: dict[TopicId, None] = {}
        for rowid, id, topic, seq, term, kind, author, raw in machine.rows(_ENTRIES, account.entries):
            account.entries = rowid
            self._check_entry(machine.code, account, id, (topic, term, seq), author, raw)
            if kind == "opened":
                self._born(topic)
            touched[topic] = None
        for rowid, topic in machine.rows(_REMARKS, account.remarks):
            account.remarks = rowid
            touched[topic] = None
        for topic in touched:
            self._read_topic(machine, account, topic)

    def _born(self, topic: TopicId) -> None:
        if topic in self._number:
            return
        self._number[topic] = len(self.order)
        self.order.append(topic)
        above = self.payloads[topic]["body"]["parent"]
        if above is not None:
            if self._parts.setdefault((above["entry"], above["n"]), topic) != topic:
                raise Violation(f"I16: two topics are part {above['n']} of one split")
            if above["entry"] not in self.payloads:
                raise Violation("I16: a topic is part of a split nobody wrote")

    def _check_entry(
        self, code: NodeCode, account: Account, id: Digest, at: tuple[TopicId, str, int], author: NodeCode, raw: bytes
    ) -> None:
        new = id not in self.payloads
        if new:
            self.payloads[id] = json.loads(unb64(json.loads(raw)["payload"]))
        said, (topic, term, seq) = self.payloads[id], at
        if self._entry_at.setdefault(at, id) != id:
            raise Violation(f"I3: two entries at {at}")
        who = (author, tuple(said["inc"]))
        if self._opener.setdefault((topic, term), who) != who:
            raise Violation(f"I2: {who} writes in the term {term} of {self._opener[topic, term]}")
        before = account.heads.get(topic)
        expected = (0, None) if before is None else (before[0] + 1, before[1])
        if (seq, said["prev"]) != expected:
            raise Violation(f"I9: {code} has {seq} after {before}")
        account.heads[topic] = (seq, id)
        if new:
            self.oracle.judge(id, said)

    def _read_topic(self, machine: Machine, account: Account, topic: TopicId) -> None:
        id, custody, step, status, mine, seq, head = machine.rows(_TOPIC, topic)[0]
        chain = load_chain(custody)
        if (seq, head) != account.heads[topic] or (chain.seq, chain.head) != account.heads[topic]:
            raise Violation(f"I9: the row of topic {self._number[topic]} at {machine.code} is not its head's")
        declined = chain.offer is not None and bool(machine.rows(_DECLINED, chain.offer.id, chain.offer.to))
        account.topics[topic] = Seen(id, chain, step, status, bool(mine), declined)
        deciders = self._decider.setdefault(topic, set())
        if decides(machine, account.topics[topic]):
            deciders.add(machine.code)
        else:
            deciders.discard(machine.code)
        if len(deciders) > 1:
            raise Violation(f"I11: topic {self._number[topic]} has deciders {sorted(deciders)}")

    def _read_links(self, machine: Machine) -> None:
        account = self.account(machine.code)
        for peer, *values in machine.rows(_LINKS):
            row, before = LinkRow(*values), account.links.get(peer)
            account.links[peer] = row
            if row.stopped is not None:
                raise Violation(f"I14: the link {machine.code}-{peer} stopped: {row.stopped}")
            if before is not None and (
                row.sent < before.sent or row.acked < before.acked or row.received < before.received
            ):
                raise Violation(f"I6: a cursor of {machine.code}-{peer} went back: {before} to {row}")
            if row.acked > row.sent:
                raise Violation(f"I6: {peer} acknowledged what {machine.code} never sent")

    def _check_link(self, sender: NodeCode, receiver: NodeCode) -> None:
        """What the receiver has is what the sender sent, and what the sender takes for received is."""
        mine, its = self.account(sender).links.get(receiver), self.account(receiver).links.get(sender)
        if mine is None or its is None:
            return
        if not mine.acked <= its.received <= mine.sent:
            raise Violation(
                f"I6: {sender} to {receiver}: acked {mine.acked}, received {its.received}, sent {mine.sent}"
            )
        query = "SELECT hash FROM outbox WHERE peer = ? AND seq = ?"
        if its.received > 0:
            found = self._world.machines[sender].rows(query, receiver, its.received)
            if not found or found[0][0] != its.received_hash:
                raise Violation(f"I6: {sender} and {receiver} know different streams")


def decides(machine: Machine, seen: Seen) -> bool:
    """Whether this node, by what it knows, may write the topic's next entry."""
    if not seen.mine:
        return False
    next_writer = writer(seen.chain)
    mine = (next_writer.node, next_writer.inc) == (machine.code, machine.inc)
    return mine and not (next_writer.offer is not None and seen.declined)
