"""Sums over topics, by any one dimension, over any set of them: from the figures kept where they answer, else counted.

What is asked of everything, of one place, of the nodes of a branch or a tier, or by the dimension it is narrowed by, is
a sum of cells, whose number does not grow with the topics; narrowed by several values, of any time and place, a sum of
mixes. Only what is narrower still, and the days of a month cut in two, are counted from rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, literal, or_, select
from sqlalchemy.sql.elements import ColumnElement

from node.domain.rollup import DIMENSIONS, HELD_BY, MEASURES, MIXED, OPENED_AT, WHOLE
from node.store.aggregation import mixes, rollups, topic_row_areas, topic_rows

MONTH, TOTAL = "month", ""
EPOCH = date(1970, 1, 1)
NODES = {"origin": OPENED_AT, "custodian": HELD_BY}
"""Columns that name nodes, each of which is a place of cells."""
CATEGORY_MARK = "/"
EXACTLY = "category_is"
"""Asks for one category without those below it."""
DAY = timedelta(days=1)
Sums = dict[str, int]

_r, _c, _m = topic_rows.c, rollups.c, mixes.c


@dataclass(frozen=True, slots=True)
class Question:
    """Which topics: days of opening (both included), a place they concern, values of columns they must have.

    `is_place`: figures are kept for `area`. `shown`: counted under exactly this division. A category takes in those
    below it.
    """

    since: date | None = None
    until: date | None = None
    area: str | None = None
    is_place: bool = False
    shown: str | None = None
    equal: Mapping[str, tuple[str, ...]] | None = None
    overdue: bool | None = None

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        return self.equal or {}


def nothing() -> Sums:
    return dict.fromkeys(MEASURES, 0)


def added(several: Iterable[Sums]) -> Sums:
    """The sums of all of them together."""
    found = nothing()
    for item in several:
        for name, amount in item.items():
            found[name] += amount
    return found


def sums(conn: Connection, asked: Question, by: str, now: datetime) -> dict[str, Sums]:
    """The sums of MEASURES by the keys of a dimension, by MONTH, or in all (TOTAL: one key, empty)."""
    dimension = _dimension(asked, by)
    if dimension is None:
        return _mixed(conn, asked, by, now) if _is_mixed(asked, by) else _counted(conn, asked, by, now)
    months, edges = _split(asked.since, asked.until)
    found: dict[str, Sums] = {}
    if months is not None:
        whole = replace(asked, since=months[0], until=months[1])
        _merge(found, _from_cells(conn, whole, dimension, by))
        _merge(found, _grown_late(conn, whole, by, now))
    for since, until in edges:
        _merge(found, _counted(conn, replace(asked, since=since, until=until), by, now))
    return {key: item for key, item in found.items() if item["count"]}


def behind(asked: Question, now: datetime) -> list[ColumnElement[bool]]:
    """The conditions that rows of `topic_rows` meet."""
    found: list[ColumnElement[bool]] = []
    if asked.since is not None:
        found.append(_r.day >= (asked.since - EPOCH).days)
    if asked.until is not None:
        found.append(_r.day <= (asked.until - EPOCH).days)
    for name, values in asked.columns.items():
        found.append(_within(_r[_column(name)], name, values))
    if asked.overdue is not None:
        found.append(_late(now) if asked.overdue else ~_late(now))
    if asked.shown is not None:
        found.append(_shown(asked.shown))
    return found


def rows_of(asked: Question, now: datetime, *columns: Any, shown: Any = None) -> Select[Any]:
    """A query of `topic_rows`; narrowed to a place, it starts from the topics that lie there. `shown`: an alias of
    `topic_row_areas` that gives the divisions each topic is counted under."""
    source: Any = topic_rows
    there = topic_row_areas.alias("there")
    if asked.area is not None:
        source = there.join(topic_rows, _r.topic == there.c.topic)
    if shown is not None:
        source = source.outerjoin(shown, and_(shown.c.topic == _r.topic, shown.c.shown))
    query = select(*columns).select_from(source).where(*behind(asked, now))
    return query if asked.area is None else query.where(there.c.area == asked.area)


def _column(name: str) -> str:
    return "category" if name == EXACTLY else name


def _dimension(asked: Question, by: str) -> str | None:
    """The dimension whose cells answer the question; None where none does."""
    narrowed = [_column(name) for name in asked.columns]
    kept = asked.area is None or asked.is_place
    if not kept or asked.shown is not None or asked.overdue is not None or len(narrowed) > 1:
        return None
    if by in DIMENSIONS:
        if not narrowed or narrowed == [by] or (asked.area is None and narrowed[0] in NODES):
            return by
        return narrowed[0] if asked.area is None and by in NODES else None
    return narrowed[0] if narrowed else "status"


def _from_cells(conn: Connection, asked: Question, dimension: str, by: str) -> dict[str, Sums]:
    """Sums of cells; the span of the question is one of whole months."""
    key: Any = {MONTH: _c.month, TOTAL: literal("")}.get(by, _c.key)
    narrowed = asked.columns
    named = next((name for name in narrowed if name in NODES), None)
    if named is not None and named != dimension:
        where: ColumnElement[bool] = _c.place.in_([NODES[named] + code for code in narrowed[named]])
        narrowed = {}
    elif by in NODES and by != dimension:
        key = func.substr(_c.place, 2)
        where = _c.place.startswith(NODES[by], autoescape=True)
    else:
        where = _c.place == (asked.area or WHOLE)
    query = select(key.label("k"), *(func.sum(_c[name]).label(name) for name in MEASURES))
    query = query.where(where, _c.dimension == dimension)
    if asked.since is not None:
        query = query.where(_c.month >= asked.since.strftime("%Y-%m"))
    if asked.until is not None:
        query = query.where(_c.month <= asked.until.strftime("%Y-%m"))
    for name, values in narrowed.items():
        query = query.where(_within(_c.key, name, values))
    return _read(conn, query.group_by("k") if by != TOTAL else query)


def _is_mixed(asked: Question, by: str) -> bool:
    """Whether mixes answer the question."""
    names = {_column(name) for name in asked.columns} | ({by} - {TOTAL})
    anywhere = asked.area is None and asked.shown is None and asked.since is None and asked.until is None
    return anywhere and names <= set(MIXED)


def _mixed(conn: Connection, asked: Question, by: str, now: datetime) -> dict[str, Sums]:
    """Sums of mixes, and of what has become overdue since anybody looked: that stands with the mixes in time."""
    key = (literal("") if by == TOTAL else _m[by]).label("k")
    query = select(key, *(func.sum(_m[name]).label(name) for name in MEASURES))
    for name, values in asked.columns.items():
        query = query.where(_within(_m[_column(name)], name, values))
    if asked.overdue is not None:
        query = query.where(_m.late == asked.overdue)
    found = _read(conn, query.group_by("k") if by != TOTAL else query)
    if asked.overdue is None:
        _merge(found, _grown_late(conn, asked, by, now))
    else:
        fresh = _read(conn, _grouped(replace(asked, overdue=None), by, now, *_amounts(now)).where(_just_late(now)))
        for item in fresh.values():
            if not asked.overdue:
                item.update({name: -amount for name, amount in item.items()}, overdue=0)
        _merge(found, fresh)
    return {key: item for key, item in found.items() if item["count"]}


def _counted(conn: Connection, asked: Question, by: str, now: datetime) -> dict[str, Sums]:
    """Counted from the rows themselves."""
    return _read(conn, _grouped(asked, by, now, *_amounts(now)))


def _grown_late(conn: Connection, asked: Question, by: str, now: datetime) -> dict[str, Sums]:
    """What has become overdue since anybody looked: cells do not know it yet."""
    fresh = conn.execute(_grouped(asked, by, now, func.count().label("n")).where(_just_late(now)))
    return {row.k: {**nothing(), "overdue": row.n} for row in fresh}


def _grouped(asked: Question, by: str, now: datetime, *columns: Any) -> Select[Any]:
    """Columns over the topics asked for, by the key `k`."""
    if by == TOTAL:
        return rows_of(asked, now, literal("").label("k"), *columns)
    if by != "area":
        return rows_of(asked, now, (_r.month if by == MONTH else _r[by]).label("k"), *columns).group_by("k")
    shown = topic_row_areas.alias("here")
    key = func.coalesce(shown.c.area, "").label("k")
    return rows_of(asked, now, key, *columns, shown=shown).group_by("k")


def _amounts(now: datetime) -> list[Any]:
    closed = _r.status == "closed"
    said = {
        "count": literal(1),
        "open": _one(~closed),
        "overdue": _one(_late(now)),
        "closed": _one(closed),
        **{name: _one(_r.outcome == name.upper()) for name in "abcd"},
        "solved_at_origin": _one(and_(closed, _r.outcome == "A", _r.stayed)),
        "responded": _one(_r.first_action_at.is_not(None)),
        "rated": _one(_r.rating.is_not(None)),
        "satisfied": _one(_r.rating == "satisfied"),
        "basically_satisfied": _one(_r.rating == "basically_satisfied"),
    }
    return [func.sum(said[name] if name in said else _r[name]).label(name) for name in MEASURES]


def _one(condition: Any) -> Any:
    return case((condition, 1), else_=0)


def _late(now: datetime) -> ColumnElement[bool]:
    return or_(_r.overdue, and_(_r.late_at.is_not(None), _r.late_at < now))


def _just_late(now: datetime) -> ColumnElement[bool]:
    """Counted as in time, and so no longer. A query of its own: few they are, and found by their index before any
    grouping."""
    late = topic_rows.alias("just_late").c
    return _r.topic.in_(select(late.topic).where(late.late_at < now))


def _within(column: Any, name: str, values: Sequence[str]) -> ColumnElement[bool]:
    if name == "category" and values != ("",):
        below = (column.startswith(value + CATEGORY_MARK, autoescape=True) for value in values)
        return or_(column.in_(values), *below)
    found: ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return found


def _shown(code: str) -> ColumnElement[bool]:
    here = topic_row_areas.alias("exactly")
    if code == "":
        return ~select(here.c.topic).where(here.c.topic == _r.topic, here.c.shown).exists()
    return _r.topic.in_(select(here.c.topic).where(here.c.area == code, here.c.shown))


def _read(conn: Connection, query: Select[Any]) -> dict[str, Sums]:
    found = {}
    for row in conn.execute(query):
        said = row._mapping
        if said["count"] is not None:
            found[said["k"]] = {name: int(said[name]) for name in MEASURES}
    return found


def _merge(found: dict[str, Sums], more: Mapping[str, Sums]) -> None:
    for key, item in more.items():
        into = found.setdefault(key, nothing())
        for name, amount in item.items():
            into[name] += amount


# ---- months and the days beside them -----------------------------------------------------------------------------

Span = tuple[date | None, date | None]
"""Days, both included; None where it has no end."""


def _split(since: date | None, until: date | None) -> tuple[Span | None, list[Span]]:
    """The whole months of a span, and what of it lies in parts of months."""
    low = since if since is None or since.day == 1 else _next_month(since)
    high = (until + DAY).replace(day=1) if until is not None else None
    if since is not None and until is not None and low is not None and high is not None and low > high:
        return None, [(since, until)]
    edges: list[Span] = []
    if since is not None and low is not None and low > since:
        edges.append((since, low - DAY))
    if until is not None and high is not None and high <= until:
        edges.append((high, until))
    if low is not None and high is not None and low >= high:
        return None, edges
    return (low, high - DAY if high is not None else None), edges


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
