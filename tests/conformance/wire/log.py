"""The log (SPEC 15): trees, proofs, notes, checkpoints and cosignatures, as RFC 6962 and C2SP have them."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from tests.conformance.wire.jose import Key, verifies
from tests.conformance.wire.strict import Wrong


def hashed(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def leaf_hash(identity: str) -> bytes:
    return hashed(b"\0" + bytes.fromhex(identity))


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashed(b"\1" + left + right)


def tree_root(leaves: list[bytes]) -> bytes:
    """The root over hashes of leaves (RFC 6962, 2.1)."""
    if not leaves:
        return hashed(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = _half(len(leaves))
    return node_hash(tree_root(leaves[:half]), tree_root(leaves[half:]))


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*inclusion(leaves[:half], index), tree_root(leaves[half:])]
    return [*inclusion(leaves[half:], index - half), tree_root(leaves[:half])]


def consistency(leaves: list[bytes], old: int) -> list[bytes]:
    """That the tree of all begins with the tree of the first `old` (RFC 6962, 2.1.2)."""
    if old in (0, len(leaves)):
        return []
    return _subproof(leaves, old, True)


def _subproof(leaves: list[bytes], old: int, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [tree_root(leaves)]
    half = _half(len(leaves))
    if old <= half:
        return [*_subproof(leaves[:half], old, whole), tree_root(leaves[half:])]
    return [*_subproof(leaves[half:], old - half, False), tree_root(leaves[:half])]


def consistent(old: int, old_root: bytes, size: int, root: bytes, proof: list[bytes]) -> bool:
    """RFC 9162, 2.1.4.2."""
    if old == size or old == 0:
        return not proof and (old == 0 or old_root == root)
    if not proof or old > size:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    fn, sn = old - 1, size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for each in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(each, fr), node_hash(each, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, each)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == old_root and sr == root


def log_name(code: str, inc: list[Any]) -> str:
    return f"liandong/{code}/{inc[0]}.{inc[1]}"


def note_id(name: str, kind: int, public: bytes) -> bytes:
    return hashed(name.encode() + b"\n" + bytes([kind]) + public)[:4]


def note_line(name: str, kind: int, public: bytes, signature: bytes) -> str:
    return f"— {name} {base64.b64encode(note_id(name, kind, public) + signature).decode()}\n"


@dataclass(frozen=True)
class Checkpoint:
    name: str
    size: int
    root: bytes
    text: str
    lines: tuple[str, ...]
    """Signature lines, each with its line feed."""


def checkpoint(key: Key, name: str, leaves: list[bytes], root: bytes | None = None, size: int | None = None) -> str:
    """A signed checkpoint of these leaves, or of what else is said of them."""
    at = tree_root(leaves) if root is None else root
    text = f"{name}\n{len(leaves) if size is None else size}\n{base64.b64encode(at).decode()}\n"
    return f"{text}\n{note_line(name, 1, key.public, key.private.sign(text.encode()))}"


def read_checkpoint(note: str) -> Checkpoint:
    text, parted, rest = note.partition("\n\n")
    fields = text.split("\n")
    lines = rest.splitlines(keepends=True)
    good = parted and len(fields) == 3 and 1 <= len(lines) <= 16 and all(line.startswith("— ") for line in lines)
    if not good or not rest.endswith("\n") or str(int(fields[1])) != fields[1]:
        raise Wrong("refused", "malformed", "no checkpoint")
    return Checkpoint(fields[0], int(fields[1]), _unbase64(fields[2]), text + "\n", tuple(lines))


def _unbase64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Wrong("refused", "malformed", "no base64") from error
    if base64.b64encode(raw).decode() != text:
        raise Wrong("refused", "malformed", "base64 is not canonical")
    return raw


def _signature(line: str) -> tuple[str, bytes, bytes]:
    """Key name, key id and signature of a line."""
    _, name, encoded = line.rstrip("\n").split(" ")
    raw = _unbase64(encoded)
    return name, raw[:4], raw[4:]


def is_signed(found: Checkpoint, public: bytes) -> bool:
    """Whether the first line is the log's own plain signature."""
    name, key_id, signature = _signature(found.lines[0])
    return (
        name == found.name and key_id == note_id(name, 1, public) and verifies(public, signature, found.text.encode())
    )


def cosign(key: Key, witness: str, found: Checkpoint, at: int) -> str:
    name = f"liandong/{witness}"
    signature = key.private.sign(f"cosignature/v1\ntime {at}\n{found.text}".encode())
    return note_line(name, 4, key.public, at.to_bytes(8, "big") + signature)


def is_cosigned(found: Checkpoint, line: str, witness: str, public: bytes) -> bool:
    name, key_id, signature = _signature(line)
    if name != f"liandong/{witness}" or key_id != note_id(name, 4, public) or len(signature) != 72:
        return False
    said = f"cosignature/v1\ntime {int.from_bytes(signature[:8], 'big')}\n{found.text}"
    return verifies(public, signature[8:], said.encode())
