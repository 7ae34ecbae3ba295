"""What a node forgets by itself, and what it keeps whatever its clock says."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select

from node.service import upkeep
from node.service.commit import write
from node.store.engine import reading
from node.store.office import idempotency
from tests.store.tree import Tree

LONG_AGO = datetime(2016, 3, 1, tzinfo=UTC)


def test_the_newest_answers_are_kept_however_far_the_clock_has_jumped(tree: Tree) -> None:
    count = upkeep.ANSWERS_KEPT_MIN + 5
    rows = [
        {"user_id": 1, "key": str(n), "fingerprint": "0" * 64, "status": 200, "answer": b"{}"}
        | {"at": LONG_AGO + timedelta(seconds=n)}
        for n in range(count)
    ]
    with write(tree.city) as batch:
        batch.conn.execute(insert(idempotency), rows)
    upkeep.prune(tree.city)
    with reading(tree.city.engine) as conn:
        kept = conn.execute(select(func.count(), func.min(idempotency.c.at))).one()
    assert tuple(kept) == (upkeep.ANSWERS_KEPT_MIN, LONG_AGO + timedelta(seconds=5))
