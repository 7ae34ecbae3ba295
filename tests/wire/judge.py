"""What this project makes of a vector: `given` in, what `expect` must be out."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from node.service.roster import open_anchor
from schemas.entry import Offered, Opened
from schemas.exchange import Invitation
from schemas.ids import Incarnation, Tier
from schemas.registry import Card
from schemas.summary import Row
from sync import merkle
from sync.custody import Chain, check_offer, check_opened, evolve, writer
from sync.errors import BadDocument, BadKey, Deferred, Held, Refused, SyncError
from sync.exchange import read
from sync.keys import Key, Keyring, check_public_key, load_key, thumbprint, unb64
from sync.log import open_checkpoint, read_checkpoint, witness_key
from sync.note import signed_by
from sync.receipt import read_receipt
from sync.roster import Member, Roster, enrol
from sync.sealing import Statement, open_join, open_statement, parse
from sync.stream import stream_hash, stream_start
from sync.strict import strict_json
from sync.summary import leaf, place, root

Json = dict[str, Any]


def judge(vector: Mapping[str, Any]) -> Json:
    return CHECKS[vector["checks"]](vector["given"])


def disposition(error: SyncError) -> Json:
    names: dict[type[SyncError], str] = {Refused: "refused", BadKey: "refused", Held: "held", Deferred: "deferred"}
    return {"disposition": names[type(error)], "code": error.code}


def raw_of(given: Json) -> bytes:
    return given["raw"].encode() if "raw" in given else base64.b64decode(given["raw_base64"])


def keyring_of(given: Json) -> Keyring:
    return Keyring.of({code: unb64(key) for code, key in given["keys"].items()})


def roster_of(rows: list[Json]) -> Roster:
    return Roster({row["code"]: _member(row) for row in rows}, anchor=rows[0]["code"])


def step(before: Chain | None, statement: Statement, roster: Roster, new: bool) -> Chain:
    """The chain after one more statement; `new` asks also what is asked of a new entry only (SPEC 5.4)."""
    after = evolve(before, statement, roster)
    body = statement.payload.body
    if new and isinstance(body, Opened):
        check_opened(body, statement.payload.author, roster)
    if new and isinstance(body, Offered) and before is not None:
        check_offer(before, body, roster)
    return after


def _member(row: Json) -> Member:
    key: Key = load_key(row["code"], unb64(row["key"]))
    tier = Tier(row["tier"])
    card = Card.model_construct(code=row["code"], name=row["code"], tier=tier, url="", key=row["key"], box="")
    lives = tuple((Incarnation(*inc), key.kid) for inc in row["incs"])
    return Member(card, row["parent"], lives, (key,), "0" * 64)


def _statement(given: Json) -> Json:
    try:
        found = open_statement(parse(raw_of(given)), keyring_of(given))
    except SyncError as error:
        return disposition(error)
    said = {"author": found.signer, "kind": found.payload.kind, "known": found.known}
    return {"disposition": "accepted", "identity": found.id, **said}


def _chain(given: Json) -> Json:
    roster, chain = roster_of(given["roster"]), None
    for at, text in enumerate(given["statements"]):
        try:
            chain = step(chain, open_statement(parse(text.encode()), roster.keyring), roster, given["new"])
        except SyncError as error:
            return {"at": at, **disposition(error)}
    assert chain is not None
    next_one = writer(chain)
    return {
        "topic": chain.topic,
        "head": chain.head,
        "seq": chain.seq,
        "term": [chain.term.g, chain.term.k, list(chain.term.i), chain.term.t],
        "custodian": chain.custodian,
        "writer": {"node": next_one.node, "inc": list(next_one.inc), "offer": next_one.offer},
        "stack": list(chain.stack),
        "participants": sorted(chain.participants),
        "resulted": chain.resulted,
        "closed": chain.closed,
    }


def _registry(given: Json) -> Json:
    roster = Roster()
    for at, text in enumerate(given["statements"]):
        try:
            raw = text.encode()
            statement = open_anchor(raw) if at == 0 else open_statement(parse(raw), roster.keyring)
            roster = enrol(roster, statement)
        except SyncError as error:
            return {"at": at, **disposition(error)}
    members = {
        code: {"parent": member.parent, "tier": str(member.tier), "inc": list(member.inc)}
        for code, member in roster.members.items()
    }
    return {"anchor": roster.anchor, "members": members}


def _document(given: Json) -> Json:
    keyring = keyring_of(given)
    try:
        found = read(raw_of(given), keyring)
    except BadDocument as error:
        return {"document": error.code}
    items: list[Json] = []
    for item in found.items:
        said: Json = {"disposition": "accepted"}
        try:
            if item.signed is None:
                raise item.problem or AssertionError
            open_statement(item.signed, keyring)
        except SyncError as error:
            said = disposition(error)
        items.append({"id": item.id, **said})
    said = {"items": items, "chunks": len(found.chunks), "verdicts": len(found.verdicts), "pulls": len(found.pulls)}
    return said | ({"log": len(found.log)} if found.log else {})


def _key(given: Json) -> Json:
    raw = bytes.fromhex(given["key"])
    try:
        check_public_key(raw)
    except SyncError as error:
        return disposition(error)
    return {"kid": thumbprint(raw)}


def _stream(given: Json) -> Json:
    hashes = [stream_start(given["sender"], Incarnation(*given["inc"]), given["receiver"])]
    for identity in given["identities"]:
        hashes.append(stream_hash(hashes[-1], identity))
    return {"hashes": hashes}


def _part(given: Json) -> Json:
    return {"digest": hashlib.sha256(bytes.fromhex(given["salt"] + given["content_hex"])).hexdigest()}


def _token(given: Json) -> Json:
    try:
        raw = unb64(given["token"])
        strict_json(raw)
        found = Invitation.model_validate_json(raw)
    except SyncError as error:
        return disposition(error)
    except ValidationError:
        return {"disposition": "refused", "code": "invalid"}
    return {"parent": found.parent, "code": found.code}


def _join(given: Json) -> Json:
    try:
        return {"node": open_join(raw_of(given)).node.code}
    except SyncError as error:
        return disposition(error)


def _rows(given: Json) -> Json:
    leaves = {row["topic"]: leaf(_row(row)) for row in given["rows"]}
    return {"leaves": leaves, "root": root([leaves[topic] for topic in sorted(leaves)])}


def _order(given: Json) -> Json:
    return {"ascending": sorted(given["rows"], key=lambda name: place(_row(given["rows"][name])))}


def _row(row: Json) -> Row:
    return Row.model_validate_json(json.dumps(row))


def _tree(given: Json) -> Json:
    hasher = merkle.from_leaves([merkle.leaf_hash(bytes.fromhex(item)) for item in given["leaves"]])
    size = len(given["leaves"])
    return {
        "roots": [merkle.root(n, hasher).hex() for n in range(1, size + 1)],
        "inclusion": [hasher(*item).hex() for item in merkle.inclusion_ranges(given["index"], size)],
        "consistency": [hasher(*item).hex() for item in merkle.consistency_ranges(given["old"], size)],
    }


def _checkpoint(given: Json) -> Json:
    try:
        found = open_checkpoint(given["raw"], unb64(given["key"]))
        _, lines = read_checkpoint(given["raw"])
        seen = []
        for code, key in given["witnesses"].items():
            verifier = witness_key(code, unb64(key))
            at = signed_by(str(found), lines, verifier)
            if at is None and any(verifier.made(line) for line in lines):
                raise Held("bad-signature")
            seen += [{"node": code, "at": at}] if at is not None else []
    except SyncError as error:
        return disposition(Held(error.code) if error.code == "bad-signature" else error)
    return {"log": found.origin, "size": found.size, "root": found.root.hex(), "seen": seen}


def _receipt(given: Json) -> Json:
    try:
        found = read_receipt(raw_of(given), unb64(given["root"]))
    except SyncError as error:
        return disposition(error)
    said = {"statement": found.statement.id, "kind": found.statement.payload.kind, "author": found.author.code}
    seen = [{"node": seen.node.code, "at": seen.at} for seen in found.seen]
    return {**said, "index": found.index, "size": found.checkpoint.size, "seen": seen}


CHECKS: dict[str, Callable[[Json], Json]] = {
    "statement": _statement,
    "chain": _chain,
    "registry": _registry,
    "document": _document,
    "key": _key,
    "stream": _stream,
    "part": _part,
    "token": _token,
    "join": _join,
    "tree": _tree,
    "checkpoint": _checkpoint,
    "receipt": _receipt,
    "rows": _rows,
    "order": _order,
}
