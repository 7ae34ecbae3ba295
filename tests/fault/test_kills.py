"""Deaths and disk errors at the Nth write of everything that writes, and deaths while recovering from them (T4)."""

from pathlib import Path

import pytest

from tests.fault import kills, plan
from tests.fault.campaign import play
from tests.fault.kills import Blow
from tests.fault.strace import FAULTS

SEED = 20260517
BLOWS = 300
AGAIN = 30

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("tracing")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_node_struck_at_any_write_loses_nothing_it_acknowledged(template: Path, workshop: Path):
    trials = plan.trials(template, workshop / "blows", SEED, BLOWS, AGAIN, both=False)
    tally = play("blows", trials)
    print(tally)
    assert not tally.failed, "\n".join(name for name, _ in tally.failed)
    assert all(tally.counts[fault] >= BLOWS / 5 for fault in FAULTS)
    assert tally.counts["again"] >= AGAIN / 2
    assert tally.counts["refused-full"] and tally.counts["refused-broken"]


def test_an_answer_given_before_the_commit_is_seen_by_the_judge(template: Path, workshop: Path):
    """The negative control."""
    calm = kills.run(template, workshop / "calm", Blow("boast", "commit"))
    assert not calm.problems
    struck = kills.run(template, workshop / "boast", Blow("boast", "commit", "kill", "pwrite64", 30), calm.outcome)
    assert struck.struck
    assert any("without a fault" in problem for problem in struck.problems)


def test_a_struck_act_that_was_not_answered_is_not_there(template: Path, workshop: Path):
    calm = kills.run(template, workshop / "calm", Blow("escalate", "commit"))
    assert calm.acks.done and not calm.problems
    struck = kills.run(template, workshop / "struck", Blow("escalate", "commit", "kill", "fdatasync", 2), calm.outcome)
    assert struck.struck and not struck.acks.done and not struck.problems
