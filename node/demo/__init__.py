"""`liandong demo`: a province, a city and two counties as real processes on this machine, and real work through them.

It uses the nodes as people do, over HTTP, with an Idempotency-Key on every command, and checks the end: every
participant agrees on every topic, and `verify` finds nothing. It restarts nothing. A node that somebody kills is
waited for, for two minutes; once it is started again by hand, everything goes on as if nothing had been.
"""

import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from node.demo.check import Expected, all_agree, verify_all
from node.demo.office import GaveUp, Refused
from node.demo.story import BEATS, Story
from node.demo.telling import Teller
from node.demo.town import Town, UsedFolder

__all__ = ["run"]


def run(keep: Path | None) -> int:
    """The whole demonstration; 0 only when its end was reached and everything is as it must be."""
    _end_tidily()
    teller = Teller(BEATS)
    if keep is not None:
        return _run(Path(keep).absolute(), teller, True)
    folder = Path(tempfile.mkdtemp(prefix="liandong-demo-"))
    try:
        return _run(folder, teller, False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, teller: Teller, keep: bool) -> int:
    town = Town(folder, teller)
    started = teller.clock.monotonic_s()
    try:
        with teller:
            town.build()
            if keep:
                teller.logins(town, pids=True)
            story = Story(town, teller)
            story.tell()
            wrong = all_agree(town.offices, Expected(story.topics, story.imported), teller) + verify_all(town, teller)
        if keep:
            town.write_json(story.topics)
        teller.trail(town.province.get(f"/api/v1/topics/{story.topics['main']}"))
    except (GaveUp, Refused, UsedFolder) as error:
        teller.failed(str(error), town if keep else None)
        return 1
    except KeyboardInterrupt:
        teller.failed("中断 / interrupted", town if keep else None)
        return 1
    finally:
        if not keep:
            town.stop()
    teller.verdict(wrong, teller.clock.monotonic_s() - started)
    if keep:
        teller.logins(town)
    return 1 if wrong else 0


def _end_tidily() -> None:
    """A terminated demonstration tidies up like an interrupted one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
