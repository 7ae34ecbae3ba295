"""Lists to choose from: places by tree and by name, categories by words. Reads the lists in force only."""

from collections.abc import Iterable
from dataclasses import dataclass

from node.context import Context
from node.domain.divisions import Division, DivisionTree
from node.domain.places import find_places
from node.service.lists import Lists, in_force
from node.store.engine import reading
from schemas.ids import AreaCode

FOUND_MAX = 12


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to choose; `within` names what it lies in, `more` whether there are places below."""

    code: AreaCode
    name: str
    within: str
    more: bool


@dataclass(frozen=True, slots=True)
class ReadAreas:
    """What a person typed, as codes, and what of it names no place or several."""

    codes: tuple[AreaCode, ...]
    unclear: tuple[str, ...]


def places_below(ctx: Context, code: AreaCode) -> list[Spot]:
    """The place itself, then the listed places directly below it; past rows of mere numbering."""
    tree = _lists(ctx).tree
    top = tree.get(code)
    found = [top] if top is not None else []
    for child in tree.children(code):
        found += tree.children(child.code) if child.is_placeholder else [child]
    return [_spot(tree, division) for division in found]


def places_above(ctx: Context) -> list[Spot]:
    """The provinces: where the tree of the whole table begins."""
    tree = _lists(ctx).tree
    return [_spot(tree, division) for division in tree if division.parent is None]


def search_places(ctx: Context, words: str) -> list[Spot]:
    """Places whose code or name begins with or holds the words; those at home first, higher ones before lower."""
    tree, me, words = _lists(ctx).tree, ctx.identity.code, words.strip()
    if not words:
        return []
    hits = [item for item in tree if not item.is_placeholder and (words in item.name or item.code.startswith(words))]
    hits.sort(key=lambda item: (not item.name.startswith(words), not tree.is_within(item.code, me), -item.level.rank))
    return [_spot(tree, division) for division in hits[:FOUND_MAX]]


def read_areas(ctx: Context, typed: Iterable[str]) -> ReadAreas:
    """Codes and names of places as areas; a name is read as in a citizen's text, from where this node stands."""
    tree, me = _lists(ctx).tree, ctx.identity.code
    scope = me if me in tree else None
    codes: dict[AreaCode, None] = {}
    unclear: list[str] = []
    for text in typed:
        if text.isascii() and text.isdigit():
            found = [text] if tree.resolve_area(text) is not None else []
        else:
            said = find_places(text, tree, scope)
            found = [place.code for place in said.matches] if not said.ambiguous else []
        codes.update(dict.fromkeys(found))
        if not found:
            unclear.append(text)
    return ReadAreas(tuple(codes), tuple(unclear))


def search_categories(ctx: Context, words: str) -> list[str]:
    """Paths that hold the words; the first level where nothing is typed, the next level behind a path."""
    categories = _lists(ctx).categories
    if not words.strip():
        return list(categories.below())
    return list(categories.search(words.replace("/", " "), FOUND_MAX))


def _lists(ctx: Context) -> Lists:
    with reading(ctx.engine) as conn:
        return in_force(ctx, conn)


def _spot(tree: DivisionTree, division: Division) -> Spot:
    above = [item.name for item in tree.ancestors(division.code)[1:] if not item.is_placeholder]
    return Spot(division.code, division.name, " ".join(reversed(above)), bool(tree.children(division.code)))
