"""What citizens sent and nobody has signed yet: look, make a topic of it, or refuse it; and the codes it comes by."""

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import number
from node.domain.refusals import Invalid
from node.service import drafts, posters
from node.service.perform import Command, perform
from node.service.pickers import read_areas
from node.service.posts import list_units
from node.web.errors import field_errors
from node.web.fields import lines_of, whole
from node.web.pages import Pages
from node.web.visit import HEADERS, Visit
from schemas.drafts import DraftView, PosterForm, RefuseForm, TakeForm, TakenView

router = Pages()
SHOWN_MAX = 100
STATES = ("waiting", "taken", "refused")
_PICTURE = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, max-age=600"}


@router.get("/drafts", verb="read_drafts")
def board(visit: Visit) -> Response:
    state = next((state for state in STATES if state == visit.query("state")), "waiting")
    page = drafts.page(visit.ctx, state, visit.query("cursor") or None, SHOWN_MAX)  # type: ignore[arg-type]
    return visit.page("drafts.html", items=page.items, next=page.next, state=state, states=STATES)


@router.get("/drafts/{number}", verb="read_drafts")
def look(visit: Visit) -> Response:
    return _one(visit, _number(visit))


@router.get("/drafts/{number}/photos/{n}", verb="read_drafts")
def photo(visit: Visit) -> Response:
    media, content = drafts.file(visit.ctx, _number(visit), number(visit.request.path_params["n"]))
    return Response(content, media_type=media, headers={**HEADERS, **_PICTURE})


@router.post("/drafts/{number}/take", verb="take_draft")
def take(visit: Visit) -> Response:
    draft = _number(visit)
    view = drafts.read(visit.ctx, draft)
    try:
        form = _taking(visit, view)
        answer = perform(
            visit.ctx,
            _about(visit, draft),
            lambda batch: TakenView(draft=draft, topic=drafts.take(batch, draft, form)),
        )
    except (ValidationError, Invalid) as error:
        return _one(visit, draft, field_errors(error, visit.words))
    topic = TakenView.model_validate_json(answer.body).topic
    return visit.to(f"/topics/{topic}", "drafts.taken_done")


@router.post("/drafts/{number}/refuse", verb="take_draft")
def refuse(visit: Visit) -> Response:
    draft = _number(visit)
    try:
        form = RefuseForm(reason=visit.field("reason").strip())
        perform(visit.ctx, _about(visit, draft), lambda batch: drafts.refuse(batch, draft, form))
    except ValidationError as error:
        return _one(visit, draft, field_errors(error, visit.words))
    return visit.to("/drafts", "drafts.refused_done")


@router.get("/posters", verb="print_sheets")
def sheet(visit: Visit) -> Response:
    """The print sheet: a code for the office, each unit, and each topic that was given one."""
    known = posters.list_posters(visit.ctx)
    lacking = {None, *(unit.id for unit in list_units(visit.ctx) if unit.active)}
    lacking -= {code.unit for code in known if code.topic is None}
    units = [(str(unit.id), unit.name) for unit in list_units(visit.ctx) if unit.id in lacking]
    return visit.page("posters.html", codes=known, office=None in lacking, units=units)


@router.post("/posters", verb="print_sheets")
def make(visit: Visit) -> Response:
    unit, topic = visit.field("unit"), visit.field("topic")
    form = PosterForm.model_validate({"unit": whole(unit) if unit else None, "topic": topic or None})
    perform(visit.ctx, visit.command("print_sheets"), lambda batch: posters.make(batch, form))
    return visit.to("/posters", "drafts.poster_done")


def _number(visit: Visit) -> int:
    return number(visit.request.path_params["number"])


def _about(visit: Visit, draft: int) -> Command:
    return visit.command("take_draft").about(*drafts.place_of(visit.ctx, draft))


def _taking(visit: Visit, view: DraftView) -> TakeForm:
    """Raises ValidationError, Invalid."""
    if view.kind != "matter":
        return TakeForm()
    found = read_areas(visit.ctx, lines_of(visit.fields("areas")))
    if found.unclear:
        raise Invalid("areas", visit.words("pick.unclear", names="、".join(found.unclear)))
    return TakeForm(
        title=visit.field("title").strip() or None,
        areas=list(found.codes),
        category=visit.field("category").strip() or None,
        share_photos=bool(visit.field("share_photos")),
    )


def _one(visit: Visit, draft: int, errors: dict[str, str] | None = None) -> Response:
    view = drafts.read(visit.ctx, draft)
    found = read_areas(visit.ctx, lines_of(visit.fields("areas")))
    given = {
        "title": visit.field("title") or view.title,
        "areas": list(found.codes) or view.areas,
        "areas_text": " ".join(found.unclear),
        "category": visit.field("category") or view.category or "",
    }
    return visit.page("draft.html", 422 if errors else 200, draft=view, given=given, errors=errors)
