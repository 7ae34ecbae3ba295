"""Accounts and who is signed in: for the admin."""

from collections.abc import Callable

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import number, session_ref
from node.domain.policy import roles_of
from node.domain.refusals import Invalid
from node.service import factors, users
from node.service.commit import Batch
from node.service.perform import perform
from node.service.sessions import end_sessions, list_sessions
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.people import RolesForm, UserForm, UserView

router = Pages()


@router.get("/people", verb="list_users")
def board(visit: Visit) -> Response:
    return _board(visit)


@router.post("/people", verb="add_user")
def add(visit: Visit) -> Response:
    try:
        form = UserForm(name=visit.field("name"), password=visit.field("password"), roles=visit.fields("roles"))
        hashed = users.hashed_password(visit.ctx, form.password, form.name)
        _do(visit, "add_user", lambda batch: users.user_view(batch, users.add(batch, form.name, hashed, form.roles).id))
    except (ValidationError, Invalid) as error:
        return _board(visit, field_errors(error, visit.words))
    return visit.to("/people", "people.added", name=form.name)


@router.get("/people/{number}", verb="list_users")
def one(visit: Visit) -> Response:
    return _one(visit)


@router.post("/people/{number}/roles", verb="change_roles")
def roles(visit: Visit) -> Response:
    user = _user(visit)
    try:
        form = RolesForm(roles=visit.fields("roles"))
        _do(visit, "change_roles", _then(user, lambda batch: users.set_roles(batch, user, form.roles)))
    except (ValidationError, Invalid) as error:
        return _one(visit, field_errors(error, visit.words))
    return visit.to(f"/people/{user}", "people.changed")


@router.post("/people/{number}/password", verb="change_user")
def password(visit: Visit) -> Response:
    user = _user(visit)
    try:
        hashed = users.hashed_password(visit.ctx, visit.field("password"), "")
    except Invalid as error:
        return _one(visit, field_errors(error, visit.words))
    _do(visit, "change_user", _then(user, lambda batch: users.set_password(batch, user, hashed)))
    return visit.to(f"/people/{user}", "people.changed")


@router.post("/people/{number}/active", verb="change_user")
def active(visit: Visit) -> Response:
    user, wanted = _user(visit), visit.field("active") == "yes"
    _do(visit, "change_user", _then(user, lambda batch: users.activate(batch, user, wanted)))
    return visit.to(f"/people/{user}", "people.changed")


@router.post("/people/{number}/lock", verb="end_sessions")
def lock(visit: Visit) -> Response:
    user = _user(visit)
    _do(visit, "end_sessions", _then(user, lambda batch: users.lock(batch, user)))
    return visit.to(f"/people/{user}", "people.locked_done")


@router.post("/people/{number}/factor", verb="change_roles")
def reset_factor(visit: Visit) -> Response:
    user = _user(visit)
    _do(visit, "change_roles", _then(user, lambda batch: factors.remove(batch, user)))
    return visit.to(f"/people/{user}", "people.changed")


@router.get("/sessions", verb="end_sessions")
def sessions(visit: Visit) -> Response:
    return visit.page("sessions.html", sessions=list_sessions(visit.ctx, visit.person.session))


@router.post("/sessions", verb="end_sessions")
def end(visit: Visit) -> Response:
    """One session, or all but one's own."""
    ref, actor = visit.field("ref"), visit.person
    ended = end_sessions(visit.ctx, actor.name, session_ref(ref) if ref else None, spare=actor.session)
    return visit.to("/sessions", "people.ended", count=ended)


def _user(visit: Visit) -> int:
    return number(visit.request.path_params["number"])


def _then(user: int, change: Callable[[Batch], None]) -> Callable[[Batch], UserView]:
    def act(batch: Batch) -> UserView:
        change(batch)
        return users.user_view(batch, user)

    return act


def _do(visit: Visit, verb: str, act: Callable[[Batch], UserView]) -> None:
    perform(visit.ctx, visit.command(verb), act)


def _board(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    given = {"name": visit.field("name"), "roles": visit.fields("roles")}
    values = {"people": users.user_views(visit.ctx), "roles": _roles(visit), "given": given, "errors": errors}
    return visit.page("people.html", 422 if errors else 200, **values)


def _one(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    person = users.one_view(visit.ctx, _user(visit))
    return visit.page("person.html", 422 if errors else 200, person=person, roles=_roles(visit), errors=errors)


def _roles(visit: Visit) -> list[str]:
    order = ("clerk", "coordinator", "supervisor", "leader", "auditor", "admin", "security")
    return [role for role in order if role in roles_of(visit.ctx.settings.profile)]
