"""A node that was restored heals, is granted another incarnation, and gets back what it held (SPEC 14)."""

import shutil
from pathlib import Path

from sqlalchemy import select, update

from node.context import Context
from node.domain.refusals import Healing, OrphansOpen
from node.service import decide, escalate, exchange, finish, healing, life, orphans, upkeep, work
from node.service import open as opening
from node.service.receipt import root_key, topic_receipt
from node.service.receive import receive_file
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import reading, writing
from schemas import api
from sync.chain import header
from sync.errors import TransportError
from sync.exchange import Old, compose
from sync.keys import unb64
from sync.receipt import read_receipt
from tests.nodes import do, refused, reload, state_of
from tests.store.logs import durability, sign
from tests.store.tree import COUNTY, Tree

ROUNDS = 40
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


def last_statement(node: Context) -> bytes:
    with reading(node.engine) as conn:
        raw: bytes = conn.execute(select(t.statements.c.raw).order_by(t.statements.c.pos.desc()).limit(1)).scalar_one()
    return raw


def hand_over(sender: Context, receiver: Context, raw: bytes) -> None:
    """One statement outside the stream, by file."""
    envelope = exchange.Envelope(receiver.identity.code, "file", None, None, None, None, exchange.NOTHING)
    with reading(sender.engine) as conn:
        link = links.load(conn, receiver.identity.code)
    assert link is not None
    inc = life.now(sender).inc
    head = exchange._header(sender, envelope, link, inc, 0)
    shared = header(sender.identity.code, inc, "2026-01-01T00:00:00Z")
    receive_file(receiver, compose(head, [], [Old(raw)], shared, sender.identity.signer))


def heal(tree: Tree) -> None:
    """Exchange and do what nodes do by themselves, until all may sign and nothing is left to say."""
    children = [tree.city, tree.county, tree.other]
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


def test_a_restored_county_heals_and_holds_again_what_it_held(tree: Tree, tmp_path: Path) -> None:
    first = opened(tree.county)
    tree.settle()
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    do(tree.county, work.note, first, api.NoteForm(text="去看过"))
    second = opened(tree.county, "积水")
    do(
        tree.county,
        escalate.escalate,
        second,
        api.EscalateForm(reason="两县", tried="协商", override_reason="涉及两县"),
    )
    third = opened(tree.county, "噪声")
    tree.settle()
    noted = state_of(tree.city, first)

    put_back(tree, "county", backup)
    assert not life.now(tree.county).live
    assert refused(tree.county, work.note, first, api.NoteForm(text="又写")) is Healing
    heal(tree)

    assert life.now(tree.county).inc.number == 2
    for topic in (first, third):
        custodian, seq, _, status = tree.agree(topic, tree.county, tree.city)
        assert (custodian, status) == (COUNTY, "active")
    assert seq == 3
    assert tree.agree(first, tree.county, tree.city)[1] == noted[1] + 3
    assert tree.agree(second, tree.county, tree.city)[3] == "offered"
    do(tree.city, decide.accept, second, api.AcceptForm())
    do(tree.county, work.note, first, api.NoteForm(text="接着办"))
    heal(tree)
    tree.agree(first, tree.county, tree.city)
    tree.agree(second, tree.county, tree.city)
    tree.check()


def test_what_a_restored_county_wrote_unsent_before_is_an_orphan_to_be_named(tree: Tree, tmp_path: Path) -> None:
    """What the county had not sent turns up later, by stick: it stands beside the claim and is disposed of by name."""
    topic = opened(tree.county)
    tree.settle()
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    do(tree.county, work.note, topic, api.NoteForm(text="没有发出去"))
    late = last_statement(tree.county)
    put_back(tree, "county", backup)
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[0] == COUNTY
    hand_over(tree.county, tree.city, late)
    with writing(tree.county.engine) as conn:
        conn.execute(update(t.links).values(comparing=True))
    heal(tree)

    tree.agree(topic, tree.county, tree.city)
    for node in (tree.county, tree.city):
        (found,) = orphans.orphans(node, topic).items
        assert (found.kind, found.disposed) == ("noted", None)
    for step in ("decide", "research", "consult", "implement", "feedback"):
        do(tree.county, work.step, topic, api.StepForm(step=step, text="做"))
    do(tree.county, work.result, topic, api.ResultForm(outcome="A", text="修好"))
    assert refused(tree.county, finish.close, topic, api.CloseForm()) is OrphansOpen
    do(tree.county, orphans.dispose, topic, found.hash, api.DisposeForm(decision="adopt"))
    do(tree.county, finish.close, topic, api.CloseForm())
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[3] == "closed"
    for node in (tree.county, tree.city):
        (found,) = orphans.orphans(node, topic).items
        assert found.disposed == "adopted"
    tree.check()
    for node in tree.nodes:
        assert verify(node, rebuild=True).ok


def test_a_restored_county_writes_a_log_of_its_new_life_and_both_lives_are_proven(tree: Tree, tmp_path: Path) -> None:
    before = opened(tree.county)
    tree.settle()
    sign(tree)
    old = life.now(tree.county).inc
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    put_back(tree, "county", backup)
    heal(tree)

    after = opened(tree.county, "积水")
    heal(tree)
    sign(tree)
    assert durability(tree.county, after) == durability(tree.city, after) == "settled"
    root = unb64(root_key(tree.province)[1])
    of_old, of_new = (read_receipt(topic_receipt(tree.county, topic, topic)[1], root) for topic in (before, after))
    assert of_old.statement.payload.inc == old
    assert of_new.statement.payload.inc == life.now(tree.county).inc
    assert of_old.checkpoint.origin != of_new.checkpoint.origin
    tree.check()
