"""Signing in and out."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from node.api.auth import bearer, context
from node.api.reply import reply
from node.api.strict import StrictRoute, verb
from node.domain.policy import PUBLIC
from node.service.sessions import sign_in, sign_out
from schemas.api import SessionForm, SessionView

router = APIRouter(prefix="/api/v1/sessions", route_class=StrictRoute, tags=["sessions"])


@router.post("", response_model=SessionView, status_code=201, openapi_extra=verb(PUBLIC), summary="登录 / Sign in")
def begin(request: Request, form: SessionForm) -> Response:
    """No account has a second factor yet, so `otp` is taken and not looked at."""
    return reply(sign_in(context(request), form.username, form.password), 201)


@router.delete("/current", status_code=204, openapi_extra=verb("sign_out"), summary="退出 / Sign out")
def end(request: Request) -> Response:
    """The token is worthless at once."""
    sign_out(context(request), bearer(request.headers))
    return Response(status_code=204)
