"""The figures of the topics that each node opened, beside those of places: counted once from the rows there are."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

DIMENSIONS = ("custodian", "origin", "category", "status", "step", "outcome", "source", "kind")
PLAIN = ("hops", "returns", "reopened", "suggested", "followed", "participations", "response_s", "resolution_s")
_MARK = "@"

_r = sa.table(
    "topic_rows",
    *(sa.column(name, sa.String) for name in ("topic", "month", "rating", *DIMENSIONS)),
    *(sa.column(name, sa.Boolean) for name in ("overdue", "stayed")),
    *(sa.column(name, sa.BigInteger) for name in PLAIN),
    sa.column("first_action_at", sa.DateTime),
)
_a = sa.table("topic_row_areas", sa.column("topic"), sa.column("area", sa.String), sa.column("shown", sa.Boolean))


def upgrade() -> None:
    for dimension in DIMENSIONS:
        _fill(dimension, _r.c[dimension], _r)
    shown = sa.and_(_a.c.topic == _r.c.topic, _a.c.shown)
    _fill("area", sa.func.coalesce(_a.c.area, ""), _r.outerjoin(_a, shown))


def downgrade() -> None:
    cells = sa.table("rollups", sa.column("place", sa.String))
    op.execute(cells.delete().where(cells.c.place.startswith(_MARK)))


def _fill(dimension: str, key: Any, source: Any) -> None:
    sums = _sums()
    cells = sa.table("rollups", *(sa.column(name) for name in ("place", "dimension", "key", "month", *sums)))
    named = (sa.literal(_MARK) + _r.c.origin).label("place"), sa.literal(dimension).label("dimension"), key.label("key")
    query = sa.select(*named, _r.c.month, *(found.label(name) for name, found in sums.items())).select_from(source)
    op.execute(cells.insert().from_select(list(cells.c.keys()), query.group_by(_r.c.origin, key, _r.c.month)))


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
    counted = {name: sa.func.sum(sa.case((condition, 1), else_=0)) for name, condition in said.items()}
    return counted | {name: sa.func.sum(_r.c[name]) for name in PLAIN}
