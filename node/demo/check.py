"""The end of the demonstration: do all participants say the same of every topic, and does everything verify?"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import node
from node.demo.office import Office, Waiting
from node.demo.telling import Teller

if TYPE_CHECKING:
    from node.demo.town import Town

AT_ONCE = 2
VERIFY_S = 120

Seen = dict[str, dict[str, Any]]
"""Topics of one node by id."""

END = {
    "main": ("620102", "closed"),
    "lead": ("620100", "closed"),
    "assist": ("620100", "closed"),
    "declined": ("620103", "closed"),
    "recalled": ("620102", "active"),
}
"""(custodian, status) each walked topic must end with."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The walked topics by name, and how many topics had begun at each node before the walk."""

    topics: dict[str, str]
    before: Mapping[str, int]


def all_agree(offices: list[Office], expected: Expected, teller: Teller) -> list[str]:
    """What is not as it must be: disagreements, wrong ends, topics too many or too few."""
    teller.chapter("七、核对", "Checking the end")
    seen: dict[str, Seen] = {}

    def settled() -> bool:
        seen.update({office.code: {view["id"]: view for view in office.all_topics()} for office in offices})
        return not _disagreements(seen)

    Waiting(offices, teller.clock).until("all participants agree", settled)
    wrong = _disagreements(seen) + _wrong_ends(seen, expected) + _wrong_counts(seen, expected)
    total = len({id for topics in seen.values() for id in topics})
    if not wrong:
        chinese = f"各方对全部 {total} 件议题的主办、序号、链头说法一致"
        teller.beat("四个节点", chinese, f"all agree on custodian, seq and head of all {total} topics")
    return wrong


def verify_all(town: "Town", teller: Teller) -> list[str]:
    """What `liandong verify` finds in the four data folders, while the nodes run."""
    wrong: list[str] = []
    for start in range(0, len(town.places), AT_ONCE):
        running = [(place, _verify(place.data)) for place in town.places[start : start + AT_ONCE]]
        for place, process in running:
            out, err = process.communicate(timeout=VERIFY_S)
            if process.returncode != 0:
                wrong.append(f"verify {place.code}: exit {process.returncode}: {(out + err)[-1000:]}")
                continue
            report = json.loads(out)
            said = f"{report['topics']} 件议题、{report['statements']} 条签名全部核验"
            teller.beat(place.name, said, f"verified: {report['topics']} topics, {report['statements']} statements")
    return wrong


def _disagreements(seen: dict[str, Seen]) -> list[str]:
    wrong = []
    everything = {id: topic for topics in seen.values() for id, topic in topics.items()}
    for id, topic in everything.items():
        views = {code: seen[code].get(id) for code in topic["participants"]}
        said = {_said(view) for view in views.values()}
        if len(said) != 1:
            shown = ", ".join(f"{code}: {_said(view)}" for code, view in views.items())
            wrong.append(f"{topic['number']}: {shown}")
    return wrong


def _said(view: dict[str, Any] | None) -> tuple[Any, ...] | None:
    if view is None:
        return None
    return view["custodian"], view["seq"], view["head"], view["status"], tuple(view["participants"])


def _wrong_ends(seen: dict[str, Seen], expected: Expected) -> list[str]:
    wrong = []
    for name, (custodian, status) in END.items():
        view = seen[custodian].get(expected.topics[name])
        end = view and (view["custodian"], view["status"])
        if end != (custodian, status):
            wrong.append(f"{name}: {end}, expected {(custodian, status)}")
    return wrong


def _wrong_counts(seen: dict[str, Seen], expected: Expected) -> list[str]:
    """Nothing doubled and nothing lost: each node is the origin of exactly the topics that were opened there."""
    walked = {"620000": 0, "620100": 2, "620102": 2, "620103": 1}
    wrong = []
    for code, topics in seen.items():
        count = sum(topic["origin"] == code for topic in topics.values())
        wanted = walked[code] + expected.before.get(code, 0)
        if count != wanted:
            wrong.append(f"{code}: {count} topics of its own, expected {wanted}")
    return wrong


def _verify(data: Path) -> "subprocess.Popen[str]":
    env = {name: value for name, value in os.environ.items() if not name.startswith("LIANDONG_")}
    return subprocess.Popen(
        [sys.executable, "-m", "node", "verify", "--json", "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=Path(node.__file__).parent.parent,
    )
