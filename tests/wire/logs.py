"""Vectors of logs (SPEC 15): hashes, notes and proofs made without a line of what they check."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json
from tests.wire.good import Vector, document, expected, simple

AT = 1_777_600_800
NAME = f"liandong/{COUNTY}/1.{c.inc(COUNTY)[1]}"
SIZE = 5


def std(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaves(size: int = SIZE) -> list[bytes]:
    """Identities, the first of which is that of the example topic's `opened`."""
    return [bytes.fromhex(b.born().head), *(bytes.fromhex(c.fixed(f"leaf {n}", 32)) for n in range(1, size))]


def root(found: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, of leaf hashes."""
    if len(found) == 1:
        return found[0]
    k = 1
    while 2 * k < len(found):
        k *= 2
    return sha(b"\x01", root(found[:k]), root(found[k:]))


def hashes(size: int = SIZE) -> list[bytes]:
    return [sha(b"\x00", item) for item in leaves(size)]


def path(index: int, found: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(found) == 1:
        return []
    k = 1
    while 2 * k < len(found):
        k *= 2
    if index < k:
        return [*path(index, found[:k]), root(found[k:])]
    return [*path(index - k, found[k:]), root(found[:k])]


def consistency(old: int, found: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if old == len(found):
        return [] if whole else [root(found)]
    k = 1
    while 2 * k < len(found):
        k *= 2
    if old <= k:
        return [*consistency(old, found[:k], whole), root(found[k:])]
    return [*consistency(old - k, found[k:], False), root(found[:k])]


def body(name: str = NAME, size: int = SIZE) -> str:
    return f"{name}\n{size}\n{std(root(hashes(size)))}\n"


def line(name: str, kind: int, code: str, signature: bytes) -> str:
    key = sha(f"{name}\n".encode(), bytes([kind]), c.public(code))[:4]
    return f"\u2014 {name} {std(key + signature)}\n"


def own(text: str, name: str = NAME, code: str = COUNTY) -> str:
    return line(name, 1, code, c.private(code).sign(text.encode()))


def cosigned(text: str, code: str = CITY, at: int = AT) -> str:
    signature = c.private(code).sign(f"cosignature/v1\ntime {at}\n{text}".encode())
    return line(f"liandong/{code}", 4, code, at.to_bytes(8, "big") + signature)


def note() -> str:
    return f"{body()}\n{own(body())}{cosigned(body())}"


def given(text: str) -> Json:
    return {"key": c.b64(c.public(COUNTY)), "witnesses": c.keys(CITY), "raw": text}


def extra(**other: Any) -> Json:
    tree = b.registry()
    names = [json.loads(c.payload_of(raw))["body"]["node"]["code"] for raw in tree]
    wanted = [json.loads(raw) for raw, code in zip(tree, names, strict=True) if code in (PROVINCE, CITY, COUNTY)]
    opened = json.loads(b.born().raws[0])
    return {"v": 1, "statement": opened, "registry": wanted, "context": [], **other}


def proof(index: int = 0, said: Json | None = None, text: str | None = None, dumped: bytes | None = None) -> str:
    blob = std(dumped if dumped is not None else c.dumps(extra() if said is None else said))
    rows = "".join(f"{std(item)}\n" for item in path(0, hashes()))
    return f"c2sp.org/tlog-proof@v1\nextra {blob}\nindex {index}\n{rows}\n{note() if text is None else text}"


def receipt(text: str) -> Json:
    return {"root": c.b64(c.public(PROVINCE)), "raw": text}


def lines() -> dict[str, Any]:
    """One of each kind of loose line about logs."""
    cut = [item.hex() for item in consistency(3, hashes())]
    seen = {"log": NAME, "size": SIZE, "root": root(hashes()).hex(), "line": cosigned(body())}
    return {
        "checkpoint": {"old": 3, "proof": cut, "note": f"{body()}\n{own(body())}"},
        "cosignature": seen,
        "settled": {"inc": c.inc(COUNTY), "upto": 7, "ids": [b.born().head]},
        "heard": {"inc": c.inc(CITY), "upto": 0},
    }


def kept_lines() -> dict[str, Any]:
    """What the city signed of the county's log, as it goes to a keeper and comes back."""
    state = {"note": f"{body()}\n{own(body())}", "line": cosigned(body())}
    return {"signed": state, "kept": state}


def _document(found: dict[str, Any]) -> bytes:
    return c.document(c.document_header(COUNTY, CITY), [c.text(name, value) for name, value in found.items()])


def good_logs() -> Iterator[tuple[str, Vector]]:
    tree = {"leaves": [item.hex() for item in leaves(7)], "index": 4, "old": 3}
    yield "log-tree", simple(
        "tree", "roots, an inclusion and a consistency proof", "15.1", tree,
        roots=[root(hashes(7)[:n]).hex() for n in range(1, 8)],
        inclusion=[item.hex() for item in path(4, hashes(7))],
        consistency=[item.hex() for item in consistency(3, hashes(7))],
    )  # fmt: skip
    state = {"log": NAME, "size": SIZE, "root": root(hashes()).hex()}
    seen = [{"node": CITY, "at": AT}]
    yield "log-checkpoint", simple("checkpoint", "a cosigned checkpoint", "15.2", given(note()), **state, seen=seen)
    more = note() + cosigned(body(), COUNTY2)
    yield (
        "log-checkpoint-unknown-line",
        simple("checkpoint", "a line of a key one does not know", "15.2", given(more), **state, seen=seen),
    )
    said = {"statement": b.born().head, "kind": "opened", "author": COUNTY, "index": 0, "size": SIZE, "seen": seen}
    yield "log-receipt", simple("receipt", "a receipt", "15.6", receipt(proof()), **said)
    nothing = {"chunks": 0, "verdicts": 0, "pulls": 0}
    yield (
        "document-log-lines",
        document("loose lines about logs", "15.4", _document(lines()), items=[], **nothing, log=4),
    )
    yield (
        "document-kept-states",
        document("what neighbours keep for a witness", "15.4", _document(kept_lines()), items=[], **nothing, log=2),
    )
    null = lines() | {"cosignature": {**lines()["cosignature"], "size": 0, "line": None}}
    yield (
        "document-cosignature-null",
        document("a witness that has signed nothing yet", "15.4", _document(null), items=[], **nothing, log=4),
    )


def bad_logs() -> Iterator[tuple[str, Vector]]:
    for group in (_checkpoints, _receipts, _lines):
        yield from group()


def _checkpoints() -> Iterator[tuple[str, Vector]]:
    text, rooted = note(), std(root(hashes()))
    ours, theirs = own(body()), cosigned(body())
    other = f"liandong/{COUNTY}/1.{'0' * 32}"
    rows: list[tuple[str, str, str, str]] = [
        ("size-changed", "another size", text.replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n"), "bad-signature"),
        ("size-leading-zero", "a size with a leading zero", text.replace(f"\n{SIZE}\n", f"\n0{SIZE}\n"), "malformed"),
        ("size-negative", "a negative size", text.replace(f"\n{SIZE}\n", f"\n-{SIZE}\n"), "malformed"),
        ("root-short", "a root of 31 bytes", text.replace(rooted, std(root(hashes())[1:])), "malformed"),
        ("root-unpadded", "a root without padding", text.replace(rooted, rooted.rstrip("=")), "malformed"),
        ("extension", "an extension line", f"{body()}more\n\n{own(body() + 'more' + chr(10))}", "malformed"),
        ("unsigned", "no signature", f"{body()}\n", "malformed"),
        ("carriage-return", "line ends of two characters", text.replace("\n", "\r\n"), "malformed"),
        ("no-last-line-feed", "no line feed at the end", text[:-1], "malformed"),
        ("hyphen", "a hyphen for the dash", text.replace("\u2014", "-"), "malformed"),
        ("name-with-plus", "a key name with a plus", text.replace(f"\u2014 {NAME}", f"\u2014 {NAME}+"), "malformed"),
        ("other-key", "signed by another node", f"{body()}\n{own(body(), code=CITY)}{theirs}", "bad-signature"),
        ("other-name", "signed under another log's name", f"{body()}\n{own(body(), other)}{theirs}", "bad-signature"),
        ("cosigned-only", "cosigned, not signed", f"{body()}\n{theirs}", "bad-signature"),
        ("kind-of-cosignature", "the log's key as a cosignature", f"{body()}\n{_kind_four()}{theirs}", "bad-signature"),
        ("time-changed", "a cosignature at another time", f"{body()}\n{ours}{_later()}", "bad-signature"),
        ("cosignature-cut", "a cosignature without time", f"{body()}\n{ours}{_timeless()}", "bad-signature"),
    ]
    for name, sentence, raw, code in rows:
        vector = simple("checkpoint", sentence, "15.2", given(raw), **expected(code))
        yield f"log-checkpoint-{name}", {**vector, "good": "log-checkpoint"}


def _kind_four() -> str:
    return line(NAME, 4, COUNTY, c.private(COUNTY).sign(body().encode()))


def _later() -> str:
    signature = c.private(CITY).sign(f"cosignature/v1\ntime {AT}\n{body()}".encode())
    return line(f"liandong/{CITY}", 4, CITY, (AT + 1).to_bytes(8, "big") + signature)


def _timeless() -> str:
    return line(f"liandong/{CITY}", 4, CITY, c.private(CITY).sign(body().encode()))


def _receipts() -> Iterator[tuple[str, Vector]]:
    text, said = proof(), extra()
    ours, theirs = own(body()), cosigned(body())
    more = {**said["statement"], "signatures": said["statement"]["signatures"] * 2}
    later = f"liandong/{COUNTY2}/1.{c.inc(COUNTY2)[1]}"
    tree, strange, head = said["registry"], [c.b64(b"{}")], f"{body()}\n{ours}"
    foreign = f"{body(later)}\n{own(body(later), later, COUNTY2)}{cosigned(body(later))}"
    rows: list[tuple[str, str, str, str]] = [
        ("index", "another index", proof(1), "unproven"),
        ("hash-left-out", "a hash left out", text.replace(std(path(0, hashes())[0]) + "\n", ""), "unproven"),
        ("index-leading-zero", "an index with a leading zero", text.replace("index 0", "index 00"), "malformed"),
        ("version-2", "another version of the form", text.replace("proof@v1", "proof@v2"), "malformed"),
        ("extra-none", "no extra", text[:23] + text[text.index("index ") :], "malformed"),
        ("extra-space", "extra written with a space", proof(dumped=c.dumps(said) + b" "), "malformed"),
        ("extra-unknown-field", "an unknown field in extra", proof(said=extra(more=1)), "invalid"),
        ("extra-version-2", "another version of extra", proof(said=extra(v=2)), "invalid"),
        ("anchored-left-out", "no `anchored`", proof(said=extra(registry=tree[1:])), "invalid"),
        ("city-left-out", "a link left out", proof(said=extra(registry=tree[::2])), "unknown-key"),
        ("enrolled-twice", "an enrolment twice", proof(said=extra(registry=[*tree, tree[1]])), "invalid"),
        ("second-signature", "a second signature", proof(said=extra(statement=more)), "malformed"),
        ("signature-bit", "one bit of a signature", proof(said=extra(statement=_flipped())), "bad-signature"),
        ("context-not-named", "context that is not named", proof(said=extra(context=strange)), "bad-context"),
        ("no-witness", "no cosignature", proof(text=head), "no-witness"),
        ("other-witness", "cosigned by another", proof(text=head + cosigned(body(), COUNTY2)), "bad-signature"),
        ("unknown-line", "a line of no witness", proof(text=note() + cosigned(body(), PROVINCE)), "bad-signature"),
        ("witness-twice", "a cosignature twice", proof(text=note() + theirs), "malformed"),
        ("order", "the witness before the log", proof(text=f"{body()}\n{theirs}{ours}"), "bad-signature"),
        ("other-log", "the log of another node", proof(text=foreign), "not-of-this-log"),
    ]  # fmt: skip
    for name, sentence, raw, code in rows:
        vector = simple("receipt", sentence, "15.6", receipt(raw), **expected(code))
        yield f"log-receipt-{name}", {**vector, "good": "log-receipt"}
    other = {"root": c.b64(c.public(CITY)), "raw": text}
    vector = simple("receipt", "another root's key", "15.6", other, **expected("not-this-root"))
    yield "log-receipt-other-root", {**vector, "good": "log-receipt"}


def _flipped() -> Json:
    found: Json = json.loads(c.flip(b.born().raws[0]))
    return found


def _lines() -> Iterator[tuple[str, Vector]]:
    found = lines()
    rows: list[tuple[str, str, str, Callable[[Json], Json]]] = [
        ("checkpoint-old-negative", "a negative old size", "checkpoint", lambda said: {**said, "old": -1}),
        ("checkpoint-proof-long", "64 hashes", "checkpoint", lambda said: {**said, "proof": ["0" * 64] * 64}),
        ("checkpoint-proof-upper", "hashes in upper case", "checkpoint", lambda said: {**said, "proof": ["A" * 64]}),
        ("checkpoint-note-long", "a note of 4097 characters", "checkpoint", lambda said: {**said, "note": "x" * 4097}),
        ("checkpoint-note-null", "no note", "checkpoint", lambda said: {**said, "note": None}),
        ("cosignature-log", "no log's name", "cosignature", lambda said: {**said, "log": "example.com/log"}),
        ("cosignature-line-long", "a line of 513 characters", "cosignature", lambda said: {**said, "line": "x" * 513}),
        ("cosignature-unknown-field", "an unknown field", "cosignature", lambda said: {**said, "more": 1}),
        ("settled-nothing", "no statements", "settled", lambda said: {**said, "ids": []}),
        ("settled-many", "501 statements", "settled", lambda said: {**said, "ids": ["0" * 64] * 501}),
        ("settled-inc-object", "an incarnation as object", "settled", lambda said: {**said, "inc": {}}),
        ("heard-upto-text", "a number as text", "heard", lambda said: {**said, "upto": "7"}),
    ]
    for name, sentence, kind, change in rows:
        data = _document({**found, kind: change(found[kind])})
        vector = document(sentence, "15.4", data, document="malformed")
        yield f"document-{name}", {**vector, "good": "document-log-lines"}
    yield from _bad_kept_lines()


def _bad_kept_lines() -> Iterator[tuple[str, Vector]]:
    found = kept_lines()
    rows: list[tuple[str, str, str, Callable[[Json], Json]]] = [
        ("signed-note-long", "a note of 4097 characters", "signed", lambda said: {**said, "note": "x" * 4097}),
        ("signed-line-null", "no line", "signed", lambda said: {**said, "line": None}),
        ("kept-line-long", "a line of 513 characters", "kept", lambda said: {**said, "line": "x" * 513}),
        ("kept-note-empty", "an empty note", "kept", lambda said: {**said, "note": ""}),
        ("kept-unknown-field", "an unknown field", "kept", lambda said: {**said, "more": 1}),
    ]
    for name, sentence, kind, change in rows:
        data = _document({**found, kind: change(found[kind])})
        vector = document(sentence, "15.4", data, document="malformed")
        yield f"document-{name}", {**vector, "good": "document-kept-states"}
