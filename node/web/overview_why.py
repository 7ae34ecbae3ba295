"""What a figure of the overview opens to: the topics it counts, whose they are, and what each node below reported."""

from urllib.parse import urlencode

from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from node.api.address import cursor
from node.domain.refusals import Invalid
from node.service import behind
from node.service.why import members, why
from node.web.overview_ask import asked_of, filter_of, month_asked
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.aggregate import FigureFilter
from schemas.ids import NodeCode

router = Pages()
FILTERS = tuple(field.alias or name for name, field in FigureFilter.model_fields.items())
SHOWN = 50
_CODE: TypeAdapter[NodeCode] = TypeAdapter(NodeCode)


@router.get("/overview/topics", verb="read")
def topics(visit: Visit) -> Response:
    """The topics a figure counts: why the number is what it is."""
    wanted, errors = filter_of(visit, FILTERS, keep_empty=True)
    page = behind.topics(visit.ctx, wanted, cursor(visit.query("cursor") or None), SHOWN)
    asked = asked_of(wanted)
    after = urlencode({**asked, "cursor": page.next}) if page.next else None
    return visit.page(
        "overview_topics.html", rows=page.items, asked=asked, errors=errors, after=after, query=urlencode(asked)
    )


@router.get("/overview/why", verb="read")
def reasons(visit: Visit) -> Response:
    """Whose topics a figure counts, how far each node was heard, and what the recount of its month found."""
    wanted, errors = filter_of(visit, FILTERS, keep_empty=True)
    asked = asked_of(wanted)
    return visit.page(
        "overview_why.html",
        found=why(visit.ctx, wanted),
        asked=asked,
        errors=errors,
        query=urlencode(asked),
        narrowed=lambda code: urlencode({**asked, "custodian": code}),
    )


@router.get("/overview/nodes", verb="read")
def nodes(visit: Visit) -> Response:
    """Every node of a branch: last heard, summaries missing, the totals of a month and what differs in them."""
    branch, period = _branch(visit), month_asked(visit)
    found = members(visit.ctx, branch, period)
    return visit.page("overview_nodes.html", nodes=found, branch=branch)


@router.get("/overview/differences", verb="read")
def differences(visit: Visit) -> Response:
    """Row by row, who says what and what is counted here."""
    page = behind.row_differences(visit.ctx, cursor(visit.query("cursor") or None), SHOWN)
    after = urlencode({"cursor": page.next}) if page.next else None
    return visit.page("overview_differences.html", rows=page.items, after=after)


def _branch(visit: Visit) -> NodeCode | None:
    """Raises Invalid."""
    try:
        return _CODE.validate_python(visit.query("child")) if visit.query("child") else None
    except ValidationError:
        raise Invalid("child", "must be the code of a node") from None
