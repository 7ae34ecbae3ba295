"""This node among others: who it is, what waits for its people, how its links stand, and an exchange right now."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from node.api.address import NodePath, cursor, node_code
from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, verb
from node.service import read
from node.service.exchange import exchange_now
from node.service.inbox import inbox
from node.service.links import links
from schemas.api import ExchangeView, InboxPage, LinkPage, NodeView, PageQuery

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["node"])


class WaitsView(BaseModel):
    """The other side begins every exchange; this node has told it that something waits."""

    waits_for_peer: Literal[True] = True


_WAITS: dict[int | str, dict[str, Any]] = {202: {"model": WaitsView, "description": "The child begins the exchange"}}


@router.get("/node", response_model=NodeView, openapi_extra=verb("read"), summary="本节点 / This node")
def this_node(request: Request) -> Response:
    return reply(read.node(context(request)))


@router.get("/inbox", response_model=InboxPage, openapi_extra=verb("read"), summary="待办 / What waits for a person")
def list_inbox(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(inbox(context(request), cursor(query.cursor), query.limit))


@router.get("/links", response_model=LinkPage, openapi_extra=verb("read"), summary="联络 / State of every link")
def list_links(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(links(context(request), cursor(query.cursor), query.limit))


@router.post(
    "/links/{code}/exchange",
    response_model=ExchangeView,
    responses=_WAITS,
    openapi_extra=verb("exchange"),
    summary="立即交换 / Exchange with a neighbour now",
)
def exchange(request: Request, code: NodePath) -> Response:
    done = exchange_now(context(request), node_code(code))
    return reply(WaitsView(), 202) if done is None else reply(done)
