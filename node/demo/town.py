"""The four nodes of the demonstration: made, given users, started as processes, joined to one tree.

The data of each lies in a folder of its own and nothing is kept in this process, so that any of them can be killed and
started again by hand: `liandong serve --data FOLDER`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import node
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.demo.office import PATIENCE_S, POLL_S, GaveUp, Office
from node.demo.telling import Teller
from node.domain.policy import ADMIN, AUDITOR, CLERK, COORDINATOR, LEADER, ROLES, SUPERVISOR
from node.service import joining
from node.service.commit import Batch
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.perform import Actor, Command, perform
from node.service.users import add_user
from schemas.ids import Tier
from sync.errors import TransportError

FIRST_PORT = 20_000
PORTS = 12_000
"""Below the range the system takes for outgoing connections, so that a killed node finds its port free again."""
STOP_S = 5
LOG_TAIL_CHARS = 2_000
LOCK_FILE = "jobs.lock"
JSON_FILE = "demo.json"
FEW = (CLERK, ADMIN)
EVERYBODY = (CLERK, COORDINATOR, SUPERVISOR, LEADER, AUDITOR, ADMIN)
PASSWORD_BYTES = 5
OFFICES: tuple[tuple[str, str, Tier, str | None], ...] = (
    ("620000", "甘肃省政协", Tier.PROVINCE, None),
    ("620100", "兰州市政协", Tier.CITY, "620000"),
    ("620102", "城关区政协", Tier.COUNTY, "620100"),
    ("620103", "七里河区政协", Tier.COUNTY, "620100"),
)


class UsedFolder(Exception):
    """The folder is not empty."""


class NoDemo(Exception):
    """No demonstration was kept in the folder."""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    password: str
    roles: tuple[str, ...]


@dataclass
class Place:
    """One node of the demonstration."""

    code: str
    name: str
    tier: Tier
    parent: str | None
    data: Path
    url: str
    users: tuple[User, ...]
    process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        return Settings(data=self.data, database_url="")

    def running_pid(self) -> int:
        """Of the process that runs this node now, be it ours or one started by hand since."""
        try:
            return int((self.data / LOCK_FILE).read_text())
        except (OSError, ValueError):
            return self.process.pid if self.process else 0


@dataclass
class Town:
    """`roles`: an account for each of them at every node, named like the role."""

    folder: Path
    teller: Teller
    roles: tuple[str, ...] = FEW
    places: list[Place] = field(default_factory=list)
    offices: list[Office] = field(default_factory=list)
    doors: list[tuple[str, str, str]] = field(default_factory=list)
    """Addresses for those without an account: in Chinese, in English, where."""

    @property
    def province(self) -> Office:
        return self.offices[0]

    @property
    def city(self) -> Office:
        return self.offices[1]

    @property
    def counties(self) -> tuple[Office, Office]:
        return self.offices[2], self.offices[3]

    def build(self) -> None:
        """Make, start and join all four. Raises UsedFolder, GaveUp."""
        if self.folder.exists() and any(self.folder.iterdir()):
            raise UsedFolder(
                f"{self.folder} 不是空文件夹，请另选一个，或停止其中的节点后删除它 / is not empty:"
                " choose another folder, or stop the nodes in it and delete it"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.teller.chapter("一、四个节点，各有自己的数据库和密钥", "Four nodes, each with its own database and keys")
        clock = self.teller.clock
        for code, name, tier, parent in OFFICES:
            self.places.append(self._make(clock, code, name, tier, parent))
            self._start(self.places[-1])
        self.offices = [Office(place.code, place.name, place.url, clock) for place in self.places]
        for place, office in zip(self.places, self.offices, strict=True):
            self._open(place, office)
        self.write_json({})
        self._sign_in()

    def reopen(self) -> None:
        """The nodes of a demonstration that was kept; those that stopped since are started. Raises NoDemo, GaveUp."""
        try:
            kept = json.loads((self.folder / JSON_FILE).read_text("utf-8"))
            found = {node["code"]: node for node in kept["nodes"]}
            self.places = [self._kept(found[code], code, name, tier, above) for code, name, tier, above in OFFICES]
            self.doors = [(chinese, english, url) for chinese, english, url in kept["doors"]]
        except (OSError, ValueError, KeyError, TypeError):
            raise NoDemo(
                f"{self.folder} 里没有保留的演示，先运行 make demo KEEP=1 / holds no kept demonstration:"
                " run make demo KEEP=1 first"
            ) from None
        self.teller.chapter("一、接着上次的四个节点", "The four nodes as they were left")
        self.offices = [Office(place.code, place.name, place.url, self.teller.clock) for place in self.places]
        for place, office in zip(self.places, self.offices, strict=True):
            if office.mode() is None:
                self._start(place)
            self._ready(place, office, ("ready",))
            self.teller.beat(place.name, place.url, "is running")
        self._sign_in()

    def person(self, place: Place, role: str) -> Office:
        """The API of a node as the person with this role uses it."""
        user = next(user for user in place.users if role in user.roles)
        office = Office(place.code, place.name, place.url, self.teller.clock)
        office.sign_in(user.name, user.password)
        return office

    def write_json(self, topics: dict[str, str]) -> None:
        """`demo.json` for programs; never half written."""
        nodes: list[dict[str, Any]] = [
            {
                "code": place.code,
                "url": place.url,
                "pid": place.running_pid(),
                "data": str(place.data),
                "users": [{"name": u.name, "password": u.password, "roles": list(u.roles)} for u in place.users],
            }
            for place in self.places
        ]
        fresh = self.folder / f"{JSON_FILE}.new"
        fresh.touch(mode=0o600)
        said = {"nodes": nodes, "topics": topics, "doors": self.doors}
        fresh.write_text(json.dumps(said, ensure_ascii=False, indent=2) + "\n", "utf-8")
        os.replace(fresh, self.folder / JSON_FILE)

    def stop(self) -> None:
        """End the processes started here."""
        for office in self.offices:
            office.close()
        ours = [place.process for place in self.places if place.process is not None]
        for process in ours:
            process.send_signal(signal.SIGTERM)
        for process in ours:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _make(self, clock: Clock, code: str, name: str, tier: Tier, parent: str | None) -> Place:
        url = f"http://127.0.0.1:{free_port(clock)}"
        password = clock.token(PASSWORD_BYTES)
        users = tuple(User(role, password, (role,)) for role in self.roles)
        place = Place(code, name, tier, parent, self.folder / code, url, users)
        ctx = init_node(place.settings, clock, Plan(code, name, tier, url, root=parent is None))
        for user in users:
            add_user(ctx, user.name, user.password, user.roles)
        _forget(ctx)
        return place

    def _kept(self, said: dict[str, Any], code: str, name: str, tier: Tier, parent: str | None) -> Place:
        users = tuple(User(user["name"], user["password"], tuple(user["roles"])) for user in said["users"])
        return Place(code, name, tier, parent, self.folder / code, said["url"], users)

    def _sign_in(self) -> None:
        for place, office in zip(self.places, self.offices, strict=True):
            office.sign_in(place.users[0].name, place.users[0].password)

    def _start(self, place: Place) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
        log = (self.folder / f"{place.code}.log").open("ab")
        place.process = subprocess.Popen(
            [sys.executable, "-m", "node", "serve", "--data", str(place.data)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            cwd=Path(node.__file__).parent.parent,
            start_new_session=True,
        )
        log.close()

    def _open(self, place: Place, office: Office) -> None:
        """Wait for the node to answer, and enrol it at its parent."""
        if place.parent is None:
            self._ready(place, office, ("ready",))
            self.teller.beat(place.name, f"建为最上级节点，{place.url}", "anchored as the root")
            return
        parent = next(other for other in self.places if other.code == place.parent)
        self._ready(place, office, ("ready", "healing"))
        self._join(parent, place)
        self._ready(place, office, ("ready",))
        self.teller.beat(place.name, f"凭邀请码加入{parent.name}，{place.url}", f"joined {parent.code} by invitation")

    def _join(self, parent: Place, place: Place) -> None:
        clock = self.teller.clock
        above = load(parent.settings, clock)
        token = _invite(above, place)
        _forget(above)
        ctx = load(place.settings, clock)
        deadline = clock.monotonic_s() + PATIENCE_S
        while True:
            try:
                joining.join(ctx, token)
                break
            except TransportError as error:
                if clock.monotonic_s() > deadline:
                    raise GaveUp(f"{parent.code}: {error}") from error
                time.sleep(POLL_S * 4)
        _forget(ctx)

    def _ready(self, place: Place, office: Office, modes: tuple[str, ...]) -> None:
        clock = self.teller.clock
        deadline = clock.monotonic_s() + PATIENCE_S
        while office.mode() not in modes:
            ended = place.process.poll() if place.process else None
            if ended is not None and ended != -signal.SIGKILL:
                log = (self.folder / f"{place.code}.log").read_text("utf-8", "replace")
                raise GaveUp(f"{place.code} 没有启动 / did not start (exit {ended}):\n{log[-LOG_TAIL_CHARS:]}")
            if clock.monotonic_s() > deadline:
                raise GaveUp(f"{place.code} 没有应答 / does not answer")
            time.sleep(POLL_S)


class _Token(BaseModel):
    token: str


def _invite(ctx: Context, place: Place) -> str:
    def act(batch: Batch) -> _Token:
        return _Token(token=joining.invite(batch, place.code, place.tier, place.name))

    answer = perform(ctx, Command(Actor(0, "demo", ROLES), "invite"), act)
    return _Token.model_validate_json(answer.body).token


def _forget(ctx: Context) -> None:
    ctx.engine.dispose()
    if ctx.pool is not None:
        ctx.pool.shutdown()


def free_port(clock: Clock) -> int:
    """A loopback port nobody listens on. Raises GaveUp."""
    start = int(clock.token(4), 16)
    for offset in range(PORTS):
        port = FIRST_PORT + (start + offset) % PORTS
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise GaveUp("本机没有空闲端口 / no free port on this machine")
