"""A whole province as real nodes on this machine: Gansu, its 14 cities and 88 counties, five years in half an hour.

Every node is a process of its own, forked from this one after the program is loaded, with its own database, web server
and jobs (benchmarks.fleet). While counties raise and solve what the sources report (benchmarks.replay), nodes are
killed, lines are cut, and a county is lost and restored from its backup (benchmarks.trouble). At the end every total at
the province is compared with what the counties' own databases hold (benchmarks.counted); a difference ends it with 1.

`python -m benchmarks.province [--cities N] [--counties N] [--solved N] [--kills N] [--cuts N] [--keep DIR [--for S]]`
With `--for` it stops after so many seconds with 75; the same call again goes on from there.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks import gansu
from benchmarks.counted import Unequal, compare
from benchmarks.fleet import Fleet, Memory, preload
from benchmarks.gansu import Place
from benchmarks.measure import Figure, median, table
from benchmarks.replay import LASTING
from benchmarks.trouble import Trouble, plan
from node.clock import Clock
from node.service.commit import write
from node.service.identity import load
from node.service.open import open_topic
from schemas.api import OpenForm
from schemas.ids import Tier

SOLVED = 27_000
TO_BE_CONTINUED = 75
"""EX_TEMPFAIL: asked again, it goes on."""
QUIET_S = 900
QUIET_LOOKS = 3
POLL_S = 1.0
FRESH = 5
STATE = "replay.json"


@dataclass(slots=True)
class State:
    """How far a replay is, kept between its pieces; what the nodes did stands in their databases."""

    size: list[int]
    places: list[Place]
    blows: int = 0
    seconds: float = 0
    peak_mib: float = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """How a piece of the replay tells what it does, and when it must end."""

    say: Callable[[str], None]
    solved: Callable[[int], None]
    until: float


class Unfinished(Exception):
    """Time is up; the state is kept."""


def replay(folder: Path, state: State, cut_s: float, watch: Watch) -> list[Figure]:
    """Play, disturb, wait until all is quiet, compare. Raises Unfinished, Unequal, TimeoutError."""
    solved, kills, cuts = state.size[2:]
    counties = [place.code for place in state.places if place.tier is Tier.COUNTY]
    quotas = {code: solved // len(counties) + (at < solved % len(counties)) for at, code in enumerate(counties)}
    fleet = Fleet(folder, state.places, quotas)
    preload()
    if not (folder / STATE).exists():
        start = time.perf_counter()
        fleet.make()
        watch.say(f"{len(state.places)} nodes made in {time.perf_counter() - start:.0f} s")
    trouble = Trouble(fleet, plan(fleet, solved, kills, cuts), state.blows, cut_s, watch.say)
    start = time.perf_counter()
    try:
        fleet.start_all()
        try:
            _play(fleet, trouble, solved, watch)
        finally:
            state.seconds += time.perf_counter() - start
            memory = fleet.memory()
            state.peak_mib = max(state.peak_mib, memory.whole)
            state.blows = trouble.done
            _keep(folder, state)
        fresh = [_freshness(fleet, code) for code in counties[:FRESH]]
        _quiet(fleet, watch)
        compared = compare(fleet, watch.say)
    finally:
        fleet.stop()
    return _figures(state, fleet, memory, fresh, compared)


def _figures(state: State, fleet: Fleet, memory: Memory, fresh: list[float], compared: int) -> list[Figure]:
    solved, kills, cuts = state.size[2:]
    nodes = f"{len(state.places)} nodes, {solved:,} solved matters, {kills} kills, {cuts} cut lines, 1 restore"
    people = fleet.ask(gansu.PROVINCE, "SELECT sum(participations) FROM topic_rows")[0][0]
    return [
        Figure("B10", f"{nodes}: from the start until all is quiet", state.seconds, "s"),
        Figure("B10", "figures at the province beside the counties' own databases, all equal", compared, ""),
        Figure("B10", "participations at the province", people, "people"),
        Figure("B10", "memory of all nodes together, shared pages once", state.peak_mib, "MiB"),
        Figure("B10", "memory of a node, all in all", state.peak_mib / len(state.places), "MiB"),
        Figure("B10", "what a node has for itself, median", median(memory.own), "MiB"),
        Figure("B10", "the greatest", max(memory.own), "MiB"),
        Figure("B10", "from a county's commit until the province's figures have it", median(fresh), "s"),
    ]


def _play(fleet: Fleet, trouble: Trouble, solved: int, watch: Watch) -> None:
    """Until all is solved, all blows are dealt and nobody has anything left to send."""
    patience = time.monotonic() + QUIET_S
    last = -1
    while (done := fleet.solved()) < solved or not trouble.over:
        watch.solved(done)
        if time.monotonic() > watch.until:
            raise Unfinished
        if done != last:
            patience, last = time.monotonic() + QUIET_S, done
        elif time.monotonic() > patience:
            raise TimeoutError(f"{done} of {solved} solved, nothing more for {QUIET_S} s")
        trouble.look(done)
        time.sleep(POLL_S)
    watch.solved(done)
    _quiet(fleet, watch)


def _quiet(fleet: Fleet, watch: Watch) -> None:
    """Wait until nothing is left to seal or to send, seen several times in a row."""
    patience = time.monotonic() + QUIET_S
    looks = 0
    while looks < QUIET_LOOKS:
        time.sleep(POLL_S)
        restless = fleet.restless()
        looks = 0 if restless else looks + 1
        if time.monotonic() > watch.until:
            raise Unfinished
        if time.monotonic() > patience:
            raise TimeoutError(f"still at work after {QUIET_S} s: {restless[:5]}")


def _freshness(fleet: Fleet, code: str) -> float:
    """Seconds from one more topic at a county until the province counts it."""
    ctx = load(fleet.settings(code), Clock())
    before = _known(fleet, code)
    with write(ctx) as batch:
        open_topic(batch, OpenForm(title="一件新事", text="刚刚。", areas=[code], kind=LASTING))
    start = time.perf_counter()
    while _known(fleet, code) == before:
        time.sleep(0.02)
    ctx.engine.dispose()
    return time.perf_counter() - start


def _known(fleet: Fleet, code: str) -> int:
    query = "SELECT coalesce(sum(count), 0) FROM rollups WHERE place = '' AND dimension = 'origin' AND key = ?"
    found: int = fleet.ask(gansu.PROVINCE, query, code)[0][0]
    return found


def _keep(folder: Path, state: State) -> None:
    (folder / STATE).write_text(json.dumps(asdict(state)))


def _state(folder: Path, size: list[int]) -> State:
    """The one that was kept, or a new one. Raises SystemExit where another replay lies there."""
    if not (folder / STATE).exists():
        return State(size, gansu.places(*size[:2]))
    kept = json.loads((folder / STATE).read_bytes())
    if kept["size"] != size:
        raise SystemExit(f"{folder} holds a replay of another size")
    places = [Place(**place | {"tier": Tier(place["tier"])}) for place in kept.pop("places")]
    return State(places=places, **kept)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cities", type=int, default=14)
    parser.add_argument("--counties", type=int, default=88)
    parser.add_argument("--solved", type=int, default=SOLVED)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--cuts", type=int, default=8)
    parser.add_argument("--cut-s", type=float, default=45, help="how long a line stays cut; a node's patience is 30 s")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the nodes there")
    parser.add_argument("--for", type=float, dest="for_s", metavar="S", help="stop after S seconds, to be continued")
    asked = parser.parse_args()
    if asked.for_s is not None and asked.keep is None:
        parser.error("--for needs --keep")
    return asked


def main() -> int:
    asked = _options()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="liandong-province-"))
    folder.mkdir(parents=True, exist_ok=True)
    state = _state(folder, [asked.cities, asked.counties, asked.solved, asked.kills, asked.cuts])
    console = Console(width=140)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    until = time.monotonic() + (asked.for_s or 10 * 86_400)
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task("solved", total=asked.solved)
            watch = Watch(console.print, lambda done: progress.update(bar, completed=done), until)
            found = replay(folder, state, asked.cut_s, watch)
        console.print(table(found))
    except Unfinished:
        console.print(f"not finished after {state.seconds:.0f} s; the same call goes on from here")
        return TO_BE_CONTINUED
    except (Unequal, TimeoutError, RuntimeError) as error:
        console.print(f"FAILED: {error}", markup=False)
        return 1
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
