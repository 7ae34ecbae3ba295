"""The field the measurements are played on: a parent node as a real process, a child node inside this one."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service import joining
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.users import add_user
from schemas.ids import Tier

PARENT, CHILD = "620100", "620102"
PASSWORD = "bench-password-not-secret"
START_S = 30


@dataclass(frozen=True, slots=True)
class Pair:
    """A city (root) and its county, enrolled, neither running."""

    folder: Path
    url: str

    @property
    def parent(self) -> Path:
        return self.folder / PARENT

    @property
    def child(self) -> Path:
        return self.folder / CHILD

    def context(self, code: str) -> Context:
        return load(Settings(data=self.folder / code, disk_reserve_bytes=0), Clock(), new_start=True)

    def copy(self, to: Path) -> "Pair":
        """The same two nodes elsewhere; their past is the same, so only one of the two may run."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to)
        return Pair(to, self.url)


def pair(folder: Path) -> Pair:
    """Make city and county in `folder` and enrol one at the other, each with a clerk `bench`."""
    url = f"http://127.0.0.1:{free_port()}"
    city = init_node(_settings(folder, PARENT), Clock(), Plan(PARENT, "兰州市政协", Tier.CITY, url, root=True))
    county = init_node(_settings(folder, CHILD), Clock(), Plan(CHILD, "城关区政协", Tier.COUNTY, "http://127.0.0.1:9"))
    with write(city) as batch:
        token = joining.invite(batch, CHILD, Tier.COUNTY, "城关区政协")
    joining.finish_join(county, token, joining.enrol_child(city, joining.join_request(county, token)))
    for ctx in (city, county):
        add_user(ctx, "bench", PASSWORD, ["clerk", "admin"])
        ctx.engine.dispose()
    return Pair(folder, url)


@contextmanager
def running(
    folder: Path, url: str, *extra: str, script: str = "node", aside: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A node process on `folder`, ready when entered, ended when left.

    `aside`: it yields this machine's processors to the others, as one would that has a machine of its own.
    """
    command = [sys.executable, "-m", script, *([] if script != "node" else ["serve"]), "--data", str(folder), *extra]
    with open(folder / "bench.log", "ab") as log:
        process = subprocess.Popen(
            ["nice", "-n", "10", *command] if aside else command,
            stdout=log,
            stderr=log,
            env=os.environ | {"LIANDONG_DISK_RESERVE_BYTES": "0"},
        )
    try:
        wait_ready(url, process)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def wait_ready(url: str, process: subprocess.Popen[bytes] | None = None) -> float:
    """Until /healthz answers 200; seconds it took."""
    start = time.perf_counter()
    while time.perf_counter() - start < START_S:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the node ended with {process.returncode}")
        with suppress(OSError, http.client.HTTPException):
            if Client(url).request("GET", "/healthz")[0] == 200:
                return time.perf_counter() - start
        time.sleep(0.005)
    raise TimeoutError(url)


class Client:
    """One kept connection to a node's JSON API."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._conn = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._headers = {"content-type": "application/json"}

    def sign_in(self) -> "Client":
        _, body = self.request("POST", "/api/v1/sessions", {"username": "bench", "password": PASSWORD})
        self._headers["authorization"] = f"Bearer {body['token']}"
        return self

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        self._conn.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._conn.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _settings(folder: Path, code: str) -> Settings:
    return Settings(data=folder / code, disk_reserve_bytes=0)
