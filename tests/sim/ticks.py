"""What a node does by itself now and then, as node.jobs has it: each tick is a step of its own."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from node.context import Context
from node.service import guard, summaries, totals, upkeep
from node.service.log import make_checkpoint
from tests.sim.machine import Machine, NoRoom

if TYPE_CHECKING:
    from tests.sim.world import World

_TICKS: dict[str, tuple[int, Callable[[Context], object]]] = {
    "expire": (4, upkeep.expire_offers),
    "live": (8, upkeep.live_on),
    "checkpoint": (3, make_checkpoint),
    "summaries": (3, summaries.tick),
    "totals": (1, totals.tick),
    "epoch": (1, guard.turn),
    "prune": (1, upkeep.prune),
}
_OF_CLOCKS = "totals"
"""A clock says how many months are over, and each of them, when it is sealed, takes a place on a stream."""


def tick(world: "World", machine: Machine) -> str:
    """One of them, at random; none that says more by one clock than by another where a run is played by both."""
    weights = [weight for weight, _ in _TICKS.values()]
    name = world.chance.choices(list(_TICKS), weights)[0]
    if world.options.twin and name == _OF_CLOCKS:
        return f"{machine.code} {name}: left out"
    return run(world, machine, name)


def run(world: "World", machine: Machine, name: str) -> str:
    with machine.at_work() as ctx:
        try:
            found = _TICKS[name][1](ctx)
        except NoRoom:
            return f"{machine.code} {name}: no room"
    if name == "expire" and found:
        world.tally.verbs["expire"] += int(str(found))
    return f"{machine.code} {name}: {found}"
