"""Clerks at work on several real nodes, and what has to hold of all of them in the end.

A clerk writes down every answer it got: the record of what must not be lost.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from node.service.verify import verify
from tests.fault.clerk import Answer, Clerk, Unanswered
from tests.fault.scene import load_node, shut

PROVINCE = "620000"
TREE = {
    "620100": ("620102", "620103", "620104"),
    "620400": ("620402", "620403", "620421"),
    "620500": ("620502", "620503", "620521"),
}
PARENT = {**dict.fromkeys(TREE, PROVINCE), **{county: city for city, counties in TREE.items() for county in counties}}
CODES = (PROVINCE, *TREE, *(county for counties in TREE.values() for county in counties))


class Node(Protocol):
    """A node with its clerk."""

    code: str
    clerk: Clerk


@dataclass
class Crew:
    """`record`: node, topic, seq and head of every answer a clerk got."""

    folder: Path
    nodes: dict[str, Any] = field(default_factory=dict)
    record: list[tuple[str, str, int, str]] = field(default_factory=list, repr=False)

    def act(self, chance: random.Random) -> None:
        """Some clerk does something that its node allows."""
        node = self.nodes[chance.choice(list(self.nodes))]
        status, said = node.clerk.ask("GET", "/api/v1/topics?limit=50")
        if status != 200:
            return
        topics = [topic for topic in said["items"] if topic["status"] != "closed"]
        if not topics or chance.random() < 0.3:
            form = {"title": "路灯不亮", "text": "请修路灯。" * chance.randint(1, 200), "areas": [node.code]}
            self._post(node, "/api/v1/topics", form, chance)
            return
        topic = chance.choice(topics)
        path, form = self._next(node, topic, chance)
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
        for code in self.nodes:
            ctx = load_node(self.folder, code)
            found += [f"{code}: {problem}" for problem in verify(ctx).problems]
            shut(ctx)
        return found

    def _next(self, node: Node, topic: Answer, chance: random.Random) -> tuple[str, Answer]:
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
        below = [code for code, parent in PARENT.items() if parent == node.code and code in self.nodes]
        choices: list[tuple[str, Answer]] = [("note", {"text": "记一笔" * chance.randint(1, 50)})]
        if node.code in PARENT:
            choices.append(("escalate", up))
        if below:
            choices.append(("delegate", {"to": chance.choice(below), "instruction": "请办", "override_reason": "特"}))
        if topic["origin"] != node.code:
            choices.append(("return", {"reason": "请补充"}))
        return chance.choice(choices)


def until(what: Callable[[], Any], seconds: float, otherwise: str) -> float:
    """Seconds until it is true. Raises Unanswered."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > seconds:
            raise Unanswered(otherwise)
        time.sleep(0.2)
    return time.monotonic() - began
