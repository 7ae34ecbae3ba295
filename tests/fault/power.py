"""Power cuts: an act is recorded call by call, and the node is started on what a disk may hold after any of them."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from node.service.commit import write
from node.service.verify import verify
from node.store.engine import reading
from node.store.health import integrity
from tests.fault import recording
from tests.fault.acts import RECORD, Act, Place, find, strike
from tests.fault.campaign import Told, Trial
from tests.fault.disk import FATES, Disk
from tests.fault.forks import Broken, Fork
from tests.fault.judge import Acks, Outcome, differences, kept, outcome_of, start
from tests.fault.kills import Blow, Result, listen, run
from tests.fault.plan import Failed, kinds, well
from tests.fault.recording import Event
from tests.fault.scene import copy, load_node, shut
from tests.fault.strace import Recorder

NEVER_KEPT = ".db-shm"
"""Shared memory of running processes: whoever comes first afterwards makes it anew."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run of an act: the disk before, every event, and what comes of it."""

    act: str
    mode: str
    before: dict[str, bytes]
    events: list[Event]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Image:
    """What is found after a power cut, and what had been acknowledged before it."""

    name: str
    files: dict[str, bytes]
    acks: Acks


def record(template: Path, folder: Path, act: str, mode: str) -> Recorded:
    """Play the act once under the recorder, and once more for what has to come of it. Raises Failed, Unreadable."""
    outcome = well(run(template, folder / "calm", Blow(act, mode))).outcome
    chosen = find(act)
    place = folder / "recorded"
    place.mkdir(parents=True)
    copy(template, place, (chosen.node, *chosen.with_))
    before = _files(place / chosen.node)
    fork, result = Fork(strike, place, template, act, mode), Result()
    neighbours = [load_node(place, code) for code in chosen.with_]
    try:
        fork.go()
        fork.hear()
        recorder = Recorder(fork.pid, folder / "strace.log", place / chosen.node, place / RECORD)
        fork.go()
        listen(fork, neighbours, result)
        fork.end()
        recorder.end()
    finally:
        for node in neighbours:
            shut(node)
    well(result)
    return Recorded(act, mode, before, recording.read(folder / "strace.log", place / chosen.node), outcome)


def images(recorded: Recorded, seed: int, count: int) -> Iterator[Image]:
    """`count` different ones: at all points in turn, and every other one just after something was acknowledged."""
    chance, seen = random.Random(f"{seed} {recorded.act} {recorded.mode}"), set[int]()
    everywhere = list(range(len(recorded.events) + 1))
    after_words = [at + 1 for at, event in enumerate(recorded.events) if event.kind == "say"]
    for turn in range(50 * count):
        point = chance.choice(after_words if turn % 2 and after_words else everywhere)
        fate = chance.choice(FATES)
        files = _disk_at(recorded, point).cut_power(fate, chance)
        files = {name: content for name, content in files.items() if not name.endswith(NEVER_KEPT)}
        mark = hash((point, frozenset(files.items())))
        if mark not in seen:
            seen.add(mark)
            yield Image(f"{turn}-{point}-{fate}", files, _acks_at(recorded, point))
        if len(seen) >= count:
            return


def trial(template: Path, folder: Path, act: str, mode: str, seed: int, count: int) -> Told:
    """All images of one recorded act."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told = Told()
    try:
        recorded = record(template, folder, act, mode)
        jury = Fork(judge_images, template, act, recorded.outcome)
        jury.go()
        for image in images(recorded, seed, count):
            told.counts["images"] += 1
            told.counts[image.name.rpartition("-")[2]] += 1
            told.counts["acknowledged"] += bool(image.acks.told or image.acks.seq or image.acks.done)
            told.problems += [f"{image.name}: {said}" for said in _judged(jury, template, folder, image, act)]
        jury.end()
    except (Broken, Failed, recording.Unreadable) as error:
        told.problems.append(str(error))
    if not told.problems:
        shutil.rmtree(folder)
    return told


def trials(template: Path, folder: Path, seed: int, count: int) -> list[Trial]:
    """`count` images in all, spread over all acts and modes."""
    chosen = kinds()
    each = -(-count // len(chosen))
    return [
        Trial(f"power {act}:{mode}:{seed}:{each}", trial, (template, folder / f"{act}-{mode}", act, mode, seed, each))
        for act, mode in chosen
    ]


def judge_images(pipe: Connection, template: Path, name: str, expected: Outcome) -> None:
    """A job: hears of images and says what is wrong with each."""
    while True:
        folder, acks = pipe.recv()
        try:
            problems = _judge(find(name), Place(folder, template), acks, expected)
        except Exception as error:
            problems = [f"{type(error).__name__}: {error}"]
        pipe.send(("judged", problems))


def _judge(act: Act, place: Place, acks: Acks, expected: Outcome) -> list[str]:
    ctx = start(act, place, act.made or acks.done)
    try:
        with reading(ctx.engine) as conn:
            broken = integrity(conn)
        problems = [f"database: {broken}"] if broken else []
        problems += kept(act, ctx, place, acks, expected)
        problems += verify(ctx).problems
        if not act.with_:
            problems += differences({ctx.identity.code: outcome_of(ctx, act)}, expected)
        with write(ctx) as batch:
            batch.audit("after-the-power-cut", None)
    finally:
        shut(ctx)
    return problems


def _judged(jury: Fork, template: Path, folder: Path, image: Image, act: str) -> list[str]:
    """Lay the image out as a data folder and have it judged; one with a fault stays there."""
    chosen, place = find(act), folder / f"image-{image.name}"
    (place / chosen.node).mkdir(parents=True)
    copy(template, place, chosen.with_)
    for name, content in image.files.items():
        (place / chosen.node / name).write_bytes(content)
    jury.pipe.send((place, image.acks))
    problems: list[str] = jury.hear()[1]
    if not problems:
        shutil.rmtree(place)
    return problems


def _disk_at(recorded: Recorded, point: int) -> Disk:
    disk = Disk(recorded.before)
    for event in recorded.events[:point]:
        disk.apply(event)
    return disk


def _acks_at(recorded: Recorded, point: int) -> Acks:
    acks = Acks()
    for event in recorded.events[:point]:
        if event.kind == "say":
            acks.add(*event.said)
    return acks


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}
