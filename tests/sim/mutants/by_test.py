"""`python -m tests.sim.mutants.by_test NAME TESTS...`: which of these tests notices a seeded bug."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.sim.mutants.apart import in_a_process
from tests.sim.mutants.catalogue import ALL
from tests.sim.mutants.importing import put_in_place
from tests.sim.mutants.mutant import ROOT

SAID_LINES = 15
_EARLY = "ignore::pytest.PytestAssertRewriteWarning"
"""Libraries were imported before pytest could rewrite what they assert."""
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-W", _EARLY)
FAILED = 1
"""How pytest ends where a test failed: 2 and more is a mistake in how it was called."""


def noticed(name: str, tests: Sequence[str], timeout_s: float | None = None) -> tuple[bool, str]:
    """Whether one of the tests fails with the bug in place, and the end of what pytest said. Raises RuntimeError."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as said:
        ended = in_a_process(name, _tested, name, tests, said.name, timeout_s=timeout_s)
        end = "\n".join(said.read().splitlines()[-SAID_LINES:])
    if ended not in (0, FAILED):
        raise RuntimeError(f"{name}: {end}")
    return ended == FAILED, end


def _tested(name: str, tests: Sequence[str], said: str) -> int:
    put_in_place(next(mutant for mutant in ALL if mutant.name == name))
    os.chdir(ROOT)
    with Path(said).open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import pytest

    return int(pytest.main([*OPTIONS, *tests]))


if __name__ == "__main__":
    found, text = noticed(sys.argv[1], sys.argv[2:])
    print(text)
    raise SystemExit(not found)
