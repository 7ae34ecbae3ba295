"""The audit on both databases: every change and refusal has a row, and no row can be touched without being found."""

import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from node.context import Context
from node.domain.refusals import NotAllowed, NotFound
from node.service import audit as auditing
from node.service.perform import Actor, Command, perform
from node.service.verify import verify
from node.store import audit as chain
from node.store.engine import reading, writing
from node.store.tables import audit, audit_head
from schemas.people import AuditFilter
from sync.strict import dumps
from tests.store.office import SetClock, audited, make_node

ROWS = 1000
CLERK = Actor(1, "李丹", frozenset({"clerk"}))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ctx(database_url: str, tmp_path: Path, clock: SetClock) -> Iterator[Context]:
    made = make_node(tmp_path, database_url, clock)
    yield made
    made.engine.dispose()


def fill(ctx: Context, count: int) -> None:
    rows = [
        {
            "at": ctx.clock.now() + timedelta(microseconds=n),
            "actor": "李丹",
            "action": "note",
            "topic": None,
            "result": "done",
            "detail": {"n": n} if n % 3 else None,
        }
        for n in range(count)
    ]
    with writing(ctx.engine) as conn:
        chain.append(conn, ctx.identity.signer, rows)


def problems(ctx: Context) -> list[str]:
    found: list[str] = []
    with reading(ctx.engine) as conn:
        chain.check(conn, ctx.identity.signer, lambda *said: found.append(" ".join(said)))
    return found


def numbers(ctx: Context) -> list[int]:
    with reading(ctx.engine) as conn:
        return list(conn.execute(select(audit.c.id).order_by(audit.c.id)).scalars())


def test_untouched_audit_verifies_and_so_does_the_node(ctx: Context):
    fill(ctx, 20)
    assert problems(ctx) == []
    assert verify(ctx).ok


def test_verify_names_the_altered_row(ctx: Context):
    fill(ctx, 20)
    row = numbers(ctx)[7]
    with writing(ctx.engine) as conn:
        conn.execute(update(audit).where(audit.c.id == row).values(actor="别人"))
    report = verify(ctx)
    assert not report.ok
    assert any(f"audit row {row}" in line for line in report.problems)


def test_every_row_deleted_altered_or_moved_is_found(ctx: Context):
    assert touched(ctx, 40) == {"deleted": 40, "altered": 40, "moved": 40}
    assert problems(ctx) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_of_a_thousand_rows_every_one_touched_is_found(tmp_path: Path, clock: SetClock):
    ctx = make_node(tmp_path, "", clock)
    assert touched(ctx, ROWS) == {"deleted": ROWS, "altered": ROWS, "moved": ROWS}
    ctx.engine.dispose()


def touched(ctx: Context, count: int) -> dict[str, int]:
    """How often something was found, each of `count` rows being deleted, altered and exchanged with another once."""
    fill(ctx, count - len(numbers(ctx)))
    ids = numbers(ctx)
    assert len(ids) == count
    found = {"deleted": 0, "altered": 0, "moved": 0}
    for place, row in enumerate(ids):
        for what in found:
            with ctx.engine.connect().execution_options(liandong_write=True) as conn, conn.begin() as transaction:
                _touch(conn, what, row, ids[place - 1])
                said: list[str] = []
                chain.check(conn, ctx.identity.signer, lambda *line, said=said: said.append(" ".join(line)))
                found[what] += bool(said)
                transaction.rollback()
    return found


def _touch(conn: Connection, what: str, row: int, other: int) -> None:
    if what == "deleted":
        conn.execute(delete(audit).where(audit.c.id == row))
    elif what == "altered":
        conn.execute(update(audit).where(audit.c.id == row).values(result="refused"))
    else:
        for old, new in ((row, -1), (other, row), (-1, other)):
            conn.execute(update(audit).where(audit.c.id == old).values(id=new))


def test_added_row_and_cut_end_with_a_forged_head_are_found(ctx: Context):
    fill(ctx, 5)
    ids = numbers(ctx)
    with reading(ctx.engine) as conn:
        rows = conn.execute(select(audit).order_by(audit.c.id)).all()
    with writing(ctx.engine) as conn:
        conn.execute(delete(audit).where(audit.c.id == ids[-1]))
        conn.execute(update(audit_head).values(written=len(ids) - 1, hash=rows[-2].hash))
    assert problems(ctx) == ["audit head is not signed by this node"]
    with writing(ctx.engine) as conn:
        conn.execute(delete(audit_head))
    assert problems(ctx) == ["audit head is missing"]


def test_rows_of_a_version_without_a_chain_are_covered_by_its_beginning(ctx: Context):
    with writing(ctx.engine) as conn:
        conn.execute(delete(audit))
        conn.execute(delete(audit_head))
        old = {"at": ctx.clock.now(), "actor": "job", "action": "receive", "topic": None, "result": "done"}
        conn.execute(insert(audit), [{**old, "detail": {"n": n}} for n in range(3)])
    fill(ctx, 3)
    assert problems(ctx) == []
    with writing(ctx.engine) as conn:
        conn.execute(update(audit).where(audit.c.id == numbers(ctx)[1]).values(actor="别人"))
    assert len(problems(ctx)) == 1


def test_refusal_of_a_command_and_of_a_role_both_leave_a_row(ctx: Context):
    def nothing_there(batch):
        raise NotFound("x")

    with pytest.raises(NotFound):
        perform(ctx, Command(CLERK, "note").about("0" * 64), nothing_there)
    with pytest.raises(NotAllowed):
        perform(ctx, Command(CLERK, "invite"), nothing_there)
    assert audited(ctx)[-2:] == [("李丹", "note", "refused NotFound"), ("李丹", "invite", "refused NotAllowed")]
    assert problems(ctx) == []


def test_page_is_newest_first_filtered_and_complete(ctx: Context):
    fill(ctx, 25)
    found, cursor = [], None
    while True:
        page = auditing.page(ctx, AuditFilter(actor="李丹"), cursor, 10)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert [item.id for item in found] == sorted((item.id for item in found), reverse=True)
    assert len(found) == 25
    assert len(auditing.page(ctx, AuditFilter(since="2026-05-06T08:59:00+08:00"), None, 100).items) >= 25
    assert auditing.page(ctx, AuditFilter(refused=True), None, 10).items == []
    assert auditing.page(ctx, AuditFilter(since="2026-05-06T02:00:00Z"), None, 10).items == []


def test_export_can_be_verified_by_anybody_from_its_own_lines(ctx: Context):
    fill(ctx, 1500)
    lines = [json.loads(line) for line in b"".join(auditing.export(ctx)).splitlines()]
    running = sha256(b"").hexdigest()
    for line in lines:
        said = [line["at"], line["actor"], line["action"], line["topic"], line["result"], line["detail"]]
        running = sha256(bytes.fromhex(running) + dumps(said)).hexdigest()
        assert line["hash"] == running
    with reading(ctx.engine) as conn:
        assert conn.execute(select(audit_head.c.hash, audit_head.c.written)).one() == (running, len(lines))
