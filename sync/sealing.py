"""seal and open: the only code that touches a signature (SPEC 3).

A statement is a JWS in General JSON serialization whose protected header holds exactly alg, kid and typ. The bytes
that were signed are stored and sent as they are; opening verifies them before it reads them.
"""

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from pydantic import ValidationError

from schemas import entry as entries
from schemas import registry, remark, summary
from schemas.exchange import JoinRequest
from schemas.ids import Digest, KeyId, NodeCode
from schemas.statement import (
    DECLINED_BYTES_MAX,
    DECLINED_STATEMENT_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    SIGNATURES_MAX,
    STATEMENT_BYTES_MAX,
    AnyBody,
    Entry,
    Frozen,
    RegistryEntry,
    Remark,
    Seal,
    Summary,
)
from sync.errors import Deferred, Held, Refused, SyncError
from sync.keys import ALG, ALGS_ACCEPTED, SIGNATURE_BYTES, Keyring, Signer, b64, unb64
from sync.strict import dumps, strict_json

ENTRY = "liandong-entry+jws"
REMARK = "liandong-remark+jws"
REGISTRY = "liandong-registry+jws"
SUMMARY = "liandong-aggregate+jws"
SEAL = "liandong-seal+jws"
JOIN = "liandong-join+jws"
OF_RECORD = frozenset({ENTRY, REMARK, REGISTRY, SUMMARY})
"""The types that are stored, sent on streams and, later, logged."""

POOLED_MIN = 8
"""Below this many statements a second thread costs more than it saves."""

_HEADER_FIELDS = {"alg", "kid", "typ"}
PROTECTED_KEPT_MAX = 512
"""Characters of a protected header; an honest one has some 170."""
_UNKNOWN = ""
_TYPES: tuple[tuple[str, type[Any], Mapping[str, type[Frozen]]], ...] = (
    (ENTRY, Entry, entries.BODIES),
    (REMARK, Remark, remark.BODIES),
    (REGISTRY, RegistryEntry, registry.BODIES),
    (SUMMARY, Summary, summary.BODIES),
)
_PAYLOADS: dict[str, dict[str, type[Any]]] = {
    typ: {_UNKNOWN: payload[AnyBody], **{kind: payload[body] for kind, body in bodies.items()}}
    for typ, payload, bodies in _TYPES
}
"""The payload model of every type and kind, made once: pydantic looks long for a generic's parameters."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A JWS that is well formed and not yet verified."""

    id: Digest
    raw: bytes
    payload: bytes
    typ: str
    kid: KeyId
    alg: str
    signing_input: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose signature verified and whose payload has a known shape.

    `payload` is the model of its type; `known` is false for a kind this version cannot read (kept, relayed, held).
    `embedded` is the verified `declined` inside a `resumed`.
    """

    id: Digest
    raw: bytes
    typ: str
    signer: NodeCode
    payload: Any
    known: bool = True
    embedded: "Statement | None" = None
    kid: KeyId = ""


def identity(payload: bytes) -> Digest:
    return hashlib.sha256(payload).hexdigest()


def seal(payload: Mapping[str, Any], typ: str, signer: Signer) -> bytes:
    """The JWS bytes of a payload, signed. Raises Refused("too-large") above the payload limit."""
    raw = dumps(payload)
    if len(raw) > _payload_max(payload.get("kind")):
        raise Refused("too-large", f"{len(raw)} bytes")
    protected = _protected(signer.kid, typ)
    body = b64(raw)
    signature = b64(signer.sign(f"{protected}.{body}".encode()))
    return (f'{{"payload":"{body}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}').encode()


def author(payload: Mapping[str, Any], typ: str, signer: Signer, node: NodeCode) -> Statement:
    """Seal one's own payload and give it as a statement: as if opened, without verifying one's own signature."""
    raw = seal(payload, typ, signer)
    data = dumps(payload)
    read = read_model(_PAYLOADS[typ][payload["kind"]], data)
    embedded = None
    if isinstance(read, Entry) and isinstance(read.body, entries.Resumed):
        embedded = _embedded(read.body, None)
    return Statement(identity(data), raw, typ, node, read, True, embedded, signer.kid)


def parse(raw: bytes) -> Signed:
    """The parts of a JWS, unverified. Raises Refused for anything but the one accepted form."""
    return parse_object(strict_json(raw), raw)


def parse_object(outer: Mapping[str, Any], raw: bytes) -> Signed:
    """As `parse`, from a JWS that is already read strictly."""
    if len(raw) > STATEMENT_BYTES_MAX:
        raise Refused("too-large", f"{len(raw)} bytes")
    if set(outer) != {"payload", "signatures"} or not isinstance(outer["payload"], str):
        raise Refused("malformed", "not a general JWS")
    signatures = outer["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise Refused("malformed", "signatures")
    payload = unb64(outer["payload"])
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise Refused("too-large", f"{len(payload)} bytes")
    read = [_signature(item) for item in signatures]
    ours = [found for found in read if found[0]["alg"] in ALGS_ACCEPTED]
    if len(ours) != 1:
        raise Refused("malformed", "needs exactly one Ed25519 signature")
    header, protected, signature = ours[0]
    if len({found[0]["typ"] for found in read}) != 1:
        raise Refused("malformed", "typ differs")
    if len(signature) != SIGNATURE_BYTES:
        raise Refused("malformed", "signature size")
    signing_input = f"{protected}.{outer['payload']}".encode()
    return Signed(
        identity(payload), raw, payload, header["typ"], header["kid"], header["alg"], signing_input, signature
    )


def verify(signed: Signed, keyring: Keyring) -> NodeCode:
    """The node whose key signed. Raises Deferred("unknown-key") or Held("bad-signature")."""
    key = keyring.get(signed.kid)
    if key is None:
        raise Deferred("unknown-key", signed.kid)
    try:
        key.public.verify(signed.signature, signed.signing_input)
    except InvalidSignature:
        raise Held("bad-signature", signed.id) from None
    return key.node


def open_statement(signed: Signed, keyring: Keyring) -> Statement:
    """Verify, then read. Raises Refused, Held or Deferred; nothing of the payload is looked at before it verified."""
    node = verify(signed, keyring)
    payload = strict_json(signed.payload)
    if signed.typ not in _PAYLOADS:
        raise Held("unknown-type", signed.typ)
    models, kind = _PAYLOADS[signed.typ], payload.get("kind")
    if len(signed.payload) > _payload_max(kind):
        raise Refused("too-large", str(kind))
    if kind == "declined" and len(signed.raw) > DECLINED_STATEMENT_BYTES_MAX:
        raise Refused("too-large", "declined with its signatures")
    shape = kind if isinstance(kind, str) and kind in models else _UNKNOWN
    read = read_model(models[shape], signed.payload)
    if read.author != node:
        raise Held("forged-author", f"{read.author} signed by {node}")
    embedded = _embedded(read.body, keyring) if isinstance(read.body, entries.Resumed) else None
    return Statement(signed.id, signed.raw, signed.typ, node, read, shape != _UNKNOWN, embedded, signed.kid)


def open_many(
    signed: Iterable[Signed], keyring: Keyring, pool: ThreadPoolExecutor | None
) -> "list[Statement | SyncError]":
    """`open_statement` of each, in order. The pool pays because verifying releases the GIL."""

    def attempt(item: Signed) -> "Statement | SyncError":
        try:
            return open_statement(item, keyring)
        except (Refused, Held, Deferred) as error:
            return error

    def attempt_all(items: list[Signed]) -> "list[Statement | SyncError]":
        return [attempt(item) for item in items]

    items = list(signed)
    if pool is None or len(items) < POOLED_MIN:
        return attempt_all(items)
    half = (len(items) + 1) // 2
    later = pool.submit(attempt_all, items[half:])
    return attempt_all(items[:half]) + later.result()


def open_seal(signed: Signed, keyring: Keyring) -> Seal:
    """The seal in a document's last line. Raises as `open_statement` does."""
    node = verify(signed, keyring)
    found = claimed_seal(signed)
    if found.author != node:
        raise Held("forged-author", found.author)
    return found


def claimed_seal(signed: Signed) -> Seal:
    """What a seal says, its signature not looked at. Raises Refused."""
    if signed.typ != SEAL:
        raise Refused("wrong-type", signed.typ)
    strict_json(signed.payload)
    found: Seal = read_model(Seal, signed.payload)
    return found


def open_join(raw: bytes) -> JoinRequest:
    """A join request, verified under the very key it brings: it proves possession, the token does the rest."""
    signed = parse(raw)
    if signed.typ != JOIN:
        raise Refused("wrong-type", signed.typ)
    strict_json(signed.payload)
    request: JoinRequest = read_model(JoinRequest, signed.payload)
    keyring = Keyring.of({request.node.code: unb64(request.node.key)})
    verify(signed, keyring)
    return request


def read_unverified(signed: Signed) -> Any:
    """The payload of a stored statement without its verification, for showing it marked as such."""
    return read_model(_PAYLOADS[signed.typ][_UNKNOWN], signed.payload)


def read_model(model: type[Any], payload: bytes) -> Any:
    """`payload`, already read strictly, as `model`. Raises Refused("invalid") naming the first field that is wrong."""
    try:
        return model.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise Refused("invalid", f"{'.'.join(map(str, first['loc']))}: {first['type']}") from None


def _embedded(body: entries.Resumed, keyring: Keyring | None) -> Statement:
    """The `declined` inside a `resumed`; without a keyring it is one's own copy, verified when it arrived."""
    signed = parse(dumps(body.declined))
    if keyring is not None:
        return open_statement(signed, keyring)
    read = read_model(Remark[remark.Declined], signed.payload)
    return Statement(signed.id, signed.raw, signed.typ, read.author, read)


def _signature(item: object) -> tuple[dict[str, str], str, bytes]:
    if not isinstance(item, dict) or set(item) != {"protected", "signature"}:
        raise Refused("malformed", "signature entry")
    protected, signature = item["protected"], item["signature"]
    if not isinstance(protected, str) or not isinstance(signature, str):
        raise Refused("malformed", "signature entry")
    return _read_protected(protected), protected, unb64(signature)


def _read_protected(protected: str) -> dict[str, str]:
    """What many statements share is read once; a long one, which only a liar writes, is not kept."""
    return (_read_once if len(protected) <= PROTECTED_KEPT_MAX else _read_header)(protected)


@lru_cache(maxsize=4096)
def _read_once(protected: str) -> dict[str, str]:
    return _read_header(protected)


def _read_header(protected: str) -> dict[str, str]:
    header = strict_json(unb64(protected))
    if set(header) != _HEADER_FIELDS or not all(isinstance(value, str) for value in header.values()):
        raise Refused("malformed", "protected header")
    if header["alg"].lower() == "none":
        raise Refused("malformed", "alg none")
    return header


@lru_cache(maxsize=256)
def _protected(kid: KeyId, typ: str) -> str:
    return b64(dumps({"alg": ALG, "kid": kid, "typ": typ}))


def _payload_max(kind: object) -> int:
    return DECLINED_BYTES_MAX if kind == "declined" else PAYLOAD_BYTES_MAX
