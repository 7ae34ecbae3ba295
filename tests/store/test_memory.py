"""What a witness signed outlives its disk: two of its neighbours keep it, and give it back (SPEC 15.4)."""

from pathlib import Path

import pytest
from sqlalchemy import delete, update

from node.context import Context
from node.domain.refusals import CheckpointConflict, StaleCheckpoint
from node.service import exchange, healing, life, log, memory, upkeep, witness
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.roster import current
from node.service.verify import verify
from node.store import log_tables as lt
from node.store import tables as t
from node.store.engine import reading
from schemas.exchange import KeptLine, SignedLine
from sync.errors import Refused
from sync.log import Checkpoint, Submission, origin, sign_checkpoint, witness_key, write_submission
from sync.merkle import consistency_ranges, from_leaves, leaf_hash, root
from sync.note import cosign
from tests.store.lives import brought_back, heal, saved
from tests.store.logs import sign
from tests.store.tree import CITY, COUNTY, OTHER, PROVINCE, Tree, open_topic, rows

FORK = 5
"""Up to here the two histories of the log that lies are one."""


def history(node: Context, size: int, lie: bool = False) -> tuple[Checkpoint, list[bytes]]:
    hashes = [leaf_hash(bytes([lie and n >= FORK, n])) for n in range(size)]
    return Checkpoint(origin(node.identity.code, life.now(node).inc), size, root(size, from_leaves(hashes))), hashes


def asked(node: Context, old: int, size: int, lie: bool = False) -> bytes:
    """add-checkpoint of one of the two histories of this node's log."""
    state, hashes = history(node, size, lie)
    proof = tuple(from_leaves(hashes)(*item) for item in consistency_ranges(old, size))
    return write_submission(Submission(old, proof, sign_checkpoint(state, node.identity.signer))).encode()


def last(tree: Tree, node: Context) -> int:
    with reading(tree.city.engine) as conn:
        known = log.last_cosigned(conn, node.identity.code, life.now(node).inc)
    return known[0] if known else 0


def kept(node: Context) -> dict[tuple[str, str], int]:
    return {(row.witness, row.node): row.size for row in rows(node, lt.remembered)}


def forget(tree: Tree) -> None:
    """The city as after a restore from before it signed anything: on both databases."""
    with write(tree.city) as batch:
        batch.conn.execute(delete(lt.witnessed))
        batch.conn.execute(delete(lt.reminders))
        life.end(batch, "restored")


def refuses_the_lie(tree: Tree) -> None:
    with pytest.raises(StaleCheckpoint) as stale:
        witness.add_checkpoint(tree.city, asked(tree.county, FORK, 12, lie=True))
    assert stale.value.size == 9
    with pytest.raises(CheckpointConflict):
        witness.add_checkpoint(tree.city, asked(tree.county, 9, 9, lie=True))
    with pytest.raises(Refused, match="unproven"):
        witness.add_checkpoint(tree.city, asked(tree.county, 9, 12, lie=True))
    assert witness.add_checkpoint(tree.city, asked(tree.county, 9, 12))


def test_what_a_witness_signs_is_kept_by_two_neighbours_that_are_not_the_logs_owner(tree: Tree) -> None:
    for node in tree.nodes:
        open_topic(node)
    tree.settle()
    sign(tree)
    assert set(kept(tree.province)) == {(CITY, COUNTY), (CITY, OTHER)}
    assert set(kept(tree.county)) == {(CITY, PROVINCE), (CITY, OTHER)}
    assert set(kept(tree.other)) == {(CITY, PROVINCE), (CITY, COUNTY)}
    assert kept(tree.city) == {}, "nobody but the owner of their logs is near those who sign for the city"
    assert kept(tree.province)[CITY, COUNTY] == last(tree, tree.county)
    for peer in (PROVINCE, COUNTY, OTHER):
        with reading(tree.city.engine) as conn:
            assert memory.to_tell(conn, current(tree.city, conn), CITY, peer) == []
    tree.check()


def test_keepers_are_the_parent_and_the_first_children_but_never_the_owner(tree: Tree) -> None:
    tree.settle()
    with write(tree.city) as batch:
        roster = batch.roster
    assert memory.keepers(roster, CITY, COUNTY) == (PROVINCE, OTHER)
    assert memory.keepers(roster, CITY, PROVINCE) == (COUNTY, OTHER)
    assert memory.keepers(roster, PROVINCE, CITY) == ()
    assert memory.keepers(roster, COUNTY, CITY) == ()


def test_a_witness_that_lost_its_memory_does_not_sign_a_second_history(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, FORK))
    witness.add_checkpoint(tree.city, asked(tree.county, FORK, 9))
    tree.settle()
    forget(tree)
    heal(tree)
    assert life.now(tree.city).inc.number == 2
    assert last(tree, tree.county) == 9
    refuses_the_lie(tree)
    tree.check()


def test_a_witness_restored_from_a_backup_does_not_sign_a_second_history(tree: Tree, tmp_path: Path) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, FORK))
    backup = saved(tree, "city", tmp_path / "city")
    witness.add_checkpoint(tree.city, asked(tree.county, FORK, 9))
    tree.settle()
    brought_back(tree, "city", backup)
    assert last(tree, tree.county) == FORK
    heal(tree)
    refuses_the_lie(tree)


def test_a_healing_witness_signs_nothing_before_its_memory_is_back(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    forget(tree)
    tree.wires[CITY].on_request = lambda raw: None
    for _ in range(3):
        for child in (tree.county, tree.other):
            exchange.call(child, tree.lanes[child.identity.code])
    with reading(tree.city.engine) as conn:
        assert not healing.status(conn).ready
    assert not life.now(tree.city).live
    assert last(tree, tree.county) == 9, "the other child keeps it as well as the parent"


def test_memory_comes_back_by_stick(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    import_bundle(tree.province, export_bundle(tree.city, PROVINCE))
    assert kept(tree.province) == {(CITY, COUNTY): 9}
    forget(tree)
    with write(tree.city) as batch:
        for peer in (COUNTY, OTHER):
            healing.waive(batch, peer, "unreachable")
    for _ in range(3):
        import_bundle(tree.province, export_bundle(tree.city, PROVINCE))
        upkeep.live_on(tree.province)
        import_bundle(tree.city, export_bundle(tree.province, CITY))
        upkeep.live_on(tree.city)
    assert life.now(tree.city).inc.number == 2
    refuses_the_lie(tree)


def test_a_keeper_that_was_waived_gives_the_memory_back_when_it_returns(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    forget(tree)
    for keeper in (tree.province, tree.other):
        with write(keeper) as batch:
            batch.conn.execute(update(lt.remembered).values(witness=PROVINCE))
    tree.connect(tree.other, tree.city)
    heal(tree)
    witness.add_checkpoint(tree.city, asked(tree.county, 0, FORK + 1, lie=True))
    with write(tree.other) as batch:
        batch.conn.execute(update(lt.remembered).values(witness=CITY))
    tree.settle()
    exchange.call(tree.other, tree.lanes[OTHER])
    assert last(tree, tree.county) == 9
    with pytest.raises(StaleCheckpoint):
        witness.add_checkpoint(tree.city, asked(tree.county, FORK + 1, 12, lie=True))
    assert rows(tree.city, t.audit, t.audit.c.action == "witness-remembers")


def test_a_keeper_with_the_other_history_brings_the_proof_of_it(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    with write(tree.city) as batch:
        batch.conn.execute(delete(lt.witnessed))
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9, lie=True))
    said = KeptLine(note=rows(tree.other, lt.remembered)[0].note, line=rows(tree.other, lt.remembered)[0].line)
    for _ in range(2):
        with write(tree.city) as batch:
            memory.take(batch, OTHER, said)
    (proof,) = rows(tree.city, lt.log_conflicts)
    assert proof.kept != proof.other
    assert [row.result for row in rows(tree.city, t.audit, t.audit.c.action == "checkpoint-conflict")] == ["alarm"]


def test_a_keeper_that_was_restored_is_told_again(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    with write(tree.other) as batch:
        batch.conn.execute(delete(lt.remembered))
        life.end(batch, "restored")
    heal(tree)
    tree.settle()
    assert kept(tree.other) == {(CITY, COUNTY): 9}


def test_a_keeper_keeps_the_largest_state_and_says_which(tree: Tree) -> None:
    for size in (FORK, 9):
        witness.add_checkpoint(tree.city, asked(tree.county, last(tree, tree.county), size))
        if size == FORK:
            with reading(tree.city.engine) as conn:
                (old,) = memory.to_tell(conn, current(tree.city, conn), CITY, PROVINCE)
    tree.settle()
    with write(tree.province) as batch:
        (answer,) = memory.take(batch, CITY, old)
    assert answer.note.split("\n")[1] == "9"
    assert kept(tree.province) == {(CITY, COUNTY): 9}


def test_the_first_of_a_new_life_of_the_log_replaces_what_was_kept_of_the_old_one(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    with write(tree.county) as batch:
        life.end(batch, "restored")
    heal(tree)
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 2))
    tree.settle()
    assert kept(tree.province) == kept(tree.other) == {(CITY, COUNTY): 2}


@pytest.mark.parametrize("wrong", ["witness", "log", "note", "line", "stranger", "owner"])
def test_what_is_not_signed_by_both_is_neither_kept_nor_remembered(tree: Tree, wrong: str) -> None:
    tree.settle()
    state, _ = history(tree.county, 9)
    if wrong == "stranger":
        state = Checkpoint("liandong/999999/1." + "0" * 32, state.size, state.root)
    if wrong == "owner":
        state = Checkpoint(origin(PROVINCE, life.now(tree.province).inc), state.size, state.root)
    signer = {"log": tree.other, "owner": tree.province}.get(wrong, tree.county).identity.signer
    note = sign_checkpoint(state, signer)
    by = tree.other if wrong == "witness" else tree.city
    line = cosign(str(state), witness_key(CITY, by.identity.signer.public).name, by.identity.signer, 1)
    note = "not a note" if wrong == "note" else note
    line = line + line if wrong == "line" else line
    with write(tree.province) as batch:
        assert memory.take(batch, CITY, SignedLine(note=note, line=line)) == []
    assert kept(tree.province) == {}
    if wrong == "owner":
        return
    with write(tree.city) as batch:
        memory.take(batch, PROVINCE, KeptLine(note=note, line=line))
    assert rows(tree.city, lt.witnessed) == rows(tree.city, lt.reminders) == []


def test_verify_finds_a_kept_state_that_was_changed(tree: Tree) -> None:
    witness.add_checkpoint(tree.city, asked(tree.county, 0, 9))
    tree.settle()
    with write(tree.province) as batch:
        batch.conn.execute(update(lt.remembered).values(size=8))
    report = verify(tree.province)
    assert not report.ok
    assert any("remembered" in str(problem) for problem in report.problems)
