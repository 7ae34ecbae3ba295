"""Which blows to strike: every fault at every write of every act, or a part of them drawn from a seed.

Each act is first played without a fault, with and without a checkpoint after its commit. That tells what it writes and
what has to come of it, however often it is struck.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, zip_longest
from pathlib import Path

from tests.fault.acts import ACTS
from tests.fault.campaign import Trial
from tests.fault.judge import Outcome
from tests.fault.kills import Blow, Result, run, trial
from tests.fault.strace import FAULTS


@dataclass(frozen=True, slots=True)
class Known:
    """What an act does where nothing strikes, and what it does when it recovers from a death half-way."""

    calls: Counter[str]
    recovery: Counter[str]
    outcome: Outcome


class Failed(Exception):
    """An act goes wrong without any fault: nothing can be said about faults then."""


def learn(template: Path, folder: Path, act: str, mode: str) -> Known:
    """Play `act` without a fault, and once with a death half-way and a recovery that is watched. Raises Failed."""
    calm = well(run(template, folder, Blow(act, mode)))
    half = Blow(act, mode, "kill", "pwrite64", max(1, calm.calls["pwrite64"] // 2), "fsync", 0)
    struck = run(template, folder, half, calm.outcome)
    if struck.problems:
        raise Failed("\n".join(struck.problems))
    return Known(calm.calls, struck.calls_again, calm.outcome)


def blows(act: str, mode: str, known: Known, chance: random.Random) -> list[Blow]:
    """Every fault at every write, shuffled."""
    found = [
        Blow(act, mode, fault, call, nth)
        for fault in FAULTS
        for call, count in sorted(known.calls.items())
        for nth in range(1, count + 1)
    ]
    chance.shuffle(found)
    return found


def again(act: str, mode: str, known: Known, chance: random.Random) -> Iterator[Blow]:
    """Deaths at any write, each followed by a death while recovering, without end."""
    first, second = sorted(known.calls.elements()), sorted(known.recovery.elements())
    while first and second:
        call, call_again = chance.choice(first), chance.choice(second)
        blow = Blow(act, mode, "kill", call, chance.randint(1, known.calls[call]), call_again)
        yield replace(blow, again=chance.randint(1, known.recovery[call_again]))


def choose(learnt: dict[tuple[str, str], Known], seed: int, count: int, count_again: int) -> list[Blow]:
    """`count` blows, taken from all acts in turn (0: all there are), and `count_again` of those that strike twice."""
    chance = random.Random(seed)
    single = [blows(*key, known, chance) for key, known in learnt.items()]
    double = [again(*key, known, chance) for key, known in learnt.items()]
    turns = (blow for blow in chain.from_iterable(zip_longest(*single)) if blow is not None)
    twice = (blow for blow in chain.from_iterable(zip_longest(*double)) if blow is not None)
    return [*islice(turns, count or None), *islice(twice, count_again)]


def kinds() -> list[tuple[str, str]]:
    """Acts and modes; who has no database yet cannot be told how to run it."""
    return [(act, mode) for mode in ("commit", "checkpoint") for act in ACTS if ACTS[act].made or mode == "commit"]


def trials(template: Path, folder: Path, seed: int, count: int, count_again: int, both: bool) -> list[Trial]:
    """Learn and choose. `both`: every act with and without a checkpoint; otherwise one of the two, drawn for each."""
    chance = random.Random(seed)
    drawn = {act: chance.choice(("commit", "checkpoint")) if ACTS[act].made else "commit" for act in ACTS}
    chosen = [(act, mode) for act, mode in kinds() if both or mode == drawn[act]]
    learnt = {kind: learn(template, folder / "learning", *kind) for kind in chosen}
    return [
        Trial(f"kills {blow}", trial, (template, folder / str(n), blow, learnt[blow.act, blow.mode].outcome))
        for n, blow in enumerate(choose(learnt, seed, count, count_again))
    ]


def well(result: Result) -> Result:
    """A run that nothing was to strike. Raises Failed."""
    if not result.acks.done:
        result.problems.append("it did not come to its end")
    if result.problems:
        raise Failed("\n".join(result.problems))
    return result
