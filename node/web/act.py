"""What a person does with a topic: a form for each verb, then what it would do, then the deed.

The first sending of a form only asks what would happen (node.service.rehearse); the page that shows it carries the same
fields and a key, and its button does it. Going back to change something loses nothing.
"""

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from starlette.responses import Response

from node.api import problems
from node.api.address import topic_id
from node.api.topics import VERBS, Verb
from node.domain.errors import DomainError
from node.domain.refusals import Invalid, NotFound, OverrideReasonMissing
from node.domain.topic import STEPS
from node.service import read
from node.service.perform import perform
from node.service.possible import possible
from node.service.rehearse import rehearse
from node.service.terms import terms
from node.web.errors import field_errors, hint
from node.web.fields import day_end, day_noon, lines_of, split_parts, whole
from node.web.pages import Pages
from node.web.render import local_day
from node.web.visit import Visit
from node.web.words import pick
from schemas.api import Form, TopicView
from schemas.entry import Outcome, Role
from schemas.remark import PersonDeclineCode, PersonRemark, Rating

router = Pages()
VERB = {row.name: row for row in VERBS}
UNSEEN = frozenset({"note", "remark", "attend"})
"""Done without looking first: neither moves the topic nor its clock."""
DANGER = frozenset({"decline", "return", "recall", "detach", "close"})
ROWS_MAX = 20


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a verb's form: how it is asked for, and how long it may be."""

    name: str
    kind: str = "text"
    needed: bool = False
    rows: int = 3
    max: int = 2000


_ANSWER_BY = Field("answer_by", "day")
_DUE_AT = Field("due_at", "day")
_OVERRIDE = Field("override_reason", "override")
_REASON = Field("reason", needed=True)
FIELDS: dict[str, tuple[Field, ...]] = {
    "escalate": (
        _REASON,
        Field("tried", needed=True),
        Field("opinion"),
        _ANSWER_BY,
        _OVERRIDE,
    ),
    "delegate": (
        Field("to", "below", needed=True),
        Field("instruction", needed=True),
        Field("reason"),
        _ANSWER_BY,
        _DUE_AT,
        _OVERRIDE,
    ),
    "split": (Field("parts", "parts"),),
    "report": (Field("text", needed=True),),
    "return": (_REASON,),
    "accept": (),
    "decline": (Field("code", "code", needed=True), Field("reason", needed=True, max=500)),
    "recall": (Field("reason", needed=True, max=500),),
    "step": (Field("step", "hidden"), Field("text", needed=True, rows=6, max=8000), _OVERRIDE),
    "note": (Field("text", needed=True, rows=5, max=8000),),
    "attend": (
        Field("headcount", "count", needed=True),
        Field("form", "gathering"),
        Field("held_at", "day"),
        Field("text", rows=4, max=8000),
    ),
    "amend": (
        Field("title", "line", max=300),
        Field("category", "category", max=120),
        Field("areas", "areas"),
        _REASON,
    ),
    "result": (Field("outcome", "outcome", needed=True), Field("text", needed=True, rows=5, max=8000)),
    "close": (Field("text", rows=4, max=8000),),
    "reopen": (_REASON,),
    "detach": (Field("topic", "child", needed=True), _REASON),
    "remark": (Field("kind", "remark", needed=True), Field("rating", "rating"), Field("text", needed=True, max=8000)),
}
CHOICES = {
    "code": get_args(PersonDeclineCode),
    "outcome": get_args(Outcome),
    "remark": get_args(PersonRemark),
    "rating": get_args(Rating),
    "role": get_args(Role),
}


GATHERINGS = (
    "全会",
    "专题议政常委会",
    "专题协商会",
    "月协商",
    "对口协商",
    "界别协商",
    "提案办理协商",
    "网络议政",
    "远程协商",
)
"""The forms of consultation, in the words they are recorded with."""
_VALUES = {"answer_by": day_end, "due_at": day_end, "held_at": day_noon, "headcount": whole}
"""How what a browser sends becomes what the services take."""


@router.get("/topics/{id}/{verb}", verb="read")
def ask(visit: Visit) -> Response:
    row, topic = _asked(visit)
    return _form(visit, row, topic, _blank(visit, row, topic))


@router.post("/topics/{id}/{verb}", verb="read")
def answer(visit: Visit) -> Response:
    row, topic = _asked(visit)
    given = _given(visit, row, topic)
    stage = visit.field("stage")
    if stage in ("edit", "more"):
        return _form(visit, row, topic, given)
    try:
        form = row.form.model_validate(_clean(given))
        if stage == "do" or row.name in UNSEEN:
            return _do(visit, row, topic, form)
        return _preview(visit, row, topic, form, given)
    except ValidationError as error:
        return _form(visit, row, topic, given, field_errors(error, visit.words))
    except OverrideReasonMissing:
        return _form(visit, row, topic, given, {"override_reason": visit.words("problem.override-reason-missing")})
    except DomainError as error:
        return _form(visit, row, topic, given, _refusal(visit, error))


def _asked(visit: Visit) -> tuple[Verb, TopicView]:
    """The verb's row and the topic. Raises NotFound."""
    row = VERB.get(visit.request.path_params["verb"])
    if row is None or row.name not in FIELDS:
        raise NotFound
    return row, read.topic(visit.ctx, topic_id(visit.request.path_params["id"]))


def _do(visit: Visit, row: Verb, topic: TopicView, form: Form) -> Response:
    perform(
        visit.ctx, visit.command(row.name, row.status).about(topic.id), lambda batch: row.act(batch, topic.id, form)
    )
    return visit.to(f"/topics/{topic.id}?done={row.name}", f"act.{row.name}.done")


def _preview(visit: Visit, row: Verb, topic: TopicView, form: Form, given: dict[str, Any]) -> Response:
    told = rehearse(visit.ctx, visit.command(row.name), topic.id, lambda batch: row.act(batch, topic.id, form))
    return visit.page(
        "preview.html", verb=row.name, topic=topic, told=told, sent=_flat(given), danger=row.name in DANGER
    )


def _form(
    visit: Visit, row: Verb, topic: TopicView, given: dict[str, Any], errors: dict[str, str] | None = None
) -> Response:
    can = possible(visit.ctx, visit.person, topic.id)
    return visit.page(
        "act.html",
        422 if errors else 200,
        verb=row.name,
        topic=topic,
        fields=FIELDS[row.name],
        choices=CHOICES,
        gatherings=GATHERINGS,
        given=given,
        errors=errors,
        can=can,
        open_now=row.name in can.verbs,
        suggestion=read.suggestion(visit.ctx, topic.id),
        children=_children(visit, topic) if row.name == "detach" else [],
        unseen=read.unseen_parts(visit.ctx, topic.id) if row.name == "detach" else {},
        filled=visit.request.method == "POST",
        seen_first=row.name not in UNSEEN,
    )


def _children(visit: Visit, topic: TopicView) -> list[TopicView]:
    found = [read.topic_if_here(visit.ctx, id) for id in topic.children]
    return [child for child in found if child is not None and child.status != "closed"]


def _blank(visit: Visit, row: Verb, topic: TopicView) -> dict[str, Any]:
    """What a fresh form holds: what is known already."""
    given: dict[str, Any] = {field.name: "" for field in FIELDS[row.name]}
    if "answer_by" in given:
        given["answer_by"] = local_day(terms(visit.ctx).answer_by)
    if row.name == "step":
        given["step"] = _next_step(topic)
    elif row.name == "amend":
        given |= {"title": topic.title, "category": topic.category or "", "areas": list(topic.areas)}
    elif row.name == "split":
        given["parts"] = [dict.fromkeys(("to", "role", "title", "instruction", "due_at"), "") for _ in range(2)]
    elif row.name == "remark":
        given["kind"] = "comment"
    return given


def _next_step(topic: TopicView) -> str:
    done = STEPS.index(topic.step)
    return STEPS[done + 1] if done + 1 < len(STEPS) else topic.step


def _given(visit: Visit, row: Verb, topic: TopicView) -> dict[str, Any]:
    """The fields as they were filled in."""
    given: dict[str, Any] = {}
    for field in FIELDS[row.name]:
        if field.kind == "areas":
            given[field.name] = lines_of(visit.fields(field.name))
        elif field.kind == "parts":
            given[field.name] = split_parts(visit, ROWS_MAX, visit.field("stage") == "more")
        else:
            given[field.name] = visit.field(field.name).strip()
    if row.name == "amend":
        return {**given, **_unchanged(given, topic)}
    return given


def _unchanged(given: dict[str, Any], topic: TopicView) -> dict[str, Any]:
    """Nothing is amended that says what it said before."""
    same = {"title": topic.title, "category": topic.category or "", "areas": list(topic.areas)}
    return {f"{name}_same": given[name] == value for name, value in same.items()}


def _clean(given: dict[str, Any]) -> dict[str, Any]:
    """The fields as the services take them: days as instants, and nothing for what was left empty."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name.endswith("_same") or given.get(f"{name}_same") or value == "":
            continue
        if name == "parts":
            found[name] = [_clean(part) for part in value if part["to"]]
        else:
            found[name] = _VALUES[name](value) if name in _VALUES else value
    return found


def _flat(given: dict[str, Any]) -> list[tuple[str, str]]:
    """The fields as hidden ones, to be sent again."""
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        if name.endswith("_same"):
            continue
        if name == "parts":
            found += [(f"{key}-{n}", text) for n, part in enumerate(value) for key, text in part.items()]
        elif isinstance(value, list):
            found += [(name, item) for item in value]
        else:
            found.append((name, value))
    return found


def _refusal(visit: Visit, error: DomainError) -> dict[str, str]:
    """Why not, and what to do, above the form. Raises what is a fault of the program."""
    kind = problems.kind_of(error)
    if kind is problems.INTERNAL or kind is problems.NOT_FOUND or kind is problems.NOT_ALLOWED:
        raise error
    if isinstance(error, Invalid):
        return field_errors(error, visit.words)
    problem, _ = problems.describe(error)
    title, parting = pick(problem.title, visit.lang), "：" if visit.lang == "zh" else ". "
    return {"form": title + parting + (hint(problem, visit.words) or "")}
