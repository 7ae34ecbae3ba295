"""Summaries as values: which row of a topic stands, and the commitment to a set of rows (SPEC 16).

Which of two rows stands depends on the rows alone, never on which came first: so pages may come twice, late or in any
order, and every node that has heard the same pages knows the same rows.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

from schemas.ids import Digest, Term, TopicId
from schemas.summary import Row
from sync.strict import dumps

Place = tuple[Term, int, int, Digest]
"""Where a row stands among those of its topic: term, seq, rev; of two at one place the larger leaf stands."""


def leaf(row: Row) -> Digest:
    """RFC 6962 hash of a row as a leaf."""
    return hashlib.sha256(b"\x00" + dumps(row.model_dump(mode="json"))).hexdigest()


def place(row: Row) -> Place:
    return row.term, row.seq, row.rev, leaf(row)


def root(leaves: Sequence[Digest]) -> Digest:
    """RFC 6962 Merkle tree hash of leaf hashes in their order; of none, the hash of nothing."""
    if not leaves:
        return hashlib.sha256(b"").hexdigest()
    return _root([bytes.fromhex(one) for one in leaves]).hex()


def listed(leaves: Iterable[tuple[TopicId, Digest]]) -> bytes:
    """The content of the part `rows`: topic and leaf, 64 bytes each pair, by ascending topic."""
    return b"".join(bytes.fromhex(topic) + bytes.fromhex(one) for topic, one in sorted(leaves))


def read_listed(content: bytes) -> list[tuple[TopicId, Digest]] | None:
    """The pairs of a part `rows`; None where it is no such list."""
    if len(content) % 64:
        return None
    pairs = [(content[at : at + 32].hex(), content[at + 32 : at + 64].hex()) for at in range(0, len(content), 64)]
    ascending = all(one[0] < two[0] for one, two in pairwise(pairs))
    return pairs if ascending else None


def _root(nodes: list[bytes]) -> bytes:
    """A left-balanced tree folded level by level: an odd node at the end moves up as it is."""
    while len(nodes) > 1:
        pairs = [hashlib.sha256(b"\x01" + nodes[at] + nodes[at + 1]).digest() for at in range(0, len(nodes) - 1, 2)]
        nodes = pairs + ([nodes[-1]] if len(nodes) % 2 else [])
    return nodes[0]
