"""RFC 6962 Merkle trees (SPEC 15.1): hashes, proofs and their verification, over any source of subtree hashes.

A range `[start, end)` of leaves has one hash. Everything a log proves is a list of such ranges, so the functions here
name the ranges and a `Hasher` gives their hashes: from tiles (`from_nodes`), or from leaves in memory (`from_leaves`).
`Frontier` is the smallest state that can be appended to: one hash for each one bit of the size.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = hashlib.sha256(b"").digest()

Range = tuple[int, int]
Hasher = Callable[[int, int], bytes]
"""The hash of leaves `[start, end)`; start < end."""
Nodes = Callable[[int, int], bytes]
"""The hash at (level, index): of the 256**level leaves from index * 256**level on."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(size: int, hasher: Hasher) -> bytes:
    """The root of the tree of the first `size` leaves."""
    return hasher(0, size) if size else EMPTY_ROOT


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    found: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The subtrees whose hashes prove that the tree of `new` leaves begins with that of `old`.

    None where `old` is 0, or both are the same: there is nothing to prove.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {old} leaves at the start of one of {new}")
    if old in (0, new):
        return []
    found: list[Range] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    return ([] if whole else [(start, end)]) + found[::-1]


def proves_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether `proof` shows that leaf hash `leaf` is number `index` of the `size` leaves below the root `expected`."""
    if not 0 <= index < size:
        return False
    found, at, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def proves_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree of `new` leaves begins with the tree of `old` leaves."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and (first, second) == (old_root, new_root)


def from_leaves(leaves: Sequence[bytes]) -> Hasher:
    """The hasher over leaf hashes in memory."""

    def hasher(start: int, end: int) -> bytes:
        if end - start == 1:
            return leaves[start]
        middle = start + _split(end - start)
        return node_hash(hasher(start, middle), hasher(middle, end))

    return hasher


def from_nodes(nodes: Nodes) -> Hasher:
    """The hasher over the hashes that tiles hold: those of complete subtrees of 256**level leaves."""

    def hasher(start: int, end: int) -> bytes:
        level, first, last = 0, start, end
        while first % TILE_WIDTH == 0 and last % TILE_WIDTH == 0:
            level, first, last = level + 1, first // TILE_WIDTH, last // TILE_WIDTH
        if last == first + 1:
            return nodes(level, first)
        middle = start + _split(end - start)
        return node_hash(hasher(start, middle), hasher(middle, end))

    return hasher


def tile_root(hashes: Sequence[bytes]) -> bytes:
    """The hash above a full tile, or above any run of hashes as a tree of its own."""
    return from_leaves(hashes)(0, len(hashes))


@dataclass(slots=True)
class Frontier:
    """A tree that only grows: complete subtrees from the largest to the smallest, appended to in O(log n)."""

    size: int = 0
    peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """One more leaf hash at the end."""
        found, size = leaf, self.size
        while size & 1:
            found, size = node_hash(self.peaks.pop(), found), size >> 1
        self.peaks.append(found)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        found = self.peaks[-1]
        for peak in self.peaks[-2::-1]:
            found = node_hash(peak, found)
        return found


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
