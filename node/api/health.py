"""For machines that watch this one: is it alive and ready, and in figures."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from node.api import metrics
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, verb
from node.context import Context
from node.domain.policy import PUBLIC
from node.service import read
from node.service.measure import figures
from node.store.faults import fault

router = APIRouter(route_class=StrictRoute, tags=["health"])


class HealthView(BaseModel):
    """`mode` is null while the database does not answer."""

    status: Literal["ok", "unavailable"]
    database: bool
    mode: Literal["ready", "healing"] | None


_DOWN: dict[int | str, dict[str, Any]] = {503: {"model": HealthView, "description": "The database does not answer"}}
_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {metrics.MEDIA_TYPE: {"schema": {"type": "string"}}}}}


@router.get(
    "/healthz",
    response_model=HealthView,
    responses=_DOWN,
    openapi_extra=verb(PUBLIC),
    summary="健康检查 / Liveness and readiness",
)
def health(request: Request) -> Response:
    """Any answer means alive, 200 means ready."""
    view = _health(context(request))
    return reply(view, 200 if view.database else 503)


@router.get(
    "/metrics",
    response_class=Response,
    responses=_TEXT,
    openapi_extra=verb(PUBLIC),
    summary="运行指标 / Figures for Prometheus",
)
def measure(request: Request) -> Response:
    ctx = context(request)
    counted: metrics.Metrics = request.app.state.metrics
    return Response(counted.text(figures(ctx), ctx.clock), media_type=metrics.MEDIA_TYPE)


def _health(ctx: Context) -> HealthView:
    try:
        return HealthView(status="ok", database=True, mode=read.node(ctx).mode)
    except Exception as error:
        if fault(error) is None:
            raise
        return HealthView(status="unavailable", database=False, mode=None)
