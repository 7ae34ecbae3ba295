"""Topics: what a person reads of them, and the verbs, one row of a table each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from node.api.address import TopicPath, cursor, topic_id
from node.api.auth import context
from node.api.reply import answered, reply
from node.api.strict import StrictRoute, command, verb
from node.service import decide, delegate, escalate, finish, giveback, read, remark, split, work
from node.service.commit import Batch
from node.service.open import open_topic
from node.service.perform import perform
from node.service.receipt import topic_receipt
from schemas import api as forms
from schemas.api import (
    EntryPage,
    Form,
    OpenForm,
    PageQuery,
    ReceiptQuery,
    RemarkPage,
    SuggestionView,
    TopicFilter,
    TopicPage,
    TopicQuery,
    TopicView,
)
from schemas.ids import TopicId

PROOF = "text/plain; charset=utf-8"
_RECEIPT: dict[int | str, dict[str, Any]] = {
    200: {"content": {PROOF: {"schema": {"type": "string"}}}, "description": "A `.tlog-proof` file"}
}

router = APIRouter(prefix="/api/v1/topics", route_class=StrictRoute, tags=["topics"])

Act = Callable[[Batch, TopicId, Any], TopicId]


@dataclass(frozen=True, slots=True)
class Verb:
    """`POST /topics/{id}/name`: what is sent, who does it, and the status of success. Policy knows it by `name`."""

    name: str
    form: type[Form]
    act: Act
    summary: str
    status: int = 200


VERBS = (
    Verb("escalate", forms.EscalateForm, escalate.escalate, "逐级上交 / Offer the topic to the direct parent"),
    Verb("delegate", forms.DelegateForm, delegate.delegate, "指定下放 / Offer the topic to one named descendant"),
    Verb("report", forms.ReportForm, giveback.report, "办结上报 / Give the finished topic back the way it came"),
    Verb("return", forms.ReasonForm, giveback.give_back, "退回 / Give the topic back undone"),
    Verb("accept", forms.AcceptForm, decide.accept, "签收 / Accept the topic offered to this node"),
    Verb("decline", forms.DeclineForm, decide.decline, "不予受理 / Decline the topic offered to this node"),
    Verb("recall", forms.RecallForm, decide.recall, "撤回 / Ask for an offered topic back", 202),
    Verb("step", forms.StepForm, work.step, "六步议事 / Complete the next of the six steps"),
    Verb("note", forms.NoteForm, work.note, "记事 / Add a note to the topic's history"),
    Verb("attend", forms.AttendForm, work.attend, "参与 / Record how many took part in a gathering"),
    Verb("amend", forms.AmendForm, work.amend, "更正 / Correct title, category or areas"),
    Verb("result", forms.ResultForm, work.result, "办理结果 / Record the outcome"),
    Verb("close", forms.CloseForm, finish.close, "办结 / Close the topic, at its origin"),
    Verb("reopen", forms.ReasonForm, finish.reopen, "再办理 / Take a closed topic up again"),
    Verb("split", forms.SplitForm, split.split, "分办 / Give parts of the topic to named descendants"),
    Verb("detach", forms.DetachForm, split.detach, "解除分办 / Go on without a part that was split off"),
    Verb("remark", forms.RemarkForm, remark.remark, "意见 / Say something beside the topic's history"),
)


@router.get("", response_model=TopicPage, openapi_extra=verb("read"), summary="议题列表 / List topics")
def list_topics(request: Request, query: Annotated[TopicQuery, Query()]) -> Response:
    wanted = TopicFilter(**{name: getattr(query, name) for name in TopicFilter.model_fields})
    return reply(read.topics(context(request), wanted, cursor(query.cursor), query.limit))


@router.post(
    "", response_model=TopicView, status_code=201, openapi_extra=verb("open"), summary="登记议题 / Open a topic"
)
def open_one(request: Request, form: OpenForm) -> Response:
    asked = command(request).about(unit=form.unit)
    return answered(perform(context(request), asked, lambda batch: open_topic(batch, form)))


@router.get("/{id}", response_model=TopicView, openapi_extra=verb("read"), summary="议题 / One topic")
def one_topic(request: Request, id: TopicPath) -> Response:
    return reply(read.topic(context(request), topic_id(id)))


@router.get(
    "/{id}/entries", response_model=EntryPage, openapi_extra=verb("read"), summary="办理过程 / The topic's history"
)
def list_entries(request: Request, id: TopicPath, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(read.entries(context(request), topic_id(id), cursor(query.cursor), query.limit))


@router.get(
    "/{id}/remarks", response_model=RemarkPage, openapi_extra=verb("read"), summary="意见 / What was said beside it"
)
def list_remarks(request: Request, id: TopicPath, query: Annotated[PageQuery, Query()]) -> Response:
    return reply(read.remarks(context(request), topic_id(id), cursor(query.cursor), query.limit))


@router.get(
    "/{id}/suggestion",
    response_model=SuggestionView,
    openapi_extra=verb("read"),
    summary="建议层级 / The tier it belongs to",
)
def suggested(request: Request, id: TopicPath) -> Response:
    return reply(read.suggestion(context(request), topic_id(id)))


@router.get(
    "/{id}/receipt",
    response_class=Response,
    responses=_RECEIPT,
    openapi_extra=verb("read"),
    summary="回执 / Proof, for anybody, that this node took the topic up",
)
def get_receipt(request: Request, id: TopicPath, query: Annotated[ReceiptQuery, Query()]) -> Response:
    """A C2SP tlog-proof, checked offline by `liandong verify-receipt`; of `entry` where one is named."""
    name, raw = topic_receipt(context(request), topic_id(id), query.entry)
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(raw, media_type=PROOF, headers=named)


def _endpoint(row: Verb) -> Callable[..., Response]:
    def endpoint(request: Request, id: TopicPath, form: Form) -> Response:
        topic = topic_id(id)
        asked = command(request).about(topic)
        return answered(perform(context(request), asked, lambda batch: row.act(batch, topic, form)))

    endpoint.__annotations__["form"] = row.form
    endpoint.__name__ = row.name
    return endpoint


for row in VERBS:
    router.add_api_route(
        f"/{{id}}/{row.name}",
        _endpoint(row),
        methods=["POST"],
        response_model=TopicView,
        status_code=row.status,
        summary=row.summary,
        openapi_extra=verb(row.name),
    )
