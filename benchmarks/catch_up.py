"""B1: a backlog of one child's entries drained into its parent, durable and fully verified, over real HTTP."""

import time
from pathlib import Path

from benchmarks.field import CHILD, Pair, pair, running
from benchmarks.limits import verify_per_s
from benchmarks.measure import Figure, median
from benchmarks.work import author
from node.service.exchange import call, find_lane
from node.store import links
from node.store.engine import reading

ENTRIES = 20_000
RUNS = 3


def measure(folder: Path) -> list[Figure]:
    made = pair(folder / "made")
    child = made.context(CHILD)
    author(child, ENTRIES)
    child.engine.dispose()
    rates, ratios = [], []
    for n in range(RUNS):
        here = made.copy(folder / f"run{n}")
        limit = verify_per_s()
        with running(here.parent, here.url):
            rates.append(drain(here))
        ratios.append(rates[-1] / limit)
    return [
        Figure(
            "B1",
            f"catch-up of {ENTRIES:,} entries, per second",
            median(rates),
            "/s",
            median(ratios),
            "verify/s, one thread",
            0.5,
            1.2,
        )
    ]


def drain(here: Pair) -> float:
    """Entries per second until the parent has acknowledged everything."""
    ctx = here.context(CHILD)
    lane = find_lane(ctx, "push")
    assert lane is not None
    with reading(ctx.engine) as conn:
        link = links.load(conn, lane.peer)
    assert link is not None
    start, before = time.perf_counter(), link.acked_seq
    while call(ctx, lane).backlog:
        pass
    rate = (link.sent_seq - before) / (time.perf_counter() - start)
    lane.transport.close()
    ctx.engine.dispose()
    return rate
