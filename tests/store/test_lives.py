"""A node that was restored heals, is granted another incarnation, and gets back what it held (SPEC 14)."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from node.clock import Clock
from node.context import Context
from node.domain.refusals import Healing, Invalid, NotADescendant, NotAllowed, OrphansOpen
from node.service import (
    claims,
    decide,
    delegate,
    escalate,
    exchange,
    finish,
    giveback,
    healing,
    joining,
    life,
    orphans,
    upkeep,
    work,
)
from node.service import open as opening
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import Batch, write
from node.service.guard import GUARD
from node.service.identity import load
from node.service.links import lift
from node.service.receipt import root_key, topic_receipt
from node.service.receive import receive_file, receive_request
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import is_sqlite, reading, writing
from schemas import api
from schemas.entry import Claimed
from schemas.ids import Tier
from sync.chain import header
from sync.errors import SyncError, TransportError
from sync.exchange import Old, compose
from sync.keys import unb64
from sync.receipt import read_receipt
from tests.nodes import Wire, do, lane, make, refused, reload, state_of
from tests.store.logs import durability, sign
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree

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


def test_a_restored_city_heals_from_parent_and_children_and_delegations_go_on(tree: Tree, tmp_path: Path) -> None:
    backup = saved(tree, "city", tmp_path)
    mine = opened(tree.city, "市里的")
    do(tree.city, delegate.delegate, mine, DOWN)
    theirs = opened(tree.county, "县里的")
    do(tree.county, escalate.escalate, theirs, UP)
    tree.settle()
    do(tree.city, decide.accept, theirs, api.AcceptForm())
    tree.settle()
    tree.agree(theirs, tree.county, tree.city)

    brought_back(tree, "city", backup)
    heal(tree)
    assert life.now(tree.city).inc.number == 2
    assert tree.agree(theirs, tree.county, tree.city)[::3] == (CITY, "active")
    assert tree.agree(mine, tree.county, tree.city)[::3] == (CITY, "offered")
    do(tree.county, decide.accept, mine, api.AcceptForm())
    do(tree.city, work.note, theirs, api.NoteForm(text="接着办"))
    heal(tree)
    assert tree.agree(mine, tree.county, tree.city)[0] == COUNTY
    tree.agree(theirs, tree.county, tree.city)
    tree.check()


def test_a_restored_root_heals_from_its_children_and_grants_itself(tree: Tree, tmp_path: Path) -> None:
    backup = saved(tree, "province", tmp_path)
    topic = opened(tree.province, "省里的")
    offered = opened(tree.province, "下放的")
    do(tree.province, delegate.delegate, offered, api.DelegateForm(to=CITY, instruction="办", override_reason="专题"))
    tree.settle()

    brought_back(tree, "province", backup)
    assert healing.line(tree.province) is not None
    heal(tree)
    assert life.now(tree.province).inc.number == 2
    with reading(tree.province.engine) as conn:
        known = conn.execute(select(t.topics.c.id)).scalars().all()
    assert set(known) == {offered}
    assert topic not in known  # it was nowhere else: the root's own topics survive in its backups alone
    do(tree.city, decide.accept, offered, api.AcceptForm())
    heal(tree)
    assert tree.agree(offered, tree.province, tree.city)[0] == CITY
    tree.check()


@pytest.mark.parametrize("names", [("city", "county"), ("province", "city"), ("province", "city", "county", "other")])
def test_several_nodes_restored_at_once_heal_from_above_to_below(
    tree: Tree, tmp_path: Path, names: tuple[str, ...]
) -> None:
    backups = {name: saved(tree, name, tmp_path / name) for name in names}
    topic = opened(tree.county)
    do(tree.county, escalate.escalate, topic, UP)
    tree.settle()
    do(tree.city, decide.accept, topic, api.AcceptForm())
    tree.settle()
    for name, backup in backups.items():
        brought_back(tree, name, backup)
    heal(tree)
    for name in names:
        assert life.now(getattr(tree, name)).inc.number == 2
    after = opened(tree.county, "之后")
    heal(tree)
    tree.agree(after, tree.county, tree.city)
    tree.check()


def test_a_node_restored_twice_in_a_row_never_takes_the_grant_of_the_first_time(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "county", tmp_path)
    brought_back(tree, "county", backup)
    first = life.now(tree.county).inc.nonce
    exchange_some(tree, 2)
    brought_back(tree, "county", backup)
    assert life.now(tree.county).inc.nonce != first
    heal(tree)
    assert life.now(tree.county).inc.number in (2, 3)
    assert tree.agree(topic, tree.county, tree.city)[0] == COUNTY
    do(tree.county, work.note, topic, api.NoteForm(text="好了"))
    heal(tree)
    tree.agree(topic, tree.county, tree.city)
    tree.check()


def test_a_snapshot_that_brings_the_guard_back_is_noticed_at_first_contact(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "county", tmp_path, with_guard=True)
    do(tree.county, work.note, topic, api.NoteForm(text="快照之后"))
    tree.settle()
    brought_back(tree, "county", backup)
    assert life.now(tree.county).live
    exchange_some(tree, 1)
    assert life.now(tree.county).healing_why == f"peer-knows-more {CITY}"
    heal(tree)
    tree.agree(topic, tree.county, tree.city)
    tree.check()


def test_a_node_set_to_signs_nothing_before_its_first_contact(tree: Tree) -> None:
    topic = opened(tree.county)
    tree.settle()
    careful = tree.county.settings.model_copy(update={"sign_after_contact": True})
    vars(tree)["county"] = reload(replace(tree.county, settings=careful))
    tree.connect(tree.county, tree.city)
    assert refused(tree.county, work.note, topic, api.NoteForm(text="早")) is Healing
    tree.settle()
    do(tree.county, work.note, topic, api.NoteForm(text="现在"))
    tree.settle()
    tree.check()


def test_a_copy_that_runs_beside_the_original_stops_the_link_until_a_person_looks(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    shutil.copytree(tree.county.settings.data, tmp_path / "clone")
    settings = tree.county.settings.model_copy(update={"data": tmp_path / "clone"})
    clone = load(settings, Clock(), new_start=True)
    copy = lane(clone, tree.city, Wire(tree.city))
    exchange.call(clone, copy)
    for _ in range(2):
        with suppress(TransportError):
            exchange.call(tree.county, tree.lanes[COUNTY])
    with reading(tree.city.engine) as conn:
        found = links.load(conn, COUNTY)
    assert found is not None and found.stopped == "clone"
    with pytest.raises(TransportError):
        exchange.call(clone, copy)
    clone.engine.dispose()

    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    do(tree.city, lambda batch: lift(batch, COUNTY, "停掉了克隆") or healing.view_in(batch.ctx, batch.conn))
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[0] == COUNTY
    tree.check()


def test_what_a_lost_county_held_is_claimed_by_two_persons_and_closed_by_another(tree: Tree) -> None:
    topic = opened(tree.county)
    tree.settle()
    form = api.ClaimForm(node=COUNTY, to=OTHER, reason="机房烧毁")
    claim = by("张三", tree.city, lambda batch: claims.request(batch, form))
    assert (claim.state, claim.topics) == ("needs_approval", [topic])
    with pytest.raises(NotAllowed):
        by("张三", tree.city, lambda batch: claims.approve(batch, claim.id))
    asking = by("李四", tree.city, lambda batch: claims.approve(batch, claim.id))
    assert asking.state == "asking"
    assert claims.proceed(tree.city) == 1  # there is nobody to ask but the one that is lost
    tree.settle(tree.city, tree.other)
    do(tree.other, decide.accept, topic, api.AcceptForm())
    for step in ("decide", "research", "consult", "implement", "feedback"):
        do(tree.other, work.step, topic, api.StepForm(step=step, text="做"))
    do(tree.other, work.result, topic, api.ResultForm(outcome="A", text="办妥"))
    do(tree.other, finish.close, topic, api.CloseForm())
    heal(tree)
    assert tree.agree(topic, tree.city, tree.other, tree.county)[::3] == (OTHER, "closed")
    tree.check()


def test_a_claim_of_nothing_or_to_where_it_comes_from_is_refused(tree: Tree) -> None:
    topic = opened(tree.county)
    tree.settle()
    for form in (
        api.ClaimForm(node=OTHER, to=COUNTY, reason="没有议题"),
        api.ClaimForm(node=COUNTY, to=COUNTY, reason="转给自己"),
        api.ClaimForm(reason="什么也没指"),
        api.ClaimForm(node=COUNTY, topics=[topic], reason="都指了"),
    ):
        with pytest.raises(Invalid):
            by("张三", tree.city, lambda batch, form=form: claims.request(batch, form))
    with pytest.raises(NotADescendant):
        by(
            "张三",
            tree.city,
            lambda batch: claims.request(batch, api.ClaimForm(node=COUNTY, to=PROVINCE, reason="向上")),
        )


def test_two_arbiters_that_claim_at_once_leave_one_chain_and_a_named_orphan(tree: Tree) -> None:
    topic = opened(tree.county)
    do(tree.county, escalate.escalate, topic, UP)
    tree.settle()
    do(tree.city, decide.accept, topic, api.AcceptForm())
    do(tree.city, escalate.escalate, topic, UP)
    tree.settle()
    do(tree.province, decide.decline, topic, api.DeclineForm(code="not_our_power", reason="县里的事"))
    tree.settle()
    do(tree.city, giveback.give_back, topic, api.ReasonForm(reason="退回"))
    tree.settle()
    do(tree.county, decide.accept, topic, api.AcceptForm())
    tree.settle()
    for node in (tree.city, tree.province):
        with write(node) as batch:
            batch.entry(topic, "claimed", Claimed(reason="并行", approved_by=["甲", "乙"]))
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city, tree.province)[0] == PROVINCE
    for node in (tree.county, tree.city, tree.province):
        (found,) = orphans.orphans(node, topic).items
        assert (found.kind, found.author) == ("claimed", CITY)
    do(tree.province, orphans.dispose, topic, found.hash, api.DisposeForm(decision="set_aside", reason="省里已认领"))
    heal(tree)
    assert {orphans.orphans(node, topic).items[0].disposed for node in (tree.county, tree.city)} == {"set_aside"}
    tree.check()


def test_a_county_on_a_new_machine_gets_its_topics_back_under_another_key(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    tree.county.engine.dispose()
    with write(tree.city) as batch:
        renewal = joining.Renewal("机器烧毁", revoked=True)
        token = joining.invite(batch, COUNTY, Tier.COUNTY, "县政协", renewal)
    old = tree.county
    fresh = make(tmp_path, COUNTY, Tier.COUNTY)
    request = joining.join_request(fresh, token)
    joining.finish_join(fresh, token, joining.enrol_child(tree.city, request))
    vars(tree)["county"] = reload(fresh)
    tree.connect(tree.county, tree.city)
    assert not life.now(tree.county).live
    heal(tree)
    assert life.now(tree.county).inc.number == 2
    assert tree.agree(topic, tree.county, tree.city)[::3] == (COUNTY, "active")
    do(tree.county, work.note, topic, api.NoteForm(text="新机器"))
    heal(tree)
    tree.agree(topic, tree.county, tree.city)
    with pytest.raises(TransportError):
        exchange.call(old, lane(old, tree.city, Wire(tree.city)))
    old.engine.dispose()
    tree.check()


def test_a_county_heals_by_stick_alone(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "county", tmp_path)
    do(tree.county, work.note, topic, api.NoteForm(text="备份之后"))
    tree.settle()
    brought_back(tree, "county", backup)
    for _ in range(3):
        import_bundle(tree.city, export_bundle(tree.county, CITY))
        upkeep.live_on(tree.city)
        import_bundle(tree.county, export_bundle(tree.city, COUNTY))
        upkeep.live_on(tree.county)
        if life.now(tree.county).live:
            break
    for _ in range(3):
        import_bundle(tree.city, export_bundle(tree.county, CITY))
        upkeep.live_on(tree.city)
        import_bundle(tree.county, export_bundle(tree.city, COUNTY))
    assert life.now(tree.county).inc.number == 2
    import_bundle(tree.city, export_bundle(tree.county, CITY))
    assert tree.agree(topic, tree.county, tree.city)[::3] == (COUNTY, "active")
    tree.check()


def test_a_parent_restored_unnoticed_learns_of_the_life_it_granted_and_heals(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    mine = saved(tree, "county", tmp_path / "county")
    theirs = saved(tree, "city", tmp_path / "city", with_guard=True)
    brought_back(tree, "county", mine)
    heal(tree)
    assert life.now(tree.county).inc.number == 2
    brought_back(tree, "city", theirs)
    assert life.now(tree.city).live
    heal(tree)
    assert life.now(tree.city).inc.number == 2
    do(tree.county, work.note, topic, api.NoteForm(text="都恢复了"))
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[::3] == (COUNTY, "active")
    tree.check()


def test_a_late_request_of_an_instance_never_heard_makes_no_clone_of_the_one_that_lives(tree: Tree) -> None:
    """The request was under way when its process ended, and arrives after the next one was heard."""
    late: list[bytes] = []
    opened(tree.county)
    exchange.call(tree.county, tree.lanes[COUNTY])
    restart(tree, "county")
    tree.wires[COUNTY].on_request = lambda raw: late.append(raw)
    opened(tree.county, "路上的")
    with suppress(TransportError):
        exchange.call(tree.county, tree.lanes[COUNTY])
    second = tree.lanes[COUNTY]
    tree.wires[COUNTY].on_request = lambda raw: raw
    exchange.call(tree.county, second)
    second.start = 0
    tree.wires[COUNTY].on_request = lambda raw: late.append(raw)
    opened(tree.county, "又一件")
    with suppress(TransportError):
        exchange.call(tree.county, second)
    restart(tree, "county")
    tree.settle(tree.county)
    for raw in late:
        with suppress(SyncError):
            receive_request(tree.city, raw)
    tree.settle(tree.county)
    with reading(tree.city.engine) as conn:
        found = links.load(conn, COUNTY)
    assert found is not None and found.stopped is None
