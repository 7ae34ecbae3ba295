"""B6: a county node that nobody uses: memory, processor, and the time from start to ready (files in the cache)."""

import time
from pathlib import Path

import psutil

from benchmarks.field import free_port, pair, running
from benchmarks.measure import Figure, median

WATCH_S = 20
RUNS = 3


def measure(folder: Path) -> list[Figure]:
    here = pair(folder / "pair")
    url = f"http://127.0.0.1:{free_port()}"
    port = url.rsplit(":", 1)[1]
    starts: list[float] = []
    with running(here.parent, here.url):
        for _ in range(RUNS):
            begun = time.perf_counter()
            with running(here.child, url, "--port", port) as process:
                starts.append(time.perf_counter() - begun)
                if len(starts) == RUNS:
                    memory, share = _watch(psutil.Process(process.pid))
    return [
        Figure("B6", "idle county node, memory", memory, "MiB", reach=110, aim=80, lower=True),
        Figure("B6", "start to ready", median(starts), "s", reach=3, aim=1.5, lower=True),
        Figure("B6", "idle processor time", share, "% of a core", reach=0.5, aim=0.2, lower=True),
    ]


def _watch(process: psutil.Process) -> tuple[float, float]:
    """(RSS in MiB, % of a core) over WATCH_S, after the start has settled."""
    time.sleep(3)
    before = sum(process.cpu_times()[:2])
    time.sleep(WATCH_S)
    used = sum(process.cpu_times()[:2]) - before
    return process.memory_info().rss / 2**20, used / WATCH_S * 100
