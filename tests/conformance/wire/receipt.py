"""Receipts (SPEC 15.6): what one proves to a reader who knows the root's public key and nothing else."""

import re
from itertools import pairwise
from typing import Any

from tests.conformance.wire import bodies, log, strict
from tests.conformance.wire import shapes as s
from tests.conformance.wire.jose import b64, form, sha, unb64
from tests.conformance.wire.log import BASE64, Checkpoint, unbase64
from tests.conformance.wire.roster import Roster
from tests.conformance.wire.statement import Statement, open_statement
from tests.conformance.wire.strict import Json, Wrong

EXTRA = s.record(
    v=s.one_of(1), statement=s.anything, registry=s.array(s.anything, 1, 64), context=s.array(s.string(1, 81920), 0, 2)
)
_PROOF = re.compile(
    rf"c2sp\.org/tlog-proof@v1\nextra ({BASE64})\nindex (0|[1-9][0-9]*)\n((?:{BASE64}\n){{0,63}})\n(.+)", re.DOTALL
)


def read(raw: bytes, root_key: bytes) -> Json:
    """Statement, kind, author, index and size, and who has seen it when; raises Wrong."""
    found = _PROOF.fullmatch(raw.decode())
    if found is None or len(raw) > 4194304:
        raise strict.malformed("no receipt")
    extra, index, hashes, note = found.groups()
    said = _extra(unbase64(extra))
    roster = _trust(said["registry"], root_key)
    statement = open_statement(strict.write(_one(said["statement"])), roster.keyring)
    if not roster.has(statement.author, statement.inc):
        raise Wrong("held", "forged-author")
    checkpoint = log.read_checkpoint(note)
    if checkpoint.name != log.log_name(statement.author, statement.inc):
        raise Wrong("refused", "not-of-this-log")
    proof = [unbase64(line) for line in hashes.splitlines()]
    if not log.included(log.leaf_hash(statement.id), int(index), checkpoint.size, proof, checkpoint.root):
        raise Wrong("refused", "unproven")
    seen = _seen(checkpoint, statement, roster)
    _context(said["context"], statement)
    named = {"statement": statement.id, "kind": statement.kind, "author": statement.author}
    return {**named, "index": int(index), "size": checkpoint.size, "seen": seen}


def _extra(raw: bytes) -> Json:
    found = strict.read(raw)
    try:
        EXTRA(found)
    except ValueError as error:
        raise Wrong("refused", "invalid", str(error)) from error
    if strict.write(found) != raw:
        raise strict.malformed("not in the form of a receipt")
    return found


def _one(jws: Json) -> Json:
    form(jws)
    if len(jws["signatures"]) != 1:
        raise strict.malformed("one signature")
    return jws


def _trust(registry: list[Json], root_key: bytes) -> Roster:
    """The keys that follow from the root's; of each chain only some entries are here."""
    roster = Roster()
    for jws in registry:
        raw = strict.write(_one(jws))
        if not roster.members:
            _anchor(roster, raw, root_key)
        else:
            roster.learn_entry(_needed(roster, raw))
    return roster


def _anchor(roster: Roster, raw: bytes, root_key: bytes) -> None:
    try:
        payload = strict.read(form(strict.read(raw)).payload)
        card = payload["body"]["node"]
        known = payload["kind"] == "anchored"
    except (KeyError, TypeError) as error:
        raise Wrong("refused", "invalid") from error
    if not known:
        raise Wrong("refused", "invalid")
    if card["key"] != b64(root_key):
        raise Wrong("refused", "not-this-root")
    roster.learn_entry(roster.open(raw))


def _needed(roster: Roster, raw: bytes) -> Statement:
    entry = open_statement(raw, roster.keyring)
    code = entry.body["node"] if entry.kind == "granted" else entry.body.get("node", {}).get("code")
    member = roster.members.get(code)
    new = entry.kind == "enrolled" and member is None
    again = entry.kind in ("granted", "rotated") and member is not None and entry.author == (member.parent or code)
    if entry.typ != bodies.REGISTER or not (new or again):
        raise Wrong("refused", "invalid", "what a receipt does not need")
    return entry


def cosigned(found: Checkpoint, line: str, code: str, keys: list[bytes]) -> int:
    times = [log.seen_at(found, line, code, key) for key in keys]
    at = next((each for each in times if each is not None), None)
    if at is None:
        raise Wrong("held", "bad-signature")
    return at


def _seen(found: Checkpoint, statement: Statement, roster: Roster) -> list[Json]:
    """The log's own line first, then none but those of the log's witnesses: each once, by their codes."""
    if not any(log.is_signed(found, key) for key in roster.keys_of(statement.author)):
        raise Wrong("held", "bad-signature")
    parent = roster.members[statement.author].parent
    children = [code for code, member in roster.members.items() if member.parent == statement.author]
    witnesses = [parent] if parent is not None else children
    seen = [_witness(found, line, witnesses, roster) for line in found.lines[1:]]
    if not seen:
        raise Wrong("refused", "no-witness")
    if any(one["node"] >= other["node"] for one, other in pairwise(seen)):
        raise Wrong("refused", "malformed", "witnesses twice, or not in order")
    return seen


def _witness(found: Checkpoint, line: str, witnesses: list[str], roster: Roster) -> Json:
    for code in witnesses:
        for key in roster.keys_of(code):
            if log.is_line_of(line, code, key):
                return {"node": code, "at": cosigned(found, line, code, [key])}
    raise Wrong("held", "bad-signature")


def _context(given: list[Any], statement: Statement) -> None:
    names = {statement.payload.get("topic"), statement.body.get("offer") if statement.kind == "accepted" else None}
    for text in given:
        if sha(unb64(text)) not in names - {None}:
            raise Wrong("refused", "bad-context")
