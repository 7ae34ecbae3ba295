"""All pages of the console. A new module of pages is added here, and its line to node.web.menu."""

from starlette.routing import BaseRoute, Route

from node.web import live, sign_in, today
from node.web.assets import serve_asset
from node.web.pages import Pages

ROUTERS: tuple[Pages, ...] = (today.router, sign_in.router)
ROUTES: tuple[BaseRoute, ...] = (
    *(route for router in ROUTERS for route in router.routes),
    Route("/events", live.events, methods=["GET"], include_in_schema=False),
    Route("/static/{hash}/{name}", serve_asset, methods=["GET"], include_in_schema=False),
)
