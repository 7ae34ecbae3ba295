"""Bad vectors of single statements: form, header, signature, JSON, shape, size."""

import json
from collections.abc import Iterator
from typing import Any

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, Json
from tests.wire.good import Vector, expected, opened_payload, statement

L = 2**252 + 27742317777372353535851937790883648493


def bad_statements() -> Iterator[tuple[str, Vector]]:
    for group in (_jws, _forms, _headers, _signers, _json, _shapes, _sizes):
        yield from group()


def _one(
    name: str, spec: str, sentence: str, data: bytes, code: str, base: str = "statement-opened"
) -> tuple[str, Vector]:
    return name, {**statement(sentence, spec, data, **expected(code)), "good": base}


def _outer(**change: Any) -> bytes:
    """The plain statement as a JWS object, with members replaced; None takes one away."""
    found = {**json.loads(b.born().raws[0]), **change}
    return c.dumps({key: value for key, value in found.items() if value is not None})


def _signatures() -> list[Json]:
    found: list[Json] = json.loads(b.born().raws[0])["signatures"]
    return found


def _jws() -> Iterator[tuple[str, Vector]]:
    plain = b.born().raws[0]
    outer, one = json.loads(plain), _signatures()[0]
    sig = c.unb64(one["signature"])
    high = sig[:32] + (int.from_bytes(sig[32:], "little") + L).to_bytes(32, "little")
    other_typ = c.signature(COUNTY, outer["payload"], c.dumps({"alg": "X", "kid": c.kid(COUNTY), "typ": c.REMARK}))
    none = {"protected": c.b64(c.dumps({"alg": "none", "kid": c.kid(COUNTY), "typ": c.ENTRY})), "signature": ""}
    yield _one(
        "signature-bit",
        "3.4",
        "one bit of the signature",
        c.flip(plain),
        "bad-signature",
    )
    yield _one(
        "signature-s-above-order",
        "3.3",
        "S is not below L",
        _outer(signatures=[{**one, "signature": c.b64(high)}]),
        "bad-signature",
    )
    yield _one(
        "signature-63-bytes",
        "3.1",
        "a byte less",
        _outer(signatures=[{**one, "signature": c.b64(sig[:63])}]),
        "malformed",
    )
    yield _one("signature-none-given", "3.1", "no signature", _outer(signatures=[]), "malformed")
    yield _one("signature-twice", "3.1", "two Ed25519 signatures", _outer(signatures=[one, one]), "malformed")
    yield _one("signatures-five", "3.1", "five signatures", _outer(signatures=[one] * 5), "malformed")
    yield _one(
        "signature-second-none",
        "3.1",
        "a second signature with alg none",
        _outer(signatures=[one, none]),
        "malformed",
    )
    yield _one(
        "signature-second-typ",
        "3.1",
        "a second signature of another typ",
        _outer(signatures=[one, other_typ]),
        "malformed",
    )
    yield _one(
        "signature-unprotected-header",
        "3.1",
        "an unprotected header",
        _outer(signatures=[{**one, "header": {}}]),
        "malformed",
    )
    yield _one(
        "signature-not-text",
        "3.1",
        "a signature that is a number",
        _outer(signatures=[{**one, "signature": 1}]),
        "malformed",
    )


def _forms() -> Iterator[tuple[str, Vector]]:
    plain = b.born().raws[0]
    outer, one = json.loads(plain), _signatures()[0]
    payload = outer["payload"]
    assert len(c.payload_of(plain)) % 3, "the last character of the payload has bits to spare"
    spare = payload[:-1] + chr(ord(payload[-1]) + 1)
    yield _one("jws-flattened", "3.1", "flattened serialization", c.dumps({"payload": payload, **one}), "malformed")
    yield _one(
        "jws-compact",
        "3.1",
        "compact serialization",
        f"{one['protected']}.{payload}.{one['signature']}".encode(),
        "malformed",
    )
    yield _one("jws-extra-member", "3.1", "a further member", _outer(header={}), "malformed")
    yield _one("jws-payload-not-text", "3.1", "the payload as an object", _outer(payload={}), "malformed")
    yield _one("base64url-padded", "1", "padding", _outer(payload=payload + "=" * (-len(payload) % 4)), "malformed")
    yield _one("base64url-spare-bits", "1", "bits to spare that are not zero", _outer(payload=spare), "malformed")
    yield _one(
        "base64url-white-space",
        "1",
        "a line break in the payload",
        _outer(payload=payload[:8] + "\n" + payload[8:]),
        "malformed",
    )
    yield _one("base64-alphabet", "1", "a character of plain base64", _outer(payload="+" + payload[1:]), "malformed")
    yield _one("jws-duplicate-key", "3.2", "a member twice", plain[:-1] + b',"payload":"e30"}', "malformed")
    yield _one("jws-not-an-object", "3.2", "an array", b"[" + plain + b"]", "malformed")


def _headers() -> Iterator[tuple[str, Vector]]:
    plain = c.payload_of(b.born().raws[0])
    good = json.loads(c.header(COUNTY, c.ENTRY))
    rows: list[tuple[str, str, Any]] = [
        ("alg-none", "alg none", {"alg": "none"}),
        ("alg-hs256", "a symmetric alg", {"alg": "HS256"}),
        ("alg-es256", "an alg of no suite here", {"alg": "ES256"}),
        ("alg-lower-case", "alg in lower case", {"alg": "ed25519"}),
        ("alg-number", "alg a number", {"alg": 1}),
        ("header-extra-field", "a further field", {"iat": "1"}),
        ("header-jku", "jku", {"jku": "https://620102.example"}),
        ("header-jwk", "a key in band", {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": c.b64(c.public(COUNTY))}}),
        ("header-x5u", "x5u", {"x5u": "https://620102.example"}),
        ("header-crit", "crit", {"crit": ["exp"]}),
        ("header-b64", "b64", {"b64": False}),
        ("header-no-typ", "no typ", {"typ": None}),
        ("header-no-kid", "no kid", {"kid": None}),
    ]
    for name, sentence, change in rows:
        header = {key: value for key, value in {**good, **change}.items() if value is not None}
        yield _one(name, "3.1", sentence, c.jws(plain, c.ENTRY, COUNTY, c.dumps(header)), "malformed")
    twice = c.header(COUNTY, c.ENTRY)[:-1] + b',"alg":"Ed25519"}'
    yield _one("header-duplicate-key", "3.2", "alg twice", c.jws(plain, c.ENTRY, COUNTY, twice), "malformed")
    yield _one("typ-remark", "3.4", "typ of another statement", c.jws(plain, c.REMARK, COUNTY), "invalid")
    yield _one("typ-seal", "3.4", "typ of a seal", c.jws(plain, c.SEAL, COUNTY), "unknown-type")


def _signers() -> Iterator[tuple[str, Vector]]:
    plain = c.payload_of(b.born().raws[0])
    body = c.b64(plain)
    protected = c.b64(c.header(CITY, c.ENTRY))
    foreign = c.b64(c.private(COUNTY).sign(f"{protected}.{body}".encode()))
    wrong = c.dumps({"payload": body, "signatures": [{"protected": protected, "signature": foreign}]})
    yield _one("kid-of-another", "3.4", "the key id of another node", wrong, "bad-signature")
    yield _one("kid-unknown", "3.4", "a key nobody enrolled", c.jws(plain, c.ENTRY, c.STRANGER), "unknown-key")
    yield _one(
        "author-forged",
        "3.4",
        "signed by another node than its author",
        c.jws(plain, c.ENTRY, CITY),
        "forged-author",
    )
    thread = b.on_offer()
    said = json.loads(b.declined(thread, CITY))
    said["signatures"][0]["signature"] = c.b64(bytes(64))
    thread.add(COUNTY, "resumed", {"offer": thread.head, "declined": said})
    yield _one(
        "resumed-with-forged-declined",
        "3.4",
        "the declined inside does not verify",
        thread.raws[-1],
        "bad-signature",
    )


# ---- payloads ---------------------------------------------------------------------------------------------------


def _json() -> Iterator[tuple[str, Vector]]:
    plain = c.payload_of(b.born().raws[0])
    title = "滨河路路灯不亮".encode()
    seq = b'"seq":0'
    deep = c.dumps(opened_payload(kind="later", topic="0" * 64, body="@")).replace(
        b'"@"', b'{"a":' * 32 + b"1" + b"}" * 32
    )
    rows: list[tuple[str, str, bytes]] = [
        ("duplicate-key", "a key twice", plain[:-1] + b',"v":1}'),
        ("duplicate-key-inside", "a key twice in the body", plain.replace(b'"depth":0', b'"depth":0,"depth":0')),
        ("float", "a fraction", plain.replace(seq, b'"seq":0.0')),
        ("exponent", "an exponent", plain.replace(seq, b'"seq":0e0')),
        ("minus-zero", "minus zero", plain.replace(seq, b'"seq":-0')),
        ("nan", "NaN", plain.replace(seq, b'"seq":NaN')),
        ("infinity", "Infinity", plain.replace(seq, b'"seq":Infinity')),
        ("integer-too-big", "2^53", plain.replace(seq, b'"seq":9007199254740992')),
        ("integer-far-too-big", "400 digits", plain.replace(seq, b'"seq":' + b"9" * 400)),
        ("depth-33", "33 levels", deep),
        ("depth-500", "500 levels", plain.replace(seq, b'"seq":' + b"[" * 500 + b"]" * 500)),
        ("lone-surrogate", "half a surrogate pair", plain.replace(title, b"\\ud83d")),
        ("lone-surrogate-in-key", "half a surrogate pair in a key", plain[:-1] + b',"\\udc00":1}'),
        ("null-character", "U+0000", plain.replace(title, b"\\u0000")),
        ("control-character", "an unescaped control character", plain.replace(title, b"\x01")),
        ("invalid-utf8", "a byte that is no UTF-8", plain.replace(title, b"\xff")),
        ("utf8-surrogate", "a surrogate in UTF-8", plain.replace(title, b"\xed\xa0\x80")),
        ("utf8-overlong", "an overlong slash", plain.replace(title, b"\xc0\xaf")),
        ("utf16", "UTF-16", plain.decode().encode("utf-16-le")),
        ("byte-order-mark", "a byte order mark", b"\xef\xbb\xbf" + plain),
        ("trailing-text", "text after the object", plain + b"x"),
        ("second-object", "a second object", plain + plain),
        ("payload-array", "an array", b"[" + plain + b"]"),
        ("payload-empty", "nothing", b""),
        ("comment", "a comment", b"/**/" + plain),
        ("trailing-comma", "a comma too many", plain[:-1] + b",}"),
    ]
    for name, sentence, payload in rows:
        yield _one(f"json-{name}", "3.2", sentence, c.jws(payload, c.ENTRY, COUNTY), "malformed")


def _shapes() -> Iterator[tuple[str, Vector]]:
    good, body = opened_payload(), b.opened(COUNTY)
    ref, _ = c.part("text", b"x")
    rows: list[tuple[str, str, Json]] = [
        ("unknown-field", "an unknown field", {**good, "extra": None}),
        ("unknown-field-in-body", "an unknown field in the body", {**good, "body": {**body, "extra": None}}),
        ("missing-field", "a field missing", {key: good[key] for key in good if key != "parts"}),
        (
            "missing-field-in-body",
            "a field missing in the body",
            {**good, "body": {k: body[k] for k in body if k != "unit"}},
        ),
        ("kind-missing", "no kind", {key: good[key] for key in good if key != "kind"}),
        ("kind-upper-case", "a kind that is no word", {**good, "kind": "Opened"}),
        ("null-for-text", "null where text must be", {**good, "body": {**body, "title": None}}),
        ("text-for-integer", "text for an integer", {**good, "seq": "0"}),
        ("true-for-version", "true for the version", {**good, "v": True}),
        ("version-2", "another version", {**good, "v": 2}),
        ("negative-seq", "a negative count", {**good, "seq": -1}),
        ("author-five-digits", "a code of five digits", {**good, "author": "62010"}),
        ("author-other-digits", "digits that are not ASCII", {**good, "author": "٦٢٠١٠٢"}),
        ("author-line-feed", "a line feed after a code", {**good, "author": "620102\n"}),
        ("inc-object", "an incarnation as an object", {**good, "inc": {"number": 1, "nonce": c.inc(COUNTY)[1]}}),
        ("inc-short", "an incarnation without nonce", {**good, "inc": [1]}),
        ("inc-long", "an incarnation with more", {**good, "inc": [*c.inc(COUNTY), 0]}),
        ("term-object", "a term as an object", {**good, "term": {"g": 0, "k": 0, "i": [0, ""], "t": 0}}),
        ("at-without-zone", "an instant without Z", {**good, "at": "2026-05-01T01:00:00"}),
        ("at-offset", "an instant with an offset", {**good, "at": "2026-05-01T09:00:00+08:00"}),
        ("at-no-such-day", "30 February", {**good, "at": "2026-02-30T01:00:00Z"}),
        ("at-leap-second", "second 60", {**good, "at": "2026-12-31T23:59:60Z"}),
        ("at-midnight-24", "hour 24", {**good, "at": "2026-12-31T24:00:00Z"}),
        ("at-year-1899", "a year too early", {**good, "at": "1899-12-31T23:59:59Z"}),
        ("at-year-3000", "a year too late", {**good, "at": "3000-01-01T00:00:00Z"}),
        ("at-seven-digits", "7 digits of fraction", {**good, "at": "2026-05-01T01:00:00.0000001Z"}),
        ("digest-upper-case", "a digest in capitals", {**good, "prev": "A" * 64}),
        ("nonce-short", "a nonce of 120 bits", {**good, "body": {**body, "nonce": "0" * 30}}),
        ("area-seven-digits", "an area of seven digits", {**good, "body": {**body, "areas": ["6201021"]}}),
        ("arbiters-empty", "no arbiter", {**good, "body": {**body, "arbiters": []}}),
        ("part-named-twice", "two parts of one name", {**good, "parts": [ref, ref]}),
        ("part-share-unknown", "a share of no meaning", {**good, "parts": [{**ref, "share": "public"}]}),
        ("part-name-upper-case", "a part name with capitals", {**good, "parts": [{**ref, "name": "Text"}]}),
        (
            "part-media-parameters",
            "a media type with parameters",
            {**good, "parts": [{**ref, "media": "text/plain;x=y"}]},
        ),
    ]
    for name, sentence, payload in rows:
        yield _one(f"shape-{name}", "5.2", sentence, c.jws(c.dumps(payload), c.ENTRY, COUNTY), "invalid")
    thread = b.on_offer()
    said = c.remark(CITY, thread.topic, thread.head, "declined", {"code": "no", "reason": ""})
    yield _one("shape-decline-code-unknown", "6", "a decline code of no meaning", said, "invalid", "remark-declined")
    said = c.remark(COUNTY, thread.topic, thread.topic, "promised", {"due_at": "2026-05-29"})
    yield _one("shape-promised-day-alone", "6", "a promised day without an instant", said, "invalid", "remark-promised")


def _sizes() -> Iterator[tuple[str, Vector]]:
    good, body = opened_payload(), b.opened(COUNTY)
    later = c.dumps({**good, "kind": "later", "topic": "0" * 64, "body": {"a": ""}})
    full = later.replace(b'"a":""', b'"a":"' + b"x" * (61441 - len(later)) + b'"')
    yield _one(
        "size-payload-61441",
        "3.1",
        "a byte too much",
        c.jws(full, c.ENTRY, COUNTY),
        "too-large",
        "payload-61440-bytes",
    )
    plain = b.born().raws[0]
    wide = plain[:-1] + b" " * (98305 - len(plain)) + b"}"
    yield _one("size-statement-98305", "3.1", "a whole statement a byte too large", wide, "too-large")
    said = c.payload_of(b.declined(b.on_offer(), CITY))
    data = c.jws(said[:-1] + b" " * (4097 - len(said)) + b"}", c.REMARK, CITY)
    yield _one("size-declined-4097", "3.4", "a declined a byte too large", data, "too-large", "declined-4096-bytes")
    whole = b.declined(b.on_offer(), CITY)
    data = whole[:-1] + b" " * (16385 - len(whole)) + b"}"
    yield _one(
        "size-declined-statement-16385",
        "3.4",
        "a whole declined too large",
        data,
        "too-large",
        "remark-declined",
    )
    ref, _ = c.part("text", b"x")
    rows: list[tuple[str, str, Json]] = [
        ("title-301", "a title too long", {**good, "body": {**body, "title": "x" * 301}}),
        ("title-empty", "an empty title", {**good, "body": {**body, "title": ""}}),
        ("areas-65", "an area too many", {**good, "body": {**body, "areas": [COUNTY] * 65}}),
        ("depth-9", "a split too deep", {**good, "body": {**body, "parent": {"entry": "0" * 64, "n": 0}, "depth": 9}}),
        ("parts-65", "a part too many", {**good, "parts": [{**ref, "name": f"p{n}"} for n in range(65)]}),
        ("part-33554433", "a part too large", {**good, "parts": [{**ref, "size": 33554433}]}),
        ("part-media-122", "a media type too long", {**good, "parts": [{**ref, "media": "x" * 40 + "/" + "y" * 80}]}),
    ]
    for name, sentence, payload in rows:
        yield _one(f"size-{name}", "12", sentence, c.jws(c.dumps(payload), c.ENTRY, COUNTY), "invalid")
