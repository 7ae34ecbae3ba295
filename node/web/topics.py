"""Topics: the list with its filters, and one topic's file with everything that is known of it here."""

from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.responses import Response

from node.api.address import cursor, topic_id
from node.domain.refusals import NoReceipt
from node.domain.topic import STEPS
from node.service import read
from node.service.enclosed import File, contents, part, statement
from node.service.handovers import duties
from node.service.orphans import orphans
from node.service.possible import possible
from node.service.receipt import topic_receipt
from node.service.sheets import list_sheet
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.render import XLSX
from node.web.trail import draw
from node.web.visit import Visit
from schemas.api import EntryView, RemarkView, TopicFilter, TopicView
from schemas.entry import Step
from schemas.ids import TopicId
from schemas.statement import Status

router = Pages()
SHOWN = 50
ENTRIES_AT_ONCE = 200
ENTRIES_SHOWN_MAX = 1_000
STATUSES = get_args(Status)


@dataclass(frozen=True, slots=True)
class Done:
    """One of the six steps as it stands: its artefact is the entry that completed it in the round under way."""

    step: Step
    entry: EntryView | None


@router.get("/topics", verb="read")
def list_topics(visit: Visit) -> Response:
    wanted, errors = _filter(visit)
    page = read.topics(visit.ctx, wanted, cursor(visit.query("cursor") or None), SHOWN)
    asked = wanted.model_dump(exclude_none=True)
    after = urlencode({**asked, "cursor": page.next}) if page.next else None
    return visit.page(
        "topics.html",
        topics=page.items,
        after=after,
        asked=asked,
        sheet=urlencode(asked),
        errors=errors,
        statuses=STATUSES,
        steps=STEPS,
    )


@router.get("/topics.xlsx", verb="read")
def topics_sheet(visit: Visit) -> Response:
    """The whole list with its filters, as a workbook."""
    wanted, _ = _filter(visit)
    words = visit.words
    heads = [words(f"topics.head.{name}") for name in ("number", "title", "category", "areas", "status", "step")]
    heads += [words(f"topics.head.{name}") for name in ("holder", "origin", "created", "updated", "due", "outcome")]
    content = list_sheet(visit.ctx, wanted, heads, lambda view: _cells(visit, view))
    return visit.file(content, XLSX, "topics.xlsx")


@router.get("/topics/{id}", verb="read")
def one_topic(visit: Visit) -> Response:
    id = topic_id(visit.request.path_params["id"])
    topic = read.topic(visit.ctx, id)
    entries = _entries(visit, id)
    can = possible(visit.ctx, visit.person, id)
    return visit.page(
        "topic.html",
        topic=topic,
        entries=entries,
        remarks=_remarks(visit, id),
        orphans=orphans(visit.ctx, id).items,
        steps=_steps(topic, entries),
        can=can,
        duties=duties(visit.ctx, id),
        parts={content.name: content for content in contents(visit.ctx, visit.person, id)},
        drawing=draw(topic, _tier_of(visit, topic)),
        parent=_related(visit, topic.parent),
        children=[child for id in topic.children if (child := _related(visit, id))],
        suggestion=read.suggestion(visit.ctx, id),
    )


@router.get("/topics/{id}/parts/{digest}", verb="read")
def one_part(visit: Visit) -> Response:
    return _download(visit, part(visit.ctx, visit.person, topic_id(visit.request.path_params["id"]), _digest(visit)))


@router.get("/topics/{id}/statements/{digest}", verb="read")
def one_statement(visit: Visit) -> Response:
    """Exactly the bytes that were signed, for whoever wants to check them with tools of their own."""
    return _download(visit, statement(visit.ctx, topic_id(visit.request.path_params["id"]), _digest(visit)))


@router.get("/topics/{id}/receipts/{digest}", verb="read")
def one_receipt(visit: Visit) -> Response:
    """Proof for anybody that this node said so; before a witness has signed above it there is none, nor of what a life
    wrote that a restore has ended."""
    topic = topic_id(visit.request.path_params["id"])
    try:
        name, raw = topic_receipt(visit.ctx, topic, _digest(visit))
    except NoReceipt:
        return visit.to(f"/topics/{topic}", "topic.no_receipt")
    return visit.file(raw, "text/plain; charset=utf-8", name)


def _digest(visit: Visit) -> str:
    return topic_id(visit.request.path_params["digest"])


def _download(visit: Visit, file: File) -> Response:
    name = "".join(char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in file.name)
    suffix = {"text/plain": ".txt", "application/json": ".json", "application/jose+json": ".jose.json"}
    return visit.file(file.content, file.media, name + suffix.get(file.media, ""))


def _filter(visit: Visit) -> tuple[TopicFilter, dict[str, str]]:
    """What the query asks for; what is wrong with it is said, and the rest still holds."""
    given: dict[str, Any] = {name: value for name in TopicFilter.model_fields if (value := visit.query(name))}
    try:
        return TopicFilter(**given), {}
    except ValidationError as error:
        errors = field_errors(error, visit.words)
        return TopicFilter(**{name: value for name, value in given.items() if name not in errors}), errors


def _cells(visit: Visit, view: TopicView) -> list[Any]:
    words = visit.words
    return [
        view.number,
        view.title,
        view.category,
        "、".join(visit.names.place(code) for code in view.areas),
        words(f"terms.status.{view.status}"),
        words(f"terms.step.{view.step}"),
        visit.names.office(view.custodian),
        visit.names.office(view.origin),
        view.created_at,
        view.updated_at,
        view.due_at,
        words(f"terms.outcome.{view.outcome}") if view.outcome else None,
    ]


def _entries(visit: Visit, id: TopicId) -> list[EntryView]:
    found: list[EntryView] = []
    after: str | None = None
    while len(found) < ENTRIES_SHOWN_MAX:
        page = read.entries(visit.ctx, id, after, ENTRIES_AT_ONCE)
        found += page.items
        after = page.next
        if after is None:
            break
    return found


def _remarks(visit: Visit, id: TopicId) -> list[RemarkView]:
    return read.remarks(visit.ctx, id, None, ENTRIES_AT_ONCE).items


def _steps(topic: TopicView, entries: list[EntryView]) -> list[Done]:
    """Where each step of this round was completed: a reopened matter is gone through anew."""
    artefacts: dict[str, EntryView] = {}
    for entry in entries:
        if entry.kind in ("opened", "reopened"):
            artefacts = {"collect": entry}
        elif entry.kind == "stepped":
            artefacts[entry.body["step"]] = entry
    done = STEPS.index(topic.step)
    return [Done(step, artefacts.get(step) if n <= done else None) for n, step in enumerate(STEPS)]


def _tier_of(visit: Visit, topic: TopicView) -> str | None:
    member = visit.names.roster.get(topic.offer.to) if topic.offer else None
    return member.tier if member else None


def _related(visit: Visit, id: TopicId | None) -> TopicView | None:
    return read.topic_if_here(visit.ctx, id) if id else None
