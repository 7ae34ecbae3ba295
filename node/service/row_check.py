"""What custodians say of their topics against the chains held here: every difference is named, and new ones alarm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, select

from node.service.commit import Batch
from node.store import aggregation as ag
from node.store import tables as t
from node.store.engine import upsert
from node.store.rows import slices
from schemas.ids import Digest, NodeCode, TopicId
from schemas.summary import Row
from sync.sealing import open_statement, parse
from sync.strict import dumps

SHOWN_MAX = 200
AHEAD = "seq"
"""The field that differs where the custodian speaks of entries that have not come yet; that alone is no alarm."""
_NOT_COMPARED = {"rev", "rating"}
"""A rating stands beside the chain: it may be here and not there yet."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that the custodian says otherwise than the chain held here has it."""

    field: str
    said: object
    counted: object


def differences(says: Row, holds: Row | None, known: set[Digest]) -> list[Difference]:
    """What a said row has otherwise than the row read from the chain; `known` are heads of entries held here."""
    if holds is None:
        return [Difference("topic", says.number, None)]
    if (says.term, says.seq) > (holds.term, holds.seq):
        return [Difference(AHEAD, says.seq, holds.seq)]
    if (says.term, says.seq) < (holds.term, holds.seq):
        return [] if says.head in known else [Difference("head", says.head, None)]
    one, two = says.model_dump(mode="json"), holds.model_dump(mode="json")
    names = [name for name in one if name not in _NOT_COMPARED and one[name] != two[name]]
    if "frozen" in (says.status, holds.status):
        names = [name for name in names if name != "status"]
    return [Difference(name, one[name], two[name]) for name in names]


_SOME: BindParameter[Any] = bindparam("some", expanding=True)
_DIFFERED = select(ag.row_differences.c.topic, ag.row_differences.c.field).where(ag.row_differences.c.topic.in_(_SOME))
_FORGET = delete(ag.row_differences).where(ag.row_differences.c.topic.in_(_SOME))
_PAGES = select(t.statements.c.id, t.statements.c.raw).where(t.statements.c.id.in_(_SOME))
_HERE = select(t.entries.c.id).where(t.entries.c.id.in_(_SOME))


def check(
    batch: Batch, ids: Sequence[TopicId], held: Mapping[TopicId, Row], said: Mapping[TopicId, Mapping[str, Any]]
) -> None:
    """Note afresh what differs for these topics, and raise an alarm for what did not differ before."""
    others = {id: row for id, row in said.items() if row["author"] != batch.me}
    says = said_by(batch, others)
    known = _known(batch, [row.head for row in says.values()])
    found = [
        _row(batch, id, others[id]["author"], differs)
        for id, row in says.items()
        for differs in differences(row, held.get(id), known)
    ]
    before: set[tuple[TopicId, str]] = set()
    for some in slices(ids):
        before.update((row.topic, row.field) for row in batch.conn.execute(_DIFFERED, {"some": some}))
        batch.conn.execute(_FORGET, {"some": some})
    upsert(batch.conn, ag.row_differences, found)
    for row in found:
        if row["field"] != AHEAD and (row["topic"], row["field"]) not in before:
            batch.audit("summary-differs", row["topic"], "alarm", node=row["node"], field=row["field"])


def said_by(batch: Batch, said: Mapping[TopicId, Mapping[str, Any]]) -> dict[TopicId, Row]:
    """The rows themselves, read from the pages that `said_rows` names."""
    batch.flush_rows()
    pages = {}
    for some in slices(sorted({row["page"] for row in said.values()})):
        for stored in batch.conn.execute(_PAGES, {"some": some}):
            page = open_statement(parse(stored.raw), batch.roster.keyring).payload.body
            pages[stored.id] = {row.topic: row for row in page.rows}
    return {id: pages[row["page"]][id] for id, row in said.items()}


def _known(batch: Batch, heads: Iterable[Digest]) -> set[Digest]:
    found: set[Digest] = set()
    for some in slices(list(heads)):
        found.update(batch.conn.execute(_HERE, {"some": some}).scalars())
    return found


def _row(batch: Batch, topic: TopicId, node: NodeCode, differs: Difference) -> dict[str, Any]:
    row = {"topic": topic, "field": differs.field, "node": node, "at": batch.now}
    return {**row, "said": _shown(differs.said), "counted": _shown(differs.counted)}


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else dumps(value).decode())[:SHOWN_MAX]
