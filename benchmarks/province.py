"""A whole province as real nodes on this machine: Gansu, its 14 cities and 88 counties, five years in a few minutes.

Every node is a process of its own, forked from this one after the program is loaded, with its own database, web server
and jobs. While counties raise and solve what the sources report, nodes are killed and started again. At the end every
total at the province is compared with what the nodes' own databases hold, counted without any code of aggregation.

`python -m benchmarks.province [--cities N] [--counties N] [--solved N] [--kills N] [--keep DIR]`
"""

import argparse
import gc
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from benchmarks import gansu
from benchmarks.gansu import Place
from benchmarks.measure import Figure, median, table
from benchmarks.replay import Office
from node.cli.server import serve
from node.clock import Clock
from node.config import Settings
from node.domain import catalogue as powers
from node.domain.categories import builtin_categories
from node.domain.divisions import builtin
from node.service.aggregate import figures
from node.service.commit import write
from node.service.identity import load
from node.service.open import open_topic
from schemas import aggregate as views
from schemas.api import OpenForm
from schemas.ids import Tier
from sync.keys import unb64

SOLVED = 27_000
QUIET_S = 900
POLL_S = 1.0


class Province:
    """The running nodes; the processes are children of this one."""

    def __init__(self, folder: Path, places: list[Place], quotas: dict[str, int]) -> None:
        self.folder = folder
        self.places = {place.code: place for place in places}
        self.quotas = quotas
        self.pids: dict[str, int] = {}

    def make(self) -> None:
        """Every node, in a process that ends: nothing of theirs stays open here."""
        pid = os.fork()
        if pid == 0:
            _child(lambda: _make(self.folder, list(self.places.values())))
        if os.waitpid(pid, 0)[1] != 0:
            raise RuntimeError("the nodes could not be made")

    def start(self, code: str) -> None:
        settings, quota = self.settings(code), self.quotas.get(code, 0)
        pid = os.fork()
        if pid == 0:
            _child(lambda: _run(settings, quota))
        self.pids[code] = pid

    def kill(self, code: str) -> None:
        os.kill(self.pids[code], signal.SIGKILL)
        os.waitpid(self.pids.pop(code), 0)

    def stop(self) -> None:
        for pid in self.pids.values():
            os.kill(pid, signal.SIGTERM)
        for pid in self.pids.values():
            os.waitpid(pid, 0)
        self.pids.clear()

    def settings(self, code: str) -> Settings:
        return Settings(data=self.folder / code, disk_reserve_bytes=0)

    def ask(self, code: str, query: str, *values: Any) -> list[Any]:
        """Rows of a node's own database, read beside it."""
        path = self.folder / code / "node.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as conn:
            return conn.execute(query, values).fetchall()

    def memory_mib(self) -> list[float]:
        """What each process has for itself, as far as pages of this one are not shared with it."""
        return [psutil.Process(pid).memory_full_info().uss / 2**20 for pid in self.pids.values()]

    def solved(self) -> int:
        query = "SELECT count(*) FROM topics WHERE origin = ? AND status = 'closed'"
        return sum(self.ask(code, query, code)[0][0] for code in self.quotas)

    def restless(self) -> list[str]:
        """The nodes that still have something to seal or to send."""
        query = "SELECT (SELECT count(*) FROM rows_due) + (SELECT coalesce(sum(sent_seq - acked_seq), 0) FROM links)"
        return [code for code in self.places if self.ask(code, query)[0][0]]


def replay(folder: Path, places: list[Place], solved: int, kills: int, say: Callable[[str], None]) -> list[Figure]:
    """Play, disturb, wait until all is quiet, compare. Raises AssertionError where a total is not the sum."""
    counties = [place.code for place in places if place.tier is Tier.COUNTY]
    quotas = {code: solved // len(counties) + (at < solved % len(counties)) for at, code in enumerate(counties)}
    province = Province(folder, places, quotas)
    _preload()
    start = time.perf_counter()
    province.make()
    made_s = time.perf_counter() - start
    say(f"{len(places)} nodes made in {made_s:.0f} s")
    start = time.perf_counter()
    try:
        for place in places:
            province.start(place.code)
        _play(province, solved, kills, say)
        played_s = time.perf_counter() - start
        memory = province.memory_mib()
        fresh = [_freshness(province, code) for code in counties[:3]]
    finally:
        province.stop()
    compared = compare(province)
    nodes = f"{len(places)} nodes, {solved:,} solved matters, {kills} kills"
    return [
        Figure("B9", f"{nodes}: from the start until every total at the province is right", played_s, "s"),
        Figure("B9", "totals at the province compared with the nodes' own databases, all equal", compared, "totals"),
        Figure("B9", "participations at the province", _people(province), "people"),
        Figure("B9", "memory of a node for itself, median", median(memory), "MiB"),
        Figure("B9", "memory of the greatest", max(memory), "MiB"),
        Figure("B9", "from a county's commit until the province's figures have it", median(fresh), "s"),
    ]


def compare(province: Province) -> int:
    """Every figure of every county at the province against its own database; how many were compared."""
    ctx = load(province.settings(gansu.PROVINCE), Clock())
    asked = figures(ctx, views.FigureQuery(by="origin"))
    ctx.engine.dispose()
    shown = {row.key: row.sums for row in asked.rows}
    total: Counter[str] = Counter()
    compared = 0
    for code in province.quotas:
        own = _counted(province, code)
        total.update(own)
        for name, amount in own.items():
            said = getattr(shown[code], name)
            assert said == amount, (code, name, said, amount)
            compared += 1
    for name, amount in total.items():
        assert getattr(asked.total.sums, name) == amount, (name, amount)
        compared += 1
    return compared


def _counted(province: Province, code: str) -> Counter[str]:
    """What a county's own statements add up to, read from their bytes."""
    found: Counter[str] = Counter()
    query = (
        "SELECT s.raw FROM statements s JOIN entries e ON e.id = s.id JOIN topics t ON t.id = e.topic AND t.origin = ?"
    )
    for (raw,) in province.ask(code, query, code):
        entry = json.loads(unb64(json.loads(raw)["payload"]))
        kind, body = entry["kind"], entry["body"]
        found["count"] += kind == "opened"
        found["closed"] += kind == "closed"
        found["a"] += kind == "resulted" and body["outcome"] == "A"
        found["hops"] += kind == "accepted"
        found["participations"] += body["headcount"] if kind == "attended" else 0
        found["suggested"] += kind in ("stepped", "offered") and body["suggested"] is not None
    rated = "SELECT count(DISTINCT topic) FROM remarks WHERE kind = 'rate'"
    found["rated"] = province.ask(code, rated)[0][0]
    return found


def _play(province: Province, solved: int, kills: int, say: Callable[[str], None]) -> None:
    chance = random.Random(1)
    quiet_since = killed = 0
    deadline = time.monotonic() + QUIET_S
    last = -1
    while quiet_since < 3:
        time.sleep(POLL_S)
        done = province.solved()
        if done != last:
            deadline = time.monotonic() + QUIET_S
        if killed < kills and done >= (killed + 1) * solved // (kills + 1):
            victim = chance.choice(list(province.places))
            province.kill(victim)
            time.sleep(chance.uniform(0, 5))
            province.start(victim)
            killed += 1
            say(f"{done:,} solved; {victim} was killed and started again")
        restless = province.restless() if done >= solved else ["all"]
        quiet_since = 0 if restless else quiet_since + 1
        last = done
        if time.monotonic() > deadline:
            raise TimeoutError(f"{done} of {solved} solved, restless: {restless[:5]}")


def _freshness(province: Province, code: str) -> float:
    """Seconds from one more topic at a county until the province counts it."""
    ctx = load(province.settings(code), Clock())
    before = _known(province, code)
    with write(ctx) as batch:
        open_topic(batch, OpenForm(title="一件新事", text="刚刚。", areas=[code]))
    start = time.perf_counter()
    while _known(province, code) == before:
        time.sleep(0.02)
    ctx.engine.dispose()
    return time.perf_counter() - start


def _known(province: Province, code: str) -> int:
    query = "SELECT coalesce(sum(count), 0) FROM rollups WHERE place = '' AND dimension = 'origin' AND key = ?"
    found: int = province.ask(gansu.PROVINCE, query, code)[0][0]
    return found


def _people(province: Province) -> int:
    query = "SELECT sum(participations) FROM rollups WHERE place = '' AND dimension = 'status'"
    found: int = province.ask(gansu.PROVINCE, query)[0][0]
    return found


def _preload() -> None:
    """What all processes share: the program, and the lists it comes with."""
    builtin()
    builtin_categories()
    powers.builtin()
    gc.collect()
    gc.freeze()


def _make(folder: Path, places: list[Place]) -> None:
    for ctx in gansu.make(folder, places, Clock()).values():
        ctx.engine.dispose()


def _run(settings: Settings, quota: int) -> None:
    log = os.open(settings.data / "node.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    Office(settings, quota).start()
    serve(settings, None, None, True, lambda _text: None)


def _child(work: Callable[[], None]) -> None:
    """Do it and end this process, whatever comes."""
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cities", type=int, default=14)
    parser.add_argument("--counties", type=int, default=88)
    parser.add_argument("--solved", type=int, default=SOLVED)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="keep the nodes' folders there")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="liandong-province-"))
    console = Console(width=140)
    try:
        found = replay(folder, gansu.places(asked.cities, asked.counties), asked.solved, asked.kills, console.print)
        console.print(table(found))
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
