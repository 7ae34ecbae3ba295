"""Named checks, the stage they play on, and what came of each."""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx

from tests.conformance.child import Answer, Child
from tests.conformance.operator_api import Operator
from tests.conformance.parent import Parent


class Skip(Exception):
    """A check that cannot be played here, and why."""


@dataclass(frozen=True)
class Check:
    side: str
    """`below`: the kit is a child of the node; `above`: its parent; `alone`: with a node of its own that is used up."""
    section: str
    name: str
    run: "Callable[[Stage], None]"


CHECKS: list[Check] = []


def check(side: str, section: str, name: str) -> "Callable[[Callable[[Stage], None]], Callable[[Stage], None]]":
    def add(run: "Callable[[Stage], None]") -> "Callable[[Stage], None]":
        CHECKS.append(Check(side, section, name, run))
        return run

    return add


@dataclass
class Stage:
    """The node under test and who plays with it. What is missing makes checks skip."""

    url: str
    tokens: Iterator[str] = field(default_factory=lambda: iter(()))
    """Invitations of the node under test, each for another child."""
    sign_in: tuple[str, str] | None = None
    above: Parent | None = None
    """The kit as the parent of the node under test."""
    another: "Callable[[bool], Stage] | None" = None
    """Makes a stage with a fresh node, for checks that use one up; with a parent of the kit, or as a root."""
    made: dict[str, Child] = field(default_factory=dict)
    client: httpx.Client = field(init=False)
    _operator: Operator | None = None

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=60)

    @property
    def child(self) -> Child:
        """The honest child that most checks share."""
        return self._named("honest", True)

    @property
    def guest(self) -> Child:
        """A child with an invitation that never joins."""
        return self._named("guest", False)

    def spare(self) -> Child:
        """A child for one check alone, which may end with its link stopped."""
        return self._named(f"spare {len(self.made)}", True)

    def _named(self, name: str, joins: bool) -> Child:
        if name not in self.made:
            token = next(self.tokens, None)
            if token is None:
                raise Skip("no invitation left")
            child = Child(token, self.url)
            self.made[name] = child.join() if joins else child
        return self.made[name]

    @property
    def operator(self) -> Operator:
        if self.sign_in is None:
            raise Skip("no account to act as its operator")
        if self._operator is None:
            self._operator = Operator(self.url, *self.sign_in)
        return self._operator

    @property
    def parent(self) -> Parent:
        if self.above is None:
            raise Skip("the node under test is no child of this kit")
        return self.above

    @property
    def node(self) -> str:
        """The code of the node under test."""
        return next(iter(self.parent.links)) if self.above else self.child.parent

    def fresh(self, root: bool = False) -> "Stage":
        if self.another is None:
            raise Skip("no fresh node to use up")
        return self.another(root)

    def close(self) -> None:
        for child in self.made.values():
            child.close()
        if self._operator is not None:
            self._operator.close()
        self.client.close()


@dataclass(frozen=True)
class Outcome:
    check: Check
    state: str
    said: str
    seconds: float


def play(check: Check, stage: Stage) -> Outcome:
    """Passed, failed or skipped, and what was said."""
    started = time.monotonic()
    state, said = "passed", ""
    try:
        check.run(stage)
    except Skip as skip:
        state, said = "skipped", str(skip)
    except AssertionError as error:
        state, said = "failed", str(error) or _where(error)
    except Exception as error:
        state, said = "failed", f"{type(error).__name__}: {error} {_where(error)}"
    return Outcome(check, state, said, time.monotonic() - started)


def _where(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.filename.rsplit('/', 1)[-1]}:{last.lineno} {last.line})"


def same(found: object, wanted: object, what: str = "") -> None:
    assert found == wanted, f"{what or 'found'}: {found!r}, not {wanted!r}"


def good(answer: Answer) -> Answer:
    """An answer that applied all it was sent."""
    same((answer.status, answer.verdicts), (200, []), answer.problem or "status and verdicts")
    return answer


def refused(answer: Answer, statuses: tuple[int, ...] = (400, 403)) -> None:
    assert answer.status in statuses, f"status {answer.status} {answer.problem}, not one of {statuses}"
    assert answer.document is None, "a refusal with a document"
