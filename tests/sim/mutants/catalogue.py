"""All seeded bugs."""

from tests.sim.mutants import lives, streams, topics, torn
from tests.sim.mutants.mutant import Mutant

ALL: tuple[Mutant, ...] = (*topics.MUTANTS, *lives.MUTANTS, *torn.MUTANTS, *streams.MUTANTS)
NOT_RULES = {"R18": "offers between nodes without a common parent do not exist yet"}
"""Rules without a guard, and why."""
