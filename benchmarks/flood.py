"""B8: a parent flooded for a minute with twice what it can take, then left alone.

Nothing may be lost or asked for by hand, and the parent's memory has to stay bounded.
"""

import time
from pathlib import Path

import psutil
from sqlalchemy import func, select

from benchmarks.field import CHILD, PARENT, Pair, pair, running
from benchmarks.measure import Figure
from benchmarks.work import PER_TOPIC, author
from node.context import Context
from node.jobs import Jobs
from node.store import links
from node.store.engine import reading
from node.store.tables import entries

FLOOD_S = 60
PATIENCE_S = 600


def measure(folder: Path) -> list[Figure]:
    here = pair(folder / "pair")
    child = here.context(CHILD)
    jobs = Jobs(child)
    with running(here.parent, here.url) as process:
        parent = psutil.Process(process.pid)
        jobs.start()
        before, peak, written = parent.memory_info().rss, 0, 0
        begun = time.perf_counter()
        while time.perf_counter() - begun < FLOOD_S:
            written += len(author(child, 400)) * PER_TOPIC
            peak = max(peak, parent.memory_info().rss)
        with reading(child.engine) as conn:
            waiting = links.backlog(conn)
        left_alone = time.perf_counter()
        while _waiting(child) and time.perf_counter() - left_alone < PATIENCE_S:
            peak = max(peak, parent.memory_info().rss)
            time.sleep(0.1)
        drained_s = time.perf_counter() - left_alone
        jobs.stop()
    child.engine.dispose()
    return [
        Figure("B8", f"flooded {FLOOD_S} s: entries written", written, ""),
        Figure("B8", "waiting when the flood ended", waiting, ""),
        Figure("B8", "left alone: drained after", drained_s, "s"),
        Figure("B8", "lost or held back", written - _stored(here), "", reach=0, aim=0, lower=True),
        Figure("B8", "parent's memory at its peak", peak / 2**20, "MiB", peak / before, "before", 4, 2, lower=True),
    ]


def _waiting(child: Context) -> int:
    with reading(child.engine) as conn:
        return links.backlog(conn)


def _stored(here: Pair) -> int:
    ctx = here.context(PARENT)
    with reading(ctx.engine) as conn:
        found: int = conn.execute(select(func.count()).select_from(entries)).scalar_one()
    ctx.engine.dispose()
    return found
