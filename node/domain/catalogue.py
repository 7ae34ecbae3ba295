"""The powers-and-duties catalogue (权责清单) and the classification of matters it is written over.

A row says: for this class of matters, this function is in the power of this tier at the lowest, done by these bodies.
Functions are decide, approve, fund, enforce, inform. The first three settle how high a matter has to go, since without
them it cannot be brought to an end; enforce and inform only name who acts and who has to hear of it, because a body
can be called upon from any tier. The tier a matter needs is therefore the highest over its decide, approve and fund
rows. A power that only some matters of a class need belongs into a row of that level-3 class, not into the class's.

Of several rows for one function the most specific counts: first the one for the level-3 class, then the one whose area
exception lies deepest above the place. Every row names its source, or says 假定 (an assumption).
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files

from node.domain.categories import Categories, builtin_categories, normal_path
from node.domain.csvtable import read_table
from node.domain.divisions import DivisionTree
from node.domain.errors import (
    BadException,
    CatalogueError,
    DuplicateRow,
    MissingSource,
    UnknownCategory,
    UnknownFunction,
    UnknownTier,
)
from schemas.ids import Tier

__all__ = ["TIER_NAMES", "Catalogue", "Function", "Power", "builtin", "load", "normal_path"]

ASSUMPTION = "假定"
TIER_NAMES = {Tier.COUNTY: "县级", Tier.CITY: "市级", Tier.PROVINCE: "省级"}
_COLUMNS = {
    "category": "类别",
    "function": "职能",
    "tier": "层级",
    "body": "承办单位",
    "area": "例外地区",
    "source": "依据",
}
_AREA = re.compile(r"[0-9]{6}(?:[0-9]{3}){0,2}", re.ASCII)
_TOWNSHIP = "township"


class Function(StrEnum):
    """What a power is for."""

    DECIDE = "decide"
    APPROVE = "approve"
    FUND = "fund"
    ENFORCE = "enforce"
    INFORM = "inform"


TIER_ENGLISH = {Tier.COUNTY: "the county", Tier.CITY: "the city", Tier.PROVINCE: "the province"}
FUNCTION_NAMES = {
    Function.DECIDE: "决定",
    Function.APPROVE: "审批",
    Function.FUND: "出资",
    Function.ENFORCE: "执行",
    Function.INFORM: "知情",
}
FUNCTION_ENGLISH = {
    Function.DECIDE: "deciding",
    Function.APPROVE: "approving",
    Function.FUND: "funding",
    Function.ENFORCE: "carrying out",
    Function.INFORM: "being informed",
}
RAISING = frozenset({Function.DECIDE, Function.APPROVE, Function.FUND})


@dataclass(frozen=True, slots=True)
class Power:
    """One row. `tier` is None for a township's power, which its county's node exercises; `area` "" means everywhere."""

    category: str
    function: Function
    tier: Tier | None
    body: str
    area: str
    source: str

    @property
    def id(self) -> str:
        """Names the row in every version of the catalogue: category:function, with @area for an exception."""
        return f"{self.category}:{self.function}" + (f"@{self.area}" if self.area else "")

    @property
    def raises(self) -> bool:
        """Whether the row settles how high a matter has to go."""
        return self.function in RAISING

    @property
    def tier_needed(self) -> Tier:
        """The tier of the node that has the power."""
        return self.tier or Tier.COUNTY

    @property
    def is_assumption(self) -> bool:
        """True when no law or document is given for the row."""
        return self.source.startswith(ASSUMPTION)

    @property
    def sentence(self) -> str:
        """The row in a Chinese sentence, for people."""
        tier = TIER_NAMES[self.tier] if self.tier else "乡镇（街道）"
        basis = f"{self.source}，待本地核定" if self.is_assumption else f"依据：{self.source}"
        where = "（本地另有规定）" if self.area else ""
        return f"“{self.category}”的{FUNCTION_NAMES[self.function]}权至少在{tier}{where}：{self.body}（{basis}）。"

    @property
    def english(self) -> str:
        """The same in an English sentence; what the table says itself stays in its words."""
        tier = TIER_ENGLISH[self.tier] if self.tier else "a township"
        basis = f"{self.source}, to be confirmed locally" if self.is_assumption else f"by {self.source}"
        where = ", by an exception for this place" if self.area else ""
        what = f"{FUNCTION_ENGLISH[self.function]} on “{self.category}”"
        return f"The power of {what} lies with {tier} or above{where}: {self.body} ({basis})."


@dataclass(frozen=True)
class Catalogue:
    """All rows of one version, in the order of the table. `version` is the beginning of the table's SHA-256."""

    version: str
    rows: tuple[Power, ...]

    def powers(self, category: str, areas: Iterable[str], tree: DivisionTree) -> tuple[Power, ...]:
        """The rows that count for a matter of `category` in `areas`: for each function and area the most specific.

        Without areas the rows without exception count. An unknown category gives none.
        """
        lines = [[place.code for place in tree.ancestors(area)] for area in areas if tree.resolve_area(area)]
        found = []
        for function in Function:
            rows = self._candidates(category, function)
            hits = {row for line in lines or [[]] if (row := _most_specific(rows, line))}
            found += [row for row in rows if row in hits]
        return tuple(found)

    def lowest_tier(self, category: str, function: Function, areas: Iterable[str], tree: DivisionTree) -> Tier | None:
        """The lowest tier that has the power in all of `areas`, or None when the catalogue does not say."""
        rows = [row for row in self.powers(category, areas, tree) if row.function is function]
        return max((row.tier_needed for row in rows), key=lambda tier: tier.rank, default=None)

    def _candidates(self, category: str, function: Function) -> list[Power]:
        """Rows of the class, those of level 3 first."""
        levels = normal_path(category).split("/")
        paths = ["/".join(levels[:3]), "/".join(levels[:2])] if len(levels) > 2 else ["/".join(levels)]
        return [row for path in paths for row in self._by_key.get((path, function), ())]

    @cached_property
    def _by_key(self) -> dict[tuple[str, Function], tuple[Power, ...]]:
        index: dict[tuple[str, Function], tuple[Power, ...]] = {}
        for row in self.rows:
            key = (row.category, row.function)
            index[key] = (*index.get(key, ()), row)
        return index


def load(data: bytes, categories: Categories | None = None) -> Catalogue:
    """Read a catalogue from CSV with the columns category, function, tier, body, area, source.

    Categories are paths of two or three levels in `categories` (default: the built-in classification). Raises a
    `CatalogueError` naming the row: UnknownCategory, UnknownFunction, UnknownTier, BadException, MissingSource,
    DuplicateRow; a table without rows is one too.
    """
    known = categories or builtin_categories()
    rows: list[Power] = []
    first_row: dict[str, int] = {}
    for row, cells in read_table(data, _COLUMNS, CatalogueError):
        power = _power(row, cells, known)
        if power.id in first_row:
            raise DuplicateRow(f"{power.id} (first in row {first_row[power.id]})", row)
        first_row[power.id] = row
        rows.append(power)
    if not rows:
        raise CatalogueError("no rows in the table")
    return Catalogue(hashlib.sha256(data).hexdigest()[:12], tuple(rows))


@cache
def builtin() -> Catalogue:
    """The catalogue shipped with the program: a start to be corrected locally (see data/README.md)."""
    return load((files("node.domain") / "data" / "powers.csv").read_bytes())


def _power(row: int, cells: list[str], known: Categories) -> Power:
    category, function, tier, body, area, source = cells
    path = normal_path(category)
    if path.count("/") not in (1, 2) or not known.known(path):
        raise UnknownCategory(repr(category), row, "category")
    if function not in list(Function):
        raise UnknownFunction(repr(function), row, "function")
    if tier != _TOWNSHIP and tier not in list(Tier):
        raise UnknownTier(repr(tier), row, "tier")
    if not body:
        raise CatalogueError("no handling body", row, "body")
    if area and not _AREA.fullmatch(area):
        raise BadException(repr(area), row, "area")
    if not source:
        raise MissingSource("", row, "source")
    return Power(path, Function(function), None if tier == _TOWNSHIP else Tier(tier), body, area, source)


def _most_specific(rows: list[Power], line: list[str]) -> Power | None:
    """The row that counts for a place; `line` are the codes from the place up, `rows` begin with those of level 3."""
    fitting = [row for row in rows if not row.area or row.area in line]

    def rank(row: Power) -> tuple[int, int]:
        return -row.category.count("/"), line.index(row.area) if row.area else len(line)

    return min(fitting, key=rank, default=None)
