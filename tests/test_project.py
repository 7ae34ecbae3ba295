"""The project keeps the promises its files make: locks, packages, rooms, sizes, nothing minified."""

import ast
import re
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sqlalchemy import create_engine, inspect, text

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")
LINES_MAX = 600
FUNCTION_LINES_MAX = 70
ASSET_LINE_CHARS_MAX = 1000


def tracked(*patterns: str) -> list[Path]:
    said = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True)
    files = (ROOT / name.decode() for name in said.stdout.split(b"\0") if name)
    return [file for file in files if file.exists()]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_registry(name: str):
    lock = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?://|file:|^\s*-", lock.replace("    --hash=sha256:", ""), re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_has_a_hash_for_every_pin(name: str):
    pins = re.split(r"^(?=\w)", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert pins
    assert [pin for pin in pins if not re.match(r"[\w.-]+==\S.*\\\n    --hash=sha256:[0-9a-f]{64}", pin)] == []


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["build"]),
        ("requirements-dev.lock", PYPROJECT["project"]["dependencies"]),
        ("requirements-dev.lock", PYPROJECT["project"]["optional-dependencies"]["dev"]),
        ("requirements-uv.lock", PYPROJECT["dependency-groups"]["uv"]),
    ],
)
def test_lock_satisfies_pyproject(name: str, wanted: list[str]):
    pins = pinned(name)
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement


def test_locks_agree():
    assert pinned("requirements.lock").items() <= pinned("requirements-dev.lock").items()


def pinned(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([^ ;]+)", (ROOT / name).read_text("utf-8"), re.MULTILINE))


def test_packages_exist():
    for package in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert (ROOT / package / "__init__.py").exists(), package


def test_every_module_of_the_node_has_its_layer():
    layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
    placed = set(re.findall(r"node\.(\w+)", " ".join(layers)))
    assert {entry.stem for entry in (ROOT / "node").glob("[!.]*") if is_module(entry)} <= placed | {"__init__"}


def is_module(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry / "__init__.py").exists()


def test_no_minified_asset():
    assets = tracked("*.js", "*.css", "*.mjs")
    longest = {file: max(map(len, file.read_text("utf-8").splitlines()), default=0) for file in assets}
    assert [file for file in assets if ".min." in file.name or longest[file] > ASSET_LINE_CHARS_MAX] == []


def test_files_and_functions_are_short():
    too_long = []
    for file in tracked("*.py", ":!node/store/migrations"):
        source = file.read_text("utf-8")
        if source.count("\n") > LINES_MAX:
            too_long.append(f"{file}: over {LINES_MAX} lines")
        for found in ast.walk(ast.parse(source)):
            if (
                isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
                and (found.end_lineno or 0) - found.lineno >= FUNCTION_LINES_MAX
            ):
                too_long.append(f"{file}:{found.lineno} {found.name}: over {FUNCTION_LINES_MAX} lines")
    assert too_long == []


def test_database_url_gives_an_empty_database_that_knows_chinese(database_url: str):
    engine = create_engine(database_url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("create table topic (title text)"))
        connection.execute(text("insert into topic values ('老旧小区加装电梯')"))
        assert connection.execute(text("select title from topic")).scalar() == "老旧小区加装电梯"
    engine.dispose()


def test_another_machine_is_out_of_reach():
    with socket.socket() as other, pytest.raises(pytest.fail.Exception, match="outside this machine"):
        other.connect(("192.0.2.1", 9))


@pytest.mark.postgres
def test_postgres_server_ends_with_its_tests_however_they_end():
    script = "from tests.postgres import server\nwith server() as url: print(url.query['host'], flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=-1, stdout=-1, text=True) as process:
        folder = Path(process.stdout.readline().strip())
        assert folder.is_dir()
        process.kill()
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline, "the server outlived its tests"
        time.sleep(0.05)
