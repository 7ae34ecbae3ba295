"""`python -m tests.sim.mutants.by_test NAME TESTS...`: which of these tests notices a seeded bug."""

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.sim.mutants.mutant import ROOT

SAID_LINES = 15
PLUGIN = "tests.sim.mutants.plugin"
FAILED = 1
"""How pytest ends where a test failed: 2 and more is a mistake in how it was called."""


def noticed(name: str, tests: Sequence[str], timeout_s: float | None = None) -> tuple[bool, str]:
    """Whether one of the tests fails with the bug in place, and the end of what pytest said. Raises RuntimeError."""
    options = ["-p", PLUGIN, "-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=ROOT,
        env={**os.environ, "LIANDONG_MUTANT": name},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    said = "\n".join(done.stdout.splitlines()[-SAID_LINES:])
    if done.returncode not in (0, FAILED):
        raise RuntimeError(f"{name}: {said}\n{done.stderr}")
    return done.returncode == FAILED, said


if __name__ == "__main__":
    found, text = noticed(sys.argv[1], sys.argv[2:])
    print(text)
    raise SystemExit(not found)
