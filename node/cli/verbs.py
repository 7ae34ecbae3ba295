"""`liandong topic VERB`: each verb of a topic as a command, through the service the API uses."""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.options import Data, Database, Json
from node.cli.terminal import commit, node
from node.cli.topic import STEPS, Topic, resolve, show_topic, text_of

if TYPE_CHECKING:
    from pydantic import BaseModel

CHINA = timezone(timedelta(hours=8))
DASH = "- 表示读标准输入 / - reads stdin."

Reason = Annotated[str, typer.Option(help=f"理由，{DASH} Why.")]
Text = Annotated[str, typer.Option(help=f"内容，{DASH} Text.")]
Override = Annotated[
    str | None, typer.Option("--override-reason", help="与建议层级不同时的理由 / Why it differs from the suggestion.")
]
AnswerBy = Annotated[str | None, typer.Option(help="答复期限：2026-05-01 或 RFC 3339 / Answer by.")]
DueAt = Annotated[str | None, typer.Option(help="办理期限：2026-05-01 或 RFC 3339 / Due.")]


class StepName(StrEnum):
    DECIDE = "decide"
    RESEARCH = "research"
    CONSULT = "consult"
    IMPLEMENT = "implement"
    FEEDBACK = "feedback"


class OutcomeName(StrEnum):
    A = "A"
    B = "B"
    C = "C"
    D = "D"


class DeclineName(StrEnum):
    NOT_OUR_AREA = "not_our_area"
    NOT_OUR_POWER = "not_our_power"
    DUPLICATE = "duplicate"
    INCOMPLETE = "incomplete"
    ALREADY_DECIDED = "already_decided"


class RemarkName(StrEnum):
    URGE = "urge"
    COMMENT = "comment"
    COSIGN = "cosign"
    RATE = "rate"
    READ = "read"


class RatingName(StrEnum):
    SATISFIED = "satisfied"
    BASICALLY_SATISFIED = "basically_satisfied"
    NOT_SATISFIED = "not_satisfied"


class DecisionName(StrEnum):
    ADOPT = "adopt"
    SET_ASIDE = "set_aside"


def register(app: typer.Typer) -> None:
    for name, command in COMMANDS.items():
        app.command(name)(command)


def escalate(
    topic: Topic,
    reason: Reason,
    tried: Annotated[str, typer.Option(help="本级已做的工作 / What was tried here.")],
    opinion: Annotated[str | None, typer.Option(help="本级意见 / Own opinion.")] = None,
    answer_by: AnswerBy = None,
    override_reason: Override = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """逐级上交：交给直接上级。Offer a topic to the direct parent.

    \b
    例 / Example:
      liandong topic escalate 620102-2026-000042 --reason 涉及两区 --tried 已现场踏勘两次
    """
    from node.service.escalate import escalate as act
    from schemas.api import EscalateForm

    form = EscalateForm.model_validate(
        {
            "reason": text_of(reason),
            "tried": tried,
            "opinion": opinion,
            "answer_by": instant(answer_by),
            "override_reason": override_reason,
        }
    )
    _do(topic, "escalate", act, form, json, data, database)


def delegate(
    topic: Topic,
    to: Annotated[str, typer.Option(help="下级节点代码 / Code of the node below.")],
    instruction: Annotated[str, typer.Option(help=f"办理要求，{DASH} What is to be done.")],
    reason: Annotated[str | None, typer.Option(help="理由 / Why.")] = None,
    answer_by: AnswerBy = None,
    due_at: DueAt = None,
    override_reason: Override = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """指定下放：交给指定的下级。Offer a topic to one named node below.

    \b
    例 / Example:
      liandong topic delegate 620000-2026-000007 --to 620100 --instruction 牵头办理 --due-at 2026-09-30
    """
    from node.service.delegate import delegate as act
    from schemas.api import DelegateForm

    form = DelegateForm.model_validate(
        {
            "to": to,
            "instruction": text_of(instruction),
            "reason": reason,
            "answer_by": instant(answer_by),
            "due_at": instant(due_at),
            "override_reason": override_reason,
        }
    )
    _do(topic, "delegate", act, form, json, data, database)


def report(topic: Topic, text: Text, json: Json = False, data: Data = None, database: Database = None) -> None:
    """办结上报：办完后原路交回。Give a finished topic back the way it came."""
    from node.service.giveback import report as act
    from schemas.api import ReportForm

    _do(topic, "report", act, ReportForm(text=text_of(text)), json, data, database)


def give_back(topic: Topic, reason: Reason, json: Json = False, data: Data = None, database: Database = None) -> None:
    """退回：没有办完，原路退回。Give a topic back undone."""
    from node.service.giveback import give_back as act
    from schemas.api import ReasonForm

    _do(topic, "return", act, ReasonForm(reason=text_of(reason)), json, data, database)


def accept(topic: Topic, json: Json = False, data: Data = None, database: Database = None) -> None:
    """签收交来的议题。Accept a topic offered to this node."""
    from node.service.decide import accept as act
    from schemas.api import AcceptForm

    _do(topic, "accept", act, AcceptForm(), json, data, database)


def decline(
    topic: Topic,
    code: Annotated[DeclineName, typer.Option(help="原因类别 / Which kind of reason.")],
    reason: Reason,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """不予受理，写明理由。Decline a topic offered to this node."""
    from node.service.decide import decline as act
    from schemas.api import DeclineForm

    form = DeclineForm.model_validate({"code": code.value, "reason": text_of(reason)})
    _do(topic, "decline", act, form, json, data, database)


def recall(topic: Topic, reason: Reason, json: Json = False, data: Data = None, database: Database = None) -> None:
    """撤回：请对方交还尚未签收的议题。Ask for an offered topic back; the other node answers."""
    from node.service.decide import recall as act
    from schemas.api import RecallForm

    _do(topic, "recall", act, RecallForm(reason=text_of(reason)), json, data, database)


def step(
    topic: Topic,
    step: Annotated[StepName, typer.Argument(help=" → ".join(STEPS.values()))],
    text: Text,
    override_reason: Override = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """六步议事：完成下一步，留下记录。Complete the next of the six steps.

    \b
    例 / Example:
      liandong topic step 620102-2026-000042 decide --text 主席会议确定为协商议题
    """
    from node.service.work import step as act
    from schemas.api import StepForm

    form = StepForm.model_validate({"step": step.value, "text": text_of(text), "override_reason": override_reason})
    _do(topic, "step", act, form, json, data, database)


def note(topic: Topic, text: Text, json: Json = False, data: Data = None, database: Database = None) -> None:
    """记事。Add a note to the topic's history."""
    from node.service.work import note as act
    from schemas.api import NoteForm

    _do(topic, "note", act, NoteForm(text=text_of(text)), json, data, database)


def attend(
    topic: Topic,
    headcount: Annotated[int, typer.Argument(help="参与人次 / How many took part.")],
    form: Annotated[str | None, typer.Option(help="协商形式 / Form of the gathering.")] = None,
    held_at: Annotated[str | None, typer.Option(help="日期：2026-05-01 或 RFC 3339 / When.")] = None,
    text: Annotated[str | None, typer.Option(help=f"说明，{DASH} Text.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """记录一次协商活动的参与人次。Record how many took part in a gathering."""
    from node.service.work import attend as act
    from schemas.api import AttendForm

    said = text_of(text) if text else None
    wanted = AttendForm.model_validate(
        {"headcount": headcount, "form": form, "held_at": instant(held_at), "text": said}
    )
    _do(topic, "attend", act, wanted, json, data, database)


def amend(
    topic: Topic,
    reason: Reason,
    title: Annotated[str | None, typer.Option(help="新标题 / New title.")] = None,
    category: Annotated[str | None, typer.Option(help="新类别 / New category.")] = None,
    area: Annotated[list[str] | None, typer.Option("--area", help="新的区划，可重复 / New areas.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """更正标题、类别或地方。Correct title, category or areas."""
    from node.service.work import amend as act
    from schemas.api import AmendForm

    form = AmendForm(title=title, category=category, areas=area or None, reason=text_of(reason))
    _do(topic, "amend", act, form, json, data, database)


def result(
    topic: Topic,
    outcome: Annotated[OutcomeName, typer.Argument(help="A 已解决 B 列入计划 C 暂难解决 D 留作参考")],
    text: Text,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """记录办理结果 A、B、C、D。Record the outcome."""
    from node.service.work import result as act
    from schemas.api import ResultForm

    form = ResultForm.model_validate({"outcome": outcome.value, "text": text_of(text)})
    _do(topic, "result", act, form, json, data, database)


def close(
    topic: Topic,
    text: Annotated[str | None, typer.Option(help=f"办结说明，{DASH} Closing words.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """办结（只在发起节点，且已反馈、有结果）。Close, at the origin, after result and feedback."""
    from node.service.finish import close as act
    from schemas.api import CloseForm

    _do(topic, "close", act, CloseForm(text=text_of(text) if text else None), json, data, database)


def reopen(topic: Topic, reason: Reason, json: Json = False, data: Data = None, database: Database = None) -> None:
    """再办理已办结的议题。Take a closed topic up again."""
    from node.service.finish import reopen as act
    from schemas.api import ReasonForm

    _do(topic, "reopen", act, ReasonForm(reason=text_of(reason)), json, data, database)


def split(
    topic: Topic,
    parts: Annotated[
        Path,
        typer.Option("--parts", exists=True, dir_okay=False, help="JSON 文件，- 之外的路径 / A JSON file, see below."),
    ],
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """分办：一家主办，其余协办。Split into a leading and assisting parts for nodes below.

    \b
    文件内容 / The file holds:
      [{"to": "620102", "role": "lead", "title": "…", "instruction": "…", "due_at": "2026-09-30T00:00:00+08:00"},
       {"to": "620103", "role": "assist", "title": "…", "instruction": "…"}]
    """
    from pydantic import TypeAdapter

    from node.service.split import split as act
    from schemas.api import SplitForm, SplitPart

    wanted = TypeAdapter(list[SplitPart]).validate_json(parts.read_bytes())
    _do(topic, "split", act, SplitForm(parts=wanted), json, data, database)


def detach(
    topic: Topic,
    part: Annotated[str, typer.Argument(help="分办议题的编号或 id / The part's number or id.")],
    reason: Reason,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """解除分办：不再等某一件。Go on without one part that was split off."""
    from node.service.split import detach as act
    from schemas.api import DetachForm

    ctx = node(data, database)
    form = DetachForm(topic=resolve(ctx, part), reason=text_of(reason))
    _do(topic, "detach", act, form, json, data, database)


def remark(
    topic: Topic,
    kind: Annotated[RemarkName, typer.Option(help="催办、意见、附议、评价、已阅 / urge, comment, …")],
    text: Text,
    rating: Annotated[RatingName | None, typer.Option(help="仅 rate / Only with rate.")] = None,
    entry: Annotated[str | None, typer.Option(help="针对哪一条目 / About which entry.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """提意见，不改变主办。Say something beside the history; any participant may."""
    from node.service.remark import remark as act
    from schemas.api import RemarkForm

    said = {"kind": kind.value, "text": text_of(text), "rating": rating.value if rating else None, "entry": entry}
    _do(topic, "remark", act, RemarkForm.model_validate(said), json, data, database)


def dispose(
    topic: Topic,
    orphan: Annotated[str, typer.Argument(help="孤立条目的 hash / The orphan's hash.")],
    decision: Annotated[DecisionName, typer.Option(help="采纳、搁置 / adopt, set_aside")],
    reason: Annotated[str | None, typer.Option(help="搁置的理由 / Why it is set aside.")] = None,
    json: Json = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """处置因认领而孤立的条目（topic orphans 列出）。Decide on an entry that lost against a claim (topic orphans)."""
    from node.service.orphans import dispose as act
    from schemas.api import DisposeForm

    form = DisposeForm(decision=decision.value, reason=reason)
    _do(topic, "dispose", lambda batch, id, form: act(batch, id, orphan, form), form, json, data, database)


def instant(text: str | None) -> str | None:
    """An instant as forms take it; a date alone means the end of that day in China."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return text
    return datetime.combine(day, time(23, 59, 59), CHINA).isoformat()


def _do(
    topic: str,
    verb: str,
    act: "Callable[..., BaseModel | str]",
    form: Any,
    as_json: bool,
    data: Path | None,
    database: str | None,
) -> None:
    ctx = node(data, database)
    id = resolve(ctx, topic)
    show_topic(commit(ctx, verb, lambda batch: act(batch, id, form)), as_json)


COMMANDS: dict[str, Callable[..., None]] = {
    "escalate": escalate,
    "delegate": delegate,
    "report": report,
    "return": give_back,
    "accept": accept,
    "decline": decline,
    "recall": recall,
    "step": step,
    "note": note,
    "attend": attend,
    "amend": amend,
    "result": result,
    "close": close,
    "reopen": reopen,
    "split": split,
    "detach": detach,
    "remark": remark,
    "dispose": dispose,
}
