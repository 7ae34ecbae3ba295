"""B4: one write through the JSON API until its durable 2xx, one client on one connection."""

import time
from pathlib import Path

from benchmarks.field import Client, pair, running
from benchmarks.limits import commits_per_s, round_trips_per_s
from benchmarks.measure import Figure, median, percentile
from benchmarks.work import NOTE

WRITES = 1_000
RUNS = 3


def measure(folder: Path) -> list[Figure]:
    rates, p95, ratios = [], [], []
    for n in range(RUNS):
        here = pair(folder / f"run{n}")
        commit_s = 1 / commits_per_s(folder)
        with running(here.parent, here.url):
            possible = 1 / (commit_s + 1 / round_trips_per_s(here.url))
            taken = _write(Client(here.url).sign_in())
        rates.append(len(taken) / sum(taken))
        p95.append(percentile(taken, 0.95) * 1000)
        ratios.append(rates[-1] / possible)
    return [
        Figure(
            "B4",
            "API writes, one client",
            median(rates),
            "/s",
            median(ratios),
            "empty request + durable commit",
            200,
            500,
            by_value=True,
        ),
        Figure("B4", "API write, p95", median(p95), "ms", reach=15, aim=6, lower=True),
    ]


def _write(client: Client) -> list[float]:
    """Seconds of each of WRITES notes."""
    _, topic = client.request("POST", "/api/v1/topics", {"title": "测", "text": "测", "areas": ["620102"]})
    taken = []
    for _ in range(WRITES):
        start = time.perf_counter()
        status, _ = client.request("POST", f"/api/v1/topics/{topic['id']}/note", {"text": NOTE})
        taken.append(time.perf_counter() - start)
        if status != 200:
            raise RuntimeError(f"HTTP {status}")
    return taken
