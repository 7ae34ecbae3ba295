"""What a restore, a lost machine or a clone asks of people: healing, claims of two persons, orphans by name."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from node.api.address import NodePath, TopicPath, node_code, topic_id
from node.api.auth import context
from node.api.reply import answered, reply
from node.api.strict import StrictRoute, command, verb
from node.domain.refusals import NotFound
from node.service import claims, healing, links, orphans
from node.service.commit import Batch
from node.service.perform import perform
from node.store.engine import reading
from schemas.api import (
    ApproveForm,
    ClaimForm,
    ClaimPage,
    ClaimView,
    DisposeForm,
    HealingView,
    OrphanPage,
    PageQuery,
    ReasonForm,
    TopicView,
    WaiveForm,
)

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["lives"])

_CLAIM = re.compile(r"[0-9a-f]{32}")
ClaimPath = Annotated[str, Path(alias="id", description="The claim.", json_schema_extra={"pattern": "^[0-9a-f]{32}$"})]
OrphanPath = Annotated[
    str, Path(alias="hash", description="The orphan.", json_schema_extra={"pattern": "^[0-9a-f]{64}$"})
]


@router.get(
    "/healing", response_model=HealingView, openapi_extra=verb("read"), summary="恢复情况 / What healing waits for"
)
def show_healing(request: Request) -> Response:
    return reply(healing.view(context(request)))


@router.post(
    "/healing/waive",
    response_model=HealingView,
    openapi_extra=verb("waive"),
    summary="书面免除 / Heal without a neighbour",
)
def waive(request: Request, form: WaiveForm) -> Response:
    def act(batch: Batch) -> HealingView:
        healing.waive(batch, form.peer, form.reason)
        batch.flush()
        return healing.view_in(batch.ctx, batch.conn)

    return answered(perform(context(request), command(request), act))


@router.post(
    "/links/{code}/lift",
    response_model=HealingView,
    openapi_extra=verb("link"),
    summary="恢复联络 / Let a stopped link go on",
)
def lift(request: Request, code: NodePath, form: ReasonForm) -> Response:
    def act(batch: Batch) -> HealingView:
        links.lift(batch, node_code(code), form.reason)
        return healing.view_in(batch.ctx, batch.conn)

    return answered(perform(context(request), command(request), act))


@router.get("/claims", response_model=ClaimPage, openapi_extra=verb("read"), summary="认领 / Claims, newest first")
def list_claims(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(claims.listed(context(request), query.cursor, query.limit))


@router.post(
    "/claims",
    response_model=ClaimView,
    status_code=202,
    openapi_extra=verb("claim"),
    summary="申请认领 / Ask for a claim; a second person approves",
)
def claim(request: Request, form: ClaimForm) -> Response:
    return answered(perform(context(request), command(request), lambda batch: claims.request(batch, form)))


@router.get("/claims/{id}", response_model=ClaimView, openapi_extra=verb("read"), summary="认领 / One claim")
def one_claim(request: Request, id: ClaimPath) -> Response:
    with reading(context(request).engine) as conn:
        return reply(claims.show(conn, _claim_id(id)))


@router.post(
    "/claims/{id}/approve",
    response_model=ClaimView,
    status_code=202,
    openapi_extra=verb("approve_claim"),
    summary="批准认领 / Approve another person's claim",
)
def approve(request: Request, id: ClaimPath, form: ApproveForm) -> Response:
    claim = _claim_id(id)
    return answered(perform(context(request), command(request), lambda batch: claims.approve(batch, claim)))


@router.post(
    "/claims/{id}/refuse",
    response_model=ClaimView,
    openapi_extra=verb("approve_claim"),
    summary="不予批准 / Refuse a claim",
)
def refuse(request: Request, id: ClaimPath, form: ReasonForm) -> Response:
    claim = _claim_id(id)
    return answered(perform(context(request), command(request), lambda batch: claims.refuse(batch, claim, form.reason)))


@router.get(
    "/topics/{id}/orphans", response_model=OrphanPage, openapi_extra=verb("read"), summary="孤立条目 / Orphaned entries"
)
def list_orphans(request: Request, id: TopicPath) -> Response:
    return reply(orphans.orphans(context(request), topic_id(id)))


@router.post(
    "/topics/{id}/orphans/{hash}",
    response_model=TopicView,
    openapi_extra=verb("dispose"),
    summary="处置孤立条目 / Adopt an orphan or set it aside",
)
def dispose(request: Request, id: TopicPath, hash: OrphanPath, form: DisposeForm) -> Response:
    topic, orphan = topic_id(id), topic_id(hash)
    return answered(
        perform(context(request), command(request), lambda batch: orphans.dispose(batch, topic, orphan, form))
    )


def _claim_id(text: str) -> str:
    if not _CLAIM.fullmatch(text):
        raise NotFound
    return text
