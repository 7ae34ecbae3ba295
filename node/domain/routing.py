"""Which tier a matter belongs to, and why.

The suggested tier is the higher of two rules, each shown with its reasons; the operator may choose otherwise and then
says why (`override_needed`).

- area: the smallest scope that holds every affected place, over parent links: townships and villages belong to their
  county's node, places of two counties to the city's, of two cities to the province's.
- power: the lowest tier that has every power the matter needs, as the powers-and-duties catalogue says.
- fallback: where nothing says more, the first receiver keeps it (兜底).

Pure: never asks who is reachable, never looks at what was done with earlier matters.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from node.domain.catalogue import TIER_ENGLISH, TIER_NAMES, Catalogue, Power, normal_path
from node.domain.divisions import Division, DivisionTree, Level
from schemas.ids import Tier

NAMES_SHOWN_MAX = 6


class Rule(StrEnum):
    """What a reason rests on."""

    AREA = "area"
    POWER = "power"
    FALLBACK = "fallback"


class Act(StrEnum):
    """What an operator is about to do with a matter."""

    DECIDE = "decide"
    DELEGATE = "delegate"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the reasoning in a sentence, `text` in Chinese; `row` is the id of the catalogue row it rests on."""

    rule: Rule
    text: str
    english: str
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The tier suggested for a matter.

    `division` is the code of the division whose node should hold it, None when there is none (several provinces, a
    table that ends below). `node` is the nearest enrolled node at or above that division, None when there is none.
    `powers` are all catalogue rows hit, with the handling bodies. `unknown` are the area codes found in no table.
    """

    tier: Tier
    division: str | None
    node: str | None
    reasons: tuple[Reason, ...]
    powers: tuple[Power, ...] = ()
    unknown: tuple[str, ...] = ()


def suggest(
    areas: Iterable[str],
    category: str | None,
    tree: DivisionTree,
    catalogue: Catalogue,
    own_node: str,
    enrolled: Collection[str],
) -> Suggestion:
    """Suggest the tier for a matter that affects `areas` (codes of 6, 9 or 12 digits) and is of `category`.

    `own_node` is the code of the node that asks, `enrolled` those of the nodes it knows; both may name a city that is
    listed as its own county (620201), which then is taken as a county. Never raises.
    """
    wanted = tuple(dict.fromkeys(areas))
    places = tuple(place for code in wanted if (place := tree.resolve_area(code)))
    unknown = tuple(code for code in wanted if tree.resolve_area(code) is None)
    nodes = {own_node, *enrolled}
    base, tier, reasons = _by_area(places, tree, nodes) if places else _by_receiver(own_node, tree, nodes)
    if unknown:
        english = f"No table of divisions has {_english_listing(unknown)}; not taken into account."
        reasons.append(Reason(Rule.AREA, f"区划表中没有{_listing(unknown)}，未计入。", english))
    powers = catalogue.powers(category, [place.code for place in places], tree) if category else ()
    reasons += _power_reasons(category, powers)
    needed = max((power.tier_needed for power in powers if power.raises), key=lambda t: t.rank, default=tier)
    division = base
    if needed.rank > tier.rank:
        division = _first_at(base, needed.rank, tree, nodes) if base else None
        tier = division.level.tier if division else needed
    node = _nearest(division, tree, nodes) if division else None
    return Suggestion(tier, division.code if division else None, node, tuple(reasons), powers, unknown)


def override_needed(suggested: Tier, target: Tier, act: Act) -> bool:
    """Whether an operator has to say why: handling below the suggested tier, or escalating above it.

    `target` is the tier that decides (own), is delegated to, or is escalated to.
    """
    if act is Act.ESCALATE:
        return target.rank > suggested.rank
    return target.rank < suggested.rank


def _by_area(
    places: tuple[Division, ...], tree: DivisionTree, nodes: Collection[str]
) -> tuple[Division | None, Tier, list[Reason]]:
    names = [_name(place) for place in places]
    shown, english = _listing(names), f"It concerns {_english_listing(names)}"
    common = tree.lca(place.code for place in places)
    seat = _first_at(common, Tier.COUNTY.rank, tree, nodes) if common else None
    if seat is None:
        text = f"涉及{shown}，没有共同的上级，由最高一级（省级）主持，宜与其他各方联合协商。"
        english += ", which nothing is above: the highest tier (province) takes it, best together with the others."
        return None, Tier.PROVINCE, [Reason(Rule.AREA, text, english)]
    tier = seat.level.tier
    scope = f"属{TIER_NAMES[tier]}范围"
    within = f"within the scope of {TIER_ENGLISH[tier]}"
    if len(places) > 1 and common not in places:
        text = f"涉及{shown}，最小的共同范围是{_name(seat)}，{scope}。"
        english += f"; the smallest scope that holds all is {_name(seat)}, {within}."
    elif seat.code == places[0].code or len(places) > 1:
        text = f"涉及{shown}，{scope}。"
        english += f", {within}."
    else:
        text = f"涉及{shown}，由{_name(seat)}统筹，{scope}。"
        english += f", for which {_name(seat)} is responsible, {within}."
    return seat, tier, [Reason(Rule.AREA, text, english)]


def _by_receiver(
    own_node: str, tree: DivisionTree, nodes: Collection[str]
) -> tuple[Division | None, Tier, list[Reason]]:
    own = tree.get(own_node)
    seat = _first_at(own, Tier.COUNTY.rank, tree, nodes) if own else None
    tier = seat.level.tier if seat else Tier.COUNTY
    name = _name(seat) if seat else own_node
    text = f"没有写明涉及的地方，由最先收到的{name}（{TIER_NAMES[tier]}）兜底。"
    english = f"No place is named, so the first to receive it keeps it: {name} ({tier})."
    return seat, tier, [Reason(Rule.FALLBACK, text, english)]


def _power_reasons(category: str | None, powers: tuple[Power, ...]) -> list[Reason]:
    if not category:
        english = "No category is chosen, so the catalogue of powers does not apply: judged by place alone."
        return [Reason(Rule.AREA, "没有选类别，权责清单用不上，只按地域判断。", english)]
    if not any(power.raises for power in powers):
        text = f"权责清单没有“{normal_path(category)}”由哪一级决定的条目，只按地域判断。"
        english = f"The catalogue has no row on who decides “{normal_path(category)}”: judged by place alone."
        return [Reason(Rule.POWER, text, english)]
    return [Reason(Rule.POWER, power.sentence, power.english, power.id) for power in powers if power.raises]


def _first_at(division: Division, rank: int, tree: DivisionTree, nodes: Collection[str]) -> Division | None:
    """The first of a division and its ancestors that has a node's office of at least this rank."""
    for above in tree.ancestors(division.code):
        has_office = tree.governed(above) is above or (above.code in nodes and not above.is_placeholder)
        if has_office and above.level.rank >= max(rank, Level.COUNTY.rank):
            return above
    return None


def _nearest(division: Division, tree: DivisionTree, nodes: Collection[str]) -> str | None:
    return next((above.code for above in tree.ancestors(division.code) if above.code in nodes), None)


def _name(division: Division) -> str:
    return division.name or division.code


def _listing(names: Collection[str]) -> str:
    shown = list(names)[:NAMES_SHOWN_MAX]
    return "、".join(shown) + (f"等{len(names)}处" if len(names) > len(shown) else "")


def _english_listing(names: Collection[str]) -> str:
    shown = list(names)[:NAMES_SHOWN_MAX]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
