"""Guards of R8, R10 to R13 and R16 that another stands behind, or that few runs of the simulator come to.

`tests/sim/mutants` names these tests for the bugs that the simulator does not notice.
"""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select, update

from node.domain.refusals import AlreadyDecided
from node.service import (
    clones,
    decide,
    delegate,
    escalate,
    exchange,
    healing,
    joining,
    life,
    orphans,
    parking,
    upkeep,
    work,
)
from node.service.commit import write
from node.service.receive import receive_file
from node.store import links
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from schemas.entry import Claimed
from schemas.exchange import Budget, Heal, Knows
from schemas.ids import Tier
from sync.delivery import Allowance
from sync.errors import TransportError
from sync.exchange import Item
from sync.sealing import REGISTRY, identity, open_statement, parse
from tests.nodes import Wire, do, join, lane, make, settle, state_of
from tests.store.lives import (
    UP,
    back_in_the_county,
    brought_back,
    hand_over,
    heal,
    last_statement,
    let_go_on,
    opened,
    saved,
)
from tests.store.test_forks import claim, undisposed
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    Tree,
    accept,
    delegated,
    forge,
    note,
    offer_down,
    open_topic,
    rows,
)

ASIDE = api.DisposeForm(decision="set_aside", reason="写了两次")
CLAIMED = Claimed(reason="并行", approved_by=["甲", "乙"])
NONCE = "ab" * 16
BYTES_MIN = 1024
"""No smaller budget is let through (SPEC 8.6)."""


def test_an_orphan_that_comes_after_its_disposal_is_disposed_of_and_only_once(tree: Tree) -> None:
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic)
    tree.settle()
    claim(tree.city, topic)
    tree.settle()
    accept(tree.other, topic)
    tree.settle()
    hand_over(tree.city, tree.other, rival)
    id = identity(parse(rival).payload)
    do(tree.other, orphans.dispose, topic, id, ASIDE)
    with pytest.raises(AlreadyDecided):
        do(tree.other, orphans.dispose, topic, id, ASIDE)
    heal(tree)
    assert orphans.orphans(tree.city, topic).items == []
    hand_over(tree.other, tree.city, rival)
    heal(tree)
    assert [item.disposed for item in orphans.orphans(tree.city, topic).items] == ["set_aside"]
    assert undisposed(tree.province, topic) == undisposed(tree.county, topic) == set()


def test_what_a_lost_branch_disposed_of_is_not_disposed_of(tree: Tree) -> None:
    """The city claims and sets an entry aside, the province claims above it: the entry is to be named again."""
    topic = back_in_the_county(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic)
    tree.settle()
    with write(tree.city) as batch:
        batch.entry(topic, "claimed", CLAIMED)
    hand_over(tree.county, tree.city, rival)
    id = identity(parse(rival).payload)
    do(tree.city, orphans.dispose, topic, id, ASIDE)
    assert undisposed(tree.city, topic) == set()
    with write(tree.province) as batch:
        batch.entry(topic, "claimed", CLAIMED)
    heal(tree)
    hand_over(tree.city, tree.province, rival)
    assert id in undisposed(tree.city, topic)
    assert undisposed(tree.city, topic) == undisposed(tree.province, topic)


def test_what_stands_on_an_entry_beside_the_chain_is_taken_with_it(tree: Tree) -> None:
    """The province claims above the city, and hears what the city wrote after its own claim before that claim."""
    topic = back_in_the_county(tree)
    with write(tree.city) as batch:
        batch.entry(topic, "claimed", CLAIMED)
    first = last_statement(tree.city)
    note(tree.city, topic)
    second = last_statement(tree.city)
    with write(tree.province) as batch:
        batch.entry(topic, "claimed", CLAIMED)
    hand_over(tree.city, tree.province, second)
    assert undisposed(tree.province, topic) == set()
    hand_over(tree.city, tree.province, first)
    assert undisposed(tree.province, topic) == {identity(parse(raw).payload) for raw in (first, second)}


def test_a_late_reply_of_a_start_never_heard_replaces_nothing(tree: Tree) -> None:
    """Two requests were under way to two starts of the city; the answer of the earlier start comes last."""
    tree.settle()
    with write(tree.county) as batch:
        link = batch.link(CITY)
        assert link is not None
        mark = clones.mark(batch.conn, CITY)
        assert clones.check(batch, link, "b" * 32, mark)
        assert clones.check(batch, link, "a" * 32, mark)
        assert link.instance == "b" * 32


def test_who_was_granted_another_life_elsewhere_ends_its_own_and_is_not_heard_in_it(tree: Tree) -> None:
    """The city was told of a restore of the county by somebody else than the county that runs."""
    topic = opened(tree.county)
    tree.settle()
    let_go_on(tree.city, COUNTY, NONCE)
    before = state_of(tree.city, topic)
    note(tree.county, topic, "还不知道")
    exchange.call(tree.county, tree.lanes[COUNTY])
    assert state_of(tree.city, topic)[1] == before[1]
    assert not life.now(tree.county).live
    heal(tree)
    assert life.now(tree.county).inc.number == 3


def test_who_reads_that_it_was_granted_another_life_stops_at_once(tree: Tree) -> None:
    """By the grant alone; the ack of whoever brings it would say so, too."""
    tree.settle()
    let_go_on(tree.city, COUNTY, NONCE)
    with write(tree.county) as batch:
        batch.apply(open_statement(parse(last_statement(tree.city)), batch.roster.keyring), CITY)
    assert not life.now(tree.county).live


def test_what_no_neighbour_confirmed_goes_first_on_the_next_stream(tree: Tree) -> None:
    topic = opened(tree.county)
    tree.settle()
    note(tree.county, topic, "还没送出")
    unsent = identity(parse(last_statement(tree.county)).payload)
    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    let_go_on(tree.city, COUNTY, life.now(tree.county).inc.nonce)
    hand_over(tree.city, tree.county, last_statement(tree.city))
    assert life.now(tree.county).inc.number == 2
    assert rows(tree.county, t.outbox, t.outbox.c.peer == CITY)[0].statement == unsent


def test_a_neighbour_has_answered_when_the_sets_were_equal_and_not_before(tree: Tree) -> None:
    tree.settle()
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
        for equal in (False, True):
            for peer in (PROVINCE, COUNTY, OTHER):
                healing._note_answer(batch, peer, equal, Knows(nonce=batch.inc.nonce, number=1))
            assert healing.status(batch.conn).ready == equal


def test_a_line_narrower_than_a_statement_makes_progress(tree: Tree) -> None:
    topic = open_topic(tree.city)
    note(tree.city, topic, "情况说明" * 400)
    offer_down(tree.city, topic, COUNTY)
    for _ in range(6):
        tree.lanes[COUNTY].allowance = Allowance(items=1, bytes=BYTES_MIN)  # it widens by itself where all goes well
        exchange.call(tree.county, tree.lanes[COUNTY])
    assert state_of(tree.county, topic) == state_of(tree.city, topic)


def test_what_an_earlier_life_sends_first_is_not_the_first_of_the_next_stream(tree: Tree) -> None:
    tree.settle()
    let_go_on(tree.city, COUNTY, NONCE)
    topic = opened(tree.county)
    exchange.call(tree.county, tree.lanes[COUNTY])
    assert rows(tree.city, t.links, t.links.c.peer == COUNTY)[0].received_seq == 0
    assert not rows(tree.city, t.topics, t.topics.c.id == topic)


def test_a_revoked_key_seals_nothing_though_no_other_life_was_granted_yet(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    before = state_of(tree.city, topic)
    with write(tree.city) as batch:
        token = joining.invite(batch, COUNTY, Tier.COUNTY, "县政协", joining.Renewal("机器被盗", revoked=True))
    fresh = make(tmp_path, COUNTY, Tier.COUNTY)
    joining.finish_join(fresh, token, joining.enrol_child(tree.city, joining.join_request(fresh, token)))
    note(tree.county, topic, "在别人手里的机器上写的")
    with pytest.raises(TransportError):
        exchange.call(tree.county, tree.lanes[COUNTY])
    assert state_of(tree.city, topic) == before


def test_what_was_held_under_a_revoked_key_waits_no_longer_once_a_healing_node_takes_it(
    tree: Tree, tmp_path: Path
) -> None:
    topic = delegated(tree)
    note(tree.county, topic, "市里还没有收到")
    late = last_statement(tree.county)
    with write(tree.city) as batch:
        token = joining.invite(batch, COUNTY, Tier.COUNTY, "县政协", joining.Renewal("机器被盗", revoked=True))
    joining.enrol_child(tree.city, joining.join_request(make(tmp_path, COUNTY, Tier.COUNTY), token))
    for _ in range(2):
        hand_over(tree.province, tree.city, late)
    assert [row.code for row in rows(tree.city, t.parked, t.parked.c.state == "held")] == ["revoked-key"]
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    hand_over(tree.province, tree.city, late)
    assert rows(tree.city, t.entries, t.entries.c.id == identity(parse(late).payload))
    upkeep.live_on(tree.city)
    assert not rows(tree.city, t.parked, t.parked.c.state == "held")


def test_what_comes_late_under_a_revoked_key_is_taken_on_the_way_from_who_revoked_it(
    tree: Tree, tmp_path: Path
) -> None:
    topic = delegated(tree)
    note(tree.county, topic, "先写的")
    late = identity(parse(last_statement(tree.county)).payload)
    exchange.call(tree.county, tree.lanes[COUNTY])
    with write(tree.city) as batch:
        token = joining.invite(batch, COUNTY, Tier.COUNTY, "县政协", joining.Renewal("机器被盗", revoked=True))
    joining.enrol_child(tree.city, joining.join_request(make(tmp_path, COUNTY, Tier.COUNTY), token))
    hand_over(tree.city, tree.province, last_statement(tree.city))
    with write(tree.province) as batch:  # as after a restore, in which anybody brought it
        assert COUNTY in batch.roster.members and batch.roster.members[COUNTY].revoked
        batch.conn.execute(update(t.statements).where(t.statements.c.typ == REGISTRY).values(source=None))
    tree.settle(tree.city)
    assert rows(tree.province, t.entries, t.entries.c.id == late)
    assert not rows(tree.province, t.parked, t.parked.c.state == "held")


def test_nobody_lives_in_a_grant_for_another_nonce(tree: Tree) -> None:
    tree.settle()
    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    let_go_on(tree.city, COUNTY, NONCE)
    hand_over(tree.city, tree.county, last_statement(tree.city))
    assert not life.now(tree.county).live


def test_a_city_lives_again_only_with_what_its_children_have(tree: Tree, tmp_path: Path) -> None:
    topic = opened(tree.county)
    tree.settle()
    backup = saved(tree, "city", tmp_path)
    for _ in range(3):
        note(tree.county, topic)
    tree.settle(tree.county)
    brought_back(tree, "city", backup)
    for _ in range(5):
        exchange.call(tree.city, tree.lanes[CITY])
    assert not life.now(tree.city).live
    for child in (tree.county, tree.city, tree.other) * 5:
        with suppress(TransportError):
            exchange.call(child, tree.lanes[child.identity.code])
        if life.now(tree.city).live:
            break
    assert life.now(tree.city).live
    assert state_of(tree.city, topic)[1] == state_of(tree.county, topic)[1]


def test_the_number_that_the_asker_knows_counts(tree: Tree) -> None:
    tree.settle()
    with write(tree.city) as batch:
        link = batch.link(COUNTY)
        assert link is not None
        healing._grant(batch, link, Heal(nonce=NONCE, number=6, ready=True))
        assert batch.roster.members[COUNTY].inc.number == 7


def test_a_root_lives_again_after_it_has_heard_its_neighbours_and_in_a_new_number(tree: Tree, tmp_path: Path) -> None:
    tree.settle()
    backup = saved(tree, "province", tmp_path)
    for number in (2, 3):
        brought_back(tree, "province", backup)
        with write(tree.province) as batch:
            healing.rise(batch)
        assert not life.now(tree.province).live
        heal(tree)
        assert life.now(tree.province).inc.number == number


def test_an_open_offer_of_a_dead_life_is_its_receivers_to_answer(tree: Tree) -> None:
    topic = opened(tree.city)
    offer_down(tree.city, topic, COUNTY)
    tree.settle()
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    assert state_of(tree.province, topic)[3] == "offered"
    accept(tree.county, topic)
    heal(tree)
    assert tree.agree(topic, tree.county, tree.city, tree.province)[0] == COUNTY
    do(tree.county, work.note, topic, api.NoteForm(text="接办"))


def test_what_waits_is_tried_when_what_it_waits_for_comes_with_its_key(tree: Tree, tmp_path: Path) -> None:
    """A county that the other one has not heard of: its key and its topic's first entry come in one document, and a
    later entry was here before either."""
    late = join(tree.city, make(tmp_path, "620104", Tier.COUNTY))
    line = lane(late, tree.city, Wire(tree.city))
    topic = opened(late)
    do(late, escalate.escalate, topic, UP)
    settle([line], [late])
    do(tree.city, decide.accept, topic, api.AcceptForm())
    do(tree.city, delegate.delegate, topic, api.DelegateForm(to=OTHER, instruction="请办", override_reason="专题"))
    with reading(tree.city.engine) as conn:
        query = select(t.statements.c.raw).join(t.entries, t.entries.c.id == t.statements.c.id)
        _, second, *_ = conn.execute(query.where(t.entries.c.topic == topic).order_by(t.entries.c.seq)).scalars()
    hand_over(tree.city, tree.other, second)
    assert [(row.state, row.code) for row in rows(tree.other, t.parked)] == [("deferred", "unknown-key")]
    with reading(tree.city.engine) as conn:
        known = links.load(conn, OTHER).acked_seq
    two = Budget(items=2, bytes=1024 * 1024, wait_s=0)
    envelope = exchange.Envelope(OTHER, "file", None, None, None, None, two)
    receive_file(tree.other, exchange.document(tree.city, envelope, exchange.Content(known, two))[0])
    assert [row.kind for row in rows(tree.other, t.entries)] == ["opened", "offered"]
    assert [row.state for row in rows(tree.other, t.parked)] == ["done"]
    settle([line, tree.lanes[OTHER]], [late, tree.other])
    tree.agree(topic, late, tree.city, tree.other)
    late.engine.dispose()


def test_what_is_kept_at_a_place_is_what_has_its_verdict(tree: Tree) -> None:
    """A neighbour may send by stick, ahead of its stream, what is not what the stream has there."""
    ahead, came = (Item(digest * 64, digest.encode(), None) for digest in "ab")
    with write(tree.city) as batch:
        link = batch.link(COUNTY)
        assert link is not None
        parking.park(batch, link, ahead, 9, "deferred", "gap", "ahead", False)
        parking.park(batch, link, came, 9, "held", "fork", "held", False)
    (row,) = rows(tree.city, t.parked)
    assert (row.statement, row.raw, row.state) == (came.id, came.raw, "held")
