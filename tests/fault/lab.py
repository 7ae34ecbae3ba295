"""A province, three cities and nine counties as real processes, each on a machine of its own."""

import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import text

from node.cli.server import serve
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.users import add_user
from schemas.ids import Tier
from tests.fault.clerk import NAME, PASSWORD, Clerk
from tests.fault.crew import CODES, PARENT, PROVINCE, TREE, Crew, until
from tests.fault.forks import Fork
from tests.fault.namespaces import Machine, enter
from tests.fault.scene import shut
from tests.nodes import join, lane, settle

PORT = 8000
START_S = 60.0
SCENARIOS = 20
"""In one lab."""


def address(code: str) -> str:
    return f"10.77.{CODES.index(code) + 1}.1"


def build(folder: Path, urls: dict[str, str]) -> None:
    """The data folders of the nodes with these addresses, enrolled by stick. Parents come first."""
    made: dict[str, Context] = {}
    for code, url in urls.items():
        tier = Tier.PROVINCE if code == PROVINCE else Tier.CITY if code in TREE else Tier.COUNTY
        settings = Settings(data=folder / code, disk_reserve_bytes=0)
        plan = Plan(code, f"{code}政协", tier, url, root=code == PROVINCE)
        made[code] = init_node(settings, Clock(), plan)
        if code in PARENT:
            made[code] = join(made[PARENT[code]], made[code])
        made[code] = load(settings, Clock())
        add_user(made[code], NAME, PASSWORD, ["clerk", "admin"])
    children = [made[code] for code in reversed(list(urls)[1:])]
    settle([lane(child, made[PARENT[child.identity.code]]) for child in children], children, 60)
    for ctx in made.values():
        with ctx.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        shut(ctx)


def serve_there(pipe: Connection, folder: Path, code: str, namespace: str) -> None:
    """A job: `liandong serve` on that machine, until killed."""
    enter(namespace)
    log_to(folder / f"{code}.log")
    settings = Settings(data=folder / code, disk_reserve_bytes=0)
    serve(settings, None, None, jobs=True, say=lambda said: pipe.send(("said", said)))


def log_to(file: Path) -> None:
    """What this process says on standard error goes there."""
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)


@dataclass
class Node:
    """One node, its machine, its process, and its clerk."""

    code: str
    folder: Path
    machine: Machine
    process: Fork | None = None

    def __post_init__(self) -> None:
        self.clerk = Clerk(self.machine.address, PORT)

    def start(self) -> None:
        self.process = Fork(serve_there, self.folder, self.code, self.machine.namespace)
        self.process.go()

    def kill(self) -> None:
        if self.process is not None:
            self.process.process.kill()
            self.process.end()
        self.process = None
        self.clerk.hang_up()


@dataclass
class Lab(Crew):
    def open(self) -> None:
        build(self.folder, {code: f"http://{address(code)}:{PORT}" for code in CODES})
        for number, code in enumerate(CODES, 1):
            self.nodes[code] = Node(code, self.folder, Machine(number))
            self.nodes[code].start()
        for node in self.nodes.values():
            until(node.clerk.sign_in, START_S, f"{node.code} does not start")

    def close(self) -> None:
        for node in self.nodes.values():
            node.kill()
            node.machine.end()

    def heal(self) -> None:
        for node in self.nodes.values():
            node.machine.heal()
            if node.process is None:
                node.start()


@dataclass
class Labs:
    """One lab after another: all that a lab was ever answered is asked for after each scenario, so that they cost more
    and more in it."""

    folder: Path
    given: int = 0
    lab: Lab | None = None

    def next(self) -> Lab:
        """Where the next scenario is played."""
        if self.lab is None or self.given % SCENARIOS == 0:
            self.close()
            self.lab = Lab(self.folder / f"lab-{self.given}")
            self.lab.folder.mkdir()
            self.lab.open()
        self.given += 1
        return self.lab

    def close(self) -> None:
        if self.lab is not None:
            self.lab.close()
