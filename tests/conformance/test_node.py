"""The conformance kit against our own node, started as a real process, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests import postgres
from tests.conformance import checks
from tests.conformance.__main__ import main
from tests.conformance.kit import CHECKS, Check, Stage, play
from tests.conformance.machine import NAME as OPERATOR
from tests.conformance.machine import PASSWORD, Node
from tests.conformance.parent import Parent

CODES = [f"6201{number}" for number in range(11, 99)]
CORE = ("joining", "flows", "streams", "log", "lives")
"""What runs on PostgreSQL too, beside SQLite: everything whose outcome is in the database's hands."""

pytestmark = [pytest.mark.slow, pytest.mark.process]


class Theatre:
    """Nodes and stages of one test process, ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[Node] = []
        self.stages: list[Stage] = []

    def stage(self, database: str = "", root: bool = False) -> Stage:
        folder = self.folder / str(len(self.stages))
        parent = None if root else Parent().start()
        code, tier = ("620000", "province") if root else ("620100", "city")
        node = Node(folder, code, tier, database, root)
        self.nodes.append(node)
        if parent is not None:
            node.run("join", parent.invite(code, tier))
        tokens = iter(node.invite(["620100", "620200"] if root else CODES, "city" if root else "county"))
        node.start()
        stage = Stage(node.url, tokens, (OPERATOR, PASSWORD), parent, lambda root: self.stage(root=root))
        self.stages.append(stage)
        return stage

    def close(self) -> None:
        for node in self.nodes:
            node.stop()
        for stage in self.stages:
            stage.close()
            if stage.above is not None:
                stage.above.close()


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    made = Theatre(tmp_path_factory.mktemp("theatre"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def stage(theatre: Theatre) -> Stage:
    return theatre.stage()


@pytest.fixture(scope="module")
def stage_on_postgres(theatre: Theatre, postgres_server: URL) -> Iterator[Stage]:
    with postgres.database(postgres_server) as url:
        yield theatre.stage(url)


def passes(check: Check, on: Stage) -> None:
    outcome = play(check, on)
    assert outcome.state == "passed", f"SPEC {check.section}: {outcome.said}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.side}-{check.section}-{check.name}")
def test_node_passes_the_check(stage: Stage, check: Check):
    passes(check, stage)


def _core(check: Check) -> bool:
    return check.run.__module__.rsplit(".", 1)[-1] in CORE


@pytest.mark.postgres
@pytest.mark.parametrize(
    "check", [each for each in CHECKS if _core(each)], ids=lambda check: f"{check.section}-{check.name}"
)
def test_node_on_postgres_passes_the_check(stage_on_postgres: Stage, check: Check):
    passes(check, stage_on_postgres)


def test_command_line_plays_checks_and_says_what_came_of_them(theatre: Theatre, stage: Stage, capsys):
    said = ["--url", stage.url, "--login", f"{OPERATOR}:{PASSWORD}", *_tokens(stage, 2)]
    assert main([*said, "--only", "escalate, accept, report, accept, work and close"]) == 0
    assert "1 passed, 0 failed, 0 skipped" in capsys.readouterr().out
    assert main([*said, "--only", "to an honest parent that does not exist"]) == 1
    assert main(["--url", stage.url, "--only", "a challenge serves once"]) == 1
    assert "no invitation left" in capsys.readouterr().out


def _tokens(stage: Stage, count: int) -> list[str]:
    return [word for _ in range(count) for word in ("--token", next(stage.tokens))]


def test_checks_are_many_and_named_once():
    names = [check.name for check in CHECKS]
    assert len(names) >= 150
    assert len(set(names)) == len(names)
    assert checks.__all__
