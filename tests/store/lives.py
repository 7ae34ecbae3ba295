"""Nodes that are restored, copied and healed in one process: what the tests of SPEC 14 stand on."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from node.context import Context
from node.service import (
    decide,
    escalate,
    exchange,
    giveback,
    healing,
    life,
    upkeep,
)
from node.service import open as opening
from node.service.commit import Batch, write
from node.service.guard import GUARD
from node.service.receive import receive_file
from node.store import links
from node.store import tables as t
from node.store.engine import is_sqlite, reading
from schemas import api
from schemas.exchange import Heal
from schemas.ids import NodeCode
from sync.chain import header
from sync.errors import TransportError
from sync.exchange import Old, compose
from tests.nodes import do, reload
from tests.store.tree import COUNTY, Tree

ROUNDS = 40
DOWN = api.DelegateForm(to=COUNTY, instruction="请办", override_reason="专题")
UP = api.EscalateForm(reason="两县", tried="协商", override_reason="涉及两县")


def opened(node: Context, title: str = "路灯") -> str:
    topic: str = do(node, opening.open_topic, api.OpenForm(title=title, text="不亮", areas=[])).id
    return topic


def copy_of(node: Context, folder: Path) -> Path:
    """What a backup of the database holds now; the guard is no part of it."""
    node.engine.dispose()
    folder.mkdir()
    for name in ("node.db", "node.db-wal", "node.db-shm"):
        if (node.settings.data / name).exists():
            shutil.copy(node.settings.data / name, folder / name)
    return folder


def put_back(tree: Tree, name: str, backup: Path) -> Context:
    """The node of the tree after its database was replaced by an older copy and it was started again."""
    node: Context = getattr(tree, name)
    node.engine.dispose()
    for file in ("node.db", "node.db-wal", "node.db-shm"):
        (node.settings.data / file).unlink(missing_ok=True)
        if (backup / file).exists():
            shutil.copy(backup / file, node.settings.data / file)
    return restart(tree, name)


def restart(tree: Tree, name: str) -> Context:
    again = reload(getattr(tree, name))
    vars(tree)[name] = again
    code = again.identity.code
    for child, parent in ((tree.city, tree.province), (tree.county, tree.city), (tree.other, tree.city)):
        if code in (child.identity.code, parent.identity.code):
            tree.connect(child, parent)
    return again


def saved(tree: Tree, name: str, folder: Path, with_guard: bool = False) -> Path:
    """A backup of the database (as a snapshot also of the guard); the node goes on."""
    node: Context = getattr(tree, name)
    folder.mkdir(exist_ok=True, parents=True)
    if not is_sqlite(node.engine):
        pytest.skip("the database's own tools set it back; see test_backup")
    found = copy_of(node, folder / "backup")
    if with_guard:
        shutil.copy(node.settings.data / GUARD, found / GUARD)
    restart(tree, name)
    return found


def brought_back(tree: Tree, name: str, backup: Path) -> Context:
    if (backup / GUARD).exists():
        shutil.copy(backup / GUARD, getattr(tree, name).settings.data / GUARD)
    return put_back(tree, name, backup)


def exchange_some(tree: Tree, times: int) -> None:
    for _ in range(times):
        for child in (tree.city, tree.county, tree.other):
            with suppress(TransportError):
                exchange.call(child, tree.lanes[child.identity.code])


def by(name: str, node: Context, act: Callable[[Batch], api.ClaimView]) -> api.ClaimView:
    with write(node) as batch:
        batch.actor = name
        return act(batch)


def last_statement(node: Context) -> bytes:
    with reading(node.engine) as conn:
        raw: bytes = conn.execute(select(t.statements.c.raw).order_by(t.statements.c.pos.desc()).limit(1)).scalar_one()
    return raw


def hand_over(sender: Context, receiver: Context, *raws: bytes) -> None:
    """Statements outside the stream, by one file."""
    envelope = exchange.Envelope(receiver.identity.code, "file", None, None, None, None, exchange.NOTHING)
    with reading(sender.engine) as conn:
        link = links.load(conn, receiver.identity.code)
    assert link is not None
    inc = life.now(sender).inc
    head = exchange._header(sender, envelope, link, inc, 0)
    shared = header(sender.identity.code, inc, "2026-01-01T00:00:00Z")
    receive_file(receiver, compose(head, [], [Old(raw) for raw in raws], shared, sender.identity.signer))


def heal(tree: Tree, but: NodeCode | None = None) -> None:
    """Exchange and do what nodes do by themselves, until all may sign and nothing is left to say; `but`: cut off."""
    children = [child for child in (tree.city, tree.county, tree.other) if child.identity.code != but]
    for _ in range(ROUNDS):
        moved = False
        for child in children:
            lane = tree.lanes[child.identity.code]
            try:
                view = exchange.call(child, lane)
            except TransportError:
                moved = True
                continue
            moved |= bool(view.sent or view.received or view.backlog or lane.asked)
        for node in tree.nodes:
            upkeep.live_on(node)
        if not moved and all(life.now(node).live for node in tree.nodes):
            return
    raise AssertionError([healing.line(node) for node in tree.nodes])


def let_go_on(parent: Context, child: NodeCode, nonce: str) -> None:
    """The parent grants a child a life for this nonce, whatever it was asked."""
    with write(parent) as batch:
        link = batch.link(child)
        assert link is not None
        healing._grant(batch, link, Heal(nonce=nonce, number=1, ready=True))


def offered_to_the_province(tree: Tree) -> str:
    """A topic of the county that the city has taken and hands on."""
    topic = opened(tree.county)
    do(tree.county, escalate.escalate, topic, UP)
    tree.settle()
    do(tree.city, decide.accept, topic, api.AcceptForm())
    do(tree.city, escalate.escalate, topic, UP)
    tree.settle()
    return topic


def back_in_the_county(tree: Tree) -> str:
    """A topic of the county of which city and province are arbiters: it was with both, and came back."""
    topic = offered_to_the_province(tree)
    do(tree.province, decide.decline, topic, api.DeclineForm(code="not_our_power", reason="县里的事"))
    tree.settle()
    do(tree.city, giveback.give_back, topic, api.ReasonForm(reason="退回"))
    tree.settle()
    do(tree.county, decide.accept, topic, api.AcceptForm())
    tree.settle()
    return topic
