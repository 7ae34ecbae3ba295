"""A node that was restored heals, is granted another incarnation, and gets back what it held (SPEC 14)."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from node.context import Context
from node.domain.refusals import Healing, NoReceipt, NotMet
from node.service import (
    decide,
    delegate,
    escalate,
    exchange,
    healing,
    joining,
    life,
    upkeep,
    work,
)
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.receipt import root_key, topic_receipt
from node.service.receive import receive_file, receive_request
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from schemas.ids import Tier
from sync.errors import TransportError
from sync.keys import unb64
from sync.receipt import read_receipt
from tests.nodes import Wire, do, join, lane, make, refused, reload, settle, state_of
from tests.store.lives import (
    DOWN,
    UP,
    brought_back,
    copy_of,
    exchange_some,
    hand_over,
    heal,
    last_statement,
    offered_to_the_province,
    opened,
    put_back,
    restart,
    saved,
)
from tests.store.logs import durability, sign, words
from tests.store.tree import CITY, COUNTY, PROVINCE, Tree


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


def test_what_was_settled_before_a_restore_is_settled_after_it(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "county", tmp_path)
    do(tree.county, work.note, topic, api.NoteForm(text="去看过"))
    tree.settle()
    sign(tree)
    assert set(words(tree.county, topic).values()) == {"settled"}
    brought_back(tree, "county", backup)
    heal(tree)
    sign(tree)
    before = words(tree.city, topic)
    assert before == words(tree.county, topic) and set(before.values()) == {"settled"}
    tree.check()


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


def test_what_was_written_after_the_backup_is_settled_again_but_gets_no_receipt_any_more(
    tree: Tree, tmp_path: Path
) -> None:
    """As docs/log.md says: the log of the life that ended does not come back; what was proven before stays so."""
    backup = saved(tree, "county", tmp_path)
    topic = opened(tree.county)
    tree.settle()
    sign(tree)
    assert durability(tree.county, topic) == "settled"
    made = topic_receipt(tree.county, topic, topic)[1]

    brought_back(tree, "county", backup)
    heal(tree)
    sign(tree)
    assert words(tree.county, topic)[topic] == "settled"
    with pytest.raises(NoReceipt):
        topic_receipt(tree.county, topic, topic)
    assert read_receipt(made, unb64(root_key(tree.province)[1])).statement.id == topic
    assert topic_receipt(tree.county, topic), "for taking it up again in the new life"


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


def test_a_restored_parent_takes_no_recorded_request_a_second_time(tree: Tree, tmp_path: Path) -> None:
    """In its database the challenge that request answers is open again."""
    tree.settle()
    backup = copy_of(tree.province, tmp_path / "backup")
    said = tree.lanes[CITY]
    recorded: list[bytes] = []

    def record(raw: bytes) -> bytes:
        recorded.append(raw)
        return raw

    said.transport = Wire(restart(tree, "province"), record)  # type: ignore[assignment]
    exchange.call(tree.city, said)
    (raw,) = recorded  # it answers the challenge given before the backup, and so was taken at once
    again = put_back(tree, "province", backup)
    assert not life.now(again).live
    assert receive_request(again, raw).challenged


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
    assert refused(tree.county, work.note, topic, api.NoteForm(text="早")) is NotMet
    tree.settle()
    do(tree.county, work.note, topic, api.NoteForm(text="现在"))
    tree.settle()
    tree.check()


def test_a_child_alone_does_not_vouch_for_a_node_that_has_a_parent(tree: Tree) -> None:
    topic = opened(tree.city)
    tree.settle()
    careful = tree.city.settings.model_copy(update={"sign_after_contact": True})
    vars(tree)["city"] = reload(replace(tree.city, settings=careful))
    for child, parent in ((tree.county, tree.city), (tree.city, tree.province)):
        tree.connect(child, parent)
    tree.settle(tree.county)
    assert refused(tree.city, work.note, topic, api.NoteForm(text="早")) is NotMet
    tree.settle(tree.city)
    do(tree.city, work.note, topic, api.NoteForm(text="现在"))


def test_what_a_restored_node_had_told_nobody_goes_to_whom_its_lost_life_had_told_it(
    tree: Tree, tmp_path: Path
) -> None:
    topic = opened(tree.province)
    tree.settle()
    backup = saved(tree, "province", tmp_path)
    form = api.DelegateForm(to=CITY, instruction="请办", override_reason="专题")
    do(tree.province, delegate.delegate, topic, form)
    tree.settle()
    brought_back(tree, "province", backup)
    heal(tree)
    tree.check()
    assert set(words(tree.province, topic).values()) <= {"received", "settled"}


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


def test_what_came_ahead_by_stick_of_a_life_that_ends_then_is_taken_with_the_next(tree: Tree, tmp_path: Path) -> None:
    """Nobody but the city has it: the county was set back to before it wrote it."""
    tree.settle()
    backup = saved(tree, "county", tmp_path)
    lost, kept = opened(tree.county), opened(tree.county, "积水")
    room = exchange.NOTHING.model_copy(update={"items": 10, "bytes": 1024 * 1024})
    envelope = exchange.Envelope(CITY, "file", None, None, None, None, room)
    with reading(tree.county.engine) as conn:
        link = links.load(conn, CITY)
    assert link is not None
    receive_file(tree.city, exchange.document(tree.county, envelope, exchange.Content(link.sent_seq - 1, room))[0])
    with reading(tree.city.engine) as conn:
        assert conn.execute(select(t.parked.c.statement, t.parked.c.state)).all() == [(kept, "ahead")]
    brought_back(tree, "county", backup)
    heal(tree)
    assert tree.agree(kept, tree.county, tree.city)[::3] == (COUNTY, "active")
    with reading(tree.city.engine) as conn:
        assert conn.execute(select(t.parked.c.state)).scalars().all() == ["done"]
        assert conn.execute(select(t.topics.c.id).where(t.topics.c.id == lost)).first() is None
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


def test_a_city_set_back_to_before_it_enrolled_a_county_learns_of_it_and_has_it_back(
    tree: Tree, tmp_path: Path
) -> None:
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    late = join(tree.city, make(tmp_path, "620104", Tier.COUNTY))
    link = lane(late, tree.city)
    settle([link], [late])
    topic = opened(late)
    settle([link], [late])
    tree.settle()
    brought_back(tree, "city", backup)
    with pytest.raises(AssertionError, match="waits to compare with 620104"):
        heal(tree)

    link = lane(late, tree.city)
    for _ in range(8):
        with suppress(TransportError):
            exchange.call(late, link)
    heal(tree)
    assert life.now(tree.city).inc.number == 2
    do(late, work.note, topic, api.NoteForm(text="还在办"))
    settle([link], [late])
    tree.agree(topic, tree.city, late)
    tree.check()
    late.engine.dispose()


def test_a_city_that_heals_waits_for_a_county_it_enrolled_and_never_heard_of_which_may_still_join(
    tree: Tree, tmp_path: Path
) -> None:
    """Whether the answer to its joining was lost or the county has long lived, a city that was set back cannot tell."""
    late = make(tmp_path, "620104", Tier.COUNTY)
    with write(tree.city) as batch:
        token = joining.invite(batch, "620104", Tier.COUNTY, late.identity.name)
    request = joining.join_request(late, token)
    lost = joining.enrol_child(tree.city, request)
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    with pytest.raises(AssertionError, match="waits to compare with 620104"):
        heal(tree)

    answer = joining.enrol_child(tree.city, request)
    assert answer == lost
    joining.finish_join(late, token, answer)
    late = reload(late)
    link = lane(late, tree.city)
    for _ in range(3):
        exchange.call(late, link)
    heal(tree)
    assert life.now(tree.city).inc.number == 2
    settle([link], [late])
    assert life.now(late).live
    late.engine.dispose()


def test_a_county_set_back_to_before_the_present_life_of_its_city_heals(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    of_county, of_city = saved(tree, "county", tmp_path / "county"), saved(tree, "city", tmp_path / "city")
    brought_back(tree, "city", of_city)
    heal(tree)
    do(tree.county, work.note, topic, api.NoteForm(text="备份之后"))
    heal(tree)
    brought_back(tree, "county", of_county)
    heal(tree)
    assert (life.now(tree.city).inc.number, life.now(tree.county).inc.number) == (2, 2)
    assert tree.agree(topic, tree.county, tree.city)[::3] == (COUNTY, "active")
    tree.check()


def test_an_offer_to_a_life_that_is_forgotten_waits_for_its_grant_and_what_follows_it_too(
    tree: Tree, tmp_path: Path
) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    brought_back(tree, "city", backup)
    heal(tree)
    do(tree.county, escalate.escalate, topic, UP)
    offered = last_statement(tree.county)
    do(tree.county, decide.recall, topic, api.RecallForm(reason="不交了"))
    recalled = last_statement(tree.county)
    brought_back(tree, "city", backup)
    hand_over(tree.county, tree.city, offered)
    hand_over(tree.county, tree.city, recalled)
    assert _waiting(tree.city) == [("deferred", "unknown-key"), ("deferred", "unknown-entry")]
    heal(tree)
    assert _waiting(tree.city) == [("done", "unknown-key"), ("done", "unknown-entry")]
    tree.agree(topic, tree.county, tree.city)
    tree.check()


def test_a_topic_of_a_life_that_is_forgotten_is_taken_whole_when_its_grant_comes(tree: Tree, tmp_path: Path) -> None:
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    brought_back(tree, "city", backup)
    heal(tree)
    topic = opened(tree.city)
    first = last_statement(tree.city)
    do(tree.city, delegate.delegate, topic, DOWN)
    second = last_statement(tree.city)
    tree.settle()
    brought_back(tree, "city", backup)
    for _ in range(2):  # who heals is sent it again and again, and keeps it once
        hand_over(tree.county, tree.city, first)
    hand_over(tree.county, tree.city, second)
    assert _waiting(tree.city) == [("deferred", "unknown-key"), ("deferred", "gap")]
    heal(tree)
    assert _waiting(tree.city) == [("done", "unknown-key"), ("done", "gap")]
    tree.agree(topic, tree.county, tree.city)
    tree.check()


def test_what_came_back_from_below_is_not_owed_to_its_author(tree: Tree, tmp_path: Path) -> None:
    """The city has the first entry of the province's topic from the county, and the rest from the province."""
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    topic = opened(tree.province)
    first = last_statement(tree.province)
    do(tree.province, delegate.delegate, topic, DOWN)
    tree.settle()
    brought_back(tree, "city", backup)
    hand_over(tree.county, tree.city, first)
    heal(tree)
    do(tree.county, decide.accept, topic, api.AcceptForm())
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city, tree.province)[0] == COUNTY
    tree.check()


def test_what_a_second_life_wrote_is_still_missed_on_its_stream(tree: Tree, tmp_path: Path) -> None:
    """verify leaves to comparing only what was here before the life began."""
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    opened(tree.city)
    brought_back(tree, "city", backup)
    heal(tree)
    offered_to_the_province(tree)
    with tree.city.engine.begin() as conn:
        o, mine = t.outbox, t.outbox.c.peer == PROVINCE
        last = conn.execute(select(func.max(o.c.seq)).where(mine)).scalar_one()
        conn.execute(delete(o).where(mine, o.c.seq == last))
        before = conn.execute(select(o.c.hash).where(mine, o.c.seq == last - 1)).scalar_one()
        conn.execute(update(t.links).where(t.links.c.peer == PROVINCE).values(sent_seq=last - 1, sent_hash=before))
    assert any(line.startswith("delivery") for line in verify(tree.city).problems)


def _waiting(node: Context) -> list[tuple[str, str]]:
    with reading(node.engine) as conn:
        return [tuple(row) for row in conn.execute(select(t.parked.c.state, t.parked.c.code).order_by(t.parked.c.id))]
