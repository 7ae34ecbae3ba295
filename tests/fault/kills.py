"""One blow: an act on a copy of the scene, struck at its Nth write, and everything judged afterwards."""

import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

from node.context import Context
from node.service import exchange, joining
from sync.errors import TransportError
from sync.transport import Reply
from tests.fault.acts import CALLS_MAX, answer, find, strike
from tests.fault.campaign import Told
from tests.fault.forks import Broken, Fork, ask
from tests.fault.judge import Acks, Outcome, judge, recover
from tests.fault.scene import copy, load_node, shut
from tests.fault.strace import Strace
from tests.nodes import lane


@dataclass(frozen=True, slots=True)
class Blow:
    """What strikes at which system call of an act; `again`: where its recovery is killed as well; 0: not at all."""

    act: str
    mode: str
    fault: str = ""
    call: str = ""
    nth: int = 0
    again_call: str = ""
    again: int = 0

    def __str__(self) -> str:
        return ":".join(map(str, astuple(self)))

    @classmethod
    def parse(cls, name: str) -> "Blow":
        act, mode, fault, call, nth, again_call, again = name.split(":")
        return cls(act, mode, fault, call, int(nth), again_call, int(again))


@dataclass(slots=True)
class Result:
    """What came of it. `struck`: the fault came to pass; `calls`: what it wrote as far as it got."""

    struck: bool = False
    struck_again: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    calls_again: Counter[str] = field(default_factory=Counter)
    refusals: list[str] = field(default_factory=list)
    acks: Acks = field(default_factory=Acks)
    problems: list[str] = field(default_factory=list)
    outcome: Outcome = field(default_factory=dict)


def run(template: Path, folder: Path, blow: Blow, expected: Outcome | None = None) -> Result:
    """Strike and judge in `folder`, which is made and, where nothing is wrong, removed again."""
    act = find(blow.act)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copy(template, folder, (act.node, *act.with_))
    result = Result()
    try:
        _strike(template, folder, blow, result)
        if blow.again_call:
            _strike_recovery(template, folder, blow, result)
        result.problems, result.outcome = ask(judge, folder, template, act.name, result.acks, expected)
    except Broken as error:
        result.problems.append(str(error))
    result.problems += [said for said in result.refusals if not said.startswith(("503", "507"))]
    if blow.nth and not result.struck:
        result.problems.append("the fault did not come to pass")
    if blow.fault in ("full", "broken") and not result.acks.done:
        result.problems.append(f"not done when asked again: {result.refusals}")
    if not result.problems:
        shutil.rmtree(folder)
    return result


def _strike(template: Path, folder: Path, blow: Blow, result: Result) -> None:
    act = find(blow.act)
    fork = Fork(strike, folder, template, act.name, blow.mode)
    neighbours = [load_node(folder, code) for code in act.with_]
    try:
        fork.go()
        fork.hear()
        tracer = Strace(fork.pid, folder / "strace.log", folder / act.node, blow.fault, blow.call, blow.nth)
        fork.go()
        listen(fork, neighbours, result)
        fork.end()
        tracer.end()
    finally:
        for node in neighbours:
            shut(node)
    result.struck, result.calls = tracer.struck(), tracer.calls()


def _strike_recovery(template: Path, folder: Path, blow: Blow, result: Result) -> None:
    fork = Fork(recover, folder, template, blow.act)
    fork.go()
    fork.hear()
    node = folder / find(blow.act).node
    tracer = Strace(fork.pid, folder / "strace-again.log", node, "kill", blow.again_call, blow.again)
    fork.go()
    while fork.hear() is not None:
        pass
    fork.end()
    tracer.end()
    result.struck_again, result.calls_again = tracer.struck(), tracer.calls()


def listen(fork: Fork, neighbours: list[Context], result: Result) -> None:
    """Hear what the struck process says and play its neighbour, until it has done or is dead."""
    while (said := fork.hear()) is not None:
        kind, what = said
        if kind in _PLAYED:
            with suppress(OSError, TransportError):
                _PLAYED[kind](fork, neighbours, what, result)
        else:
            _note(kind, what, result)


def _note(kind: str, what: Any, result: Result) -> None:
    if kind == "refused":
        status, why = what
        result.refusals.append(f"{status} {why.splitlines()[0]}")
    else:
        result.acks.add(kind, what)


def _play_parent(fork: Fork, neighbours: list[Context], raw: bytes, _result: Result) -> None:
    fork.pipe.send(("answered", answer(neighbours[0], raw)))


def _play_enroller(fork: Fork, neighbours: list[Context], request: bytes, _result: Result) -> None:
    fork.pipe.send(("enrolled", joining.enrol_child(neighbours[0], request)))


def _play_child(fork: Fork, neighbours: list[Context], _what: Any, result: Result) -> None:
    """The child calls until nothing is left to say, and once more where its parent refused for the moment."""
    child = neighbours[0]
    found = lane(child, child, _ToFork(fork, result))  # type: ignore[arg-type]
    for _ in range(CALLS_MAX):
        try:
            view = exchange.call(child, found)
        except _Dead:
            return
        except TransportError:
            continue  # it refused for the moment, and has to do without help what it refused
        if not (view.sent or view.received or view.backlog or exchange.can_serve(child, found)):
            break
    fork.pipe.send(("enough", None))


class _Dead(TransportError):
    """The process at the other end is no more."""


class _ToFork:
    """The line from a child in this process to its struck parent."""

    def __init__(self, fork: Fork, result: Result) -> None:
        self._fork = fork
        self._result = result

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        try:
            self._fork.pipe.send(("request", body))
        except OSError as error:
            raise _Dead("unreachable") from error
        while (said := self._fork.hear()) is not None:
            kind, what = said
            if kind == "reply":
                return Reply(*what)
            _note(kind, what, self._result)
            if kind == "refused":
                self._fork.hear()  # it listens again
                raise TransportError("unexpected-answer", f"HTTP {what[0]}")
        raise _Dead("unreachable")

    def close(self) -> None:
        pass


_PLAYED: dict[str, Callable[[Fork, list[Context], Any, Result], None]] = {
    "post": _play_parent,
    "join": _play_enroller,
    "listening": _play_child,
}


def trial(template: Path, folder: Path, blow: Blow, expected: Outcome) -> Told:
    """One blow as a trial of a campaign."""
    result = run(template, folder, blow, expected)
    counts = Counter({blow.fault: int(result.struck), "again": int(result.struck_again)})
    counts[f"refused-{blow.fault}"] += bool(result.refusals)
    return Told(result.problems, counts)
