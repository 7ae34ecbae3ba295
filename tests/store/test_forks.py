"""Two entries of one author at one position, heard in different orders: a claim brings all nodes together (R9)."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from node.context import Context
from node.service import claims, giveback, life, orphans, read, remark
from node.service.commit import write
from node.service.rebuild import rebuild
from node.service.verify import verify
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from sync.sealing import identity, parse
from tests.nodes import do, state_of
from tests.store.lives import brought_back, by, hand_over, heal, saved
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    Tree,
    accept,
    decline,
    delegated,
    forge,
    note,
    offer_down,
    open_topic,
    recall,
    rows,
    smuggle,
)


def raws(node: Context, topic: str) -> list[bytes]:
    """The chain as this node has it, as bytes."""
    query = select(t.statements.c.raw).join(t.entries, t.entries.c.id == t.statements.c.id)
    with reading(node.engine) as conn:
        return list(conn.execute(query.where(t.entries.c.topic == topic).order_by(t.entries.c.seq)).scalars())


def claim(node: Context, topic: str, to: str = OTHER) -> None:
    form = api.ClaimForm(topics=[topic], to=to, reason="两份记录相互矛盾")
    asked = by("张三", node, lambda batch: claims.request(batch, form))
    by("李四", node, lambda batch: claims.approve(batch, asked.id))
    with write(node) as batch:
        batch.conn.execute(update(t.claims).values(ask_until=batch.now - timedelta(seconds=1)))
    assert claims.proceed(node) == 1


def undisposed(node: Context, topic: str) -> set[str]:
    return {item.hash for item in orphans.orphans(node, topic).items if item.disposed is None}


def rebuilt(tree: Tree) -> None:
    """All projections of all nodes made again from what is stored."""
    for node in tree.nodes:
        rebuild(node)


@pytest.mark.parametrize("further", [0, 2])
def test_a_claim_ends_a_fork_that_was_heard_in_two_orders(tree: Tree, further: int) -> None:
    """The city hears the county's first entry and what follows; the province the rival, and then those."""
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    for _ in range(1 + further):
        note(tree.county, topic)
    hand_over(tree.city, tree.province, rival)
    tree.settle()
    assert state_of(tree.city, topic)[1] == state_of(tree.province, topic)[1] + further
    assert state_of(tree.province, topic)[3] == "frozen"

    claim(tree.city, topic)
    tree.settle()
    accept(tree.other, topic)
    tree.settle()
    hand_over(tree.province, tree.city, rival)
    heal(tree)
    tree.agree(topic, tree.city, tree.province, tree.other, tree.county)
    second = identity(parse(rival).payload)
    assert undisposed(tree.province, topic) == undisposed(tree.city, topic) == undisposed(tree.other, topic) == {second}
    assert not rows(tree.province, t.parked, t.parked.c.topic == topic, t.parked.c.state.in_(("held", "deferred")))
    do(tree.other, orphans.dispose, topic, second, api.DisposeForm(decision="set_aside", reason="写了两次"))
    heal(tree)
    assert tree.agree(topic, tree.city, tree.province, tree.other, tree.county)[::3] == (OTHER, "active")
    assert [undisposed(node, topic) for node in tree.nodes] == [set()] * 4
    rebuilt(tree)
    assert [undisposed(node, topic) for node in tree.nodes] == [set()] * 4
    tree.agree(topic, tree.city, tree.province, tree.other, tree.county)


def test_a_claim_on_the_other_branch_waits_for_what_it_stands_on(tree: Tree) -> None:
    """The province hears rival, claim, offer, and only then the entry the claim stands on."""
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic)
    hand_over(tree.city, tree.province, rival)
    tree.settle(tree.county)
    claim(tree.city, topic)
    first, claimed, offered = raws(tree.city, topic)[-3:]
    before = state_of(tree.province, topic)
    for raw in (claimed, offered):
        hand_over(tree.city, tree.province, raw)
        assert state_of(tree.province, topic) == before
    hand_over(tree.city, tree.province, first)
    assert state_of(tree.province, topic) == state_of(tree.city, topic)
    tree.settle()
    tree.agree(topic, tree.city, tree.province, tree.other, tree.county)
    assert undisposed(tree.province, topic) == {identity(parse(rival).payload)}
    rebuild(tree.province)
    tree.agree(topic, tree.city, tree.province, tree.other, tree.county)


def test_a_rival_that_comes_after_the_claim_is_a_proof_and_an_orphan(tree: Tree) -> None:
    topic, another = delegated(tree), delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic)
    tree.settle()
    claim(tree.city, topic)
    tree.settle()
    id = smuggle(tree.county, rival, CITY)
    tree.settle()
    accept(tree.other, topic)
    tree.settle()
    assert tree.agree(topic, tree.city, tree.province, tree.other)[::3] == (OTHER, "active")
    for node in (tree.city, tree.province, tree.other):
        assert undisposed(node, topic) == {id}
        assert [row.other for row in rows(node, t.equivocations)] == [id], node.identity.code
    assert {state_of(node, another)[3] for node in (tree.city, tree.province)} == {"frozen"}
    rebuilt(tree)


def test_who_claims_takes_what_was_said_about_the_held_branch(tree: Tree) -> None:
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    hand_over(tree.city, tree.province, rival)
    for _ in range(2):
        note(tree.county, topic)
    do(tree.county, remark.remark, topic, api.RemarkForm(kind="comment", text="见第二条"))
    tree.settle()
    waiting = (t.parked.c.topic == topic, t.parked.c.state.in_(("held", "deferred")))
    assert {row.code for row in rows(tree.province, t.parked, *waiting)} == {"fork", "wrong-prev", "unknown-entry"}
    claim(tree.province, topic)
    assert not rows(tree.province, t.parked, *waiting)
    assert "comment" in {said.kind for said in read.remarks(tree.province, topic, None, 200).items}
    hand_over(tree.province, tree.city, rival)
    tree.settle()
    tree.agree(topic, tree.city, tree.province)


def test_an_offer_of_a_frozen_chain_is_known_to_be_asked_back(tree: Tree) -> None:
    """Nobody answers the recall there; that it was said is stored with the work, whether it came before the freeze or
    after."""
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    do(tree.county, giveback.report, topic, api.ReportForm(text="已办结"))
    tree.settle()
    hand_over(tree.county, tree.city, rival)
    assert state_of(tree.city, topic)[3] == "frozen"
    recall(tree.county, topic)
    tree.settle()
    assert state_of(tree.province, topic)[3] == "frozen"
    offers = [read.topic(node, topic).offer for node in (tree.county, tree.city, tree.province)]
    assert offers[0] is not None and offers[0].recall_sent_at is not None
    assert offers[0].recall_sent_at == offers[1].recall_sent_at == offers[2].recall_sent_at
    assert verify(tree.province).problems == []
    with reading(tree.city.engine) as conn:
        said = conn.execute(select(t.remarks.c.kind).where(t.remarks.c.topic == topic)).scalars().all()
    assert said == ["recalled"]


def test_a_fork_of_a_restore_nobody_noticed_ends_with_a_claim(tree: Tree, tmp_path: Path) -> None:
    """The city writes to the province, is set back unnoticed, and writes another thing to the county."""
    topic = open_topic(tree.city)
    offer_down(tree.city, topic, COUNTY)
    tree.settle()
    decline(tree.county, topic)
    tree.settle()
    backup = saved(tree, "city", tmp_path, with_guard=True)
    note(tree.city, topic, "甲")
    tree.settle(tree.city)
    brought_back(tree, "city", backup)
    note(tree.city, topic, "乙")
    tree.settle(tree.county)
    with write(tree.city) as batch:
        life.end(batch, "by-hand")
    heal(tree)
    assert {state_of(node, topic)[3] for node in (tree.province, tree.city, tree.county)} == {"frozen"}
    claim(tree.province, topic, to=CITY)
    heal(tree)
    assert tree.agree(topic, tree.province, tree.city, tree.county)[::3] == (CITY, "active")
    (orphan,) = undisposed(tree.city, topic)
    do(tree.city, orphans.dispose, topic, orphan, api.DisposeForm(decision="adopt"))
    heal(tree)
    tree.agree(topic, tree.province, tree.city, tree.county)
    assert undisposed(tree.province, topic) == undisposed(tree.county, topic) == set()
    tree.check()
    rebuilt(tree)


def test_nobody_but_an_arbiter_ends_a_fork(tree: Tree) -> None:
    """What its author goes on to write stays held where the rival came first."""
    topic = delegated(tree)
    rival = forge(tree.county, topic, lambda payload: None)
    note(tree.county, topic)
    hand_over(tree.city, tree.province, rival)
    tree.settle()
    before = state_of(tree.province, topic)
    note(tree.county, topic, "接着写")
    tree.settle()
    assert state_of(tree.province, topic) == before
    assert before[2:] == (identity(parse(rival).payload), "frozen")
    assert undisposed(tree.province, topic) == set()
