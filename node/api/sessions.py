"""Signing in and out, who is signed in, and the kill switch."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from node.api.address import SessionPath, session_ref
from node.api.auth import address, bearer, context
from node.api.reply import reply
from node.api.strict import StrictRoute, command, verb
from node.domain.policy import PUBLIC
from node.service.sessions import end_sessions, list_sessions, prove, sign_in, sign_out
from schemas.api import SessionForm, SessionView
from schemas.people import EndedView, ProofForm, SessionPage

router = APIRouter(prefix="/api/v1/sessions", route_class=StrictRoute, tags=["sessions"])


@router.post("", response_model=SessionView, status_code=201, openapi_extra=verb(PUBLIC), summary="登录 / Sign in")
def begin(request: Request, form: SessionForm) -> Response:
    """`otp`: the code of the moment, or a recovery code, where the account has a second factor."""
    ctx = context(request)
    return reply(sign_in(ctx, form.username, form.password, form.otp, address(ctx, request)), 201)


@router.get("", response_model=SessionPage, openapi_extra=verb("end_sessions"), summary="登录会话 / Who is signed in")
def list_open(request: Request) -> Response:
    found = list_sessions(context(request), command(request).actor.session)
    return reply(SessionPage(items=found, next=None))


@router.delete(
    "", response_model=EndedView, openapi_extra=verb("end_sessions"), summary="全部下线 / End every other session"
)
def end_all(request: Request) -> Response:
    """The kill switch: everybody but the asker has to sign in again."""
    actor = command(request).actor
    return reply(EndedView(ended=end_sessions(context(request), actor.name, spare=actor.session)))


@router.post(
    "/current/proof",
    response_model=SessionView,
    openapi_extra=verb("own_account"),
    summary="再次验证 / Give the password again",
)
def prove_again(request: Request, form: ProofForm) -> Response:
    """A new token for the same session, with the dangerous verbs open for a while; the old token is worthless."""
    return reply(prove(context(request), bearer(request.headers), form.password, form.otp))


@router.delete("/current", status_code=204, openapi_extra=verb("sign_out"), summary="退出 / Sign out")
def end(request: Request) -> Response:
    """The token is worthless at once."""
    sign_out(context(request), bearer(request.headers))
    return Response(status_code=204)


@router.delete(
    "/{ref}", response_model=EndedView, openapi_extra=verb("end_sessions"), summary="下线 / End somebody's session"
)
def end_one(request: Request, ref: SessionPath) -> Response:
    return reply(EndedView(ended=end_sessions(context(request), command(request).actor.name, ref=session_ref(ref))))
