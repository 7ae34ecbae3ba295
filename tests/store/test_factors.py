"""Second factors, step-up, the two profiles and the kill switch, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import (
    FactorNeeded,
    Invalid,
    NotAllowed,
    NotFound,
    OtpNeeded,
    PasswordExpired,
    StepUpNeeded,
    Unauthenticated,
)
from node.service import passwords
from node.service.account import begin_factor, confirm_factor, own, remove_factor
from node.service.admit import admitted
from node.service.sessions import (
    Locked,
    WrongPassword,
    authenticate,
    end_sessions,
    list_sessions,
    prove,
    sign_in,
)
from node.service.throttle import Throttled
from node.service.users import add_user, change_own_password, checked_roles, lock
from node.store.engine import reading
from node.store.office import factors as factor_rows
from schemas.people import OtpForm, ProofForm
from tests.store.office import PASSWORD, SetClock, act, audited, make_node

STRICT = "Liandong-2026-联动"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ctx(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, clock, login_failures_max=3, login_address_failures_max=10)
    add_user(made, "李丹", PASSWORD, ["admin"])
    yield made
    made.engine.dispose()


@pytest.fixture
def strict(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, clock, profile="mlps3")
    add_user(made, "李丹", STRICT, ["clerk"])
    yield made
    made.engine.dispose()


def code(ctx: Context, secret: str) -> str:
    return pyotp.TOTP(secret).at(ctx.clock.now())


def enrolled(ctx: Context, password: str = PASSWORD) -> tuple[str, list[str]]:
    """The secret and the recovery codes of 李丹, a step of the clock later."""
    actor = authenticate(ctx, sign_in(ctx, "李丹", password).token)
    secret = begin_factor(ctx, actor, ProofForm(password=password)).secret
    codes = confirm_factor(ctx, actor, OtpForm(otp=code(ctx, secret))).codes
    ctx.clock.go_on(seconds=30)
    return secret, codes


def test_account_with_a_factor_needs_its_code_and_takes_each_once(ctx: Context):
    secret, _ = enrolled(ctx)
    with pytest.raises(OtpNeeded):
        sign_in(ctx, "李丹", PASSWORD)
    now = code(ctx, secret)
    assert sign_in(ctx, "李丹", PASSWORD, now)
    with pytest.raises(WrongPassword):
        sign_in(ctx, "李丹", PASSWORD, now)


def test_codes_of_the_neighbouring_steps_are_taken_and_older_ones_are_not(ctx: Context, clock: SetClock):
    secret, _ = enrolled(ctx)
    clock.go_on(minutes=5)
    late = code(ctx, secret)
    clock.go_on(seconds=30)
    assert sign_in(ctx, "李丹", PASSWORD, late[:3] + " " + late[3:])
    old = code(ctx, secret)
    clock.go_on(seconds=90)
    with pytest.raises(WrongPassword):
        sign_in(ctx, "李丹", PASSWORD, old)


def test_recovery_code_opens_once(ctx: Context):
    _, codes = enrolled(ctx)
    assert len(set(codes)) == 10
    view = sign_in(ctx, "李丹", PASSWORD, codes[0].upper())
    assert own(ctx, authenticate(ctx, view.token)).recovery_codes_left == 9
    with pytest.raises(WrongPassword):
        sign_in(ctx, "李丹", PASSWORD, codes[0])


def test_wrong_codes_lock_like_wrong_passwords(ctx: Context):
    enrolled(ctx)
    for _ in range(3):
        with pytest.raises(WrongPassword):
            sign_in(ctx, "李丹", PASSWORD, "000000")
    with pytest.raises(Locked):
        sign_in(ctx, "李丹", PASSWORD, "000000")


def test_secret_and_codes_are_not_in_the_database_in_the_clear(ctx: Context):
    secret, codes = enrolled(ctx)
    with reading(ctx.engine) as conn:
        stored = repr(conn.execute(select(factor_rows)).all())
    assert secret not in stored
    assert codes[0] not in stored


def test_factor_is_begun_and_removed_only_with_the_password_and_counts_after_its_first_code(ctx: Context):
    actor = authenticate(ctx, sign_in(ctx, "李丹", PASSWORD).token)
    with pytest.raises(Invalid):
        begin_factor(ctx, actor, ProofForm(password="wrong"))
    made = begin_factor(ctx, actor, ProofForm(password=PASSWORD))
    assert made.uri.startswith("otpauth://totp/")
    assert made.qr.startswith("<svg")
    with pytest.raises(Invalid):
        confirm_factor(ctx, actor, OtpForm(otp="000000"))
    assert sign_in(ctx, "李丹", PASSWORD), "not confirmed yet"
    confirm_factor(ctx, actor, OtpForm(otp=code(ctx, made.secret)))
    with pytest.raises(Invalid):
        begin_factor(ctx, actor, ProofForm(password=PASSWORD))
    ctx.clock.go_on(seconds=30)
    with pytest.raises(OtpNeeded):
        remove_factor(ctx, actor, ProofForm(password=PASSWORD))
    remove_factor(ctx, actor, ProofForm(password=PASSWORD, otp=code(ctx, made.secret)))
    assert sign_in(ctx, "李丹", PASSWORD)


def test_dangerous_verb_asks_for_the_password_again_and_gives_a_new_token(ctx: Context, clock: SetClock):
    token = sign_in(ctx, "李丹", PASSWORD).token
    assert admitted(ctx, token, "change_roles")
    clock.go_on(seconds=ctx.settings.step_up_s)
    with pytest.raises(StepUpNeeded):
        admitted(ctx, token, "change_roles")
    assert admitted(ctx, token, "list_users")
    with pytest.raises(WrongPassword):
        prove(ctx, token, "not the password", None)
    ends = own(ctx, authenticate(ctx, token)).expires_at
    fresh = prove(ctx, token, PASSWORD, None)
    assert fresh.expires_at == ends, "proving oneself makes no session longer"
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)
    assert admitted(ctx, fresh.token, "change_roles")
    assert ("李丹", "change_roles", "refused StepUpNeeded") in audited(ctx)


def test_refused_role_is_audited_with_name_and_verb(ctx: Context):
    token = sign_in(ctx, "李丹", PASSWORD).token
    with pytest.raises(NotAllowed):
        admitted(ctx, token, "note")
    assert audited(ctx)[-1] == ("李丹", "note", "refused NotAllowed")


def test_kill_switch_ends_one_some_or_all_but_ones_own(ctx: Context):
    add_user(ctx, "王五", PASSWORD, ["clerk"])
    mine = sign_in(ctx, "李丹", PASSWORD).token
    theirs = [sign_in(ctx, "王五", PASSWORD).token for _ in range(3)]
    current = authenticate(ctx, mine).session
    listed = list_sessions(ctx, current)
    assert [item.user for item in listed if item.current] == ["李丹"]
    assert not any(theirs[0].startswith(item.ref) for item in listed)
    ref = authenticate(ctx, theirs[0]).session[:16]
    assert end_sessions(ctx, "李丹", ref=ref) == 1
    with pytest.raises(Unauthenticated):
        authenticate(ctx, theirs[0])
    with pytest.raises(NotFound):
        end_sessions(ctx, "李丹", ref=ref)
    assert end_sessions(ctx, "李丹", spare=current) == 2
    assert authenticate(ctx, mine)


def test_locked_account_is_out_at_once_and_for_a_day(ctx: Context, clock: SetClock):
    user = add_user(ctx, "王五", PASSWORD, ["clerk"]).id
    token = sign_in(ctx, "王五", PASSWORD).token
    act(ctx, lock, user)
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)
    with pytest.raises(Locked):
        sign_in(ctx, "王五", PASSWORD)
    clock.go_on(days=1)
    assert sign_in(ctx, "王五", PASSWORD)


def test_one_address_has_a_limit_over_all_names(ctx: Context):
    for n in range(10):
        with pytest.raises(WrongPassword):
            sign_in(ctx, f"没有{n}", "guess guess", address="10.1.1.1")
    with pytest.raises(Throttled):
        sign_in(ctx, "李丹", PASSWORD, address="10.1.1.1")
    assert sign_in(ctx, "李丹", PASSWORD, address="10.1.1.2")


def test_own_password_needs_the_old_one_and_ends_every_session(ctx: Context):
    view = sign_in(ctx, "李丹", PASSWORD)
    actor = authenticate(ctx, view.token)
    for current, new in (("wrong", "another one entirely"), (PASSWORD, PASSWORD), (PASSWORD, "password1")):
        with pytest.raises(Invalid):
            change_own_password(ctx, actor.user_id, actor.name, current, new)
    change_own_password(ctx, actor.user_id, actor.name, PASSWORD, "another one entirely")
    with pytest.raises(Unauthenticated):
        authenticate(ctx, view.token)
    assert sign_in(ctx, "李丹", "another one entirely")


@pytest.mark.parametrize("password", ["password1234567890", "ALLCAPITALS", "联动联动联动联动", "lower-and-other"])
def test_strict_profile_asks_for_three_kinds_of_characters(password: str):
    with pytest.raises(Invalid):
        passwords.checked(password, "mlps3")
    assert passwords.checked(password)
    assert passwords.checked(STRICT, "mlps3")


def test_password_is_not_the_accounts_own_name():
    with pytest.raises(Invalid):
        passwords.checked("Zhang-San-620102", name="zhang-san-620102")


def test_strict_profile_opens_nothing_before_a_factor_and_after_ninety_days(strict: Context, clock: SetClock):
    token = sign_in(strict, "李丹", STRICT).token
    with pytest.raises(FactorNeeded):
        admitted(strict, token, "read")
    assert admitted(strict, token, "own_account").owes == "factor"
    secret, _ = enrolled(strict, STRICT)
    token = sign_in(strict, "李丹", STRICT, code(strict, secret)).token
    assert admitted(strict, token, "read").owes is None
    clock.go_on(days=strict.settings.password_days)
    token = sign_in(strict, "李丹", STRICT, code(strict, secret)).token
    with pytest.raises(PasswordExpired):
        admitted(strict, token, "read")
    actor = admitted(strict, token, "own_account")
    change_own_password(strict, actor.user_id, actor.name, STRICT, STRICT + "!")
    clock.go_on(seconds=60)
    token = sign_in(strict, "李丹", STRICT + "!", code(strict, secret)).token
    assert admitted(strict, token, "read")


def test_strict_profile_parts_system_security_and_audit(strict: Context):
    for roles in (["admin", "security"], ["admin", "auditor"], ["security", "clerk"]):
        with pytest.raises(Invalid):
            checked_roles(roles, "mlps3")
    assert checked_roles(["security"], "mlps3") == ["security"]
