"""The demonstration as a whole, and its promise: kill any node at any moment, start it again, the end is reached."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from node.demo.story import BEATS

ROOT = Path(__file__).parent.parent.parent
CODES = ("620000", "620100", "620102", "620103")
STARTED_BEATS = 4
"""Beats of the narration until all four nodes run and demo.json says so."""
KILLS = 3
DEMO_S = 400

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(DEMO_S + 60)]


class Demo:
    """A running demonstration whose narration is read as it comes."""

    def __init__(self, *options: str) -> None:
        self.lines: list[str] = []
        self.beats = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "node", "demo", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        return "".join(self.lines)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def until_beat(self, beat: int) -> bool:
        """Whether the narration came that far before it ended."""
        while self.beats < beat and self.running:
            time.sleep(0.002)
        return self.beats >= beat

    def finish(self) -> int:
        code = self._process.wait(DEMO_S)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            self.beats += bool(re.match(r"  \S", line))


@contextmanager
def nodes_of(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Ends every node of a kept demonstration, ours and its own, whatever happens."""
    ours: list[subprocess.Popen[bytes]] = []
    try:
        yield ours
    finally:
        for code in CODES:
            with suppress(OSError, ValueError):
                os.kill(int((folder / code / "jobs.lock").read_text()), signal.SIGKILL)
        for process in ours:
            process.kill()
            process.wait()


def serve(data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "node", "serve", "--data", str(data)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_demo_reaches_its_end_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    demo = Demo()
    assert demo.finish() == 0, demo.text
    assert "everything agrees" in demo.text
    assert demo.beats == BEATS, "the progress bar counts other than it should"
    assert list(tmp_path.iterdir()) == []


def test_demo_interrupted_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    demo = Demo()
    assert demo.until_beat(STARTED_BEATS + 3), demo.text
    pids = [int(lock.read_text()) for lock in tmp_path.glob("*/*/jobs.lock")]
    demo.interrupt()
    assert demo.finish() == 1, demo.text
    assert list(tmp_path.iterdir()) == []
    assert len(pids) == len(CODES)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_demo_kept_says_where_it_is_and_refuses_a_used_folder(tmp_path: Path):
    folder = tmp_path / "kept"
    with nodes_of(folder):
        demo = Demo("--keep", str(folder))
        assert demo.finish() == 0, demo.text
        said = json.loads((folder / "demo.json").read_text("utf-8"))
        assert [node["code"] for node in said["nodes"]] == list(CODES)
        assert {"main", "lead", "assist", "declined", "recalled"} == set(said["topics"])
        for node in said["nodes"]:
            os.kill(node["pid"], 0)
            assert {user["name"]: user["roles"] for user in node["users"]} == {"clerk": ["clerk"], "admin": ["admin"]}
        again = Demo("--keep", str(folder))
        assert again.finish() == 1
        assert "is not empty" in again.text


@pytest.mark.parametrize("code", CODES)
def test_demo_with_a_node_killed_anywhere_reaches_the_same_end(code: str, tmp_path: Path):
    chance = random.Random(int(os.environ.get("LIANDONG_TEST_SEED", "1")) * 1_000_000 + int(code))
    moments = sorted(chance.sample(range(STARTED_BEATS, BEATS - STARTED_BEATS), KILLS))
    folder = tmp_path / "kept"
    killed = 0
    with nodes_of(folder) as restarted:
        demo = Demo("--keep", str(folder))
        for moment in moments:
            if not demo.until_beat(moment):
                break
            time.sleep(chance.uniform(0, 0.1))
            first = int((folder / code / "jobs.lock").read_text()) if not restarted else 0
            os.kill(first or restarted[-1].pid, signal.SIGKILL)
            killed += 1
            time.sleep(chance.uniform(0, 1.5))
            restarted.append(serve(folder / code))
        assert demo.finish() == 0, f"killed after beats {moments}\n{demo.text}"
        assert "everything agrees" in demo.text
        assert killed == KILLS
        assert restarted[-1].poll() is None
