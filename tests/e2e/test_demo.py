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

from node.demo import CHECKS, IMPORTS
from node.demo.office import Office
from node.demo.setting import BEATS as SET_UP
from node.demo.story import BEATS as STORY
from node.demo.telling import Teller
from node.demo.town import EVERYBODY, Town

ROOT = Path(__file__).parent.parent.parent
CODES = ("620000", "620100", "620102", "620103")
STARTED_BEATS = 4
"""Beats of the narration until all four nodes run and demo.json says so."""
BEATS = STARTED_BEATS + IMPORTS + STORY + CHECKS
TOPICS = 120
"""Enough for a kept demonstration to show every state."""
KILLS = 3
DEMO_S = 400

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(DEMO_S + 60)]


class Demo:
    """A running demonstration whose narration is read as it comes."""

    def __init__(self, *options: str, **env: str) -> None:
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
            env={**os.environ, "PYTHONUTF8": "1", **env},
            # Tests that were started in the background of a script ignore it, and so would what they start.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
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


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Demo]]:
    """A demonstration of made-up messages that was kept, and what it told."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    with nodes_of(folder):
        demo = Demo("--keep", str(folder), "--topics", str(TOPICS), LIANDONG_SHARED_DATA=str(folder))
        assert demo.finish() == 0, demo.text
        yield folder, demo


@pytest.fixture(scope="module")
def town(kept: tuple[Path, Demo]) -> Iterator[Town]:
    """The kept demonstration, a clerk signed in at every node."""
    found = Town(kept[0], Teller(0))
    found.reopen()
    yield found
    found.stop()


@pytest.fixture
def offices(town: Town) -> list[Office]:
    return town.offices


def test_demo_kept_says_where_it_is_and_refuses_a_used_folder(kept: tuple[Path, Demo]):
    folder, demo = kept
    assert demo.beats == STARTED_BEATS + SET_UP + STORY + CHECKS, "the progress bar counts other than it should"
    said = json.loads((folder / "demo.json").read_text("utf-8"))
    assert [node["code"] for node in said["nodes"]] == list(CODES)
    assert {"main", "lead", "assist", "declined", "recalled"} == set(said["topics"])
    for node in said["nodes"]:
        os.kill(node["pid"], 0)
        assert {user["name"]: user["roles"] for user in node["users"]} == {role: [role] for role in EVERYBODY}
        assert node["url"] in demo.text
        assert all(user["password"] in demo.text for user in node["users"])
    again = Demo("--keep", str(folder))
    assert again.finish() == 1
    assert "is not empty" in again.text


def test_demo_kept_lets_every_role_in_at_every_node(town: Town):
    for place in town.places:
        for role in EVERYBODY:
            person = town.person(place, role)
            assert person.get("/api/v1/topics", limit=1)["items"], (place.code, role)
            person.close()


def test_demo_kept_has_topics_in_every_state(offices: list[Office]):
    views = {view["id"]: view for office in offices for view in office.all_topics()}.values()
    assert len(views) >= TOPICS
    assert {view["status"] for view in views} == {"active", "offered", "closed"}
    assert {view["step"] for view in views} == {"collect", "decide", "research", "consult", "implement", "feedback"}
    assert {view["outcome"] for view in views} == {None, "A", "B", "C", "D"}
    assert {view["offer"]["mode"] for view in views if view["offer"]} == {"escalate", "delegate", "report", "return"}
    went = {stop["mode"] for view in views for stop in view["trail"]}
    assert went == {"open", "escalate", "delegate", "report", "return"}
    assert {(view["custodian"], view["status"]) for view in views} >= {(code, "active") for code in CODES}
    children = {view["status"] for office in offices for view in office.all_topics() if view["parent"]}
    assert children == {"active", "offered", "closed"}


def test_demo_kept_has_something_of_every_kind_to_do_at_city_and_county(offices: list[Office]):
    for office in offices[1:]:
        waits = {item["why"] for item in office.get("/api/v1/inbox", limit=200)["items"]}
        assert waits == {"offered", "overdue", "due_soon", "returned", "new", "answer"}, office.code
        late = {item["why"] for item in office.get("/api/v1/warnings", limit=200)["items"]}
        assert late >= {"overdue", "due_soon", "answer_soon"}, office.code
    for office in offices:
        assert office.get("/api/v1/drafts")["items"], office.code
        assert office.get("/api/v1/units")["items"], office.code


def test_demo_kept_is_walked_again_step_by_step_and_starts_what_has_stopped(kept: tuple[Path, Demo]):
    folder, _ = kept
    lock = folder / CODES[1] / "jobs.lock"
    os.kill(int(lock.read_text()), signal.SIGKILL)
    told = walked_at_a_terminal(folder, b"\n" * 5 + b"a\n")
    assert "回车：下一步" in told
    assert told.count("⏎") == 6
    assert "everything agrees" in told
    os.kill(int(lock.read_text()), 0)


def walked_at_a_terminal(folder: Path, typed: bytes) -> str:
    """What a person at a terminal reads who types this."""
    ours, theirs = os.openpty()
    walking = subprocess.Popen(
        [sys.executable, "-m", "node", "demo", "--walk", str(folder)],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONUTF8": "1", "TERM": "xterm"},
    )
    os.close(theirs)
    os.write(ours, typed)
    told = b""
    with suppress(OSError):  # the end of a terminal whose last reader is gone
        while piece := os.read(ours, 65_536):
            told += piece
    os.close(ours)
    text = told.decode("utf-8", "replace")
    assert walking.wait(DEMO_S) == 0, text
    return text


def test_demo_walked_where_none_was_kept_says_what_to_do(tmp_path: Path):
    demo = Demo("--walk", str(tmp_path))
    assert demo.finish() == 1
    assert "make demo KEEP=1" in demo.text


@pytest.mark.parametrize("code", CODES)
def test_demo_with_a_node_killed_anywhere_reaches_the_same_end(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    chance = random.Random(int(os.environ.get("LIANDONG_TEST_SEED", "1")) * 1_000_000 + int(code))
    moments = sorted(chance.sample(range(STARTED_BEATS, BEATS - STARTED_BEATS), KILLS))
    killed = 0
    with nodes_of(tmp_path) as restarted:
        demo = Demo()
        for moment in moments:
            if not demo.until_beat(moment):
                break
            time.sleep(chance.uniform(0, 0.1))
            folder = next(tmp_path.glob("liandong-demo-*"))
            first = int((folder / code / "jobs.lock").read_text()) if not restarted else 0
            os.kill(first or restarted[-1].pid, signal.SIGKILL)
            killed += 1
            time.sleep(chance.uniform(0, 1.5))
            restarted.append(serve(folder / code))
        assert demo.finish() == 0, f"killed after beats {moments}\n{demo.text}"
        assert "everything agrees" in demo.text
        assert killed == KILLS
        assert restarted[-1].poll() is None
