"""Whose duty a topic is: a post of this node as its owner, another as its supervisor; people may change, posts stay."""

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import topic_id
from node.domain.refusals import Invalid
from node.service import read
from node.service.handovers import duties
from node.service.perform import perform
from node.service.posts import assign, list_units
from node.web.errors import field_errors
from node.web.fields import whole
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.ids import TopicId
from schemas.people import DutyForm

router = Pages()


@router.get("/topics/{id}/assign", verb="assign")
def ask(visit: Visit) -> Response:
    return _form(visit, topic_id(visit.request.path_params["id"]))


@router.post("/topics/{id}/assign", verb="assign")
def give(visit: Visit) -> Response:
    id = topic_id(visit.request.path_params["id"])
    try:
        form = DutyForm.model_validate({"part": visit.field("part"), "post": whole(visit.field("post"))})
        perform(visit.ctx, visit.command("assign").about(id), lambda batch: assign(batch, id, form))
    except (ValidationError, Invalid) as error:
        return _form(visit, id, field_errors(error, visit.words))
    return visit.to(f"/topics/{id}", "act.assign.done")


def _form(visit: Visit, id: TopicId, errors: dict[str, str] | None = None) -> Response:
    topic = read.topic(visit.ctx, id)
    held = [(unit, post) for unit in list_units(visit.ctx) for post in unit.posts if post.active and post.holder]
    return visit.page(
        "assign.html",
        422 if errors else 200,
        topic=topic,
        posts=[(str(post.id), f"{unit.name} {post.title} {post.holder}") for unit, post in held],
        duties=duties(visit.ctx, id),
        given={"part": visit.field("part") or "owner", "post": visit.field("post")},
        errors=errors,
    )
