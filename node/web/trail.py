"""The custody trail as a drawing: one column for each stay of a topic at a node, one row for each tier.

Only geometry; the stylesheet has the colours, and the same trail stands beside it as a list.
"""

from dataclasses import dataclass
from itertools import pairwise

from schemas.api import TopicView
from schemas.ids import NodeCode

TIERS = ("province", "city", "county")
LEFT, TOP = 64, 26
COLUMN, ROW = 104, 62
RADIUS = 11
LABEL = 38
"""Room for the names below the lowest row."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A stay; the last one is where the topic is now."""

    x: int
    y: int
    node: NodeCode
    mode: str
    now: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A way from one stay to the next, or, dashed, to the node it is offered to."""

    path: str
    offered: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    width: int
    height: int
    rows: tuple[tuple[str, int], ...]
    marks: tuple[Mark, ...]
    lines: tuple[Line, ...]
    offer: Mark | None = None


def draw(topic: TopicView, offered_tier: str | None) -> Drawing:
    """`offered_tier` is the tier of the node the topic is on offer to, None where it is not."""
    stops = topic.trail
    marks = [
        Mark(LEFT + COLUMN * n + COLUMN // 2, _y(stop.tier), stop.node, stop.mode, n == len(stops) - 1)
        for n, stop in enumerate(stops)
    ]
    lines = [Line(_way(a, b)) for a, b in pairwise(marks)]
    offer = None
    if topic.offer is not None and offered_tier is not None:
        offer = Mark(marks[-1].x + COLUMN, _y(offered_tier), topic.offer.to, topic.offer.mode, False)
        lines.append(Line(_way(marks[-1], offer), offered=True))
    columns = len(marks) + (offer is not None)
    return Drawing(
        width=LEFT + COLUMN * columns,
        height=TOP + ROW * (len(TIERS) - 1) + LABEL,
        rows=tuple((tier, _y(tier)) for tier in TIERS),
        marks=tuple(marks),
        lines=tuple(lines),
        offer=offer,
    )


def _y(tier: str | None) -> int:
    return TOP + ROW * (TIERS.index(tier) if tier in TIERS else len(TIERS) - 1)


def _way(a: Mark, b: Mark) -> str:
    """A line that leaves and arrives level, and keeps clear of both circles."""
    start, end = a.x + RADIUS + 3, b.x - RADIUS - 5
    middle = (start + end) // 2
    return f"M{start} {a.y}C{middle} {a.y} {middle} {b.y} {end} {b.y}"
