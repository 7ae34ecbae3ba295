"""The audit, for those who look over everybody's shoulder."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from node.api.address import cursor
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, command, verb
from node.service import audit
from schemas.people import AuditPage, AuditQuery

router = APIRouter(prefix="/api/v1/audit", route_class=StrictRoute, tags=["audit"])
JSON_LINES = "application/jsonl"


@router.get("", response_model=AuditPage, openapi_extra=verb("read_audit"), summary="审计日志 / The audit")
def read(request: Request, query: Annotated[AuditQuery, Query()]) -> Response:
    """Newest first: who did what when, and what was refused."""
    return reply(audit.page(context(request), query, cursor(query.cursor), query.limit))


@router.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {JSON_LINES: {}}}},
    openapi_extra=verb("export_audit"),
    summary="导出审计日志 / Export the audit",
)
def export(request: Request) -> Response:
    """All of it, oldest first, one JSON object a line, with the hashes that chain it."""
    ctx = context(request)
    audit.record_export(ctx, command(request).actor.name)
    name = f"audit-{ctx.identity.code}.jsonl"
    return StreamingResponse(
        audit.export(ctx), media_type=JSON_LINES, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
