"""`liandong demo`: a province, a city and two counties as real processes on this machine, and real work through them.

It uses the nodes as people do, over HTTP, with an Idempotency-Key on every command, and checks the end: every
participant agrees on every topic, and `verify` finds nothing. It restarts nothing. A node that somebody kills is
waited for, for two minutes; once it is started again by hand, everything goes on as if nothing had been.

A demonstration that is kept has people of every role and some hundreds of topics in every state besides. Who sits at
the terminal then walks through the story step by step, with a browser at each tier, as often as she likes.
"""

import shutil
import signal
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path

from node.demo import setting
from node.demo.check import Expected, all_agree, verify_all
from node.demo.office import GaveUp, Refused
from node.demo.setting import Setting
from node.demo.stock import import_few
from node.demo.story import BEATS, Story
from node.demo.telling import Teller
from node.demo.town import EVERYBODY, FEW, OFFICES, NoDemo, Town, UsedFolder

__all__ = ["CHECKS", "IMPORTS", "TOPICS", "run", "walk"]

TOPICS = 280
"""So many topics a kept demonstration holds before the walk, unless told otherwise."""
IMPORTS = 2
CHECKS = 1 + len(OFFICES)
"""Beats of the import and of the checks at the end."""


def run(keep: Path | None, topics: int = TOPICS) -> int:
    """The whole demonstration; 0 only when its end was reached and everything is as it must be."""
    _end_tidily()
    before = setting.BEATS if keep else IMPORTS
    teller = Teller(len(OFFICES) + before + BEATS + CHECKS)
    if keep is not None:
        town = Town(Path(keep).absolute(), teller, EVERYBODY)
        return _told(town, teller, True, lambda: _kept(town, teller, topics))
    folder = Path(tempfile.mkdtemp(prefix="liandong-demo-"))
    try:
        town = Town(folder, teller, FEW)
        return _told(town, teller, False, lambda: _quick(town, teller))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def walk(folder: Path) -> int:
    """The story once more, at the nodes of a demonstration that was kept."""
    _end_tidily()
    teller = Teller(len(OFFICES) + BEATS + CHECKS)
    town = Town(Path(folder).absolute(), teller)
    return _told(town, teller, True, lambda: _again(town, teller))


def _quick(town: Town, teller: Teller) -> Mapping[str, int]:
    town.build()
    return import_few(town, teller)


def _kept(town: Town, teller: Teller, topics: int) -> Mapping[str, int]:
    town.build()
    made = Setting(town, teller, topics)
    made.make()
    teller.logins(town)
    return made.opened


def _again(town: Town, teller: Teller) -> Mapping[str, int]:
    town.reopen()
    teller.logins(town)
    return {office.code: office.own_topics() for office in town.offices}


def _told(town: Town, teller: Teller, keep: bool, prepare: Callable[[], Mapping[str, int]]) -> int:
    """Set the scene, tell the story, check the end; `prepare` gives how many topics had begun at each node before."""
    started = teller.clock.monotonic_s()
    try:
        with teller:
            before = prepare()
            story = Story(town, teller)
            with teller.stepwise() if keep else nullcontext():
                story.tell()
            wrong = all_agree(town.offices, Expected(story.topics, before), teller) + verify_all(town, teller)
        if keep:
            town.write_json(story.topics)
        teller.trail(town.province.get(f"/api/v1/topics/{story.topics['main']}"))
    except (GaveUp, Refused, UsedFolder, NoDemo, OSError) as error:
        teller.failed(str(error), town if keep else None)
        return 1
    except KeyboardInterrupt:
        teller.failed("中断 / interrupted", town if keep else None)
        return 1
    finally:
        if not keep:
            town.stop()
    if keep:
        teller.logins(town)
    teller.verdict(wrong, teller.clock.monotonic_s() - started)
    if keep:
        teller.farewell(town)
    return 1 if wrong else 0


def _end_tidily() -> None:
    """A terminated demonstration tidies up like an interrupted one."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with suppress(ValueError):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
