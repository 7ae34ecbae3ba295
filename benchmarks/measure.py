"""Figures, and how they are printed."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value; `ratio` is to `limit`, both taken in this run; `reach` and `aim` are of what is judged.

    What is judged is the ratio where there is one, else the value; `lower` says that less is better.
    """

    id: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    limit: str = ""
    reach: float | None = None
    aim: float | None = None
    lower: bool = False
    by_value: bool = False

    @property
    def judged(self) -> float:
        return self.value if self.ratio is None or self.by_value else self.ratio

    def verdict(self) -> str:
        if self.reach is None or self.aim is None:
            return ""
        better = (lambda a, b: a <= b) if self.lower else (lambda a, b: a >= b)
        if better(self.judged, self.aim):
            return "aim"
        return "reached" if better(self.judged, self.reach) else "MISSED"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(figures: Sequence[Figure]) -> Table:
    found = Table(title="Liandong benchmarks: medians, limits measured in the same run")
    for name in ("#", "measure", "value", "ratio", "of", "reach / aim", ""):
        found.add_column(name, justify="right" if name in ("value", "ratio") else "left")
    for figure in figures:
        targets = "" if figure.reach is None else f"{figure.reach:g} / {figure.aim:g}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        found.add_row(
            figure.id, figure.what, f"{figure.value:,.2f} {figure.unit}", ratio, figure.limit, targets, figure.verdict()
        )
    return found
