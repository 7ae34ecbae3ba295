"""What a node granted on one half of a fork of its registry is granted again in its next life (SPEC 14.4, R9)."""

from pathlib import Path

import pytest
from sqlalchemy import func, select

from node.context import Context
from node.service import healing, life
from node.service import roster as rosters
from node.service.commit import write
from node.service.verify import verify
from node.store import links
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Incarnation, NodeCode
from tests.store.lives import brought_back, heal, let_go_on, opened, saved
from tests.store.tree import CITY, COUNTY, OTHER, Tree


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
