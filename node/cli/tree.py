"""Commands of the tree: invite at the parent, join at the child, over the network or by stick."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.options import Data, Database, TierOption
from node.cli.terminal import commit, node, note, say

ENROLMENT = ".enrolment"


def register(app: typer.Typer) -> None:
    app.command("invite")(invite)
    app.command("join")(join)
    app.command("enrol")(enrol)
    app.command("ratify")(ratify)


def invite(
    code: Annotated[str, typer.Argument(help="下级的六位代码 / The child's division code.")],
    tier: TierOption,
    name: Annotated[str, typer.Option(help="下级名称 / What the child is called.")],
    renew: Annotated[
        str | None,
        typer.Option(
            "--renew", metavar="REASON", help="已入网的节点换了机器、换钥匙 / A new machine and key of a known node."
        ),
    ] = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="旧钥匙已落入他人之手 / The old key is in other hands; with --renew.")
    ] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """邀请下级入网：最后一行是一次性邀请码。Invite a child node; the last line is a single-use token.

    \b
    例 / Example:
      liandong invite 620102 --tier county --name 城关区政协
    邀请码请当面或经可靠渠道交付，不要公开 / Hand the token over privately: whoever has it can join as this node.
    """
    from pydantic import BaseModel

    from node.service import joining
    from node.service.commit import Batch
    from schemas.ids import Tier

    class Token(BaseModel):
        token: str

    if not (len(code) == 6 and code.isascii() and code.isdigit()):
        raise typer.BadParameter("六位数字 / six digits", param_hint="CODE")
    if not name.strip() or len(name) > 120:
        raise typer.BadParameter("1 到 120 个字 / 1 to 120 characters", param_hint="--name")

    def act(batch: Batch) -> Token:
        renewal = joining.Renewal(renew, revoke) if renew else None
        return Token(token=joining.invite(batch, code, Tier(tier.value), name, renewal))

    token = commit(node(data, database), "invite", act)["token"]
    note(f"请在 {code} {name} 上运行 / Run there: liandong join TOKEN")
    typer.echo(token)


def join(
    token: Annotated[str, typer.Argument(help="上级给的邀请码 / The parent's token.")],
    request: Annotated[
        Path | None,
        typer.Option("--request", dir_okay=False, help="不联网：写出申请，带给上级 / Write the request to a file."),
    ] = None,
    enrolment: Annotated[
        Path | None,
        typer.Option("--enrolment", exists=True, dir_okay=False, help="不联网：读入上级的答复 / The parent's answer."),
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """入网。Join the tree below the node that gave the token.

    \b
    联网 / Over the network:
      liandong join TOKEN
    用 U 盘 / By stick:
      下级 child   liandong join TOKEN --request ask.json
      上级 parent  liandong enrol ask.json --out answer.jsonl
      下级 child   liandong join TOKEN --enrolment answer.jsonl
    """
    from node.service import joining

    if request is not None and enrolment is not None:
        raise typer.BadParameter("--request 和 --enrolment 只能用一个 / give one of the two")
    ctx = node(data, database)
    if request is not None:
        request.write_bytes(joining.join_request(ctx, token))
        say(f"已写出 {request}，请带到上级运行 / Carry it to the parent: liandong enrol {request.name}")
        return
    if enrolment is not None:
        joining.finish_join(ctx, token, enrolment.read_bytes())
    else:
        joining.join(ctx, token)
    parent = joining.read_token(token).parent
    say(f"{ctx.identity.code} 已加入 {parent} / joined below {parent}")
    say("接下来 / Next: liandong user add 姓名 --role clerk --role admin ; liandong serve")


def enrol(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="下级的申请 / A child's request.")],
    out: Annotated[
        Path | None, typer.Option("--out", dir_okay=False, help="答复写到哪里，缺省在旁边 / Where the answer goes.")
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """接纳带来的入网申请，写出答复。Enrol the sender of a request that came by stick; writes the answer.

    同一申请再来一次，得到同样的答复 / The same request again gives the same answer.
    """
    from node.service import joining

    target = out or file.with_name(file.name + ENROLMENT)
    answer = joining.enrol_child(node(data, database), file.read_bytes())
    target.write_bytes(answer)
    say("请把答复带回下级运行 / Carry the answer back: liandong join TOKEN --enrolment FILE")
    say(str(target))


def ratify(
    code: Annotated[str, typer.Argument(help="体检点名的下级 / The child that doctor names.")],
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 / Do not ask.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """追认下级：本节点的登记写了两份，它或它的密钥只有另一份说到。Ratify a child that another branch enrols.

    \b
    体检（liandong doctor）点名时才用，先与对方核对密钥：它那里体检的第二行
    Only where doctor names the child. Compare the key with its office first: the second line of doctor there.
    """
    from node.service import life, remedy
    from node.service import roster as rosters
    from node.service.commit import Batch
    from node.service.torn import kid
    from node.store.engine import reading
    from schemas.registry import Card

    ctx = node(data, database)
    with reading(ctx.engine) as conn:
        inc = life.read(conn).inc
        words = remedy.to_ratify(conn, rosters.current(ctx, conn), ctx.identity.code, inc, code)
    card: Card = words[-1].entry.body.node
    say(f"{card.code} {card.name}  {card.tier}  {card.url}")
    say(f"密钥 / Key: {kid(card)}")
    if not yes:
        typer.confirm("这是本单位接纳的下级？/ Did this office enrol it?", abort=True)

    def act(batch: Batch) -> Card:
        return remedy.ratify(batch, code, card)

    commit(ctx, "enrol", act)
    say(f"已追认 {code} / {code} is ratified")
