"""What decodes the words of others, and what must be true of each answer.

A target makes a damaged input and reads it. Reading ends in one of the protocol's own errors, or in a value that says
what the bytes say: written again it gives the same bytes, or read again the same value. Anything else is a violation.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import pyrage
from pydantic import BaseModel

from node.domain.errors import DomainError
from node.service.bundle import _decrypted, _split
from node.service.roster import open_anchor
from node.store.codec import dump_chain, load_chain
from schemas.exchange import Invitation
from sync.errors import BadDocument, Refused, SyncError
from sync.exchange import _LOOSE, read, read_claims
from sync.keys import Keyring, Signer, b64, check_public_key, unb64
from sync.log import (
    open_checkpoint,
    origin,
    read_checkpoint,
    read_origin,
    read_proof,
    read_submission,
    read_tile_path,
    tile_path,
    write_proof,
    write_submission,
)
from sync.note import read_note
from sync.receipt import read_receipt
from sync.roster import Roster, enrol
from sync.sealing import ENTRY, REGISTRY, SEAL, Statement, open_join, open_statement, parse, read_model
from sync.strict import dumps, strict_json
from sync.summary import listed, read_listed
from tests.fuzz import corpus
from tests.fuzz.mutate import damage, damage_json, written
from tests.wire import cast as c
from tests.wire.judge import roster_of, step

REFUSALS = (SyncError, DomainError)
"""What a decoder may raise."""


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    make: Callable[[Random], Any]
    read: Callable[[Any], object]


@cache
def signer(code: str) -> Signer:
    return Signer(c.private(code))


@cache
def keyring() -> Keyring:
    return Keyring.of({code: signer(code).public for code in c.TIERS})


def signed(payload: bytes, typ: str, code: str) -> bytes:
    """A good signature over whatever these bytes are: so that the damage gets past it."""
    by, body = signer(code), b64(payload)
    protected = b64(dumps({"alg": "Ed25519", "kid": by.kid, "typ": typ}))
    signature = b64(by.sign(f"{protected}.{body}".encode()))
    return (f'{{"payload":"{body}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}').encode()


def author_of(payload: Any) -> str:
    """Who signs it: its author, where that is somebody."""
    author = payload.get("author") if isinstance(payload, dict) else None
    return author if isinstance(author, str) and author in c.TIERS else c.COUNTY


# ---- strict JSON, keys, names ------------------------------------------------------------------------------------


WHOLE = 0.02
"""The share of inputs that are left as they are: what is refused always would be no decoder."""


def _some_bytes(raws: Callable[[], tuple[bytes, ...]]) -> Callable[[Random], bytes]:
    def make(random: Random) -> bytes:
        raw = random.choice(raws())
        return raw if random.random() < WHOLE else damage(raw, random, raws())

    return make


def _some_text(raws: Callable[[], tuple[bytes, ...]]) -> Callable[[Random], str]:
    make = _some_bytes(raws)
    return lambda random: make(random).decode("utf-8", "surrogateescape")


@cache
def _objects() -> tuple[bytes, ...]:
    return tuple(json.dumps(payload).encode() for _, payload in corpus.payloads()) + corpus.statements()


def _read_strict(raw: bytes) -> None:
    value = strict_json(raw)
    assert strict_json(dumps(value)) == value
    assert json.loads(raw) == value


@cache
def _small() -> tuple[bytes, ...]:
    named = [f"liandong/{code}/{n}.{c.inc(code)[1]}" for code in c.TIERS for n in (1, 2, 9007199254740991)]
    tiles = ["0/000", "0/x001/x234/067", "1/255.p/17", "entries/000.p/1", "63/000"]
    keys = [b64(signer(code).public) for code in c.TIERS]
    return tuple(text.encode() for text in [*named, *tiles, *keys])


def _read_small(text: str) -> None:
    """Log names, tile paths and base64url: one spelling each."""
    taken = 0
    for read_one, write_one in (
        (read_origin, lambda found: origin(*found)),
        (read_tile_path, tile_path),
        (unb64, b64),
    ):
        try:
            assert write_one(read_one(text)) == text
            taken += 1
        except Refused:
            continue
    if not taken:
        raise Refused("malformed")


@cache
def _keys() -> tuple[bytes, ...]:
    return (*tuple(bytes.fromhex(given["key"]) for given in corpus.vectors("key")), b"\x01" + bytes(31), bytes(32))


# ---- statements --------------------------------------------------------------------------------------------------


def _read_statement(raw: bytes) -> None:
    found = open_statement(parse(raw), keyring())
    assert (found.raw, found.id) == (raw, hashlib.sha256(parse(raw).payload).hexdigest())
    assert found.payload.model_dump(mode="json") == strict_json(parse(raw).payload)


def _damaged_payload(random: Random, some: tuple[tuple[str, Any], ...]) -> tuple[bytes, str, str]:
    typ, payload = random.choice(some)
    changed = damage_json(payload, random, random.choice(some)[1]) if random.random() < 0.9 else payload
    raw = written(changed, random)
    if random.random() < 0.2:
        raw = damage(raw, random, [json.dumps(payload).encode()])
    return raw, typ, author_of(changed)


def _make_signed(random: Random) -> bytes:
    return signed(*_damaged_payload(random, corpus.payloads()))


def _make_chain(random: Random) -> tuple[Any, list[bytes], bool]:
    """A chain in which one statement, or the order, is not what it was."""
    given = random.choice(corpus.vectors("chain"))
    raws = [text.encode() for text in given["statements"]]
    at = random.randrange(len(raws))
    what = random.random()
    if what < 0.8:
        raws[at] = _resigned(raws[at], random)
    elif what < 1 - WHOLE * 2:
        raws.insert(at, random.choice((random.choice(corpus.statements()), *raws)))
    return given["roster"], raws, given["new"]


def _resigned(raw: bytes, random: Random) -> bytes:
    found = parse(raw)
    return signed(*_damaged_payload(random, ((found.typ, json.loads(found.payload)),)))


def _read_chain(given: tuple[Any, list[bytes], bool]) -> None:
    roster, chain = _roster(json.dumps(given[0])), None
    for raw in given[1]:
        chain = step(chain, _of_type(ENTRY, open_statement(parse(raw), roster.keyring)), roster, given[2])
        assert load_chain(dump_chain(chain)) == chain


def _of_type(typ: str, statement: Statement) -> Statement:
    """What every receiver asks first: a chain is made of entries, the roster of entries of the registry."""
    if statement.typ != typ:
        raise Refused("wrong-type", statement.typ)
    return statement


@cache
def _roster(rows: str) -> Roster:
    return roster_of(json.loads(rows))


def _make_registry(random: Random) -> list[bytes]:
    given = random.choice(corpus.vectors("registry"))
    raws = [text.encode() for text in given["statements"]]
    at = random.randrange(len(raws))
    if random.random() > WHOLE:
        raws[at] = _resigned(raws[at], random) if random.random() < 0.8 else random.choice(corpus.statements())
    return raws


def _read_registry(raws: list[bytes]) -> None:
    roster = Roster()
    for at, raw in enumerate(raws):
        statement = open_anchor(raw) if at == 0 else open_statement(parse(raw), roster.keyring)
        roster = enrol(roster, _of_type(REGISTRY, statement))
        for member in roster.members.values():
            check_public_key(unb64(member.card.key))
            assert roster.key(member.key.kid) is member.key
        assert set(roster.members) >= {code for code in map(roster.parent, roster.members) if code is not None}


# ---- documents and bundles ---------------------------------------------------------------------------------------


def _make_document(random: Random) -> bytes:
    """A document whose seal is right although its lines are not."""
    raw = random.choice(corpus.raws("document"))
    body, _, _ = raw[:-1].rpartition(b"\n")
    rows = body.split(b"\n")
    at = random.randrange(len(rows))
    if random.random() < 0.7:
        rows[at] = _damaged_line(rows[at], random)
        body = b"\n".join(rows) + b"\n"
    else:
        body = damage(body + b"\n", random, corpus.raws("document"))
    return body + b'{"seal":' + _seal(body, random) + b"}\n"


def _damaged_line(line: bytes, random: Random) -> bytes:
    try:
        value, other = json.loads(line), json.loads(random.choice(corpus.raws("document")).split(b"\n")[1])
        return written(damage_json(value, random, other), random).replace(b"\n", b" ")
    except (ValueError, IndexError, RecursionError):
        return damage(line, random, corpus.raws("document"))


def _seal(body: bytes, random: Random) -> bytes:
    try:
        head = json.loads(body.split(b"\n")[0])
        sender = head["from"] if head["from"] in c.TIERS else c.COUNTY
        payload = c.seal_payload(head, body)
    except (ValueError, KeyError, TypeError, RecursionError):
        head = c.document_header(c.COUNTY, c.CITY)
        sender, payload = c.COUNTY, c.seal_payload(head, body)
    if random.random() < 0.1:
        payload = damage_json(payload, random, head)
    return signed(written(payload, Random(0)), SEAL, sender)


def _read_document(raw: bytes) -> None:
    try:
        claimed = read_claims(raw)
    except BadDocument:
        claimed = None
    found = read(raw, keyring())
    assert claimed is not None
    assert (claimed.header, claimed.kid, len(claimed.items)) == (found.header, found.kid, len(found.items))
    rows = raw[:-1].split(b"\n")
    assert found.header.model_dump(mode="json", by_alias=True) == strict_json(rows[0])
    assert [item.raw for item in found.items] == rows[1 : 1 + len(found.items)]
    said = [strict_json(row) for row in rows[1 + len(found.items) : -1]]
    for name, lines in _loose(found):
        assert [dumps(line.model_dump(mode="json")) for line in lines] == [
            dumps(one[name]) for one in said if name in one
        ][-len(lines) or 0 :]
    for item in (*found.items, *found.olds):
        assert (item.signed is None) != (item.problem is None)


def _loose(found: Any) -> Iterable[tuple[str, list[BaseModel]]]:
    everything = (
        *(*found.chunks, *found.verdicts, *found.pulls, *found.log, *found.haves, *found.lists),
        *(one for one in (found.heal, found.knows) if one is not None),
    )
    for name, model in _LOOSE.items():
        lines = [line for line in everything if isinstance(line, model)]
        if lines:
            yield name, lines


def _bundle(documents: list[bytes]) -> bytes:
    body = b"".join(documents)
    return dumps({"bundle": {"v": 1, "documents": len(documents), "bytes": len(body)}}) + b"\n" + body


@cache
def _documents() -> list[bytes]:
    return [raw for raw in corpus.raws("document", "good") if raw.endswith(b"}\n")]


@cache
def _bundles() -> tuple[bytes, ...]:
    good = _documents()
    return (*(_bundle(good[at : at + 3]) for at in range(len(good))), _bundle(good))


def _make_bundle(random: Random) -> bytes:
    """Half of them with a first line that is true of the damaged rest."""
    raw, what = random.choice(_bundles()), random.random()
    if what < 0.05:  # whole documents, twice or in another order
        return _bundle([random.choice(_documents()) for _ in range(random.randint(1, 4))])
    if what < 0.5:
        return damage(raw, random, _bundles())
    body = damage(raw.partition(b"\n")[2], random, _bundles())
    said = {"v": 1, "documents": random.choice((1, 2, 3, body.count(b'{"seal"'))), "bytes": len(body)}
    return dumps({"bundle": said}) + b"\n" + body


def _read_bundle(raw: bytes) -> None:
    documents = _split(raw)
    assert b"".join(documents) == raw.partition(b"\n")[2]
    for document in documents:
        read(document, keyring())


@cache
def _boxed() -> tuple[Any, tuple[bytes, ...]]:
    box = pyrage.x25519.Identity.generate()
    raws = tuple(pyrage.encrypt(raw[:3000], [box.to_public()]) for raw in _bundles()[:4])
    return SimpleNamespace(identity=SimpleNamespace(box=str(box))), raws


def _make_boxed(random: Random) -> bytes:
    return damage(random.choice(_boxed()[1]), random, _boxed()[1])


def _read_boxed(raw: bytes) -> None:
    ctx, whole = _boxed()
    plain = _decrypted(ctx, raw)
    assert plain is raw or raw in whole or any(plain == known[:3000] for known in _bundles()), "decrypted the damaged"


# ---- logs --------------------------------------------------------------------------------------------------------


@cache
def _notes() -> tuple[bytes, ...]:
    return corpus.raws("checkpoint")


def _read_note(text: str) -> None:
    said, lines = read_note(text)
    assert said + "\n" + "".join(map(str, lines)) == text
    found, _ = read_checkpoint(text)
    assert str(found) == said
    read_origin(found.origin)
    open_checkpoint(text, signer(c.COUNTY).public)


@cache
def _submissions() -> tuple[bytes, ...]:
    heads = (b"old 0\n", b"old 3\n" + b64_line(0) + b64_line(1), b"old 9007199254740991\n" + b64_line(2) * 63)
    return tuple(head + b"\n" + note for head in heads for note in _notes()[:4])


def b64_line(n: int) -> bytes:
    return base64.b64encode(hashlib.sha256(bytes([n])).digest()) + b"\n"


def _read_submission(text: str) -> None:
    assert write_submission(read_submission(text)) == text


def _make_receipt(random: Random) -> bytes:
    """Damage anywhere, or in what the receipt holds as JSON, written again as it must be."""
    given = random.choice(corpus.raws("receipt"))
    if random.random() < 0.5:
        return given if random.random() < WHOLE * 2 else damage(given, random, corpus.raws("receipt"))
    try:
        proof = read_proof(given)
        extra = damage_json(json.loads(proof.extra or b"{}"), random, {"registry": [{}]})
        return write_proof(type(proof)(proof.index, proof.hashes, proof.note, dumps(extra))).encode()
    except (SyncError, ValueError, UnicodeEncodeError):
        return damage(given, random, corpus.raws("receipt"))


def _read_receipt(raw: bytes) -> None:
    proof = read_proof(raw)
    assert write_proof(proof).encode() == raw
    found = read_receipt(raw, signer(c.PROVINCE).public)
    assert found.seen
    assert any(read_proof(known).note == proof.note for known in corpus.raws("receipt", "good")), "a forged receipt"


# ---- joining, summaries ------------------------------------------------------------------------------------------


def _make_token(random: Random) -> str:
    raw = unb64(random.choice([given["token"] for given in corpus.vectors("token", "good")]))
    if random.random() < 0.3:
        return damage(b64(raw).encode(), random, [raw]).decode("utf-8", "surrogateescape")
    return b64(written(damage_json(json.loads(raw), random, {"v": 1}), random))


def _read_token(text: str) -> None:
    raw = unb64(text)
    said = strict_json(raw)
    assert read_model(Invitation, raw).model_dump(mode="json") == said


def _make_join(random: Random) -> bytes:
    found = parse(random.choice(corpus.raws("join", "good")))
    payload = json.loads(found.payload)
    changed = damage_json(payload, random, c.card(c.CITY))
    return signed(written(changed, random), found.typ, payload["node"]["code"])


def _read_join(raw: bytes) -> None:
    assert open_join(raw).model_dump(mode="json") == strict_json(parse(raw).payload)


@cache
def _lists() -> tuple[bytes, ...]:
    return tuple(listed((c.fixed(f"{n} {at}", 32), c.fixed(f"row {at}", 32)) for at in range(n)) for n in (0, 1, 2, 40))


def _read_list(raw: bytes) -> None:
    found = read_listed(raw)
    if found is None:
        raise Refused("malformed")
    assert listed(found) == raw


TARGETS = {
    target.name: target
    for target in (
        Target("strict-json", _some_bytes(_objects), _read_strict),
        Target("names", _some_text(_small), _read_small),
        Target("keys", _some_bytes(_keys), check_public_key),
        Target("statement", _some_bytes(corpus.statements), _read_statement),
        Target("signed-statement", _make_signed, _read_statement),
        Target("chain", _make_chain, _read_chain),
        Target("registry", _make_registry, _read_registry),
        Target("document", _some_bytes(lambda: corpus.raws("document")), _read_document),
        Target("sealed-document", _make_document, _read_document),
        Target("bundle", _make_bundle, _read_bundle),
        Target("encrypted-bundle", _make_boxed, _read_boxed),
        Target("note", _some_text(_notes), _read_note),
        Target("submission", _some_text(_submissions), _read_submission),
        Target("receipt", _make_receipt, _read_receipt),
        Target("token", _make_token, _read_token),
        Target("join", _make_join, _read_join),
        Target("list-of-rows", _some_bytes(_lists), _read_list),
    )
}
