"""The two lanes (SPEC 8.1, 8.6): news down never waits behind news up."""

import threading
import time

from tests.conformance.child import Answer
from tests.conformance.kit import Stage, check, good, same

BELOW = "below"


def timed(stage: Stage, lane: str, wait_s: int) -> float:
    started = time.monotonic()
    good(stage.child.exchange(wait_s=wait_s, lane=lane))
    return time.monotonic() - started


@check(BELOW, "8.6", "a reply on the wait lane is held while there is no news, and not longer than asked")
def held(stage: Stage) -> None:
    stage.child.settle()
    took = max(timed(stage, "wait", 2) for _ in range(3))
    assert 1.5 < took < 15, f"held for {took:.1f} s"


@check(BELOW, "8.6", "the wait lane with no patience is answered at once")
def at_once(stage: Stage) -> None:
    stage.child.settle()
    assert timed(stage, "wait", 0) < 10


@check(BELOW, "8.6", "the push lane is answered at once whatever patience it offers")
def push(stage: Stage) -> None:
    stage.child.settle()
    took = timed(stage, "push", 25)
    assert took < 15, f"{took:.1f} s"


@check(BELOW, "8.6", "a held reply goes out when news come, and the other lane works meanwhile")
def woken(stage: Stage) -> None:
    child, operator = stage.child, stage.operator
    topic = operator.open()["id"]
    child.settle()
    found: list[Answer] = []
    challenge = child.challenge("wait")
    raw = child.compose(lane="wait", answers=challenge, budget={"items": 9, "bytes": 99999, "wait_s": 25})
    waiting = threading.Thread(target=lambda: found.append(child.post(raw)))
    started = time.monotonic()
    waiting.start()
    same(child.post(child.compose(answers=child.challenge())).status, 200, "the other lane")
    operator.do(topic, "delegate", to=child.code, instruction="x", override_reason="x")
    waiting.join(30)
    took = time.monotonic() - started
    assert found and found[0].document is not None, "no answer"
    assert found[0].document.statements, "no news in it"
    assert took < 20, f"{took:.1f} s"
    child.settle()


@check(BELOW, "8.1", "each lane has its own challenges")
def own_challenges(stage: Stage) -> None:
    child = stage.child
    push, wait = child.challenge(), child.challenge("wait")
    same(child.post(child.compose(lane="push", answers=push)).status, 200)
    same(child.post(child.compose(lane="wait", answers=wait)).status, 200)
