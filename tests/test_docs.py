"""The documents keep up with the program: commands, settings, routes, problems, links."""

import re
import subprocess
from pathlib import Path

import pytest
import typer

from node.api.problems import KINDS
from node.app import ROUTERS
from node.cli import app
from node.config import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def commands(part: typer.Typer = app, prefix: tuple[str, ...] = ()) -> list[str]:
    found = [" ".join((*prefix, command.name or "")) for command in part.registered_commands]
    for group in part.registered_groups:
        found += commands(group.typer_instance, (*prefix, group.name or ""))
    return found


def routes() -> list[str]:
    listed = (route for router in ROUTERS for route in router.routes)
    return [f"{method} {route.path_format}" for route in listed for method in route.methods]


def documents() -> list[Path]:
    said = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name.decode() for name in said.stdout.split(b"\0") if name and (ROOT / name.decode()).exists()]


@pytest.mark.parametrize("page", ["cli.md", "cli.zh-CN.md"])
@pytest.mark.parametrize("command", commands())
def test_command_stands_in_the_docs(command: str, page: str):
    assert re.search(rf"`(?:[^`]*, )?{command}\b", (DOCS / page).read_text("utf-8")), command


@pytest.mark.parametrize("page", ["install.md", "install.zh-CN.md"])
@pytest.mark.parametrize("setting", sorted(Settings.model_fields))
def test_setting_stands_in_the_docs(setting: str, page: str):
    assert f"| `LIANDONG_{setting.upper()}` |" in (DOCS / page).read_text("utf-8")


def test_routes_of_the_docs_are_those_of_the_node():
    named = set(re.findall(r"^\| `([A-Z]+ /\S+)` \|", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE))
    assert named == {*routes(), "GET /openapi.json"}


def test_problems_of_the_docs_are_those_of_the_node():
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| (.+) \|$", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert {name: (int(status), title) for status, name, title in rows} == {
        kind.name: (kind.status, kind.title) for kind in KINDS.values()
    }


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(page: Path):
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", ["README.md", "docs/install.md", "docs/cli.md", "docs/aggregation.md"])
def test_page_for_offices_stands_in_chinese_too(page: str):
    english = ROOT / page
    chinese = english.with_suffix(".zh-CN.md")
    assert chinese.name in english.read_text("utf-8")
    assert english.name in chinese.read_text("utf-8")
