"""Accounts: what an admin does with those of others, and everybody with her own."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from node.api.address import NumberPath, number
from node.api.auth import context
from node.api.reply import answered, reply
from node.api.strict import StrictRoute, command, verb
from node.service import account, factors, users
from node.service.commit import Batch
from node.service.perform import perform
from schemas.people import (
    ActiveForm,
    FactorView,
    OtpForm,
    OwnPasswordForm,
    OwnView,
    PasswordForm,
    ProofForm,
    RecoveryView,
    RolesForm,
    UserForm,
    UserPage,
    UserView,
)

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["people"])


@router.get("/users", response_model=UserPage, openapi_extra=verb("list_users"), summary="账号 / Accounts")
def list_all(request: Request) -> Response:
    return reply(UserPage(items=users.user_views(context(request)), next=None))


@router.post(
    "/users",
    response_model=UserView,
    status_code=201,
    openapi_extra=verb("add_user"),
    summary="新增账号 / Add an account",
)
def add(request: Request, form: UserForm) -> Response:
    ctx = context(request)
    hashed = users.hashed_password(ctx, form.password, form.name)

    def act(batch: Batch) -> UserView:
        return users.user_view(batch, users.add(batch, form.name, hashed, form.roles).id)

    return answered(perform(ctx, command(request), act))


@router.post(
    "/users/{number}/roles",
    response_model=UserView,
    openapi_extra=verb("change_roles"),
    summary="调整角色 / Change an account's roles",
)
def roles(request: Request, id: NumberPath, form: RolesForm) -> Response:
    """Whoever is signed in with it has to sign in again."""
    user = number(id)

    def act(batch: Batch) -> UserView:
        users.set_roles(batch, user, form.roles)
        return users.user_view(batch, user)

    return answered(perform(context(request), command(request), act))


@router.post(
    "/users/{number}/password",
    response_model=UserView,
    openapi_extra=verb("change_user"),
    summary="重设密码 / Set an account's password",
)
def password(request: Request, id: NumberPath, form: PasswordForm) -> Response:
    ctx, user = context(request), number(id)
    hashed = users.hashed_password(ctx, form.password, "")

    def act(batch: Batch) -> UserView:
        users.set_password(batch, user, hashed)
        return users.user_view(batch, user)

    return answered(perform(ctx, command(request), act))


@router.post(
    "/users/{number}/active",
    response_model=UserView,
    openapi_extra=verb("change_user"),
    summary="停用或恢复 / Let an account in, or no more",
)
def active(request: Request, id: NumberPath, form: ActiveForm) -> Response:
    """Whoever holds posts with open items is let go only after they were handed over."""
    user = number(id)

    def act(batch: Batch) -> UserView:
        users.activate(batch, user, form.active)
        return users.user_view(batch, user)

    return answered(perform(context(request), command(request), act))


@router.post(
    "/users/{number}/lock",
    response_model=UserView,
    openapi_extra=verb("end_sessions"),
    summary="紧急锁定 / Lock an account at once",
)
def lock(request: Request, id: NumberPath) -> Response:
    """Out at once, and in again only after a day, or with a new password."""
    user = number(id)

    def act(batch: Batch) -> UserView:
        users.lock(batch, user)
        return users.user_view(batch, user)

    return answered(perform(context(request), command(request), act))


@router.delete(
    "/users/{number}/factor",
    response_model=UserView,
    openapi_extra=verb("change_roles"),
    summary="解除动态验证码 / Remove somebody's second factor",
)
def reset_factor(request: Request, id: NumberPath) -> Response:
    user = number(id)

    def act(batch: Batch) -> UserView:
        factors.remove(batch, user)
        return users.user_view(batch, user)

    return answered(perform(context(request), command(request), act))


# ---- one's own ------------------------------------------------------------------------------------------------------


@router.get("/me", response_model=OwnView, openapi_extra=verb("own_account"), summary="我的账号 / My account")
def me(request: Request) -> Response:
    return reply(account.own(context(request), command(request).actor))


@router.post(
    "/me/password",
    response_model=OwnView,
    openapi_extra=verb("own_account"),
    summary="修改密码 / Change my password",
)
def own_password(request: Request, form: OwnPasswordForm) -> Response:
    """Ends every session of the account, this one too: sign in again with the new password."""
    ctx, actor = context(request), command(request).actor
    view = account.own(ctx, actor)
    users.change_own_password(ctx, actor.user_id, actor.name, form.current, form.password)
    return reply(view)


@router.post(
    "/me/factor",
    response_model=FactorView,
    status_code=201,
    openapi_extra=verb("own_account"),
    summary="启用动态验证码 / Begin a second factor",
)
def begin_factor(request: Request, form: ProofForm) -> Response:
    """Shows the secret once; it counts after `confirm`."""
    return reply(account.begin_factor(context(request), command(request).actor, form), 201)


@router.post(
    "/me/factor/confirm",
    response_model=RecoveryView,
    openapi_extra=verb("own_account"),
    summary="确认动态验证码 / Confirm the second factor",
)
def confirm_factor(request: Request, form: OtpForm) -> Response:
    """Shows the recovery codes once."""
    return reply(account.confirm_factor(context(request), command(request).actor, form))


@router.post(
    "/me/factor/remove",
    response_model=OwnView,
    openapi_extra=verb("own_account"),
    summary="停用动态验证码 / Remove my second factor",
)
def remove_factor(request: Request, form: ProofForm) -> Response:
    return reply(account.remove_factor(context(request), command(request).actor, form))
