"""What must hold when the faults are over and nothing is left to say: the whole of every database, compared."""

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from node.service import guard, healing
from node.service import roster as rosters
from node.service import verify as fsck
from node.store.codec import inc_of, load_chain
from node.store.engine import reading
from schemas.ids import Digest, Incarnation, NodeCode, TopicId
from sync.chain import verify
from sync.custody import Chain
from sync.errors import Held
from sync.roster import Roster
from sync.sealing import open_statement, parse
from tests.sim.ledger import Life, Violation
from tests.sim.machine import NEW_ENTRY, NEW_REMARK, Machine

if TYPE_CHECKING:
    from tests.sim.world import World

_STATE = ("statements", "entries", "remarks", "registry", "topics", "parts", "outbox", "equivocations", "catalogues")
_CURSORS = "SELECT peer, sent_seq, acked_seq, received_seq, received_hash, stopped FROM links ORDER BY peer"
FORKED = ("fork", "equivocation", "frozen", "wrong-prev", "gap", "unknown-key", "not-a-participant")
"""Why something may be kept for good where a node ran twice in one incarnation."""
_STORED = "SELECT id FROM statements UNION SELECT statement FROM parked"
_SHARED = """SELECT id FROM statements EXCEPT
    SELECT e.id FROM entries e JOIN topics t ON t.id = e.topic WHERE NOT t.mine"""
"""Without the first entries of a topic whose offer to this node never came: nobody compares for those."""
_TREE = "SELECT id, topic, kind FROM entries UNION SELECT id, topic, kind FROM orphans"
_HERE = "SELECT id, status, step, outcome, text, custody, work FROM topics WHERE mine ORDER BY id"

State = tuple[Any, ...]
"""A topic at one node: what _FIELDS names."""


def poisoned(world: "World") -> set[TopicId]:
    """Topics in which something stands that a node of an older version cannot read, if one is left; or two entries at
    one position, which only people can put right (R9)."""
    forked = set(world.checker.forked.values())
    if all(machine.knows_new for machine in world.machines.values()):
        return forked
    said = world.ledger.payloads.values()
    return forked | {item["topic"] for item in said if item.get("kind") in (NEW_ENTRY, NEW_REMARK)}


def check_all(world: "World", thorough: bool = True) -> None:
    """Raises Violation for the first thing that is wrong. `thorough`: let every node verify itself, too."""
    unread = poisoned(world)
    machines = [machine for machine in world.machines.values() if machine.joined]
    for machine in machines:
        _check_alive(world, machine)
        _check_links(world, machine)
        _check_nothing_waits(world, machine, unread)
        _check_parts(world, machine, unread)
        _check_kept(world, machines, machine)
        _check_chains(machine)
        _check_audit(world, machine)
        _check_guard(machine)
    _check_rosters(world, machines)
    _check_topics(world, machines, unread)
    _check_tree(world, machines, unread)
    _check_recalls(world, machines)
    if thorough:
        _check_verify(machines)


def fingerprint(machine: Machine) -> str:
    """A hash of all a node holds, apart from when it last heard of whom and what it noted about that."""
    digest = hashlib.sha256()
    for table in _STATE:
        digest.update(repr(machine.rows(f"SELECT * FROM {table} ORDER BY 1, 2")).encode())
    digest.update(repr(machine.rows(_CURSORS)).encode())
    return digest.hexdigest()


def _check_alive(world: "World", machine: Machine) -> None:
    """Every node may sign again (I22)."""
    if not machine.inc.number:
        with machine.at_work() as ctx:
            said = healing.line(ctx)
        raise Violation(f"I22: {machine.code} does not live again: {said}")


def _check_links(world: "World", machine: Machine) -> None:
    for peer, sent, acked, received, received_hash, stopped in machine.rows(_CURSORS):
        if sent != acked:
            raise Violation(f"I12: {machine.code} has {sent - acked} statements that {peer} has not acknowledged")
        other = world.machines[peer]
        theirs = other.rows("SELECT sent_seq, sent_hash FROM links WHERE peer = ?", machine.code)
        if stopped is not None or theirs != [(received, received_hash)]:
            raise Violation(f"I12: {machine.code} has not all of {peer}: {received} of {theirs}")
        ids = [row[0] for row in other.rows("SELECT statement FROM outbox WHERE peer = ?", machine.code)]
        here = {row[0] for row in machine.rows("SELECT id FROM statements UNION SELECT statement FROM parked")}
        if missing := [id for id in ids if id not in here]:
            raise Violation(f"I6: {machine.code} acknowledged {missing[0][:12]} of {peer} and does not have it")


def _check_nothing_waits(world: "World", machine: Machine, unread: set[TopicId]) -> None:
    query = "SELECT statement, topic, state, code, peer, stream_seq FROM parked WHERE state NOT IN ('done', 'refused')"
    for id, topic, state, code, peer, seq in machine.rows(query):
        if world.ledger.excused and (
            code in FORKED or (code == "unknown-entry" and _is_about_what_is_lost(world, machine, id))
        ):
            continue
        if code == "revoked-key" and not any(m.rows("SELECT 1 FROM statements WHERE id = ?", id) for m in world.joined):
            continue  # it came ahead by stick of what went with a disk, and so under a key that is revoked since
        if topic not in unread or state == "ahead":
            raise Violation(f"I12: {machine.code} still keeps {peer} {seq} as {state} ({code})")
    refused = machine.rows("SELECT code FROM parked WHERE state = 'refused'")
    if refused:
        raise Violation(f"I12: {machine.code} refused an honest statement: {refused[0][0]}")
    found = [row for row in machine.rows("SELECT author, inc FROM equivocations") if not _is_excused(world, *row)]
    if found:
        raise Violation(f"I1: {machine.code} holds a proof against an honest node: {found[0]}")


def _is_about_what_is_lost(world: "World", machine: Machine, remark: Digest) -> bool:
    """Whether a remark is about an entry that is kept frozen here, at no node any more, or nowhere but in a fork."""
    about = world.ledger.payloads[remark]["entry"]
    frozen = machine.rows("SELECT code FROM parked WHERE statement = ? AND state IN ('held', 'deferred')", about)
    if frozen and all(code in FORKED for (code,) in frozen):
        return True
    here = "SELECT 1 FROM entries WHERE id = ?1 UNION SELECT 1 FROM orphans WHERE id = ?1"
    return not any(machine.rows(here, about) for machine in world.joined)


def _is_excused(world: "World", author: NodeCode, inc: str) -> bool:
    return (author, tuple(inc_of(inc))) in world.ledger.excused


def were_set_back(world: "World") -> bool:
    return any(machine.restored for machine in world.joined)


def is_gone(world: "World", digest: Digest) -> bool:
    """Whether a part went with the disk of the only node that had it: its statement was passed on, it was not yet."""
    if not were_set_back(world):
        return False
    here = "SELECT 1 FROM parts WHERE digest = ? AND content IS NOT NULL"
    return not any(machine.rows(here, digest) for machine in world.joined)


def _check_parts(world: "World", machine: Machine, unread: set[TopicId]) -> None:
    """Every `full` part of what a node holds is there, and whole; what is not `full` is only at its author.

    Where nodes were set back, the entry by which this one came to take part may be lost: it has others of the topic,
    and no right to their parts.
    """
    query = """SELECT r.topic, r.name, r.share, r.size, s.source, p.salt, p.content, r.digest, w.digest, t.mine
        FROM part_refs r JOIN statements s ON s.id = r.statement LEFT JOIN parts p ON p.digest = r.digest
        LEFT JOIN wanted_parts w ON w.digest = r.digest LEFT JOIN topics t ON t.id = r.topic"""
    set_back = were_set_back(world)
    for topic, name, share, size, source, salt, content, digest, wanted, mine in machine.rows(query):
        if share != "full" and source is not None:
            if content is not None:
                raise Violation(f"I17: {machine.code} has the {share} part {name} of another node")
            continue
        if content is None or wanted is not None:
            if topic in unread or is_gone(world, digest) or (set_back and not mine):
                continue
            raise Violation(f"I12: {machine.code} has not got the part {name} ({size} bytes)")
        if len(content) != size or hashlib.sha256(bytes.fromhex(salt) + content).hexdigest() != digest:
            raise Violation(f"I9: {machine.code} holds a part that is not what was signed")


def _check_kept(world: "World", machines: list[Machine], machine: Machine) -> None:
    """Everything this node ever committed, and everything it said `done` to, is still there (I5, R14); after a restore
    at least what anybody else has of it (R12)."""
    here = {row[0] for row in machine.rows(_STORED)}
    lost = [id for id in world.ledger.order.get(machine.code, []) if id not in here]
    if machine.restored:
        elsewhere = {row[0] for other in machines for row in other.rows(_SHARED)}
        lost = [id for id in lost if id in elsewhere and _is_compared(world.ledger.payloads[id])]
    if lost:
        kind = world.ledger.payloads[lost[0]]["kind"]
        raise Violation(f"I5: {machine.code} lost its own {kind} {lost[0][:12]}")
    done = [item for item in world.done if item.order.node == machine.code]
    if broken := [item for item in done if item.head not in here]:
        raise Violation(f"I5: {machine.code} acknowledged {broken[0].order.name} and does not have it")


def _is_compared(said: dict[str, Any]) -> bool:
    """Whether neighbours compare for it: all but summaries, which are made anew."""
    return "term" in said or "entry" in said or "prev" in said


def _check_chains(machine: Machine) -> None:
    """Every chain verifies from its bytes to exactly the state that is stored (I9)."""
    with machine.at_work() as ctx, reading(ctx.engine) as conn:
        roster = rosters.fold(conn)
    stored: dict[TopicId, list[bytes]] = {}
    query = "SELECT e.topic, s.raw FROM entries e JOIN statements s ON s.id = e.id ORDER BY e.topic, e.seq"
    for topic, raw in machine.rows(query):
        stored.setdefault(topic, []).append(raw)
    for topic, custody in machine.rows("SELECT id, custody FROM topics"):
        with machine.at_work():
            try:
                chain = verify((open_statement(parse(raw), roster.keyring) for raw in stored[topic]), roster)
            except Held as error:
                raise Violation(f"I9: a chain at {machine.code} does not verify: {error}") from error
        if chain != load_chain(custody):
            raise Violation(f"I9: the custody state of a topic at {machine.code} is not its chain's")


def _check_audit(world: "World", machine: Machine) -> None:
    """Each command that was done left exactly one row (I20)."""
    if machine.restored:
        return
    done = "actor = 'clerk' AND result = 'done'"
    rows = machine.rows(f"SELECT action, count(*) FROM audit WHERE {done} GROUP BY action")
    noted, wanted = (
        dict(rows),
        Counter(order.noted for order in world.committed.values() if order.node == machine.code),
    )
    if noted != dict(wanted):
        raise Violation(f"I20: {machine.code} did {dict(wanted)} and noted {noted}")


def _check_guard(machine: Machine) -> None:
    """The guard names the incarnation the database has, whenever the process that was to write it died (I22). A turn
    whose last step found no room is ended by the next one, which each hour brings."""
    said = guard.read(machine.settings.data)
    confirmed, pending = machine.rows("SELECT confirmed, pending FROM guard")[0]
    if said is not None and said.epoch == pending:
        with machine.at_work() as ctx:
            guard.turn(ctx)
        said = guard.read(machine.settings.data)
        confirmed = machine.rows("SELECT confirmed FROM guard")[0][0]
    if said is None or (said.inc, said.epoch) != (machine.inc, confirmed):
        raise Violation(f"I22: the guard of {machine.code} does not fit: {said}")


def _is_live(roster: Roster, at: tuple[NodeCode, Incarnation], twice: set[Life]) -> bool:
    author, inc = at
    return roster.members[author].inc == inc and (author, tuple(inc)) not in twice


def _check_rosters(world: "World", machines: list[Machine]) -> None:
    """Every node knows the same tree; where a node ran twice, and may have granted one thing to these and another to
    those, the lives and keys that hold now, and what those lives signed."""
    twice = world.ledger.excused
    known = {}
    for machine in machines:
        with machine.at_work() as ctx, reading(ctx.engine) as conn:
            roster = rosters.fold(conn)
        known[machine.code] = (
            {at: head for at, head in roster.heads.items() if not twice or _is_live(roster, at, twice)},
            sorted(
                (m.card.code, m.parent, m.lives, [k.kid for k in m.keys], m.revoked) for m in roster.members.values()
            ),
        )
    first = next(iter(known.values()))
    if any(other != first for other in known.values()):
        raise Violation("I12: the nodes know different trees")


def _check_topics(world: "World", machines: list[Machine], unread: set[TopicId]) -> None:
    """All participants know the same of each topic, and nobody else knows it (I12); one of them decides (I11)."""
    by_topic: dict[TopicId, dict[NodeCode, State]] = {}
    for machine in machines:
        for id, status, step, outcome, text, custody, work in machine.rows(_HERE):
            chain = load_chain(custody)
            entries = machine.rows("SELECT id FROM entries WHERE topic = ? ORDER BY seq", id)
            remarks = machine.rows("SELECT id FROM remarks WHERE topic = ? ORDER BY id", id)
            orphans = machine.rows("SELECT id, disposed FROM orphans WHERE topic = ? ORDER BY id", id)
            state = (chain, status, step, outcome, text, json.loads(work), entries, remarks, orphans)
            by_topic.setdefault(id, {})[machine.code] = state
    for id in world.checker.order:
        states = by_topic.get(id, {})
        if id in unread:
            _check_passed_on(world, id, states)
        else:
            _check_topic(world, id, states)


_FIELDS = ("custody", "status", "step", "outcome", "text", "work", "entries", "remarks", "orphans")
_STATUS, _ENTRIES = _FIELDS.index("status"), _FIELDS.index("entries")


def _check_topic(world: "World", id: TopicId, states: dict[NodeCode, State]) -> None:
    name = f"topic {world.checker.number(id)}"
    origin = world.checker.payloads[id]["author"]
    if not states and world.machines[origin].restored:
        return  # it went with the disk of the only node that had it
    if origin not in states:
        raise Violation(f"I12: {origin} does not have its own {name}")
    frozen = any(state[_STATUS] == "frozen" for state in states.values())
    if frozen and not world.ledger.excused:
        raise Violation(f"R9: {name} is frozen, and nobody contradicted himself")
    if frozen:
        _check_frozen(name, states)
        return
    first = states[origin]
    for code, state in states.items():
        if state != first:
            which = [field for field, a, b in zip(_FIELDS, first, state, strict=True) if a != b]
            raise Violation(f"I12: {origin} and {code} differ on {name}: {', '.join(which)}")
    courses = world.checker.oracle.courses
    course = courses[first[0].head]
    beside = set[NodeCode]().union(*(courses[row[0]].participants for row in first[8]))
    if not set(states) == set(first[0].participants) | beside == course.participants | beside:
        raise Violation(f"I12: {name} is at {sorted(states)}, its participants are {sorted(course.participants)}")
    if first[0].stack != course.stack:
        raise Violation(f"R1: {name} has gone through {course.stack}, the nodes say {first[0].stack}")
    if len(world.checker.deciders(id)) != 1:
        raise Violation(f"I11: {name} has deciders {sorted(world.checker.deciders(id))} at rest")


def _check_frozen(name: str, states: dict[NodeCode, State]) -> None:
    """Who holds a proof takes nothing more that its author writes, and not all take part in the topic it lies in: until
    a claim one may have more of a chain than another, never another one (R9)."""
    longest = max((state[_ENTRIES] for state in states.values()), key=len)
    for code, state in states.items():
        if state[_ENTRIES] != longest[: len(state[_ENTRIES])]:
            raise Violation(f"R9: {name} is frozen, and {code} has another chain")


def _check_passed_on(world: "World", id: TopicId, states: dict[NodeCode, State]) -> None:
    """What an older node between them cannot read reaches all who can (R16): what those write whom the older one knows
    to take part."""
    if id in world.checker.forked.values():
        return
    able = {code: state for code, state in states.items() if world.machines[code].knows_new}
    everybody = set[NodeCode]().union(*(state[0].participants for state in able.values()))
    if any(everybody - set(state[0].participants) for code, state in states.items() if code not in able):
        return
    for code, state in able.items():
        one, first = next(iter(able.items()))
        if state != first:
            which = [field for field, a, b in zip(_FIELDS, first, state, strict=True) if a != b]
            name = f"topic {world.checker.number(id)}"
            raise Violation(f"R16: {one} and {code} can read {name} and differ on it: {', '.join(which)}")


def _check_recalls(world: "World", machines: list[Machine]) -> None:
    """No offer is still open that its offerer asked for back: who had not decided has declined (R4).

    Nobody can answer one to a life that is over; it is claimed, unless its arbiter ran twice and is on another branch.
    """
    query = (
        "SELECT r.topic FROM remarks r JOIN topics t ON t.id = r.topic WHERE r.kind = 'recalled' AND t.offered_to = ?"
        " AND t.status != 'frozen'"
    )
    query += " AND json_extract(t.custody, '$.offer.id') = r.entry"
    if world.ledger.excused:
        query += " AND t.offered_inc = (SELECT inc_number || '.' || inc_nonce FROM node)"
    for machine in machines:
        if machine.rows(query, machine.code):
            raise Violation(f"R4: {machine.code} keeps an offer that was recalled")


def _check_tree(world: "World", machines: list[Machine], unread: set[TopicId]) -> None:
    """Split-off topics: no deeper than allowed, each a part of one split; a closed one has no open part (I16)."""
    entry_of: dict[Digest, tuple[TopicId, str]] = {}
    for machine in machines:
        for id, topic, kind in machine.rows(_TREE):
            entry_of[id] = (topic, kind)
    here = {topic for topic, _ in entry_of.values()}
    for id in world.checker.order:
        origin = world.checker.payloads[id]["author"]
        seen = world.checker.seen(origin, id)
        if id in unread or seen is None:
            continue
        if seen.chain.closed and any(child.state == "open" for child in seen.chain.children):
            raise Violation(f"I16: topic {world.checker.number(id)} is closed over an open part")
        _check_told(world, id, seen.chain)
        for child in seen.chain.children:
            if child.state == "detached" and (child.topic == child.entry or child.topic not in here):
                continue  # its topic was not at the node that let go of it, or went with a disk afterwards
            if child.head is not None and entry_of.get(child.head, ("", ""))[0] != child.topic:
                raise Violation("I16: a part is named with a head that is not its own")
            if child.state == "closed" and entry_of[child.head or ""][1] != "closed":
                raise Violation("I16: a part is named as closed with a head that does not close it")


def _check_told(world: "World", id: TopicId, chain: Chain) -> None:
    """A part that was closed is no longer waited for: its end was written down in the same transaction."""
    waited_for = {(child.entry, child.n) for child in chain.children if child.state == "open"}
    for part in world.checker.split_off(id):
        above = world.checker.payloads[part]["body"]["parent"]
        seen = world.checker.seen(world.checker.payloads[part]["author"], part)
        claimed = seen is not None and (seen.chain.term.g or chain.term.g)
        if seen is not None and not claimed and seen.chain.closed and (above["entry"], above["n"]) in waited_for:
            raise Violation(f"I16: topic {world.checker.number(id)} still waits for a part that is closed")


def _check_verify(machines: list[Machine]) -> None:
    """`liandong verify` finds nothing on any node."""
    for machine in machines:
        with machine.at_work() as ctx:
            report = fsck.verify(ctx)
        if not report.ok:
            raise Violation(f"I9: verify at {machine.code}: {'; '.join(report.problems)}")
