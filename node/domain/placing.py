"""Where a topic's areas lie among the divisions a node shows figures for."""

from collections.abc import Iterable
from dataclasses import dataclass

from node.domain.divisions import Division, DivisionTree, Level
from schemas.ids import Tier


@dataclass(frozen=True, slots=True)
class Placing:
    """`shown`: the county of each area, or the area itself above that, all of them in `within`; `places`: the
    divisions below this node's tier whose figures the topic is part of; `within`: every division an area lies in,
    itself included.
    """

    shown: tuple[str, ...]
    places: tuple[str, ...]
    within: tuple[str, ...]


def placed(areas: Iterable[str], tree: DivisionTree, tier: Tier) -> Placing:
    """The placing of a topic as a node of this tier sees it; an area no table knows stands for itself."""
    shown: dict[str, None] = {}
    places: dict[str, None] = {}
    within: dict[str, None] = {}
    for area in areas:
        within[area] = None
        if tree.resolve_area(area) is None:
            shown[area] = None
            continue
        line = tree.ancestors(area)
        within.update(dict.fromkeys(division.code for division in line))
        shown[_shown(line, tree).code] = None
        places.update(dict.fromkeys(division.code for division in line if _is_place(division, tier)))
    return Placing(tuple(shown), tuple(places), tuple(within))


def _shown(line: tuple[Division, ...], tree: DivisionTree) -> Division:
    found = next((division for division in line if division.level.rank >= Level.COUNTY.rank), line[0])
    return tree.governed(found)


def _is_place(division: Division, tier: Tier) -> bool:
    return Level.COUNTY.rank <= division.level.rank < tier.rank and not division.is_placeholder
