"""What a signature is worth does not change, nor what bytes say: each run finds both out once.

Each statement passes through half a dozen nodes and as many restarts. Only what held is remembered: verifications by
key, signature and bytes, and what was read by its bytes. Nobody changes what was read: the models are frozen, and the
objects they are made from are only looked into.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

import node.store.codec
import sync.exchange
import sync.keys
import sync.note
import sync.sealing

_KEPT_MAX = 20_000
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


def _once(read: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """As `read`, for what has the same key only once; nothing is remembered of what it raises."""
    known: dict[Any, Any] = {}

    def remembered(*given: Any) -> Any:
        at = key(*given)
        found = known.get(at)
        if found is None:
            found = read(*given)
            if len(known) >= _KEPT_MAX:
                known.clear()
            known[at] = found
        return found

    return remembered


class _Once:
    """Stands for a TypeAdapter."""

    def __init__(self, adapter: Any) -> None:
        self.dump_json = adapter.dump_json
        self.validate_json = _once(adapter.validate_json, lambda text: text)


def _stand_ins() -> tuple[tuple[Any, str, Any], ...]:
    strict = _once(sync.sealing.strict_json, lambda raw: raw)
    return (
        (sync.keys, "Ed25519PublicKey", _Key),
        (sync.note, "Ed25519PublicKey", _Key),
        (sync.sealing, "strict_json", strict),
        (sync.sealing, "parse_object", _once(sync.sealing.parse_object, lambda _, raw: raw)),
        (sync.sealing, "read_model", _once(sync.sealing.read_model, lambda model, payload: (model, payload))),
        (sync.exchange, "strict_json", strict),
        (node.store.codec, "_CHAIN", _Once(node.store.codec._CHAIN)),
        (node.store.codec, "_TOPIC", _Once(node.store.codec._TOPIC)),
        (sync.exchange, "_item", _once(sync.exchange._item, lambda _, line: line)),
    )


@contextmanager
def found_out_once() -> Iterator[None]:
    """While this is open; what one seed found out is of no use to the next."""
    stand_ins = _stand_ins()
    before = [(module, name, getattr(module, name)) for module, name, _ in stand_ins]
    for module, name, stand_in in stand_ins:
        setattr(module, name, stand_in)
    try:
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
        _held.clear()


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Much is made in a run and little of it hangs on itself: looking for that less often saves a twentieth."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
