"""Rows of `topic_rows` and the figures made of them: whatever changes a row changes its cells, in one transaction."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from node.clock import parse_instant
from node.domain.placing import Placing
from node.domain.rollup import MEASURES, MIXED, Amounts, Deltas, Fact, add, changed, day_of, month_of, seconds
from node.store.aggregation import mixes, rollups, topic_row_areas, topic_rows
from node.store.engine import add_up, upsert
from node.store.projections import term_text
from schemas import summary as wire
from schemas.ids import NodeCode, Tier, TopicId

VALUES_AT_ONCE = 500
_FACT = [field.name for field in fields(Fact) if field.name in topic_rows.c]
_LOAD = select(topic_rows).where(topic_rows.c.topic.in_(bindparam("ids", expanding=True)))
CELL = ("place", "dimension", "key", "month")

Stored = dict[str, Any]
"""A row of `topic_rows`."""


@dataclass(frozen=True, slots=True)
class View:
    """What a row depends on beside what was said: the time, the divisions in force, who is of which tier."""

    now: datetime
    placed: Callable[[Sequence[str]], Placing]
    tier_of: Callable[[NodeCode], Tier | None]


def put(conn: Connection, news: Sequence[Stored], view: View, deltas: Deltas, moved: bool = False) -> None:
    """Store rows as they are, and note in `deltas` what that changes of the figures. `moved`: areas may lie elsewhere
    than before."""
    if not news:
        return
    olds = {row["topic"]: row for row in load(conn, [new["topic"] for new in news])}
    for new in news:
        old = olds.get(new["topic"])
        add(deltas, fact_of(old) if old else None, fact_of(new))
    upsert(conn, topic_rows, list(news))
    _store_areas(conn, [new for new in news if moved or _areas_differ(olds.get(new["topic"]), new)], olds, view)


def add_cells(conn: Connection, deltas: Deltas) -> None:
    """Bring the figures up; belongs to the transaction that stored the rows."""
    _add_up(conn, rollups, CELL, deltas.cells)
    _add_up(conn, mixes, MIXED, deltas.mixes)


def _add_up(conn: Connection, table: Table, keys: Sequence[str], found: Mapping[Any, Amounts]) -> None:
    names = (*keys, *MEASURES)
    sums: dict[Any, Amounts] = changed(found)
    add_up(conn, table, [dict(zip(names, (*key, *adds), strict=True)) for key, adds in sorted(sums.items())], MEASURES)


def load(conn: Connection, topics: Iterable[TopicId]) -> list[Stored]:
    """The rows of those of the topics that have one."""
    return [dict(row._mapping) for some in slices(list(topics)) for row in conn.execute(_LOAD, {"ids": some})]


def fact_of(row: Mapping[str, Any]) -> Fact:
    """What of a stored row is counted."""
    values = {name: row[name] for name in _FACT}
    derived = {"areas": tuple(row["areas"]), "places": tuple(row["places"])}
    return Fact(**{**values, **derived, "responded": row["first_action_at"] is not None})


def row_of(row: wire.Row, own: bool, view: View) -> Stored:
    """A row as it is stored and counted at this instant."""
    opened, due = parse_instant(row.opened_at), _when(row.due_at)
    placing, tier = view.placed(row.areas), view.tier_of(row.origin)
    acted, closed = _when(row.first_action_at), _when(row.closed_at)
    is_open = row.status != "closed"
    overdue = is_open and due is not None and due < view.now
    return {
        **row.model_dump(include=set(_PLAIN)),
        "term": term_text(row.term),
        "category": row.category or "",
        "source": row.source or "",
        "outcome": row.outcome or "",
        "due_at": due,
        "answer_by": _when(row.answer_by),
        "tier_reached": str(row.tier_reached),
        "stayed": tier is None or row.tier_reached.rank <= tier.rank,
        "opened_at": opened,
        "first_action_at": acted,
        "closed_at": closed,
        "response_s": seconds(opened, acted),
        "resolution_s": 0 if is_open else seconds(opened, closed),
        "day": day_of(opened),
        "month": month_of(opened),
        "overdue": overdue,
        "late_at": due if is_open and not overdue else None,
        "named": list(row.areas),
        "areas": list(placing.shown),
        "places": list(placing.places),
        "own": own,
        "changed_at": view.now,
    }


def area_rows(topic: TopicId, placing: Placing) -> list[dict[str, Any]]:
    return [{"topic": topic, "area": area, "shown": area in placing.shown} for area in placing.within]


def slices(values: Sequence[Any]) -> Iterator[list[Any]]:
    """As many values as one query takes, at a time."""
    for start in range(0, len(values), VALUES_AT_ONCE):
        yield list(values[start : start + VALUES_AT_ONCE])


def _areas_differ(old: Stored | None, new: Stored) -> bool:
    return old is None or old["named"] != new["named"]


def _store_areas(conn: Connection, news: Sequence[Stored], olds: Mapping[TopicId, Stored], view: View) -> None:
    for some in slices([new["topic"] for new in news if new["topic"] in olds]):
        conn.execute(delete(topic_row_areas).where(topic_row_areas.c.topic.in_(some)))
    found = [row for new in news for row in area_rows(new["topic"], view.placed(new["named"]))]
    if found:
        conn.execute(insert(topic_row_areas), found)


def _when(text: str | None) -> datetime | None:
    return parse_instant(text) if text else None


_PLAIN = frozenset(topic_rows.c.keys()) & frozenset(wire.Row.model_fields)
"""Columns that hold what the row says, until those below replace it with what they count it as."""
