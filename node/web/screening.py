"""Which tier a matter belongs to: the suggestion with its reasons, the places as a tree, topics that look the same."""

from dataclasses import dataclass, field

from starlette.responses import Response

from node.api.address import topic_id
from node.domain.routing import Act, override_needed
from node.service import read
from node.service.names import Names
from node.service.possible import possible
from node.service.similar import similar
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.ids import AreaCode, Tier

router = Pages()


@dataclass
class Branch:
    """A place in the drawn tree; `named` where the topic names it itself, `seat` where all of them meet."""

    code: AreaCode
    name: str
    named: bool = False
    seat: bool = False
    below: list["Branch"] = field(default_factory=list)


@router.get("/topics/{id}/screening", verb="read")
def screen(visit: Visit) -> Response:
    id = topic_id(visit.request.path_params["id"])
    topic = read.topic(visit.ctx, id)
    can = possible(visit.ctx, visit.person, id)
    suggestion = read.suggestion(visit.ctx, id)
    own = visit.ctx.identity.tier
    return visit.page(
        "screening.html",
        topic=topic,
        suggestion=suggestion,
        branches=grow(visit.names, topic.areas),
        alike=similar(visit.ctx, topic.title, topic.areas, topic.category, besides=id),
        can=can,
        stay_is_override=override_needed(suggestion.tier, own, Act.DECIDE),
        up_is_override=_above(visit) is not None
        and override_needed(suggestion.tier, _above(visit) or own, Act.ESCALATE),
        fits=_fitting(suggestion.tier, own),
    )


def grow(names: Names, areas: list[AreaCode]) -> list[Branch]:
    """The named places with everything above them, each once; rows of mere numbering are left out."""
    tops: list[Branch] = []
    known: dict[AreaCode, Branch] = {}
    meeting = names.tree.lca(code for code in areas if names.tree.resolve_area(code)) if areas else None
    for code in areas:
        if names.tree.resolve_area(code) is None:
            tops.append(Branch(code, code, named=True))
            continue
        level = tops
        for division in reversed(names.tree.ancestors(code)):
            if division.is_placeholder:
                continue
            branch = known.get(division.code)
            if branch is None:
                branch = known[division.code] = Branch(division.code, division.name or division.code)
                branch.seat = meeting is not None and meeting.code == division.code
                level.append(branch)
            branch.named |= division.code == code
            level = branch.below
    return tops


def _above(visit: Visit) -> Tier | None:
    member = visit.names.roster.get(visit.names.roster.parent(visit.ctx.identity.code) or "")
    return member.tier if member else None


def _fitting(suggested: Tier, own: Tier) -> str:
    """Which way the suggestion points from here."""
    if suggested.rank > own.rank:
        return "up"
    return "down" if suggested.rank < own.rank else "here"
