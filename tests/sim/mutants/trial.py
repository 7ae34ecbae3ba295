"""One mutant against the simulator: seed after seed, until a check notices it. A process runs one mutant, ever."""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

from tests.sim.mutants.apart import in_a_process
from tests.sim.mutants.catalogue import ALL
from tests.sim.mutants.importing import put_in_place
from tests.sim.mutants.mutant import Mutant

CONTROL = "no bug at all"
STEPS = 100
"""Of each seed; guards that are out show early, or in the rest after the steps."""
LYING = 0.5
"""More lies than elsewhere, so that what they find is found soon."""


@dataclass(frozen=True)
class Found:
    """`seed` of so many `steps` caught the mutant after `seeds` in all, by `check`; without a seed nothing did."""

    name: str
    seed: int | None
    seeds: int
    steps: int
    played: int
    check: str
    text: str
    seconds: float


def attempt(name: str, seeds: Sequence[int], steps: int = STEPS) -> Found:
    """Play the seeds with the mutant in place, until one fails."""
    if name != CONTROL:
        put_in_place(next(mutant for mutant in ALL if mutant.name == name))
    from tests.sim.options import expand
    from tests.sim.run import run

    began, played = time.perf_counter(), 0
    for count, seed in enumerate(seeds, start=1):
        result = run(replace(expand(seed, steps), twin=False, lying=LYING))
        played += result.tally.steps
        if result.violation is not None:
            check, _, text = result.violation.partition(":")
            first = text.strip().split("\n")[0][:300]
            return Found(name, seed, count, steps, played, check[:8], first, round(time.perf_counter() - began, 1))
    return Found(name, None, len(seeds), steps, played, "", "", round(time.perf_counter() - began, 1))


def fitting(mutant: Mutant, count: int) -> list[int]:
    """The first seeds in which the faults may happen that the mutant needs."""
    from tests.sim.options import expand

    return list(islice((seed for seed in itertools.count() if set(mutant.needs) <= set(expand(seed).faults)), count))


def tried(name: str, seeds: Sequence[int], timeout_s: float, steps: int = STEPS) -> Found:
    """As `attempt`, in a process of its own."""
    try:
        found: Found = in_a_process(name, attempt, name, list(seeds), steps, timeout_s=timeout_s)
    except TimeoutError as error:
        return Found(name, None, 0, steps, 0, "", str(error), timeout_s)
    return found


if __name__ == "__main__":
    print(json.dumps(asdict(attempt(sys.argv[1], [int(seed) for seed in sys.argv[2:]]))))
