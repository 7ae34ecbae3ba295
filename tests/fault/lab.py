"""A province, three cities and nine counties as real processes, each on a machine of its own; and their clerks.

A clerk writes down every answer it got: the record of what must not be lost.
"""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import text

from node.cli.server import serve
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.users import add_user
from node.service.verify import verify
from schemas.ids import Tier
from tests.fault.clerk import NAME, PASSWORD, Answer, Clerk, Unanswered
from tests.fault.forks import Fork
from tests.fault.namespaces import Machine, enter
from tests.fault.scene import load_node, shut
from tests.nodes import join, lane, settle

PORT = 8000
START_S = 60.0
PROVINCE = "620000"
TREE = {
    "620100": ("620102", "620103", "620104"),
    "620400": ("620402", "620403", "620421"),
    "620500": ("620502", "620503", "620521"),
}
PARENT = {**dict.fromkeys(TREE, PROVINCE), **{county: city for city, counties in TREE.items() for county in counties}}
CODES = (PROVINCE, *TREE, *(county for counties in TREE.values() for county in counties))


def address(code: str) -> str:
    return f"10.77.{CODES.index(code) + 1}.1"


def build(folder: Path) -> None:
    """The data folders of all nodes, enrolled by stick."""
    made: dict[str, Context] = {}
    for code in CODES:
        tier = Tier.PROVINCE if code == PROVINCE else Tier.CITY if code in TREE else Tier.COUNTY
        settings = Settings(data=folder / code, disk_reserve_bytes=0)
        plan = Plan(code, f"{code}政协", tier, f"http://{address(code)}:{PORT}", root=code == PROVINCE)
        made[code] = init_node(settings, Clock(), plan)
        if code in PARENT:
            made[code] = join(made[PARENT[code]], made[code])
        made[code] = load(settings, Clock())
        add_user(made[code], NAME, PASSWORD, ["clerk", "admin"])
    children = [made[code] for code in reversed(CODES[1:])]
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
class Lab:
    folder: Path
    nodes: dict[str, Node] = field(default_factory=dict)
    record: list[tuple[str, str, int, str]] = field(default_factory=list, repr=False)
    """Node, topic, seq and head of every answer a clerk got."""

    def open(self) -> None:
        build(self.folder)
        for number, code in enumerate(CODES, 1):
            self.nodes[code] = Node(code, self.folder, Machine(number))
            self.nodes[code].start()
        for node in self.nodes.values():
            until(node.clerk.sign_in, START_S, f"{node.code} does not start")

    def close(self) -> None:
        for node in self.nodes.values():
            node.kill()
            node.machine.end()

    def act(self, chance: random.Random) -> None:
        """Some clerk does something that its node allows."""
        node = self.nodes[chance.choice(CODES)]
        status, said = node.clerk.ask("GET", "/api/v1/topics?limit=50")
        if status != 200:
            return
        topics = [topic for topic in said["items"] if topic["status"] != "closed"]
        if not topics or chance.random() < 0.3:
            form = {"title": "路灯不亮", "text": "请修路灯。" * chance.randint(1, 200), "areas": [node.code]}
            self._post(node, "/api/v1/topics", form, chance)
            return
        topic = chance.choice(topics)
        path, form = _next(node, topic, chance)
        self._post(node, f"/api/v1/topics/{topic['id']}/{path}", form, chance)

    def _post(self, node: Node, path: str, form: Answer, chance: random.Random) -> None:
        """Asked twice under one key where the first answer does not come; what is answered goes on record."""
        key = f"{chance.getrandbits(64):016x}"
        for _ in range(2):
            status, topic = node.clerk.ask("POST", path, form, key)
            if 200 <= status < 300:
                self.record.append((node.code, topic["id"], topic["seq"], topic["head"]))
                with (self.folder / "acks.jsonl").open("a") as file:
                    file.write(json.dumps(self.record[-1]) + "\n")
            if status:
                return

    def heal(self) -> None:
        for node in self.nodes.values():
            node.machine.heal()
            if node.process is None:
                node.start()

    def differences(self) -> list[str]:
        """What is not yet as it has to be: links with something to say, participants that know different things."""
        found: list[str] = []
        known: dict[str, dict[str, tuple[Any, ...]]] = {}
        for node in self.nodes.values():
            if node.clerk.ask("GET", "/api/v1/node")[0] != 200 and not node.clerk.sign_in():
                return [f"{node.code} does not answer"]
            for link in node.clerk.all("/api/v1/links"):
                if link["backlog"] or link["held"] or link["state"] == "stopped":
                    found.append(f"{node.code} to {link['code']}: {link['state']}, backlog {link['backlog']}")
            for topic in node.clerk.all("/api/v1/topics"):
                state = (topic["custodian"], topic["seq"], topic["head"], topic["status"])
                known.setdefault(topic["id"], {})[node.code] = state
                missing = [code for code in topic["participants"] if code in self.nodes]
                known[topic["id"]].update({code: () for code in missing if code not in known[topic["id"]]})
        for id, states in known.items():
            if len(set(states.values())) > 1:
                found.append(f"topic {id[:8]}: {states}")
        return found

    def lost(self) -> list[str]:
        """Answers on record whose entry is not there any more, at the node that gave them."""
        found: list[str] = []
        entries: dict[tuple[str, str], dict[int, str]] = {}
        for code, topic, seq, head in self.record:
            if (code, topic) not in entries:
                items = self.nodes[code].clerk.all(f"/api/v1/topics/{topic}/entries")
                entries[code, topic] = {item["seq"]: item["hash"] for item in items}
            if entries[code, topic].get(seq) != head:
                found.append(
                    f"{code} answered {topic[:8]} seq {seq} {head[:8]}, and has {entries[code, topic].get(seq)}"
                )
        return found

    def unsound(self) -> list[str]:
        found: list[str] = []
        for code in CODES:
            ctx = load_node(self.folder, code)
            found += [f"{code}: {problem}" for problem in verify(ctx).problems]
            shut(ctx)
        return found


def until(what: Callable[[], Any], seconds: float, otherwise: str) -> float:
    """Seconds until it is true. Raises Unanswered."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise Unanswered(otherwise)
        time.sleep(0.2)
    return time.monotonic() - began


def _next(node: Node, topic: Answer, chance: random.Random) -> tuple[str, Answer]:
    """A verb and its form that may fit what this node knows of the topic."""
    offer, custodian = topic["offer"], topic["custodian"]
    if offer is not None and offer["to"] == node.code:
        if chance.random() < 0.6:
            return "accept", {}
        return "decline", {"code": "not_our_power", "reason": "无此权限"}
    if offer is not None and custodian == node.code:
        return "recall", {"reason": "交错了"}
    if custodian != node.code:
        return "remark", {"kind": "comment", "text": "已阅"}
    up = {"reason": "跨县", "tried": "已协调", "override_reason": "特"}
    below = [code for code, parent in PARENT.items() if parent == node.code]
    choices: list[tuple[str, Answer]] = [("note", {"text": "记一笔" * chance.randint(1, 50)})]
    if node.code in PARENT:
        choices.append(("escalate", up))
    if below:
        choices.append(("delegate", {"to": chance.choice(below), "instruction": "请办", "override_reason": "特"}))
    if topic["origin"] != node.code:
        choices.append(("return", {"reason": "请补充"}))
    return chance.choice(choices)
