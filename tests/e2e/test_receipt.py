"""From a clerk's terminal to a citizen's: a topic settles between real nodes, and its receipt is checked elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.terminal import as_data
from node.clock import Clock
from node.service import read
from node.service.identity import load
from schemas.ids import Tier
from tests.e2e.test_serve import ROOT, Machine, enrol, machine, mode, wait

pytestmark = [pytest.mark.slow, pytest.mark.process]
__all__ = ["machine"]


def liandong(*args: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "node", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def settled(ctx, topic: str) -> bool:
    found = load(ctx.settings, Clock())
    try:
        shown: str = as_data(read.topic(found, topic))["durability"]
        return shown == "settled"
    finally:
        found.engine.dispose()


def test_topic_settles_between_running_nodes_and_its_receipt_is_good_anywhere(machine: Machine, tmp_path: Path):
    city, county = machine.make("620100", Tier.CITY, True), machine.make("620102", Tier.COUNTY)
    machine.start("serve", "620100")
    wait(lambda: mode(city) == "ready")
    enrol(city, county)
    machine.start("serve", "620102")
    wait(lambda: mode(county) == "ready")
    data, file = ("--data", machine.folder / "620102"), tmp_path / "回执.tlog-proof"
    opened = liandong("topic", "open", "--title", "路灯不亮", "--text", "十二盏。", "--area", "620102", "--json", *data)
    topic = json.loads(opened.stdout)["id"]
    wait(lambda: settled(county, topic))
    assert liandong("receipt", topic, file, *data).returncode == 0
    key = liandong("root-key", "--data", machine.folder / "620100").stdout.strip()
    machine.end()
    good = liandong("verify-receipt", file, "--root-key", key)
    assert good.returncode == 0, good.stderr
    for said in ("回执真实有效", "The receipt is good", "路灯不亮", "620102政协", "620100政协", "opened the topic"):
        assert said in good.stdout
    (tmp_path / "key").write_text(key + "\n")
    proven = json.loads(liandong("verify-receipt", file, "--root-key", tmp_path / "key", "--json").stdout)
    assert (proven["ok"], proven["statement"], proven["witnesses"][0]["node"]) == (True, topic, "620100")
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    bad = liandong("verify-receipt", file, "--root-key", key)
    assert (bad.returncode, bad.stdout) == (1, "")
    assert "NOT a good receipt" in bad.stderr


def test_nodes_without_a_network_settle_by_stick(tmp_path: Path):
    """The whole way by commands and files alone: no process serves, no line exists."""

    def at(code: str) -> tuple[str, str]:
        return "--data", str(tmp_path / code)

    def done(*args: object) -> str:
        found = liandong(*args)
        assert found.returncode == 0, found.stderr
        return found.stdout

    made = ("--tier", "city", "--name", "兰州市政协", "--url", "http://127.0.0.1:18002", "--root")
    done("init", "--code", "620100", *made, *at("620100"))
    made = ("--tier", "county", "--name", "城关区政协", "--url", "http://127.0.0.1:18003")
    done("init", "--code", "620102", *made, *at("620102"))
    token = done("invite", "620102", "--tier", "county", "--name", "城关区政协", *at("620100")).splitlines()[-1]
    ask, answer, stick = tmp_path / "ask", tmp_path / "answer", tmp_path / "stick"
    done("join", token, "--request", ask, *at("620102"))
    done("enrol", ask, "--out", answer, *at("620100"))
    done("join", token, "--enrolment", answer, *at("620102"))
    opened = done("topic", "open", "--title", "路灯", "--text", "不亮", "--area", "620102", "--json", *at("620102"))
    topic = json.loads(opened)["id"]
    for sender, receiver in (("620102", "620100"), ("620100", "620102")):
        done("bundle", "export", "--to", receiver, stick, *at(sender))
        done("bundle", "import", stick, *at(receiver))
    shown = json.loads(done("topic", "show", topic, "--json", *at("620102")))
    assert "settled" in json.dumps(shown)
    done("receipt", topic, tmp_path / "r.tlog-proof", *at("620102"))
    assert "回执真实有效" in done("verify-receipt", tmp_path / "r.tlog-proof", *at("620100"))
    done("verify", *at("620102"))
    done("verify", *at("620100"))
