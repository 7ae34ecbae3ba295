"""Keys: which are fit to enrol, who signs, whose key an id names (SPEC 3.3).

Common libraries accept public keys of small order, under which one fixed signature verifies for every message. So a
key is checked by arithmetic once, when it is enrolled, and trusted by its id afterwards.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.ids import KeyId, NodeCode
from sync.errors import BadKey, Refused

ALG = "Ed25519"
ALGS_ACCEPTED = frozenset({"Ed25519", "EdDSA"})
KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_Point = tuple[int, int, int, int]
_IDENTITY: _Point = (0, 1, 1, 0)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Strict base64url without padding. Raises Refused("malformed") for any second spelling of the same bytes."""
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Refused("malformed", "base64url") from None
    if b64(raw) != text:
        raise Refused("malformed", "base64url")
    return raw


def thumbprint(key: bytes) -> KeyId:
    """JWK thumbprint (RFC 7638) of an Ed25519 public key of 32 bytes."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(key)}"}}'
    return b64(hashlib.sha256(jwk.encode()).digest())


@lru_cache(maxsize=4096)
def check_public_key(key: bytes) -> None:
    """Raises BadKey unless `key` is 32 bytes, canonical, on the curve, and of the prime order."""
    if len(key) != KEY_BYTES:
        raise BadKey("bad-key", "not 32 bytes")
    point = _decompress(key)
    if point is None:
        raise BadKey("bad-key", "not a canonical point")
    if _is_identity(_times(8, point)):
        raise BadKey("bad-key", "small order")
    if not _is_identity(_times(_L, point)):
        raise BadKey("bad-key", "not of the prime order")


class Signer:
    """Holds one private key and signs with it; the only object that can."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw()
        self.kid = thumbprint(self.public)

    def sign(self, data: bytes) -> bytes:
        return self._private.sign(data)


@dataclass(frozen=True, slots=True)
class Key:
    """A public key known to belong to a node."""

    kid: KeyId
    node: NodeCode
    public: Ed25519PublicKey


class Keyring:
    """Every public key this node ever learnt, by id; old ones are never forgotten."""

    def __init__(self, keys: Mapping[KeyId, Key]) -> None:
        self._keys = keys

    def get(self, kid: KeyId) -> Key | None:
        return self._keys.get(kid)

    @staticmethod
    def of(pairs: Mapping[NodeCode, bytes]) -> "Keyring":
        return Keyring({thumbprint(raw): load_key(node, raw) for node, raw in pairs.items()})


def load_key(node: NodeCode, raw: bytes) -> Key:
    return Key(thumbprint(raw), node, Ed25519PublicKey.from_public_bytes(raw))


def _decompress(key: bytes) -> _Point | None:
    y = int.from_bytes(key, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return (x, y, 1, x * y % _P)


def _add(a: _Point, b: _Point) -> _Point:
    s = (a[1] - a[0]) * (b[1] - b[0]) % _P
    t = (a[1] + a[0]) * (b[1] + b[0]) % _P
    u = 2 * a[3] * b[3] * _D % _P
    v = 2 * a[2] * b[2] % _P
    e, f, g, h = t - s, v - u, v + u, t + s
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _times(scalar: int, point: _Point) -> _Point:
    result = _IDENTITY
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _is_identity(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0
