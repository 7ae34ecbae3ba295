"""Reading the audit, and the rows of what was refused: who, what, when, and why not.

Rows of what was done are written with the change itself (node.service.commit). A refusal changes nothing, so its row is
a transaction of its own, and where even that cannot be written the refusal still stands.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Select, select
from sqlalchemy.exc import SQLAlchemyError

from node.context import Context
from node.service.paging import cursor_after, read_cursor
from node.store import audit as rows
from node.store.engine import reading, writing
from node.store.tables import audit
from schemas.people import AuditFilter, AuditItem, AuditPage

ROWS_AT_ONCE = 1000
_log = structlog.get_logger("node.audit")


def record_refusal(ctx: Context, actor: str, action: str, topic: str | None, error: Exception) -> None:
    """One row for a refused command; best effort."""
    row = {"at": ctx.clock.now(), "actor": actor, "action": action[:40], "topic": topic, "detail": None}
    try:
        with writing(ctx.engine) as conn:
            rows.append(conn, ctx.identity.signer, [{**row, "result": f"refused {type(error).__name__}"[:40]}])
    except SQLAlchemyError as problem:
        _log.error("refusal not audited", action=action, error=type(problem).__qualname__)


def record_export(ctx: Context, actor: str) -> None:
    """Who took a copy of the audit stands in the audit; without that there is no copy."""
    row = {"at": ctx.clock.now(), "actor": actor, "action": "export_audit", "topic": None, "result": "done"}
    with writing(ctx.engine) as conn:
        rows.append(conn, ctx.identity.signer, [{**row, "detail": None}])


def page(ctx: Context, wanted: AuditFilter, cursor: str | None, limit: int) -> AuditPage:
    """Newest first. Raises BadCursor."""
    key = read_cursor(cursor, int)
    query = _filtered(wanted).order_by(audit.c.id.desc()).limit(limit + 1)
    if key:
        query = query.where(audit.c.id < int(key[0]))
    with reading(ctx.engine) as conn:
        found = [_item(row) for row in conn.execute(query)]
    more = len(found) > limit
    return AuditPage(items=found[:limit], next=cursor_after(found[limit - 1].id) if more else None)


def export(ctx: Context) -> Iterator[bytes]:
    """Every row, oldest first, as JSON lines whose hashes an auditor can compute again by herself."""
    after = 0
    while True:
        query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(ROWS_AT_ONCE)
        with reading(ctx.engine) as conn:
            found = [_item(row) for row in conn.execute(query)]
        if not found:
            return
        yield "".join(item.model_dump_json() + "\n" for item in found).encode()
        after = found[-1].id


def _filtered(wanted: AuditFilter) -> Select[Any]:
    query = select(audit)
    for column, value in (
        (audit.c.actor, wanted.actor),
        (audit.c.action, wanted.action),
        (audit.c.topic, wanted.topic),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.refused is not None:
        like = audit.c.result.like("refused%")
        query = query.where(like if wanted.refused else ~like)
    if wanted.since is not None:
        query = query.where(audit.c.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(audit.c.at < wanted.until)
    return query


def _item(row: Any) -> AuditItem:
    at: datetime = row.at
    return AuditItem(
        id=row.id,
        at=at,
        actor=row.actor,
        action=row.action,
        topic=row.topic,
        result=row.result,
        detail=row.detail,
        hash=row.hash,
    )
