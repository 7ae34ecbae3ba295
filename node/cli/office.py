"""Commands of one office: make the node, its accounts, its code lists, and what is wrong here."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import Data, Database, Json, RoleName, TierOption
from node.cli.terminal import commit, node, note, print_json, say, settings, table

Name = Annotated[str, typer.Argument(help="登录名 / Account name.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="从标准输入读密码 / Read the password from stdin.")]

user_app = typer.Typer(help="账号 / Accounts of the people who work here.", no_args_is_help=True)
catalogue_app = typer.Typer(help="权责清单、分类、区划、日历 / Code lists.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command("init")(init)
    app.add_typer(user_app, name="user")
    app.add_typer(catalogue_app, name="catalogue")
    app.command("doctor")(doctor)


def init(
    code: Annotated[str, typer.Option(help="六位行政区划代码 / Division code, six digits.")],
    name: Annotated[str, typer.Option(help="单位名称 / What the office is called.")],
    tier: TierOption,
    url: Annotated[str, typer.Option(help="其他节点和浏览器访问本节点的地址 / Where this node is reached.")],
    root: Annotated[bool, typer.Option("--root", help="作为最上级，自成一棵树 / Anchor a tree of its own.")] = False,
    divisions: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="代替内置区划表 / Replaces the built-in table: code,name,level,parent."
        ),
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """新建节点：密钥、数据库、守护文件。Make a node: key, database, guard.

    \b
    例 / Example:
      liandong init --data /var/lib/liandong --code 620100 --name 兰州市政协 --tier city --url http://10.1.2.2:8000
    """
    from pydantic import TypeAdapter

    from node.clock import Clock
    from node.service.create import Plan, init_node
    from schemas.ids import Tier
    from schemas.registry import Card

    for field, value in (("code", code), ("name", name), ("url", url)):
        _checked(TypeAdapter(Card.model_fields[field].rebuild_annotation()), field, value)
    content = divisions.read_bytes() if divisions else None
    where = settings(data, database)
    ctx = init_node(where, Clock(), Plan(code, name, Tier(tier.value), url, root, content))
    say(f"已建立节点 {code} {name}，数据在 {where.data} / The node is made.")
    say(f"密钥 / Key: {ctx.identity.signer.kid}")
    say("接下来 / Next:")
    at = "" if data is None else f" --data {data}"
    if root:
        say(f"  liandong user add 姓名 --role clerk --role admin{at}")
        say(f"  liandong serve{at}")
        say(f"  liandong invite 下级代码 --tier city --name 下级名称{at}")
    else:
        say(f"  liandong join 邀请码{at}        （邀请码由上级 liandong invite 产生 / token from the parent）")
        say(f"  liandong user add 姓名 --role clerk --role admin{at}")
        say(f"  liandong serve{at}")


def _checked(adapter: object, field: str, value: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    assert isinstance(adapter, TypeAdapter)  # noqa: S101 - narrows the type
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"], param_hint=f"--{field}") from None


@user_app.command("add")
def add_user(
    name: Name,
    role: Annotated[list[RoleName], typer.Option("--role", help="可重复 / May be repeated.")],
    password_stdin: FromStdin = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """新增账号。Add an account; asks for the password unless --password-stdin.

    \b
    clerk        经办：议题的全部操作 / all work on topics
    coordinator  统筹：本单位及下属单位的议题 / works on the topics of a unit
    supervisor   督办：全部可看，可催办 / sees everything, urges
    leader       领导：分管单位，交办、催办 / assigns duties, urges
    auditor      审计：只读，查审计日志 / reads everything, the audit too
    admin        管理：账号、邀请、联络 / accounts, invitations, links; reads topics
    security     安全管理：仅用于 mlps3 / rights and trust, under the profile mlps3 only
    例 / Example:
      echo '口令口令口令' | liandong user add 张三 --role clerk --password-stdin
    """
    from node.service import users

    ctx = node(data, database)
    password = ask_password(password_stdin)
    user = users.add_user(ctx, name, password, [item.value for item in role])
    say(f"已新增账号 / Added: {user.name} ({', '.join(user.roles)})")


@user_app.command("password")
def changepassword(name: Name, password_stdin: FromStdin = False, data: Data = None, database: Database = None) -> None:
    """重设密码，已登录的须重新登录。Set a new password; ends the account's sessions."""
    from node.service import users

    ctx = node(data, database)
    users.change_password(ctx, name, ask_password(password_stdin))
    say(f"已重设密码 / Password set: {name}")


@user_app.command("disable")
def disable_user(name: Name, data: Data = None, database: Database = None) -> None:
    """停用账号（历史保留）。Let an account in no more; its history stays."""
    from node.service import users

    users.set_active(node(data, database), name, False)
    say(f"已停用 / Disabled: {name}")


@user_app.command("enable")
def enable_user(name: Name, data: Data = None, database: Database = None) -> None:
    """恢复账号，并解除登录锁定。Let an account in again, and lift a lock-out."""
    from node.service import users

    users.set_active(node(data, database), name, True)
    say(f"已恢复 / Enabled: {name}")


@user_app.command("list")
def list_users(json: Json = False, data: Data = None, database: Database = None) -> None:
    """列出账号。List the accounts."""
    from node.service import users

    found = users.list_users(node(data, database))
    if json:
        print_json([{"name": user.name, "roles": user.roles, "active": user.active} for user in found])
        return
    rows = [(user.name, " ".join(user.roles), "启用 active" if user.active else "停用 disabled") for user in found]
    table(("姓名 name", "角色 roles", "状态 state"), rows)


@catalogue_app.command("load")
def load_catalogue(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV，UTF-8。")],
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """载入权责清单、分类、区划表或日历：检查、编号、下发。Load a code list: checked, versioned, published down.

    \b
    按表头识别 / Told apart by their header:
      category,function,tier,…   权责清单 powers catalogue
      level1,level2,level3       分类 categories
      code,name,level,parent     区划 divisions
      day,kind,name              节假日与调休 calendar of holidays
    """
    from pydantic import BaseModel

    from node.service.commit import Batch
    from node.service.published import publish, recognise

    class Loaded(BaseModel):
        list: str
        version: int

    content = file.read_bytes()
    name = recognise(content)
    ctx = node(data, database)

    def load(batch: Batch) -> Loaded:
        return Loaded(list=name, version=publish(batch, name, content))

    done = commit(ctx, "load_catalogue", load)
    if json:
        print_json(done)
    else:
        say(f"已载入并下发 / Loaded and published: {name}，第 {done['version']} 版 / version {done['version']}")


def doctor(json: Json = False, data: Data = None, database: Database = None) -> None:
    """体检：联络、时钟、磁盘、密钥、积压。What is wrong here and what to do about it; exit 1 if anything is."""
    from dataclasses import asdict

    from node.service.doctor import doctor as examine

    found = examine(node(data, database))
    bad = [item for item in found if item.level == "bad"]
    if json:
        print_json([asdict(item) for item in found])
    else:
        marks = {"ok": "✓", "warn": "!", "bad": "✗"}
        for item in found:
            say(f"{marks[item.level]} {item.what_zh} / {item.what_en}")
            if item.level != "ok":
                say(f"    → {item.do_zh} / {item.do_en}")
    raise typer.Exit(1 if bad else 0)


def ask_one_time_code(from_stdin: bool) -> str:
    """The code of a second factor, from the next line of standard input or the keyboard."""
    if from_stdin:
        return sys.stdin.readline().strip()
    given: str = typer.prompt("动态验证码 / One-time code")
    return given.strip()


def ask_password(from_stdin: bool, again: bool = True) -> str:
    """A password from standard input or the keyboard; `again`: a new one, typed twice."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")  # a text stream of typer's would keep the lines behind it
    if again:
        note("密码至少 8 个字符 / At least 8 characters.")
    given: str = typer.prompt(
        "密码 / Password", hide_input=True, confirmation_prompt="再输一次 / Again" if again else False
    )
    return given
