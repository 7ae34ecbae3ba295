"""The classification of matters in three levels, written as a path: `L1`, `L1/L2` or `L1/L2/L3`.

Decides which paths exist and which fit what a person types. Names repeat between branches (其他), so a name alone never
stands for a class.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from node.domain.csvtable import read_table
from node.domain.errors import CatalogueError, DuplicateRow, UnknownCategory

SEARCH_RESULTS_MAX = 20
_COLUMNS = {"level1": "一级分类", "level2": "二级分类", "level3": "三级分类"}
_SEPARATOR = re.compile(r"\s*[/／>＞]\s*")


@dataclass(frozen=True)
class Categories:
    """All level-3 classes as `(L1, L2, L3)`, in the order of the table."""

    classes: tuple[tuple[str, str, str], ...]

    def known(self, path: str) -> bool:
        """Whether a path of one to three levels exists."""
        return normal_path(path) in self._paths

    def below(self, path: str = "") -> tuple[str, ...]:
        """The paths one level below a path, the first-level ones for ""; empty below level 3."""
        depth = normal_path(path).count("/") + 1 if path else 0
        top = normal_path(path) + "/" if path else ""
        return tuple(p for p in self._paths if p.startswith(top) and p.count("/") == depth)

    def second_level(self) -> tuple[str, ...]:
        """All paths of two levels."""
        return tuple(path for path in self._paths if path.count("/") == 1)

    def search(self, words: str, limit: int = SEARCH_RESULTS_MAX) -> tuple[str, ...]:
        """Paths that contain every word typed: those whose last name is it or begins with it first, then the rest."""
        parts = words.split()
        hits = [path for path in self._paths if parts and all(part in path for part in parts)]
        first = parts[0] if parts else ""

        def rank(path: str) -> tuple[bool, bool, bool, int]:
            last = path.rsplit("/", 1)[-1]
            return last != first, not last.startswith(first), first not in last, path.count("/")

        return tuple(sorted(hits, key=rank)[:limit])

    @cached_property
    def _paths(self) -> dict[str, None]:
        """Every path of one to three levels; a dict for its order."""
        return {"/".join(names[:depth]): None for names in self.classes for depth in (1, 2, 3)}


def normal_path(path: str) -> str:
    """The path as it is stored: levels parted by a plain slash, nothing around them."""
    return "/".join(level for level in _SEPARATOR.split(path.strip()) if level)


def load_categories(data: bytes) -> Categories:
    """Read the classification from CSV with the columns level1, level2, level3.

    Raises a `CatalogueError` naming the row: an empty name, one with a separator in it, a class twice, or no row.
    """
    classes: dict[tuple[str, str, str], int] = {}
    for row, (level1, level2, level3) in read_table(data, _COLUMNS, CatalogueError):
        names = (level1, level2, level3)
        if not all(names) or any(_SEPARATOR.search(name) for name in names):
            raise UnknownCategory(repr("/".join(names)), row)
        if names in classes:
            raise DuplicateRow("/".join(names) + f" (first in row {classes[names]})", row)
        classes[names] = row
    if not classes:
        raise CatalogueError("no rows in the table")
    return Categories(tuple(classes))


@cache
def builtin_categories() -> Categories:
    """The classification shipped with the program (see data/README.md)."""
    return load_categories((files("node.domain") / "data" / "categories.csv").read_bytes())
