"""All pages of the console. A new module of pages is added here, and its line to node.web.menu."""

from starlette.routing import BaseRoute, Route

from node.web import (
    account,
    act,
    audit,
    drafts,
    duty,
    intake,
    links,
    live,
    overview,
    overview_why,
    people,
    pick,
    public,
    screening,
    sign_in,
    today,
    topics,
    trust,
    units,
)
from node.web.assets import serve_asset
from node.web.pages import Pages

ROUTERS: tuple[Pages, ...] = (
    today.router,
    overview.router,
    overview_why.router,
    intake.router,
    topics.router,
    screening.router,
    duty.router,
    act.router,
    pick.router,
    links.router,
    trust.router,
    drafts.router,
    people.router,
    units.router,
    audit.router,
    account.router,
    public.router,
    sign_in.router,
)
"""In this order: of two that fit an address the first is taken, as `act` takes any word behind a topic."""
ROUTES: tuple[BaseRoute, ...] = (
    *(route for router in ROUTERS for route in router.routes),
    Route("/events", live.events, methods=["GET"], include_in_schema=False),
    Route("/static/{hash}/{name}", serve_asset, methods=["GET"], include_in_schema=False),
)
