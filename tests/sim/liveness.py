"""The liveness phase: the faults are over, everything that was said arrives, and every topic can be brought home."""

from functools import partial
from typing import TYPE_CHECKING

from node.domain.topic import STEPS
from node.service import healing, remedy
from node.service.commit import write
from schemas import api
from schemas.ids import NodeCode, TopicId
from tests.sim import final, joining, lives, ticks
from tests.sim.ledger import Violation
from tests.sim.machine import CLAIM_ASK_S, Machine
from tests.sim.network import Kept, replay
from tests.sim.operators import Order

if TYPE_CHECKING:
    from tests.sim.checks import Seen
    from tests.sim.world import World

ROUNDS_MAX = 150
PATIENCE = 60
"""Rounds after which people no longer wait for neighbours that can never agree: with a node that ran twice."""
HOME_ROUNDS_MAX = 80
"""Commands it may take to bring a topic and the parts of it to an end."""


def rest(world: "World") -> None:
    """End all faults and exchange until quiet; then everything must hold (I12 and all others)."""
    _mend(world)
    _ask_again(world)
    quiet(world)
    _complete(world)
    for lane in ("push", "wait"):
        for child in _children(world):
            _call(world, child, lane, patient=True)  # one may have joined that its parent has forgotten since
    quiet(world)
    final.check_all(world, thorough=not world.options.finish)
    if final.were_set_back(world):
        _repeat_everything(world, again=False)  # what only a stick still knew of may surface now
        quiet(world)
        final.check_all(world, thorough=False)
    _repeat_everything(world, again=True)
    if world.options.finish:
        _bring_home(world)
        quiet(world)
        final.check_all(world)


def quiet(world: "World") -> None:
    """Call over every link, on either lane, until nothing moves. Raises Violation if that does not end."""
    unheard: set[NodeCode] = set()
    for n in range(ROUNDS_MAX):
        _look_after(world)
        if n == PATIENCE:
            _waive(world)
        done = _by_itself(world)
        agrees = n <= PATIENCE or not world.checker.forked
        busy = [child for child in _children(world) if child.code in unheard or _busy(world, child, agrees)]
        if not busy and not done:
            return
        unheard = {child.code for child in busy if not _call(world, child, ("push", "wait")[n % 2], patient=True)}
    waiting = [child.code for child in _children(world) if _busy(world, child)]
    raise Violation(f"I12: after {ROUNDS_MAX} rounds something is still on its way at {waiting}: {_lines(world)}")


def _lines(world: "World") -> list[str]:
    """What nodes say that they wait for."""
    found = []
    for machine in world.joined:
        with machine.at_work() as ctx:
            line = healing.line(ctx)
        found += [line[1]] if line else []
    return found


def _by_itself(world: "World") -> bool:
    """What nodes do on their own; whether anything came of it."""
    before = _written(world)
    for machine in world.joined:
        if machine.rested == machine.commits and not machine.rows("SELECT 1 FROM claims WHERE state = 'asking'"):
            continue  # nothing has changed since it did so last
        for name in ("live", "summaries"):
            world.step_no += 1
            world.guarded("tick", partial(ticks.run, world, machine, name))
        machine.rested = machine.commits
    return before != _written(world)


def _written(world: "World") -> list[object]:
    """How much each node has stored, and in which incarnation it lives."""
    return [(machine.rows("SELECT max(pos) FROM statements"), machine.inc) for machine in world.joined]


def _waive(world: "World") -> None:
    """A person goes on without who has nothing to say: where a fork keeps two apart, or a child was never set up."""
    for machine in world.joined:
        if not machine.healing:
            continue
        with machine.at_work() as ctx, write(ctx) as batch:
            for peer in healing.status(batch.conn).peers:
                if peer.state == "asked" and (world.checker.forked or not world.machines[peer.code].joined):
                    healing.waive(batch, peer.code, lives.REASON)
        world.waived |= bool(world.checker.forked)


def _look_after(world: "World") -> None:
    """A person lets stopped links go on; the end that may have run twice begins anew first (SPEC 14.1, 14.8). What only
    another branch of a registry says of a child, its node's person knows to be true."""
    for machine in world.joined:
        for peer, why in machine.rows("SELECT peer, stopped FROM links WHERE stopped IS NOT NULL ORDER BY peer"):
            if why == "hash-mismatch":
                for end in (machine, world.machines[peer]):
                    if end.inc.number and (end.code, tuple(end.inc)) in world.ledger.excused:
                        world.events.lives.end_by_hand(end)
            lives.lift(machine, peer)
        if machine.inc.number and machine.rows("SELECT 1 FROM equivocations WHERE author = ?", machine.code):
            with machine.at_work() as ctx, write(ctx) as batch:
                for code in remedy.remedies(batch.conn, batch.roster, batch.me, batch.inc):
                    joining.heed(batch, code)


def _children(world: "World") -> list[Machine]:
    return [machine for machine in world.joined if world.options.parent(machine.code) is not None]


def _call(world: "World", child: Machine, lane: str, patient: bool = False) -> bool:
    """Whether it came about; it must, but where one end was set back and may not know the other yet (`patient`)."""
    world.step_no += 1
    said = world.guarded("rest", lambda: world.exchange(child, lane))
    if ": sent" in said:
        return True
    ends = (child, world.parent_of(child))
    if not patient or not any(end.restored or end.outlived or end.code in world.burnt for end in ends):
        raise Violation(f"I12: nothing goes wrong any more, and yet: {said}")
    return False


def _busy(world: "World", child: Machine, agrees: bool = True) -> bool:
    """Whether this link has something to carry, statements or parts; `agrees`: or something to compare."""
    parent = world.parent_of(child)
    if world.checker.behind(child.code, parent.code) or not (child.inc.number and parent.inc.number):
        return True
    if not agrees:
        return False
    ends = [world.checker.account(a.code).links.get(b.code) for a, b in ((child, parent), (parent, child))]
    if any(end is None or end.comparing for end in ends):
        return True
    lane = child.lanes.get("push")
    if lane is not None and (lane.asked or lane.heal):
        return True
    query = "SELECT digest FROM wanted_parts WHERE peer = ?"
    wanted = [*child.rows(query, parent.code), *parent.rows(query, child.code)]
    return any(not final.is_gone(world, digest) for (digest,) in wanted)


def _mend(world: "World") -> None:
    world.network.calm = True
    world.network.lines.clear()
    for machine in world.machines.values():
        machine.fuse = None
        if not machine.knows_new and not world.options.stays_old:
            machine.knows_new = True
            world.tally.fault("older-version")
            world.guarded("upgrade", partial(_upgrade, machine))


def _ask_again(world: "World") -> None:
    """Who was enrolled and never got the answer asks once more: a parent that heals waits for it (SPEC 14.4)."""
    for code in world.options.late:
        machine = world.machines[code]
        if not machine.joined and world.parent_of(machine).rows("SELECT 1 FROM links WHERE peer = ?", code):
            world.guarded("join", partial(_join, world, code))


def _complete(world: "World") -> None:
    """Who has not joined yet joins now."""
    for code in world.options.late:
        if not world.machines[code].joined:
            world.guarded("join", partial(_join, world, code))
    if world.options.stays_old:
        world.tally.fault("older-version")


def _upgrade(machine: Machine) -> str:
    machine.restart()
    return machine.code


def _join(world: "World", code: NodeCode) -> str:
    joining.join(world, code)
    world.tally.fault("late-joiner")
    return code


def _repeat_everything(world: "World", again: bool) -> None:
    """Every request and bundle kept, once more; `again`: nothing may come of it (I13)."""
    before = {machine.code: final.fingerprint(machine) for machine in world.joined}
    for kept in world.network.kept:
        world.guarded("again", partial(_again, world, kept))
    for to, raw in world.bundles:
        world.guarded("again", partial(world.events.again, to, raw))
    for to, raw in world.network.kept_pieces:
        world.guarded("again", partial(world.events.take_piece, to, raw))
    for machine in world.joined:
        if again and final.fingerprint(machine) != before[machine.code]:
            raise Violation(f"I13: a repeated document changed {machine.code}")


def _again(world: "World", kept: Kept) -> str:
    said: list[str] = []
    replay(world.network, world.machines, kept, said.append)
    return said[0]


# ---- every topic can be closed ----------------------------------------------------------------------------------


def _bring_home(world: "World") -> None:
    """Whoever decides on a topic does the next thing, until all of them are closed."""
    unread = final.poisoned(world)
    for _ in range(HOME_ROUNDS_MAX):
        waiting = [topic for topic in world.checker.order if not _at_home(world, topic, unread)]
        if not waiting:
            return
        for topic in waiting:
            _decide(world, topic)
            world.liar.perhaps()
        quiet(world)
    numbers = [world.checker.number(topic) for topic in waiting]
    raise Violation(f"I8: after {HOME_ROUNDS_MAX} rounds topics {numbers} have not come home")


def _at_home(world: "World", topic: TopicId, unread: set[TopicId]) -> bool:
    """Closed, or waiting for something that a node here cannot read."""
    if topic in unread or _has_unread_part(world, topic, unread):
        return True
    origin = world.machines[world.checker.payloads[topic]["author"]]
    seen = world.checker.seen(origin.code, topic)
    if seen is None:
        return origin.restored and not world.checker.participants(topic)
    return seen.chain.closed


def _has_unread_part(world: "World", topic: TopicId, unread: set[TopicId]) -> bool:
    parts = world.checker.split_off(topic)
    return any(part in unread or _has_unread_part(world, part, unread) for part in parts)


def _decide(world: "World", topic: TopicId) -> None:
    deciders = sorted(world.checker.deciders(topic))
    if not deciders and world.ledger.excused and _claim_frozen(world, topic):
        return
    if len(deciders) != 1:
        raise Violation(f"I11: topic {world.checker.number(topic)} has deciders {deciders} at rest")
    decider = world.machines[deciders[0]]
    seen = world.checker.seen(decider.code, topic)
    assert seen is not None
    command = _next(world, seen)
    if command is None:
        return
    order = Order(decider.code, command[0], topic, command[1], f"home {world.step_no} {world.checker.number(topic)}")
    world.step_no += 1
    said = world.guarded("home", lambda: world.order(decider, order))
    if ": done" not in said:
        raise Violation(f"I8: topic {world.checker.number(topic)} cannot go on: {said}")


def _claim_frozen(world: "World", topic: TopicId) -> bool:
    """A topic of a node that contradicted itself goes on once it is claimed (R9); whether it is one."""
    for machine in world.joined:
        seen = world.checker.seen(machine.code, topic)
        if seen is None or not seen.mine or seen.status != "frozen" or machine.code not in seen.chain.arbiters:
            continue
        if machine.code != seen.chain.custodian or seen.chain.inc < machine.inc:
            world.time.elapsed_s += CLAIM_ASK_S
            world.guarded("claim", partial(world.events.lives.ask_claim, machine, topic))
            return True
    return False


def _next(world: "World", seen: "Seen") -> tuple[str, api.Form] | None:
    """The shortest way home from here; nothing while parts of it are on their own way."""
    chain = seen.chain
    if chain.offer is not None:
        return "accept", api.AcceptForm()
    if any(disposed is None for _, disposed in seen.orphans):
        return "dispose", api.DisposeForm(decision="adopt", reason=None)
    if any(child.state == "open" for child in chain.children):
        ended = next((part for part in world.checker.split_off(seen.id) if _is_over(world, seen, part)), None)
        if ended is None:
            return None
        here = world.checker.seen(chain.custodian, ended)
        name = ended if here is not None and here.mine else world.checker.payloads[ended]["body"]["parent"]["entry"]
        return "detach", api.DetachForm(topic=name, reason="已结束")
    if chain.below is not None:
        return "report", api.ReportForm(text="已办")
    if seen.step != STEPS[-1]:
        step = STEPS[STEPS.index(seen.step) + 1]
        return "step", api.StepForm(step=step, text="已办", override_reason="收尾")
    if not chain.resulted:
        return "result", api.ResultForm(outcome="A", text="已办")
    return "close", api.CloseForm(text="已办")


def _is_over(world: "World", seen: "Seen", part: TopicId) -> bool:
    """Whether a part has ended and the topic above it has not heard: it was in other hands at that moment."""
    above = world.checker.payloads[part]["body"]["parent"]
    waits = any(
        (child.entry, child.n, child.state) == (above["entry"], above["n"], "open") for child in seen.chain.children
    )
    there = world.checker.seen(world.checker.payloads[part]["author"], part)
    return waits and (there is None or there.chain.closed) and bool(seen.chain.term.g or (there and there.chain.term.g))
