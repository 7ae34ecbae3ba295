"""A receipt (SPEC 15.6): what a node said, that it stands in its log, that a witness saw it, and whose keys these are.

Reading one needs nothing but the root's public key. Every byte of it is checked: what is not signed is written in one
form alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from schemas.entry import Accepted, Offered, Opened
from schemas.ids import Digest, Incarnation, NodeCode, Version
from schemas.registry import Anchored, Card, Enrolled, Granted, Rotated
from schemas.statement import VERSION, Entry, Frozen, RegistryEntry
from sync.errors import Held, Refused
from sync.keys import ALGS_ACCEPTED, Key, Keyring, b64, check_public_key, load_key, unb64
from sync.log import Checkpoint, Proof, log_key, origin, read_checkpoint, read_proof, witness_key, write_proof
from sync.merkle import leaf_hash, proves_inclusion
from sync.note import Line, Verifier, signed_by
from sync.roster import anchored_key
from sync.sealing import REGISTRY, Signed, Statement, identity, open_statement, parse_object, read_model
from sync.strict import dumps, strict_json

REGISTRY_MAX = 64
CONTEXT_MAX = 2
_CONTEXT: dict[str, type[Any]] = {"opened": Entry[Opened], "offered": Entry[Offered]}


class Extra(Frozen):
    """What a receipt holds beside the proof; JWS as objects, payloads of the context in base64url."""

    v: Version
    statement: dict[str, Any]
    registry: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=REGISTRY_MAX)]
    context: Annotated[list[str], Field(max_length=CONTEXT_MAX)]


@dataclass(slots=True)
class Known:
    """A node as the registry entries of a receipt make it known."""

    card: Card
    parent: NodeCode | None
    keys: list[bytes]
    incs: list[Incarnation]


@dataclass(frozen=True, slots=True)
class Seen:
    """A witness, and when it signed."""

    node: Card
    at: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a good receipt proves. `opened` and `offered` are of its topic, where it says of them."""

    root: Card
    author: Card
    statement: Statement
    index: int
    checkpoint: Checkpoint
    seen: tuple[Seen, ...]
    opened: Opened | None = None
    offered: Offered | None = None


@dataclass(slots=True)
class _Trust:
    """The keys that follow from the root's."""

    nodes: dict[NodeCode, Known] = field(default_factory=dict)

    @property
    def root(self) -> Known:
        return next(iter(self.nodes.values()))

    @property
    def keyring(self) -> Keyring:
        keys: list[Key] = [load_key(code, key) for code, known in self.nodes.items() for key in known.keys]
        return Keyring({key.kid: key for key in keys})


def write_receipt(proof: Proof, statement: bytes, registry: Sequence[bytes], context: Sequence[bytes]) -> bytes:
    """The bytes of a receipt; `proof` without its `extra`, the others as they are stored, `context` as payloads."""
    extra = {
        "v": VERSION,
        "statement": _plain(statement),
        "registry": [_plain(raw) for raw in registry],
        "context": [b64(payload) for payload in context],
    }
    return write_proof(Proof(proof.index, proof.hashes, proof.note, dumps(extra))).encode()


def read_receipt(raw: bytes, root_key: bytes) -> Receipt:
    """What a receipt proves to who trusts this key of a root. Raises Refused or Held for anything that is not right."""
    proof = read_proof(raw)
    extra = _extra(proof)
    trust = _trust(extra.registry, root_key)
    statement = open_statement(_signed(extra.statement), trust.keyring)
    said = statement.payload
    author = trust.nodes[said.author]
    if said.inc not in author.incs:
        raise Held("forged-author", "not in this incarnation")
    checkpoint, lines = read_checkpoint(proof.note)
    if checkpoint.origin != origin(said.author, said.inc):
        raise Refused("not-of-this-log", checkpoint.origin)
    leaf = leaf_hash(bytes.fromhex(statement.id))
    if not proves_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root):
        raise Refused("unproven", "not in the log")
    seen = _seen(checkpoint, lines, trust, author)
    opened, offered = _context(extra.context, statement)
    return Receipt(trust.root.card, author.card, statement, proof.index, checkpoint, seen, opened, offered)


def _plain(raw: bytes) -> dict[str, Any]:
    """A stored JWS as an object, with the one signature that is checked."""
    outer = strict_json(raw)
    ours = [item for item in outer["signatures"] if strict_json(unb64(item["protected"]))["alg"] in ALGS_ACCEPTED]
    return {**outer, "signatures": ours}


def _signed(item: dict[str, Any]) -> Signed:
    """A JWS of a receipt: with no signature beside the one that is checked."""
    signed = parse_object(item, dumps(item))
    if len(item["signatures"]) != 1:
        raise Refused("malformed", "more than one signature")
    return signed


def _extra(proof: Proof) -> Extra:
    if proof.extra is None:
        raise Refused("malformed", "a proof without its statement")
    found = strict_json(proof.extra)
    extra: Extra = read_model(Extra, proof.extra)
    if dumps(found) != proof.extra:
        raise Refused("malformed", "not in the form of a receipt")
    return extra


def _trust(registry: Sequence[dict[str, Any]], root_key: bytes) -> _Trust:
    trust = _Trust()
    for item in registry:
        signed = _signed(item)
        if signed.typ != REGISTRY:
            raise Refused("invalid", "no entry of a registry")
        if trust.nodes:
            _learn(trust, open_statement(signed, trust.keyring))
            continue
        strict_json(signed.payload)
        anchored: RegistryEntry[Anchored] = read_model(RegistryEntry[Anchored], signed.payload)
        body = anchored.body
        if anchored.kind != "anchored" or unb64(body.node.key) != root_key:
            raise Refused("not-this-root", body.node.code)
        open_statement(signed, anchored_key(body))
        _add(trust, body.node, None, body.inc)
    return trust


def _learn(trust: _Trust, statement: Statement) -> None:
    entry, body = statement.payload, statement.payload.body
    if isinstance(body, Enrolled) and body.node.code not in trust.nodes:
        return _add(trust, body.node, entry.author, body.inc)
    if isinstance(body, Granted | Rotated):
        code = body.node if isinstance(body, Granted) else body.node.code
        known = trust.nodes.get(code)
        if known is not None and entry.author == (known.parent or code):
            return _renew(known, body)
    raise Refused("invalid", f"registry {entry.kind}")


def _renew(known: Known, body: Granted | Rotated) -> None:
    """Another incarnation of a node, or another key beside those it had."""
    if isinstance(body, Granted) and body.inc not in known.incs:
        known.incs.append(body.inc)
    elif isinstance(body, Rotated) and unb64(body.node.key) not in known.keys:
        check_public_key(unb64(body.node.key))
        known.keys.append(unb64(body.node.key))
    else:
        raise Refused("invalid", "registry: said before")


def _add(trust: _Trust, card: Card, parent: NodeCode | None, inc: Incarnation) -> None:
    key = unb64(card.key)
    check_public_key(key)
    trust.nodes[card.code] = Known(card, parent, [key], [inc])


def _seen(checkpoint: Checkpoint, lines: Sequence[Line], trust: _Trust, author: Known) -> tuple[Seen, ...]:
    """Whose cosignatures a checkpoint bears: its log's own line first, then none but those of the log's witnesses, by
    their codes and one of each: nobody is counted twice."""
    text = str(checkpoint)
    if _signed_at(text, lines[0], [log_key(checkpoint.origin, key) for key in author.keys]) is None:
        raise Held("bad-signature", checkpoint.origin)
    found = [_witness(text, line, _witnesses(trust, author)) for line in lines[1:]]
    if not found:
        raise Refused("no-witness", checkpoint.origin)
    codes = [seen.node.code for seen in found]
    if codes != sorted(set(codes)):
        raise Refused("malformed", "witnesses twice, or not in order")
    return tuple(found)


def _witness(text: str, line: Line, witnesses: Sequence[Known]) -> Seen:
    for known in witnesses:
        at = _signed_at(text, line, [witness_key(known.card.code, key) for key in known.keys])
        if at is not None:
            return Seen(known.card, at)
    raise Held("bad-signature", line.name)


def _signed_at(text: str, line: Line, keys: Sequence[Verifier]) -> int | None:
    times = [signed_by(text, [line], key) for key in keys]
    return next((at for at in times if at is not None), None)


def _witnesses(trust: _Trust, author: Known) -> list[Known]:
    if author.parent is not None:
        return [trust.nodes[author.parent]]
    return [known for known in trust.nodes.values() if known.parent == author.card.code]


def _context(payloads: Sequence[str], statement: Statement) -> tuple[Opened | None, Offered | None]:
    """The entries that the statement names by their identity; nothing else is taken."""
    said = statement.payload
    body = said.body
    named: dict[Digest | None, str] = {getattr(said, "topic", None): "opened"}
    if isinstance(body, Accepted):
        named[body.offer] = "offered"
    found: dict[str, Any] = {}
    for text in payloads:
        payload = unb64(text)
        kind = named.pop(identity(payload), None)
        if kind is None:
            raise Refused("bad-context", "not what the statement names")
        strict_json(payload)
        found[kind] = read_model(_CONTEXT[kind], payload).body
    opened = body if isinstance(body, Opened) else found.get("opened")
    return opened, found.get("offered")
