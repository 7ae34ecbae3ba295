"""The tree of administrative divisions: which place lies in which.

Decides ancestry, lowest common ancestors and the tier a place belongs to, over parent links only. A code is never
read as a prefix of another: province-run counties, development zones, cities without counties and renumbered places
all break that. The one exception is `resolve_area`, which attaches a unit that is in no table to a listed one.

Three things real tables hold and this module copes with:
- placeholder rows (市辖区, 县, 省直辖县级行政区划): a level of the numbering without a government of its own;
- a city without counties, listed once more as its own county under another code (嘉峪关市 620200 and 620201):
  the inner row stands for the city;
- the same under one code (东莞市 441900, parent 441900): the inner row is folded into the city's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from itertools import chain

from node.domain.csvtable import read_table
from node.domain.errors import (
    BadCode,
    BadLevel,
    BadName,
    DivisionError,
    DuplicateCode,
    ParentCycle,
    UnknownDivision,
    UnknownParent,
)
from schemas.ids import Tier

PLACEHOLDER_NAMES = frozenset({"市辖区", "县", "省直辖县级行政区划", "自治区直辖县级行政区划"})
_COLUMNS = {"code": "代码", "name": "名称", "level": "级别", "parent": "上级"}
_CODE = re.compile(r"[0-9]{6}(?:[0-9]{3}){0,2}", re.ASCII)


class Level(StrEnum):
    """What a division is; ranks rise upwards like those of `Tier`."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"
    TOWNSHIP = "township"
    VILLAGE = "village"

    @property
    def rank(self) -> int:
        """3 for a province down to -1 for a village."""
        return _RANK[self]

    @property
    def tier(self) -> Tier:
        """The tier of the node that looks after such a division: townships and villages belong to their county's."""
        return _TIER.get(self, Tier.COUNTY)


_RANK = {Level.PROVINCE: 3, Level.CITY: 2, Level.COUNTY: 1, Level.TOWNSHIP: 0, Level.VILLAGE: -1}
_TIER = {Level.PROVINCE: Tier.PROVINCE, Level.CITY: Tier.CITY}


@dataclass(frozen=True, slots=True)
class Division:
    """One row of the table; `parent` is None at the top. `listed` is False for a unit attached by `resolve_area`."""

    code: str
    name: str
    level: Level
    parent: str | None
    listed: bool = True

    @property
    def is_placeholder(self) -> bool:
        """True for a row of the numbering that no government stands behind."""
        return self.level is Level.CITY and self.name in PLACEHOLDER_NAMES


class DivisionTree:
    """All divisions by code. Immutable; every order is that of the table."""

    def __init__(self, divisions: Mapping[str, Division]) -> None:
        self._by_code = divisions

    @classmethod
    def of_rows(cls, rows: Iterable[tuple[int, str, str, str, str]]) -> "DivisionTree":
        """Build from `(row number, code, name, level, parent)`; parent "" at the top.

        Raises a `DivisionError` that names the row: BadCode, BadName, BadLevel, DuplicateCode, UnknownParent,
        ParentCycle.
        """
        by_code: dict[str, Division] = {}
        row_of: dict[str, int] = {}
        for row, code, name, level, parent in rows:
            division = _division(row, code, name, level, parent)
            known = by_code.get(code)
            if known is not None and _is_own_county(division, known):
                continue
            if known is not None and not _is_own_county(known, division):
                raise DuplicateCode(f"{code} {name} (first in row {row_of[code]})", row, "code")
            by_code[code] = division
            row_of[code] = row
        for code, division in by_code.items():
            _check_parent(division, by_code, row_of[code])
        return cls(by_code)

    def __len__(self) -> int:
        return len(self._by_code)

    def __iter__(self) -> Iterator[Division]:
        return iter(self._by_code.values())

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def get(self, code: str) -> Division | None:
        """The listed division with this code, or None."""
        return self._by_code.get(code)

    def resolve_area(self, code: str) -> Division | None:
        """The division an area code of 6, 9 or 12 digits means, or None.

        A listed code is itself, also when padded with groups of 000 (620102000000). An unlisted 12-digit code whose
        first 9 digits are a listed township, or an unlisted 9- or 12-digit code whose first 6 digits are a listed
        county (or a city without counties), gives an unlisted unit below that one: villages are in no table, so
        their number is all there is to go by. Listed units never get their parent this way.
        """
        known = self._by_code.get(code)
        if known is not None or not _CODE.fullmatch(code):
            return known
        if code.endswith("000") and len(code) > 6:
            return self.resolve_area(code[:-3])
        for length in (9, 6):
            above = self._by_code.get(code[:length]) if len(code) > length else None
            if above is not None and self._takes_unlisted(above):
                level = Level.VILLAGE if len(code) == 12 else Level.TOWNSHIP
                return Division(code, "", level, above.code, listed=False)
        return None

    def _takes_unlisted(self, division: Division) -> bool:
        if division.level is Level.CITY:
            counties = any(child.level is Level.COUNTY for child in self.children(division.code))
            return not counties and not division.is_placeholder
        return division.level in (Level.COUNTY, Level.TOWNSHIP)

    def ancestors(self, code: str) -> tuple[Division, ...]:
        """The division itself, its parent, and so on to the top. Raises UnknownDivision."""
        division = self.resolve_area(code)
        if division is None:
            raise UnknownDivision(code)
        line = [division]
        while line[-1].parent is not None:
            line.append(self._by_code[line[-1].parent])
        return tuple(line)

    def lca(self, codes: Iterable[str]) -> Division | None:
        """The lowest division that all codes lie in (one code: itself); None without codes or a common ancestor.

        The answer may be a placeholder row; `governed` gives the government behind it. Raises UnknownDivision.
        """
        common: dict[str, Division] | None = None
        for code in codes:
            line = {division.code: division for division in self.ancestors(code)}
            common = line if common is None else {c: d for c, d in common.items() if c in line}
        return next(iter(common.values()), None) if common else None

    def is_within(self, code: str, ancestor: str) -> bool:
        """Whether `code` is `ancestor` or lies below it; False when either is unknown."""
        division = self.resolve_area(code)
        return division is not None and any(d.code == ancestor for d in self.ancestors(code))

    def children(self, code: str) -> tuple[Division, ...]:
        """The listed divisions directly below."""
        return self._children.get(code, ())

    def subtree(self, code: str) -> tuple[Division, ...]:
        """The listed division itself and everything listed below it, depth first; empty when unknown."""
        top = self._by_code.get(code)
        found: list[Division] = []
        todo = [top] if top else []
        while todo:
            division = todo.pop()
            found.append(division)
            todo.extend(reversed(self.children(division.code)))
        return tuple(found)

    def province_of(self, code: str) -> Division | None:
        """The province a place lies in, or None (unknown, or a table without provinces)."""
        return self.at_tier(code, Tier.PROVINCE)

    def governed(self, division: Division) -> Division:
        """The division whose government answers for this one: past placeholders and cities listed as own county."""
        while division.parent is not None:
            parent = self._by_code[division.parent]
            own_county = division.level is Level.COUNTY and parent.level is Level.CITY and division.name == parent.name
            if not division.is_placeholder and not own_county:
                break
            division = parent
        return division

    def at_tier(self, code: str, tier: Tier) -> Division | None:
        """The ancestor-or-self that has a government of this tier, or None (e.g. no city above a province-run county).

        A city listed as its own county has a government of tier city only.
        """
        if self.resolve_area(code) is None:
            return None
        for division in self.ancestors(code):
            if division.level.rank == tier.rank and self.governed(division) is division:
                return division
        return None

    @cached_property
    def _children(self) -> dict[str, tuple[Division, ...]]:
        below: dict[str, list[Division]] = {}
        for division in self._by_code.values():
            if division.parent is not None:
                below.setdefault(division.parent, []).append(division)
        return {code: tuple(divisions) for code, divisions in below.items()}


def load(*tables: bytes) -> DivisionTree:
    """Build the tree from CSV tables with the columns code, name, level, parent (UTF-8 or GB18030), read as one.

    Raises a `DivisionError` naming the row of its table; a table without any row is one too.
    """
    tree = DivisionTree.of_rows(
        (row, code, name, level, parent)
        for row, (code, name, level, parent) in chain.from_iterable(
            read_table(table, _COLUMNS, DivisionError) for table in tables
        )
    )
    if not len(tree):
        raise DivisionError("no divisions in the table")
    return tree


@cache
def builtin() -> DivisionTree:
    """The whole country down to the counties, and the townships of Gansu (see data/README.md); read once."""
    data = files("node.domain") / "data"
    return load((data / "divisions.csv").read_bytes(), (data / "townships-gansu.csv").read_bytes())


_LEVELS = {level.value: level for level in Level}


def _division(row: int, code: str, name: str, level: str, parent: str) -> Division:
    if not _CODE.fullmatch(code):
        raise BadCode(repr(code), row, "code")
    if not name:
        raise BadName(code, row, "name")
    known = _LEVELS.get(level)
    if known is None:
        raise BadLevel(repr(level), row, "level")
    return Division(code, name, known, parent or None)


def _is_own_county(inner: Division, outer: Division) -> bool:
    """A city without counties, listed below itself under one code."""
    return inner.parent == inner.code and inner.name == outer.name and inner.level.rank < outer.level.rank


def _check_parent(division: Division, by_code: Mapping[str, Division], row: int) -> None:
    if division.parent is None:
        return
    parent = by_code.get(division.parent)
    if parent is None:
        raise UnknownParent(f"{division.parent} (of {division.code} {division.name})", row, "parent")
    if parent.level.rank > division.level.rank:
        return
    seen = {division.code}
    while parent is not None and parent.code not in seen:
        seen.add(parent.code)
        parent = by_code.get(parent.parent) if parent.parent else None
    if parent is not None:
        raise ParentCycle(f"{division.code} {division.name}", row, "parent")
    raise BadLevel(f"{division.level} {division.name} below {by_code[division.parent].level}", row, "level")
