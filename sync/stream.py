"""The outbox stream of a link: gapless seq and a running hash, per (sender, incarnation, receiver) (SPEC 8.2)."""

import hashlib

from schemas.ids import Digest, Incarnation, NodeCode


def stream_start(sender: NodeCode, inc: Incarnation, receiver: NodeCode) -> Digest:
    """hash_0, which ties a stream to its two ends and its incarnation."""
    text = f"liandong/stream/1\n{sender}\n{inc.number}\n{inc.nonce}\n{receiver}\n"
    return hashlib.sha256(text.encode()).hexdigest()


def stream_hash(previous: Digest, identity: Digest) -> Digest:
    """hash_n = SHA-256(hash_{n-1} || identity_n), both as 32 bytes."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(identity)).hexdigest()
