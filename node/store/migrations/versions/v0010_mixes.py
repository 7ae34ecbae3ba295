"""Figures of what each node holds, and of topics that have several values together: counted once from the rows."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

DIMENSIONS = ("custodian", "origin", "category", "status", "step", "outcome", "source", "kind")
PLAIN = ("hops", "returns", "reopened", "suggested", "followed", "participations", "response_s", "resolution_s")
SUMS = (
    *("count", "open", "overdue", "closed", "a", "b", "c", "d", "solved_at_origin"),
    *("hops", "returns", "reopened", "suggested", "followed", "participations"),
    *("responded", "response_s", "resolution_s", "rated", "satisfied", "basically_satisfied"),
)
_MARK = ">"

_r = sa.table(
    "topic_rows",
    *(sa.column(name, sa.String) for name in ("topic", "month", "rating", *DIMENSIONS)),
    *(sa.column(name, sa.Boolean) for name in ("overdue", "stayed")),
    *(sa.column(name, sa.BigInteger) for name in PLAIN),
    sa.column("first_action_at", sa.DateTime),
)
_a = sa.table("topic_row_areas", sa.column("topic"), sa.column("area", sa.String), sa.column("shown", sa.Boolean))


def upgrade() -> None:
    op.create_table(
        "mixes",
        sa.Column("status", sa.String(8), primary_key=True),
        sa.Column("step", sa.String(12), primary_key=True),
        sa.Column("outcome", sa.String(1), primary_key=True),
        *(sa.Column(name, sa.String(120), primary_key=True) for name in ("source", "kind", "category")),
        sa.Column("late", sa.Boolean, primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in SUMS),
        comment="figures of topics that have these values together, wherever and whenever",
    )
    sums = _sums()
    keys = [_r.c[name] for name in ("status", "step", "outcome", "source", "kind", "category", "overdue")]
    names = ("status", "step", "outcome", "source", "kind", "category", "late", *sums)
    query = sa.select(*keys, *(found.label(f"sum_{name}") for name, found in sums.items())).group_by(*keys)
    op.execute(sa.table("mixes", *map(sa.column, names)).insert().from_select(names, query))
    for dimension in DIMENSIONS:
        _fill(dimension, _r.c[dimension], _r)
    shown = sa.and_(_a.c.topic == _r.c.topic, _a.c.shown)
    _fill("area", sa.func.coalesce(_a.c.area, ""), _r.outerjoin(_a, shown))


def downgrade() -> None:
    cells = sa.table("rollups", sa.column("place", sa.String))
    op.execute(cells.delete().where(cells.c.place.startswith(_MARK)))
    op.drop_table("mixes")


def _fill(dimension: str, key: Any, source: Any) -> None:
    sums = _sums()
    cells = sa.table("rollups", *(sa.column(name) for name in ("place", "dimension", "key", "month", *sums)))
    held = (sa.literal(_MARK) + _r.c.custodian).label("place")
    named = held, sa.literal(dimension).label("dimension"), key.label("key")
    query = sa.select(*named, _r.c.month, *(found.label(name) for name, found in sums.items())).select_from(source)
    op.execute(cells.insert().from_select(list(cells.c.keys()), query.group_by(_r.c.custodian, key, _r.c.month)))


def _sums() -> dict[str, Any]:
    closed = _r.c.status == "closed"
    said = {
        "count": sa.true(),
        "open": ~closed,
        "overdue": _r.c.overdue,
        "closed": closed,
        **{name: _r.c.outcome == name.upper() for name in "abcd"},
        "solved_at_origin": sa.and_(closed, _r.c.outcome == "A", _r.c.stayed),
        "responded": _r.c.first_action_at.is_not(None),
        "rated": _r.c.rating.is_not(None),
        "satisfied": _r.c.rating == "satisfied",
        "basically_satisfied": _r.c.rating == "basically_satisfied",
    }
    return {
        name: sa.func.sum(sa.case((said[name], 1), else_=0)) if name in said else sa.func.sum(_r.c[name])
        for name in SUMS
    }
