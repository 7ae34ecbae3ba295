"""The first page of a day: what waits for a person here, most urgent first."""

from starlette.responses import Response

from node.service.inbox import inbox
from node.service.terms import warnings
from node.web.pages import Pages
from node.web.visit import Visit

router = Pages()
SHOWN_MAX = 200
WARNINGS_MAX = 20
SECTIONS = ("overdue", "offered", "due_soon", "returned", "answer", "new")


@router.get("/", verb="read")
def today(visit: Visit) -> Response:
    page = inbox(visit.ctx, None, SHOWN_MAX)
    sections = {why: [item for item in page.items if item.why == why] for why in SECTIONS}
    late = warnings(visit.ctx, visit.person, None, WARNINGS_MAX).items if visit.may("read_warnings") else []
    return visit.page("today.html", sections=sections, more=page.next is not None, warnings=late)
