"""Bad vectors of the registry, documents, keys and joining."""

import json
from collections.abc import Iterator

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, PROVINCE, Json
from tests.wire.good import (
    Vector,
    document,
    expected,
    invitation,
    join_payload,
    loose_lines,
    raw,
    registry,
    simple,
)


def bad_documents() -> Iterator[tuple[str, Vector]]:
    for group in (_cards, _registry, _seals, _documents, _keys, _joins):
        yield from group()


def _more(sentence: str, data: bytes, code: str, base: str = "registry-tree") -> Vector:
    """The whole tree and one entry more."""
    tree = b.registry()
    return {**registry(sentence, "7.2", [*tree, data], at=len(tree), **expected(code)), "good": base}


def _last() -> str:
    """The last entry of the province's chain, the third."""
    return c.identity(b.registry()[2])


def _enrol(body: Json, **other: object) -> bytes:
    """The province's next entry; `other` replaces fields of it."""
    payload = {"seq": 3, "prev": _last(), **other}
    return c.registered(PROVINCE, 0, None, "enrolled", body, **payload)


def _cards() -> Iterator[tuple[str, Vector]]:
    small = "01" + "00" * 31
    flipped = c.card(c.STRANGER)["key"]
    spare = flipped[:-1] + chr(ord(flipped[-1]) + 1)
    new = b.enrolled(c.STRANGER)
    rows: list[tuple[str, str, bytes, str]] = [
        (
            "code-taken",
            "a code enrolled twice",
            _enrol({"node": c.card(c.STRANGER) | {"code": COUNTY}, "inc": new["inc"]}),
            "code-taken",
        ),
        (
            "key-taken",
            "the key of another node",
            _enrol(b.enrolled(c.STRANGER, key=c.card(COUNTY)["key"])),
            "key-taken",
        ),
        ("wrong-tier", "a child of the same tier", _enrol(b.enrolled(c.STRANGER, tier="province")), "wrong-tier"),
        ("by-a-county", "a county enrols a county", c.registered(COUNTY, 0, None, "enrolled", new), "wrong-tier"),
        (
            "incarnation-2",
            "a first incarnation with number 2",
            _enrol({**new, "inc": [2, "0" * 32]}),
            "wrong-incarnation",
        ),
        (
            "incarnation-without-nonce",
            "a first incarnation without nonce",
            _enrol({**new, "inc": [1, ""]}),
            "wrong-incarnation",
        ),
        (
            "small-order-key",
            "a key of small order",
            _enrol(b.enrolled(c.STRANGER, key=c.b64(bytes.fromhex(small)))),
            "bad-key",
        ),
        (
            "key-spare-bits",
            "a key with bits to spare that are not zero",
            _enrol(b.enrolled(c.STRANGER, key=spare)),
            "bad-key",
        ),
        ("key-short", "a key of 42 characters", _enrol(b.enrolled(c.STRANGER, key=flipped[:-1])), "invalid"),
        (
            "url-of-no-scheme",
            "a URL of another scheme",
            _enrol(b.enrolled(c.STRANGER, url="ftp://620104.example")),
            "invalid",
        ),
        ("recipient-of-no-age", "no age recipient", _enrol(b.enrolled(c.STRANGER, box="age2" + "q" * 58)), "invalid"),
    ]
    for name, sentence, data, code in rows:
        yield f"registry-{name}", _more(sentence, data, code)


def _registry() -> Iterator[tuple[str, Vector]]:
    new = b.enrolled(c.STRANGER)
    rows: list[tuple[str, str, bytes, str]] = [
        ("gap", "a seq left out", _enrol(new, seq=4), "gap"),
        ("second-at-seq", "a second entry at a seq taken", _enrol(new, seq=2), "equivocation"),
        ("wrong-prev", "another prev", _enrol(new, prev="0" * 64), "wrong-prev"),
        (
            "author-in-other-inc",
            "an author in an incarnation never granted",
            _enrol(new, seq=0, prev=None, inc=[2, "0" * 32]),
            "unknown-key",
        ),
        (
            "author-unknown",
            "an author nobody enrolled",
            c.registered(c.STRANGER, 0, None, "enrolled", new),
            "unknown-key",
        ),
        (
            "second-root",
            "a second root",
            c.registered(c.CITY2, 0, None, "anchored", _root(c.CITY2), inc=[2, "0" * 32]),
            "second-root",
        ),
    ]
    for name, sentence, data, code in rows:
        yield f"registry-{name}", _more(sentence, data, code)
    body = {"list": "divisions", "version": -1}
    yield (
        "registry-version-negative",
        _more(
            "a negative version",
            c.registered(PROVINCE, 3, _last(), "published", body),
            "invalid",
            "registry-published",
        ),
    )
    forged = b.anchored(author=CITY)
    yield (
        "registry-anchor-of-another",
        {
            **registry("an anchor by another than its author", "7.1", [forged], at=0, **expected("forged-author")),
            "good": "registry-tree",
        },
    )


def _root(code: str) -> Json:
    return {"node": c.card(code), "inc": [2, "0" * 32], "witnesses": []}


def _bad_document(
    name: str, sentence: str, data: bytes, code: str, base: str = "document-request"
) -> tuple[str, Vector]:
    return name, {**document(sentence, "8.3", data, document=code), "good": base}


def _seals() -> Iterator[tuple[str, Vector]]:
    thread = b.on_offer()
    head = c.document_header(COUNTY, CITY, first=1)
    data = c.document(head, thread.raws)
    body, _, last = data[:-1].rpartition(b"\n")
    seal = json.loads(last)["seal"]
    bit = {"seal": json.loads(c.flip(c.dumps(seal)))}
    yield _bad_document("seal-digest", "another digest", c.document(head, thread.raws, digest="0" * 64), "bad-seal")
    yield _bad_document("seal-to", "another receiver", c.document(head, thread.raws, to=PROVINCE), "bad-seal")
    yield _bad_document("seal-session", "another session", c.document(head, thread.raws, session="0" * 32), "bad-seal")
    yield _bad_document("seal-nonce", "another nonce", c.document(head, thread.raws, nonce="0" * 32), "bad-seal")
    yield _bad_document("seal-nonce-null", "no nonce", c.document(head, thread.raws, nonce=None), "bad-seal")
    yield _bad_document("seal-inc", "another incarnation", c.document(head, thread.raws, inc=[2, "0" * 32]), "bad-seal")
    yield _bad_document("seal-author", "another author", c.document(head, thread.raws, author=CITY), "bad-seal")
    yield _bad_document(
        "seal-by-another", "sealed by another node", c.document(head, thread.raws, signed_by=CITY), "bad-seal"
    )
    yield _bad_document(
        "seal-by-stranger",
        "sealed under an unknown key",
        c.document(head, thread.raws, signed_by=c.STRANGER),
        "unknown-peer",
    )
    yield _bad_document("seal-unknown-field", "an unknown field", c.document(head, thread.raws, extra=1), "bad-seal")
    yield _bad_document("seal-signature", "one bit of the signature", body + b"\n" + c.dumps(bit) + b"\n", "bad-seal")
    typ = c.jws(c.unb64(seal["payload"]), c.REMARK, COUNTY)
    yield _bad_document("seal-typ", "the typ of a remark", body + b'\n{"seal":' + typ + b"}\n", "bad-seal")
    yield _bad_document(
        "seal-more-members", "a member beside the seal", body + b"\n" + last[:-1] + b',"x":1}\n', "malformed"
    )
    yield _bad_document("seal-missing", "no seal", body + b"\n", "malformed")
    yield _bad_document("seal-not-json", "a last line that is no JSON", body + b"\nx\n", "bad-seal")
    yield _bad_document("seal-twice", "the seal once more", data + last + b"\n", "bad-seal")
    wide = body + b"\n" + last[:-1] + b" " * (98305 - len(last)) + b"}\n"
    yield _bad_document("seal-too-large", "a seal line too large", wide, "too-large")


def _documents() -> Iterator[tuple[str, Vector]]:
    thread = b.on_offer()
    head = c.document_header(COUNTY, CITY, first=1)
    data = c.document(head, thread.raws)
    loose = "document-loose-lines"
    chunk = json.loads(loose_lines()[0])["chunk"]
    yield _bad_document(
        "document-byte-flipped",
        "one byte of a statement",
        data.replace(thread.raws[0][:40], thread.raws[0][:39] + b"A"),
        "bad-seal",
    )
    yield _bad_document("document-cut", "cut in the middle", data[: len(data) // 2], "malformed")
    yield _bad_document("document-without-last-feed", "no last line feed", data[:-1], "malformed")
    yield _bad_document(
        "document-line-dropped", "a statement taken out", data.replace(thread.raws[1] + b"\n", b""), "bad-seal"
    )
    yield _bad_document(
        "document-lines-swapped",
        "two statements swapped",
        data.replace(thread.raws[0] + b"\n" + thread.raws[1], thread.raws[1] + b"\n" + thread.raws[0]),
        "bad-seal",
    )
    yield _bad_document("document-empty", "nothing", b"", "malformed")
    yield _bad_document("document-one-line", "one line", data.partition(b"\n")[0] + b"\n", "malformed")
    yield _bad_document("document-carriage-returns", "lines ended otherwise", data.replace(b"\n", b"\r\n"), "bad-seal")
    headers: list[tuple[str, str, Json]] = [
        ("unknown-field", "an unknown field", {"extra": 1}),
        ("version-2", "another version", {"v": 2}),
        ("lane-unknown", "a lane of no meaning", {"lane": "slow"}),
        ("budget-zero", "a budget of no items", {"budget": {"items": 0, "bytes": 1048576, "wait_s": 0}}),
        ("wait-26", "a wait too long", {"budget": {"items": 1, "bytes": 1048576, "wait_s": 26}}),
        ("checkpoint", "a checkpoint", {"checkpoint": {}}),
        ("ack-negative", "a negative ack", {"ack": {**head["ack"], "seq": -1}}),
        ("first-text", "text for a count", {"first": "1"}),
        ("session-short", "a session of 31 digits", {"session": "0" * 31}),
    ]
    for name, sentence, change in headers:
        yield _bad_document(f"header-line-{name}", sentence, c.document({**head, **change}, thread.raws), "malformed")
    missing = {key: head[key] for key in head if key != "instance"}
    yield _bad_document("header-line-missing-field", "a field missing", c.document(missing, thread.raws), "malformed")
    lines: list[tuple[str, str, list[bytes], str]] = [
        ("statement-after-loose", "a statement after a loose line", [c.text("later", 1), *thread.raws], "malformed"),
        ("line-empty", "an empty line", [*thread.raws, b""], "malformed"),
        ("line-not-json", "a line that is no JSON", [*thread.raws, b"x"], "malformed"),
        ("line-duplicate-key", "a key twice", [*thread.raws, b'{"pull":1,"pull":1}'], "malformed"),
        ("line-two-members", "a loose line with two members", [*thread.raws, b'{"a":1,"b":2}'], "malformed"),
        ("chunk-unknown-field", "a chunk with an unknown field", [c.text("chunk", {**chunk, "x": 1})], "malformed"),
        ("pull-without-offset", "a pull without offset", [c.text("pull", {"digest": "0" * 64})], "malformed"),
        (
            "verdict-disposition",
            "a disposition of no meaning",
            [c.text("verdict", {"seq": 1, "id": "0" * 64, "disposition": "lost", "code": None})],
            "malformed",
        ),
    ]
    for name, sentence, these, code in lines:
        yield _bad_document(name, sentence, c.document(head, these), code, loose)


def _keys() -> Iterator[tuple[str, Vector]]:
    p = 2**255 - 19
    rows = [
        ("identity", "the identity", bytes([1]) + bytes(31)),
        ("order-2", "the point of order 2", (p - 1).to_bytes(32, "little")),
        ("order-4", "a point of order 4", bytes(32)),
        (
            "order-8",
            "a point of order 8",
            bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        ),
        ("identity-sign-bit", "x = 0 with the sign bit", bytes([1]) + bytes(30) + bytes([128])),
        ("not-canonical", "y = p", p.to_bytes(32, "little")),
        ("not-canonical-identity", "y = p + 1", (p + 1).to_bytes(32, "little")),
        ("not-on-the-curve", "no point of the curve", bytes([2]) + bytes(31)),
        ("mixed-order", "a point with a part of order 2", _plus_order_two(c.public(CITY))),
        ("31-bytes", "31 bytes", c.public(CITY)[:31]),
        ("33-bytes", "33 bytes", c.public(CITY) + bytes(1)),
    ]
    for name, sentence, raw_key in rows:
        given = {"key": raw_key.hex()}
        yield f"key-{name}", {**simple("key", sentence, "3.3", given, **expected("bad-key")), "good": f"key-{CITY}"}


def _plus_order_two(key: bytes) -> bytes:
    """The sum with (0, -1): both coordinates change their sign."""
    p = 2**255 - 19
    number = int.from_bytes(key, "little")
    y, sign = number & (2**255 - 1), number >> 255
    return ((p - y) | ((1 - sign) << 255)).to_bytes(32, "little")


def _joins() -> Iterator[tuple[str, Vector]]:
    good = c.jws(c.dumps(join_payload()), c.JOIN, COUNTY)
    small = c.card(COUNTY) | {"key": c.card(CITY)["key"]}
    rows: list[tuple[str, str, bytes, str]] = [
        (
            "other-key",
            "a key whose private half it lacks",
            c.jws(c.dumps(join_payload(node=small)), c.JOIN, COUNTY),
            "unknown-key",
        ),
        ("typ", "the typ of a seal", c.jws(c.dumps(join_payload()), c.SEAL, COUNTY), "wrong-type"),
        (
            "secret-short",
            "a secret too short",
            c.jws(c.dumps(join_payload(secret="0" * 30)), c.JOIN, COUNTY),
            "invalid",
        ),
        (
            "missing-nonce",
            "no nonce",
            c.jws(c.dumps({k: v for k, v in join_payload().items() if k != "nonce"}), c.JOIN, COUNTY),
            "invalid",
        ),
        ("signature-bit", "one bit of the signature", c.flip(good), "bad-signature"),
    ]
    for name, sentence, data, code in rows:
        yield f"join-{name}", {**simple("join", sentence, "9", raw(data), **expected(code)), "good": "join-request"}
    token = c.b64(c.dumps(invitation()))
    tokens: list[tuple[str, str, str, str]] = [
        ("cut", "cut", token[:-8], "malformed"),
        ("padded", "padding", token + "=", "malformed"),
        ("unknown-field", "an unknown field", c.b64(c.dumps(invitation(extra=1))), "invalid"),
        ("version-2", "another version", c.b64(c.dumps(invitation(v=2))), "invalid"),
        ("url-of-no-scheme", "a URL of another scheme", c.b64(c.dumps(invitation(url="ftp://x"))), "invalid"),
    ]
    for name, sentence, one, code in tokens:
        yield f"token-{name}", {**simple("token", sentence, "9", {"token": one}, **expected(code)), "good": "token"}
