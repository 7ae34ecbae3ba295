"""Two processes started at once on one data folder, again and again: exactly one of them runs the node."""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from node.cli.server import start
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.refusals import NodeRunning
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.verify import verify
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Tier
from tests.fault.forks import Fork
from tests.fault.race import run
from tests.fault.scene import shut

RACES = {"sqlite": 100, "postgresql": 25}

pytestmark = [pytest.mark.process, pytest.mark.slow]


@pytest.mark.timeout(600)
def test_of_two_processes_started_on_one_node_exactly_one_runs(database_url: str, tmp_path: Path):
    url = "" if database_url.startswith("sqlite") else database_url
    settings = Settings(data=tmp_path / "620100", database_url=url, disk_reserve_bytes=0)
    ctx = init_node(settings, Clock(), Plan("620100", "兰州市政协", Tier.CITY, "http://127.0.0.1:1", root=True))
    seen = set()
    races = RACES[ctx.engine.dialect.name]
    for _ in range(races):
        seen.add(_race(settings, ctx))
    assert len(seen) == races
    assert not verify(ctx).problems
    shut(ctx)


def test_whoever_started_keeps_the_right_to_run_the_jobs(tmp_path: Path):
    """Were it let go for a moment, a second start in that moment would draw an instance of its own."""
    settings = Settings(data=tmp_path / "620100", disk_reserve_bytes=0)
    shut(init_node(settings, Clock(), Plan("620100", "兰州市政协", Tier.CITY, "http://127.0.0.1:1", root=True)))
    first, lock = start(settings, True)
    with pytest.raises(NodeRunning):
        start(settings, True)
    again = load(settings, Clock())
    assert again.instance == first.instance
    assert lock is not None
    lock.close()
    for ctx in (first, again):
        shut(ctx)


def _race(settings: Settings, ctx: Context) -> str:
    """The instance of the one that runs; it is the one in the database, and is killed at the end."""
    forks = [Fork(run, settings), Fork(run, settings)]
    for fork in forks:
        fork.go()
    said = [fork.hear() for fork in forks]
    with reading(ctx.engine) as conn:
        recorded = conn.execute(select(t.instances.c.instance)).scalar()
    for fork in forks:
        with suppress(ValueError):
            fork.process.kill()
        fork.end()
    assert sorted(kind for kind, _ in said) == ["refused", "runs"], said
    instance = next(what for kind, what in said if kind == "runs")
    assert instance == recorded
    return str(instance)
