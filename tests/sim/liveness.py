"""The liveness phase: the faults are over, everything that was said arrives, and every topic can be brought home."""

from functools import partial
from typing import TYPE_CHECKING

from node.domain.topic import STEPS
from schemas import api
from schemas.ids import NodeCode, TopicId
from tests.sim import final, joining
from tests.sim.ledger import Violation
from tests.sim.machine import Machine
from tests.sim.network import Kept, replay
from tests.sim.operators import Order

if TYPE_CHECKING:
    from tests.sim.checks import Seen
    from tests.sim.world import World

ROUNDS_MAX = 150
HOME_ROUNDS_MAX = 80
"""Commands it may take to bring a topic and the parts of it to an end."""


def rest(world: "World") -> None:
    """End all faults and exchange until quiet; then everything must hold (I12 and all others)."""
    _mend(world)
    for lane in ("push", "wait"):
        for child in _children(world):
            _call(world, child, lane)
    quiet(world)
    final.check_all(world, thorough=not world.options.finish)
    _repeat_everything(world)
    if world.options.finish:
        _bring_home(world)
        quiet(world)
        final.check_all(world)


def quiet(world: "World") -> None:
    """Call over every link, on either lane, until nothing moves. Raises Violation if that does not end."""
    for n in range(ROUNDS_MAX):
        busy = [child for child in _children(world) if _busy(world, child)]
        if not busy:
            return
        for child in busy:
            _call(world, child, ("push", "wait")[n % 2])
    waiting = [child.code for child in _children(world) if _busy(world, child)]
    raise Violation(f"I12: after {ROUNDS_MAX} rounds something is still on its way at {waiting}")


def _children(world: "World") -> list[Machine]:
    return [machine for machine in world.joined if world.options.parent(machine.code) is not None]


def _call(world: "World", child: Machine, lane: str) -> None:
    world.step_no += 1
    said = world.guarded("rest", lambda: world.exchange(child, lane))
    if ": sent" not in said:
        raise Violation(f"I12: nothing goes wrong any more, and yet: {said}")


def _busy(world: "World", child: Machine) -> bool:
    """Whether this link has something to carry, statements or parts."""
    parent = world.parent_of(child)
    if world.checker.behind(child.code, parent.code):
        return True
    wanted = "SELECT 1 FROM wanted_parts WHERE peer = ? LIMIT 1"
    return bool(child.rows(wanted, parent.code) or parent.rows(wanted, child.code))


def _mend(world: "World") -> None:
    world.network.calm = True
    world.network.lines.clear()
    for machine in world.machines.values():
        machine.fuse = None
        if not machine.knows_new and not world.options.stays_old:
            machine.knows_new = True
            world.tally.fault("older-version")
            world.guarded("upgrade", partial(_upgrade, machine))
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


def _repeat_everything(world: "World") -> None:
    """Every request and bundle kept, once more: nothing may come of it (I13)."""
    before = {machine.code: final.fingerprint(machine) for machine in world.joined}
    for kept in world.network.kept:
        world.guarded("again", partial(_again, world, kept))
    for to, raw in world.bundles:
        world.guarded("again", partial(world.events.again, to, raw))
    for to, raw in world.network.kept_pieces:
        world.guarded("again", partial(world.events.take_piece, to, raw))
    for machine in world.joined:
        if final.fingerprint(machine) != before[machine.code]:
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
        quiet(world)
    numbers = [world.checker.number(topic) for topic in waiting]
    raise Violation(f"I8: after {HOME_ROUNDS_MAX} rounds topics {numbers} have not come home")


def _at_home(world: "World", topic: TopicId, unread: set[TopicId]) -> bool:
    """Closed, or waiting for something that a node here cannot read."""
    if topic in unread or _has_unread_part(world, topic, unread):
        return True
    seen = world.checker.seen(world.checker.payloads[topic]["author"], topic)
    return seen is not None and seen.chain.closed


def _has_unread_part(world: "World", topic: TopicId, unread: set[TopicId]) -> bool:
    parts = world.checker.split_off(topic)
    return any(part in unread or _has_unread_part(world, part, unread) for part in parts)


def _decide(world: "World", topic: TopicId) -> None:
    deciders = sorted(world.checker.deciders(topic))
    if len(deciders) != 1:
        raise Violation(f"I11: topic {world.checker.number(topic)} has deciders {deciders} at rest")
    decider = world.machines[deciders[0]]
    seen = world.checker.seen(decider.code, topic)
    assert seen is not None
    command = _next(seen)
    if command is None:
        return
    order = Order(decider.code, command[0], topic, command[1], f"home {world.step_no} {world.checker.number(topic)}")
    world.step_no += 1
    said = world.guarded("home", lambda: world.order(decider, order))
    if ": done" not in said:
        raise Violation(f"I8: topic {world.checker.number(topic)} cannot go on: {said}")


def _next(seen: "Seen") -> tuple[str, api.Form] | None:
    """The shortest way home from here; nothing while parts of it are on their own way."""
    chain = seen.chain
    if chain.offer is not None:
        return "accept", api.AcceptForm()
    if any(child.state == "open" for child in chain.children):
        return None
    if chain.below is not None:
        return "report", api.ReportForm(text="已办")
    if seen.step != STEPS[-1]:
        step = STEPS[STEPS.index(seen.step) + 1]
        return "step", api.StepForm(step=step, text="已办", override_reason="收尾")
    if not chain.resulted:
        return "result", api.ResultForm(outcome="A", text="已办")
    return "close", api.CloseForm(text="已办")
