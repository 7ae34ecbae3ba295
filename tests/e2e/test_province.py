"""A small province as real processes: nodes are killed while they work, and every total at the top is the sum below."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(300)
def test_totals_at_the_province_are_the_sums_of_the_nodes_after_kills(tmp_path: Path):
    size = ["--cities", "1", "--counties", "2", "--solved", "24", "--kills", "2", "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.province", *size]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("was killed and started again") == 2
    assert "all equal" in done.stdout
