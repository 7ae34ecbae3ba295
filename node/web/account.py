"""My account: password, second factor, and giving the password again before something dangerous."""

from pydantic import ValidationError
from starlette.responses import Response

from node.domain.refusals import Invalid, NotFound, OtpNeeded, TooManyRequests, Unauthenticated
from node.service import account
from node.service.sessions import prove
from node.service.users import change_own_password
from node.web import cookies
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.people import OtpForm, ProofForm

router = Pages()
OWN = "own_account"


@router.get("/account", verb=OWN)
def board(visit: Visit) -> Response:
    return _board(visit)


@router.post("/account/proof", verb=OWN)
def prove_again(visit: Visit) -> Response:
    try:
        session = prove(visit.ctx, visit.token or "", visit.field("password"), visit.field("otp").strip() or None)
    except (Unauthenticated, TooManyRequests):
        return _board(visit, {"proof": visit.words("account.wrong")})
    response = visit.to("/account", "account.proved")
    cookies.set_cookie(response, visit.ctx, "session", session.token)
    return response


@router.post("/account/password", verb=OWN)
def password(visit: Visit) -> Response:
    """Ends every session, this one too."""
    actor = visit.person
    try:
        change_own_password(visit.ctx, actor.user_id, actor.name, visit.field("current"), visit.field("password"))
    except Invalid as error:
        return _board(visit, field_errors(error, visit.words))
    return visit.to("/sign-in", "account.password_changed")


@router.post("/account/factor", verb=OWN)
def begin_factor(visit: Visit) -> Response:
    try:
        made = account.begin_factor(visit.ctx, visit.person, _proof(visit))
    except (Invalid, ValidationError):
        return _board(visit, {"factor": visit.words("account.wrong")})
    return visit.page("factor.html", made=made, codes=None, wrong=None)


@router.post("/account/factor/confirm", verb=OWN)
def confirm_factor(visit: Visit) -> Response:
    """The recovery codes are shown this once."""
    try:
        codes = account.confirm_factor(visit.ctx, visit.person, OtpForm(otp=visit.field("otp").strip())).codes
    except (Invalid, NotFound, ValidationError):
        return _board(visit, {"factor": visit.words("account.wrong_code")})
    return visit.page("factor.html", made=None, codes=codes, wrong=None)


@router.post("/account/factor/remove", verb=OWN)
def remove_factor(visit: Visit) -> Response:
    try:
        account.remove_factor(visit.ctx, visit.person, _proof(visit))
    except (Invalid, OtpNeeded, NotFound, ValidationError):
        return _board(visit, {"factor": visit.words("account.wrong")})
    return visit.to("/account", "account.factor_removed")


def _proof(visit: Visit) -> ProofForm:
    return ProofForm(password=visit.field("password"), otp=visit.field("otp").strip() or None)


def _board(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    return visit.page("account.html", 422 if errors else 200, me=account.own(visit.ctx, visit.person), errors=errors)
