"""The Merkle tree against the definition of RFC 6962, for every size and every pair of sizes that matter."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync import merkle as m


def leaves(size: int) -> list[bytes]:
    return [m.leaf_hash(n.to_bytes(4, "big")) for n in range(size)]


def defined(hashes: list[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 writes it down."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + defined(hashes[:k]) + defined(hashes[k:])).digest()


def proof(hashes: list[bytes], ranges: list[m.Range]) -> list[bytes]:
    return [m.from_leaves(hashes)(*item) for item in ranges]


SIZES = st.integers(1, 300)


# Published with the certificate transparency implementations: the roots of the first n of eight inputs.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    4: "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    6: "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


@pytest.mark.parametrize("size", ROOTS)
def test_root_of_published_inputs_is_the_published_one(size: int):
    hashes = [m.leaf_hash(bytes.fromhex(item)) for item in INPUTS[:size]]
    assert m.root(size, m.from_leaves(hashes)).hex() == ROOTS[size]


def test_root_of_nothing_is_the_hash_of_nothing():
    assert m.root(0, m.from_leaves([])) == m.Frontier().root() == m.EMPTY_ROOT == defined([])


@given(SIZES)
def test_root_and_frontier_are_as_defined(size: int):
    hashes, frontier = leaves(size), m.Frontier()
    for item in hashes:
        frontier.append(item)
    assert frontier.size == size
    assert m.root(size, m.from_leaves(hashes)) == frontier.root() == defined(hashes)
    assert len(frontier.peaks) == size.bit_count()


@given(SIZES, st.data())
def test_inclusion_of_every_leaf_is_proven_at_its_own_place_alone(size: int, data: st.DataObject):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size + 3))
    hashes = leaves(size)
    root, found = defined(hashes), proof(hashes, m.inclusion_ranges(index, size))
    assert m.proves_inclusion(hashes[index], index, size, found, root)
    assert m.proves_inclusion(hashes[index], other, size, found, root) == (other == index)
    assert not m.proves_inclusion(m.leaf_hash(b"another"), index, size, found, root)
    assert not m.proves_inclusion(hashes[index], index, size, [*found, root], root)
    if found:
        assert not m.proves_inclusion(hashes[index], index, size, found[:-1], root)


@given(SIZES, st.data())
def test_consistency_is_proven_between_these_two_trees_alone(size: int, data: st.DataObject):
    old = data.draw(st.integers(0, size))
    hashes = leaves(size)
    was, now = defined(hashes[:old]), defined(hashes)
    found = proof(hashes, m.consistency_ranges(old, size))
    assert m.proves_consistency(old, was, size, now, found)
    assert not m.proves_consistency(old, was, size, now, [*found, now])
    anything = old == 0  # every tree continues the empty one
    assert m.proves_consistency(old, was, size, m.leaf_hash(b"another"), found) == anything
    assert not m.proves_consistency(old, m.leaf_hash(b"another"), size, now, found)
    if 0 < old < size:
        changed = [m.leaf_hash(b"another"), *hashes[1:]]
        forged = proof(changed, m.consistency_ranges(old, size))
        assert not m.proves_consistency(old, was, size, defined(changed), forged)
        assert not m.proves_consistency(old, was, size, now, found[:-1])


def test_consistency_with_a_smaller_tree_is_never_proven():
    hashes = leaves(4)
    assert not m.proves_consistency(4, defined(hashes), 3, defined(hashes[:3]), [])
    with pytest.raises(ValueError, match="no tree of 4"):
        m.consistency_ranges(4, 3)
    with pytest.raises(ValueError, match="no leaf 3"):
        m.inclusion_ranges(3, 3)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 1000, 65535, 65536, 65537, 70000])
def test_hashes_from_tiles_are_those_from_leaves(size: int):
    levels, asked = [leaves(size)], set()
    while len(levels[-1]) >= m.TILE_WIDTH:
        below = levels[-1]
        full = range(len(below) // m.TILE_WIDTH)
        levels.append([m.tile_root(below[n * m.TILE_WIDTH : (n + 1) * m.TILE_WIDTH]) for n in full])

    def nodes(level: int, index: int) -> bytes:
        asked.add((level, index))
        return levels[level][index]

    from_tiles, plain = m.from_nodes(nodes), m.from_leaves(levels[0])
    assert m.root(size, from_tiles) == m.root(size, plain)
    assert len(asked) <= m.TILE_WIDTH * len(levels)
    for start, end in [*m.inclusion_ranges(size // 3, size), *m.consistency_ranges(size // 2, size)]:
        assert from_tiles(start, end) == plain(start, end)
