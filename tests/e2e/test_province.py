"""A small province as real processes: nodes are killed, lines are cut, a county is lost and restored, all while they
work; every total at the top is the sum below.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SIZE = ["--cities", "2", "--counties", "2", "--solved", "24", "--kills", "3", "--cuts", "1", "--cut-s", "3"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(300)
def test_totals_at_the_province_are_the_sums_of_the_nodes_after_kills_cuts_and_a_restore(tmp_path: Path):
    done = _replay(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("was killed and started again") == 3
    assert "to the tier above was cut" in done.stdout
    assert "has healed" in done.stdout
    assert "all equal" in done.stdout
    with closing(sqlite3.connect(tmp_path / "620000" / "node.db")) as conn, conn:
        conn.execute("UPDATE rollups SET participations = participations + 1 WHERE place = '' AND key = 'active'")
    again = _replay(tmp_path)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "participations is" in again.stdout


def _replay(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.province", *SIZE, "--keep", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140)
