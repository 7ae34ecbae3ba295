"""What a signature is worth does not change: between the nodes of one process it is worked out once.

Each statement passes through half a dozen nodes and as many restarts, and one verification costs as much as the rest of
reading it. Only what held is remembered, by key, signature and bytes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import sync.keys
import sync.note

_KEPT_MAX = 100_000
_held: set[tuple[bytes, bytes, bytes]] = set()


class _Key:
    """Stands for an Ed25519PublicKey."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._key = raw, Ed25519PublicKey.from_public_bytes(raw)

    @classmethod
    def from_public_bytes(cls, raw: bytes) -> "_Key":
        """Raises ValueError as the real one does."""
        return cls(raw)

    def public_bytes_raw(self) -> bytes:
        return self._raw

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raises InvalidSignature."""
        at = (self._raw, signature, data)
        if at in _held:
            return
        self._key.verify(signature, data)
        if len(_held) >= _KEPT_MAX:
            _held.clear()
        _held.add(at)


@contextmanager
def verified_once() -> Iterator[None]:
    modules: tuple[Any, ...] = (sync.keys, sync.note)
    for module in modules:
        module.Ed25519PublicKey = _Key
    try:
        yield
    finally:
        for module in modules:
            module.Ed25519PublicKey = Ed25519PublicKey
