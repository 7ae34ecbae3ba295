"""What a node said where its registry forks is said again in its next life (SPEC 14.4, R9)."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from node.context import Context
from node.service import healing, life, torn, upkeep
from node.service import roster as rosters
from node.service.commit import write
from node.service.receipt import root_key, topic_receipt
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Incarnation, NodeCode
from schemas.registry import Rotated
from sync.keys import b64, thumbprint, unb64
from sync.receipt import read_receipt
from tests.store.forked import advised, entry, forked_city, said
from tests.store.lives import brought_back, heal, let_go_on, opened, saved
from tests.store.logs import sign
from tests.store.tree import CITY, COUNTY, OTHER, Tree
from tests.wire import cast as c


def test_a_child_that_holds_its_grant_for_half_of_a_contradiction_is_granted_it_again(
    tree: Tree, tmp_path: Path
) -> None:
    """The city is set back unnoticed, and writes the county's grant where that of another county was."""
    tree.settle()
    backup = saved(tree, "city", tmp_path, with_guard=True)
    with write(tree.other) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    brought_back(tree, "city", backup)
    with write(tree.county) as batch:
        life.end(batch, "by-hand")
    nonce = life.now(tree.county).inc.nonce
    let_go_on(tree.city, COUNTY, nonce)
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    assert [life.now(node).inc.number for node in (tree.city, tree.county)] == [2, 2]
    assert _forked(tree.county) == [CITY]
    topic = opened(tree.county)
    tree.settle()
    tree.agree(topic, tree.county, tree.city)


@pytest.mark.parametrize("longer", [False, True], ids=["one-grant", "two-grants"])
def test_who_took_the_other_branch_learns_of_a_life_and_of_what_was_granted_in_it(
    tree: Tree, tmp_path: Path, longer: bool
) -> None:
    """The province writes two grants of the city at one place; only the other county has the first.

    In the life of the second the city grants the county one: whoever knows no such city knows no such county either.
    Where the first branch is longer, the lives of the second are the lower ones, and end when the branches meet.
    """
    tree.settle()
    backups = {name: saved(tree, name, tmp_path / name, with_guard=True) for name in ("province", "city", "county")}
    first = [_ended(tree, tree.city) for _ in range(2 if longer else 1)]
    for name, backup in backups.items():
        brought_back(tree, name, backup)
    second = _ended(tree, tree.city, 0 if longer else first[0].number, but=OTHER)
    below = _ended(tree, tree.county, but=OTHER)
    heal(tree)
    topic = opened(tree.county)
    tree.settle()

    _ended(tree, tree.province)
    for node in tree.nodes:
        assert {*first, second} < set(_lives(node, CITY)), node.identity.code
        assert below in _lives(node, COUNTY), node.identity.code
        assert verify(node).ok, node.identity.code
        assert not _stopped(node), node.identity.code
    tree.agree(topic, tree.county, tree.city)
    sign(tree)
    receipt = topic_receipt(tree.county, topic, topic)[1]
    assert read_receipt(receipt, unb64(root_key(tree.province)[1])).statement.id == topic
    written = _granted(tree.province)
    _ended(tree, tree.province)
    assert _granted(tree.province) == written + 1, "its own"


def _ended(tree: Tree, node: Context, known: int = 0, but: NodeCode | None = None) -> Incarnation:
    """Its life is over, and this is the next."""
    with write(node) as batch:
        life.end(batch, "by-hand", known)
        if but is not None and batch.link(but) is not None:
            batch.actor = "陈"
            healing.waive(batch, but, "线路断了")
    heal(tree, but)
    return life.now(node).inc


def _stopped(node: Context) -> list[NodeCode]:
    with reading(node.engine) as conn:
        return [link.peer for link in links.load_all(conn) if link.stopped]


def _granted(node: Context) -> int:
    with reading(node.engine) as conn:
        mine = (t.registry.c.author == node.identity.code, t.registry.c.kind == "granted")
        return conn.execute(select(func.count()).where(*mine)).scalar_one()


def _lives(node: Context, code: NodeCode) -> tuple[Incarnation, ...]:
    with reading(node.engine) as conn:
        return rosters.fold(conn).members[code].incs


def _forked(node: Context) -> list[NodeCode]:
    with reading(node.engine) as conn:
        return list(conn.execute(select(t.equivocations.c.author)).scalars())


@pytest.mark.parametrize(
    ("here", "there", "later", "again"),
    [
        (["granted 620102 2"], ["granted 620103 2"], [], ["granted 620102 2", "granted 620103 2"]),
        (
            ["enrolled 620104 late", "granted 620104 2 late"],
            ["granted 620103 2"],
            [],
            ["enrolled 620104", "granted 620103 2", "granted 620104 2"],
        ),
        (["enrolled 620104 late"], ["enrolled 620104 other", "granted 620103 2"], [], ["granted 620103 2"]),
        (
            ["rotated 620102 new", "granted 620102 2 new"],
            ["granted 620103 2"],
            [],
            ["rotated 620102", "granted 620103 2", "granted 620102 2"],
        ),
        (
            ["rotated 620102 new", "granted 620102 2 new"],
            ["rotated 620102 other", "granted 620103 2"],
            [],
            ["granted 620103 2"],
        ),
        (["rotated 620102 new"], ["granted 620103 2"], ["rotated 620102 newer"], ["granted 620103 2"]),
        (["granted 620102 2"], ["rotated 620103 new", "granted 620103 2 new"], [], ["granted 620102 2"]),
        (["rotated 620102 new"], ["granted 620102 2", "rotated 620102 other"], [], []),
        (
            ["rotated 620102 new", "granted 620102 2 new", "rotated 620102 newer"],
            ["granted 620103 2"],
            [],
            ["rotated 620102", "rotated 620102", "granted 620103 2", "granted 620102 2"],
        ),
        (
            ["rotated 620102 old", "rotated 620102 new", "rotated 620102 newer"],
            ["rotated 620102 newer", "rotated 620102 new"],
            [],
            [],
        ),
        (
            ["enrolled 620104 late", "rotated 620104 new"],
            ["enrolled 620104 late", "granted 620103 2"],
            [],
            ["rotated 620104", "granted 620103 2"],
        ),
        (
            ["enrolled 620104 late 1", "rotated 620104 new"],
            ["enrolled 620104 late 2", "granted 620103 2"],
            [],
            ["rotated 620104", "granted 620103 2"],
        ),
    ],
    ids=[
        "lives",
        "a child",
        "a child named twice",
        "a key",
        "a key named twice",
        "a key no more",
        "a key of the other",
        "a life above",
        "keys between",
        "keys in another order",
        "a child named alike",
        "a child named alike but for its nonce",
    ],
)
def test_what_can_stand_everywhere_is_said_again_and_nothing_else(
    tree: Tree, here: list[str], there: list[str], later: list[str], again: list[str]
) -> None:
    before = forked_city(tree, here, there, later=later)
    assert _torn_for_who_was_robbed(tree) == [], "who had the key may have said that"
    for _ in range(2):
        upkeep.live_on(tree.city)
        assert said(tree.city)[before:] == again
    assert verify(tree.city).ok


def test_no_key_comes_back_by_being_named_again(tree: Tree) -> None:
    """Who holds a key that was revoked cannot have it made the present one by an invitation either."""
    with write(tree.city) as batch:
        old = batch.roster.members[COUNTY].card
        other = old.model_copy(update={"key": b64(c.public("new"))})
        batch.register("rotated", Rotated(node=other, revoked=True, closed=None, reason="被盗"))
        new = batch.roster.members[COUNTY]
        batch.register("rotated", Rotated(node=old, revoked=False, closed=None, reason="再来一次"))
        assert batch.roster.members[COUNTY] == new
        assert new.revoked == (thumbprint(unb64(old.key)),)


def test_a_child_whose_key_not_everybody_knows_is_granted_nothing_until_it_is_renewed(tree: Tree) -> None:
    """A grant under that key would stop the whole registry at whoever has the other branch."""
    before = forked_city(tree, ["rotated 620102 new"], ["rotated 620102 other"])
    let_go_on(tree.city, COUNTY, "ab" * 16)
    assert said(tree.city)[before:] == []
    assert advised(tree.city, f"liandong invite {COUNTY}")
    with write(tree.city) as batch:
        batch.register(*entry("rotated 620102 newest", batch.roster))
    let_go_on(tree.city, COUNTY, "ab" * 16)
    assert said(tree.city)[before:] == ["rotated 620102", "granted 620102 2"]
    assert not advised(tree.city, "liandong invite")


def test_what_is_torn_is_said_before_anything_that_stands_on_it(tree: Tree) -> None:
    """The fork is known, and no clock has struck since: the child asks first."""
    before = forked_city(tree, ["rotated 620102 new"], ["granted 620103 2"])
    let_go_on(tree.city, COUNTY, "ab" * 16)
    assert said(tree.city)[before:] == ["rotated 620102", "granted 620103 2", "granted 620102 2"]


def test_a_life_that_said_what_not_everybody_can_read_is_torn_from_there_on(tree: Tree) -> None:
    """The fork was found too late: only the next life mends that, and it does."""
    later = ["granted 620102 2 new", "granted 620103 3"]
    before = forked_city(tree, ["rotated 620102 new"], ["granted 620103 2"], later=later)
    upkeep.live_on(tree.city)
    assert len(said(tree.city)) == before
    assert advised(tree.city, "liandong heal") and not advised(tree.city, "liandong invite")
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
        batch.actor = "陈"
        for child in batch.roster.children(CITY):
            healing.waive(batch, child, "线路断了")
    tree.settle(tree.city)
    assert _torn_for_who_was_robbed(tree) == []
    upkeep.live_on(tree.city)
    assert said(tree.city) == ["rotated 620102", "granted 620103 2", "granted 620102 2", "granted 620103 3"]


def test_a_life_that_was_granted_on_the_other_branch_is_not_granted_twice(tree: Tree) -> None:
    before = forked_city(tree, ["granted 620103 2"], ["granted 620102 2"])
    let_go_on(tree.city, COUNTY, f"{2:>032}")
    assert said(tree.city)[before:] == ["granted 620103 2", "granted 620102 2"]


def _torn_for_who_was_robbed(tree: Tree) -> list[object]:
    """What the city would say again if the key it signed all that with were in other hands."""
    with write(tree.city) as batch:
        mine = replace(batch.roster.members[CITY], revoked=(batch.roster.members[CITY].key.kid,))
        stolen = replace(batch.roster, members={**batch.roster.members, CITY: mine})
        return list(torn.torn(batch.conn, stolen, CITY, batch.inc))
