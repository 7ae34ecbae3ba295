"""Streams (SPEC 8.2): gapless positions and the running hash."""

import hashlib
from typing import Any

from tests.conformance.wire.strict import Json


def start(sender: str, inc: list[Any], receiver: str) -> str:
    number, nonce = inc
    return hashlib.sha256(f"liandong/stream/1\n{sender}\n{number}\n{nonce}\n{receiver}\n".encode()).hexdigest()


def step(before: str, identity: str) -> str:
    return hashlib.sha256(bytes.fromhex(before + identity)).hexdigest()


class Stream:
    """One direction of a link: the identities in order, and the hash at each position."""

    def __init__(self, sender: str, inc: list[Any], receiver: str) -> None:
        self.inc = inc
        self.hashes = [start(sender, inc, receiver)]

    @property
    def seq(self) -> int:
        return len(self.hashes) - 1

    def add(self, identity: str) -> None:
        self.hashes.append(step(self.hashes[-1], identity))

    def at(self, seq: int) -> Json:
        """The ack of this position."""
        return {"inc": self.inc, "seq": seq, "hash": self.hashes[seq]}

    @property
    def ack(self) -> Json:
        return self.at(self.seq)
