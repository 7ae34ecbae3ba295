"""What happens to the network while people work: each kind of trouble, somewhere in the tree, drawn from a seed."""

import random
import time
from collections.abc import Callable

from tests.fault.campaign import Told
from tests.fault.clerk import Unanswered
from tests.fault.crew import CODES, PARENT, PROVINCE, TREE, until
from tests.fault.lab import Lab, Labs

BAD_WEATHER_S = 6.0
CONVERGED_S = 60.0
LOSSY = 0.25

Trouble = Callable[[Lab, random.Random], None]


def _pair(lab: Lab, chance: random.Random):
    """A child's machine and its parent's."""
    child = chance.choice(sorted(PARENT))
    return lab.nodes[child].machine, lab.nodes[PARENT[child]].machine


def cut(lab: Lab, chance: random.Random) -> None:
    below, above = _pair(lab, chance)
    below.deaf_to(above)
    above.deaf_to(below)


def only_up(lab: Lab, chance: random.Random) -> None:
    """What the child sends arrives; what it is sent does not."""
    below, above = _pair(lab, chance)
    below.deaf_to(above)


def only_down(lab: Lab, chance: random.Random) -> None:
    below, above = _pair(lab, chance)
    above.deaf_to(below)


def refused(lab: Lab, chance: random.Random) -> None:
    below, above = _pair(lab, chance)
    above.refuses(below)


def lossy(lab: Lab, chance: random.Random) -> None:
    for _ in range(3):
        below, above = _pair(lab, chance)
        below.loses(above, LOSSY)
        above.loses(below, LOSSY)


def narrow(lab: Lab, chance: random.Random) -> None:
    below, above = _pair(lab, chance)
    below.narrow_to(above)
    above.narrow_to(below)


def alone(lab: Lab, chance: random.Random) -> None:
    """One node hears and reaches nobody."""
    code = chance.choice(CODES)
    _apart(lab, {code})


def province_away(lab: Lab, _chance: random.Random) -> None:
    _apart(lab, {PROVINCE})


def two_halves(lab: Lab, chance: random.Random) -> None:
    """One city with its counties, and everybody else."""
    city = chance.choice(sorted(TREE))
    _apart(lab, {city, *TREE[city]})


def everybody_alone(lab: Lab, _chance: random.Random) -> None:
    for code, parent in PARENT.items():
        lab.nodes[code].machine.deaf_to(lab.nodes[parent].machine)
        lab.nodes[parent].machine.deaf_to(lab.nodes[code].machine)


def killed(lab: Lab, chance: random.Random) -> None:
    for code in chance.sample(CODES, 3):
        lab.nodes[code].kill()


def killed_apart(lab: Lab, chance: random.Random) -> None:
    cut(lab, chance)
    killed(lab, chance)


def narrow_and_lossy(lab: Lab, chance: random.Random) -> None:
    narrow(lab, chance)
    lossy(lab, chance)


TROUBLES: tuple[Trouble, ...] = (
    *(cut, only_up, only_down, refused, lossy, narrow, alone, province_away, two_halves, everybody_alone),
    *(killed, killed_apart, narrow_and_lossy),
)
LONG, FLAPPING, CALM_BETWEEN = 2.0, 4, 2
"""How much longer trouble may last; how often it may come and go; every so many parts of it are calm."""


def name_of(number: int) -> str:
    """Scenario `number`: a kind of trouble, and whether it stays, stays long, or comes and goes."""
    way = ("stays", "comes and goes", "stays long")[number // len(TROUBLES) % 3]
    return f"{TROUBLES[number % len(TROUBLES)].__name__.replace('_', ' ')} {way}"


def scenario(labs: Labs, seed: int, number: int) -> Told:
    """People work while there is trouble; then it ends, and within a minute all of them agree."""
    lab, chance = labs.next(), random.Random(f"{seed} {number}")
    trouble, way = TROUBLES[number % len(TROUBLES)], number // len(TROUBLES) % 3
    told, before = Told(), len(lab.record)
    _work(lab, chance, 1.0)
    for part in range(FLAPPING if way == 1 else 1):
        if part % CALM_BETWEEN == 0:
            trouble(lab, chance)
        else:
            lab.heal()
        _work(lab, chance, BAD_WEATHER_S / 2 if way == 1 else BAD_WEATHER_S * (LONG if way == 2 else 1))
    lab.heal()
    try:
        seconds = until(lambda: not lab.differences(), CONVERGED_S, "no agreement")
        told.counts[f"agreed-within-{10 * (int(seconds) // 10 + 1)}-s"] += 1
        told.problems += [*lab.lost(), *lab.unsound()]
    except Unanswered as error:
        told.problems += [str(error), *lab.differences()]
    told.counts["answers"] += len(lab.record) - before
    return told


def _work(lab: Lab, chance: random.Random, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lab.act(chance)


def _apart(lab: Lab, some: set[str]) -> None:
    for code, parent in PARENT.items():
        if (code in some) != (parent in some):
            lab.nodes[code].machine.deaf_to(lab.nodes[parent].machine)
            lab.nodes[parent].machine.deaf_to(lab.nodes[code].machine)
