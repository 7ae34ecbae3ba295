"""The command line: what it prints, what it refuses, and with which exit code."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyotp
import pyrage
import pytest
import typer

from node.cli import app, main
from node.cli.options import RoleName, TierName
from node.cli.topic import MODES, STATES, STEPS
from node.cli.verbs import COMMANDS, DeclineName, OutcomeName, RatingName, RemarkName, StepName, instant
from node.clock import Clock
from node.config import Settings
from node.domain.policy import TOPIC_VERBS, roles_of
from node.service import account, factors, sessions
from node.service.commit import write as commit_write
from node.service.identity import load
from node.web.words import pairs
from schemas.entry import Claimed, Mode, Outcome, Step
from schemas.ids import Tier
from schemas.people import OtpForm, ProofForm
from schemas.remark import PersonDeclineCode, PersonRemark, Rating

MESSAGES = (
    "留言编号,留言主题,留言时间,留言详情\n7,解放路积水,2026/3/2 9:12:00,逢雨必淹。\n8,,2026/3/2 9:12:00,没有标题。\n"
)


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Run = Callable[..., Ran]
PASSWORD = "long enough\n"
PLAN = ["--code", "620102", "--name", "x", "--tier", "county", "--url", "http://h"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `liandong ARGS`, with `stdin` as what is piped in."""

    def ran(*args: object, stdin: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["liandong", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return ran


@pytest.fixture
def tree(run: Run, tmp_path: Path) -> Callable[[str], list[str]]:
    """A city and a county joined by stick, made by the commands alone; gives the --data options of a node."""

    def at(code: str) -> list[str]:
        return ["--data", str(tmp_path / code)]

    made = ("--tier", "city", "--name", "兰州市政协", "--url", "http://127.0.0.1:18002", "--root")
    assert run("init", "--code", "620100", *made, *at("620100")).code == 0
    made = ("--tier", "county", "--name", "城关区政协", "--url", "http://127.0.0.1:18003")
    assert run("init", "--code", "620102", *made, *at("620102")).code == 0
    invited = run("invite", "620102", "--tier", "county", "--name", "城关区政协", *at("620100"))
    assert invited.code == 0
    token = invited.out.splitlines()[-1]
    assert invited.out.endswith(token + "\n")
    ask, answer = tmp_path / "ask", tmp_path / "answer"
    assert run("join", token, "--request", ask, *at("620102")).code == 0
    assert run("enrol", ask, "--out", answer, *at("620100")).code == 0
    assert run("join", token, "--enrolment", answer, *at("620102")).code == 0
    return at


def all_commands() -> dict[str, typer.models.CommandInfo]:
    found = {}

    def walk(part: typer.Typer, prefix: tuple[str, ...]) -> None:
        for command in part.registered_commands:
            found[" ".join((*prefix, command.name or ""))] = command
        for group in part.registered_groups:
            walk(group.typer_instance, (*prefix, group.name or ""))

    walk(app, ())
    return found


@pytest.mark.parametrize("command", sorted(all_commands()))
def test_help_of_every_command_teaches_in_both_languages(command: str, run: Run):
    said = run(*command.split(), "--help")
    assert said.code == 0
    assert any("\u4e00" <= char <= "\u9fff" for char in said.out)
    assert "Usage: liandong " + command in " ".join(said.out.split())


def test_choices_are_those_of_the_contract():
    pairs = [
        (TierName, {tier.value for tier in Tier}),
        (RoleName, roles_of("mlps3")),
        (StepName, set(Step.__args__[1:])),
        (OutcomeName, set(Outcome.__args__)),
        (DeclineName, set(PersonDeclineCode.__args__)),
        (RemarkName, set(PersonRemark.__args__)),
        (RatingName, set(Rating.__args__)),
    ]
    for choices, wanted in pairs:
        assert {item.value for item in choices} == set(wanted)
    assert set(STEPS) == set(Step.__args__)
    assert set(STATES) == {"active", "offered", "closed", "frozen"}
    assert set(Mode.__args__) <= set(MODES)
    assert {*COMMANDS, "open", "import"} == TOPIC_VERBS


def test_a_topic_travels_up_and_home_by_commands_and_bundles_alone(run: Run, tree, tmp_path: Path):
    city, county = tree("620100"), tree("620102")

    def carry(sender: list[str], to: str, receiver: list[str]) -> None:
        file = tmp_path / "bundle"
        assert run("bundle", "export", "--to", to, file, *sender).code == 0
        assert run("bundle", "import", file, "--json", *receiver).json["held"] == 0

    opened = run(
        "topic", "open", "--title", "解放路积水", "--text", "-", "--area", "620102", "--json", *county, stdin="淹"
    )
    topic, number = opened.json["id"], opened.json["number"]
    why = ("--reason", "涉及两区", "--tried", "已踏勘", "--override-reason", "群众要求")
    assert run("topic", "escalate", number, *why, "--answer-by", "2099-05-01", *county).code == 0
    carry(county, "620100", city)
    shown = run("topic", "accept", topic, "--json", *city).json
    assert (shown["custodian"], shown["offer"], shown["seq"]) == ("620100", None, 2)
    assert run("topic", "step", topic, "decide", "--text", "定", *city).code == 0
    assert run("topic", "report", topic, "--text", "办完", *city).code == 0
    carry(city, "620102", county)
    assert run("topic", "accept", number, *county).code == 0
    for step in ("research", "consult", "implement"):
        assert run("topic", "step", number, step, "--text", "办", *county).code == 0
    assert run("topic", "result", number, "A", "--text", "解决", *county).code == 0
    early = run("topic", "close", number, *county)
    assert (early.code, early.out) == (1, "")
    assert run("topic", "step", number, "feedback", "--text", "已告知", *county).code == 0
    assert run("topic", "close", number, "--json", *county).json["status"] == "closed"
    assert "逐级上交 escalate: 620100 兰州市政协" in run("topic", "show", number, *county).out
    assert run("topic", "entries", number, *county).out.count("✓") == 12
    assert run("topic", "list", "--status", "closed", *county).out.count(number) == 1
    for at in (city, county):
        assert run("verify", *at).code == 0


def test_import_names_bad_rows_and_imports_nothing_twice(run: Run, tree, tmp_path: Path):
    file = tmp_path / "messages.csv"
    file.write_text(MESSAGES, "gb18030")
    first = run("import", file, "--json", *tree("620102"))
    assert first.code == 1
    assert (first.json["created"], [error["row"] for error in first.json["errors"]]) == (1, [3])
    again = run("import", file, *tree("620102"))
    assert "created 0" in again.out
    assert "skipped 1" in again.out
    assert "row 3" in again.err


def test_users_are_added_and_shut_out(run: Run, tree):
    at = tree("620100")
    assert (
        run(
            "user", "add", "张三", "--role", "clerk", "--role", "admin", "--password-stdin", *at, stdin="long enough\n"
        ).code
        == 0
    )
    assert run("user", "add", "李四", "--role", "clerk", "--password-stdin", *at, stdin="short\n").code == 1
    assert run("user", "disable", "张三", *at).code == 0
    assert run("user", "list", "--json", *at).json == [{"name": "张三", "roles": ["admin", "clerk"], "active": False}]


def test_catalogue_of_another_kind_is_refused(run: Run, tree, tmp_path: Path):
    file = tmp_path / "list.csv"
    file.write_text(
        "category,function,tier,body,area,source\n城乡建设/安全生产,decide,county,县应急管理局,,假定\n", "utf-8"
    )
    bad = tmp_path / "bad.csv"
    bad.write_text("a,b\n1,2\n", "utf-8")
    assert run("catalogue", "load", bad, *tree("620100")).code == 1
    loaded = run("catalogue", "load", file, "--json", *tree("620100"))
    assert loaded.code == 0, loaded.err
    assert loaded.json == {"list": "powers", "version": 1}


@pytest.mark.parametrize(
    ("what", "args", "word"),
    [
        ("no node there", ["topic", "list", "--data", "nowhere"], "liandong init"),
        ("a node is there already", ["init", *PLAN], "already"),
        ("a token that is none", ["join", "abc"], "liandong invite"),
        ("an unknown topic", ["topic", "show", "620102-2026-999999"], "nothing here"),
        ("not offered here", ["topic", "accept", "0" * 64], "nothing here"),
        ("a child at a county", ["invite", "620103", "--tier", "county", "--name", "x"], "not below"),
        ("an unknown area", ["topic", "open", "--title", "x", "--text", "y", "--area", "999999"], "999999"),
        ("a neighbour it has not", ["bundle", "export", "--to", "620103", "x.bundle"], "620103"),
    ],
)
def test_refusal_is_one_line_in_both_languages(
    what: str, args: list[str], word: str, run: Run, tree, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    said = run(*args, *([] if "--data" in args else tree("620102")))
    assert (said.code, said.out) == (1, ""), what
    assert len(said.err.splitlines()) == 1
    assert word in said.err
    assert any("\u4e00" <= char <= "\u9fff" for char in said.err)


@pytest.mark.parametrize(
    "args",
    [
        ["init", "--code", "62", "--name", "x", "--tier", "county", "--url", "http://h"],
        ["init", "--code", "620102", "--name", "x", "--tier", "village", "--url", "http://h"],
        ["init", "--code", "620102", "--name", "x", "--tier", "county", "--url", "ftp://h"],
        ["invite", "１２３４５６", "--tier", "county", "--name", "x"],
        ["topic", "open", "--title", "", "--text", "y"],
        ["topic", "open", "--text", "y"],
        ["topic", "step", "x", "collect", "--text", "y"],
        ["topic", "list", "--status", "lost"],
        ["topic", "escalate", "x", "--reason", "y", "--tried", "z", "--answer-by", "soon"],
        ["import", "no-such-file.csv"],
        ["rehome", "620102"],
    ],
)
def test_wrong_usage_ends_with_two(args: list[str], run: Run, tree):
    said = run(*args, *tree("620102"))
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err


def test_date_alone_means_the_end_of_that_day_in_china():
    assert instant("2026-05-01") == "2026-05-01T23:59:59+08:00"
    assert instant("2026-05-01T09:00:00Z") == "2026-05-01T09:00:00Z"
    assert instant(None) is None


@pytest.mark.parametrize(("suffix", "begins"), [("xlsx", b"PK"), ("pdf", b"%PDF-"), ("PDF", b"%PDF-")])
def test_report_writes_the_sheet_of_a_month_as_its_file_is_named(
    run: Run, tree: Callable[[str], list[str]], tmp_path: Path, suffix: str, begins: bytes
):
    file = tmp_path / f"十月.{suffix}"
    said = run("report", "2026-10", file, *tree("620100"))
    assert (said.code, said.err) == (0, "")
    assert file.read_bytes().startswith(begins)


@pytest.mark.parametrize(("month", "name"), [("October", "a.pdf"), ("2026-13", "a.xlsx"), ("2026-10", "a.doc")])
def test_report_of_no_month_or_to_no_known_file_writes_nothing(
    run: Run, tree: Callable[[str], list[str]], tmp_path: Path, month: str, name: str
):
    assert run("report", month, tmp_path / name, *tree("620100")).code == 2
    assert not (tmp_path / name).exists()


# ---- what is refused, and what to do about it ---------------------------------------------------------------------


@pytest.fixture
def admins(run: Run, tree: Callable[[str], list[str]]) -> list[str]:
    """The --data options of the city, where 张三 and 李四 are admins."""
    at = tree("620100")
    for name in ("张三", "李四"):
        added = run("user", "add", name, "--role", "admin", "--password-stdin", *at, stdin=PASSWORD)
        assert added.code == 0, added.err
    return at


def enrol_factor(data: str, name: str) -> list[str]:
    """Give an account a second factor; its recovery codes."""
    ctx = load(Settings(data=Path(data)), Clock())
    actor = sessions.authenticate(ctx, sessions.sign_in(ctx, name, PASSWORD.strip()).token)
    made = account.begin_factor(ctx, actor, ProofForm(password=PASSWORD.strip()))
    codes = account.confirm_factor(
        ctx, actor, OtpForm(otp=pyotp.TOTP(made.secret, interval=factors.STEP_S).now())
    ).codes
    ctx.engine.dispose()
    return codes


def by(name: str) -> tuple[str, ...]:
    return ("--by", name, "--password-stdin")


def rule(broken: str, **values: object) -> str:
    """What is said of a broken rule, in both languages."""
    return " / ".join(text.format_map(values) for text in pairs()[f"problem.rule.{broken}"]) + "\n"


def test_restore_of_what_is_no_good_backup_says_what_is_wrong_with_it(run: Run, tree, tmp_path: Path):
    mine, other = (pyrage.x25519.Identity.generate() for _ in range(2))
    plain, sealed, key = tmp_path / "plain", tmp_path / "sealed", tmp_path / "key"
    assert run("backup", plain, *tree("620102")).code == 0
    assert run("backup", sealed, "--to", mine.to_public(), *tree("620102")).code == 0
    key.write_text(str(other))
    raw = bytearray(plain.read_bytes())
    raw[len(raw) // 2] ^= 1
    plain.write_bytes(raw)
    to = ("--data", tmp_path / "again")
    assert run("restore", plain, *to) == Ran(1, "", rule("backup_damaged", name="node.db"))
    assert run("restore", sealed, *to) == Ran(1, "", rule("backup_encrypted"))
    assert run("restore", sealed, "--identity", key, *to) == Ran(1, "", rule("wrong_identity"))
    assert run("restore", key, *to) == Ran(1, "", rule("not_a_backup"))


def test_claim_is_refused_to_who_asked_for_it_and_to_a_wrong_password_in_plain_words(
    run: Run, tree, admins: list[str], tmp_path: Path
):
    assert run("topic", "open", "--title", "路灯", "--text", "不亮", *tree("620102")).code == 0
    file = tmp_path / "bundle"
    assert run("bundle", "export", "--to", "620100", file, *tree("620102")).code == 0
    assert run("bundle", "import", file, *admins).code == 0
    asked = run("rehome", "620102", "--reason", "失火", *by("张三"), "--json", *admins, stdin=PASSWORD)
    assert asked.code == 0, asked.err
    approve = ("rehome", "--approve", asked.json["id"])
    own = run(*approve, *by("张三"), *admins, stdin=PASSWORD)
    assert (own.code, own.out) == (1, "")
    assert "不能批准自己提出的认领，须由另一位管理员批准" in own.err
    assert "another admin has to" in own.err
    wrong = run(*approve, *by("李四"), *admins, stdin="not the password\n")
    assert (wrong.code, wrong.err) == (1, "用户名或密码不对 / Name or password is wrong\n")
    assert run(*approve, *by("李四"), *admins, stdin=PASSWORD).code == 0
    listed = run("rehome", "--json", *admins).json
    assert [(claim["id"], claim["state"]) for claim in listed["items"]] == [(asked.json["id"], "asking")]


def test_claim_is_asked_for_by_an_account_with_a_second_factor(run: Run, tree, admins: list[str], tmp_path: Path):
    assert run("topic", "open", "--title", "路灯", "--text", "不亮", *tree("620102")).code == 0
    file = tmp_path / "bundle"
    assert run("bundle", "export", "--to", "620100", file, *tree("620102")).code == 0
    assert run("bundle", "import", file, *admins).code == 0
    codes = enrol_factor(admins[1], "张三")
    ask = ("rehome", "620102", "--reason", "失火", *by("张三"), "--json", *admins)
    assert "第二行" in run(*ask, stdin=PASSWORD).err
    assert run(*ask, stdin=f"{PASSWORD}000000\n").err == "用户名或密码不对 / Name or password is wrong\n"
    assert run(*ask, stdin=f"{PASSWORD}{codes[0]}\n").json["state"] == "needs_approval"


def test_password_and_code_are_two_lines_of_standard_input_whatever_the_locale():
    ask = "from node.cli import office; print(office.ask_password(True), office.ask_one_time_code(True))"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        input="密码 abc\n123456\n".encode(),
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
        check=True,
    )
    assert done.stdout.decode().split() == ["密码", "abc", "123456"]


def test_rehome_of_the_node_itself_is_refused(run: Run, admins: list[str]):
    assert run("topic", "open", "--title", "路灯", "--text", "不亮", *admins).code == 0
    said = run("rehome", "620100", "--to", "620102", "--reason", "试", *by("张三"), *admins, stdin=PASSWORD)
    assert said == Ran(1, "", rule("own_node"))
    assert run("rehome", "--json", *admins).json["items"] == []


def test_who_heals_is_told_where_to_look_and_who_never_joined_to_join(run: Run, tree, tmp_path: Path):
    file = tmp_path / "messages.csv"
    file.write_text(MESSAGES, "utf-8")
    writes = (("topic", "open", "--title", "路灯", "--text", "不亮"), ("import", file))
    at = tree("620102")
    assert run("heal", "--reason", "克隆", "--yes", *at).code == 0
    for write in writes:
        said = run(*write, *at)
        assert (said.code, said.out) == (1, "")
        assert "节点正在恢复" in said.err
        assert "This node is healing" in said.err
        assert "liandong doctor" in said.err
        assert "liandong join" not in said.err
    new = ("--data", tmp_path / "new")
    assert run("init", *PLAN, *new).code == 0
    for write in writes:
        said = run(*write, *new)
        assert said.code == 1
        assert "liandong join" in said.err
        assert "heal" not in said.err


def test_orphans_of_a_topic_are_listed_with_the_hash_that_disposes_of_them(run: Run, tree, tmp_path: Path):
    city, county, file = tree("620100"), tree("620102"), tmp_path / "bundle"

    def carry() -> None:
        assert run("bundle", "export", "--to", "620100", file, *county).code == 0
        assert run("bundle", "import", file, *city).code == 0

    topic = run("topic", "open", "--title", "路灯", "--text", "不亮", "--json", *county).json["id"]
    carry()
    assert run("topic", "orphans", topic, "--json", *city).json == {"items": [], "next": None}
    ctx = load(Settings(data=Path(city[1]), disk_reserve_bytes=0), Clock())
    with commit_write(ctx) as batch:
        batch.entry(topic, "claimed", Claimed(reason="失联", approved_by=["甲", "乙"]))
    ctx.engine.dispose()
    assert run("topic", "note", topic, "--text", "晚到的", *county).code == 0
    carry()
    (found,) = run("topic", "orphans", topic, "--json", *city).json["items"]
    assert (found["kind"], found["author"], found["disposed"]) == ("noted", "620102", None)
    shown = run("topic", "orphans", topic, *city).out
    assert found["hash"] in shown
    assert "未处置 open" in shown
    assert run("topic", "dispose", topic, found["hash"], "--decision", "adopt", *city).code == 0
    assert "已采纳 adopted" in run("topic", "orphans", topic, *city).out


@pytest.mark.parametrize("there", ["no node", "a node that never joined"])
def test_receipt_is_checked_where_no_root_is_known_only_with_its_key(run: Run, tmp_path: Path, there: str):
    file, at = tmp_path / "a.tlog-proof", ("--data", tmp_path / "here")
    file.write_text("c2sp.org/tlog-proof@v1\n")
    if there != "no node":
        assert run("init", *PLAN, *at).code == 0
    said = run("verify-receipt", file, *at)
    assert (said.code, said.out) == (2, "")
    assert "--root-key" in said.err
    assert "liandong init" not in said.err
