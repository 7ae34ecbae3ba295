"""Trust: who is enrolled under which key, the own log and its witnesses, healing, claims of two persons, stopped links;
and what becomes of a topic's orphans.

Whatever cannot be taken back is shown once more before it is done: the form's first sending only asks.
"""

import re
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from node.api.address import node_code, topic_id
from node.domain.refusals import Invalid, NotADescendant, NotFound
from node.service import claims, healing, links, orphans
from node.service.commit import Batch
from node.service.perform import perform
from node.service.trust import trust
from node.web.errors import field_errors
from node.web.fields import lines_of
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.api import ClaimForm, DisposeForm, HealingView, ReasonForm, WaiveForm

router = Pages()
CLAIMS_SHOWN = 50
TOPICS_SHOWN = 20
_CLAIM = re.compile(r"[0-9a-f]{32}")


@router.get("/trust", verb="read")
def board(visit: Visit) -> Response:
    return _board(visit)


@router.post("/trust/claims", verb="claim")
def claim(visit: Visit) -> Response:
    """All that a node holds, or named topics; nothing is asked of anybody before a second person approves."""
    given: dict[str, Any] = {name: visit.field(name).strip() or None for name in ("node", "to")}
    try:
        topics = claims.named(visit.ctx, lines_of([visit.field("topics")]))
        form = ClaimForm(**given, topics=topics or None, reason=visit.field("reason"))
        if visit.field("stage") != "do":
            return _confirm(visit, "claim", "/trust/claims", office=form.node)
        perform(visit.ctx, visit.command("claim"), lambda batch: claims.request(batch, form))
    except (ValidationError, Invalid) as error:
        return _board(visit, field_errors(error, visit.words))
    except NotADescendant:
        return _board(visit, {"to": visit.words("trust.not_below")})
    except NotFound:
        return _board(visit, {"topics": visit.words("trust.no_topic")})
    return visit.to("/trust", "trust.claim_asked")


@router.post("/trust/claims/{claim}/approve", verb="approve_claim")
def approve(visit: Visit) -> Response:
    id = _claim(visit)
    if visit.field("stage") != "do":
        return _confirm(visit, "approve", f"/trust/claims/{id}/approve")
    perform(visit.ctx, visit.command("approve_claim"), lambda batch: claims.approve(batch, id))
    return visit.to("/trust", "trust.claim_approved")


@router.post("/trust/claims/{claim}/refuse", verb="approve_claim")
def refuse(visit: Visit) -> Response:
    id = _claim(visit)
    return _with_reason(
        visit, "approve_claim", "trust.claim_refused", lambda batch, reason: claims.refuse(batch, id, reason)
    )


@router.post("/trust/healing/{code}/waive", verb="waive")
def waive(visit: Visit) -> Response:
    """Without this neighbour what it alone knows is lost, so it is asked twice."""
    peer = node_code(visit.request.path_params["code"])
    try:
        form = WaiveForm(peer=peer, reason=visit.field("reason"))
    except ValidationError as error:
        return _board(visit, field_errors(error, visit.words))
    if visit.field("stage") != "do":
        return _confirm(visit, "waive", f"/trust/healing/{peer}/waive", office=peer)

    def act(batch: Batch) -> HealingView:
        healing.waive(batch, form.peer, form.reason)
        batch.flush()
        return healing.view_in(batch.ctx, batch.conn)

    perform(visit.ctx, visit.command("waive"), act)
    return visit.to("/trust", "trust.waived", office=visit.names.office(peer))


@router.post("/trust/links/{code}/lift", verb="link")
def lift(visit: Visit) -> Response:
    peer = node_code(visit.request.path_params["code"])
    if visit.field("stage") != "do":
        try:
            ReasonForm(reason=visit.field("reason"))
        except ValidationError as error:
            return _board(visit, field_errors(error, visit.words))
        return _confirm(visit, "lift", f"/trust/links/{peer}/lift", office=peer)

    def act(batch: Batch, reason: str) -> HealingView:
        links.lift(batch, peer, reason)
        return healing.view_in(batch.ctx, batch.conn)

    return _with_reason(visit, "link", "trust.lifted", act)


@router.post("/topics/{id}/orphans/{digest}", verb="dispose")
def dispose(visit: Visit) -> Response:
    """Adopt an orphan or set it aside: an entry for good, so it is asked twice."""
    params = visit.request.path_params
    topic, orphan = topic_id(params["id"]), topic_id(params["digest"])
    decision, reason = visit.field("decision"), visit.field("reason").strip()
    form = DisposeForm.model_validate({"decision": decision, "reason": reason or None})
    if form.decision == "set_aside" and form.reason is None:
        return visit.to(f"/topics/{topic}", "trust.orphan_reason")
    if visit.field("stage") != "do":
        return _confirm(visit, form.decision, f"/topics/{topic}/orphans/{orphan}", back=f"/topics/{topic}")
    command = visit.command("dispose").about(topic)
    perform(visit.ctx, command, lambda batch: orphans.dispose(batch, topic, orphan, form))
    return visit.to(f"/topics/{topic}", "trust.orphan_done")


def _with_reason(visit: Visit, verb: str, said: str, act: Callable[[Batch, str], BaseModel]) -> Response:
    try:
        form = ReasonForm(reason=visit.field("reason"))
    except ValidationError as error:
        return _board(visit, field_errors(error, visit.words))
    perform(visit.ctx, visit.command(verb), lambda batch: act(batch, form.reason))
    return visit.to("/trust", said)


def _claim(visit: Visit) -> str:
    """Raises NotFound."""
    found: str = visit.request.path_params["claim"]
    if not _CLAIM.fullmatch(found):
        raise NotFound
    return found


def _confirm(visit: Visit, what: str, action: str, back: str = "/trust", office: str | None = None) -> Response:
    names = ("node", "topics", "to", "reason", "decision")
    sent = [(name, visit.field(name)) for name in names if visit.field(name)]
    return visit.page("trust_confirm.html", what=what, action=action, back=back, office=office, sent=sent)


def _board(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    listed = claims.listed(visit.ctx, None, CLAIMS_SHOWN).items
    return visit.page(
        "trust.html",
        422 if errors else 200,
        trust=trust(visit.ctx),
        healing=healing.view(visit.ctx),
        claims=listed,
        numbers=claims.numbers(visit.ctx, [topic for item in listed for topic in item.topics[:TOPICS_SHOWN]]),
        topics_shown=TOPICS_SHOWN,
        given={name: visit.field(name) for name in ("node", "topics", "to", "reason")},
        errors=errors,
    )
