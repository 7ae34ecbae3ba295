"""The audit as a hash chain: no row can be altered, removed, added or moved without `verify` finding it.

Each row's hash covers the hash before it and what the row says. The last hash and how many there are stand in a row of
their own, signed by the node: whoever has the database but not the node's key can cut nothing off at the end either.
Rows of a version that kept no chain stand before it; the first hash covers them all.
"""

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select

from node.store.engine import upsert
from node.store.tables import audit, audit_head
from sync.keys import Signer
from sync.strict import dumps

_HEAD = select(audit_head.c.written, audit_head.c.hash, audit_head.c.signature)
_ROWS = insert(audit)
ROWS_AT_ONCE = 1000
Report = Callable[[str, str, str], None]


def append(conn: Connection, signer: Signer, rows: list[dict[str, Any]]) -> None:
    """Add rows at the end of the chain. The caller holds the node's write transaction."""
    head = conn.execute(_HEAD).first()
    count, running = (head.written, head.hash) if head else (0, _beginning(conn))
    for row in rows:
        running = _next(running, row)
        row["hash"] = running
    conn.execute(_ROWS, rows)
    count += len(rows)
    signature = signer.sign(_signed(count, running)).hex()
    upsert(conn, audit_head, [{"only": 1, "written": count, "hash": running, "signature": signature}])


def check(conn: Connection, signer: Signer, report: Report) -> int:
    """Report(kind, which, what) the first row that does not fit; gives how many rows the chain has."""
    running, count = _beginning(conn), 0
    for row in _rows(conn, audit.c.id >= _first(conn)):
        running = _next(running, row._mapping)
        if row.hash != running:
            report("audit row", str(row.id), "was altered, or a row before it was removed, added or moved")
            return count
        count += 1
    head = conn.execute(_HEAD).first()
    if head is None:
        if count:
            report("audit", "head", "is missing")
    elif signer.sign(_signed(head.written, head.hash)).hex() != head.signature:
        report("audit", "head", "is not signed by this node")
    elif (head.written, head.hash) != (count, running):
        report("audit", "end", f"{head.written} rows were written, {count} are here")
    return count


def _first(conn: Connection) -> int:
    """Number of the first row of the chain."""
    found = conn.execute(select(audit.c.id).where(audit.c.hash.is_not(None)).order_by(audit.c.id).limit(1)).scalar()
    return 1 << 62 if found is None else int(found)


def _beginning(conn: Connection) -> str:
    found = hashlib.sha256()
    for row in _rows(conn, audit.c.id < _first(conn)):
        found.update(_said(row._mapping))
    return found.hexdigest()


def _rows(conn: Connection, where: ColumnElement[bool]) -> Iterator[Row[Any]]:
    """In order, a page at a time: a cursor left open would outlive an early end."""
    query = select(audit).where(where).order_by(audit.c.id).limit(ROWS_AT_ONCE)
    page = conn.execute(query).all()
    while page:
        yield from page
        page = conn.execute(query.where(audit.c.id > page[-1].id)).all()


def _next(running: str, row: Any) -> str:
    return hashlib.sha256(bytes.fromhex(running) + _said(row)).hexdigest()


def _said(row: Any) -> bytes:
    """What a row says, in one spelling whatever the database."""
    at = row["at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
    return dumps([at, row["actor"], row["action"], row["topic"], row["result"], row["detail"]])


def _signed(count: int, running: str) -> bytes:
    return f"liandong/audit/1\n{count}\n{running}\n".encode()
