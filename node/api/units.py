"""Units of this node, the posts in them, hand-overs, and whose duty a topic is."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from node.api.address import NumberPath, TopicPath, number, topic_id
from node.api.auth import context
from node.api.reply import answered, reply
from node.api.strict import StrictRoute, command, verb
from node.service import handovers, posts
from node.service.perform import perform
from schemas.people import (
    DutyForm,
    DutyPage,
    DutyView,
    HandOverForm,
    HandOverPage,
    HandOverView,
    PostChange,
    PostForm,
    PostView,
    UnitChange,
    UnitForm,
    UnitPage,
    UnitView,
)

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["units"])


@router.get("/units", response_model=UnitPage, openapi_extra=verb("read_units"), summary="单位与岗位 / Units and posts")
def list_units(request: Request) -> Response:
    return reply(UnitPage(items=posts.list_units(context(request)), next=None))


@router.post(
    "/units",
    response_model=UnitView,
    status_code=201,
    openapi_extra=verb("keep_units"),
    summary="新增单位 / Add a unit",
)
def add_unit(request: Request, form: UnitForm) -> Response:
    """With the posts its kind has by template, still vacant."""
    return answered(perform(context(request), command(request), lambda batch: posts.add_unit(batch, form)))


@router.post(
    "/units/{number}", response_model=UnitView, openapi_extra=verb("keep_units"), summary="变更单位 / Change a unit"
)
def change_unit(request: Request, id: NumberPath, form: UnitChange) -> Response:
    unit = number(id)
    return answered(perform(context(request), command(request), lambda batch: posts.change_unit(batch, unit, form)))


@router.post(
    "/units/{number}/posts",
    response_model=PostView,
    status_code=201,
    openapi_extra=verb("keep_units"),
    summary="新增岗位 / Add a post",
)
def add_post(request: Request, id: NumberPath, form: PostForm) -> Response:
    unit = number(id)
    return answered(perform(context(request), command(request), lambda batch: posts.add_post(batch, unit, form)))


@router.post(
    "/posts/{number}", response_model=PostView, openapi_extra=verb("keep_units"), summary="变更岗位 / Change a post"
)
def change_post(request: Request, id: NumberPath, form: PostChange) -> Response:
    post = number(id)
    return answered(perform(context(request), command(request), lambda batch: posts.change_post(batch, post, form)))


@router.post(
    "/posts/{number}/holder",
    response_model=HandOverView,
    status_code=201,
    openapi_extra=verb("hand_over"),
    summary="岗位交接 / Hand a post over",
)
def hand_over(request: Request, id: NumberPath, form: HandOverForm) -> Response:
    """Every open item goes with the post; the answer is the sheet that lists them."""
    post = number(id)
    return answered(perform(context(request), command(request), lambda batch: posts.hand_over(batch, post, form)))


@router.get(
    "/handovers", response_model=HandOverPage, openapi_extra=verb("read_units"), summary="交接单 / Hand-over sheets"
)
def list_sheets(request: Request) -> Response:
    return reply(HandOverPage(items=handovers.hand_overs(context(request)), next=None))


@router.get(
    "/handovers/{number}",
    response_model=HandOverView,
    openapi_extra=verb("read_units"),
    summary="交接单 / One hand-over sheet",
)
def one_sheet(request: Request, id: NumberPath) -> Response:
    return reply(handovers.hand_over(context(request), number(id)))


@router.get(
    "/topics/{id}/duties", response_model=DutyPage, openapi_extra=verb("read"), summary="责任岗位 / Whose duty it is"
)
def list_duties(request: Request, id: TopicPath) -> Response:
    return reply(DutyPage(items=handovers.duties(context(request), topic_id(id)), next=None))


@router.post(
    "/topics/{id}/duties",
    response_model=DutyView,
    openapi_extra=verb("assign"),
    summary="交办到岗 / Make it the duty of a post",
)
def assign(request: Request, id: TopicPath, form: DutyForm) -> Response:
    topic = topic_id(id)
    asked = command(request).about(topic)
    return answered(perform(context(request), asked, lambda batch: posts.assign(batch, topic, form)))
