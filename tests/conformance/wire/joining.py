"""Tokens and requests to join (SPEC 9)."""

from typing import Any

from tests.conformance.wire import bodies, strict
from tests.conformance.wire import shapes as s
from tests.conformance.wire.document import LOG_NAME
from tests.conformance.wire.jose import Key, fit, form, kid_of, unb64
from tests.conformance.wire.shapes import one_of, record
from tests.conformance.wire.strict import Json, Wrong

JOIN_MAX = 65536
TOKEN = record(
    v=one_of(1), url=s.url, parent=s.code,
    key=s.matching(r"[A-Za-z0-9_-]{43}"), anchor=s.digest, log=LOG_NAME, code=s.code, tier=s.tier,
    name=s.label, secret=s.nonce,
)  # fmt: skip
REQUEST = record(v=one_of(1), parent=s.code, secret=s.nonce, node=bodies.CARD, nonce=s.nonce)


def request(key: Key, token: Json, card: Json, nonce: str, **other: Any) -> bytes:
    payload = {"v": 1, "parent": token["parent"], "secret": token["secret"], "node": card, "nonce": nonce, **other}
    return strict.write(key.jws(payload, bodies.JOIN))


def open_join(raw: bytes) -> Json:
    """The payload of a request to join, under the key it names."""
    if len(raw) > JOIN_MAX:
        raise Wrong("refused", "too-large")
    signed = form(strict.read(raw))
    if signed.typ != bodies.JOIN:
        raise Wrong("refused", "wrong-type")
    payload = strict.read(signed.payload)
    try:
        REQUEST(payload)
    except ValueError as error:
        raise Wrong("refused", "invalid", str(error)) from error
    public = unb64(payload["node"]["key"])
    if not fit(public):
        raise Wrong("refused", "bad-key")
    if signed.kid != kid_of(public):
        raise Wrong("deferred", "unknown-key")
    signed.verify(public)
    return payload
