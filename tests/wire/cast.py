"""The nodes and hands of the wire tests: keys that everybody can repeat, and statements put together by hand.

Nothing here uses the project's own sealing: a vector must not be right only because writer and reader share a fault.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

TIERS = {"620000": "province", "620100": "city", "620200": "city", "620102": "county", "620103": "county"}
PARENTS = {"620100": "620000", "620200": "620000", "620102": "620100", "620103": "620100"}
NAMES = {
    "620000": "甘肃省政协",
    "620100": "兰州市政协",
    "620200": "嘉峪关市政协",
    "620102": "城关区政协",
    "620103": "七里河区政协",
}
PROVINCE, CITY, CITY2, COUNTY, COUNTY2 = TIERS
STRANGER = "620104"
"""A county nobody enrolled."""
AT = "2026-05-01T01:00:00Z"
FIRST_TERM: list[Any] = [0, 0, [0, ""], 0]
ENTRY, REMARK, REGISTRY = "liandong-entry+jws", "liandong-remark+jws", "liandong-registry+jws"
SEAL, JOIN = "liandong-seal+jws", "liandong-join+jws"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

Json = dict[str, Any]


def fixed(what: str, size: int = 16) -> str:
    """Hexadecimal that looks random and is the same for everybody."""
    return hashlib.sha256(f"liandong example {what}".encode()).hexdigest()[: 2 * size]


def private(code: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(fixed(f"key {code}", 32)))


def public(code: str) -> bytes:
    return private(code).public_key().public_bytes_raw()


def inc(code: str) -> list[Any]:
    return [1, fixed(f"incarnation {code}")]


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def kid(code: str) -> str:
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{b64(public(code))}"}}'
    return b64(hashlib.sha256(jwk.encode()).digest())


def box(code: str) -> str:
    """An age recipient."""
    raw = X25519PrivateKey.from_private_bytes(bytes.fromhex(fixed(f"box {code}", 32))).public_key().public_bytes_raw()
    bits = "".join(f"{byte:08b}" for byte in raw) + "0000"
    data = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    human = [ord(char) >> 5 for char in "age"] + [0] + [ord(char) & 31 for char in "age"]
    rest = _polymod([*human, *data, 0, 0, 0, 0, 0, 0]) ^ 1
    check = [(rest >> 5 * (5 - at)) & 31 for at in range(6)]
    return "age1" + "".join(_BECH32[value] for value in [*data, *check])


def _polymod(values: Sequence[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for at, factor in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            found ^= factor if top >> at & 1 else 0
    return found


def card(code: str) -> Json:
    return {
        "code": code,
        "name": NAMES.get(code, code),
        "tier": TIERS.get(code, "county"),
        "url": f"https://{code}.example",
        "key": b64(public(code)),
        "box": box(code),
    }


def keys(*codes: str) -> Json:
    return {code: b64(public(code)) for code in codes or TIERS}


def roster(**incs: Any) -> list[Json]:
    """What the registry says of the five nodes; `incs` gives `c620100=[[1, ...], [2, ...]]` where not the plain one."""
    return [
        {
            "code": code,
            "tier": tier,
            "parent": PARENTS.get(code),
            "key": b64(public(code)),
            "incs": incs.get(f"c{code}", [inc(code)]),
        }
        for code, tier in TIERS.items()
    ]


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def signature(code: str, payload: str, header: bytes) -> Json:
    protected = b64(header)
    return {"protected": protected, "signature": b64(private(code).sign(f"{protected}.{payload}".encode()))}


def header(code: str, typ: str, alg: str = "Ed25519") -> bytes:
    return dumps({"alg": alg, "kid": kid(code), "typ": typ})


def jws(payload: bytes, typ: str, code: str, protected: bytes | None = None) -> bytes:
    """A statement over exactly these bytes; `protected` replaces the protected header."""
    body = b64(payload)
    return dumps({"payload": body, "signatures": [signature(code, body, protected or header(code, typ))]})


def flip(raw: bytes) -> bytes:
    """The same statement with one bit of its signature changed."""
    outer = json.loads(raw)
    found = unb64(outer["signatures"][0]["signature"])
    outer["signatures"][0]["signature"] = b64(bytes([found[0] ^ 1]) + found[1:])
    return dumps(outer)


def payload_of(raw: bytes) -> bytes:
    return unb64(json.loads(raw)["payload"])


def identity(raw: bytes) -> str:
    return hashlib.sha256(payload_of(raw)).hexdigest()


def shared(code: str, at: str = AT) -> Json:
    return {"v": 1, "author": code, "inc": inc(code), "at": at}


@dataclass
class Thread:
    """A chain under construction: `add` signs the next entry; what is given by name replaces what would be right."""

    raws: list[bytes] = field(default_factory=list)
    topic: str | None = None
    term: list[Any] = field(default_factory=lambda: list(FIRST_TERM))

    @property
    def head(self) -> str:
        return identity(self.raws[-1])

    def add(self, code: str, kind: str, body: Mapping[str, Any], parts: Sequence[Json] = (), **other: Any) -> str:
        if kind in ("accepted", "resumed"):
            self.term = [*self.term[:3], self.term[3] + 1]
        payload = {
            **shared(code),
            "topic": self.topic,
            "seq": len(self.raws),
            "prev": self.head if self.raws else None,
            "term": self.term,
            "kind": kind,
            "body": dict(body),
            "parts": list(parts),
        }
        self.raws.append(jws(dumps({**payload, **other}), ENTRY, code))
        self.topic = self.topic or self.head
        return self.head

    def copy(self) -> "Thread":
        return Thread(list(self.raws), self.topic, list(self.term))


def remark(code: str, topic: str | None, entry: str, kind: str, body: Mapping[str, Any], **other: Any) -> bytes:
    payload = {**shared(code), "topic": topic, "entry": entry, "kind": kind, "body": dict(body), "parts": []}
    return jws(dumps({**payload, **other}), REMARK, code)


def registered(code: str, at: int, before: str | None, kind: str, body: Mapping[str, Any], /, **other: Any) -> bytes:
    """A registry entry at a position; `other` replaces fields of it."""
    payload = {**shared(code), "seq": at, "prev": before, "kind": kind, "body": dict(body), "parts": []}
    return jws(dumps({**payload, **other}), REGISTRY, code)


def part(name: str, content: bytes, share: str = "full", media: str = "text/plain") -> tuple[Json, str]:
    """A part reference, and its salt."""
    salt = fixed(f"salt {name}")
    digest = hashlib.sha256(bytes.fromhex(salt) + content).hexdigest()
    return {"name": name, "digest": digest, "size": len(content), "media": media, "share": share}, salt


def stream(
    sender: str, receiver: str, identities: Sequence[str], incarnation: Sequence[Any] | None = None
) -> list[str]:
    """hash_0, hash_1, ... of a stream."""
    number, nonce = incarnation or inc(sender)
    text = f"liandong/stream/1\n{sender}\n{number}\n{nonce}\n{receiver}\n"
    found = [hashlib.sha256(text.encode()).hexdigest()]
    for one in identities:
        found.append(hashlib.sha256(bytes.fromhex(found[-1]) + bytes.fromhex(one)).hexdigest())
    return found


def document_header(sender: str, receiver: str, **other: Any) -> Json:
    found = {
        "v": 1,
        "from": sender,
        "to": receiver,
        "inc": inc(sender),
        "instance": fixed(f"instance {sender}"),
        "lane": "push",
        "session": fixed("session"),
        "nonce": fixed("nonce"),
        "answers": None,
        "challenge": None,
        "ack": {"inc": inc(receiver), "seq": 0, "hash": stream(receiver, sender, [])[0]},
        "first": 0,
        "budget": {"items": 200, "bytes": 1048576, "wait_s": 0},
        "checkpoint": None,
    }
    return {**found, **other}


def seal_payload(head: Json, body: bytes, **other: Any) -> Json:
    said = {"to": head["to"], "session": head["session"], "nonce": head["nonce"]}
    seal = {**shared(head["from"]), "inc": head["inc"], **said, "digest": hashlib.sha256(body).hexdigest()}
    return {**seal, **other}


def document(head: Json, lines: Sequence[bytes], signed_by: str | None = None, **seal: Any) -> bytes:
    """A sealed document; `seal` replaces fields of the seal."""
    body = b"".join(line + b"\n" for line in [dumps(head), *lines])
    last = jws(dumps(seal_payload(head, body, **seal)), SEAL, signed_by or head["from"])
    return body + b'{"seal":' + last + b"}\n"


def text(name: str, value: Any) -> bytes:
    """A loose line."""
    return dumps({name: value})
