"""One seed from beginning to end, and what came of it."""

import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sim import liveness
from tests.sim.ledger import Violation
from tests.sim.memo import found_out_once, seldom_collected
from tests.sim.options import Options, other_clocks
from tests.sim.tally import Tally
from tests.sim.world import World

MEMORY = Path("/dev/shm")
"""Where databases cost no disk; any other folder does as well."""


Said = tuple[Any, ...]


@dataclass(frozen=True)
class Result:
    """`trace` hashes every step and every byte sent; `said` is what the topics came to, clocks and hashes left out."""

    options: Options
    trace: str
    said: tuple[Said, ...]
    tally: Tally
    seconds: float
    violation: str | None = None
    last: tuple[str, ...] = ()


def run(options: Options) -> Result:
    """Play a seed, faults and rest, and where the options say so once more by other clocks (I18)."""
    result = _play(options)
    if result.violation is not None or not options.twin:
        return result
    twin = _play(other_clocks(options))
    if twin.violation is not None:
        return twin
    if twin.said != result.said:
        number = next((n for n, (a, b) in enumerate(zip(result.said, twin.said, strict=False)) if a != b), -1)
        why = f"I18: by other clocks topic {number} became another: {result.said[number]} and {twin.said[number]}"
        return Result(options, result.trace, result.said, result.tally, result.seconds, why, result.last)
    return result


def _play(options: Options) -> Result:
    began = time.perf_counter()
    violation: str | None = None
    with _folder() as folder, found_out_once(), seldom_collected():
        world = World(folder, options)
        try:
            world.run()
            liveness.rest(world)
        except Violation as error:
            violation = str(error)
        except Exception as error:
            violation = f"I22: {type(error).__name__} out of a node: {''.join(traceback.format_exception(error)[-6:])}"
        finally:
            world.close()
        said = _said(world)
        seconds = time.perf_counter() - began
        return Result(options, world.trace, said, world.tally, seconds, violation, tuple(world.last))


def _said(world: World) -> tuple[Said, ...]:
    """The kinds, authors and custody of every topic by its number."""
    found = []
    for topic in world.checker.order:
        origin = world.checker.payloads[topic]["author"]
        entries = [world.checker.payloads[id] for id in world.checker.entries[topic]]
        chain = [(item["seq"], item["kind"], item["author"]) for item in entries]
        seen = world.checker.seen(origin, topic)
        custody = (seen.chain.stack, seen.status, seen.step) if seen else None
        found.append((origin, tuple(sorted(chain)), custody))
    return tuple(found)


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="liandong-sim-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
