"""Roll-ups: what each topic's row adds to which figure. Pure rules; a figure is a sum over rows and nothing else.

A cell is one (place, dimension, key, month); a place is a division, everywhere, or the node that topics were opened at
or are held by, so that a branch or a tier is asked for as cheaply as a place. A mix is all the values of MIXED that
topics have together, over all places and times: what is narrowed by several of them at once is a sum of mixes. Whenever
a row changes, what it added before is taken away and what it adds now is put in, so figures follow change and never
need the whole to be counted again; counting the whole again gives the same figures, which is how they are checked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from operator import add as plus
from operator import neg, sub
from typing import TypeVar

CHINA = timezone(timedelta(hours=8))
"""Days and months of every figure are those of the offices."""
WHOLE = ""
"""The place that is everywhere."""
OPENED_AT = "@"
"""Before a node's code: the place of the topics opened there."""
HELD_BY = ">"
"""Before a node's code: the place of the topics it holds."""
DIMENSIONS = ("custodian", "origin", "category", "area", "status", "step", "outcome", "source", "kind")
MIXED = ("status", "step", "outcome", "source", "kind", "category", "late")
"""The values of a mix; `late`: counted as overdue."""
MEASURES = (
    "count",
    "open",
    "overdue",
    "closed",
    "a",
    "b",
    "c",
    "d",
    "solved_at_origin",
    "hops",
    "returns",
    "reopened",
    "suggested",
    "followed",
    "participations",
    "responded",
    "response_s",
    "resolution_s",
    "rated",
    "satisfied",
    "basically_satisfied",
)
"""Sums over rows; the last digits of every ratio are made from them when it is asked for."""

K = TypeVar("K")
Cell = tuple[str, str, str, str]
"""Place, dimension, key, month."""
Amounts = tuple[int, ...]
"""One number for each of MEASURES."""
Mix = tuple[str, str, str, str, str, str, bool]
"""Values of MIXED."""
NOTHING: Amounts = (0,) * len(MEASURES)


@dataclass(slots=True)
class Deltas:
    """What is to be added to cells and mixes."""

    cells: dict[Cell, Amounts] = field(default_factory=dict)
    mixes: dict[Mix, Amounts] = field(default_factory=dict)

    def clear(self) -> None:
        self.cells.clear()
        self.mixes.clear()


@dataclass(frozen=True, slots=True)
class Fact:
    """A topic's row as it counts. `areas` are the divisions it is shown under, `places` those it can be asked for by;
    `stayed`: it was never held above the tier it came from.
    """

    custodian: str
    origin: str
    category: str | None
    source: str | None
    kind: str
    status: str
    step: str
    outcome: str | None
    month: str
    areas: tuple[str, ...]
    places: tuple[str, ...]
    overdue: bool
    stayed: bool
    hops: int
    returns: int
    reopened: int
    suggested: int
    followed: int
    participations: int
    rating: str | None
    responded: bool
    response_s: int
    resolution_s: int


def month_of(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m")


def day_of(at: datetime) -> int:
    """Days since 1970 of the offices' calendar."""
    return (at.astimezone(CHINA).date() - date(1970, 1, 1)).days


def start_of(month: str) -> datetime:
    """The instant a month begins."""
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=CHINA).astimezone(UTC)


def month_before(now: datetime) -> str:
    """The last month that is over."""
    return (now.astimezone(CHINA).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


def seconds(start: datetime, end: datetime | None) -> int:
    """Clocks of several nodes are compared here: what comes out negative counts as nothing."""
    return max(0, int((end - start).total_seconds())) if end is not None else 0


def amounts(fact: Fact) -> Amounts:
    """What a row adds to every cell it belongs to, in the order of MEASURES."""
    closed = fact.status == "closed"
    outcome = fact.outcome
    solved_here = closed and outcome == "A" and fact.stayed
    return (
        1,
        int(not closed),
        int(fact.overdue),
        int(closed),
        int(outcome == "A"),
        int(outcome == "B"),
        int(outcome == "C"),
        int(outcome == "D"),
        int(solved_here),
        fact.hops,
        fact.returns,
        fact.reopened,
        fact.suggested,
        fact.followed,
        fact.participations,
        int(fact.responded),
        fact.response_s,
        fact.resolution_s,
        int(fact.rating is not None),
        int(fact.rating == "satisfied"),
        int(fact.rating == "basically_satisfied"),
    )


def cells(fact: Fact) -> Iterator[Cell]:
    """The cells a row belongs to: each once, however many of its areas lie in one place."""
    for place in (WHOLE, *fact.places, OPENED_AT + fact.origin, HELD_BY + fact.custodian):
        yield place, "custodian", fact.custodian, fact.month
        yield place, "origin", fact.origin, fact.month
        yield place, "category", fact.category or "", fact.month
        yield place, "status", fact.status, fact.month
        yield place, "step", fact.step, fact.month
        yield place, "outcome", fact.outcome or "", fact.month
        yield place, "source", fact.source or "", fact.month
        yield place, "kind", fact.kind, fact.month
        for area in fact.areas or ("",):
            yield place, "area", area, fact.month


def mix(fact: Fact) -> Mix:
    """The one mix a row belongs to."""
    source, category, outcome = fact.source or "", fact.category or "", fact.outcome or ""
    return fact.status, fact.step, outcome, source, fact.kind, category, fact.overdue


def add(deltas: Deltas, old: Fact | None, new: Fact | None) -> None:
    """Note what changes when a row `old` becomes `new`; None where there is none."""
    gone = amounts(old) if old is not None else NOTHING
    come = amounts(new) if new is not None else NOTHING
    before = set(cells(old)) if old is not None else set()
    after = set(cells(new)) if new is not None else set()
    net = tuple(map(sub, come, gone))
    if any(net):
        _add(deltas.cells, before & after, net)
    _add(deltas.cells, before - after, tuple(map(neg, gone)))
    _add(deltas.cells, after - before, come)
    if old is not None:
        _add(deltas.mixes, [mix(old)], tuple(map(neg, gone)))
    if new is not None:
        _add(deltas.mixes, [mix(new)], come)


def _add(deltas: dict[K, Amounts], where: Iterable[K], adds: Amounts) -> None:
    for key in where:
        found = deltas.get(key)
        deltas[key] = adds if found is None else tuple(map(plus, found, adds))


def changed(deltas: Mapping[K, Amounts]) -> dict[K, Amounts]:
    """Those that change at all."""
    return {key: found for key, found in deltas.items() if any(found)}


def rates(sums: Mapping[str, int]) -> dict[str, float | None]:
    """The ratios people ask for, from sums of MEASURES; None where there is nothing to divide by."""
    outcomes = sums["a"] + sums["b"] + sums["c"] + sums["d"]
    return {
        "response_rate": _ratio(sums["responded"], sums["count"]),
        "solution_rate": _ratio(sums["a"], outcomes),
        "satisfaction_rate": _ratio(sums["satisfied"] + sums["basically_satisfied"], sums["rated"]),
        "closing_rate": _ratio(sums["closed"], sums["count"]),
        "overdue_rate": _ratio(sums["overdue"], sums["open"]),
        "solved_at_origin_rate": _ratio(sums["solved_at_origin"], sums["a"]),
        "suggestion_followed_rate": _ratio(sums["followed"], sums["suggested"]),
        "hops_per_topic": _ratio(sums["hops"], sums["count"]),
        "returns_per_topic": _ratio(sums["returns"], sums["count"]),
        "response_days": _ratio(sums["response_s"], sums["responded"] * 86_400),
        "resolution_days": _ratio(sums["resolution_s"], sums["closed"] * 86_400),
    }


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
