"""Signing in and out, and the language pages are read in."""

import re

from starlette.responses import Response

from node.api.auth import address
from node.domain.policy import PUBLIC
from node.domain.refusals import OtpNeeded, TooManyRequests, Unauthenticated
from node.service.sessions import sign_in, sign_out
from node.web import cookies
from node.web.pages import Pages
from node.web.visit import Visit
from node.web.words import LANGUAGES

router = Pages()
NAME_CHARS_MAX = 64
PASSWORD_CHARS_MAX = 256
OTP_CHARS_MAX = 16
HOME = "/"
_OWN_PATH = re.compile(r"/(?:[!-.0-\[\]-~][!-\[\]-~]*)?")
"""Visible ASCII without a backslash, the second character no slash."""


@router.get("/sign-in", verb=PUBLIC)
def show(visit: Visit) -> Response:
    return visit.page("sign_in.html", next=own_path(visit.query("next")), name="", wrong=None)


@router.post("/sign-in", verb=PUBLIC)
def begin(visit: Visit) -> Response:
    """A wrong name and a wrong password look alike."""
    name, password = visit.field("username")[:NAME_CHARS_MAX].strip(), visit.field("password")[:PASSWORD_CHARS_MAX]
    target = own_path(visit.field("next"))
    try:
        where = address(visit.ctx, visit.request)
        session = sign_in(visit.ctx, name, password, visit.field("otp").strip()[:OTP_CHARS_MAX] or None, where)
    except TooManyRequests as error:
        minutes = max(1, -(-error.retry_after_s // 60))
        wrong = visit.words("sign_in.locked", minutes=minutes)
        return visit.page("sign_in.html", 429, next=target, name=name, wrong=wrong)
    except OtpNeeded:
        return visit.page("sign_in.html", 401, next=target, name=name, wrong=visit.words("sign_in.otp_needed"))
    except Unauthenticated:
        return visit.page("sign_in.html", 401, next=target, name=name, wrong=visit.words("sign_in.wrong"))
    response = visit.to(target)
    cookies.set_cookie(response, visit.ctx, "session", session.token)
    cookies.drop_cookie(response, visit.ctx, "guest")
    return response


@router.post("/sign-out", verb=PUBLIC)
def end(visit: Visit) -> Response:
    if visit.token is not None:
        sign_out(visit.ctx, visit.token)
    response = visit.to("/sign-in", "sign_in.signed_out")
    cookies.drop_cookie(response, visit.ctx, "session")
    response.headers["Clear-Site-Data"] = '"storage"'
    return response


@router.post("/language", verb=PUBLIC)
def choose_language(visit: Visit) -> Response:
    chosen = visit.field("lang")
    if chosen in LANGUAGES:
        visit.pending["lang"] = chosen
    return visit.to(own_path(visit.field("next")))


def own_path(text: str) -> str:
    """A path of this node to go on to; home for anything a browser could take for another place."""
    return text if _OWN_PATH.fullmatch(text) else HOME
