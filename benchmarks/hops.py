"""B2: custody hops (offer and acceptance, both durable, projections and outboxes written) between two nodes.

The county inside this process escalates and keeps 64 topics outstanding; the city, a process of its own
(benchmarks.accepting), accepts whatever arrives. Commands are issued through the service layer; those issued together
share a commit, as the target allows, and each counts once its acceptance is back at the county.
"""

import threading
import time
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.field import CHILD, pair, running
from benchmarks.limits import commits_per_s
from benchmarks.measure import Figure, median
from node.context import Context
from node.jobs import Jobs
from node.service.commit import write
from node.service.escalate import escalate
from node.service.open import start
from node.store.engine import reading
from node.store.tables import topics
from schemas.api import EscalateForm, OpenForm

TOPICS = 1_500
OUTSTANDING = 64
RUNS = 3
SHARE_A_COMMIT = 32
FORM = EscalateForm(reason="涉及两县", tried="已与邻县协调", override_reason="测量")


def measure(folder: Path) -> list[Figure]:
    rates, ratios, single = [], [], []
    for n in range(RUNS):
        here = pair(folder / f"run{n}")
        limit = commits_per_s(folder)
        child = here.context(CHILD)
        ids = _open(child, TOPICS)
        jobs = Jobs(child)
        with running(here.parent, here.url, script="benchmarks.accepting"):
            jobs.start()
            rates.append(_run(child, ids, OUTSTANDING))
            single.append(_run(child, _open(child, 100), 1))
            jobs.stop()
        child.engine.dispose()
        ratios.append(rates[-1] / limit)
    return [
        Figure(
            "B2",
            f"custody hops, {OUTSTANDING} outstanding",
            median(rates),
            "/s",
            median(ratios),
            "durable commits/s",
            300,
            1000,
            by_value=True,
        ),
        Figure("B2", "custody hops, one outstanding", median(single), "/s"),
    ]


def _open(ctx: Context, count: int) -> list[str]:
    with write(ctx) as batch:
        form = OpenForm(title="两县交界道路破损", text="路面坑洼", areas=[CHILD])
        return [start(batch, form) for _ in range(count)]


def _run(ctx: Context, ids: list[str], outstanding: int) -> float:
    """Hops per second over all `ids`, never more than `outstanding` offered and not yet accepted."""
    changed = threading.Event()
    ctx.signal.listen(lambda peers: changed.set())
    base = _accepted(ctx)
    begun, sent, accepted = time.perf_counter(), 0, 0
    while accepted < len(ids):
        room = min(outstanding - (sent - accepted), len(ids) - sent, SHARE_A_COMMIT)
        if room > 0:
            with write(ctx) as batch:
                batch.prefetch(ids[sent : sent + room])
                for topic in ids[sent : sent + room]:
                    escalate(batch, topic, FORM)
            sent += room
        else:
            changed.wait(1)
            changed.clear()
        accepted = _accepted(ctx) - base
    return len(ids) / (time.perf_counter() - begun)


def _accepted(ctx: Context) -> int:
    with reading(ctx.engine) as conn:
        query = select(func.count()).select_from(topics).where(topics.c.custodian != CHILD)
        found: int = conn.execute(query).scalar_one()
        return found
