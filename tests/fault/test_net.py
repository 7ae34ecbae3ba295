"""Thirteen real nodes on machines of their own, and trouble between them (T8)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fault import namespaces

ROOT = Path(__file__).parents[2]
SEED = 20260517
SCENARIOS = 10


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(1200)
def test_thirteen_nodes_agree_within_a_minute_after_any_trouble_between_them(tmp_path: Path):
    """In a process of its own, which leaves this machine's network: no test of this one may reach beyond loopback."""
    if why := namespaces.missing():
        pytest.skip(why)
    command = [sys.executable, "-m", "tests.fault", "net", "--count", str(SCENARIOS), "--seed", str(SEED)]
    done = subprocess.run([*command, "--folder", str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SCENARIOS} trials" in done.stdout
