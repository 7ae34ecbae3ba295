"""Opening a statement (SPEC 3.4), in the order of the text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance.wire import bodies, strict
from tests.conformance.wire.jose import STATEMENT_MAX, Signed, form, sha, unb64
from tests.conformance.wire.strict import Json, Wrong

Keyring = Mapping[str, tuple[str, bytes]]
"""Key id to node and key."""
DECLINED_MAX, DECLINED_STATEMENT_MAX = 4096, 16384


@dataclass(frozen=True)
class Statement:
    raw: bytes
    id: str
    typ: str
    payload: Json
    known: bool

    @property
    def kind(self) -> str:
        return str(self.payload["kind"])

    @property
    def author(self) -> str:
        return str(self.payload["author"])

    @property
    def body(self) -> Any:
        return self.payload["body"]

    @property
    def inc(self) -> list[Any]:
        return list(self.payload["inc"])


def identity(raw: bytes) -> str:
    """The identity of any line of a stream (8.2)."""
    try:
        return sha(unb64(strict.read(raw)["payload"]))
    except (Wrong, KeyError, TypeError):
        return sha(raw)


def open_statement(raw: bytes, keyring: Keyring) -> Statement:
    if len(raw) > STATEMENT_MAX:
        raise Wrong("refused", "too-large")
    signed = form(strict.read(raw))
    if signed.kid not in keyring:
        raise Wrong("deferred", "unknown-key")
    node, key = keyring[signed.kid]
    signed.verify(key)
    payload = strict.read(signed.payload)
    if signed.typ not in bodies.PAYLOADS:
        raise Wrong("held", "unknown-type")
    known = _check(signed, payload, raw)
    if payload["author"] != node:
        raise Wrong("held", "forged-author")
    if known and payload["kind"] == "resumed" and signed.typ == bodies.ENTRY:
        open_statement(strict.write(payload["body"]["declined"]), keyring)
    return Statement(raw, sha(signed.payload), signed.typ, payload, known)


def _check(signed: Signed, payload: Json, raw: bytes) -> bool:
    """Size by kind and shape; whether the kind is known."""
    shape, kinds = bodies.PAYLOADS[signed.typ]
    declined = signed.typ == bodies.REMARK and payload.get("kind") == "declined"
    if declined and (len(signed.payload) > DECLINED_MAX or len(raw) > DECLINED_STATEMENT_MAX):
        raise Wrong("refused", "too-large")
    try:
        shape(payload)
        names = [part["name"] for part in payload["parts"]]
        if len(set(names)) != len(names):
            raise ValueError("two parts of one name")
        known = payload["kind"] in kinds
        if known:
            kinds[payload["kind"]](payload["body"])
        if known and payload["kind"] == "page":
            topics = [row["topic"] for row in payload["body"]["rows"]]
            if len(set(topics)) != len(topics):
                raise ValueError("two rows of one topic")
    except ValueError as error:
        raise Wrong("refused", "invalid", str(error)) from error
    return known
