"""B3: from the commit on one side of a link until the other side can see it, both directions."""

import sqlite3
import time
from pathlib import Path

from benchmarks.field import CHILD, PARENT, Client, Pair, pair, running
from benchmarks.measure import Figure, median, percentile
from benchmarks.work import author, note
from node.context import Context
from node.jobs import Jobs
from node.service.commit import write
from node.service.escalate import escalate
from schemas.api import EscalateForm

SAMPLES = 200
PAUSE_S = 0.02
"""Between samples, so that each is alone on the line."""


def measure(folder: Path) -> list[Figure]:
    here = pair(folder / "pair")
    child = here.context(CHILD)
    topics = author(child, 20, per_commit=1)
    with write(child) as batch:
        escalate(batch, topics[1], EscalateForm(reason="测", tried="测", override_reason="测"))
    jobs = Jobs(child)
    with running(here.parent, here.url):
        jobs.start()
        client = Client(here.url).sign_in()
        up = _up(here, child, topics[0])
        down = _down(here, client, topics[1])
        jobs.stop()
    child.engine.dispose()
    return [*_figures("child to parent", up), *_figures("parent to child", down)]


def _figures(what: str, taken: list[float]) -> list[Figure]:
    return [
        Figure("B3", f"{what}, median", median(taken), "ms", reach=15, aim=6, lower=True),
        Figure("B3", f"{what}, p95", percentile(taken, 0.95), "ms", reach=40, aim=15, lower=True),
    ]


def _up(here: Pair, child: Context, topic: str) -> list[float]:
    taken = []
    with _peek(here, PARENT) as conn:
        for _ in range(SAMPLES):
            identity = note(child, topic)
            taken.append(_seen(conn, identity))
            time.sleep(PAUSE_S)
    return taken


def _down(here: Pair, client: Client, topic: str) -> list[float]:
    while client.request("POST", f"/api/v1/topics/{topic}/accept", {})[0] != 200:
        time.sleep(PAUSE_S)
    taken = []
    with _peek(here, CHILD) as conn:
        for _ in range(SAMPLES):
            _, view = client.request("POST", f"/api/v1/topics/{topic}/note", {"text": "已转市政部门"})
            taken.append(_seen(conn, view["head"]))
            time.sleep(PAUSE_S)
    return taken


def _peek(here: Pair, code: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{here.folder / code / 'node.db'}?mode=ro", uri=True, isolation_level=None)


def _seen(conn: sqlite3.Connection, identity: str) -> float:
    """Milliseconds until another process's database holds a statement."""
    start = time.perf_counter()
    while conn.execute("SELECT 1 FROM statements WHERE id = ?", (identity,)).fetchone() is None:
        if time.perf_counter() - start > 60:
            raise TimeoutError(identity)
        time.sleep(0.0003)
    return (time.perf_counter() - start) * 1000
