"""Nodes that are restored and nodes that are copied, as real processes with the real commands (T9)."""

from pathlib import Path

import pytest

from tests.fault import restores
from tests.fault.campaign import play
from tests.fault.town import CODES

SEED = 20260517
TOWNS, RESTORES, CLONES = 4, 5, 1

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.mark.timeout(900)
def test_restored_and_copied_nodes_are_found_and_healed_and_nobody_signs_twice(workshop: Path):
    tally = play("lives", restores.trials(workshop / "lives", SEED, range(TOWNS), RESTORES, CLONES), jobs=TOWNS)
    print(tally)
    assert not tally.failed, tally.failed
    assert tally.counts["backup"] + tally.counts["snapshot"] == TOWNS * RESTORES
    assert tally.counts["clones"] == TOWNS * CLONES
    assert all(tally.counts[f"restored-{code}"] for code in CODES)
    assert all(tally.counts[kind] for kind in ("backup", "snapshot", "twice", "only-on-the-dead-disk"))
