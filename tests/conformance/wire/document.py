"""The exchange document (SPEC 8.3): composed, and read in the order of the text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.wire import bodies, strict
from tests.conformance.wire import shapes as s
from tests.conformance.wire.jose import Key, form, sha
from tests.conformance.wire.shapes import array, integer, maybe, one_of, record
from tests.conformance.wire.statement import Keyring
from tests.conformance.wire.strict import Json, Wrong

DOCUMENT_MAX, LINE_MAX, LINES_MAX, ITEMS_MAX, SEAL_MAX = 16777216, 524288, 12000, 5000, 98304
SIZE = integer(0, 33554432)
LOG_NAME = s.matching(r"liandong/[0-9]{6}/[1-9][0-9]{0,15}\.[0-9a-f]{32}")
PREFIX = s.matching(r"[0-9a-f]{0,64}")
HEADER = record(
    v=one_of(1), from_=s.code, to=s.code, inc=s.inc, instance=maybe(s.nonce), lane=one_of("wait", "push", "file"),
    session=maybe(s.nonce), nonce=maybe(s.nonce), answers=maybe(s.nonce), challenge=maybe(s.nonce),
    ack=record(inc=s.inc, seq=s.count, hash=s.digest), first=s.count,
    budget=record(items=integer(1, 5000), bytes=integer(1024, 16777216), wait_s=integer(0, 25)),
    checkpoint=one_of(None),
)  # fmt: skip
SEAL = record(**bodies.SHARED, to=s.code, session=maybe(s.string(0, 99)), nonce=maybe(s.string(0, 99)), digest=s.digest)
LOOSE = {
    "chunk": record(digest=s.digest, salt=s.nonce, size=SIZE, offset=SIZE, data=s.base64url(most=196608)),
    "verdict": record(
        seq=s.count, id=s.digest, disposition=one_of("applied", "duplicate", "deferred", "held", "refused"),
        code=maybe(s.matching(r"[a-z][a-z-]{0,39}")),
    ),
    "pull": record(digest=s.digest, offset=SIZE),
    "checkpoint": record(old=s.count, proof=array(s.digest, 0, 63), note=s.string(1, 4096)),
    "cosignature": record(log=LOG_NAME, size=s.count, root=s.digest, line=maybe(s.string(1, 512))),
    "settled": record(inc=s.inc, upto=s.count, ids=array(s.digest, 1, 500)),
    "heard": record(inc=s.inc, upto=s.count),
    "signed": record(note=s.string(1, 4096), line=s.string(1, 512)),
    "kept": record(note=s.string(1, 4096), line=s.string(1, 512)),
    "heal": record(nonce=s.nonce, number=s.count, ready=s.boolean),
    "knows": record(nonce=s.nonce, number=s.count),
    "have": record(prefix=PREFIX, count=s.count, digest=s.digest),
    "ids": record(prefix=PREFIX, ids=array(s.digest, 0, 256)),
    "old": s.anything,
}  # fmt: skip


def loose(name: str, value: Any) -> bytes:
    return strict.write({name: value})


def compose(key: Key, header: Json, lines: Sequence[bytes], at: str, seal: Json | None = None) -> bytes:
    """A sealed document; `seal` replaces fields of the seal's payload."""
    body = b"".join(line + b"\n" for line in (strict.write(header), *lines))
    payload = {
        "v": 1, "author": header["from"], "inc": header["inc"], "at": at, "to": header["to"],
        "session": header["session"], "nonce": header["nonce"], "digest": sha(body), **(seal or {}),
    }  # fmt: skip
    return body + strict.write({"seal": key.jws(payload, bodies.SEAL)}) + b"\n"


@dataclass
class Document:
    header: Json
    statements: list[bytes] = field(default_factory=list)
    loose: list[tuple[str, Any]] = field(default_factory=list)

    def of(self, name: str) -> list[Any]:
        return [value for each, value in self.loose if each == name]


def read(raw: bytes, keyring: Keyring) -> Document:
    if len(raw) > DOCUMENT_MAX or raw.count(b"\n") > LINES_MAX + 2:
        raise Wrong("refused", "too-large")
    lines = raw.split(b"\n")
    if len(lines) >= 3 and lines[-1] == b"" and len(lines[-2]) > SEAL_MAX:
        raise Wrong("refused", "too-large")
    if lines.pop() != b"" or len(lines) < 2:
        raise strict.malformed("no line feed at the end, or too few lines")
    seal = _seal(lines[-1], raw[: len(raw) - len(lines[-1]) - 1], keyring)
    found = Document(_header(lines[0], seal))
    for line in lines[1:-1]:
        _line(line, found)
    return found


def _seal(line: bytes, before: bytes, keyring: Keyring) -> Json:
    try:
        jws = strict.read(line)
    except Wrong as error:
        raise Wrong("refused", "bad-seal") from error
    if set(jws) != {"seal"} or not isinstance(jws["seal"], dict):
        raise strict.malformed("no seal")
    try:
        signed = form(jws["seal"])
    except Wrong as error:
        raise Wrong("refused", "bad-seal") from error
    if signed.kid not in keyring:
        raise Wrong("refused", "unknown-peer")
    node, key = keyring[signed.kid]
    try:
        signed.verify(key)
        payload = strict.read(signed.payload)
        SEAL(payload)
        s.must(signed.typ == bodies.SEAL and payload["author"] == node and payload["digest"] == sha(before), "seal")
    except (Wrong, ValueError) as error:
        raise Wrong("refused", "bad-seal", str(error)) from error
    return payload


def _header(line: bytes, seal: Json) -> Json:
    if len(line) > LINE_MAX:
        raise Wrong("refused", "too-large")
    try:
        header = strict.read(line)
    except Wrong as error:
        raise Wrong("refused", "bad-seal") from error
    try:
        HEADER(header)
    except ValueError as error:
        raise strict.malformed(str(error)) from error
    said = [seal[name] for name in ("author", "inc", "to", "session", "nonce")]
    if [header[name] for name in ("from", "inc", "to", "session", "nonce")] != said:
        raise Wrong("refused", "bad-seal", "header and seal differ")
    return header


def _line(line: bytes, found: Document) -> None:
    if len(line) > LINE_MAX:
        raise Wrong("refused", "too-large")
    value = strict.read(line)
    if "payload" in value:
        if found.loose:
            raise strict.malformed("a statement after a loose line")
        found.statements.append(line)
        if len(found.statements) > ITEMS_MAX:
            raise Wrong("refused", "too-large")
        return
    if len(value) != 1:
        raise strict.malformed("a loose line has one member")
    ((name, inner),) = value.items()
    if name in LOOSE:
        try:
            LOOSE[name](inner)
        except ValueError as error:
            raise strict.malformed(f"{name}: {error}") from error
    found.loose.append((name, inner))
