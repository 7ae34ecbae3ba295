"""Units, posts, who holds them, and the hand-over sheets."""

import json

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import number
from node.domain.policy import roles_of
from node.domain.refusals import Invalid
from node.domain.staffing import TEMPLATES
from node.service import handovers, posts, users
from node.service.perform import perform
from node.web.errors import field_errors
from node.web.fields import whole
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.people import HandOverForm, PostForm, UnitForm

router = Pages()


@router.get("/units", verb="read_units")
def board(visit: Visit) -> Response:
    return _board(visit)


@router.post("/units", verb="keep_units")
def add(visit: Visit) -> Response:
    try:
        form = UnitForm.model_validate(
            {
                "kind": visit.field("kind"),
                "name": visit.field("name"),
                "code": visit.field("code").strip() or None,
                "parent": whole(visit.field("parent")) if visit.field("parent") else None,
            }
        )
        perform(visit.ctx, visit.command("keep_units", 201), lambda batch: posts.add_unit(batch, form))
    except (ValidationError, Invalid) as error:
        return _board(visit, field_errors(error, visit.words))
    return visit.to("/units", "units.added", name=form.name)


@router.post("/units/{number}/posts", verb="keep_units")
def add_post(visit: Visit) -> Response:
    unit = _number(visit)
    try:
        form = PostForm(title=visit.field("title"), role=visit.field("role") or None)
        perform(visit.ctx, visit.command("keep_units", 201), lambda batch: posts.add_post(batch, unit, form))
    except (ValidationError, Invalid) as error:
        return _board(visit, field_errors(error, visit.words))
    return visit.to("/units", "units.post_added")


@router.get("/posts/{number}", verb="hand_over")
def ask(visit: Visit) -> Response:
    """What goes over, before it does."""
    return _post(visit)


@router.post("/posts/{number}", verb="hand_over")
def hand_over(visit: Visit) -> Response:
    post = _number(visit)
    try:
        to = whole(visit.field("to")) if visit.field("to") else None
        form = HandOverForm.model_validate({"to": to, "note": visit.field("note").strip()})
        answer = perform(visit.ctx, visit.command("hand_over", 201), lambda batch: posts.hand_over(batch, post, form))
    except (ValidationError, Invalid) as error:
        return _post(visit, field_errors(error, visit.words))
    return visit.to(f"/handovers/{json.loads(answer.body)['id']}", "units.handed_over")


@router.get("/handovers", verb="read_units")
def sheets(visit: Visit) -> Response:
    return visit.page("handovers.html", sheets=handovers.hand_overs(visit.ctx))


@router.get("/handovers/{number}", verb="read_units")
def sheet(visit: Visit) -> Response:
    return visit.page("handover.html", sheet=handovers.hand_over(visit.ctx, _number(visit)))


def _number(visit: Visit) -> int:
    return number(visit.request.path_params["number"])


def _board(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    found = posts.list_units(visit.ctx)
    given = {name: visit.field(name) for name in ("kind", "name", "code", "parent")}
    parents = [(str(unit.id), unit.name) for unit in found if unit.active]
    values = {"units": found, "given": given, "parents": parents, "kinds": list(TEMPLATES), "errors": errors}
    return visit.page(
        "units.html", 422 if errors else 200, roles=sorted(roles_of(visit.ctx.settings.profile)), **values
    )


def _post(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    unit, post, items = handovers.post(visit.ctx, _number(visit))
    people = [(str(user.id), user.name) for user in users.user_views(visit.ctx) if user.active]
    values = {"unit": unit, "post": post, "items": items, "people": people, "note": visit.field("note")}
    return visit.page("post.html", 422 if errors else 200, errors=errors, **values)
