"""The first page of a day: what waits for a person here, most urgent first."""

from starlette.responses import Response

from node.service import claims, drafts
from node.service.inbox import inbox
from node.service.terms import warnings
from node.web.pages import Pages
from node.web.visit import Visit

router = Pages()
SHOWN_MAX = 200
WARNINGS_MAX = 20
DRAFTS_SHOWN = 5
SECTIONS = ("overdue", "offered", "due_soon", "returned", "answer", "new")


@router.get("/", verb="read")
def today(visit: Visit) -> Response:
    page = inbox(visit.ctx, None, SHOWN_MAX)
    sections = {why: [item for item in page.items if item.why == why] for why in SECTIONS}
    late = warnings(visit.ctx, visit.person, None, WARNINGS_MAX).items if visit.may("read_warnings") else []
    return visit.page(
        "today.html",
        sections=sections,
        more=page.next is not None,
        warnings=late,
        drafts=drafts.page(visit.ctx, "waiting", None, DRAFTS_SHOWN).items if visit.may("read_drafts") else [],
        drafts_waiting=drafts.count_waiting(visit.ctx) if visit.may("read_drafts") else 0,
        claims_waiting=claims.count_waiting(visit.ctx, visit.person.name) if visit.may("approve_claim") else 0,
    )
