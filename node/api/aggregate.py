"""The whole in figures: sums by one dimension, ratios, the funnel of the six steps, and the topics behind each."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from node.api.address import cursor
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, verb
from node.service import aggregate, behind
from schemas import aggregate as views
from schemas.api import PageQuery

router = APIRouter(prefix="/api/v1/aggregate", route_class=StrictRoute, tags=["aggregate"])


@router.get("", response_model=views.AggregateView, openapi_extra=verb("read"), summary="汇总 / Sums by one dimension")
def sums(request: Request, query: Annotated[views.FigureQuery, Query()]) -> Response:
    return reply(aggregate.aggregate(context(request), query))


@router.get(
    "/figures", response_model=views.FiguresView, openapi_extra=verb("read"), summary="指标 / Measures and ratios"
)
def figures(request: Request, query: Annotated[views.FigureQuery, Query()]) -> Response:
    return reply(aggregate.figures(context(request), query))


@router.get("/funnel", response_model=views.FunnelView, openapi_extra=verb("read"), summary="六步 / The six steps")
def funnel(request: Request, query: Annotated[views.FigureFilter, Query()]) -> Response:
    return reply(aggregate.funnel(context(request), query))


@router.get(
    "/topics", response_model=views.RowPage, openapi_extra=verb("read"), summary="明细 / Topics behind a figure"
)
def topics(request: Request, query: Annotated[views.BehindQuery, Query()]) -> Response:
    return reply(behind.topics(context(request), query, cursor(query.cursor), query.limit))


@router.get(
    "/differences",
    response_model=views.RowDifferencePage,
    openapi_extra=verb("read"),
    summary="差异 / What is said and what is counted, row by row",
)
def differences(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(behind.row_differences(context(request), cursor(query.cursor), query.limit))
