"""How SQLite finds what the hot path asks for: by an index that fits, or its cost grows with all there ever was."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, event

from node.service import parts
from node.store import log
from node.store.engine import reading
from schemas.exchange import Pull
from tests.store.tree import CITY, Tree

ASKED: dict[str, tuple[Callable[[Connection], object], str]] = {
    "what is settled, for a neighbour": (lambda conn: log.to_tell(conn, CITY, 9, 9), "ix_outbox_statement_peer"),
    "whether a part's statement was sent": (
        lambda conn: parts.may_pull(conn, CITY, [Pull(digest="0" * 64, offset=0)]),
        "ix_outbox_statement_peer",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_it_is_found_by_an_index_that_fits(tree: Tree, name: str) -> None:
    ask, index = ASKED[name]
    with reading(tree.county.engine) as conn:
        asked: list[tuple[str, object]] = []

        def note(conn: object, cursor: object, sql: str, values: object, *rest: object) -> None:
            asked.append((sql, values))

        event.listen(conn, "before_cursor_execute", note)
        ask(conn)
        event.remove(conn, "before_cursor_execute", note)
        plans = [str(conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()) for sql, values in asked]
    assert any(index in plan for plan in plans), plans
    assert not any("sqlite_autoindex_outbox" in plan for plan in plans), plans
