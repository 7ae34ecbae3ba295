"""Commands of what happens to a machine: backups, restoring, healing, one that is lost, a copy that runs twice."""

from collections.abc import Callable
from json import loads as load_json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Data, Database, Json
from node.cli.terminal import as_data, commit, node, note, print_json, progress, say, settings, table

if TYPE_CHECKING:
    from node.context import Context
    from node.service.commit import Batch
    from schemas.api import ClaimForm, ClaimView

CLAIMS_SHOWN = 200

Reason = Annotated[str, typer.Option(help="理由，记入审计或签名 / Why; it is kept.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="谁：管理员账号，要输密码 / Who: an admin's account.")]
FromStdin = Annotated[
    bool,
    typer.Option(
        "--password-stdin",
        help="从标准输入读密码，第二行是动态验证码 / Read the password, and then a one-time code, from stdin.",
    ),
]


def register(app: typer.Typer) -> None:
    for name, command in (("backup", backup), ("restore", restore), ("heal", heal), ("waive", waive)):
        app.command(name)(command)
    app.command("lift")(lift)
    app.command("rehome")(rehome)


def backup(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写到这个文件 / Where it goes.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="AGE1…", help="加密给 age 公钥 / Encrypt to an age recipient.")
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """备份：节点运行时也可做，得到某一时刻的完整副本。Back up, while the node works: one consistent moment.

    \b
    含私钥，请妥善保管，最好放到别的机器上 / It holds private keys: keep it safe, and on another machine.
    例 / Example:
      liandong backup /mnt/backup/620102.liandong
    """
    from node.service.backup import back_up

    ctx = node(data, database)
    with progress("备份 / backing up") as tell:
        found = back_up(ctx, file, to, tell)
    say(f"已备份 / Backed up: {found.code} {found.at:%Y-%m-%d %H:%M} UTC → {file} ({file.stat().st_size} bytes)")


def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="备份文件 / The backup.")],
    identity: Annotated[
        Path | None,
        typer.Option("--identity", exists=True, dir_okay=False, help="加密备份的 age 私钥文件 / The age identity."),
    ] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """恢复：放回空的数据文件夹；启动后自己与上下级核对，然后继续工作。Restore into an empty data folder.

    \b
    恢复后的节点先只读：它与上级、下级核对，取回备份之后的内容，由上级准许后继续 / A restored node is read-only until
    it has compared with its neighbours, got back what came after the backup, and its parent lets it go on.
    例 / Example:
      liandong restore /mnt/backup/620102.liandong --data /var/lib/liandong
      liandong serve --data /var/lib/liandong
    """
    from node.service import healing
    from node.service.backup import restore as put_back

    where = settings(data, database)
    found = put_back(where, file, identity.read_text() if identity else None)
    say(f"已恢复 / Restored: {found.code}，备份于 / backed up {found.at:%Y-%m-%d %H:%M} UTC → {where.data}")
    waits = healing.line(node(data, database))
    if waits:
        say(f"{waits[0]} / {waits[1]}")
    say("接下来 / Next: liandong serve" + ("" if data is None else f" --data {data}"))


def heal(
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 / Do not ask.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """终止本节点的这一世，重新核对后继续：发现克隆或记录不一致时用。End this incarnation and heal.

    \b
    用于 / For: 同一节点曾有两份在运行（先停掉错的那份）；联络因 hash-mismatch 停止
                two copies have run (stop the wrong one first); a link stopped for hash-mismatch
    期间只读，手上的议题由上级认领后交回 / Read-only meanwhile; what it holds is claimed and given back.
    """
    from node.service import healing
    from node.service.commit import Batch
    from schemas.api import HealingView

    ctx = node(data, database)
    if not yes:
        typer.confirm(
            "节点将只读，直到核对完毕。继续？/ The node will be read-only until it has healed. Go on?", abort=True
        )

    def act(batch: Batch) -> HealingView:
        healing.begin_anew(batch, reason)
        batch.flush()
        return healing.view_in(ctx, batch.conn)

    said = commit(ctx, "heal", act)
    say(f"{said['zh']} / {said['en']}")


def waive(
    peer: Annotated[str, typer.Argument(metavar="CODE", help="等不到的相邻节点 / The neighbour that cannot answer.")],
    reason: Reason,
    data: Data = None,
    database: Database = None,
) -> None:
    """恢复时不再等某个相邻节点（书面免除）。Heal without a neighbour that cannot be reached, in writing."""
    from node.service import healing
    from node.service.commit import Batch
    from schemas.api import HealingView

    ctx = node(data, database)

    def act(batch: Batch) -> HealingView:
        healing.waive(batch, peer, reason)
        batch.flush()
        return healing.view_in(ctx, batch.conn)

    said = commit(ctx, "waive", act)
    say(f"{said['zh'] or '可以继续工作'} / {said['en'] or 'may work again'}")


def lift(
    peer: Annotated[
        str, typer.Argument(metavar="CODE", help="已停联络的相邻节点 / The neighbour whose link stands still.")
    ],
    reason: Reason,
    data: Data = None,
    database: Database = None,
) -> None:
    """恢复已停的联络：弄清原因之后。Let a stopped link go on, once a person has looked."""
    from node.service import healing, links
    from node.service.commit import Batch
    from schemas.api import HealingView

    ctx = node(data, database)

    def act(batch: Batch) -> HealingView:
        links.lift(batch, peer, reason)
        return healing.view_in(ctx, batch.conn)

    commit(ctx, "link", act)
    say(f"已恢复与 {peer} 的联络 / The link to {peer} goes on")


def rehome(
    lost: Annotated[str | None, typer.Argument(metavar="NODE", help="不再回来的节点 / The node that is lost.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="CODE", help="议题转给谁；不写则留在本节点 / Whom they go to.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="理由，写入每件议题 / Why; it goes into each topic.")] = None,
    approve: Annotated[
        str | None, typer.Option("--approve", metavar="CLAIM", help="批准别人提出的认领 / Approve another's claim.")
    ] = None,
    refuse: Annotated[
        str | None, typer.Option("--refuse", metavar="CLAIM", help="不予批准 / Refuse another's claim.")
    ] = None,
    by: By = "",
    password_stdin: FromStdin = False,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """认领失联节点手上的议题并转出，须两人 / Claim what a lost node holds and offer it on; it takes two persons.

    \b
    1. 第一人提出 / The first asks:     liandong rehome 620102 --to 620103 --reason 机房烧毁 --by 张三
    2. 第二人批准 / Another approves:   liandong rehome --approve CLAIM --by 李四
    3. 节点询问各方所知的最新条目，然后认领并转出 / The node asks everybody for what they know, then claims.
    不带参数：列出认领 / Without arguments: lists the claims.
    """
    from node.service import claims
    from schemas.api import ClaimForm

    ctx = node(data, database)
    if lost is None and approve is None and refuse is None:
        _show_claims(ctx, json)
        return
    decide: Callable[[Batch], ClaimView] | None = None
    if refuse is not None:
        claim, why = refuse, reason or "-"
        decide = lambda batch: claims.refuse(batch, claim, why)  # noqa: E731 - one of two
    elif approve is not None:
        claim = approve
        decide = lambda batch: claims.approve(batch, claim)  # noqa: E731 - one of two
    elif reason is None:
        raise typer.BadParameter("必须说明理由 / say why", param_hint="--reason")
    said = _claim(ctx, lambda: ClaimForm(node=lost, to=to, reason=reason or ""), decide, by, password_stdin)
    if json:
        print_json(said)
        return
    say(f"认领 / Claim {said['id']}: {said['state']}，{len(said['topics'])} 件议题 topics")
    if said["state"] == claims.NEEDS:
        note(f"请另一位管理员批准 / Another admin approves: liandong rehome --approve {said['id']} --by 姓名")


def _show_claims(ctx: "Context", as_json: bool) -> None:
    from node.service import claims

    found = claims.listed(ctx, None, CLAIMS_SHOWN)
    if as_json:
        print_json(as_data(found))
        return
    rows = [(one.id, one.node or "", one.to or "", one.state, str(len(one.topics))) for one in found.items]
    table(("认领 claim", "节点 node", "转给 to", "状态 state", "议题 topics"), rows)


def _claim(
    ctx: "Context",
    form: "Callable[[], ClaimForm] | None",
    decide: "Callable[[Batch], ClaimView] | None",
    by: str,
    password_stdin: bool,
) -> dict[str, Any]:
    """What one of the two persons does, signed in as herself; gives the claim."""
    from node.service import claims, sessions
    from node.service.perform import Command, perform

    if not by:
        raise typer.BadParameter("谁提出或批准 / who asks or approves", param_hint="--by")
    token = _sign_in(ctx, by, password_stdin)
    try:
        actor = sessions.authenticate(ctx, token)
        if decide is not None:
            done = perform(ctx, Command(actor, "approve_claim"), decide)
        else:
            assert form is not None  # noqa: S101 - the caller gives one of the two
            asked = form()
            done = perform(ctx, Command(actor, "claim"), lambda batch: claims.request(batch, asked))
    finally:
        sessions.sign_out(ctx, token)
    found: dict[str, Any] = load_json(done.body)
    return found


def _sign_in(ctx: "Context", by: str, password_stdin: bool) -> str:
    """The token of a session of hers. Asks for a one-time code only where the account has a second factor."""
    from node.cli.office import ask_one_time_code, ask_password
    from node.domain.refusals import OtpNeeded
    from node.service import sessions

    password = ask_password(password_stdin, again=False)
    try:
        return sessions.sign_in(ctx, by, password).token
    except OtpNeeded:
        code = ask_one_time_code(password_stdin)
        if not code:  # an empty one would count as a failure
            raise
        return sessions.sign_in(ctx, by, password, code).token
