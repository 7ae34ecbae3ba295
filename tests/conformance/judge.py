"""What this kit's own reader makes of a wire vector: so the second implementation is checked by the same vectors."""

import base64
import hashlib

from tests.conformance.wire import chain, document, jose, log, receipt, rows, statement, stream, strict
from tests.conformance.wire.joining import TOKEN, open_join
from tests.conformance.wire.roster import Member, Roster, opened_by
from tests.conformance.wire.strict import Json, Wrong

ABOUT_LOGS = ("checkpoint", "cosignature", "settled", "heard", "signed", "kept")


def judge(vector: Json) -> Json:
    return globals()[f"_{vector['checks']}"](vector["given"])


def _raw(given: Json) -> bytes:
    return given["raw"].encode() if "raw" in given else base64.b64decode(given["raw_base64"])


def _keyring(given: Json) -> dict[str, tuple[str, bytes]]:
    keys = {code: jose.unb64(key) for code, key in given["keys"].items()}
    return {jose.kid_of(key): (code, key) for code, key in keys.items()}


def _bad(error: Wrong) -> Json:
    return {"disposition": error.disposition, "code": error.code}


def _statement(given: Json) -> Json:
    try:
        found = statement.open_statement(_raw(given), _keyring(given))
    except Wrong as error:
        return _bad(error)
    said = {"author": found.author, "kind": found.kind, "known": found.known}
    return {"disposition": "accepted", "identity": found.id, **said}


def _chain(given: Json) -> Json:
    roster = Roster()
    for row in given["roster"]:
        kid = roster.learn(row)
        lives = {tuple(inc): kid for inc in row["incs"]}
        roster.members[row["code"]] = Member(row, row["parent"], lives)
    state = None
    for at, text in enumerate(given["statements"]):
        try:
            entry = opened_by(text.encode(), roster)
            after = chain.evolve(state, entry, roster)
            if given["new"]:
                chain.ask_new(state, entry, roster)
            state = after
        except Wrong as error:
            return {"at": at, **_bad(error)}
    assert state is not None
    names = ("topic", "head", "seq", "term", "custodian", "writer", "resulted", "closed")
    said = {name: getattr(state, name) for name in names}
    return {**said, "stack": list(state.stack), "participants": sorted(state.participants)}


def _registry(given: Json) -> Json:
    roster = Roster()
    for at, text in enumerate(given["statements"]):
        try:
            roster.add(roster.open(text.encode()))
        except Wrong as error:
            return {"at": at, **_bad(error)}
    members = {
        code: {"parent": each.parent, "tier": each.tier, "inc": each.inc} for code, each in roster.members.items()
    }
    return {"anchor": roster.anchor, "members": members}


def _document(given: Json) -> Json:
    keyring = _keyring(given)
    try:
        found = document.read(_raw(given), keyring)
    except Wrong as error:
        return {"document": error.code}
    items = []
    for line in found.statements:
        said: Json = {"disposition": "accepted"}
        try:
            statement.open_statement(line, keyring)
        except Wrong as error:
            said = _bad(error)
        items.append({"id": statement.identity(line), **said})
    counts = {f"{name}s": len(found.of(name)) for name in ("chunk", "verdict", "pull")}
    about_logs = sum(len(found.of(name)) for name in ABOUT_LOGS)
    return {"items": items, **counts, **({"log": about_logs} if about_logs else {})}


def _stream(given: Json) -> Json:
    found = stream.Stream(given["sender"], given["inc"], given["receiver"])
    for identity in given["identities"]:
        found.add(identity)
    return {"hashes": found.hashes}


def _part(given: Json) -> Json:
    return {"digest": hashlib.sha256(bytes.fromhex(given["salt"] + given["content_hex"])).hexdigest()}


def _key(given: Json) -> Json:
    raw = bytes.fromhex(given["key"])
    return {"kid": jose.kid_of(raw)} if jose.fit(raw) else _bad(Wrong("refused", "bad-key"))


def _token(given: Json) -> Json:
    try:
        found = strict.read(jose.unb64(given["token"]))
        TOKEN(found)
    except Wrong as error:
        return _bad(error)
    except ValueError:
        return _bad(Wrong("refused", "invalid"))
    return {"parent": found["parent"], "code": found["code"]}


def _join(given: Json) -> Json:
    try:
        return {"node": open_join(_raw(given))["node"]["code"]}
    except Wrong as error:
        return _bad(error)


def _rows(given: Json) -> Json:
    leaves = {row["topic"]: rows.leaf(row) for row in given["rows"]}
    return {"leaves": leaves, "root": rows.root([leaves[topic] for topic in sorted(leaves)])}


def _order(given: Json) -> Json:
    return {"ascending": sorted(given["rows"], key=lambda name: rows.place(given["rows"][name]))}


def _tree(given: Json) -> Json:
    leaves = [log.leaf_hash(each) for each in given["leaves"]]
    return {
        "roots": [log.tree_root(leaves[:size]).hex() for size in range(1, len(leaves) + 1)],
        "inclusion": [each.hex() for each in log.inclusion(leaves, given["index"])],
        "consistency": [each.hex() for each in log.consistency(leaves, given["old"])],
    }


def _checkpoint(given: Json) -> Json:
    try:
        found = log.read_checkpoint(given["raw"])
        if not any(log.is_signed(found, jose.unb64(given["key"]), line) for line in found.lines):
            raise Wrong("held", "bad-signature")
        seen = [
            {"node": code, "at": receipt.cosigned(found, line, code, [jose.unb64(key)])}
            for code, key in given["witnesses"].items()
            for line in found.lines
            if log.is_line_of(line, code, jose.unb64(key))
        ]
    except Wrong as error:
        return _bad(error)
    return {"log": found.name, "size": found.size, "root": found.root.hex(), "seen": seen}


def _receipt(given: Json) -> Json:
    try:
        return receipt.read(_raw(given), jose.unb64(given["root"]))
    except Wrong as error:
        return _bad(error)
