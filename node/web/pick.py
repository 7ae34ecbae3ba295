"""Pieces of pages that help to fill in a field: places and categories that fit what is typed."""

from starlette.responses import Response

from node.service.pickers import places_above, places_below, search_categories, search_places
from node.web.pages import Pages
from node.web.visit import Visit

router = Pages()
WORDS_MAX = 60


@router.get("/pick/categories", verb="read")
def categories(visit: Visit) -> Response:
    return visit.page("pick_categories.html", paths=search_categories(visit.ctx, visit.query("category")[:WORDS_MAX]))


@router.get("/pick/places", verb="read")
def places(visit: Visit) -> Response:
    """By words; below a place where one is named; the provinces where it is `all`."""
    below = visit.query("below")
    if below == "all":
        return visit.page("pick_places.html", spots=places_above(visit.ctx), tree=True, top=None)
    if below:
        return visit.page("pick_places.html", spots=places_below(visit.ctx, below), tree=True, top=below)
    words = visit.query("areas")[:WORDS_MAX]
    return visit.page("pick_places.html", spots=search_places(visit.ctx, words), tree=False, top=None)
