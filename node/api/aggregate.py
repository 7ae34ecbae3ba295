"""The whole in figures: sums by one dimension, ratios, the funnel of the six steps, and the topics behind each."""

from collections.abc import Iterator
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from node.api.address import cursor
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, verb
from node.service import aggregate, behind, export, reporting
from schemas import aggregate as views
from schemas.api import PageQuery

_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Every topic, opened first to last",
        "content": {"text/csv": {}, "application/vnd.apache.parquet": {}},
    }
}
PIECE_BYTES = 256 * 1024
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
    "/nodes",
    response_model=views.NodesPage,
    openapi_extra=verb("read"),
    summary="各级 / Every node below: what was expected, what came, who fell silent",
)
def nodes(request: Request, query: Annotated[views.NodesQuery, Query()]) -> Response:
    return reply(reporting.nodes(context(request), query.period, cursor(query.cursor), query.limit))


@router.get(
    "/rows",
    response_model=views.RowsView,
    responses=_FILES,
    openapi_extra=verb("read"),
    summary="导出 / The topics behind a figure as a file",
)
def rows(request: Request, query: Annotated[views.ExportQuery, Query()]) -> Response:
    file = export.export(context(request), query, query.format)
    named = {"content-disposition": f'attachment; filename="rows.{query.format}"'}
    return StreamingResponse(_pieces(file), media_type=export.MEDIA[query.format], headers=named)


@router.get(
    "/columns",
    response_model=views.ColumnPage,
    openapi_extra=verb("read"),
    summary="数据字典 / What every column of an export means",
)
def columns(request: Request) -> Response:
    return reply(export.columns())


@router.get(
    "/differences",
    response_model=views.RowDifferencePage,
    openapi_extra=verb("read"),
    summary="差异 / What is said and what is counted, row by row",
)
def differences(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(behind.row_differences(context(request), cursor(query.cursor), query.limit))


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece
