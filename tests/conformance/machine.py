"""Our own node as a process: what `liandong` says on its command line, and nothing else of it."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent
NAME, PASSWORD = "检验员", "一致性检验口令联动联动"
READY_S = 60
MANY = """
import json, sys
from node.cli import app
for each in sys.argv[1:]:
    app(json.loads(each), standalone_mode=False)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found: int = sock.getsockname()[1]
        return found


class Node:
    """A node in a folder of its own; `database` is a URL, its own SQLite where empty."""

    def __init__(self, folder: Path, code: str, tier: str, database: str = "", root: bool = False) -> None:
        self.folder, self.code, self.database = folder / code, code, database
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None
        named = ["--code", code, "--name", f"{code}政协", "--tier", tier, "--url", self.url]
        self.run("init", *named, *(["--root"] if root else []))
        self.run("user", "add", NAME, "--role", "clerk", "--role", "admin", "--password-stdin", stdin=PASSWORD)

    def command(self, *words: str) -> list[str]:
        known = ["--data", str(self.folder), *(["--database", self.database] if self.database else [])]
        return [sys.executable, "-m", "node", *words, *known]

    def run(self, *words: str, stdin: str = "") -> str:
        return self._run(self.command(*words), stdin)

    def invite(self, codes: Sequence[str], tier: str = "county") -> list[str]:
        """A token for each code: the same command again and again, in one process."""
        lists = [self.command("invite", code, "--tier", tier, "--name", f"{code}检验")[3:] for code in codes]
        said = self._run([sys.executable, "-c", MANY, *(json.dumps(each) for each in lists)])
        return [line for line in said.splitlines() if len(line) > 100]

    def _run(self, command: Sequence[str], stdin: str = "") -> str:
        done = subprocess.run(command, cwd=ROOT, input=stdin.encode(), capture_output=True, timeout=90, check=False)
        assert done.returncode == 0, f"{command[3:5]}: {done.stderr.decode()[-500:]}"
        return done.stdout.decode()

    def start(self) -> "Node":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "out.log").open("ab") as out:
            self.process = subprocess.Popen(
                self.command("serve"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        end = time.monotonic() + READY_S
        while not self._answers():
            assert time.monotonic() < end, "the node does not start"
            assert self.process.poll() is None, (self.folder / "out.log").read_text("utf-8")[-800:]
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", trust_env=False, timeout=5).status_code in (200, 503)
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
