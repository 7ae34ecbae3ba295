"""The protocol's models: all states within the bounds of a push hold; every forbidden simplification is caught."""

import pytest

from tests.model.pan import check, missing
from tests.model.runs import FORBIDDEN, GUARDS, HOLDING, Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=f"NOT CHECKED: no {' and no '.join(missing())} here"),
]


@pytest.mark.parametrize("run", HOLDING, ids=lambda run: run.name)
def test_model_within_bounds_holds_in_every_state(run: Run):
    outcome = check(run)
    assert outcome.violated is None, outcome.trail
    assert outcome.complete
    assert outcome.states > 1000


@pytest.mark.parametrize("run", FORBIDDEN + GUARDS, ids=lambda run: run.name)
def test_model_without_one_guard_is_violated(run: Run):
    outcome = check(run)
    assert outcome.violated is not None, "the model no longer sees what this guard is for"
    assert outcome.trail


def test_controls_are_all_fifteen_forbidden_simplifications():
    assert len(FORBIDDEN) == 15
