"""The places a text speaks of, and the areas an imported matter gets.

`find_places` decides for every name which division it means. A name that several divisions bear is settled by the
division named right before it, else by the node's own subtree, else by a division above it named anywhere in the text;
otherwise it stays ambiguous with all its bearers, never guessed.

Not every name read in a text is a place it speaks of: roads, estates and companies carry the names of other places.
Such a mention is *doubtful*: it goes on as a road's (A1区中路), or it follows another place in the same clause with no
word between them that leads to a place (A市新城A5区花园) and does not lie in that place.

`areas_of` decides what a matter is about:
1. The title counts most: if it names a county or something below one, the areas are the title's.
2. If the title names only one city or province, the text may narrow it: when it names exactly one county in there, and
   more than in passing (as part of an address, or twice).
3. If the title names none, the text's places count: counties before cities, of those the ones named most often.
4. Doubtful mentions count only where nothing else is named: those of the title, unless the text names something of
   the same city, then those of the text.
A city or province next to something inside it is context and not an area of its own, unless a word joins the two
(from A市 to A7县: both, so that the city comes out as their common scope).
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from node.domain.divisions import DivisionTree, Level
from node.domain.place_names import Named, Need
from node.domain.place_scan import Mention, fold, scan, unlisted_names

_JOINS = re.compile(r"(?:[到至往与和跟及、]|[-—~－–]+)$")
_BORDER = re.compile(r"交界|接壤|边界|毗邻|之间|两[县区市地]")
_NAME_GOES_ON = re.compile(r"[河江溪岭寺阁塔坪园郡]")
_BREAK = re.compile(r"[^\u4e00-\u9fffA-Z0-9]")
_NEAR_CHARS = 8
_ORIGIN = re.compile(r"户口|户籍|老家|籍贯|原籍|身份证|毕业|出生")
_LIES = re.compile(r"(?:位于|地处|坐落在?|坐落于|地址[:：]?|家住|住在|居住在)$")
_STREET = re.compile(
    r"[\u4e00-\u9fff0-9A-Z]{1,8}?(?:街道|镇|乡|村|社区|小区|[大]?道|路|号|苑|园|城|广场|大厦|组|栋|湾)"
)
_OFFICE = re.compile(r"[\u4e00-\u9fff]{0,8}?(?:局|厅|政府|委|法院|检察院|办公室|大队|领导)")


@dataclass(frozen=True, slots=True)
class Place:
    """A division named in `field` at `[start:end]` (indices into the text as given)."""

    code: str
    name: str
    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AmbiguousPlace:
    """A name of which it is open which division is meant; `codes` are all that bear it.

    It has one code where a township of that name is listed, but not in the place named right before it.
    """

    name: str
    codes: tuple[str, ...]
    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class UnknownPlace:
    """A name that reads like a division's and is in no table."""

    name: str
    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class FoundPlaces:
    """Everything named, each in the order of the text. `doubtful` are names that read like a part of another name."""

    matches: tuple[Place, ...] = ()
    ambiguous: tuple[AmbiguousPlace, ...] = ()
    unknown: tuple[UnknownPlace, ...] = ()
    doubtful: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundAreas:
    """The areas of a matter, one for each division with its first mention, and what was not used."""

    areas: tuple[Place, ...]
    ambiguous: tuple[AmbiguousPlace, ...] = ()
    unknown: tuple[UnknownPlace, ...] = ()
    doubtful: tuple[Place, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """The area codes, as `routing.suggest` takes them."""
        return tuple(area.code for area in self.areas)


def find_places(text: str, tree: DivisionTree, scope: str | None = None, field: str = "text") -> FoundPlaces:
    """Read the places named in `text`; `scope` is the division of this node, None for no preference."""
    mentions = _scan(text, tree, scope)
    return _read(text, mentions, _sure(mentions, tree, scope), tree, scope, field)


def areas_of(title: str, text: str, tree: DivisionTree, scope: str | None = None) -> FoundAreas:
    """What a matter with this title and text affects, by the rule in the module's docstring."""
    in_title, in_text = _scan(title, tree, scope), _scan(text, tree, scope)
    sure = _sure(in_title, tree, scope) | _sure(in_text, tree, scope)
    first = _read(title, in_title, sure, tree, scope, "title")
    rest = _read(text, in_text, sure, tree, scope, "text")
    areas = _specific(first.matches, title, tree)
    if not areas:
        areas = _without_title(first.doubtful, rest, text, tree)
    elif len(areas) == 1 and _rank(areas[0], tree) > Level.COUNTY.rank:
        areas = _narrowed(areas[0], rest.matches, fold(text), tree)
    return FoundAreas(
        tuple(areas),
        first.ambiguous + rest.ambiguous,
        first.unknown + rest.unknown,
        first.doubtful + rest.doubtful,
    )


def _scan(text: str, tree: DivisionTree, scope: str | None) -> list[Mention]:
    return scan(text, tree, lambda code: scope is None or tree.is_within(code, scope))


def _sure(mentions: Sequence[Mention], tree: DivisionTree, scope: str | None) -> frozenset[str]:
    """The divisions named without any doubt of which is meant: what may settle the other names."""
    return frozenset(
        mention.bearers[0].code
        for mention in mentions
        if len(mention.bearers) == 1 and _placed(mention, mention.bearers[0], frozenset(), tree, scope)
    )


def _placed(mention: Mention, bearer: Named, sure: Collection[str], tree: DivisionTree, scope: str | None) -> bool:
    """Whether what the bearer needs of the whole text is there (see `Need`)."""
    if bearer.need not in (Need.PLACED, Need.BELOW):
        return True
    if scope is None or tree.is_within(bearer.code, scope):
        return True
    if bearer.need is Need.PLACED and mention.begins:
        return True
    return any(above.code in sure for above in tree.ancestors(bearer.code)[1:])


def _read(
    text: str, mentions: Sequence[Mention], sure: Collection[str], tree: DivisionTree, scope: str | None, field: str
) -> FoundPlaces:
    settled: list[tuple[Mention, str]] = []
    ambiguous: list[AmbiguousPlace] = []
    unknown = [UnknownPlace(name, field, start, end) for start, end, name in unlisted_names(text, mentions, tree)]
    for mention in mentions:
        if not mention.bearers:
            unknown.append(UnknownPlace(mention.name, field, mention.start, mention.end))
        codes = [bearer.code for bearer in mention.bearers if _placed(mention, bearer, sure, tree, scope)]
        before = settled[-1][1] if settled and settled[-1][0].end == mention.start else None
        codes = _bearers_meant(codes, before, sure, tree, scope)
        elsewhere = before is not None and _is_township_elsewhere(mention, codes, before, tree)
        if len(codes) == 1 and not elsewhere:
            settled.append((mention, codes[0]))
        elif codes:
            ambiguous.append(AmbiguousPlace(mention.name, tuple(codes), field, mention.start, mention.end))
    matches, doubtful = _weigh(fold(text), settled, tree, field)
    unknown.sort(key=lambda place: place.start)
    return FoundPlaces(tuple(matches), tuple(ambiguous), tuple(unknown), tuple(doubtful))


def _bearers_meant(
    codes: list[str], before: str | None, sure: Collection[str], tree: DivisionTree, scope: str | None
) -> list[str]:
    """The one division a name stands for here, or all that it may."""
    if len(codes) < 2:
        return codes
    adjacent = [code for code in codes if before and before != code and tree.is_within(code, before)]
    if len(adjacent) == 1:
        return adjacent
    home = [code for code in codes if scope and tree.is_within(code, scope)]
    if len(home) == 1:
        return home
    named = {code: above for code in codes if (above := _nearest_named(code, sure, tree))}
    lowest = [code for code in named if all(tree.is_within(named[code], other) for other in named.values())]
    return lowest if len(lowest) == 1 else codes


def _is_township_elsewhere(mention: Mention, codes: Sequence[str], before: str, tree: DivisionTree) -> bool:
    """A township right behind a place it does not lie in: another one of that name, in no table."""
    below = all(bearer.need is Need.BELOW for bearer in mention.bearers)
    return below and not any(tree.is_within(code, before) for code in codes)


def _nearest_named(code: str, sure: Collection[str], tree: DivisionTree) -> str | None:
    """The lowest division above `code` that the text names."""
    return next((above.code for above in tree.ancestors(code)[1:] if above.code in sure), None)


def _weigh(
    text: str, settled: Sequence[tuple[Mention, str]], tree: DivisionTree, field: str
) -> tuple[list[Place], list[Place]]:
    """Part the places a text speaks of from the doubtful ones; `text` is folded."""
    matches: list[Place] = []
    doubtful: list[Place] = []
    for mention, code in settled:
        division = tree.get(code)
        place = Place(code, division.name if division else "", field, mention.start, mention.end)
        last = matches[-1] if matches else None
        if last and _BREAK.search(text, last.end, mention.start):
            last = None
        part = mention.road or (last is not None and _is_part_of_a_name(text, mention, place, last, tree))
        (doubtful if part else matches).append(place)
    return matches, doubtful


def _is_part_of_a_name(text: str, mention: Mention, place: Place, last: Place, tree: DivisionTree) -> bool:
    """A masked name behind another place in one clause, with nothing that leads to it, from outside that place."""
    if not mention.name[0].isascii() or _related(place, last, tree) or _BORDER.match(text, mention.end):
        return False
    return not mention.led or bool(_NAME_GOES_ON.match(text, mention.end))


def _specific(places: Sequence[Place], text: str, tree: DivisionTree) -> list[Place]:
    """Each division once, without those that only say where another one lies."""
    kept = _joined(places, fold(text), tree)
    return [
        place
        for place in _once(places)
        if place.code in kept
        or not any(other.code != place.code and tree.is_within(other.code, place.code) for other in places)
    ]


def _joined(places: Sequence[Place], text: str, tree: DivisionTree) -> set[str]:
    """Divisions that a word joins to one above or below them: from A市 to A7县. Not two offices of one matter."""
    kept: set[str] = set()
    for one, other in pairwise(places):
        between = text[one.end : other.start]
        apart = _BREAK.search(between.rstrip("、-—~－–")) or _OFFICE.match(text, other.end)
        if one.code != other.code and _related(one, other, tree) and _JOINS.search(between) and not apart:
            kept |= {one.code, other.code}
    return kept


def _without_title(doubtful: Sequence[Place], rest: FoundPlaces, text: str, tree: DivisionTree) -> list[Place]:
    """The areas when the title names no place, or only doubtful ones."""
    named = _most_often(_specific(rest.matches, text, tree), rest.matches, tree)
    if doubtful:
        named = [place for place in named if any(_in_one_city(place, other, tree) for other in doubtful)]
    return named or _once(doubtful or rest.doubtful)


def _in_one_city(one: Place, other: Place, tree: DivisionTree) -> bool:
    common = tree.lca([one.code, other.code])
    return common is not None and common.level.rank <= Level.CITY.rank


def _narrowed(whole: Place, places: Sequence[Place], text: str, tree: DivisionTree) -> list[Place]:
    """The one county (or something in it) that the text names inside the title's city or province, else that."""
    inside = [place for place in places if tree.is_within(place.code, whole.code)]
    low = [place for place in inside if _rank(place, tree) <= Level.COUNTY.rank]
    county = tree.lca([place.code for place in low]) if low else None
    if county is None or county.level.rank > Level.COUNTY.rank:
        return [whole]
    if len(low) < 2 and not _is_address(low[0], inside, text):
        return [whole]
    return _specific(low, "", tree)


def _is_address(place: Place, places: Sequence[Place], text: str) -> bool:
    """A市A3区..., or 位于A3区..., or A3区 and a street; never where somebody was born or is registered."""
    before = text[max(0, place.start - _NEAR_CHARS) : place.start]
    if _ORIGIN.search(before):
        return False
    adjacent = any(other.end == place.start for other in places)
    return adjacent or bool(_LIES.search(before)) or bool(_STREET.match(text, place.end))


def _most_often(areas: list[Place], mentions: Sequence[Place], tree: DivisionTree) -> list[Place]:
    """Of the places a text names, counties and below before cities, those named most often."""
    low = [place for place in areas if _rank(place, tree) <= Level.COUNTY.rank] or areas
    times = Counter(place.code for place in mentions)
    most = max((times[place.code] for place in low), default=0)
    return [place for place in low if times[place.code] == most]


def _once(places: Sequence[Place]) -> list[Place]:
    first = {place.code: place for place in reversed(places)}
    return sorted(first.values(), key=lambda place: place.start)


def _related(one: Place, other: Place, tree: DivisionTree) -> bool:
    return tree.is_within(one.code, other.code) or tree.is_within(other.code, one.code)


def _rank(place: Place, tree: DivisionTree) -> int:
    division = tree.get(place.code)
    return division.level.rank if division else Level.COUNTY.rank
