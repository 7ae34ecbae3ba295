"""`doctor` says what is wrong, on both databases: each trouble made once, each named."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from node.clock import Clock
from node.context import Context
from node.jobs import take_lock
from node.service import life
from node.service.backup import back_up
from node.service.commit import write
from node.service.doctor import Finding, doctor
from node.service.guard import GUARD
from node.service.identity import SIGNING_KEY
from node.service.log import make_checkpoint
from node.service.users import add_user
from node.store import log_tables as lt
from node.store import office
from node.store import tables as t
from node.store.engine import is_sqlite
from tests.store.tree import COUNTY, PROVINCE, Tree, forge, note, open_topic, smuggle

UNSAFE = "The database is damaged or set up unsafely: fsync = off"
"""True of a server for tests, and found."""

Trouble = Callable[[Tree], Context | None]


class LateClock(Clock):
    """Some time from now, or before."""

    def __init__(self, away: timedelta) -> None:
        self._away = away

    def now(self) -> datetime:
        return datetime.now(UTC) + self._away


def change(node: Context, table: Any, **values: Any) -> None:
    with node.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        conn.execute(update(table).values(values))


def add(node: Context, table: Any, **values: Any) -> None:
    with node.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        conn.execute(insert(table).values(values))


def said(found: list[Finding], level: str) -> str:
    return "\n".join(finding.what_en for finding in found if finding.level == level)


@contextmanager
def running(node: Context) -> Iterator[None]:
    lock = take_lock(node)
    try:
        yield
    finally:
        lock.close()


def well(tree: Tree) -> None:
    """Everything a node in good health has."""
    open_topic(tree.county)
    open_topic(tree.city)
    tree.settle()
    add_user(tree.city, "李丹", "联动联动联动联动", ["clerk", "admin"])
    back_up(tree.city, tree.city.settings.data.parent / "city.backup")


def test_a_node_in_good_health_has_nothing_to_do(tree: Tree) -> None:
    well(tree)
    with running(tree.city):
        found = doctor(tree.city)
        assert all(finding.what_zh and finding.what_en for finding in found)
        trouble = [finding for finding in found if finding.level != "ok"]
        if is_sqlite(tree.city.engine):
            assert trouble == []
        else:
            assert [finding.what_en.split(":")[0] for finding in trouble] == [
                "The database is damaged or set up unsafely"
            ]
    assert len(found) >= 11


def _open_keys(tree: Tree) -> None:
    os.chmod(tree.city.settings.data / SIGNING_KEY, 0o644)


def _no_guard(tree: Tree) -> None:
    (tree.city.settings.data / GUARD).unlink()


def _old_guard(tree: Tree) -> None:
    change(tree.city, t.guard, confirmed="0" * 32)


def _full_disk(tree: Tree) -> Context:
    settings = tree.city.settings.model_copy(update={"disk_reserve_bytes": 2**62})
    return replace(tree.city, settings=settings)


def _not_enrolled(tree: Tree) -> None:
    change(tree.city, t.node, inc_number=0)


def _healing(tree: Tree) -> None:
    with write(tree.city) as batch:
        life.end(batch, "restored")


def _clock_back(tree: Tree) -> Context:
    return replace(tree.city, clock=LateClock(-timedelta(days=30)))


def _stopped(tree: Tree) -> None:
    change(tree.city, t.links, stopped="hash-mismatch")


def _silent_with_backlog(tree: Tree) -> Context:
    note(tree.city, open_topic(tree.city))
    return replace(tree.city, clock=LateClock(timedelta(days=3)))


def _no_clerk(tree: Tree) -> None:
    change(tree.city, office.users, active=False)


def _equivocation(tree: Tree) -> None:
    row = {"kept": "0" * 64, "other": "1" * 64, "author": COUNTY, "inc": "1.", "topic": None, "at": datetime.now(UTC)}
    add(tree.city, t.equivocations, **row)


def _conflict(tree: Tree) -> None:
    row = {"node": COUNTY, "inc": "1.", "size": 3, "root": "0" * 64, "kept": "", "other": "", "at": datetime.now(UTC)}
    with tree.city.engine.begin() as conn:
        conn.execute(insert(lt.log_conflicts), row)


def _schema(tree: Tree) -> None:
    with tree.city.engine.connect().execution_options(liandong_write=True) as conn, conn.begin():
        conn.execute(text("UPDATE alembic_version SET version_num = '0000'"))


@pytest.mark.parametrize(
    ("trouble", "named"),
    [
        (_open_keys, "Others can read the key files: signing.pem"),
        (_no_guard, "The guard is missing"),
        (_old_guard, "does not fit"),
        (_full_disk, "free where the data is"),
        (_not_enrolled, "not enrolled yet"),
        (_healing, f"waits to compare with {PROVINCE}"),
        (_clock_back, "time"),
        (_stopped, "stands still: hash-mismatch"),
        (_silent_with_backlog, f"No contact with {PROVINCE}"),
        (_no_clerk, "No active account with the role: clerk"),
        (_equivocation, f"{COUNTY} signed two different entries"),
        (_conflict, f"{COUNTY} signed two versions of its log"),
        (_schema, "version 0000"),
    ],
)
def test_what_is_bad_is_named(tree: Tree, trouble: Trouble, named: str) -> None:
    well(tree)
    node = trouble(tree) or tree.city
    found = doctor(node)
    assert named in said(found, "bad")
    assert all(finding.do_zh and finding.do_en for finding in found if finding.level != "ok")


def _held(tree: Tree) -> None:
    topic = open_topic(tree.county)
    smuggle(tree.county, forge(tree.county, topic, lambda payload: payload.update(prev="0" * 64)), "620100")
    tree.settle(tree.county)


def _deferred(tree: Tree) -> Context:
    topic = open_topic(tree.county)
    skip = forge(tree.county, topic, lambda payload: payload.update(seq=9, prev="0" * 64))
    smuggle(tree.county, skip, "620100")
    tree.settle(tree.county)
    return replace(tree.city, clock=LateClock(timedelta(hours=2)))


def _silent(tree: Tree) -> Context:
    return replace(tree.city, clock=LateClock(timedelta(days=3)))


def _skewed(tree: Tree) -> None:
    tree.county = replace(tree.county, clock=LateClock(timedelta(minutes=10)))
    tree.connect(tree.county, tree.city)
    open_topic(tree.county)
    tree.settle(tree.county)


def _invitation(tree: Tree) -> None:
    row = {"secret_hash": "0" * 64, "code": "620104", "name": "西固区", "tier": "county"}
    add(tree.city, t.invitations, **row, at=datetime.now(UTC) - timedelta(days=8))


@pytest.mark.parametrize(
    ("trouble", "named"),
    [
        (_held, "are held: wrong-prev"),
        (_deferred, "wait for others before them"),
        (_silent, f"No contact with {COUNTY}"),
        (_skewed, "the clocks of the two nodes differ"),
        (_invitation, "Invitations not used for more than seven days: 620104"),
        (lambda tree: None, "The jobs are not running"),
    ],
)
def test_what_wants_a_look_is_named(tree: Tree, trouble: Trouble, named: str) -> None:
    well(tree)
    node = trouble(tree) or tree.city
    assert named in said(doctor(node), "warn")


def test_looking_for_the_jobs_does_not_keep_them_from_starting(tree: Tree) -> None:
    for _ in range(3):
        assert "The jobs are not running" in said(doctor(tree.city), "warn")
        with running(tree.city):
            assert "The jobs are running" in said(doctor(tree.city), "ok")


def test_log_that_nobody_signs_for_a_day_is_a_warning(tree: Tree) -> None:
    well(tree)
    open_topic(tree.city)
    make_checkpoint(tree.city)
    assert "0 of them under a witness's signature" in said(doctor(tree.city), "ok")
    late = replace(tree.city, clock=LateClock(timedelta(days=2)))
    assert "0 of them under a witness's signature" in said(doctor(late), "warn")
