"""Keys (SPEC 3.3): which may be enrolled, and that a signature has one reading."""

import hashlib

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from sync.errors import BadKey, Deferred, Held, Refused
from sync.keys import Keyring, b64, check_public_key, load_key, thumbprint, unb64
from sync.sealing import ENTRY, open_statement, parse
from tests.wire import cast as c
from tests.wire.cast import COUNTY
from tests.wire.good import opened_payload

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


SMALL_ORDER = {
    "identity": encoded(1),
    "identity with sign": encoded(1, 1),
    "identity, y + p": encoded(P + 1),
    "identity, y + p, with sign": encoded(P + 1, 1),
    "order 2": encoded(P - 1),
    "order 2 with sign": encoded(P - 1, 1),
    "order 4": encoded(0),
    "order 4 with sign": encoded(0, 1),
    "order 4, y = p": encoded(P),
    "order 4, y = p, with sign": encoded(P, 1),
    "order 8": encoded(ORDER_8),
    "order 8 with sign": encoded(ORDER_8, 1),
    "order 8, the other": encoded(P - ORDER_8),
    "order 8, the other, with sign": encoded(P - ORDER_8, 1),
}

RFC_8032 = [  # section 7.1: secret, public, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("key", SMALL_ORDER.values(), ids=SMALL_ORDER)
def test_key_of_small_order_is_refused(key: bytes):
    with pytest.raises(BadKey) as caught:
        check_public_key(key)
    assert caught.value.code == "bad-key"


def test_small_order_encodings_are_fourteen():
    assert len(set(SMALL_ORDER.values())) == 14


def test_library_takes_a_key_of_small_order_and_one_signature_for_every_message():
    """Why keys are checked by arithmetic: this is what happens otherwise."""
    key = Ed25519PublicKey.from_public_bytes(SMALL_ORDER["identity"])
    forged = encoded(1) + bytes(32)
    for message in (b"yes", b"no"):
        key.verify(forged, message)


@pytest.mark.parametrize("y", [2, 7, 8, P - 2, P - 7])
def test_key_that_is_no_point_is_refused(y: int):
    if pow((y * y - 1) * pow(D * y * y + 1, -1, P) % P, (P - 1) // 2, P) == 1:
        pytest.skip("a point after all")
    for sign in (0, 1):
        with pytest.raises(BadKey):
            check_public_key(encoded(y, sign))


@pytest.mark.parametrize("y", range(P, 2**255))
def test_key_that_is_not_canonical_is_refused(y: int):
    for sign in (0, 1):
        with pytest.raises(BadKey):
            check_public_key(encoded(y, sign))


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_key_of_another_size_is_refused(size: int):
    with pytest.raises(BadKey):
        check_public_key(bytes(size))


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_rfc_8032_vectors(secret: str, public: str, message: str, signature: str):
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert private.public_key().public_bytes_raw().hex() == public
    assert private.sign(bytes.fromhex(message)).hex() == signature
    check_public_key(bytes.fromhex(public))
    load_key(COUNTY, bytes.fromhex(public)).public.verify(bytes.fromhex(signature), bytes.fromhex(message))


@given(st.binary(min_size=32, max_size=32))
def test_key_of_any_private_key_may_be_enrolled_and_its_negative_too(seed: bytes):
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    check_public_key(key)
    check_public_key(key[:31] + bytes([key[31] ^ 128]))


def statement(signature: bytes, protected: str | None = None) -> bytes:
    payload = c.b64(c.dumps(opened_payload()))
    header = protected or c.b64(c.header(COUNTY, ENTRY))
    return c.dumps({"payload": payload, "signatures": [{"protected": header, "signature": c.b64(signature)}]})


def honest() -> bytes:
    payload = c.b64(c.dumps(opened_payload()))
    return c.private(COUNTY).sign(f"{c.b64(c.header(COUNTY, ENTRY))}.{payload}".encode())


def changed() -> dict[str, bytes]:
    """Signatures of the kinds that Wycheproof collects, made from an honest one."""
    good = honest()
    r, s = good[:32], int.from_bytes(good[32:], "little")
    return {
        "S + L": r + (s + L).to_bytes(32, "little"),
        "S + 8 L": r + (s + 8 * L).to_bytes(32, "little"),
        "S = 0": r + bytes(32),
        "S = L": r + L.to_bytes(32, "little"),
        "S = 2^256 - 1": r + b"\xff" * 32,
        "S with its top bit": r + (s | 1 << 255).to_bytes(32, "little"),
        "-S": r + (L - s).to_bytes(32, "little"),
        "R = 0": bytes(32) + good[32:],
        "R = identity": encoded(1) + good[32:],
        "R not canonical": encoded(P + 1) + good[32:],
        "R not a point": encoded(2) + good[32:],
        "R with its sign changed": r[:31] + bytes([r[31] ^ 128]) + good[32:],
        "R and S swapped": good[32:] + r,
        "all zero": bytes(64),
        "all ones": b"\xff" * 64,
        "of another message": c.private(COUNTY).sign(b"x"),
        "of another key": c.private(c.CITY).sign(b"x"),
    }


@pytest.mark.parametrize("name", changed())
def test_signature_changed_is_held(name: str):
    with pytest.raises(Held) as caught:
        open_statement(parse(statement(changed()[name])), Keyring.of({COUNTY: c.public(COUNTY)}))
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize("size", [0, 1, 32, 63, 65, 128])
def test_signature_of_another_size_is_refused(size: int):
    with pytest.raises(Refused, match="malformed"):
        parse(statement((honest() * 2)[:size]))


def test_signature_honest_is_taken():
    assert open_statement(parse(statement(honest())), Keyring.of({COUNTY: c.public(COUNTY)})).signer == COUNTY


def test_thumbprint_is_that_of_rfc_8037():
    key = unb64("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keyring_knows_only_its_keys():
    keyring = Keyring.of({COUNTY: c.public(COUNTY)})
    assert keyring.get(c.kid(COUNTY)) is not None
    assert keyring.get(c.kid(c.CITY)) is None
    with pytest.raises(Deferred, match="unknown-key"):
        open_statement(parse(c.jws(c.dumps(opened_payload()), ENTRY, c.CITY)), keyring)


@given(st.binary(max_size=80))
def test_base64url_is_read_as_it_was_written(raw: bytes):
    assert unb64(b64(raw)) == raw


OTHER_SPELLINGS = [
    "A",
    "AB",
    "AAB",
    "A===",
    "AA==",
    "AAA=",
    "AA A",
    " AA",
    "+A",
    "/A",
    "é",
    "AAAAA",
    "AA\n",
    "-_A=",
    "AA==AA",
]


@pytest.mark.parametrize("text", OTHER_SPELLINGS)
def test_base64url_of_another_spelling_is_refused(text: str):
    with pytest.raises(Refused, match="malformed"):
        unb64(text)


def test_verification_is_without_the_cofactor():
    """A signature whose R has a part of small order passes a batch check and must not pass here."""
    key = load_key(COUNTY, c.public(COUNTY)).public
    key.verify(signature_for(moved=False), b"message")
    with pytest.raises(InvalidSignature):
        key.verify(signature_for(moved=True), b"message")


def signature_for(moved: bool) -> bytes:
    """Moved: R' = R + (0, -1), and S for R': 8 S B = 8 R' + 8 k A holds, S B = R' + k A does not."""
    seed = c.private(COUNTY).private_bytes_raw()
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    nonce = int.from_bytes(hashlib.sha512(digest[32:] + b"message").digest(), "little") % L
    point = _times_base(nonce)
    r = int.from_bytes(point, "little")
    y, sign = r & (2**255 - 1), r >> 255
    point = encoded((P - y) % P, 1 - sign) if moved else point
    k = int.from_bytes(hashlib.sha512(point + c.public(COUNTY) + b"message").digest(), "little") % L
    return point + ((nonce + k * scalar) % L).to_bytes(32, "little")


def _times_base(scalar: int) -> bytes:
    """scalar B, compressed; affine arithmetic, slow and short."""
    by = 4 * pow(5, -1, P) % P
    bx = 15112221349535400772501151409588531511454012693041857206046113283949847762202
    found, point = (0, 1), (bx, by)
    while scalar:
        if scalar & 1:
            found = _add(found, point)
        point = _add(point, point)
        scalar >>= 1
    return encoded(found[1], found[0] & 1)


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    x1, y1, x2, y2 = *a, *b
    both = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + both, -1, P) % P
    return x, (y1 * y2 + x1 * x2) * pow(1 - both, -1, P) % P
