"""What happened in a run and in all runs: faults, verbs, refusals, and in which share of the seeds each was seen."""

from collections import Counter
from dataclasses import dataclass, field

from tests.sim.options import FAULTS


@dataclass
class Tally:
    """Counts of one run."""

    steps: int = 0
    lies: int = 0
    """How often a node was told a number of lies."""
    faults: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    exchanges: Counter[str] = field(default_factory=Counter)

    def fault(self, name: str) -> None:
        self.faults[name] += 1


@dataclass
class Total:
    """Counts of all runs; `*_seeds` counts the runs in which something was seen at all."""

    seeds: int = 0
    steps: int = 0
    lies: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    fault_seeds: Counter[str] = field(default_factory=Counter)
    verbs: Counter[str] = field(default_factory=Counter)
    verb_seeds: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    exchanges: Counter[str] = field(default_factory=Counter)

    @property
    def widely(self) -> list[str]:
        """The kinds of fault met in a fifth of the seeds or more."""
        return [name for name in FAULTS if self.fault_seeds[name] >= self.seeds / 5]

    def add(self, tally: Tally) -> None:
        self.seeds += 1
        self.steps += tally.steps
        self.lies += tally.lies
        self.faults += tally.faults
        self.verbs += tally.verbs
        self.refused += tally.refused
        self.exchanges += tally.exchanges
        self.fault_seeds.update(tally.faults.keys())
        self.verb_seeds.update(tally.verbs.keys())
