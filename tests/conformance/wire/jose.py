"""Keys and JWS (SPEC 3.1, 3.3): what is signed, by whom, and whether that is so."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.conformance.wire.strict import Json, Wrong, malformed, read, write

PAYLOAD_MAX, STATEMENT_MAX, SIGNATURES_MAX = 61440, 98304, 4
FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, FIELD) % FIELD


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: Any) -> bytes:
    """Canonical base64url without padding."""
    if not isinstance(text, str) or "=" in text or len(text) % 4 == 1:
        raise malformed("no base64url")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed("no base64url") from error
    if b64(raw) != text:
        raise malformed("base64url is not canonical")
    return raw


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def kid_of(public: bytes) -> str:
    return b64(hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(public)}"}}'.encode()).digest())


@dataclass(frozen=True)
class Key:
    """A private key of the kit."""

    private: Ed25519PrivateKey

    @classmethod
    def new(cls) -> "Key":
        return cls(Ed25519PrivateKey.generate())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def kid(self) -> str:
        return kid_of(self.public)

    def jws(self, payload: bytes | Json, typ: str, **other: Any) -> Json:
        """A JWS; `other` replaces or adds members of the protected header."""
        raw = payload if isinstance(payload, bytes) else write(payload)
        header = {"alg": "Ed25519", "kid": self.kid, "typ": typ, **other}
        protected = b64(write({name: value for name, value in header.items() if value is not None}))
        signature = self.private.sign(f"{protected}.{b64(raw)}".encode())
        return {"payload": b64(raw), "signatures": [{"protected": protected, "signature": b64(signature)}]}


@dataclass(frozen=True)
class Signed:
    """A JWS of good form, before its signature is looked at."""

    payload: bytes
    typ: str
    kid: str
    signing_input: bytes
    signature: bytes

    def verify(self, public: bytes) -> None:
        if not verifies(public, self.signature, self.signing_input):
            raise Wrong("held", "bad-signature")


def verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def form(jws: Json) -> Signed:
    """Form and headers of 3.1; `jws` is strict JSON already."""
    if set(jws) != {"payload", "signatures"}:
        raise malformed("a JWS has payload and signatures")
    payload, signatures = unb64(jws["payload"]), jws["signatures"]
    if len(payload) > PAYLOAD_MAX:
        raise Wrong("refused", "too-large")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise malformed("1 to 4 signatures")
    ours, types = [], set()
    for each in signatures:
        if not isinstance(each, dict) or set(each) != {"protected", "signature"}:
            raise malformed("a signature has protected and signature")
        header, signature = read(unb64(each["protected"])), unb64(each["signature"])
        if set(header) != {"alg", "kid", "typ"} or not all(isinstance(value, str) for value in header.values()):
            raise malformed("a header has alg, kid and typ")
        if header["alg"].lower() == "none":
            raise malformed("alg none")
        types.add(header["typ"])
        if header["alg"] in ("Ed25519", "EdDSA"):
            ours.append((header, f"{each['protected']}.{jws['payload']}".encode(), signature))
    if len(types) != 1 or len(ours) != 1 or len(ours[0][2]) != 64:
        raise malformed("one Ed25519 signature of 64 bytes, and one typ")
    header, signing_input, signature = ours[0]
    return Signed(payload, header["typ"], header["kid"], signing_input, signature)


# ---- which key may be enrolled (3.3) ---------------------------------------------------------------------------

Point = tuple[int, int, int, int]


def fit(public: bytes) -> bool:
    """Whether this is a point of the curve, in its one encoding, of the order of the base point."""
    point = _decode(public)
    if point is None:
        return False
    return not _identity(_times(8, point)) and _identity(_times(ORDER, point))


def _decode(public: bytes) -> Point | None:
    if len(public) != 32:
        return None
    number = int.from_bytes(public, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= FIELD:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    if x * x % FIELD != square or (x == 0 and sign):
        return None
    x = FIELD - x if x % 2 != sign else x
    return x, y, 1, x * y % FIELD


def _add(p: Point, q: Point) -> Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % FIELD
    b = (p[1] + p[0]) * (q[1] + q[0]) % FIELD
    c = 2 * p[3] * q[3] * D % FIELD
    d = 2 * p[2] * q[2] % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def _times(factor: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            found = _add(found, point)
        point, factor = _add(point, point), factor >> 1
    return found


def _identity(point: Point) -> bool:
    return point[0] % FIELD == 0 and (point[1] - point[2]) % FIELD == 0
