"""The log (SPEC 15): trees, proofs, notes, checkpoints and cosignatures, as RFC 6962 and C2SP have them."""

import base64
import binascii
import hashlib
import re
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


NAME, BASE64 = r"[^\s+]+", r"[A-Za-z0-9+/]+={0,2}"
_NOTE = re.compile(rf"([^\x00-\x1f\x7f]+)\n(0|[1-9][0-9]*)\n({BASE64})\n\n((?:— {NAME} {BASE64}\n){{1,16}})")


def read_checkpoint(note: str) -> Checkpoint:
    found = _NOTE.fullmatch(note)
    if found is None:
        raise Wrong("refused", "malformed", "no checkpoint")
    name, size, root, lines = found.groups()
    if len(unbase64(root)) != 32 or " " in name or "+" in name:
        raise Wrong("refused", "malformed", "no checkpoint")
    kept = tuple(lines.splitlines(keepends=True))
    for line in kept:
        _signature(line)
    return Checkpoint(name, int(size), unbase64(root), f"{name}\n{size}\n{root}\n", kept)


def unbase64(text: str) -> bytes:
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
    raw = unbase64(encoded)
    return name, raw[:4], raw[4:]


def is_signed(found: Checkpoint, public: bytes, line: str | None = None) -> bool:
    """Whether this line, the first one, is the log's own plain signature."""
    name, key_id, signature = _signature(line or found.lines[0])
    return (
        name == found.name and key_id == note_id(name, 1, public) and verifies(public, signature, found.text.encode())
    )


def cosign(key: Key, witness: str, found: Checkpoint, at: int) -> str:
    name = f"liandong/{witness}"
    signature = key.private.sign(f"cosignature/v1\ntime {at}\n{found.text}".encode())
    return note_line(name, 4, key.public, at.to_bytes(8, "big") + signature)


def is_cosigned(found: Checkpoint, line: str, witness: str, public: bytes) -> bool:
    return seen_at(found, line, witness, public) is not None


def is_line_of(line: str, witness: str, public: bytes) -> bool:
    """Whether a line says that it is of this witness."""
    name, key_id, _ = _signature(line)
    return (name, key_id) == (f"liandong/{witness}", note_id(f"liandong/{witness}", 4, public))


def seen_at(found: Checkpoint, line: str, witness: str, public: bytes) -> int | None:
    """When this witness signed; None where the line is not its own or not right."""
    signature = _signature(line)[2]
    if not is_line_of(line, witness, public) or len(signature) != 72:
        return None
    at = int.from_bytes(signature[:8], "big")
    said = f"cosignature/v1\ntime {at}\n{found.text}"
    return at if at < 2**63 and verifies(public, signature[8:], said.encode()) else None


def included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if index >= size:
        return False
    fn, sn, found = index, size - 1, leaf
    for each in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            found = node_hash(each, found)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            found = node_hash(found, each)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and found == root
