"""The audit, for the auditor: who did what, and what was refused."""

from pydantic import ValidationError
from starlette.responses import Response, StreamingResponse

from node.service import audit
from node.web.pages import Pages
from node.web.visit import HEADERS, Visit
from schemas.people import AuditFilter

router = Pages()
SHOWN_MAX = 100


@router.get("/audit", verb="read_audit")
def board(visit: Visit) -> Response:
    """A filter nobody can mean is none."""
    asked = {name: visit.query(name) for name in ("actor", "action", "refused")}
    try:
        wanted = AuditFilter.model_validate({name: value for name, value in asked.items() if value})
    except ValidationError:
        wanted = AuditFilter()
    page = audit.page(visit.ctx, wanted, visit.query("cursor") or None, SHOWN_MAX)
    return visit.page("audit.html", items=page.items, next=page.next, asked=asked)


@router.post("/audit/export", verb="export_audit")
def export(visit: Visit) -> Response:
    audit.record_export(visit.ctx, visit.person.name)
    name = f"audit-{visit.ctx.identity.code}.jsonl"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(audit.export(visit.ctx), media_type="application/jsonl", headers=headers)
