"""`pytest -p tests.sim.mutants.plugin`: all tests run with the bug in place that the environment names."""

import os

from tests.sim.mutants.catalogue import ALL
from tests.sim.mutants.importing import put_in_place

VARIABLE = "LIANDONG_MUTANT"

put_in_place(next(mutant for mutant in ALL if mutant.name == os.environ[VARIABLE]))
