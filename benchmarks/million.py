"""B7: a province that knows 1,000,000 topics: how long its dashboard and figures take, and what changed rows cost.

The rows are put straight into the tables (benchmarks.filled); what is measured afterwards goes the ordinary way: the
dashboard and the figures over HTTP from a node that runs, and sealed pages that are taken in.
`python -m benchmarks.million [--rows N] [--database URL] [--keep DIR]`
"""

import argparse
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rich.console import Console
from sqlalchemy import select

from benchmarks import gansu
from benchmarks.field import Client, running
from benchmarks.filled import NOW, YEARS_DAYS, fill, row
from benchmarks.measure import Figure, median, percentile, table
from benchmarks.window import Window
from node.clock import Clock, instant
from node.config import Settings
from node.context import Context
from node.service import life
from node.service.commit import write
from node.service.figures import EPOCH
from node.service.identity import load
from node.store import aggregation as ag
from node.store import rows as row_store
from node.store import tables as t
from schemas.ids import FIRST_TERM, Tier
from schemas.summary import Page, Row
from sync.chain import header
from sync.sealing import SUMMARY, Statement, author, open_statement, parse

SMALL, LARGE = 10_000, 1_000_000
CHANGED = 1_000
ROWS_A_PAGE = 80
ROUNDS, REFRESHES = 20, 9
LIMIT_MS = 300
SLOWEST = 6
"""So many are named."""
COUNTY, CITY = "620102", "620100"
HALF = {"from": "2026-01-01", "to": "2026-06-30"}
CUT = {"from": "2025-03-10", "to": "2026-06-20"}
"""Days that cut months in two: what is counted from rows."""


def _aggregate(by: str, **narrowed: str) -> str:
    return "/api/v1/aggregate?" + urlencode({"by": by, **narrowed})


PAGES = (
    "/overview",
    "/overview?" + urlencode({"child": CITY}),
    "/overview?" + urlencode(HALF),
    "/overview?" + urlencode(CUT),
    "/overview/topics",
    "/overview/topics?" + urlencode({"area": COUNTY, "status": "active"}),
    "/overview/topics?" + urlencode({"child": CITY, "step": "consult"}),
    "/overview/topics?" + urlencode({"overdue": "true"}),
    "/overview/topics?" + urlencode({"outcome": "D", "month": "2024-05"}),
)
QUESTIONS = (
    *(_aggregate(by) for by in ("custodian", "origin", "child", "tier", "area", "category", "source", "kind")),
    *(_aggregate(by) for by in ("status", "step", "outcome", "month", "age")),
    *(
        _aggregate("status", **narrowed)
        for narrowed in (
            HALF,
            CUT,
            {"month": "2024-05"},
            {"area": CITY},
            {"area": COUNTY},
            {"area": COUNTY + "001"},
            {"shown": COUNTY},
            {"custodian": COUNTY},
            {"origin": COUNTY},
            {"child": CITY},
            {"tier": "county"},
            {"category": "城乡建设"},
            {"category_is": "城乡建设/市政设施"},
            {"source": "热线"},
            {"kind": "matter"},
            {"status": "active"},
            {"step": "consult"},
            {"outcome": "D"},
            {"overdue": "true"},
        )
    ),
    _aggregate("child", area=CITY),
    _aggregate("category", area=COUNTY),
    _aggregate("month", custodian=COUNTY),
    _aggregate("step", origin=COUNTY),
    _aggregate("category", child=CITY, **HALF),
    "/api/v1/aggregate/figures?" + urlencode({"by": "child", **HALF}),
    "/api/v1/aggregate/funnel?" + urlencode({"area": CITY}),
    "/api/v1/aggregate/topics",
    "/api/v1/aggregate/topics?" + urlencode({"area": COUNTY, "status": "active"}),
    "/api/v1/aggregate/topics?" + urlencode({"custodian": COUNTY}),
    "/api/v1/aggregate/topics?" + urlencode({"overdue": "true"}),
    "/api/v1/aggregate/nodes",
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A province with its rows, and the city whose pages change them. `url`: its database, empty for SQLite."""

    folder: Path
    url: str
    address: str

    def province(self) -> Context:
        return load(_settings(self.folder, gansu.PROVINCE, self.url), Clock())

    def city(self) -> Context:
        return load(_settings(self.folder, CITY), Clock())


def measure(folder: Path) -> list[Figure]:
    """On SQLite, small and large."""
    small, large = (prepared(folder / str(many), many) for many in (SMALL, LARGE))
    cost = refreshing(small)
    return [*dashboards(large, LARGE), _refreshed(LARGE, refreshing(large), cost)]


def prepared(folder: Path, many: int, url: str = "") -> Filled:
    """All nodes of Gansu enrolled, and `many` rows at the province."""
    places = gansu.places()
    gansu.make(folder, places, Clock(), url)
    made = Filled(folder, url, places[0].url)
    ctx = made.province()
    for place in places:
        if place.tier is Tier.CITY:
            introduce(ctx, load(_settings(folder, place.code), Clock()))
    fill(ctx, many, [node.code for node in places if node.tier is Tier.COUNTY])
    ctx.engine.dispose()
    return made


def introduce(top: Context, city: Context) -> None:
    """The province learns whom a city enrolled, which their first exchange would tell it."""
    statements = t.statements.c
    query = select(statements.raw).join(t.registry, t.registry.c.id == statements.id).order_by(statements.pos)
    with city.engine.connect() as conn:
        said = list(conn.execute(query.where(statements.author == city.identity.code)).scalars())
    with write(top) as batch:
        for raw in said:
            batch.apply(open_statement(parse(raw), batch.roster.keyring), city.identity.code)
    city.engine.dispose()


def dashboards(made: Filled, many: int) -> list[Figure]:
    """What a person waits for at a running node: page by page, and question by question."""
    extra = ["--database", made.url] if made.url else []
    with running(made.folder / gansu.PROVINCE, made.address, *extra):
        window, client = Window(made.address), Client(made.address).sign_in()
        pages = {path: [window.get(path)[0::2] for _ in range(ROUNDS)] for path in PAGES}
        asked = {path: [_timed(client, path) for _ in range(ROUNDS)] for path in QUESTIONS}
    return [*_figures("pages", many, pages), *_figures("questions of the API", many, asked)]


def refreshing(made: Filled) -> float:
    """Milliseconds for a thousand changed rows."""
    ctx, city = made.province(), made.city()
    found = median([_refresh(ctx, city) for _ in range(REFRESHES)])
    ctx.engine.dispose()
    city.engine.dispose()
    return found * 1000


def _figures(what: str, many: int, taken: dict[str, list[tuple[int, float]]]) -> list[Figure]:
    """All together, then each that is among the slowest."""
    assert all(status == 200 for times in taken.values() for status, _ in times)
    by_path = {path: [ms for _, ms in times] for path, times in taken.items()}
    every = [ms for times in by_path.values() for ms in times]
    slowest = sorted(by_path, key=lambda path: -percentile(by_path[path], 0.95))
    return [
        Figure("B7", f"{what}, {many:,} rows, median of {len(taken)}", median(every), "ms"),
        _judged(f"{what}, p95 of all", every),
        *(_judged(f"p95 of {path}", by_path[path]) for path in slowest[:SLOWEST]),
    ]


def _judged(what: str, times: Sequence[float]) -> Figure:
    return Figure("B7", what, percentile(times, 0.95), "ms", reach=LIMIT_MS, aim=LIMIT_MS / 3, lower=True)


def _refreshed(many: int, cost: float, small: float) -> Figure:
    what = f"taking in {CHANGED:,} changed rows, {many:,} stored"
    return Figure("B7", what, cost, "ms", cost / small, f"cost at {SMALL:,}", 1.3, 1.05, lower=True)


def _timed(client: Client, path: str) -> tuple[int, float]:
    start = time.perf_counter()
    status, _ = client.request("GET", path)
    return status, (time.perf_counter() - start) * 1000


def _settings(folder: Path, code: str, url: str = "") -> Settings:
    return Settings(data=folder / code, disk_reserve_bytes=0, database_url=url)


def _refresh(ctx: Context, city: Context) -> float:
    """Seconds for a thousand rows of topics long known, taken over by the city: sealed pages applied, figures moved."""
    chance = random.Random(time.perf_counter_ns())
    with ctx.engine.connect() as conn:
        query = select(ag.topic_rows.c.topic).where(ag.topic_rows.c.day >= _day(chance.randint(0, YEARS_DAYS)))
        ids = conn.execute(query.order_by(ag.topic_rows.c.day).limit(CHANGED)).scalars().all()
        stored = row_store.load(conn, ids)
    rows = [_changed(chance, row, city) for row in stored]
    pages = [_page(city, rows[at : at + ROWS_A_PAGE]) for at in range(0, len(rows), ROWS_A_PAGE)]
    start = time.perf_counter()
    with write(ctx) as batch:
        for page in pages:
            batch.apply(page, city.identity.code)
    return time.perf_counter() - start


def _page(city: Context, rows: list[Row]) -> Statement:
    me = city.identity
    shared = header(me.code, life.now(city).inc, instant(city.clock.now()))
    body = Page(rows=rows).model_dump(mode="json")
    payload = {**shared, "seq": time.perf_counter_ns(), "kind": "page", "body": body, "parts": []}
    return author(payload, SUMMARY, me.signer, me.code)


def _changed(chance: random.Random, stored: dict[str, Any], city: Context) -> Row:
    fresh = row(chance, int(stored["topic"], 16), stored["origin"], stored["opened_at"], stored["category"])
    term = FIRST_TERM._replace(t=time.perf_counter_ns())
    return fresh.model_copy(update={"term": term, "custodian": city.identity.code})


def _day(ago: int) -> int:
    return (NOW.date() - EPOCH).days - ago


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=LARGE)
    parser.add_argument("--database", default="", metavar="URL", help="an empty PostgreSQL database")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the nodes; filled already, they are measured")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="liandong-bench-"))
    start = time.perf_counter()
    try:
        if folder.exists() and any(folder.iterdir()):
            made = Filled(folder, asked.database, "")
            ctx = made.province()
            made = Filled(folder, asked.database, ctx.identity.url)
            ctx.engine.dispose()
        else:
            made = prepared(folder, asked.rows, asked.database)
        filled_s = time.perf_counter() - start
        cost = Figure("B7", f"taking in {CHANGED:,} changed rows, {asked.rows:,} stored", refreshing(made), "ms")
        found = [*dashboards(made, asked.rows), cost, Figure("B7", "filling the store", filled_s, "s")]
        Console(width=140).print(table(found))
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
