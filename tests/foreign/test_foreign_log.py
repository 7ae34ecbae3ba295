"""What others make of our logs: Go's sumdb and the PyPI package tlog-scales read, verify and are refused as they must.

Notes, cosignatures, inclusion, consistency and every tile of a served log, by two implementations that are not ours.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey, VkeySet
from tlog_scales.tlog import Checkpoint as TheirCheckpoint
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from node.app import create_app
from node.context import Context
from node.service import life, log
from node.service.receipt import topic_receipt
from node.store import log as rows
from node.store.engine import reading
from schemas.ids import Tier
from sync import merkle as m
from sync.log import log_key, read_checkpoint, read_proof, witness_key
from tests import nodes
from tests.foreign.go import ask, b64, build
from tests.store.tree import note, open_topic

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("go"))


@dataclasses.dataclass
class Served:
    """A city's log of more than a tile, as it is served, and what its database says it must be."""

    city: Context
    province: Context
    topic: str
    note: str
    folder: Path
    ids: list[str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    province = nodes.make(folder, "620000", Tier.PROVINCE, root=True)
    city = nodes.join(province, nodes.make(folder, "620100", Tier.CITY))
    lane = nodes.lane(city, province)
    topic = open_topic(city)
    for n in range(600):
        note(city, topic, f"第{n}记")
    for _ in range(3):
        nodes.settle([lane], [city])
        log.make_checkpoint(city)
    nodes.settle([lane], [city])
    client = TestClient(create_app(city))
    text = client.get("/federation/v1/log/checkpoint").text
    size = read_checkpoint(text)[0].size
    for path in tile_paths(size):
        found = client.get(f"/federation/v1/log/{path}")
        assert found.status_code == 200, path
        target = folder / "tiles" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(found.content)
    (folder / "tiles" / "checkpoint").write_text(text)
    with reading(city.engine) as conn:
        ids = rows.leaf_ids(conn, life.now(city).inc, 0, size)
    yield Served(city, province, topic, text, folder / "tiles", ids)
    for node in (city, province):
        node.engine.dispose()


def tile_paths(size: int) -> list[str]:
    found = []
    for level, count in ((0, size), ("entries", size), (1, size // 256)):
        found += [f"tile/{level}/{n:03d}" for n in range(count // 256)]
        if count % 256:
            found.append(f"tile/{level}/{count // 256:03d}.p/{count % 256}")
    return found


def keys(served: Served) -> list[str]:
    name = read_checkpoint(served.note)[0].origin
    public, above = (node.identity.signer.public for node in (served.city, served.province))
    return [str(log_key(name, public)), str(witness_key("620000", above))]


def test_both_open_our_checkpoint_and_the_cosignature_on_it(served: Served, checker: Path):
    state, lines = read_checkpoint(served.note)
    question = {"Ask": "note", "Note": served.note, "Keys": keys(served), "Text": str(state)}
    assert len(lines) == 2
    spoilt = served.note.replace(f"\n{state.size}\n", f"\n{state.size + 1}\n")
    other = [keys(served)[0], keys(served)[1].replace("620000", "620001")]
    questions = [question, {**question, "Note": spoilt}, {**question, "Keys": other}]
    assert [bool(wrong) for wrong in ask(checker, questions)] == [False, True, True]
    theirs = TheirCheckpoint.from_text(served.note)
    assert (theirs.origin, theirs.size, theirs.root_hash) == (state.origin, state.size, state.root)
    known = VkeySet(*map(Vkey.from_string, keys(served)))
    assert len(known.verify(theirs.signatures, theirs)) == 2
    assert known.verify(theirs.signatures, dataclasses.replace(theirs, size=state.size + 1)) == set()


def test_both_read_every_tile_and_entry_we_serve(served: Served, checker: Path):
    state, _ = read_checkpoint(served.note)
    entries = [b64(bytes.fromhex(id)) for id in served.ids]
    question = {"Ask": "tiles", "Folder": str(served.folder), "Size": state.size, "Root": b64(state.root)}
    lost = {**question, "Entries": [entries[1], *entries[1:]]}
    other = {**question, "Entries": entries, "Root": b64(bytes(32))}
    answers = ask(checker, [{**question, "Entries": entries}, lost, other])
    assert answers[0] == ""
    assert all(answers[1:])
    reader = TilesReader(LocalBackend(served.folder))
    reader.get_checkpoint()
    assert reader.calculate_root_hash() == state.root
    assert [reader.get_entry(n).hex() for n in range(0, state.size, 97)] == served.ids[::97]


def test_proofs_they_make_from_our_tiles_are_those_we_make(served: Served):
    state, _ = read_checkpoint(served.note)
    reader = TilesReader(LocalBackend(served.folder))
    reader.get_checkpoint()
    with reading(served.city.engine) as conn:
        hasher = log.tree(conn, life.now(served.city).inc)
        for index in (0, 1, 255, 256, 511, 512, state.size - 1):
            ours = [hasher(*item) for item in m.inclusion_ranges(index, state.size)]
            assert reader.get_inclusion_proof(index, state.size).node_hashes == ours
        for old in (1, 255, 256, 257, 512, state.size - 1):
            ours = [hasher(*item) for item in m.consistency_ranges(old, state.size)]
            assert reader.get_consistency_proof(old, state.size).node_hashes == ours


def test_both_take_the_proof_of_a_receipt(served: Served, checker: Path):
    proof = read_proof(topic_receipt(served.city, served.topic)[1])
    state, _ = read_checkpoint(proof.note)
    leaf = m.leaf_hash(bytes.fromhex(served.topic))
    said = {"Index": proof.index, "Size": state.size, "Root": b64(state.root), "Proof": list(map(b64, proof.hashes))}
    note_of = {"Ask": "note", "Note": proof.note, "Keys": keys(served), "Text": str(state)}
    questions = [note_of, {"Ask": "inclusion", "Leaf": b64(leaf), **said}]
    assert ask(checker, [*questions, {**questions[1], "Index": proof.index + 1}])[:2] == ["", ""]
    InclusionProof(proof.index, state.size, list(proof.hashes)).check(leaf, state.root)


LEAVES = [m.leaf_hash(n.to_bytes(4, "big")) for n in range(700)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_all_three_agree_on_inclusion_and_consistency(checker: Path, data: st.DataObject):
    """Right proofs and spoilt ones: nobody takes what another refuses."""
    questions: list[dict[str, Any]] = []
    expected: list[bool] = []
    for _ in range(20):
        size = data.draw(st.integers(2, 700))
        old, index = data.draw(st.integers(1, size - 1)), data.draw(st.integers(0, size - 1))
        spoilt = data.draw(st.booleans())
        hasher, was = m.from_leaves(LEAVES[:size]), m.from_leaves(LEAVES[:old])(0, old)
        now = hasher(0, size)
        for kind, ranges in (
            ("inclusion", m.inclusion_ranges(index, size)),
            ("consistency", m.consistency_ranges(old, size)),
        ):
            proof = [hasher(*item) for item in ranges]
            if spoilt:
                at = data.draw(st.integers(0, len(proof) - 1))
                proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
            ours, theirs = _verdicts(kind, index, old, size, was, now, proof)
            assert ours == theirs == (not spoilt)
            roots = {"Root": b64(now), "OldRoot": b64(was), "Leaf": b64(LEAVES[index]), "Proof": list(map(b64, proof))}
            questions.append({"Ask": kind, "Index": index, "Size": size, "OldSize": old, **roots})
            expected.append(ours)
    assert [wrong == "" for wrong in ask(checker, questions)] == expected


def _verdicts(
    kind: str, index: int, old: int, size: int, was: bytes, now: bytes, proof: list[bytes]
) -> tuple[bool, bool]:
    try:
        if kind == "inclusion":
            ours = m.proves_inclusion(LEAVES[index], index, size, proof, now)
            InclusionProof(index, size, proof).check(LEAVES[index], now)
        else:
            ours = m.proves_consistency(old, was, size, now, proof)
            ConsistencyProof(old, size, proof).check(was, now)
    except (InclusionProofInvalid, ConsistencyProofInvalid):
        return ours, False
    return ours, True
