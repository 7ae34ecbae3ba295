"""Receipts: make one, check one anywhere with the root's public key alone, and print that key."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Data, Database, Json
from node.cli.terminal import node, note, print_json, say
from node.cli.topic import Topic, resolve

if TYPE_CHECKING:
    from schemas.registry import Card
    from sync.receipt import Receipt

TIERS = {"county": "县 county", "city": "市 city", "province": "省 province"}
KINDS = {
    "opened": "登记了议题 / opened the topic",
    "accepted": "签收了议题 / accepted the topic",
    "declined": "不予受理 / declined the topic",
    "offered": "提出移交议题 / offered the topic on",
    "closed": "办结了议题 / closed the topic",
}


def register(app: typer.Typer) -> None:
    app.command("receipt")(receipt)
    app.command("verify-receipt")(verify_receipt)
    app.command("root-key")(root_key)


def receipt(
    topic: Topic,
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写到这个文件 / Where it goes.")],
    entry: Annotated[str | None, typer.Option(help="哪一条记录 / Of which entry; else of taking it up.")] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """出具回执：证明本单位已受理，任何人离线可验。Write a receipt: proof that this office took the topic up.

    \b
    例 / Example:
      liandong receipt 620102-2026-000042 回执.tlog-proof
    """
    from node.service.receipt import topic_receipt

    ctx = node(data, database)
    _, raw = topic_receipt(ctx, resolve(ctx, topic), entry)
    file.write_bytes(raw)
    say(f"已写出 / Written: {file} ({len(raw)} bytes)")


def verify_receipt(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="回执文件 / The receipt.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--root-key",
            metavar="KEY",
            help="最上级公钥或存放它的文件 / Public key of the root, or a file with it; otherwise this node's.",
        ),
    ] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """离线核验回执：谁、何时、受理了什么、由谁见证。Check a receipt offline: who accepted what, when, seen by whom.

    \b
    只需要最上级的公钥，不需要网络、账号或节点：
    Needs the root's public key alone, no network, account or node:
      liandong verify-receipt 回执.tlog-proof --root-key 0Vq3…（43 个字符 / 43 characters）
    真实退出码 0，不真实 1 / Exit 0 if it is good, 1 if not.
    """
    from node.service.receipt import check_receipt
    from sync.errors import SyncError

    root = _key(key, data, database)
    try:
        found = check_receipt(file.read_bytes(), root)
    except SyncError as error:
        if json:
            print_json({"ok": False, "code": error.code, "detail": error.detail})
        note(f"回执无效，不能采信 / NOT a good receipt: {error}")
        raise typer.Exit(1) from None
    if json:
        print_json({"ok": True, **_as_data(found)})
    else:
        _explain(found)


def root_key(data: Data = None, database: Database = None) -> None:
    """显示本节点所信任的最上级公钥，核验回执用。Print the public key of the root, by which receipts are checked."""
    from node.service.receipt import root_key as of

    code, key = of(node(data, database))
    note(f"最上级节点 / Root: {code}")
    say(key)


def _key(given: str | None, data: Path | None, database: str | None) -> bytes:
    from node.domain.refusals import NoNode, NotFound
    from node.service.receipt import root_key as of
    from sync.errors import Refused
    from sync.keys import KEY_BYTES, unb64

    try:
        text = of(node(data, database))[1] if given is None else given
    except (NoNode, NotFound):
        said = (
            "本机没有已入网的节点，请给出最上级的公钥 / No node that knows the root is here: give the root's public key"
        )
        raise typer.BadParameter(said, param_hint="--root-key") from None
    try:
        if Path(text).is_file():
            text = Path(text).read_text("utf-8")
        raw = unb64(text.strip())
    except (Refused, OSError, UnicodeDecodeError):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise typer.BadParameter("公钥是 43 个字符 / A key has 43 characters", param_hint="--root-key")
    return raw


def _explain(found: "Receipt") -> None:
    said = found.statement.payload
    what = KINDS.get(said.kind, f"写下了记录 / wrote an entry ({said.kind})")
    say("回执真实有效 / The receipt is good.")
    say(f"单位 / Office:    {_named(found.author)}")
    say(f"行为 / Did:       {what}")
    if found.opened is not None:
        say(f"议题 / Topic:     {found.opened.number} {found.opened.title}")
    say(f"时间 / Says when: {said.at}")
    for label, value in _promised(found):
        say(f"{label} {value}")
    say(f"标识 / Identity:  {found.statement.id}")
    say(f"日志 / Log:       {found.checkpoint.origin}, {found.index} < {found.checkpoint.size}")
    for seen in found.seen:
        at = datetime.fromtimestamp(seen.at, UTC).isoformat().replace("+00:00", "Z")
        say(f"见证 / Witness:   {_named(seen.node)}，见证时间 / at {at}")
    say(f"信任起点 / Root:  {_named(found.root)}")


def _promised(found: "Receipt") -> list[tuple[str, str]]:
    offer = found.offered
    if offer is None:
        return []
    dates = [("答复期限 / Answer by:", offer.answer_by), ("办理期限 / Due at:  ", offer.due_at)]
    return [(label, value) for label, value in dates if value is not None]


def _named(card: "Card") -> str:
    return f"{card.code} {card.name}（{TIERS[card.tier.value]}）"


def _as_data(found: "Receipt") -> dict[str, Any]:
    said = found.statement.payload
    return {
        "statement": found.statement.id,
        "kind": said.kind,
        "author": found.author.code,
        "at": said.at,
        "topic": getattr(said, "topic", None) or found.statement.id,
        "number": found.opened.number if found.opened else None,
        "title": found.opened.title if found.opened else None,
        "answer_by": found.offered.answer_by if found.offered else None,
        "due_at": found.offered.due_at if found.offered else None,
        "log": found.checkpoint.origin,
        "index": found.index,
        "size": found.checkpoint.size,
        "witnesses": [{"node": seen.node.code, "at": seen.at} for seen in found.seen],
        "root": found.root.code,
    }
