"""Clocks: the calendar in force, the terms proposed now, and what is late or nearly so."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from node.api.address import cursor
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, command, verb
from node.service import terms
from schemas.api import PageQuery
from schemas.terms import CalendarQuery, CalendarView, TermsView, WarningPage

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["clocks"])


@router.get("/calendar", response_model=CalendarView, openapi_extra=verb("read"), summary="工作日历 / The calendar")
def days(request: Request, query: Annotated[CalendarQuery, Query()]) -> Response:
    """Holidays and the weekend days worked in their place; a year that is not `covered` is in no list."""
    return reply(terms.calendar(context(request), query.year))


@router.get("/terms", response_model=TermsView, openapi_extra=verb("read"), summary="建议期限 / Terms proposed now")
def proposed(request: Request) -> Response:
    return reply(terms.terms(context(request)))


@router.get(
    "/warnings", response_model=WarningPage, openapi_extra=verb("read_warnings"), summary="催办提醒 / What is late"
)
def late(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """For a leader or coordinator of her units, for others of all; it moves nothing."""
    return reply(terms.warnings(context(request), command(request).actor, cursor(query.cursor), query.limit))
