"""Notes, checkpoints, cosignatures, tiles and proofs as text: one spelling each, and nothing else is taken."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import Incarnation
from sync import log, note
from sync.errors import Refused
from sync.keys import Signer

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
OTHER = Signer(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
INC = Incarnation(1, "ab" * 16)
NAME = log.origin("620102", INC)
STATE = log.Checkpoint(NAME, 7, b"\x07" * 32)
NOTE = log.sign_checkpoint(STATE, SIGNER)
WITNESS = log.witness_key("620100", OTHER.public)


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(Refused) as error:
        read()
    return error.value.code


# The example of the note format's own specification, whose public key its reference implementation publishes.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_note_of_the_reference_implementation_is_read_and_verified():
    text, lines = note.read_note(NEUMANN)
    key = note.Verifier("PeterNeumann", note.PLAIN, note.unb64(PETER.rsplit("+", 1)[1])[1:])
    assert str(key) == PETER
    assert note.signed_by(text, lines, key) == 0


def test_checkpoint_is_read_back_and_its_key_is_told_apart():
    assert log.open_checkpoint(NOTE, SIGNER.public) == STATE
    assert refused(lambda: log.open_checkpoint(NOTE, OTHER.public)) == "bad-signature"


def test_cosignature_tells_its_time_and_covers_it():
    text, _ = note.read_note(NOTE)
    line = note.cosign(text, WITNESS.name, OTHER, 1_800_000_000)
    assert note.signed_by(text, note.read_lines(line), WITNESS) == 1_800_000_000
    (read,) = note.read_lines(line)
    later = note.Line(read.name, read.key_id, (1_800_000_001).to_bytes(8, "big") + read.signature[8:])
    assert note.signed_by(text, [later], WITNESS) is None
    assert note.signed_by(text + "\n", [read], WITNESS) is None


def test_a_line_of_a_known_key_that_does_not_verify_spoils_the_note():
    text, lines = note.read_note(NOTE)
    bad = note.Line(lines[0].name, lines[0].key_id, bytes(64))
    key = log.log_key(NAME, SIGNER.public)
    assert note.signed_by(text, lines, key) == 0
    assert note.signed_by(text, [*lines, bad], key) is None


@given(st.data())
def test_no_byte_of_a_checkpoint_can_be_changed(data: st.DataObject):
    raw = NOTE.encode()
    at = data.draw(st.integers(0, len(raw) - 1))
    put = data.draw(st.integers(0, 255).filter(lambda byte: byte != raw[at]))
    changed = raw[:at] + bytes([put]) + raw[at + 1 :]
    try:
        text = changed.decode()
    except UnicodeDecodeError:
        return
    assert refused(lambda: log.open_checkpoint(text, SIGNER.public)) in ("malformed", "bad-signature")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "text\n",
        NOTE.removesuffix("\n"),
        NOTE + "\n",
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\n7\n", "\n7\nextension\n"),
        NOTE.replace("\n7\n", f"\n{2**53}\n"),
        NOTE.replace("\n7\n", "\n\uff17\n"),
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\u2014 ", "\u2014\t"),
        NOTE.replace("=\n", "\n", 1),
        NOTE + note.read_lines(NOTE.split("\n\n")[1])[0].__str__() * 16,
        "x" * 20000 + NOTE,
    ],
)
def test_checkpoint_in_another_form_is_refused(raw: str):
    assert refused(lambda: log.read_checkpoint(raw)) in ("malformed", "too-large")


@given(st.text(), st.integers(0, 2**53 - 1))
def test_origin_is_read_only_as_it_is_written(text: str, number: int):
    name = log.origin("620102", Incarnation(max(number, 1), "0" * 32))
    assert log.read_origin(name) == ("620102", Incarnation(max(number, 1), "0" * 32))
    assert refused(lambda: log.read_origin(name + text or "x")) == "malformed" if text else True


@given(
    st.one_of(st.just("entries"), st.integers(0, 63)),
    st.integers(0, 10**15 - 1),
    st.integers(1, 256),
)
def test_tile_paths_are_read_back(level, index: int, width: int):
    tile = log.Tile(level, index, width)
    assert log.read_tile_path(log.tile_path(tile)) == tile


def test_tile_path_is_that_of_the_specification():
    assert log.tile_path(log.Tile(0, 1234067)) == "0/x001/x234/067"
    assert log.tile_path(log.Tile("entries", 5, 112)) == "entries/005.p/112"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/1",
        "0/0001",
        "00/001",
        "64/001",
        "0/001.p/0",
        "0/001.p/256",
        "0/001.p/01",
        "0/x000/001",
        "0/001/",
        "-1/001",
    ],
)
def test_tile_path_in_another_spelling_is_refused(path: str):
    assert refused(lambda: log.read_tile_path(path)) == "malformed"


def test_entry_bundle_has_two_bytes_of_length_before_each_entry():
    assert log.entry_bundle([b"\x01" * 32, b"\x02" * 32]) == b"\x00\x20" + b"\x01" * 32 + b"\x00\x20" + b"\x02" * 32


HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)


@given(st.integers(0, 2**53 - 1), HASHES)
def test_submission_is_read_back(old: int, proof):
    asked = log.Submission(old, proof, NOTE)
    assert log.read_submission(log.write_submission(asked)) == asked


@given(st.integers(0, 2**53 - 1), HASHES, st.none() | st.binary(max_size=100))
def test_proof_is_read_back(index: int, hashes, extra):
    proof = log.Proof(index, hashes, NOTE, extra)
    assert log.read_proof(log.write_proof(proof).encode()) == proof


@pytest.mark.parametrize(
    "raw", ["", "old 1", "old 01\n\n", "old -1\n\n", "old\n\n", "old 1\nAAAA\n\n", "old 1\n" + "A" * 43 + "=\n"]
)
def test_submission_in_another_form_is_refused(raw: str):
    assert refused(lambda: log.read_submission(raw)) == "malformed"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\n\n",
        b"c2sp.org/tlog-proof@v1\n\n",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 00\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n\n",
        b"c2sp.org/tlog-proof@v1\nextra A\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"AAAA\n" + b"\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + (b"A" * 43 + b"=\n") * 64 + b"\n",
    ],
)
def test_proof_in_another_form_is_refused(raw: bytes):
    assert refused(lambda: log.read_proof(raw)) == "malformed"
