"""What waits for a clerk, and the printed codes it comes by."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from node.api.address import NumberPath, cursor, number
from node.api.auth import context
from node.api.reply import answered, reply
from node.api.strict import StrictRoute, command, verb
from node.service import drafts, posters
from node.service.commit import Batch
from node.service.perform import Command, perform
from schemas.drafts import (
    DraftPage,
    DraftQuery,
    DraftView,
    MatterForm,
    PosterForm,
    PosterPage,
    PosterView,
    RefuseForm,
    TakeForm,
    TakenView,
)

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["drafts"])


@router.get("/drafts", response_model=DraftPage, openapi_extra=verb("read_drafts"), summary="待受理 / Drafts")
def list_drafts(request: Request, query: Annotated[DraftQuery, Query()]) -> Response:
    """Matters and words that nobody has signed yet; `state` = `waiting, taken, refused`."""
    return reply(drafts.page(context(request), query.state, cursor(query.cursor), query.limit))


@router.post(
    "/drafts",
    response_model=DraftView,
    status_code=201,
    openapi_extra=verb("open"),
    summary="暂存议题 / Keep a matter for later",
)
def keep(request: Request, form: MatterForm) -> Response:
    """What comes in while the node may not sign: nothing of it is signed before somebody takes it."""

    def act(batch: Batch) -> DraftView:
        return drafts.one(batch.conn, drafts.keep(batch, form).id)

    return answered(perform(context(request), command(request), act))


@router.get("/drafts/{number}", response_model=DraftView, openapi_extra=verb("read_drafts"), summary="一件 / One draft")
def one(request: Request, id: NumberPath) -> Response:
    return reply(drafts.read(context(request), number(id)))


@router.post(
    "/drafts/{number}/take",
    response_model=TakenView,
    openapi_extra=verb("take_draft"),
    summary="受理 / Make a topic of it",
)
def take(request: Request, id: NumberPath, form: TakeForm) -> Response:
    """A matter becomes a topic with a promised date, a comment a remark, a wish to reopen the topic taken up again."""
    draft = number(id)

    def act(batch: Batch) -> TakenView:
        return TakenView(draft=draft, topic=drafts.take(batch, draft, form))

    return answered(perform(context(request), about(request, draft), act))


@router.post(
    "/drafts/{number}/refuse",
    response_model=DraftView,
    openapi_extra=verb("take_draft"),
    summary="不予受理 / Refuse it",
)
def refuse(request: Request, id: NumberPath, form: RefuseForm) -> Response:
    """Whoever sent it reads the reason."""
    draft = number(id)
    return answered(perform(context(request), about(request, draft), lambda batch: drafts.refuse(batch, draft, form)))


@router.get("/posters", response_model=PosterPage, openapi_extra=verb("print_sheets"), summary="二维码 / Printed codes")
def list_codes(request: Request) -> Response:
    return reply(PosterPage(items=posters.list_posters(context(request)), next=None))


@router.post(
    "/posters", response_model=PosterView, openapi_extra=verb("print_sheets"), summary="制作二维码 / A code to print"
)
def make(request: Request, form: PosterForm) -> Response:
    """For a unit, a topic, or the office itself; the same one every time."""
    return answered(perform(context(request), command(request), lambda batch: posters.make(batch, form)))


def about(request: Request, draft: int) -> Command:
    topic, unit = drafts.place_of(context(request), draft)
    return command(request).about(topic, unit)
