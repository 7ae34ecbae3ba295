"""B7: a province that knows 1,000,000 topics: how long its figures take, and what a thousand changed rows cost.

The rows are put straight into the tables as pages would have left them; what is measured afterwards, questions and the
taking in of sealed pages, goes the ordinary way. `python -m benchmarks.million [ROWS] [DATABASE URL]`.
"""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Connection, insert, select, text

from benchmarks import gansu
from benchmarks.measure import Figure, median, percentile, table
from node.clock import Clock, instant
from node.config import Settings
from node.context import Context
from node.domain import categories
from node.domain.rollup import MEASURES, Deltas, add, changed
from node.domain.topic import STEPS
from node.service import behind, life
from node.service.aggregate import aggregate, figures, funnel
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.rows import said_row, view
from node.store import aggregation as ag
from node.store import rows as row_store
from node.store.engine import is_sqlite
from schemas import aggregate as views
from schemas.ids import FIRST_TERM, Tier
from schemas.summary import Page, Row
from sync.chain import header
from sync.sealing import SUMMARY, Statement, author
from sync.summary import place

SMALL, LARGE = 10_000, 1_000_000
CHANGED = 1_000
ROWS_A_PAGE = 80
ROUNDS = 15
YEARS_DAYS = 5 * 365
_AT_ONCE = 10_000
NOW = datetime.now(UTC)

QUESTIONS: list[tuple[str, dict[str, str]]] = [
    *(("sum", {"by": by}) for by in ("custodian", "origin", "tier", "category", "area", "status", "step", "outcome")),
    ("sum", {"by": "month"}),
    ("sum", {"by": "child", "area": "620100"}),
    ("sum", {"by": "category", "area": "620102"}),
    ("sum", {"by": "month", "custodian": "620102"}),
    ("sum", {"by": "step", "origin": "620102"}),
    ("sum", {"by": "status", "from": "2025-03-10", "to": "2026-06-20"}),
    ("figures", {"by": "child", "from": "2026-01-01", "to": "2026-06-30"}),
    ("funnel", {"area": "620100"}),
    ("topics", {}),
    ("topics", {"area": "620102", "status": "active"}),
    ("topics", {"custodian": "620102"}),
    ("topics", {"overdue": "true"}),
]


def measure(folder: Path) -> list[Figure]:
    """On SQLite, small and large."""
    found = []
    costs = {}
    for many in (SMALL, LARGE):
        figures_of, cost = run(folder / str(many), many)
        costs[many] = cost
        found = figures_of
    ratio = costs[LARGE] / costs[SMALL]
    cost = Figure("B7", f"taking in {CHANGED:,} changed rows, {LARGE:,} stored", costs[LARGE] * 1000, "ms", ratio)
    return [*found, cost]


def run(folder: Path, many: int, url: str = "") -> tuple[list[Figure], float]:
    """A province with `many` rows: p95 of its questions, and seconds for a thousand changed rows."""
    ctx, city = _province(folder, url)
    fill(ctx, many, [node.code for node in gansu.places() if node.tier is Tier.COUNTY])
    times = [ask(ctx, kind, query) for _ in range(ROUNDS) for kind, query in QUESTIONS]
    slowest = max(QUESTIONS, key=lambda item: median([ask(ctx, *item) for _ in range(3)]))
    cost = median([_refresh(ctx, city) for _ in range(5)])
    found = [
        Figure("B7", f"figures and lists, {many:,} rows, median", median(times) * 1000, "ms"),
        Figure("B7", f"the same, 95 of 100 (slowest: {slowest})", percentile(times, 0.95) * 1000, "ms"),
        Figure("B7", f"taking in {CHANGED:,} changed rows", cost * 1000, "ms"),
    ]
    ctx.engine.dispose()
    city.engine.dispose()
    return found, cost


def ask(ctx: Context, kind: str, query: dict[str, str]) -> float:
    """Seconds one question takes, its answer rendered."""
    start = time.perf_counter()
    if kind == "sum":
        aggregate(ctx, views.FigureQuery.model_validate(query)).model_dump_json()
    elif kind == "figures":
        figures(ctx, views.FigureQuery.model_validate(query)).model_dump_json()
    elif kind == "funnel":
        funnel(ctx, views.FigureFilter.model_validate(query)).model_dump_json()
    else:
        behind.topics(ctx, views.BehindQuery.model_validate(query), None, 50).model_dump_json()
    return time.perf_counter() - start


def fill(ctx: Context, many: int, counties: list[str]) -> None:
    """`many` rows of the last five years, as their custodians would have sealed them."""
    chance = random.Random(7)
    with write(ctx) as batch:
        seen = view(batch)
    source = _rows(chance, counties, many)
    deltas: Deltas = {}
    while some := list(islice(source, _AT_ONCE)):
        with ctx.engine.begin() as conn:
            _insert(conn, some, seen, deltas)
    with ctx.engine.begin() as conn:
        names = ("place", "dimension", "key", "month", *MEASURES)
        cells = [dict(zip(names, (*cell, *sums), strict=True)) for cell, sums in sorted(changed(deltas).items())]
        for at in range(0, len(cells), _AT_ONCE):
            conn.execute(insert(ag.rollups), cells[at : at + _AT_ONCE])
    with ctx.engine.begin() as conn:
        conn.execute(text("ANALYZE"))
    if is_sqlite(ctx.engine):
        with ctx.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _insert(conn: Connection, some: list[Row], seen: Any, deltas: Deltas) -> None:
    stored = [row_store.row_of(row, False, seen) for row in some]
    for row in stored:
        add(deltas, None, row_store.fact_of(row))
    conn.execute(insert(ag.topic_rows), stored)
    areas = [area for row in some for area in row_store.area_rows(row.topic, seen.placed(row.areas))]
    conn.execute(insert(ag.topic_row_areas), areas)
    conn.execute(insert(ag.said_rows), [said_row("0" * 64, row, place(row)) for row in some])


def _rows(chance: random.Random, counties: list[str], many: int) -> Iterator[Row]:
    paths = sorted({"/".join(names[:2]) for names in categories.builtin_categories().classes})
    for n in range(many):
        county = counties[int(len(counties) * chance.random() ** 1.5)]
        opened = NOW - timedelta(minutes=YEARS_DAYS * 1440 * (n + 1) // (many + 1))
        yield row(chance, n, county, opened, chance.choice(paths))


def row(chance: random.Random, n: int, county: str, opened: datetime, category: str) -> Row:
    """One topic of a county, most of them long closed."""
    closed = chance.random() < 0.8
    done = opened + timedelta(days=chance.randint(5, 90))
    areas = [county] if chance.random() < 0.7 else [f"{county}{chance.randint(1, 20):03d}"]
    return Row(
        topic=f"{n:064x}",
        head=f"{n:064x}",
        term=FIRST_TERM,
        seq=5,
        rev=0,
        number=f"{county}-{opened.year}-{n:06d}",
        origin=county,
        custodian=county,
        kind="matter",
        category=category,
        source=chance.choice([None, "热线", "提案", "来信", "委员工作站"]),
        areas=areas,
        unit=None,
        step=STEPS[-1] if closed else chance.choice(STEPS),
        status="closed" if closed else chance.choice(["active", "active", "active", "offered"]),
        outcome=chance.choice("AAAABCD") if closed else None,
        due_at=instant(done) if chance.random() < 0.5 else None,
        answer_by=None,
        tier_reached=Tier.COUNTY,
        hops=0,
        returns=chance.randint(0, 1),
        reopened=0,
        suggested=1,
        followed=1,
        participations=chance.randint(0, 40),
        rating=chance.choice([None, None, "satisfied", "basically_satisfied", "not_satisfied"]) if closed else None,
        opened_at=instant(opened),
        first_action_at=instant(opened + timedelta(days=2)),
        closed_at=instant(done) if closed else None,
    )


def _province(folder: Path, url: str) -> tuple[Context, Context]:
    """The province as a root, and one city that seals."""
    clock = Clock()
    top, city = gansu.places(1, 0)
    settings = Settings(data=folder / top.code, disk_reserve_bytes=0, database_url=url)
    ctx = init_node(settings, clock, Plan(top.code, top.name, top.tier, top.url, root=True))
    below = Settings(data=folder / city.code, disk_reserve_bytes=0)
    gansu.join(ctx, init_node(below, clock, Plan(city.code, city.name, city.tier, city.url)))
    return ctx, load(below, clock)


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
    return (NOW.date() - datetime(1970, 1, 1).date()).days - ago


def main() -> None:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else LARGE
    url = sys.argv[2] if len(sys.argv) > 2 else ""
    folder = Path(tempfile.mkdtemp(prefix="liandong-bench-"))
    try:
        start = time.perf_counter()
        found, _ = run(folder, many, url)
        Console(width=140).print(table(found), f"{time.perf_counter() - start:.0f} s in all")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
