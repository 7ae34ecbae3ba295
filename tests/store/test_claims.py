"""Claims, orphans, lost machines and copies that run twice (SPEC 14.5 to 14.8)."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from node.cli.topic import resolve
from node.clock import Clock
from node.domain.refusals import ChildrenOpen, Invalid, NotADescendant, NotAllowed, OrphansOpen
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
    possible,
    read,
    remark,
    split,
    work,
)
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.identity import load
from node.service.links import lift
from node.service.perform import Actor
from node.service.receive import receive_request
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import reading, writing
from schemas import api
from schemas.entry import Claimed
from schemas.ids import Tier
from sync.errors import BadDocument, Held, SyncError, TransportError
from tests.nodes import Wire, do, lane, make, refused, reload
from tests.store.lives import (
    DOWN,
    UP,
    back_in_the_county,
    brought_back,
    by,
    copy_of,
    hand_over,
    heal,
    last_statement,
    opened,
    put_back,
    restart,
    saved,
)
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree

CLERK = Actor(1, "王芳", frozenset({"clerk"}))


def test_what_a_restored_county_wrote_unsent_before_is_an_orphan_to_be_named(tree: Tree, tmp_path: Path) -> None:
    """What the county had not sent turns up later, by stick: it stands beside the claim and is disposed of by name."""
    topic = opened(tree.county)
    tree.settle()
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    do(tree.county, work.note, topic, api.NoteForm(text="没有发出去"))
    late = last_statement(tree.county)
    do(tree.county, remark.remark, topic, api.RemarkForm(kind="urge", text="也没有"))
    said = last_statement(tree.county)
    put_back(tree, "county", backup)
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city)[0] == COUNTY
    hand_over(tree.county, tree.city, late, said)
    with reading(tree.city.engine) as conn:
        assert conn.execute(select(t.parked.c.code)).all() == []
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


def test_what_the_old_disk_alone_has_comes_by_stick_once_it_knows_that_its_life_is_over(
    tree: Tree, tmp_path: Path
) -> None:
    """As docs/restore.md says: its own bundle is refused, whenever it was written; the second after one of the parent's
    brings what only it had, and the node that was restored fetches that when it heals once more."""
    topic = opened(tree.county)
    tree.settle()
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    do(tree.county, work.note, topic, api.NoteForm(text="没有发出去"))
    before = export_bundle(tree.county, CITY)
    tree.county.engine.dispose()
    shutil.copytree(tree.county.settings.data, tmp_path / "old")
    put_back(tree, "county", backup)
    heal(tree)
    old = load(tree.county.settings.model_copy(update={"data": tmp_path / "old"}), Clock())
    for raw in (before, export_bundle(old, CITY)):
        with pytest.raises(BadDocument, match="wrong-incarnation: 1"):
            import_bundle(tree.city, raw)
    assert orphans.orphans(tree.city, topic).items == []

    for _ in range(2):
        import_bundle(old, export_bundle(tree.city, COUNTY))
        import_bundle(tree.city, export_bundle(old, CITY))
    (found,) = orphans.orphans(tree.city, topic).items
    assert (found.kind, found.body) == ("noted", {"text": "没有发出去"})
    old.engine.dispose()
    heal(tree)
    assert life.now(tree.county).inc.number == 2, "the node that was restored goes on in its life"
    assert orphans.orphans(tree.county, topic).items == [], "nobody tells it what came in its own name"
    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    assert [item.hash for item in orphans.orphans(tree.county, topic).items] == [found.hash]
    do(tree.county, orphans.dispose, topic, found.hash, api.DisposeForm(decision="adopt"))
    tree.check()


def test_a_bundle_of_before_the_restore_is_taken_while_no_other_life_is_granted(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = copy_of(tree.county, tmp_path / "backup")
    restart(tree, "county")
    do(tree.county, work.note, topic, api.NoteForm(text="还在路上"))
    before = export_bundle(tree.county, CITY)
    put_back(tree, "county", backup)
    assert import_bundle(tree.city, before).applied >= 1
    heal(tree)
    assert [entry.kind for entry in read.entries(tree.county, topic, None, 9).items][:2] == ["opened", "noted"]
    assert orphans.orphans(tree.city, topic).items == []


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


def test_parts_that_went_with_a_disk_are_let_go_of_and_the_topic_comes_home(tree: Tree, tmp_path: Path) -> None:
    """The split had reached the province when the city's disk died; its two parts had reached nobody."""
    topic = opened(tree.city)
    parts = [api.SplitPart(to=to, role="assist", title="协办", instruction="请办理") for to in (COUNTY, OTHER)]
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    do(tree.city, split.split, topic, api.SplitForm(parts=parts))
    raw = select(t.statements.c.raw).join(t.entries, t.entries.c.id == t.statements.c.id)
    with reading(tree.city.engine) as conn:
        said = conn.execute(raw.where(t.entries.c.kind == "split")).scalar_one()
    hand_over(tree.city, tree.province, said)
    brought_back(tree, "city", backup)
    heal(tree)
    ((entry, count),) = read.unseen_parts(tree.city, topic).items()
    assert count == 2
    for step in ("decide", "research", "consult", "implement", "feedback"):
        do(tree.city, work.step, topic, api.StepForm(step=step, text="做"))
    do(tree.city, work.result, topic, api.ResultForm(outcome="A", text="修好"))
    assert refused(tree.city, finish.close, topic, api.CloseForm()) is ChildrenOpen
    do(tree.city, split.detach, topic, api.DetachForm(topic=entry, reason="随设备丢失，另行分办"))
    do(tree.city, finish.close, topic, api.CloseForm())
    heal(tree)
    assert tree.agree(topic, tree.city, tree.province)[3] == "closed"
    assert read.unseen_parts(tree.city, topic) == {}
    tree.check()


def test_who_claims_what_it_gave_away_is_at_home_or_reports_to_who_is_below_both(tree: Tree) -> None:
    """It stands on the stack twice in a row then, and could neither close the topic nor report it to itself."""
    mine, countys = opened(tree.city), opened(tree.other)
    do(tree.other, escalate.escalate, countys, UP)
    tree.settle()
    do(tree.city, decide.accept, countys, api.AcceptForm())
    for topic in (mine, countys):
        do(tree.city, delegate.delegate, topic, DOWN.model_copy(update={"due_at": datetime(2026, 9, 1, tzinfo=UTC)}))
    tree.settle()
    for topic in (mine, countys):
        do(tree.county, decide.accept, topic, api.AcceptForm())
    tree.settle()
    claim = by("张三", tree.city, lambda batch: claims.request(batch, api.ClaimForm(node=COUNTY, reason="机房烧毁")))
    by("李四", tree.city, lambda batch: claims.approve(batch, claim.id))
    tree.settle()
    assert claims.proceed(tree.city) == 1
    for topic, verb, other in ((mine, "close", "report"), (countys, "report", "close")):
        for step in ("decide", "research", "consult", "implement", "feedback"):
            form = api.StepForm(step=step, text="做", override_reason="收尾")
            do(tree.city, work.step, topic, form)
        do(tree.city, work.result, topic, api.ResultForm(outcome="A", text="办妥"))
        can = possible.possible(tree.city, CLERK, topic).verbs
        assert verb in can and other not in can
        assert read.topic(tree.city, topic).due_at is not None
    do(tree.city, finish.close, mine, api.CloseForm())
    do(tree.city, giveback.report, countys, api.ReportForm(text="办妥"))
    tree.settle()
    do(tree.other, decide.accept, countys, api.AcceptForm())
    assert read.topic(tree.other, countys).due_at is None
    do(tree.other, finish.close, countys, api.CloseForm())
    tree.settle()
    assert tree.agree(mine, tree.city, tree.province, tree.county)[::3] == (CITY, "closed")
    assert tree.agree(countys, tree.city, tree.other, tree.county)[::3] == (OTHER, "closed")
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


def test_what_is_offered_to_a_node_that_lives_cannot_be_claimed_back(tree: Tree) -> None:
    """Not at once, rather than after two persons have said yes: only the end of that life frees it (R11)."""
    topic = opened(tree.city)
    do(tree.city, delegate.delegate, topic, DOWN)
    tree.settle()
    form = api.ClaimForm(topics=[topic], reason="机房烧毁")
    with pytest.raises(Invalid) as found:
        by("张三", tree.city, lambda batch: claims.request(batch, form))
    assert found.value.rule == "not_claimable"


def test_what_a_lost_node_offered_and_nobody_took_is_among_what_it_holds(tree: Tree) -> None:
    topic = opened(tree.county)
    do(tree.county, escalate.escalate, topic, UP)
    tree.settle()
    form = api.ClaimForm(node=COUNTY, to=OTHER, reason="机房烧毁")
    with pytest.raises(Invalid):
        by("张三", tree.city, lambda batch: claims.request(batch, form))  # the city itself can still accept
    do(tree.city, decide.decline, topic, api.DeclineForm(code="not_our_area", reason="不归本级"))
    claim = by("张三", tree.city, lambda batch: claims.request(batch, form))
    assert claim.topics == [topic]
    by("李四", tree.city, lambda batch: claims.approve(batch, claim.id))
    assert claims.proceed(tree.city) == 1
    tree.settle(tree.city, tree.other)
    do(tree.other, decide.accept, topic, api.AcceptForm())
    heal(tree)
    assert tree.agree(topic, tree.city, tree.other, tree.county)[0] == OTHER
    tree.check()


def test_a_claim_of_which_nothing_came_is_not_done(tree: Tree) -> None:
    topic = opened(tree.county)
    tree.settle()
    claim = by("张三", tree.city, lambda batch: claims.request(batch, api.ClaimForm(topics=[topic], reason="机房烧毁")))
    by("李四", tree.city, lambda batch: claims.approve(batch, claim.id))
    do(tree.county, escalate.escalate, topic, UP)
    tree.settle()
    do(tree.city, decide.accept, topic, api.AcceptForm())
    assert claims.proceed(tree.city) == 1
    (found,) = claims.listed(tree.city, None, 10).items
    assert found.state == "refused"
    assert found.detail is not None and topic[:12] in found.detail
    assert read.topic(tree.city, topic).custodian == CITY


def test_a_number_that_a_forgotten_life_had_given_names_no_topic_alone(tree: Tree) -> None:
    first = opened(tree.county, "路灯")
    with writing(tree.county.engine) as conn:
        conn.execute(update(t.numbers).values(last=0))
    second = opened(tree.county, "积水")
    number = read.topic(tree.county, first).number
    assert read.topic(tree.county, second).number == number
    for name in (lambda: claims.named(tree.county, [number]), lambda: resolve(tree.county, number)):
        with pytest.raises(Invalid) as found:
            name()
        assert found.value.rule == "ambiguous_number"
        assert first in found.value.values["ids"] and second in found.value.values["ids"]
    assert claims.named(tree.county, [first]) == [first]
    tree.settle()
    tree.check()


def test_a_claim_of_what_the_node_itself_holds_is_refused_by_name(tree: Tree) -> None:
    opened(tree.city)
    with pytest.raises(Invalid) as found:
        by("张三", tree.city, lambda batch: claims.request(batch, api.ClaimForm(node=CITY, to=COUNTY, reason="自己的")))
    assert found.value.rule == "own_node"
    assert claims.listed(tree.city, None, 10).items == []


def test_two_arbiters_that_claim_at_once_leave_one_chain_and_a_named_orphan(tree: Tree) -> None:
    topic = back_in_the_county(tree)
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


def test_who_was_offered_a_topic_on_a_branch_that_was_lost_goes_on_hearing_of_it(tree: Tree) -> None:
    topic = opened(tree.city)
    tree.settle()
    do(tree.city, delegate.delegate, topic, DOWN)
    tree.settle(tree.county)
    with write(tree.province) as batch:
        batch.entry(topic, "claimed", Claimed(reason="失联", approved_by=["甲", "乙"]))
    tree.settle()
    (found,) = orphans.orphans(tree.county, topic).items
    assert (found.kind, found.author) == ("offered", CITY)
    do(tree.province, orphans.dispose, topic, found.hash, api.DisposeForm(decision="set_aside", reason="省里已认领"))
    do(tree.province, remark.remark, topic, api.RemarkForm(kind="comment", text="由省里办理"))
    tree.settle()
    assert tree.agree(topic, tree.province, tree.city, tree.county)[0] == PROVINCE
    assert orphans.orphans(tree.county, topic).items[0].disposed == "set_aside"
    assert len(read.remarks(tree.county, topic, None, 200).items) == 1
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
    fresh.engine.dispose()
    copied = fresh.settings.model_copy(update={"data": shutil.copytree(fresh.settings.data, tmp_path / "twin")})
    twin = load(copied, fresh.clock)
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
    with write(tree.city) as batch:
        token = joining.invite(batch, COUNTY, Tier.COUNTY, "县政协", renewal)
    with pytest.raises(Held, match="key-taken"):
        joining.enrol_child(tree.city, joining.join_request(twin, token))
    for node in (old, twin):
        node.engine.dispose()
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
