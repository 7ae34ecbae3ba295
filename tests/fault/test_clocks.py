"""Clocks that are years apart: nothing that matters depends on what time a node believes it is (I18)."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.keys import unb64
from tests.fault.crew import until
from tests.fault.town import Town, rows

SEED = 20260517
CLOCKS = {"620000": "+10y", "620100": "-5y", "620102": "+0", "620103": "+3y"}
ACTS, BETWEEN = 40, 20
CONVERGED_S = 60.0

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.fixture
def town(workshop: Path) -> Iterator[Town]:
    if shutil.which("faketime") is None:
        pytest.skip("NO FAKETIME: install faketime")
    found = Town(workshop / "clocks")
    found.open()
    yield found
    found.close()


@pytest.mark.timeout(600)
def test_nodes_whose_clocks_are_years_apart_work_together_and_agree(town: Town):
    chance = random.Random(SEED)
    for code, node in town.nodes.items():
        node.start_in(CLOCKS[code])
    for node in town.nodes.values():
        node.sign_in()
    for act in range(ACTS):
        town.act(chance)
        if act % BETWEEN == BETWEEN - 1:
            until(lambda: not town.troubles(), CONVERGED_S, "no agreement")
    _turn_back(town)
    for _ in range(ACTS // 2):
        town.act(chance)
    until(lambda: not town.troubles(), CONVERGED_S, "no agreement")
    assert not [*town.lost(), *town.unsound(), *town.equivocations()]
    assert len({topic for _, topic, _, _ in town.record}) >= 8
    assert len(_years_written(town)) >= 4


def _turn_back(town: Town) -> None:
    """Two nodes change clocks: one jumps years back, one years ahead."""
    for code, when in (("620000", "-5y"), ("620102", "+10y")):
        town.nodes[code].kill()
        town.nodes[code].start_in(when)
        town.nodes[code].sign_in()


def _years_written(town: Town) -> set[int]:
    """The years that stand in what was signed: the clocks really were apart."""
    found = set()
    for node in town.nodes.values():
        for (raw,) in rows(node.data, "SELECT raw FROM statements"):
            found.add(int(json.loads(unb64(json.loads(raw)["payload"]))["at"][:4]))
    return found
