"""Seeded bugs: each is still where it was put, and is noticed by the very seed that the record names."""

from pathlib import Path

import pytest

from tests.sim.mutants import record
from tests.sim.mutants.by_test import noticed
from tests.sim.mutants.catalogue import ALL, NOT_RULES
from tests.sim.mutants.mutant import Edit, Misplaced, Mutant, source_of
from tests.sim.mutants.trial import tried

ROOT = Path(__file__).parents[2]
CAUGHT = record.caught()
NOTICED_MIN = 125
OTHER_SEEDS = 30
TIMEOUT_S = 300.0


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code_it_breaks(mutant: Mutant) -> None:
    for edit in mutant.edits:
        source = source_of(edit.module)
        broken = edit.apply(source)
        assert broken != source
        compile(broken, edit.module, "exec")


def test_a_mutant_of_code_that_has_changed_is_an_error() -> None:
    edit = Edit("sync.custody:_accept", "a line that nobody wrote", "")
    with pytest.raises(Misplaced):
        edit.apply(source_of(edit.module))


def test_every_rule_has_its_mutants() -> None:
    assert len(ALL) == len({mutant.name for mutant in ALL})
    assert len(CAUGHT) >= NOTICED_MIN
    assert {f"R{n}" for n in range(1, 21)} - {mutant.rule for mutant in ALL} == set(NOT_RULES)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [mutant for mutant in ALL if mutant.elsewhere], ids=lambda mutant: mutant.name)
def test_the_test_that_is_named_for_a_mutant_notices_it(mutant: Mutant) -> None:
    found, said = noticed(mutant.name, [mutant.elsewhere], TIMEOUT_S)
    assert found, said


def test_the_page_of_mutants_is_the_one_of_the_record() -> None:
    assert record.PAGE.read_text(encoding="utf-8") == record.page(record.load())


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUGHT)
def test_a_mutant_is_noticed_by_the_seed_that_is_named(name: str) -> None:
    """Other changes may turn what happens in a seed; a few more are tried before a bug counts as unnoticed."""
    known = CAUGHT[name].seed
    assert known is not None
    seeds = [known, *(seed for seed in range(OTHER_SEEDS) if seed != known)]
    found = tried(name, seeds, TIMEOUT_S, CAUGHT[name].steps)
    assert found.seed is not None, f"{found.seeds} seeds, {found.text}: `make mutants` looks further"
