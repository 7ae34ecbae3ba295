"""Compose and read an exchange document (SPEC 8.3): header, statements, loose lines, seal.

The seal covers every byte before it and is checked before any of them is read. A document without a valid seal is
nothing; inside a good one every line stands or falls alone.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.exchange import (
    DOCUMENT_BYTES_MAX,
    ITEMS_MAX,
    LINE_BYTES_MAX,
    LINES_MAX,
    CheckpointLine,
    Chunk,
    CosignatureLine,
    DocumentHeader,
    Have,
    Heal,
    HeardLine,
    Ids,
    KeptLine,
    Knows,
    Pull,
    SettledLine,
    SignedLine,
    Verdict,
)
from schemas.ids import Digest, KeyId
from schemas.statement import STATEMENT_BYTES_MAX, Seal
from sync.errors import BadDocument, Refused, SyncError
from sync.keys import Keyring, Signer, unb64
from sync.sealing import SEAL, Signed, claimed_seal, identity, open_seal, parse_object, seal
from sync.strict import dumps, strict_json

_LOOSE: dict[str, type[BaseModel]] = {
    "chunk": Chunk,
    "verdict": Verdict,
    "pull": Pull,
    "checkpoint": CheckpointLine,
    "cosignature": CosignatureLine,
    "settled": SettledLine,
    "heard": HeardLine,
    "signed": SignedLine,
    "kept": KeptLine,
    "heal": Heal,
    "knows": Knows,
    "have": Have,
    "ids": Ids,
}
_LOG = (CheckpointLine, CosignatureLine, SettledLine, HeardLine, SignedLine, KeptLine)
_OLD = b'{"old":'


@dataclass(frozen=True, slots=True)
class Item:
    """One statement line. `signed` is None where `problem` says why it is no statement; `id` is then what its payload
    would give, or of the line."""

    id: Digest
    raw: bytes
    signed: Signed | None
    problem: Refused | None = None


@dataclass(frozen=True, slots=True)
class Old:
    """A statement outside any stream, as it is stored; one loose line (SPEC 14.3)."""

    raw: bytes


Loose = BaseModel | Old


@dataclass(frozen=True, slots=True)
class Document:
    """A document whose seal verified, under the key `kid`. Of `heal` and `knows` the last counts."""

    header: DocumentHeader
    items: tuple[Item, ...]
    chunks: tuple[Chunk, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    pulls: tuple[Pull, ...] = ()
    log: tuple[BaseModel, ...] = ()
    """What is said of logs (SPEC 15): lines of the six kinds, in their order."""
    kid: KeyId = ""
    heal: Heal | None = None
    knows: Knows | None = None
    haves: tuple[Have, ...] = ()
    lists: tuple[Ids, ...] = ()
    olds: tuple[Item, ...] = ()


def compose(
    header: Mapping[str, Any],
    statements: Iterable[bytes],
    loose: Sequence[Loose],
    shared: Mapping[str, Any],
    signer: Signer,
) -> bytes:
    """The bytes of a document. `shared` is what every statement says of itself (sync.chain.header)."""
    lines = [dumps(header), *statements]
    lines += [_loose_bytes(line) for line in loose]
    body = b"\n".join(lines) + b"\n"
    payload = {
        **shared,
        "to": header["to"],
        "session": header["session"],
        "nonce": header["nonce"],
        "digest": hashlib.sha256(body).hexdigest(),
    }
    return body + b'{"seal":' + seal(payload, SEAL, signer) + b"}\n"


def read(raw: bytes, keyring: Keyring) -> Document:
    """Verify and read a document. Raises BadDocument; nothing of it may be used then."""
    return _read(raw, lambda sealed: open_seal(sealed, keyring))


def read_claims(raw: bytes) -> Document:
    """Read a document without knowing whose it is: only what stands on a signature of its own may be believed of it.

    Raises BadDocument.
    """
    return _read(raw, claimed_seal)


def _read(raw: bytes, open_it: Callable[[Signed], Seal]) -> Document:
    if len(raw) > DOCUMENT_BYTES_MAX or raw.count(b"\n") > LINES_MAX + 2:
        raise BadDocument("too-large", f"{len(raw)} bytes")
    body, last = _cut_seal(raw)
    try:
        sealed = _sealed(last)
        found = open_it(sealed)
        if found.digest != hashlib.sha256(body).hexdigest():
            raise BadDocument("bad-seal", "digest")
        first, *rest = body[:-1].split(b"\n")
        header = _header(first)
    except BadDocument:
        raise
    except SyncError as error:
        raise BadDocument("bad-seal" if error.code != "unknown-key" else "unknown-peer", str(error)) from None
    said = (found.author, found.inc, found.to, found.session, found.nonce)
    if said != (header.from_, header.inc, header.to, header.session, header.nonce):
        raise BadDocument("bad-seal", "header and seal differ")
    return replace(_read_lines(header, rest), kid=sealed.kid)


def _cut_seal(raw: bytes) -> tuple[bytes, bytes]:
    cut = raw.rfind(b"\n", 0, len(raw) - 1) + 1
    if not raw.endswith(b"\n") or cut == 0:
        raise BadDocument("malformed", "no header and seal")
    if len(raw) - cut > STATEMENT_BYTES_MAX:
        raise BadDocument("too-large", "seal")
    return raw[:cut], raw[cut:-1]


def _sealed(line: bytes) -> Signed:
    outer = strict_json(line)
    if set(outer) != {"seal"} or not isinstance(outer["seal"], dict):
        raise BadDocument("malformed", "last line is no seal")
    return parse_object(outer["seal"], line)


def _header(line: bytes) -> DocumentHeader:
    if len(line) > LINE_BYTES_MAX:
        raise BadDocument("too-large", "header")
    strict_json(line)
    try:
        return DocumentHeader.model_validate_json(line)
    except ValidationError as error:
        raise BadDocument("malformed", f"header: {error.error_count()} fields") from None


def _read_lines(header: DocumentHeader, lines: Sequence[bytes]) -> Document:
    items: list[Item] = []
    loose: dict[type[BaseModel], list[Any]] = {model: [] for model in _LOOSE.values() if model not in _LOG}
    loose[BaseModel] = []
    olds: list[Item] = []
    unsequenced = False
    for line in lines:
        outer = _line(line)
        if "payload" in outer:
            if unsequenced:
                raise BadDocument("malformed", "statement after loose lines")
            items.append(_item(outer, line))
            continue
        unsequenced = True
        if set(outer) == {"old"}:
            olds.append(_old(outer["old"], line))
        else:
            _loose_line(outer, loose)
    if len(items) > ITEMS_MAX:
        raise BadDocument("too-large", f"{len(items)} statements")
    return Document(
        header,
        tuple(items),
        tuple(loose[Chunk]),
        tuple(loose[Verdict]),
        tuple(loose[Pull]),
        log=tuple(loose[BaseModel]),
        heal=loose[Heal][-1] if loose[Heal] else None,
        knows=loose[Knows][-1] if loose[Knows] else None,
        haves=tuple(loose[Have]),
        lists=tuple(loose[Ids]),
        olds=tuple(olds),
    )


def _line(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES_MAX:
        raise BadDocument("too-large", "line")
    try:
        return strict_json(line)
    except Refused as error:
        raise BadDocument("malformed", f"line: {error.detail}") from None


def _item(outer: dict[str, Any], line: bytes) -> Item:
    try:
        signed = parse_object(outer, line)
    except Refused as error:
        return Item(_claimed_identity(outer, line), line, None, error)
    return Item(signed.id, line, signed)


def _old(value: object, line: bytes) -> Item:
    """The statement in an `old` line; its bytes are those between the braces where nothing else stands there."""
    if not isinstance(value, dict):
        raise BadDocument("malformed", "old")
    return _item(value, line[len(_OLD) : -1] if line.startswith(_OLD) else dumps(value))


def _claimed_identity(outer: dict[str, Any], line: bytes) -> Digest:
    """What the sender's stream hash counts it as, if its payload can be told; two versions may differ on the rest."""
    try:
        return identity(unb64(outer["payload"]))
    except (Refused, KeyError, AttributeError):
        return identity(line)


def _loose_line(outer: dict[str, Any], loose: dict[type[BaseModel], list[Any]]) -> None:
    """A known loose line is read; one of a later version is passed over."""
    if len(outer) != 1:
        raise BadDocument("malformed", "loose line")
    name, value = next(iter(outer.items()))
    model = _LOOSE.get(name)
    if model is None:
        return
    try:
        kind = model if model in loose else BaseModel
        loose[kind].append(model.model_validate_json(dumps(value)))
    except ValidationError:
        raise BadDocument("malformed", name) from None


def _loose_bytes(line: Loose) -> bytes:
    if isinstance(line, Old):
        return _OLD + line.raw + b"}"
    return dumps({_name_of(line): line.model_dump(mode="json")})


def _name_of(line: BaseModel) -> str:
    return next(name for name, model in _LOOSE.items() if isinstance(line, model))
