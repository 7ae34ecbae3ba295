"""Accounts and sessions, on both databases: who gets in, for how long, and what nobody can find out."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.refusals import Invalid, NotFound, TooManyRequests, Unauthenticated
from node.service import passwords, sessions, users
from node.service.create import Plan, init_node
from node.service.sessions import Locked, WrongPassword, authenticate, sign_in, sign_out
from node.service.users import NameTaken, add_user, change_password, change_roles, list_users, set_active
from node.store.engine import reading
from node.store.office import sessions as session_rows
from node.store.tables import audit
from schemas.ids import Tier

PASSWORD = "联动联动联动联动"
FAILURES_MAX = 3


class SetClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 5, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def go_on(self, **span: float) -> None:
        self.at += timedelta(**span)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ctx(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Context]:
    settings = Settings(data=tmp_path / "data", database_url=database_url, login_failures_max=FAILURES_MAX)
    made = init_node(settings, clock, Plan("620000", "甘肃省政协", Tier.PROVINCE, "http://127.0.0.1:8000"))
    yield made
    made.engine.dispose()


@pytest.fixture
def clerk(ctx: Context) -> str:
    return add_user(ctx, "李丹", PASSWORD, ["clerk"]).name


def fail(ctx: Context, name: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(WrongPassword):
            sign_in(ctx, name, "not the password")


def audited(ctx: Context) -> list[tuple[str, str, str]]:
    with reading(ctx.engine) as conn:
        return [(row.actor, row.action, row.result) for row in conn.execute(select(audit).order_by(audit.c.id))]


# ---- accounts -------------------------------------------------------------------------------------------------------


def test_added_user_is_listed_and_audited_by_number(ctx: Context):
    made = add_user(ctx, "  张 三 ", PASSWORD, ["clerk", "admin", "clerk"], by="赵主任")
    assert (made.name, made.roles, made.active) == ("张 三", ("admin", "clerk"), True)
    assert list_users(ctx) == [made]
    assert audited(ctx)[-1] == ("赵主任", "add_user", "done")


def test_same_name_twice_is_refused_in_any_normal_form(ctx: Context):
    add_user(ctx, "Ren\u00e9", PASSWORD, ["clerk"])
    with pytest.raises(NameTaken):
        add_user(ctx, "Rene\u0301", PASSWORD, ["admin"])
    assert len(list_users(ctx)) == 1


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\tb", "x" * 65, "job", "local", "node:620100", "a\u202eb", "a\u200bb", "a\x00b"]
)
def test_name_is_one_visible_line_that_means_nothing_else(name: str):
    with pytest.raises(Invalid) as refused:
        users.user_name(name)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "password", ["short77", "x" * 257, "password\n", "pass\x00word", "password", "IloveYou", "1qaz2wsx"]
)
def test_password_is_refused_for_length_controls_and_being_common(password: str):
    with pytest.raises(Invalid) as refused:
        passwords.checked(password)
    assert refused.value.field == "password"
    assert passwords.checked("        ") == "        "
    assert passwords.checked("x" * 256)


@pytest.mark.parametrize("roles", [[], ["security"], ["clerk", "root"]])
def test_roles_are_one_or_several_known_ones(roles: list[str]):
    with pytest.raises(Invalid) as refused:
        users.checked_roles(roles)
    assert refused.value.field == "roles"


def test_unknown_account_cannot_be_changed(ctx: Context):
    for change in (lambda: set_active(ctx, "x", False), lambda: change_roles(ctx, "x", ["clerk"])):
        with pytest.raises(NotFound):
            change()


def test_password_hash_is_argon2id_and_the_strangers_hash_costs_as_much():
    stored = passwords.hash_password(PASSWORD, bytes(16))
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.NOBODYS.rpartition("$")[0] == stored.rpartition("$")[0]


# ---- signing in and out ---------------------------------------------------------------------------------------------


def test_session_is_a_256_bit_token_of_which_only_the_hash_is_stored(ctx: Context, clerk: str):
    view = sign_in(ctx, clerk, PASSWORD)
    assert len(bytes.fromhex(view.token)) == 32
    assert view.expires_at == ctx.clock.now() + timedelta(days=7)
    with reading(ctx.engine) as conn:
        assert view.token not in str(conn.execute(select(session_rows)).all())
    actor = authenticate(ctx, view.token)
    assert (actor.name, actor.roles) == (clerk, {"clerk"})


def test_password_matches_in_any_normal_form(ctx: Context):
    add_user(ctx, "x", "caf\u00e9-caf\u00e9", ["clerk"])
    assert sign_in(ctx, "x", "cafe\u0301-cafe\u0301")


def test_signing_out_ends_this_session_at_once_and_no_other(ctx: Context, clerk: str):
    first, second = sign_in(ctx, clerk, PASSWORD).token, sign_in(ctx, clerk, PASSWORD).token
    assert authenticate(ctx, first)
    sign_out(ctx, first)
    sign_out(ctx, first)
    with pytest.raises(Unauthenticated):
        authenticate(ctx, first)
    assert authenticate(ctx, second)
    assert [row[1] for row in audited(ctx)].count("sign_out") == 1


@pytest.mark.parametrize("token", ["", "0" * 64, "x" * 10_000, "\u4e2d" * 64])
def test_made_up_token_is_nobodys(ctx: Context, token: str):
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)


@pytest.mark.parametrize(
    "change",
    [
        lambda ctx: change_password(ctx, "李丹", PASSWORD + "2"),
        lambda ctx: change_roles(ctx, "李丹", ["admin"]),
        lambda ctx: set_active(ctx, "李丹", False),
    ],
    ids=["password", "roles", "deactivated"],
)
def test_changed_account_is_signed_out_at_once(ctx: Context, clerk: str, change):
    token = sign_in(ctx, clerk, PASSWORD).token
    change(ctx)
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)


def test_deactivated_account_is_like_none_until_it_is_let_in_again(ctx: Context, clerk: str):
    set_active(ctx, clerk, False)
    with pytest.raises(WrongPassword):
        sign_in(ctx, clerk, PASSWORD)
    set_active(ctx, clerk, True)
    assert sign_in(ctx, clerk, PASSWORD)


def test_idle_session_ends_and_use_prolongs_it(ctx: Context, clerk: str, clock: SetClock):
    token = sign_in(ctx, clerk, PASSWORD).token
    for _ in range(3):
        clock.go_on(hours=7)
        assert authenticate(ctx, token)
    clock.go_on(hours=8)
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)


def test_used_session_ends_after_its_absolute_time(ctx: Context, clerk: str, clock: SetClock):
    token = sign_in(ctx, clerk, PASSWORD).token
    for _ in range(7 * 24 // 7):
        clock.go_on(hours=7)
        end = clock.at >= datetime(2026, 5, 8, 1, tzinfo=UTC)
        if not end:
            authenticate(ctx, token)
    with pytest.raises(Unauthenticated):
        authenticate(ctx, token)
    sign_in(ctx, clerk, PASSWORD)
    with reading(ctx.engine) as conn:
        assert len(conn.execute(select(session_rows)).all()) == 1, "the ended one is swept"


def test_authenticating_writes_at_most_once_a_minute(ctx: Context, clerk: str, clock: SetClock):
    token = sign_in(ctx, clerk, PASSWORD).token
    written: list[str] = []
    event.listen(ctx.engine, "before_cursor_execute", lambda *args: written.append(args[2]))
    for _ in range(150):
        authenticate(ctx, token)
        clock.go_on(seconds=1)
    assert sum(statement.startswith("UPDATE sessions") for statement in written) == 2


def test_authenticating_survives_a_database_that_cannot_be_written(ctx: Context, clerk: str, clock: SetClock):
    if ctx.engine.dialect.name != "sqlite":
        pytest.skip("asks SQLite to refuse writes")
    token = sign_in(ctx, clerk, PASSWORD).token
    clock.go_on(hours=1)
    event.listen(ctx.engine, "checkout", lambda conn, *_: conn.execute("PRAGMA query_only=ON"))
    assert authenticate(ctx, token)


def test_signing_in_needs_no_room_on_the_reserve(ctx: Context, clerk: str):
    full = replace(ctx, settings=ctx.settings.model_copy(update={"disk_reserve_bytes": 1 << 60}))
    assert authenticate(full, sign_in(full, clerk, PASSWORD).token)


# ---- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["李丹", "nobody"], ids=["account", "stranger"])
def test_too_many_failures_lock_accounts_and_strangers_alike(ctx: Context, clerk: str, clock: SetClock, name: str):
    fail(ctx, name, FAILURES_MAX)
    for password in (PASSWORD, "not the password"):
        with pytest.raises(Locked) as locked:
            sign_in(ctx, name, password)
        assert locked.value.retry_after_s == 300
    clock.go_on(seconds=299.5)
    with pytest.raises(Locked) as locked:
        sign_in(ctx, name, PASSWORD)
    assert locked.value.retry_after_s == 1
    clock.go_on(seconds=1)
    fail(ctx, name, 1)


def test_right_password_forgets_the_failures(ctx: Context, clerk: str):
    for _ in range(2):
        fail(ctx, clerk, FAILURES_MAX - 1)
        assert sign_in(ctx, clerk, PASSWORD)


def test_new_password_unlocks(ctx: Context, clerk: str):
    fail(ctx, clerk, FAILURES_MAX)
    change_password(ctx, clerk, PASSWORD + "2")
    assert sign_in(ctx, clerk, PASSWORD + "2")


def test_unknown_name_does_the_same_work_and_is_written_nowhere(ctx: Context, clerk: str, monkeypatch):
    hashed: list[str] = []
    real = sessions.matches
    monkeypatch.setattr(sessions, "matches", lambda stored, given: hashed.append(stored) or real(stored, given))
    fail(ctx, clerk, 1)
    before = audited(ctx)
    fail(ctx, "password-typed-into-the-wrong-field", 1)
    assert hashed[1] == passwords.NOBODYS
    assert audited(ctx) == before
    assert before[-1] == (clerk, "sign_in", "refused")


def test_guesses_at_the_same_moment_do_not_pass_the_lock(ctx: Context, clerk: str):
    outcomes: list[type[Exception]] = []

    def guess() -> None:
        try:
            sign_in(ctx, clerk, "not the password")
        except TooManyRequests as error:
            outcomes.append(type(error))
        except WrongPassword as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 7
    assert outcomes.count(WrongPassword) == FAILURES_MAX


def test_flood_of_sign_ins_is_told_to_come_back(monkeypatch):
    busy = threading.Event()
    monkeypatch.setattr(passwords._HASHER.__class__, "verify", lambda *_: busy.wait(10))
    threads = [
        threading.Thread(target=passwords.matches, args=(passwords.NOBODYS, "x"))
        for _ in range(passwords.HASHES_MAX + passwords.WAITING_MAX)
    ]
    for thread in threads:
        thread.start()
    with pytest.raises(TooManyRequests):
        passwords.matches(passwords.NOBODYS, "x")
    busy.set()
    for thread in threads:
        thread.join()
    assert passwords.matches(passwords.NOBODYS, "x")


def test_hostile_names_reach_the_database_as_text(ctx: Context, clerk: str):
    for name in ("'; drop table users; --", "李丹' or '1'='1", "\U0001f600", "%", "_" * 64):
        fail(ctx, name, 1)
    with reading(ctx.engine) as conn:
        assert conn.execute(text("select count(*) from users")).scalar() == 1
