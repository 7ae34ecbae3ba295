"""Nodes that are restored and nodes that are copied, as real processes with the real commands (T9)."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault import restores
from tests.fault.campaign import play
from tests.fault.town import CODES, Process, Town

SEED = 20260517
TOWNS = 6

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.mark.timeout(1500)
def test_restored_and_copied_nodes_are_found_and_healed_and_nobody_signs_twice(workshop: Path):
    tally = play("lives", restores.trials(workshop / "lives", SEED, range(TOWNS)), jobs=TOWNS)
    print(tally)
    assert not tally.failed, tally.failed
    assert tally.counts["backup"] + tally.counts["snapshot"] == TOWNS * restores.RESTORES >= 60
    assert tally.counts["clones"] == TOWNS * restores.CLONES >= 10
    assert all(tally.counts[f"restored-{code}"] for code in CODES)
    assert all(tally.counts[kind] for kind in ("backup", "snapshot", "again", "only-on-the-dead-disk"))


@pytest.fixture
def town(workshop: Path) -> Iterator[Town]:
    found = Town(workshop / "set-back")
    found.open()
    yield found
    found.close()


@pytest.mark.timeout(300)
def test_a_machine_set_back_signs_twice_if_it_may_sign_before_any_contact_and_the_judge_sees_it(town: Town):
    """The negative control, and what the setting against it is for: nobody else runs, so nobody can tell it."""
    node = town.nodes["620102"]
    node.start()
    node.sign_in()
    status, topic = node.clerk.ask("POST", "/api/v1/topics", {"title": "路灯", "text": "不亮", "areas": [node.code]})
    assert status == 201
    node.kill()
    kept = shutil.copytree(node.data, town.folder / "snapshot")
    node.start()
    node.sign_in()
    assert noted(node, topic["id"], "第一次") == 200
    for careful in (True, False):
        node.kill()
        town.put_away(node.code)
        shutil.copytree(kept, node.data)
        node.start(after_contact=careful)
        node.sign_in()
        assert (noted(node, topic["id"], "第二次") == 200) is not careful
        assert bool(town.equivocations()) is not careful


def noted(node: Process, topic: str, text: str) -> int:
    return node.clerk.ask("POST", f"/api/v1/topics/{topic}/note", {"text": text})[0]
