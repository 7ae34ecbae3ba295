"""B6: a county node that nobody uses: memory, processor, and the time from start to ready (files in the cache), and
to the sign-in page with the program and its data read from the disk."""

import os
import sysconfig
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path

import psutil

from benchmarks.field import free_port, pair, running
from benchmarks.measure import Figure, median

WATCH_S = 20
RUNS = 3
ROOT = Path(__file__).parent.parent / "node"


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
        colds = [_cold(here.child, url, port) for _ in range(RUNS)]
    return [
        Figure("B6", "idle county node, memory", memory, "MiB", reach=110, aim=80, lower=True),
        Figure("B6", "start to ready", median(starts), "s", reach=3, aim=1.5, lower=True),
        Figure("B6", "cold start to the sign-in page", median(colds), "s", reach=6, aim=3, lower=True),
        Figure("B6", "idle processor time", share, "% of a core", reach=0.5, aim=0.2, lower=True),
    ]


def _cold(folder: Path, url: str, port: str) -> float:
    """Seconds from the start to the whole sign-in page, nothing of the program or the data in the system's cache."""
    _forget([Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib")), ROOT, folder])
    begun = time.perf_counter()
    with running(folder, url, "--port", port):
        with urllib.request.urlopen(f"{url}/sign-in", timeout=60) as page:
            assert b'name="password"' in page.read()
        return time.perf_counter() - begun


def _forget(folders: Iterable[Path]) -> None:
    """Ask the system to drop these files from its cache; it does unless somebody holds them mapped."""
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink():
                handle = os.open(file, os.O_RDONLY)
                try:
                    os.fdatasync(handle)
                    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(handle)


def _watch(process: psutil.Process) -> tuple[float, float]:
    """(RSS in MiB, % of a core) over WATCH_S, after the start has settled."""
    time.sleep(3)
    before = sum(process.cpu_times()[:2])
    time.sleep(WATCH_S)
    used = sum(process.cpu_times()[:2]) - before
    return process.memory_info().rss / 2**20, used / WATCH_S * 100
