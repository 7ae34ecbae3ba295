"""The log of each node, the neighbours that sign for it, and what is settled by that."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import CheckpointConflict, NotAllowed, NotFound, StaleCheckpoint
from node.service import exchange, life, log, witness
from node.service.commit import write
from node.store import log as rows_of_log
from node.store import log_tables as lt
from node.store import tables as t
from node.store.engine import reading
from schemas.exchange import CosignatureLine
from schemas.ids import Incarnation
from schemas.remark import Said
from sync.errors import Refused, TransportError
from sync.keys import Signer
from sync.log import (
    Checkpoint,
    Submission,
    open_checkpoint,
    origin,
    read_checkpoint,
    sign_checkpoint,
    witness_key,
    write_submission,
)
from sync.merkle import consistency_ranges, from_leaves, leaf_hash, root
from sync.note import cosign, read_lines, signed_by
from tests.store.logs import durability, sign, words
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    Tree,
    accept,
    delegated,
    note,
    offer_down,
    offer_up,
    open_topic,
    rows,
)


def own_state(node: Context) -> Checkpoint:
    """The node's log as its stored statements say it must be."""
    mine = rows(node, t.statements, t.statements.c.source.is_(None))
    hashes = [leaf_hash(bytes.fromhex(row.id)) for row in sorted(mine, key=lambda row: row.pos)]
    name = origin(node.identity.code, life.now(node).inc)
    return Checkpoint(name, len(hashes), root(len(hashes), from_leaves(hashes)))


def test_everything_a_node_writes_is_a_leaf_in_the_order_written(tree: Tree):
    topic = delegated(tree)
    note(tree.county, topic)
    for node in tree.nodes:
        log.make_checkpoint(node)
        with reading(node.engine) as conn:
            kept = rows_of_log.latest(conn, life.now(node).inc)
        if kept is None:
            assert own_state(node).size == 0
            continue
        assert open_checkpoint(kept.note, node.identity.signer.public) == own_state(node)
        assert not log.make_checkpoint(node)


def test_a_command_that_is_refused_leaves_no_leaf(tree: Tree):
    before = own_state(tree.city).size

    topic = open_topic(tree.city)
    with pytest.raises(RuntimeError), write(tree.city) as batch:
        batch.remark(topic, topic, "urge", Said(text="请快办"))
        batch.flush()
        raise RuntimeError
    assert own_state(tree.city).size == len(rows(tree.city, lt.leaves)) == before + 1


def test_parent_signs_for_the_child_and_child_for_the_parent(tree: Tree):
    open_topic(tree.county)
    open_topic(tree.city)
    tree.settle()
    sign(tree)
    for node, by in ((tree.county, tree.city), (tree.city, tree.county), (tree.city, tree.province)):
        with reading(node.engine) as conn:
            (signed,) = rows_of_log.cosigned(conn, life.now(node).inc, [by.identity.code])
            kept = rows_of_log.note_at(conn, life.now(node).inc, signed.size)
        assert signed.size == own_state(node).size
        text = str(read_checkpoint(kept.note)[0])
        key = witness_key(by.identity.code, by.identity.signer.public)
        assert signed_by(text, read_lines(signed.line), key)
        with reading(by.engine) as conn:
            assert log.last_cosigned(conn, node.identity.code, life.now(node).inc) == (kept.size, kept.root)


def test_statement_is_local_then_received_then_settled_everywhere(tree: Tree):
    topic = open_topic(tree.county)
    assert durability(tree.county, topic) == "local"
    tree.settle()
    assert durability(tree.county, topic) == "received"
    assert durability(tree.city, topic) == "received"
    sign(tree, tree.county)
    assert durability(tree.county, topic) == durability(tree.city, topic) == "settled"


def test_statement_of_a_node_far_from_the_keeper_is_settled_for_every_participant(tree: Tree):
    """The city's topic (keeper: the province) is held by the county, two links from the keeper."""
    topic = delegated(tree)
    note(tree.county, topic)
    offer_up(tree.county, topic)
    tree.settle()
    sign(tree)
    for node in (tree.province, tree.city, tree.county):
        assert set(words(node, topic).values()) == {"settled"}, node.identity.code


def test_who_joins_a_topic_late_is_told_of_what_was_settled_before(tree: Tree):
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    tree.settle()
    sign(tree)
    offer_down(tree.city, topic, OTHER)
    tree.settle()
    assert "received" in words(tree.other, topic).values()
    sign(tree)
    assert set(words(tree.other, topic).values()) == {"settled"}


def test_topic_of_the_keeper_itself_is_settled_only_when_another_has_it(tree: Tree):
    topic = open_topic(tree.province)
    tree.settle()
    sign(tree)
    assert durability(tree.province, topic) == "local"
    offer_down(tree.province, topic, CITY)
    tree.settle()
    sign(tree)
    assert durability(tree.province, topic) == durability(tree.city, topic) == "settled"


def test_a_witness_that_is_down_delays_settling_and_nothing_else(tree: Tree):
    topic = open_topic(tree.county)
    tree.settle()
    log.make_checkpoint(tree.county)
    tree.wires[COUNTY].on_request = lambda raw: None
    with pytest.raises(TransportError):
        exchange.call(tree.county, tree.lanes[COUNTY])
    note(tree.county, topic)
    assert words(tree.county, topic)[topic] == "received"
    tree.wires[COUNTY].on_request = lambda raw: raw
    tree.settle()
    sign(tree)
    assert set(words(tree.county, topic).values()) == {"settled"}


def test_reply_with_the_cosignature_that_is_lost_is_made_good(tree: Tree):
    topic = open_topic(tree.county)
    tree.settle()
    log.make_checkpoint(tree.county)
    tree.wires[COUNTY].on_reply = lambda raw: None
    with pytest.raises(TransportError):
        exchange.call(tree.county, tree.lanes[COUNTY])
    assert durability(tree.county, topic) == "received"
    note(tree.county, topic)
    log.make_checkpoint(tree.county)
    tree.wires[COUNTY].on_reply = lambda raw: raw
    tree.settle()
    sign(tree)
    assert set(words(tree.county, topic).values()) == {"settled"}


# ---- what a witness signs ----------------------------------------------------------------------------------------


def submission(node: Context, old: int, size: int, change: bool = False, signer: Signer | None = None) -> bytes:
    """add-checkpoint of the first `size` leaves of a made-up log of this node; `change`: with another first leaf."""
    hashes = [leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
    if change:
        hashes[0] = leaf_hash(b"another")
    name = origin(node.identity.code, life.now(node).inc)
    state = Checkpoint(name, size, root(size, from_leaves(hashes)))
    ranges = consistency_ranges(old, size) if old <= size else []
    proof = tuple(from_leaves(hashes)(*item) for item in ranges)
    signed = sign_checkpoint(state, signer or node.identity.signer)
    return write_submission(Submission(old, proof, signed)).encode()


def last(tree: Tree, node: Context) -> tuple[int, str] | None:
    with reading(tree.city.engine) as conn:
        return log.last_cosigned(conn, node.identity.code, life.now(node).inc)


def test_witness_signs_what_continues_what_it_signed(tree: Tree):
    for old, size in ((0, 5), (5, 9), (9, 9), (9, 300)):
        line = witness.add_checkpoint(tree.city, submission(tree.county, old, size))
        assert line.startswith(f"\u2014 liandong/{CITY} ")
        assert last(tree, tree.county)[0] == size  # type: ignore[index]


def test_witness_never_signs_a_smaller_tree_after_a_larger_one(tree: Tree):
    witness.add_checkpoint(tree.city, submission(tree.county, 0, 9))
    for old, size in ((0, 5), (5, 8), (0, 12), (10, 12)):
        with pytest.raises(StaleCheckpoint) as error:
            witness.add_checkpoint(tree.city, submission(tree.county, old, size))
        assert error.value.size == 9
    with pytest.raises(Refused, match="malformed"):
        witness.add_checkpoint(tree.city, submission(tree.county, 9, 8))
    assert last(tree, tree.county)[0] == 9  # type: ignore[index]


def test_witness_never_signs_two_roots_of_one_size_and_keeps_the_proof(tree: Tree):
    witness.add_checkpoint(tree.city, submission(tree.county, 0, 9))
    before = last(tree, tree.county)
    for _ in range(2):
        with pytest.raises(CheckpointConflict):
            witness.add_checkpoint(tree.city, submission(tree.county, 9, 9, change=True))
    assert last(tree, tree.county) == before
    (kept,) = rows(tree.city, lt.log_conflicts)
    one, other = (open_checkpoint(item, tree.county.identity.signer.public) for item in (kept.kept, kept.other))
    assert (one.origin, one.size) == (other.origin, other.size)
    assert one.root != other.root
    assert [row.result for row in rows(tree.city, t.audit, t.audit.c.action == "checkpoint-conflict")] == ["alarm"]


def test_witness_signs_no_tree_that_does_not_continue(tree: Tree):
    witness.add_checkpoint(tree.city, submission(tree.county, 0, 9))
    before = last(tree, tree.county)
    with pytest.raises(Refused, match="unproven"):
        witness.add_checkpoint(tree.city, submission(tree.county, 9, 12, change=True))
    assert last(tree, tree.county) == before


def test_witness_signs_only_for_neighbours_under_their_own_key(tree: Tree):
    with pytest.raises(NotFound):
        witness.add_checkpoint(tree.province, submission(tree.county, 0, 3))
    with pytest.raises(NotAllowed):
        witness.add_checkpoint(tree.city, submission(tree.county, 0, 3, signer=tree.other.identity.signer))
    with pytest.raises(Refused, match="malformed"):
        witness.add_checkpoint(tree.city, b"\xff")
    past = Incarnation(7, "0" * 32)
    state = Checkpoint(origin(COUNTY, past), 1, bytes(32))
    body = write_submission(Submission(0, (), sign_checkpoint(state, tree.county.identity.signer)))
    with pytest.raises(NotFound):
        witness.add_checkpoint(tree.city, body.encode())
    assert last(tree, tree.county) is None


def test_witness_asked_by_many_at_once_signs_one_line_of_history(tree: Tree):
    """Two histories of one log are offered at once, all sizes of both, by eight threads."""
    asked = [submission(tree.county, 0, size, change) for size in range(2, 10) for change in (False, True)]
    start = threading.Barrier(8)

    def ask(body: bytes, first: bool) -> int | None:
        if first:
            start.wait(10)
        try:
            witness.add_checkpoint(tree.city, body)
        except (StaleCheckpoint, CheckpointConflict, Refused):
            return None
        return len(body)

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(ask, asked, [n < 8 for n in range(len(asked))]))
    assert len([item for item in done if item]) == 1
    assert len(rows(tree.city, lt.witnessed)) == 1


def test_incarnation_ends_where_the_witness_has_signed_more_than_the_log_holds(tree: Tree):
    """As after a restore that nobody noticed: what the witness signed proves that there was more."""
    open_topic(tree.county)
    tree.settle()
    sign(tree)
    witness.add_checkpoint(tree.city, submission(tree.other, 0, 40))
    open_topic(tree.other)
    log.make_checkpoint(tree.other)
    exchange.call(tree.other, tree.lanes[OTHER])
    assert not life.now(tree.other).live


def test_cosignature_under_another_key_is_not_taken(tree: Tree):
    open_topic(tree.county)
    log.make_checkpoint(tree.county)
    name = origin(COUNTY, life.now(tree.county).inc)
    state = own_state(tree.county)
    line = cosign(str(state), f"liandong/{CITY}", tree.other.identity.signer, 1)
    said = CosignatureLine(log=name, size=state.size, root=state.root.hex(), line=line)
    with write(tree.county) as batch:
        assert witness._take_cosignature(batch, CITY, said) is None
    assert rows(tree.county, lt.cosignatures) == []


def test_what_is_settled_is_told_to_each_neighbour_once(tree: Tree):
    topic = open_topic(tree.county)
    tree.settle()
    sign(tree)
    for node in tree.nodes:
        assert rows(node, lt.notices) == []
    with reading(tree.city.engine) as conn:
        assert conn.execute(select(lt.settled.c.statement).where(lt.settled.c.statement == topic)).scalar() == topic
    assert PROVINCE not in {row.peer for row in rows(tree.county, lt.noticed)}
