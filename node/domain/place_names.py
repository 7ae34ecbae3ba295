"""What a division may be called in free text, and how much has to speak for each of its names.

Names come only from the table: the full name, the form without the peoples' names (张家川县), and the bare stem (兰州).
Most county names and nearly all stems are also parts of ordinary words, so every name carries what it needs to count.
When in doubt a name is not read: a missed place is asked for, a wrong one sends a matter to the wrong tier.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files

from node.domain.csvtable import read_table
from node.domain.divisions import Division, DivisionTree, Level
from node.domain.errors import RowError

TREES_KEPT_MAX = 4


class Need(Enum):
    """What must be true around a name for it to count. Adjacent: right behind the name of a division it lies in."""

    NOTHING = 0  # 甘肃省, 兰州市, A3区
    PLACED = 1  # 榆中县: a word begins here, or it lies in the node's subtree, or a division above it is named
    WORD = 2  # 邹城市: a word begins here
    HOME = 3  # 和县, 解放区: a word begins here in the node's subtree, or adjacent
    NEXT = 4  # 城区: adjacent
    STEM = 5  # 榆中: adjacent, and a word begins behind it
    SHORT = 6  # 兰州, 七里河: a word begins here and behind it
    BELOW = 7  # 和平镇: in the node's subtree, or a division above it is named


@dataclass(frozen=True, slots=True)
class Named:
    """A division that bears a name, and what the name needs to count for it."""

    code: str
    need: Need


@dataclass(frozen=True, slots=True)
class NameIndex:
    """All names of a tree. `coded` are those that begin with a Latin letter (masked ones, A3区).

    `lengths` gives, for the first two characters of the other names, how long these are; `starts` matches a character
    that a name, masked or not, may begin with.
    """

    bearers: dict[str, tuple[Named, ...]]
    coded: frozenset[str]
    province_stems: frozenset[str]
    lengths: dict[str, tuple[int, ...]]
    starts: re.Pattern[str]

    def names_at(self, text: str, at: int) -> Iterator[str]:
        """The names that stand in `text` from `at` on, longest first."""
        for length in self.lengths.get(text[at : at + 2], ()):
            if text[at : at + length] in self.bearers:
                yield text[at : at + length]


@lru_cache(maxsize=TREES_KEPT_MAX)
def names_of(tree: DivisionTree) -> NameIndex:
    """Every name the divisions of a tree go by. Built once for each tree, in some 20 ms for the whole country."""
    bearers: dict[str, dict[str, Need]] = {}
    provinces = set()
    for division in tree:
        if division.is_placeholder or tree.governed(division) is not division:
            continue
        for name, need in _names(division):
            bearers.setdefault(name, {}).setdefault(division.code, need)
        if division.level is Level.PROVINCE:
            provinces.add(_stem(division.name))
    lengths: dict[str, set[int]] = {}
    coded = frozenset(name for name in bearers if name[0].isascii())
    for name in bearers.keys() - coded:
        lengths.setdefault(name[:2], set()).add(len(name))
    return NameIndex(
        {name: tuple(Named(code, need) for code, need in codes.items()) for name, codes in bearers.items()},
        coded,
        frozenset(stem for stem in provinces if stem in _PROVINCE_STEMS),
        {head: tuple(sorted(known, reverse=True)) for head, known in lengths.items()},
        re.compile("[A-Z" + "".join(sorted({re.escape(head[0]) for head in lengths})) + "]"),
    )


def _names(division: Division) -> Iterator[tuple[str, Need]]:
    name = division.name.upper()
    if name[0].isascii():
        yield name, Need.NOTHING
        return
    if division.level.rank < Level.COUNTY.rank:
        if name.endswith(("镇", "乡", "街道")):  # 高新区, 五泉林场 are too common to read
            yield name, Need.BELOW
        return
    yield name, _need_of_full(name, division.level)
    plain = _without_peoples(name)
    if plain != name:
        yield plain, _need_of_full(plain, division.level)
    stem = _stem(name)
    if stem != name and len(stem) > 1:
        yield stem, _need_of_stem(stem, division.level)


def _need_of_full(name: str, level: Level) -> Need:
    if name in _NEVER_ALONE:
        return Need.NEXT
    if name in _ORDINARY or (len(name) == 2 and level is Level.COUNTY):
        return Need.HOME
    if name.endswith("城市"):
        return Need.WORD
    return Need.PLACED if len(name) <= 3 and level is Level.COUNTY else Need.NOTHING


def _need_of_stem(stem: str, level: Level) -> Need:
    if level is Level.PROVINCE:
        return Need.SHORT if stem in _PROVINCE_STEMS else Need.STEM
    if level is Level.COUNTY:
        return Need.SHORT if len(stem) > 2 else Need.STEM
    return Need.STEM if stem in _ORDINARY_STEMS else Need.SHORT


def _without_peoples(name: str) -> str:
    """张家川回族自治县 -> 张家川县; other names unchanged."""
    found = _AUTONOMOUS.fullmatch(name)
    return found["stem"].removesuffix("族") + found["kind"] if found else name


def _stem(name: str) -> str:
    """The name without the word for its level: 兰州, 内蒙古, 张家川; the name itself when it has none."""
    for region in _REGIONS:
        if name.startswith(region):
            return region
    return name if _PURPOSE.search(name) else _LEVEL_WORD.sub("", _without_peoples(name))


_REGIONS = ("内蒙古", "广西", "西藏", "宁夏", "新疆")
_PURPOSE = re.compile(r"(?:新|开发|园|示范|管理|工业|产业|保税)区$")  # 兰州新区 is not called 兰州
_LEVEL_WORD = re.compile(r"(?:地区|林区|特区|省|市|县|区|盟|州|旗)$")

_WORDS = {
    kind: frozenset(words.split())
    for _, (kind, words) in read_table(
        (files("node.domain") / "data" / "place-words.csv").read_bytes(), {"kind": "kind", "words": "words"}, RowError
    )
}
_PROVINCE_STEMS = _WORDS["province"]
_NEVER_ALONE = _WORDS["never-alone"]
_ORDINARY = _WORDS["ordinary"]
_ORDINARY_STEMS = _WORDS["ordinary-stem"]
_PEOPLES = "|".join(sorted(_WORDS["people"], key=len, reverse=True))
_AUTONOMOUS = re.compile(rf"(?P<stem>.+?)(?:{_PEOPLES})*自治(?P<kind>[州县旗])")
