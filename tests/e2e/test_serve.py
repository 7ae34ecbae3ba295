"""The serving process: ready, stopped, killed, joined while it runs, and its jobs apart."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.demo.town import free_port
from node.service import joining, life
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.links import links
from schemas.ids import Tier

ROOT = Path(__file__).parent.parent.parent
READY_S = 60
STOP_S = 6
"""Two seconds are meant; the rest is for a busy machine."""

pytestmark = [pytest.mark.slow, pytest.mark.process]


class Machine:
    """Processes of this test, ended with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def make(self, code: str, tier: Tier, root: bool = False) -> Context:
        url = f"http://127.0.0.1:{free_port(Clock())}"
        settings = Settings(data=self.folder / code, database_url="")
        return init_node(settings, Clock(), Plan(code, f"{code}政协", tier, url, root))

    def start(self, command: str, code: str, *options: str) -> "subprocess.Popen[str]":
        with (self.folder / f"{code}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "node", command, "--data", str(self.folder / code), *options],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stderr=log,
                text=True,
            )
        self.running.append(process)
        return process

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    try:
        yield found
    finally:
        found.end()


def mode(ctx: Context) -> str | None:
    try:
        with urllib.request.urlopen(f"{ctx.identity.url}/healthz", timeout=5) as reply:
            return json.loads(reply.read())["mode"]
    except OSError:
        return None


def wait(what, seconds: float = READY_S) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


def enrol(parent: Context, child: Context) -> None:
    """Over the network, as `liandong invite` and `liandong join` do."""
    with write(parent) as batch:
        token = joining.invite(batch, child.identity.code, child.identity.tier, child.identity.name)
    joining.join(child, token)


def stop(process: "subprocess.Popen[str]") -> float:
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    print(f"stopped after {time.monotonic() - started:.2f} s")
    return time.monotonic() - started


def test_serve_takes_up_the_identity_of_a_node_that_joins_while_it_runs(machine: Machine):
    city, county = machine.make("620100", Tier.CITY, True), machine.make("620102", Tier.COUNTY)
    machine.start("serve", "620100")
    machine.start("serve", "620102")
    wait(lambda: mode(city) == "ready")
    wait(lambda: mode(county) == "healing")
    enrol(city, county)
    wait(lambda: mode(county) == "ready")
    wait(lambda: links(load(county.settings, Clock()), None, 9).items[0].state == "up")


def test_serve_stops_soon_although_a_neighbour_is_waiting(machine: Machine):
    city, county = machine.make("620100", Tier.CITY, True), machine.make("620102", Tier.COUNTY)
    above = machine.start("serve", "620100")
    wait(lambda: mode(city) == "ready")
    enrol(city, county)
    below = machine.start("serve", "620102")
    wait(lambda: mode(county) == "ready")
    wait(lambda: links(load(county.settings, Clock()), None, 9).items[0].state == "up")
    time.sleep(1)
    stop(above)
    stop(below)


def test_serve_is_refused_where_the_node_runs_already(machine: Machine):
    city = machine.make("620100", Tier.CITY, True)
    first = machine.start("serve", "620100")
    wait(lambda: mode(city) == "ready")
    instance = load(city.settings, Clock()).instance
    second = machine.start("serve", "620100", "--port", str(free_port(Clock())))
    assert second.wait(READY_S) == 1
    assert "This node runs already" in (machine.folder / "620100.log").read_text("utf-8")
    assert load(city.settings, Clock()).instance == instance
    assert first.poll() is None


def test_serve_killed_starts_again_on_the_same_port(machine: Machine):
    city = machine.make("620100", Tier.CITY, True)
    for _ in range(3):
        process = machine.start("serve", "620100")
        wait(lambda: mode(city) == "ready")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def test_jobs_apart_from_the_server_carry_the_same(machine: Machine):
    city, county = machine.make("620100", Tier.CITY, True), machine.make("620102", Tier.COUNTY)
    machine.start("serve", "620100", "--no-jobs")
    worker = machine.start("work", "620100")
    wait(lambda: mode(city) == "ready")
    enrol(city, county)
    machine.start("serve", "620102", "--no-jobs")
    below = machine.start("work", "620102")
    wait(lambda: links(load(county.settings, Clock()), None, 9).items[0].state == "up")
    stop(worker)
    stop(below)


def test_taken_port_is_said_in_one_line(machine: Machine):
    city = machine.make("620100", Tier.CITY, True)
    county = machine.make("620102", Tier.COUNTY)
    machine.start("serve", "620100")
    wait(lambda: mode(city) == "ready")
    port = city.identity.url.rpartition(":")[2]
    assert machine.start("serve", "620102", "--port", port).wait(READY_S) == 1
    said = (machine.folder / "620102.log").read_text("utf-8").splitlines()
    assert len(said) == 1
    assert port in said[0]
    assert life.now(county).inc.number == 0
