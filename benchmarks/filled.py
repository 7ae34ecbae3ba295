"""A province's store with as many rows as it would have after years: put straight into the tables, as pages would have
left them.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert, text

from node.clock import instant
from node.context import Context
from node.domain import categories
from node.domain.rollup import Deltas, add
from node.domain.topic import STEPS
from node.service.commit import write
from node.service.rows import said_row, view
from node.store import aggregation as ag
from node.store import rows as row_store
from node.store.engine import is_sqlite
from schemas.ids import FIRST_TERM, Tier
from schemas.summary import Row
from sync.summary import place

YEARS_DAYS = 5 * 365
NOW = datetime.now(UTC)
_AT_ONCE = 10_000


def fill(ctx: Context, many: int, counties: list[str]) -> None:
    """`many` rows of the last five years, as their custodians would have sealed them."""
    chance = random.Random(7)
    with write(ctx) as batch:
        seen = view(batch)
    source = _rows(chance, counties, many)
    deltas = Deltas()
    while some := list(islice(source, _AT_ONCE)):
        with ctx.engine.begin() as conn:
            _insert(conn, some, seen, deltas)
    with ctx.engine.begin() as conn:
        row_store.add_cells(conn, deltas)
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
