"""A county that loses its machine, as its clerk lives through it: real processes and the command line alone."""

import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.clock import Clock
from node.demo.town import free_port
from tests.e2e.test_serve import ROOT, Machine, wait

CITY, COUNTY = "620100", "620102"
RESTORED_S = 120

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(900)]


class Offices(Machine):
    """Nodes made, joined and used by the command line; `urls` are databases other than SQLite."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.urls: dict[str, str] = {}
        self.serving: dict[str, subprocess.Popen[str]] = {}
        self.address: dict[str, str] = {}

    def say(self, code: str, *words: str, given: str = "", fails: bool = False) -> str:
        """One command at a node; what it prints."""
        where = ["--data", str(self.folder / code)]
        where += ["--database", self.urls[code]] if code in self.urls else []
        command = [sys.executable, "-m", "node", *words, *where]
        done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=100)
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done.stdout.strip() + done.stderr.strip() if fails else done.stdout.strip()

    def ask(self, code: str, *words: str) -> Any:
        return json.loads(self.say(code, *words, "--json"))

    def found(self, code: str, tier: str, *options: str) -> None:
        url = f"http://127.0.0.1:{free_port(Clock())}"
        self.address[code] = url
        self.say(code, "init", "--code", code, "--name", f"{code}政协", "--tier", tier, "--url", url, *options)

    def enrol(self, code: str) -> None:
        token = self.say(CITY, "invite", code, "--tier", "county", "--name", f"{code}政协").splitlines()[-1]
        self.say(code, "join", token)

    def serve(self, code: str) -> None:
        options = ["--database", self.urls[code]] if code in self.urls else []
        self.serving[code] = self.start("serve", code, *options)

    def kill(self, code: str) -> None:
        """As a power cut does."""
        self.serving[code].kill()
        self.serving[code].wait()

    def topic(self, code: str, title: str) -> str:
        return str(self.ask(code, "topic", "open", "--title", title, "--text", "不亮", "--area", code)["id"])

    def topics(self, code: str) -> dict[str, tuple[str, str]]:
        """Holder and status of each topic a node knows."""
        items = self.ask(code, "topic", "list")["items"]
        return {item["id"]: (item["custodian"], item["status"]) for item in items}


@pytest.fixture
def offices(tmp_path: Path) -> Iterator[Offices]:
    made = Offices(tmp_path)
    try:
        yield made
    finally:
        made.end()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as reply:
            return json.loads(reply.read())["mode"] == "ready"
    except OSError:
        return False


def opened(offices: Offices, *below: str) -> None:
    """A city that is the root, with these counties below, all running."""
    offices.found(CITY, "city", "--root")
    offices.serve(CITY)
    for code in below:
        offices.found(code, "county")
        offices.serve(code)
        wait(lambda: answers(offices.address[CITY]))
        offices.enrol(code)


def test_a_county_restored_from_its_backup_goes_on_with_everything_its_city_knows(offices: Offices) -> None:
    opened(offices, COUNTY)
    first = offices.topic(COUNTY, "路灯不亮")
    backup = str(offices.folder / "backup.liandong")
    offices.say(COUNTY, "backup", backup)
    second = offices.topic(COUNTY, "道路积水")
    offices.say(COUNTY, "topic", "note", first, "--text", "去看过")
    wait(lambda: len(offices.topics(CITY)) == 2 and len(offices.ask(CITY, "topic", "entries", first)["items"]) == 2)

    offices.kill(COUNTY)
    shutil.rmtree(offices.folder / COUNTY)
    offices.say(COUNTY, "restore", backup)
    assert set(offices.topics(COUNTY)) == {first}
    assert CITY in offices.say(COUNTY, "doctor", fails=True)
    assert offices.say(COUNTY, "topic", "note", first, "--text", "太早", fails=True)
    offices.serve(COUNTY)
    held = {first: (COUNTY, "active"), second: (COUNTY, "active")}
    wait(lambda: offices.topics(COUNTY) == held, RESTORED_S)
    wait(lambda: offices.topics(CITY) == held)
    for topic in held:
        offices.say(COUNTY, "topic", "note", topic, "--text", "接着办")
        assert "按规则自动接管" in offices.say(COUNTY, "topic", "entries", topic)
    for code in (CITY, COUNTY):
        offices.say(code, "verify")
