"""The simulator itself: a few seeds in every check, more in every test, and the proof that it repeats itself."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from node.service.commit import Batch
from tests.sim import machine, ticks
from tests.sim.__main__ import main
from tests.sim.network import damage
from tests.sim.options import expand
from tests.sim.run import Result, run
from tests.sim.tally import Total
from tests.sim.world import World

ROOT = Path(__file__).parents[2]
SEEDS = range(1000, 1006)
STEPS = 300
KINDS_MIN = 14
TRACES = """
from tests.sim.options import expand
from tests.sim.run import run
print([run(expand(seed, 30)).trace for seed in range(7, 12)])
"""


def held(result: Result) -> Result:
    assert result.violation is None, f"seed {result.options.seed}: {result.violation}\n" + "\n".join(result.last)
    return result


@pytest.mark.parametrize("seed", [2, 26])
def test_a_seed_holds_all_invariants(seed: int) -> None:
    held(run(replace(expand(seed, 50), twin=False, finish=False)))


def test_the_same_seed_gives_the_same_trace() -> None:
    first, second = (held(run(replace(expand(26, 15), twin=False, finish=False))) for _ in range(2))
    assert first.trace == second.trace


@pytest.mark.slow
@pytest.mark.parametrize("seed", [5, 26, 40])
def test_statements_run_with_less_ceremony_do_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy's own way of running a statement, and every signature verified each time it is met."""
    options = replace(expand(seed, 150), twin=False)
    quick = held(run(options))

    def listen(engine: Engine, before: Callable[[str], None]) -> None:
        event.listen(engine, "before_cursor_execute", lambda _conn, _cursor, text, *_: before(text))

    monkeypatch.setattr(machine, "make_quick", listen)
    monkeypatch.setattr("tests.sim.run.found_out_once", nullcontext)
    assert held(run(options)).trace == quick.trace


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_five_seeds_give_the_same_traces_in_other_processes() -> None:
    traces = set()
    for hash_seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", TRACES], cwd=ROOT, env=env, capture_output=True, check=True)
        traces.add(done.stdout)
    assert len(traces) == 1


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_seeds_hold_and_meet_most_faults() -> None:
    """A few; `make test` plays 500 longer ones beside these tests, where processors would wait."""
    total = Total()
    for seed in SEEDS:
        total.add(held(run(expand(seed, STEPS))).tally)
    assert len(total.widely) >= KINDS_MIN, f"only {total.widely} in a fifth of {total.seeds} seeds"


def test_a_seed_that_fails_is_said_and_how_to_play_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(World, "step", lambda world: world.checker.oracle.granted("620000", None))
    assert main(["--seeds", "2", "--steps", "1"]) == 1
    said = capsys.readouterr().out
    assert "seed 0 FAILED" in said and "make sim ARGS='--seed 1 --steps 1'" in said and "2 seeds failed" in said


@pytest.mark.slow
def test_other_clocks_change_no_topic() -> None:
    """I18: by clocks up to ten years off, every topic has the same entries and the same custody."""
    for seed in range(3):
        held(run(replace(expand(seed, 120), twin=True, deadlines=False, finish=False)))


def test_by_other_clocks_the_same_things_happen(tmp_path: Path) -> None:
    """How long a damaged document is changes nothing of what is drawn after it, and no month is sealed."""
    faults = ("request-corrupted", "request-cut")
    world = World(tmp_path, replace(expand(0), twin=True, deadlines=False, faults=faults, fault_rate=0.7))
    try:
        before, after = world.chance.getstate(), set()
        for size in (4097, 6000, 8191):
            world.chance.setstate(before)
            for _ in range(20):
                damage(world.network, "request", bytes(size))
            after.add(world.chance.getstate())
        assert len(after) == 1
        for _ in range(60):
            ticks.tick(world, world.joined[-1])
        assert world.joined[-1].rows("SELECT period FROM totals") == []
    finally:
        world.close()


@pytest.mark.slow
def test_a_broken_rule_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a node that forgets that it declined contradicts itself, and the checks see it."""
    monkeypatch.setattr(Batch, "declined", lambda batch, offer: False)
    seeds = (replace(expand(seed, 400), old=(), late=(), twin=False, finish=False) for seed in range(8))
    assert any("I1:" in str(run(options).violation) for options in seeds)
