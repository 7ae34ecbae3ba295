"""The process that draws: started when it is needed, ended when it is not, replaced when it is lost."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psutil
import pytest

from node.domain.charts import Bar, funnel
from node.domain.refusals import NoChineseFont, Unavailable
from node.service.press import WAITING_MAX, Press, mark
from node.service.press_child import NoFont, chinese

SPEC = funnel([Bar("收集议题", 3), Bar("确定议题", 1)], 3, "wide", "light")
ECHO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"made": json.loads(line)["spec"]["said"]}), flush=True)
"""
SILENT = "import sys\nfor line in sys.stdin: pass"
NO_FONT = 'import sys\nfor line in sys.stdin: print(\'{"error": "NoFont", "detail": ""}\', flush=True)'
FAILING = 'import sys\nfor line in sys.stdin: print(\'{"error": "ValueError", "detail": "x"}\', flush=True)'


def child(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def until(condition: Callable[[], bool], patience_s: float = 10) -> bool:
    """Whether it comes true in time; a process ends without an event to wait for."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_nothing_runs_before_the_first_picture_and_after_closing():
    press = Press()
    assert press.pid is None
    assert press.draw(SPEC).startswith(b"<svg")
    pid = press.pid
    assert pid is not None
    press.close()
    assert press.pid is None
    assert gone(pid)


def test_process_ends_by_itself_when_nobody_looks():
    press = Press(child(ECHO), idle_s=0.2)
    press.draw({"said": "one"})
    pid = press.pid
    assert pid is not None
    assert until(lambda: gone(pid))
    assert press.pid is None
    assert press.draw({"said": "two"}) == b"two"
    press.close()


def test_same_picture_is_drawn_once():
    press = Press(child(ECHO))
    assert press.draw({"said": "one"}) == b"one"
    press.close()
    assert press.draw({"said": "one"}) == b"one"
    assert press.pid is None


def test_process_that_was_killed_is_replaced():
    press = Press(child(ECHO))
    press.draw({"said": "one"})
    psutil.Process(press.pid).kill()
    with_another = [_tried(press, {"said": f"{n}"}) for n in range(3)]
    assert with_another[-1] == b"2"
    press.close()


def _tried(press: Press, spec: dict[str, str]) -> bytes | None:
    """One that falls just between the kill and its notice is refused."""
    try:
        return press.draw(spec)
    except Unavailable:
        return None


def test_process_that_hangs_is_ended_and_the_request_refused():
    press = Press(child(SILENT), work_max_s=0.3)
    with pytest.raises(Unavailable):
        press.draw({"said": "x"})
    assert press.pid is None


def test_what_cannot_be_drawn_is_refused_and_the_process_goes_on():
    press = Press(child(FAILING))
    for _ in range(2):
        with pytest.raises(Unavailable):
            press.draw({"said": "x"})
    assert press.pid is not None
    press.close()


def test_machine_without_chinese_letters_is_told_so():
    press = Press(child(NO_FONT))
    with pytest.raises(NoChineseFont, match="fonts-wqy-microhei"):
        press.typeset("monthly.typ", {}, datetime(2026, 11, 1, tzinfo=UTC))
    press.close()
    with pytest.raises(NoFont):
        chinese(["DejaVu Sans", "Liberation Serif"])
    assert chinese(["SimSun", "DejaVu Sans", "Noto Sans CJK SC"]) == ["Noto Sans CJK SC", "SimSun"]


def test_rush_is_drawn_in_turn_and_the_overflow_refused():
    slow = ECHO.replace("    print", "    __import__('time').sleep(0.05)\n    print")
    press = Press(child(slow))
    many = 4 * WAITING_MAX
    with ThreadPoolExecutor(many) as pool:
        got = list(pool.map(lambda n: _tried(press, {"said": str(n)}), range(many)))
    made = [n for n, item in enumerate(got) if item is not None]
    assert WAITING_MAX <= len(made) < many
    assert all(got[n] == str(n).encode() for n in made)
    press.close()


def test_mark_follows_what_is_drawn():
    assert mark(SPEC) == mark(funnel([Bar("收集议题", 3), Bar("确定议题", 1)], 3, "wide", "light"))
    assert mark(SPEC) != mark(funnel([Bar("收集议题", 3), Bar("确定议题", 2)], 3, "wide", "light"))
