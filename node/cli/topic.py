"""`liandong topic`: open and read topics. The verbs that move them are in verbs.py."""

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Data, Database, Json
from node.cli.terminal import as_data, commit, node, print_json, say, table

if TYPE_CHECKING:
    from node.context import Context

TOPIC_ID = re.compile(r"[0-9a-f]{64}")
STATES = {"active": "办理中", "offered": "待签收", "closed": "已办结", "frozen": "冻结"}
STEPS = {
    "collect": "收集议题",
    "decide": "确定议题",
    "research": "议前调研",
    "consult": "协商议事",
    "implement": "办理实施",
    "feedback": "结果反馈",
}
MODES = {
    "open": "登记",
    "escalate": "逐级上交",
    "delegate": "指定下放",
    "report": "办结上报",
    "return": "退回",
    "claim": "认领",
    "rehome": "转移",
}
DISPOSED = {None: "未处置 open", "adopted": "已采纳 adopted", "set_aside": "已搁置 set_aside"}

Topic = Annotated[str, typer.Argument(help="编号（620102-2026-000042）或 id / The topic's number or id.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="最多几条 / At most.")]
Cursor = Annotated[str | None, typer.Option(help="上一页给的标记 / The `next` of the page before.")]

app = typer.Typer(
    help="议题：登记、查看、办理、上交、下放。Topics: what the API does, from a terminal.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def resolve(ctx: "Context", topic: str) -> str:
    """The id of a topic named by its id or its number. Raises NotFound, and Invalid where several have the number."""
    from node.service import read
    from node.service.claims import only_one
    from schemas.api import TopicFilter

    if TOPIC_ID.fullmatch(topic):
        return topic
    found = read.topics(ctx, TopicFilter(q=topic), None, 50).items if topic else []
    return only_one(topic, [item.id for item in found if item.number == topic])


def text_of(given: str) -> str:
    """A text as it was given, or, for `-`, what stands on standard input."""
    return sys.stdin.read() if given == "-" else given


@app.command("open")
def open_topic(
    title: Annotated[str, typer.Option(help="标题 / Title.")],
    text: Annotated[str, typer.Option(help="内容，- 表示读标准输入 / Text; - reads stdin.")],
    area: Annotated[
        list[str] | None, typer.Option("--area", help="涉及的区划代码，可重复 / Division code affected; repeatable.")
    ] = None,
    category: Annotated[str | None, typer.Option(help="类别，如 城乡建设/安全生产 / Category.")] = None,
    source: Annotated[str | None, typer.Option(help="来源 / Where it came from.")] = None,
    kind: Annotated[str | None, typer.Option(help="种类 / Kind.")] = None,
    unit: Annotated[str | None, typer.Option(help="乡镇街道代码 / Township unit's code.")] = None,
    submitter: Annotated[str | None, typer.Option(help="反映人，不出本节点 / Who raised it; stays here.")] = None,
    external_id: Annotated[str | None, typer.Option(help="原编号 / Its number at the source.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """登记议题。Open a topic at this node.

    \b
    例 / Example:
      liandong topic open --title 解放路积水 --text 逢雨必淹，三个小区出行困难。 --area 620102
    """
    from node.service import open as opening
    from schemas.api import OpenForm

    form = OpenForm(
        title=title,
        text=text_of(text),
        areas=area or [],
        category=category,
        source=source,
        kind=kind,
        unit=unit,
        submitter=submitter,
        external_id=external_id,
    )
    ctx = node(data, database)
    show_topic(commit(ctx, "open", lambda batch: opening.open_topic(batch, form)), json)


@app.command("list")
def list_topics(
    status: Annotated[str | None, typer.Option(help="active, offered, closed, frozen")] = None,
    step: Annotated[str | None, typer.Option(help=", ".join(STEPS))] = None,
    custodian: Annotated[str | None, typer.Option(help="主办节点代码 / Code of who holds it.")] = None,
    category: Annotated[str | None, typer.Option(help="类别及其下 / Category and below.")] = None,
    area: Annotated[str | None, typer.Option(help="区划及其下 / Division and below.")] = None,
    q: Annotated[str | None, typer.Option(help="标题、内容、编号中的字 / Words in it.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """列出议题，最近变动的在前。List topics, last changed first."""
    from node.service import read
    from schemas.api import TopicFilter

    given = {"status": status, "step": step, "custodian": custodian, "category": category, "area": area, "q": q}
    wanted = TopicFilter.model_validate(given)
    page = as_data(read.topics(node(data, database), wanted, cursor, limit))
    if json:
        print_json(page)
        return
    heads = ("编号 number", "状态 status", "步骤 step", "主办 holder", "标题 title")
    rows = [
        (item["number"], STATES[item["status"]], STEPS[item["step"]], item["custodian"], item["title"])
        for item in page["items"]
    ]
    table(heads, rows)
    if page["next"]:
        say(f"下一页 / next: --cursor {page['next']}")


@app.command("show")
def show(topic: Topic, json: Json = False, data: Data = None, database: Database = None) -> None:
    """查看一件议题：现在在谁手里、走过哪里、建议层级。Show a topic: who holds it, where it has been, its right tier."""
    from node.service import read

    ctx = node(data, database)
    id = resolve(ctx, topic)
    view = as_data(read.topic(ctx, id))
    show_topic(view, json)
    if json:
        return
    if view["text"]:
        say()
        say(view["text"])
    advice = as_data(read.suggestion(ctx, id))
    say()
    say(f"建议层级 / suggested tier: {advice['tier']}" + (f" ({advice['node']})" if advice["node"] else ""))
    for reason in advice["reasons"]:
        say(f"  - {reason['text']}")


@app.command("entries")
def entries(
    topic: Topic,
    cursor: Cursor = None,
    limit: Limit = 200,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """列出一件议题的全部签名条目。List the signed entries of a topic's chain."""
    from node.service import read

    ctx = node(data, database)
    page = as_data(read.entries(ctx, resolve(ctx, topic), cursor, limit))
    if json:
        print_json(page)
        return
    heads = ("seq", "时间 at", "节点 node", "条目 kind", "签名 verified", "内容 what")
    rows = [
        (str(item["seq"]), item["at"], item["author"], item["kind"], "✓" if item["verified"] else "✗", _gist(item))
        for item in page["items"]
    ]
    table(heads, rows)
    if page["next"]:
        say(f"下一页 / next: --cursor {page['next']}")


@app.command("orphans")
def orphans(topic: Topic, json: Json = False, data: Data = None, database: Database = None) -> None:
    """列出因认领而孤立的条目，供 topic dispose 处置。List entries that lost against a claim, for topic dispose."""
    from node.service.orphans import orphans as of

    ctx = node(data, database)
    page = as_data(of(ctx, resolve(ctx, topic)))
    if json:
        print_json(page)
        return
    heads = ("hash", "时间 at", "节点 node", "条目 kind", "处置 disposed", "内容 what")
    rows = [
        (item["hash"], item["at"], item["author"], item["kind"], DISPOSED[item["disposed"]], _gist(item))
        for item in page["items"]
    ]
    table(heads, rows)


@app.command("remarks")
def remarks(topic: Topic, json: Json = False, data: Data = None, database: Database = None) -> None:
    """列出意见、不予受理和撤回。List remarks, declines and recalls."""
    from node.service import read

    ctx = node(data, database)
    page = as_data(read.remarks(ctx, resolve(ctx, topic), None, 200))
    if json:
        print_json(page)
        return
    rows = [(item["at"], item["author"], item["kind"], _gist(item)) for item in page["items"]]
    table(("时间 at", "节点 node", "种类 kind", "内容 what"), rows)


def show_topic(view: dict[str, Any], as_json: bool) -> None:
    """A topic as the answer to a command."""
    if as_json:
        print_json(view)
        return
    say(f"{view['number']}  {view['title']}")
    say(f"  id {view['id']}")
    state, step = STATES[view["status"]], STEPS[view["step"]]
    say(f"  {state} {view['status']} · {step} {view['step']} · 主办 held by {view['custodian']} · seq {view['seq']}")
    if view["due_at"]:
        say(f"  期限 due {view['due_at']}")
    offer = view["offer"]
    if offer:
        mode = MODES.get(offer["mode"], offer["mode"])
        say(
            f"  待签收 offered: {mode} {offer['from']} → {offer['to']}  {offer['reason'] or offer['instruction'] or ''}"
        )
    for stop in view["trail"]:
        say(f"  {stop['since']}  {MODES.get(stop['mode'], stop['mode'])} {stop['mode']}: {stop['node']} {stop['name']}")
    for child in view["children"]:
        say(f"  分办 part {child}")


def _gist(item: dict[str, Any]) -> str:
    from node.service.claims import OVER
    from node.web.words import pairs

    body = item["body"]
    if item["kind"] == "claimed" and not body.get("approved_by") and body.get("reason") == OVER:
        return " / ".join(pairs()["topic.incarnation_over"])  # nobody wrote that: the rule did
    for name in ("text", "reason", "instruction", "title", "code"):
        if body.get(name):
            lead = f"{body['step']}: " if "step" in body else f"{body['to']}: " if "to" in body else ""
            return lead + str(body[name])[:80]
    return ""
