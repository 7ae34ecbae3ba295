"""A line that flips, truncates, cuts, swallows, delays and drips, between two real nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault import line
from tests.fault.campaign import Trial, play

SEED = 20260517
FAULTS = 250

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[line.Pair]:
    found = line.Pair.open(tmp_path)
    yield found
    found.close()


@pytest.mark.timeout(600)
def test_an_exchange_over_a_bad_line_is_refused_or_done_and_then_done(pair: line.Pair):
    faults = line.faults(pair.sizes(), SEED, FAULTS)
    tally = play("line", [Trial(f"line {fault}", line.trial, (pair, fault)) for fault in faults])
    print(tally)
    assert not tally.failed, tally.failed
    assert not line.sound(pair)
    assert all(tally.counts[kind] for kind in ("flip", "truncate", "cut", "hole", "delay", "drops"))
    assert tally.counts["answered-503"] >= FAULTS / 3
