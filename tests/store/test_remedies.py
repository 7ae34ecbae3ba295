"""What a person decides about a child where this node's registry was written twice (SPEC 14.4)."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.context import Context
from node.domain.refusals import Invalid
from node.service import escalate, exchange, healing, joining, life, remedy, summaries, upkeep
from node.service import open as opening
from node.service import roster as rosters
from node.service.commit import write
from node.service.doctor import doctor
from node.service.joining import Renewal
from node.service.remedy import Remedy, remedies
from node.service.torn import kid
from node.service.verify import verify
from node.store import links
from node.store.engine import is_sqlite, reading
from schemas import api
from schemas.ids import Incarnation, NodeCode, Tier
from schemas.registry import Card, Granted
from sync.errors import Held
from sync.roster import Member
from tests.nodes import Wire, do, join, lane, make, reload
from tests.store.forked import advised, beside, entry, forked_city, said
from tests.store.lives import UP, brought_back, exchange_some, hand_over, heal, let_go_on, opened, saved
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree, close, result, state_of, steps

LATE = "620104"


def _needed(node: Context) -> dict[NodeCode, Remedy]:
    with reading(node.engine) as conn:
        return remedies(conn, rosters.current(node, conn), node.identity.code, life.read(conn).inc)


def _shown(node: Context, child: NodeCode) -> Card:
    with reading(node.engine) as conn:
        words = remedy.to_ratify(conn, rosters.current(node, conn), node.identity.code, life.read(conn).inc, child)
    card = words[-1].card
    assert card is not None
    return card


def _ratify(node: Context, child: NodeCode) -> None:
    do(node, remedy.ratify, child, _shown(node, child))


def _rule(node: Context, child: NodeCode, renewal: Renewal | None = None) -> str | None:
    """Why it is not invited."""
    with pytest.raises(Invalid) as refused, write(node) as batch:
        joining.invite(batch, child, Tier.COUNTY, "某县政协", renewal)
    return refused.value.rule


def _member(node: Context, child: NodeCode) -> Member:
    with reading(node.engine) as conn:
        return rosters.fold(conn).members[child]


def test_a_child_that_was_enrolled_before_its_parent_was_set_back_is_ratified_and_works_on(
    tree: Tree, tmp_path: Path
) -> None:
    """The city's folder is an older one, guard and all, and it has granted a life before anybody could tell it."""
    tree.settle()
    backup = saved(tree, "city", tmp_path / "city", with_guard=True)
    late = join(tree.city, make(tmp_path, LATE, Tier.COUNTY))
    tree.settle(tree.city)
    brought_back(tree, "city", backup)
    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    let_go_on(tree.city, COUNTY, life.now(tree.county).inc.nonce)
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    assert _needed(tree.city) == {LATE: Remedy.RATIFY}
    assert advised(tree.city, f"liandong ratify {LATE}")
    assert _rule(tree.city, LATE) == "enrolled_elsewhere"

    _ratify(tree.city, LATE)
    upkeep.live_on(tree.city)
    late = reload(late)
    topic = opened(late)
    do(late, escalate.escalate, topic, UP)
    said = lane(late, tree.city, Wire(tree.city))
    for _ in range(12):
        exchange.call(late, said)
        tree.settle()
    for node in (tree.city, tree.province, tree.county):
        assert _member(node, LATE).card.key == _member(late, LATE).card.key
    assert state_of(tree.city, topic) == state_of(late, topic)
    assert _needed(tree.city) == {}
    assert not advised(tree.city, "liandong ratify")
    assert all(verify(node).ok for node in (*tree.nodes, late))


def test_what_was_closed_before_its_node_contradicted_itself_is_well(tree: Tree) -> None:
    """It counts as closed, with the time it took, though nobody may write in it now."""
    with write(tree.city) as batch:
        form = api.OpenForm(title="路灯", text="不亮", areas=[])
        topic = opening.start(batch, form, raised_at=datetime(2026, 1, 2, tzinfo=UTC))
    steps(tree.city, topic, "decide", "research", "consult", "implement")
    result(tree.city, topic)
    steps(tree.city, topic, "feedback")
    close(tree.city, topic)
    summaries.tick(tree.city)
    forked_city(tree, ["granted 620102 2"], ["granted 620103 2"])
    assert verify(tree.city).ok


def test_a_child_both_branches_enrol_is_renewed_and_then_granted_a_life(tree: Tree) -> None:
    """Everybody knows the child, each by a key of its own."""
    before = forked_city(tree, ["enrolled 620104 late"], ["enrolled 620104 other"])
    let_go_on(tree.city, LATE, "ab" * 16)
    assert said(tree.city)[before:] == []
    assert _needed(tree.city) == {LATE: Remedy.RENEW}
    with write(tree.city) as batch:
        assert joining.invite(batch, LATE, Tier.COUNTY, "某县政协", Renewal("新机器"))
        batch.register(*entry("rotated 620104 newest", batch.roster))
    let_go_on(tree.city, LATE, "ab" * 16)
    assert said(tree.city)[before:] == ["rotated 620104", "granted 620104 2"]
    assert _needed(tree.city) == {}


def test_a_child_that_a_third_branch_does_not_know_cannot_be_renewed(tree: Tree) -> None:
    """That it has another key would stop this node's registry at whoever took that branch."""
    forked_city(tree, ["enrolled 620104 late"], ["enrolled 620104 other"], ["granted 620103 2"])
    assert _needed(tree.city) == {LATE: Remedy.NONE}
    assert advised(tree.city, "Do not renew it")
    assert _rule(tree.city, LATE, Renewal("新机器")) == "not_known_to_all"
    with pytest.raises(Invalid) as refused:
        _shown(tree.city, LATE)
    assert refused.value.rule == "nothing_to_ratify"


def test_a_key_that_only_another_branch_names_is_ratified_or_the_child_is_renewed(tree: Tree) -> None:
    before = forked_city(tree, ["granted 620102 2"], ["rotated 620103 new", "granted 620103 2 new"])
    assert _needed(tree.city) == {OTHER: Remedy.KEY}
    assert advised(tree.city, f"liandong ratify {OTHER}") and advised(tree.city, f"liandong invite {OTHER}")
    with write(tree.city) as batch:
        assert joining.invite(batch, OTHER, Tier.COUNTY, "某县政协", Renewal("新机器"))
    upkeep.live_on(tree.city)
    _ratify(tree.city, OTHER)
    assert said(tree.city)[before:] == ["granted 620102 2", "rotated 620103", "granted 620103 2"]
    assert _needed(tree.city) == {}
    with pytest.raises(Invalid) as refused:
        _shown(tree.city, OTHER)
    assert refused.value.rule == "nothing_to_ratify"


def test_nothing_is_ratified_but_what_the_person_was_shown(tree: Tree) -> None:
    forked_city(tree, ["granted 620102 2"], ["enrolled 620104 late"])
    shown = _shown(tree.city, LATE)
    other = shown.model_copy(update={"name": "别的县"})
    with pytest.raises(Invalid) as refused:
        do(tree.city, remedy.ratify, LATE, other)
    assert refused.value.rule == "shown_otherwise"
    assert LATE not in _codes(tree.city)


def test_the_clerk_sees_whom_and_which_key_she_ratifies(tree: Tree) -> None:
    """At the terminal: nothing is done unless she says yes."""
    if not is_sqlite(tree.city.engine):
        pytest.skip("the command finds the database by its folder")
    forked_city(tree, ["granted 620102 2"], ["enrolled 620104 late"])
    key = kid(_shown(tree.city, LATE))
    asked = ["ratify", LATE, "--data", str(tree.city.settings.data)]
    refused = CliRunner().invoke(app, asked, input="n\n")
    assert refused.exit_code == 1 and key in refused.output
    assert LATE not in _codes(tree.city)
    done = CliRunner().invoke(app, asked, input="y\n")
    assert done.exit_code == 0 and f"已追认 {LATE}" in done.output
    assert LATE in _codes(tree.city)
    again = CliRunner().invoke(app, [*asked, "--yes"])
    assert isinstance(again.exception, Invalid) and again.exception.rule == "nothing_to_ratify"


def _codes(node: Context) -> set[NodeCode]:
    with reading(node.engine) as conn:
        return set(rosters.fold(conn).members)


def test_a_node_that_must_heal_first_renews_and_ratifies_nobody(tree: Tree) -> None:
    """What it says in this life not everybody reads."""
    forked_city(tree, ["rotated 620102 new"], ["enrolled 620104 late"], later=["granted 620102 2 new"])
    assert _needed(tree.city) == {COUNTY: Remedy.HEAL, LATE: Remedy.HEAL}
    assert _rule(tree.city, COUNTY, Renewal("新机器")) == "heal_first"
    assert _rule(tree.city, LATE) == "enrolled_elsewhere"
    with pytest.raises(Invalid) as refused:
        _shown(tree.city, LATE)
    assert refused.value.rule == "heal_first"


def test_a_child_enrolled_under_a_key_in_other_hands_is_ratified_before_it_is_renewed(tree: Tree) -> None:
    """Who had the city's key may have enrolled it; the office knows whether it did."""
    forked_city(tree, ["enrolled 620104 late"], ["granted 620103 2"])
    with reading(tree.city.engine) as conn:
        roster = rosters.fold(conn)
        me = replace(roster.members[CITY], revoked=(roster.members[CITY].key.kid,))
        robbed = replace(roster, members={**roster.members, CITY: me})
        inc = life.read(conn).inc
        assert remedies(conn, robbed, CITY, inc) == {LATE: Remedy.RATIFY}
        assert [one.entry.kind for one in remedy.to_ratify(conn, robbed, CITY, inc, LATE)] == ["enrolled"]
    with write(tree.city) as batch:
        batch.roster = robbed
        with pytest.raises(Invalid) as refused:
            remedy.check_renewable(batch, LATE)
        assert refused.value.rule == "ratify_first"


def test_a_child_whose_first_life_the_branches_name_otherwise_heals(tree: Tree) -> None:
    """It joined twice with one key, and each branch knows it by another nonce."""
    before = forked_city(tree, ["enrolled 620104 late 1"], ["enrolled 620104 late 2"])
    assert _needed(tree.city) == {LATE: Remedy.LIVE}
    assert any(f"Ask {LATE}" in finding.do_en for finding in doctor(tree.city))
    let_go_on(tree.city, LATE, "ab" * 16)
    assert said(tree.city)[before:] == ["granted 620104 2"]
    assert _needed(tree.city) == {}


def test_a_child_invited_before_the_other_branch_came_to_light_is_not_enrolled_otherwise(
    tree: Tree, tmp_path: Path
) -> None:
    late = make(tmp_path, LATE, Tier.COUNTY)
    tree.settle()
    with write(tree.city) as batch:
        token = joining.invite(batch, LATE, Tier.COUNTY, "某县政协")
    request = joining.join_request(late, token)
    forked_city(tree, ["granted 620102 2"], ["enrolled 620104 other"])
    with pytest.raises(Held, match="code-taken"):
        joining.enrol_child(tree.city, request)
    late.engine.dispose()


def test_who_begins_anew_by_hand_speaks_again_with_those_who_knew_another_stream_of_it(
    tree: Tree, tmp_path: Path
) -> None:
    """An old folder, guard and all: the clerk runs the one command that doctor names, and need lift no link."""
    tree.settle()
    backup = saved(tree, "city", tmp_path / "city", with_guard=True)
    opened(tree.city, "之前")
    tree.settle()
    brought_back(tree, "city", backup)
    opened(tree.city, "之后")
    exchange_some(tree, 1)
    assert _stopped(tree.city, PROVINCE) == "hash-mismatch"
    assert advised(tree.city, "liandong heal --reason")
    with write(tree.city) as batch:
        healing.begin_anew(batch, "放回了旧文件夹")
    assert _stopped(tree.city, PROVINCE) is None
    heal(tree)
    topic = opened(tree.city)
    tree.settle()
    assert state_of(tree.city, topic)[0] == CITY


@pytest.mark.parametrize("shown", [True, False], ids=["shown-by-another", "never-shown"])
def test_a_neighbour_that_took_the_other_branch_is_no_liar_though_another_showed_it_first(
    tree: Tree, shown: bool
) -> None:
    """It knows a life of the city that only the other branch of the province's registry grants."""
    tree.settle()
    if shown:
        with reading(tree.city.engine) as conn:
            roster = rosters.fold(conn)
        first = roster.members[PROVINCE].inc
        head, key = roster.heads[(PROVINCE, first)], roster.members[CITY].key.kid
        grant = Granted(node=CITY, inc=Incarnation(2, "2" * 32), key=key, closed=None, log=None)
        rival = beside(tree.province, first, head.seq, "0" * 64, "granted", grant)
        hand_over(tree.other, tree.city, rival.raw)
    with write(tree.city) as batch:
        life.end(batch, f"{life.KNOWS_MORE} {COUNTY}", 2)
    while not life.now(tree.city).live:
        exchange_some(tree, 1)
    assert _stopped(tree.city, COUNTY) == (None if shown else life.KNOWS_MORE)


def _stopped(node: Context, peer: NodeCode) -> str | None:
    with reading(node.engine) as conn:
        found = links.load(conn, peer)
    assert found is not None
    return found.stopped
