"""What must hold after every step, checked on what the step changed (docs/reliability.md names the invariants).

Reads the databases beside the nodes and keeps its own account of every topic and link; nothing here asks a service.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.clock import parse_instant
from node.store.codec import inc_of, load_chain
from schemas.ids import NO_INCARNATION, Digest, Incarnation, NodeCode, TopicId
from sync.custody import Chain, writer
from tests.sim.ledger import Violation
from tests.sim.machine import Machine
from tests.sim.oracle import Course, Oracle, Payload

if TYPE_CHECKING:
    from tests.sim.world import World


@dataclass(slots=True)
class Seen:
    """A topic as one node has it; `row` is what it was read from."""

    id: TopicId
    chain: Chain
    step: str
    status: str
    mine: bool
    declined: bool
    """Whether this node has declined the open offer."""
    row: tuple[Any, ...]
    orphans: tuple[tuple[Digest, str | None], ...] = ()
    """Entries beside the chain, and what became of each."""


@dataclass(slots=True)
class Account:
    """What is known of one node's database so far; begun anew when another database was put in its place."""

    commits: int = -1
    generation: int = 0
    inc: Incarnation = NO_INCARNATION
    stream_inc: Incarnation = NO_INCARNATION
    healing: bool = False
    topics: dict[TopicId, Seen] = field(default_factory=dict)
    links: dict[NodeCode, "LinkRow"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LinkRow:
    sent: int
    acked: int
    received: int
    received_hash: Digest
    stopped: str | None
    received_inc: Incarnation
    stream_inc: Incarnation
    comparing: bool


_TOPICS = "SELECT id, custody, step, status, mine, seq, head FROM topics"
_ORPHANS = "SELECT topic, id, disposed FROM orphans ORDER BY topic, id"
_ENTRIES = "SELECT id FROM entries WHERE topic = ? ORDER BY seq"
_NODE = "SELECT inc_number, inc_nonce, stream_inc, healing_since FROM node"
_LINKS = (
    "SELECT peer, sent_seq, acked_seq, received_seq, received_hash, stopped, received_inc, comparing"
    " FROM links ORDER BY peer"
)
_CLAIMS = """SELECT c.ask_until, a.at FROM claims c JOIN audit a ON a.action = 'claimed' AND a.topic IS NULL
    AND json_extract(a.detail, '$.claim') = c.id WHERE c.topics LIKE ? ORDER BY a.id DESC LIMIT 1"""
_TOLD = "SELECT author FROM remarks WHERE topic = ? AND kind = 'told'"
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
        self._decider: dict[TopicId, dict[NodeCode, tuple[Any, ...]]] = {}
        self.payloads = world.ledger.payloads
        self.entries: dict[TopicId, list[Digest]] = {}
        """Every entry ever written, in the order of writing."""
        self.oracle = Oracle(world.options)
        self.forked: dict[Digest, TopicId] = {}
        """Entries at a position already taken, by a node that ran twice in one incarnation, and what stands on them;
        and the second answer of such a node to one offer."""
        self._answered: dict[tuple[Digest, NodeCode], set[str]] = {}
        """The kinds of answer to each offer."""

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
        return set(self._decider.get(topic, ()))

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

    def course(self, seen: Seen) -> Course:
        """The course of a topic as a node has it."""
        return self.oracle.courses[seen.chain.head]

    # ---- after a step -------------------------------------------------------------------------------------------

    def after_step(self) -> None:
        fresh, self._world.ledger.fresh = self._world.ledger.fresh, []
        for id in fresh:
            self._written(id, self.payloads[id])
        changed = [m for m in self._world.machines.values() if self._is_new(m)]
        for machine in changed:
            self._read_node(machine)
            self._read_topics(machine)
        for machine in changed:
            self._read_links(machine)
            self.account(machine.code).commits = machine.commits
        for machine in changed:
            for peer in self.account(machine.code).links:
                self._check_link(machine.code, peer)
                self._check_link(peer, machine.code)

    def _is_new(self, machine: Machine) -> bool:
        account = self.account(machine.code)
        if account.generation != machine.generation:
            self._accounts[machine.code] = Account(generation=machine.generation)
            for deciders in self._decider.values():
                deciders.pop(machine.code, None)
            return True
        return account.commits != machine.commits

    # ---- what was written ---------------------------------------------------------------------------------------

    def _written(self, id: Digest, said: Payload) -> None:
        if said["kind"] in ("accepted", "declined"):
            self._answer(id, said)
        if "term" in said:
            self._entry(id, said)
        elif said["kind"] in ("anchored", "enrolled"):
            self.oracle.granted(said["body"]["node"]["code"], said["body"]["inc"])
        elif said["kind"] == "granted":
            self._check_number(said["author"], said["body"])
            self.oracle.granted(said["body"]["node"], said["body"]["inc"])
        elif said["kind"] == "declined":
            self._check_expired(said)

    def _answer(self, id: Digest, said: Payload) -> None:
        """Who ran twice may accept and decline one offer; each node then goes by the half it heard first."""
        offer = said["entry"] if said["kind"] == "declined" else said["body"]["offer"]
        kinds = self._answered.setdefault((offer, said["author"]), set())
        kinds.add(said["kind"])
        if len(kinds) > 1 and (said["author"], tuple(said["inc"])) in self._world.ledger.excused:
            self.forked[id] = said["topic"]

    def _entry(self, id: Digest, said: Payload) -> None:
        topic, term = said["topic"] or id, repr(said["term"])
        who = (said["author"], tuple(said["inc"]))
        on_a_fork = said["prev"] in self.forked
        if self._entry_at.get((topic, term, said["seq"]), id) != id or on_a_fork:
            self.forked[id] = topic
        if who not in self._world.ledger.excused and not self._is_after_a_fork(topic, term, said):
            if self._entry_at.setdefault((topic, term, said["seq"]), id) != id:
                raise Violation(f"I3: two entries at {term} {said['seq']} of topic {self._number[topic]}")
            if not on_a_fork and self._opener.setdefault((topic, term), who) != who:
                raise Violation(f"I2: {who} writes in the term {term} of {self._opener[topic, term]}")
        self._entry_at.setdefault((topic, term, said["seq"]), id)
        if said["kind"] == "opened":
            self._born(topic)
        self.oracle.judge(id, said)
        self.entries.setdefault(topic, []).append(id)
        if said["kind"] == "closed":
            self._check_disposed(said["author"], topic)
        if said["kind"] == "claimed" and said["body"]["approved_by"]:
            self._check_asked(said["author"], topic)

    def _is_after_a_fork(self, topic: TopicId, term: str, said: Payload) -> bool:
        """Whether what is there already stands on another entry, and one of both on half of a fork: an offer that was
        signed twice by a node that ran twice may be accepted twice, by one node in two lives. Or such a node accepted
        and declined one offer, and its offerer knows of the second answer only."""
        there = self._entry_at.get((topic, term, said["seq"]))
        if there is None:
            return False
        other = self.payloads[there]
        if said["kind"] == "resumed" and (other["author"], tuple(other["inc"])) in self._world.ledger.excused:
            return True
        before = other["prev"]
        return before != said["prev"] and any(id in self.forked for id in (before, said["prev"]))

    def _check_number(self, author: NodeCode, grant: Payload) -> None:
        """A grant is above all that were ever given (R13), but where somebody has forgotten one and was waived.

        The very life again, because the first grant went with its author's disk or is half of a contradiction, is one
        life. Where somebody ran twice, who granted first may live again as it did before it lived anew; and a bundle of
        a restore that is past may be read once more by a parent that ran twice, and granted another.
        """
        number, nonce = grant["inc"]
        known = [life for life in self.oracle.lives.get(grant["node"], []) if list(life) != [number, nonce]]
        excused = bool(self._world.ledger.excused)
        past = excused and self._world.machines[grant["node"]].inc.nonce != nonce
        same = [life for life in known if life[1] == nonce and not (excused and self._is_forgotten(life))]
        if same and not past:
            raise Violation(f"R10: {grant['node']} is granted two lives for one restore")
        higher = [life for life in known if life[0] >= number and self._is_known(author, life)]
        if higher and not excused and not self._world.waived:
            raise Violation(f"R13: {grant['node']} is granted the number {number} after {known[-1][0]}")

    def _is_known(self, author: NodeCode, life: Any) -> bool:
        """Whether who grants, or a neighbour that lives, has the grant of this life. Where all of them were set back,
        two lives may have one number: both stand, and the lower is over (SPEC 14.4)."""
        grants = self._grants(life)
        around = [self._world.machines[code] for code in (author, *self._world.neighbours(author))]
        able = [machine for machine in around if machine.code == author or not machine.healing]
        return any(machine.rows("SELECT 1 FROM statements WHERE id = ?", id) for id in grants for machine in able)

    def _is_forgotten(self, life: Any) -> bool:
        """Whether who granted it was set back to before the very life it did that in, without a chance to notice."""
        said = [self.payloads[id] for id in self._grants(life)]
        return all(self._world.machines[item["author"]].inc < tuple(item["inc"]) for item in said)

    def _grants(self, life: Any) -> list[Digest]:
        said = self.payloads.items()
        return [id for id, item in said if item["kind"] == "granted" and list(item["body"]["inc"]) == list(life)]

    def _check_expired(self, said: Payload) -> None:
        """Only the offered node's own clock, past the time it was given, lets an offer expire (R3)."""
        if said["body"]["code"] != "expired":
            return
        given = self.payloads[said["entry"]]["body"]["answer_by"]
        if given is None or parse_instant(given) > parse_instant(said["at"]) + timedelta(seconds=1):
            raise Violation(f"R3: an offer to be answered by {given} expired at {said['at']}")

    def _check_asked(self, author: NodeCode, topic: TopicId) -> None:
        """Two persons claim after all others have told what they know, or have had their time (R7)."""
        machine, seen = self._world.machines[author], self.seen(author, topic)
        asked = machine.rows(_CLAIMS, f'%"{topic}"%')
        told = {row[0] for row in machine.rows(_TOLD, topic)}
        if seen is None or not asked or asked[0][0] <= asked[0][1]:
            return
        if missing := seen.chain.participants - {author, seen.chain.custodian} - told:
            raise Violation(f"R7: {author} claims topic {self._number[topic]} and has not heard {sorted(missing)}")

    def _born(self, topic: TopicId) -> None:
        self._number[topic] = len(self.order)
        self.order.append(topic)
        above = self.payloads[topic]["body"]["parent"]
        if above is not None:
            if self._parts.setdefault((above["entry"], above["n"]), topic) != topic:
                raise Violation(f"I16: two topics are part {above['n']} of one split")
            if above["entry"] not in self.payloads:
                raise Violation("I16: a topic is part of a split nobody wrote")

    def _check_disposed(self, author: NodeCode, topic: TopicId) -> None:
        """Who closes a topic knows of no orphan of it that nobody has disposed of (R8)."""
        seen = self.seen(author, topic)
        if seen is not None and any(disposed is None for _, disposed in seen.orphans):
            raise Violation(f"R8: {author} closed topic {self._number[topic]} over an orphan")

    # ---- what a node has ----------------------------------------------------------------------------------------

    def _read_node(self, machine: Machine) -> None:
        number, nonce, stream_inc, since = machine.rows(_NODE)[0]
        account = self.account(machine.code)
        if account.inc.number and account.inc != (number, nonce):
            self._world.ledger.over.add((machine.code, tuple(account.inc)))
        account.inc, account.healing = Incarnation(number, nonce), since is not None and number == 0
        account.stream_inc = inc_of(stream_inc) if stream_inc else NO_INCARNATION

    def _read_topics(self, machine: Machine) -> None:
        account = self.account(machine.code)
        beside: dict[TopicId, list[tuple[Digest, str | None]]] = {}
        for topic, id, disposed in machine.rows(_ORPHANS):
            beside.setdefault(topic, []).append((id, disposed))
        for row in machine.rows(_TOPICS):
            orphans, before = tuple(beside.get(row[0], ())), account.topics.get(row[0])
            if before is None or before.row != row or before.orphans != orphans:
                account.topics[row[0]] = self._read_topic(machine, before, row, orphans)
            seen = account.topics[row[0]]
            offer = seen.chain.offer
            if offer is not None and offer.to == machine.code:
                seen.declined = bool(machine.rows(_DECLINED, offer.id, offer.to))
            self._note_decider(machine, account, seen)

    def _read_topic(
        self,
        machine: Machine,
        before: Seen | None,
        row: tuple[Any, ...],
        orphans: tuple[tuple[Digest, str | None], ...],
    ) -> Seen:
        id, custody, step, status, mine, seq, head = row
        name, chain = f"topic {self._number[id]} at {machine.code}", load_chain(custody)
        if (chain.seq, chain.head) != (seq, head):
            raise Violation(f"I9: the row of {name} is not its head's")
        if before is None or before.chain.head != head or before.orphans != orphans:
            self._check_branches(machine, before, (id, head), [orphan for orphan, _ in orphans], name)
        return Seen(id, chain, step, status, bool(mine), False, row, orphans)

    def _check_branches(
        self, machine: Machine, before: Seen | None, at: tuple[TopicId, Digest], orphans: list[Digest], name: str
    ) -> None:
        """The chain is the path to the highest of all entries that are here (I4), never of a lower term than it was."""
        topic, head = at
        courses, path, step = self.oracle.courses, list[Digest](), head
        while step is not None:
            path.append(step)
            step = courses[step].last["prev"]
        if [row[0] for row in machine.rows(_ENTRIES, topic)] != path[::-1]:
            raise Violation(f"I9: the entries of {name} are not the path to its head")
        rank = courses[head].rank
        for orphan in orphans:
            if courses[orphan].topic != topic or orphan in path:
                raise Violation(f"I9: an orphan of {name} is none")
            if courses[orphan].rank > rank:
                raise Violation(f"I4: {name} ends in {rank} and holds {courses[orphan].rank}")
        if before is not None and courses[before.chain.head].rank > rank:
            raise Violation(f"I4: {name} went back from {courses[before.chain.head].rank} to {rank}")
        here = {*path, *orphans}
        if before is not None and before.chain.head not in here:
            raise Violation(f"I7: {name} lost what was its end")

    def _note_decider(self, machine: Machine, account: Account, seen: Seen) -> None:
        deciders = self._decider.setdefault(seen.id, {})
        deciders.pop(machine.code, None)
        if decides(machine.code, account.inc, seen):
            term = tuple(map(repr, self.course(seen).rank[:4]))
            if term in deciders.values() and not self._world.ledger.excused:
                raise Violation(f"I11: topic {self._number[seen.id]} has deciders {sorted({machine.code, *deciders})}")
            deciders[machine.code] = term

    # ---- links --------------------------------------------------------------------------------------------------

    def _read_links(self, machine: Machine) -> None:
        account = self.account(machine.code)
        for peer, sent, acked, received, received_hash, stopped, received_inc, comparing in machine.rows(_LINKS):
            incs = (inc_of(received_inc), account.stream_inc)
            row = LinkRow(sent, acked, received, received_hash, stopped, *incs, bool(comparing))
            before = account.links.get(peer)
            account.links[peer] = row
            if stopped is not None and stopped not in self._world.may_stop:
                raise Violation(f"I14: the link {machine.code}-{peer} stopped: {stopped}")
            if acked > sent:
                raise Violation(f"I6: {peer} acknowledged what {machine.code} never sent")
            if before is None:
                continue
            mine = row.stream_inc == before.stream_inc and (sent < before.sent or acked < before.acked)
            if mine or (row.received_inc == before.received_inc and received < before.received):
                raise Violation(f"I6: a cursor of {machine.code}-{peer} went back: {before} to {row}")

    def _check_link(self, sender: NodeCode, receiver: NodeCode) -> None:
        """What the receiver has is what the sender sent, and what the sender takes for received is."""
        here, there = self.account(sender), self.account(receiver)
        mine, its = here.links.get(receiver), there.links.get(sender)
        if mine is None or its is None or not here.inc.number or its.received_inc != here.stream_inc:
            return
        machines = self._world.machines
        if receiver in machines[sender].unmet or mine.stopped or its.stopped:
            return  # an older copy of the sender, which this neighbour has not met yet
        refed = machines[receiver].refed
        if mine.acked <= its.received:
            refed.discard(sender)
        if its.received > mine.sent or (mine.acked > its.received and sender not in refed):
            raise Violation(
                f"I6: {sender} to {receiver}: acked {mine.acked}, received {its.received}, sent {mine.sent}"
            )
        query = "SELECT hash FROM outbox WHERE peer = ? AND seq = ?"
        if its.received > 0:
            found = machines[sender].rows(query, receiver, its.received)
            if not found or found[0][0] != its.received_hash:
                raise Violation(f"I6: {sender} and {receiver} know different streams")


def decides(code: NodeCode, inc: Incarnation, seen: Seen) -> bool:
    """Whether this node, by what it knows, may write the topic's next entry."""
    if not seen.mine or not inc.number or seen.status == "frozen":
        return False
    next_writer = writer(seen.chain)
    mine = (next_writer.node, next_writer.inc) == (code, inc)
    return mine and not (next_writer.offer is not None and seen.declined)
