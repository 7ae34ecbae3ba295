"""The link board: how far each stream is, what waits, what was held and why, and an exchange right now."""

from starlette.responses import Response

from node.api.address import node_code
from node.service.exchange import exchange_now
from node.service.links import links
from node.service.retry import retry_parked
from node.web.pages import Pages
from node.web.visit import Visit
from sync.errors import SyncError

router = Pages()
SHOWN_MAX = 200


@router.get("/links", verb="read")
def board(visit: Visit) -> Response:
    return visit.page("links.html", links=links(visit.ctx, None, SHOWN_MAX).items)


@router.post("/links/{code}/exchange", verb="exchange")
def exchange(visit: Visit) -> Response:
    """With the parent now; a child begins by itself and is only told."""
    code = node_code(visit.request.path_params["code"])
    try:
        done = exchange_now(visit.ctx, code)
    except SyncError as error:
        return visit.to("/links", "links.failed", office=visit.names.office(code), why=error.code)
    if done is None:
        return visit.to("/links", "links.waits", office=visit.names.office(code))
    return visit.to("/links", "links.exchanged", sent=done.sent, received=done.received, backlog=done.backlog)


@router.post("/links/retry", verb="exchange")
def retry(visit: Visit) -> Response:
    """What was held is looked at once more, with what has come since."""
    retry_parked(visit.ctx)
    return visit.to("/links", "links.retried")
