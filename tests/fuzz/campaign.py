"""Runs targets and watches them: what they raise, how long they take, how much memory the process has grown."""

import resource
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.fuzz.targets import REFUSALS, TARGETS, Target

SECONDS_MAX = 2.0
"""Of processor time, for one input of at most 200,000 bytes."""
MEBIBYTES_MAX = 300
"""That a campaign may need above what it started with."""
SHOWN = 3000


@dataclass(slots=True)
class Outcome:
    """What became of a target's inputs: `said` counts codes of refusals, and `taken`."""

    target: str
    said: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def executions(self) -> int:
        return self.said.total()

    def add(self, more: "Outcome") -> None:
        self.said += more.said
        self.seconds += more.seconds
        self.slowest = max(self.slowest, more.slowest)
        self.violations += more.violations


def memory_mib() -> float:
    """The most this process has ever used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def campaign(name: str, seed: int, count: int, first: int = 0, violations_max: int = 1) -> Outcome:
    """`count` inputs of a target from number `first` on; the same seed and number make the same input."""
    target, outcome = TARGETS[name], Outcome(name)
    for number in range(first, first + count):
        given = target.make(Random(f"{seed} {name} {number}"))
        began = time.thread_time()
        wrong = _play(target, given, outcome)
        took = time.thread_time() - began
        outcome.slowest, outcome.seconds = max(outcome.slowest, took), outcome.seconds + took
        if wrong is None and took > SECONDS_MAX:
            wrong = f"took {took:.1f} s"
        if wrong is not None:
            again = f"python -m tests.fuzz --target {name} --seed {seed} --first {number} --count 1"
            outcome.violations.append(f"{again}\n{wrong}\ninput: {given!r:.{SHOWN}}")
            if len(outcome.violations) >= violations_max:
                break
    return outcome


def _play(target: Target, given: Any, outcome: Outcome) -> str | None:
    """What is wrong, if something is."""
    try:
        target.read(given)
    except REFUSALS as error:
        outcome.said[getattr(error, "code", type(error).__name__)] += 1
        return None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        outcome.said["VIOLATION"] += 1
        return "".join(traceback.format_exception(error)[-6:])
    outcome.said["taken"] += 1
    return None
