"""A province, a city and two counties as real processes on loopback, and what befalls their machines: a restore from a
backup or a snapshot, a copy that runs beside the original, a clock that is years off."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from node.cli import main
from node.clock import Clock
from node.demo.town import free_port
from schemas.ids import Digest
from sync.keys import unb64
from sync.sealing import identity
from tests.fault.clerk import Clerk
from tests.fault.crew import PARENT, Crew, until
from tests.fault.forks import Fork, ask
from tests.fault.lab import build
from tests.fault.line import serve_here
from tests.sim.ledger import OF_RECORD, Position, positions

CODES = ("620000", "620100", "620102", "620103")
ROOT = Path(__file__).parents[2]
START_S = 180.0
QUERY_S = 60.0
STOP_S = 30.0
PATIENCE_S = 20.0
_HELD = "SELECT id FROM entries UNION SELECT id FROM remarks UNION SELECT id FROM orphans"


@dataclass
class Process:
    """One node: its data folder, its port and whatever runs on them now."""

    code: str
    folder: Path
    port: int
    running: Fork | None = None
    elsewhen: subprocess.Popen[bytes] | None = None
    clerk: Clerk = field(init=False)

    def __post_init__(self) -> None:
        self.clerk = Clerk("127.0.0.1", self.port, PATIENCE_S)

    @property
    def data(self) -> Path:
        return self.folder / self.code

    def start(self, after_contact: bool = False) -> None:
        """`after_contact`: sign nothing before a neighbour was met, as is advised where there are snapshots."""
        self.running = Fork(serve_here, self.folder, self.code, self.port, True, 0, after_contact)
        self.running.go()

    def start_in(self, when: str) -> None:
        """Under another clock, such as `+3y`."""
        line = [sys.executable, "-m", "node", "serve", "--data", str(self.data)]
        environment = _other_clock(when) | {"LIANDONG_DISK_RESERVE_BYTES": "0"}
        with open(self.folder / f"{self.code}.log", "ab") as log:
            self.elsewhen = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def sign_in(self) -> None:
        until(self.clerk.sign_in, START_S, f"{self.code} does not start")

    def kill(self) -> None:
        if self.running is not None:
            self.running.process.kill()
            self.running.end()
        if self.elsewhen is not None:
            self.elsewhen.terminate()  # killed, it would leave the library's shared memory behind
            self.elsewhen.wait(STOP_S)
        self.running = self.elsewhen = None
        self.clerk.hang_up()


class Town(Crew):
    """`nodes` are processes; `dead`: data folders that were put away, which still prove what was signed; `promised`:
    what each node ever knew to be settled."""

    nodes: dict[str, Process]

    def open(self) -> None:
        self.folder.mkdir(parents=True)
        self.dead: list[Path] = []
        self.promised: dict[str, set[str]] = {code: set() for code in CODES}
        ports = {code: free_port(Clock()) for code in CODES}
        build(self.folder, {code: f"http://127.0.0.1:{port}" for code, port in ports.items()})
        self.nodes = {code: Process(code, self.folder, port) for code, port in ports.items()}

    def start(self) -> None:
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            node.sign_in()

    def close(self) -> None:
        for node in self.nodes.values():
            node.kill()

    def beside(self, code: str, folder: Path) -> Process:
        """A process for a copy of the node's data in another folder."""
        return Process(code, folder, free_port(Clock()))

    def put_away(self, code: str) -> Path:
        """The data folder of a dead node is taken from it."""
        self._note_promises(code)
        place = self.folder / f"dead-{len(self.dead)}"
        place.mkdir()
        shutil.move(self.nodes[code].data, place / code)
        self.dead.append(place / code)
        return place / code

    def troubles(self) -> list[str]:
        """What still keeps the town from rest: nodes that are healing, and whatever they do not agree on."""
        found = []
        for node in self.nodes.values():
            status, said = node.clerk.ask("GET", "/api/v1/healing")
            if status != 200 and node.clerk.sign_in():
                status, said = node.clerk.ask("GET", "/api/v1/healing")
            if said.get("mode") != "ready":
                found.append(f"{node.code}: {status} {said.get('en', said)}")
        return found or self.differences()

    def neighbours(self, code: str) -> list[str]:
        return [other for other in self.nodes if PARENT.get(other) == code or PARENT.get(code) == other]

    def broken_promises(self) -> list[str]:
        """What a node knew to be settled and has neither in a chain nor among the orphans, which are named."""
        found: list[str] = []
        for code, node in self.nodes.items():
            self._note_promises(code)
            held = {str(row[0]) for row in rows(node.data, _HELD)}
            found += [f"{code}: {id[:8]} was settled and is lost" for id in sorted(self.promised[code] - held)]
        return found

    def _note_promises(self, code: str) -> None:
        self.promised[code] |= {str(row[0]) for row in rows(self.nodes[code].data, "SELECT statement FROM settled")}

    def equivocations(self) -> list[str]:
        """Places that one incarnation of a node filled twice, in anything anybody of the town ever stored."""
        taken: dict[Position, Digest] = {}
        found: set[str] = set()
        for data in (*(node.data for node in self.nodes.values()), *self.dead):
            for raw, typ in rows(data, "SELECT raw, typ FROM statements"):
                payload = unb64(json.loads(raw)["payload"])
                id, said = identity(payload), json.loads(payload)
                for position in positions(id, said) if typ in OF_RECORD else ():
                    if taken.setdefault(position, id) != id:
                        found.add(f"two statements at {position}")
        for node in self.nodes.values():
            found |= {f"{node.code} holds a proof: {row}" for row in rows(node.data, "SELECT * FROM equivocations")}
        return sorted(found)


def _other_clock(when: str) -> dict[str, str]:
    """An environment under that clock. The tool only says where its library is: killed, it would leave its child.

    Waiting goes by the real clock; mending that is not wanted, and makes every wait thirty times as dear.
    """
    asked = ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    real = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_FORCE_MONOTONIC_FIX": "0"}
    return os.environ | {"LD_PRELOAD": library, "FAKETIME": when} | real


def statements_of(data: Path) -> set[str]:
    """Every statement in this data folder, those of orphans as well."""
    return {str(row[0]) for row in rows(data, "SELECT id FROM statements")}


def audited(data: Path, action: str) -> int:
    """How often this stands in the node's audit."""
    found: int = rows(data, "SELECT count(*) FROM audit WHERE action = ?", action)[0][0]
    return found


def rows(data: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with _opened(data) as conn:
        return conn.execute(query, values).fetchall()


def command(*words: str | Path, data: Path) -> str:
    """`liandong WORDS --data DATA`, in a process of its own; what it says."""
    said = data.parent / "said.log"
    line = [*map(str, words), "--data", str(data)]
    code = ask(command_here, line, said)
    text = said.read_text()
    said.unlink()
    if code:
        raise AssertionError(f"liandong {' '.join(line)}: {code} {text}")
    return text


def command_here(pipe: Connection, line: list[str], said: Path) -> None:
    """A job: the command line, as from a shell; its exit code. What it prints goes to a file."""
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os.environ["LIANDONG_DISK_RESERVE_BYTES"] = "0"
    sys.argv = ["liandong", *line]
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    pipe.send(("ended", code or 0))


@contextmanager
def _opened(data: Path) -> Iterator[sqlite3.Connection]:
    conn = sqlite3.connect(f"file:{data / 'node.db'}?mode=ro", uri=True, timeout=QUERY_S)
    try:
        yield conn
    finally:
        conn.close()
