"""The good vectors: what every reader must take, keep or relay."""

import json
from collections.abc import Iterator
from typing import Any

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread

Vector = Json


def raw(data: bytes) -> Json:
    """Bytes in a vector: as text where they are UTF-8 without a mark, else in base64."""
    try:
        if not data.startswith(b"\xef\xbb\xbf"):
            return {"raw": data.decode()}
    except UnicodeDecodeError:
        pass
    return {"raw_base64": c.base64.b64encode(data).decode()}


def statement(name: str, spec: str, data: bytes, **expect: Any) -> Vector:
    given = {"keys": c.keys(), **raw(data)}
    return {"name": name, "spec": spec, "checks": "statement", "given": given, "expect": expect}


def chain(
    name: str, spec: str, thread: Thread, new: bool = True, roster: list[Json] | None = None, **expect: Any
) -> Vector:
    given = {"roster": roster or c.roster(), "new": new, "statements": [one.decode() for one in thread.raws]}
    return {"name": name, "spec": spec, "checks": "chain", "given": given, "expect": expect}


def registry(name: str, spec: str, statements: list[bytes], **expect: Any) -> Vector:
    given = {"statements": [one.decode() for one in statements]}
    return {"name": name, "spec": spec, "checks": "registry", "given": given, "expect": expect}


def document(name: str, spec: str, data: bytes, **expect: Any) -> Vector:
    return {
        "name": name,
        "spec": spec,
        "checks": "document",
        "given": {"keys": c.keys(), **raw(data)},
        "expect": expect,
    }


def simple(checks: str, name: str, spec: str, given: Json, **expect: Any) -> Vector:
    return {"name": name, "spec": spec, "checks": checks, "given": given, "expect": expect}


_REFUSED = {"malformed", "too-large", "invalid", "bad-key", "wrong-type"}
_REFUSED |= {"unproven", "no-witness", "not-this-root", "not-of-this-log", "bad-context"}
_DEFERRED = {"unknown-key", "gap"}


def expected(code: str) -> Json:
    disposition = "refused" if code in _REFUSED else "deferred" if code in _DEFERRED else "held"
    return {"disposition": disposition, "code": code}


def good() -> dict[str, Vector]:
    made: dict[str, Vector] = {}
    for group in (_statements, _free_forms, _limits, _unknowns, _remarks, _chains, _splits, _claims):
        made.update(group())
    for group in (_registry, _documents, _small):
        made.update(group())
    return made


def accepted(data: bytes, author: str = COUNTY, kind: str = "opened", known: bool = True) -> Json:
    return {"disposition": "accepted", "identity": c.identity(data), "author": author, "kind": kind, "known": known}


def opened_payload(**other: Any) -> Json:
    return {**json.loads(c.payload_of(b.born().raws[0])), **other}


def state(thread: Thread, custodian: str, stack: list[str], participants: list[str], **other: Any) -> Json:
    """What a reader must know of a chain; the writer is the custodian unless said."""
    expect = {
        "topic": thread.topic,
        "head": thread.head,
        "seq": len(thread.raws) - 1,
        "term": thread.term,
        "custodian": custodian,
        "writer": {"node": custodian, "inc": c.inc(custodian), "offer": None},
        "stack": stack,
        "participants": sorted(participants),
        "resulted": False,
        "closed": False,
    }
    return {**expect, **other}


def _statements() -> Iterator[tuple[str, Vector]]:
    plain = b.born().raws[0]
    yield "statement-opened", statement("a topic is opened", "5.2", plain, **accepted(plain))
    part, _ = c.part("text", "滨河路东段十二盏路灯不亮。".encode())
    local, _ = c.part("submitter", b'{"phone":"0931"}', "local", "application/json")
    thread = Thread()
    thread.add(COUNTY, "opened", b.opened(COUNTY), [part, local])
    yield (
        "statement-with-parts",
        statement("parts are named, a local one too", "4", thread.raws[0], **accepted(thread.raws[0])),
    )
    data = c.jws(c.payload_of(plain), c.ENTRY, COUNTY, c.header(COUNTY, c.ENTRY, "EdDSA"))
    yield "statement-alg-eddsa", statement("the older name of the algorithm is taken", "3.1", data, **accepted(data))


def _free_forms() -> Iterator[tuple[str, Vector]]:
    plain = b.born().raws[0]
    loose = json.dumps(json.loads(plain), indent=1).encode()
    yield "jws-with-white-space", statement("white space in the JWS is free", "3.2", loose, **accepted(loose))
    pretty = json.dumps(dict(reversed(opened_payload().items())), indent=2).encode()
    data = c.jws(pretty, c.ENTRY, COUNTY)
    yield (
        "payload-free-order-and-escapes",
        statement("order of members, white space and escapes of a payload are free", "3.2", data, **accepted(data)),
    )
    pair = c.dumps(opened_payload()).replace("滨河路".encode(), b"\\ud83d\\ude00")
    data = c.jws(pair, c.ENTRY, COUNTY)
    yield (
        "payload-surrogate-pair",
        statement("an escaped surrogate pair is one character", "3.2", data, **accepted(data)),
    )
    header = json.dumps(json.loads(c.header(COUNTY, c.ENTRY)), indent=1).encode()
    data = c.jws(c.payload_of(plain), c.ENTRY, COUNTY, header)
    yield (
        "header-free-form",
        statement("the protected header is any JSON of its three members", "3.1", data, **accepted(data)),
    )


def _limits() -> Iterator[tuple[str, Vector]]:
    payload = opened_payload(kind="later", topic="0" * 64)
    deep = c.dumps({**payload, "body": "@"}).replace(b'"@"', b'{"a":' * 31 + b"1" + b"}" * 31)
    data = c.jws(deep, c.ENTRY, COUNTY)
    yield (
        "payload-depth-32",
        statement("32 levels are not too deep", "3.2", data, **accepted(data, kind="later", known=False)),
    )
    numbers = c.dumps({**payload, "body": {"a": 9007199254740991, "b": -9007199254740991}})
    data = c.jws(numbers, c.ENTRY, COUNTY)
    yield (
        "payload-largest-integers",
        statement("integers to 2^53-1", "3.2", data, **accepted(data, kind="later", known=False)),
    )
    full = c.dumps({**payload, "body": {"a": ""}})
    full = full.replace(b'"a":""', b'"a":"' + b"x" * (61440 - len(full)) + b'"')
    data = c.jws(full, c.ENTRY, COUNTY)
    yield (
        "payload-61440-bytes",
        statement("the largest payload", "3.1", data, **accepted(data, kind="later", known=False)),
    )
    said = c.payload_of(b.declined(b.on_offer(), CITY))
    data = c.jws(said[:-1] + b" " * (4096 - len(said)) + b"}", c.REMARK, CITY)
    yield "declined-4096-bytes", statement("the largest declined", "3.4", data, **accepted(data, CITY, "declined"))
    title = c.jws(c.dumps(opened_payload(body=b.opened(COUNTY, title="😀" * 300))), c.ENTRY, COUNTY)
    yield "title-300-code-points", statement("lengths count code points", "2", title, **accepted(title))


def _unknowns() -> Iterator[tuple[str, Vector]]:
    later = c.jws(c.dumps(opened_payload(kind="weighed", topic="0" * 64, body={"x": [1]})), c.ENTRY, COUNTY)
    yield (
        "unknown-kind",
        statement("an unknown kind is kept", "3.6", later, **accepted(later, kind="weighed", known=False)),
    )
    thread = b.born()
    thread.add(COUNTY, "weighed", {"by": "hand"})
    yield (
        "chain-unknown-kind",
        chain(
            "a fitting entry of an unknown kind is held for an upgrade",
            "3.6",
            thread,
            at=1,
            disposition="held",
            code="unknown-kind",
        ),
    )
    typ = "liandong-summary+jws"
    data = c.jws(c.dumps(opened_payload()), typ, COUNTY)
    yield "unknown-type", statement("an unknown type is kept", "3.6", data, disposition="held", code="unknown-type")
    outer = json.loads(b.born().raws[0])
    header = c.b64(c.dumps({"alg": "SM2-SM3", "kid": c.kid(CITY), "typ": c.ENTRY}))
    outer["signatures"].append({"protected": header, "signature": c.b64(b"\x07" * 64)})
    data = c.dumps(outer)
    yield (
        "second-signature-of-unknown-suite",
        statement("a second signature of another suite is kept", "3.1", data, **accepted(data)),
    )


def _remarks() -> Iterator[tuple[str, Vector]]:
    thread = b.on_offer()
    said = b.declined(thread, CITY)
    yield "remark-declined", statement("the offered node declines", "6", said, **accepted(said, CITY, "declined"))
    data = c.remark(COUNTY, thread.topic, thread.head, "recalled", {"reason": "已自行解决"})
    yield (
        "remark-recalled",
        statement("the offerer asks for the topic back", "6", data, **accepted(data, kind="recalled")),
    )
    for kind in ("urge", "comment", "cosign", "read"):
        data = c.remark(CITY, thread.topic, thread.head, kind, {"text": ""})
        yield f"remark-{kind}", statement(f"a remark: {kind}", "6", data, **accepted(data, CITY, kind))
    data = c.remark(COUNTY, thread.topic, thread.head, "rate", {"rating": "satisfied", "text": "很快"})
    yield "remark-rate", statement("a rating", "6", data, **accepted(data, kind="rate"))
    data = c.remark(COUNTY, thread.topic, thread.topic, "promised", {"due_at": "2026-05-29T15:59:59Z"})
    yield "remark-promised", statement("a promised date", "6", data, **accepted(data, kind="promised"))


def _chains() -> Iterator[tuple[str, Vector]]:
    two, up = [COUNTY, CITY], [COUNTY, CITY]
    thread = b.born()
    yield "chain-opened", chain("a topic of a county", "5.3", thread, **state(thread, COUNTY, [COUNTY], two))
    thread.add(COUNTY, "stepped", b.stepped())
    thread.add(COUNTY, "noted", {"text": "现场查看"})
    thread.add(COUNTY, "amended", b.amended(areas=[COUNTY, COUNTY2]))
    yield "chain-worked-on", chain("the custodian works on it", "5.3", thread, **state(thread, COUNTY, [COUNTY], two))
    thread = b.on_offer()
    writer = {"node": CITY, "inc": c.inc(CITY), "offer": thread.head}
    yield (
        "chain-offered",
        chain("an offer freezes it", "5.3", thread, **state(thread, COUNTY, [COUNTY], two, writer=writer)),
    )
    thread = b.taken()
    yield "chain-accepted", chain("accepting pushes", "5.5", thread, **state(thread, CITY, up, two))
    thread = b.on_offer()
    thread.add(COUNTY, "resumed", b.resumed(thread.head, b.declined(thread, CITY)))
    yield "chain-resumed", chain("a decline gives it back", "5.3", thread, **state(thread, COUNTY, [COUNTY], two))
    thread = b.given_back()
    yield "chain-reported", chain("a report pops", "5.5", thread, **state(thread, COUNTY, [COUNTY], two, resulted=True))
    thread.add(COUNTY, "closed", {"text": "", "children": []})
    yield (
        "chain-closed",
        chain("the origin closes", "5.3", thread, **state(thread, COUNTY, [COUNTY], two, resulted=True, closed=True)),
    )
    thread.add(COUNTY, "reopened", {"reason": "又坏了"})
    yield "chain-reopened", chain("the origin opens it again", "5.3", thread, **state(thread, COUNTY, [COUNTY], two))
    thread = b.given_back("return")
    yield (
        "chain-returned",
        chain("a return pops too", "5.5", thread, **state(thread, COUNTY, [COUNTY], two, resulted=True)),
    )
    thread = b.born(PROVINCE)
    thread.add(PROVINCE, "offered", b.offered(COUNTY, "delegate"))
    thread.add(COUNTY, "accepted", {"offer": thread.head})
    yield (
        "chain-delegated-past-a-tier",
        chain(
            "a skipped tier takes part",
            "5.6",
            thread,
            **state(thread, COUNTY, [PROVINCE, COUNTY], [PROVINCE, CITY, COUNTY]),
        ),
    )


def _splits() -> Iterator[tuple[str, Vector]]:
    thread = b.portions_ended()
    thread.add(CITY, "closed", {"text": "", "children": b.children_of_closed()})
    yield (
        "chain-split-and-closed",
        chain(
            "a split topic closes after its children",
            "5.3",
            thread,
            **state(thread, CITY, [CITY], [CITY, PROVINCE], resulted=True, closed=True),
        ),
    )
    above = b.split()
    thread = b.born(CITY, what="child", parent={"entry": above.head, "n": 0}, depth=1)
    yield (
        "chain-split-off",
        chain("a split-off topic names its portion", "5.2", thread, **state(thread, CITY, [CITY], [CITY, PROVINCE])),
    )


def _claims() -> Iterator[tuple[str, Vector]]:
    two = [COUNTY, CITY]
    thread = b.claimed()
    yield "chain-claimed", chain("an arbiter claims from below", "5.3", thread, **state(thread, CITY, [CITY], two))
    thread.add(CITY, "offered", b.offered(COUNTY2, "rehome"))
    thread.add(COUNTY2, "accepted", {"offer": thread.head})
    yield (
        "chain-rehomed",
        chain("re-homing replaces the lost node", "5.5", thread, **state(thread, COUNTY2, [COUNTY2], [*two, COUNTY2])),
    )
    dead = b.on_offer()
    later = c.roster(c620100=[c.inc(CITY), [2, c.fixed("second life")]])
    yield (
        "chain-verified-later",
        chain(
            "an old offer stays valid when the offered node has a new incarnation",
            "5.4",
            dead,
            new=False,
            roster=later,
            **state(dead, COUNTY, [COUNTY], two, writer={"node": CITY, "inc": c.inc(CITY), "offer": dead.head}),
        ),
    )


def _registry() -> Iterator[tuple[str, Vector]]:
    members = {
        code: {"parent": c.PARENTS.get(code), "tier": tier, "inc": c.inc(code)} for code, tier in c.TIERS.items()
    }
    tree = b.registry()
    yield "registry-tree", registry("a tree of five", "7.2", tree, anchor=PROVINCE, members=members)
    ref, _ = c.part("content", b"code,name,level,parent\n", "full", "text/csv")
    body = {"list": "divisions", "version": 9007199254740991}
    more = c.registered(PROVINCE, 3, c.identity(tree[2]), "published", body, parts=[ref])
    yield (
        "registry-published",
        registry("a code list is published", "7.4", [*tree, more], anchor=PROVINCE, members=members),
    )


def _documents() -> Iterator[tuple[str, Vector]]:
    thread = b.on_offer()
    ids = [c.identity(one) for one in thread.raws]
    opened = [{"id": one, "disposition": "accepted"} for one in ids]
    head = c.document_header(COUNTY, CITY, first=1)
    nothing: Json = {"chunks": 0, "verdicts": 0, "pulls": 0}
    request = c.document(head, thread.raws)
    yield "document-request", document("a request with two statements", "8.3", request, items=opened, **nothing)
    reply = c.document(c.document_header(CITY, COUNTY, challenge=c.fixed("challenge")), [])
    yield "document-reply", document("an empty reply with a challenge", "8.3", reply, items=[], **nothing)
    nulls = dict.fromkeys(("session", "nonce"))
    data = c.document({**head, **nulls, "lane": "file", "instance": None}, thread.raws)
    yield "document-by-file", document("a document of a bundle", "8.3", data, items=opened, **nothing)
    data = c.document({**head, "inc": [0, ""], "first": 0}, [])
    yield "document-without-incarnation", document("a node that may not sign yet", "8.3", data, items=[], **nothing)
    yield "document-loose-lines", document(
        "loose lines, one of a later version", "8.3", c.document(head, [*thread.raws, *loose_lines()]),
        items=opened, chunks=1, verdicts=1, pulls=1,
    )  # fmt: skip
    lines = [thread.raws[0], c.dumps({"payload": c.b64(b"{}"), "signatures": []}), thread.raws[1]]
    bad = {"id": c.hashlib.sha256(b"{}").hexdigest(), "disposition": "refused", "code": "malformed"}
    yield (
        "document-bad-statement-alone",
        document(
            "a bad statement is refused alone",
            "8.3",
            c.document(head, lines),
            items=[opened[0], bad, opened[1]],
            **nothing,
        ),
    )


def loose_lines() -> list[bytes]:
    ref, salt = c.part("text", b"x")
    chunk = {"digest": ref["digest"], "salt": salt, "size": 1, "offset": 0, "data": c.b64(b"x")}
    verdict = {"seq": 3, "id": "0" * 64, "disposition": "held", "code": "wrong-prev"}
    pull = {"digest": ref["digest"], "offset": 0}
    return [c.text("chunk", chunk), c.text("verdict", verdict), c.text("pull", pull), c.text("later", [1])]


def join_payload(**other: Any) -> Json:
    return {
        "v": 1,
        "parent": CITY,
        "secret": c.fixed("secret"),
        "node": c.card(COUNTY),
        "nonce": c.inc(COUNTY)[1],
        **other,
    }


def invitation(**other: Any) -> Json:
    found = {
        "v": 1,
        "url": f"https://{CITY}.example",
        "parent": CITY,
        "key": c.b64(c.public(CITY)),
        "anchor": c.identity(b.anchored()),
        "log": f"liandong/{CITY}/1.{c.inc(CITY)[1]}",
        "code": COUNTY,
        "tier": "county",
        "name": c.NAMES[COUNTY],
        "secret": c.fixed("secret"),
    }
    return {**found, **other}


def _small() -> Iterator[tuple[str, Vector]]:
    for code in (PROVINCE, CITY):
        given = {"key": c.public(code).hex()}
        yield f"key-{code}", simple("key", "a key that may be enrolled", "3.3", given, kid=c.kid(code))
    ids = [c.identity(one) for one in b.on_offer().raws]
    given = {"sender": COUNTY, "inc": c.inc(COUNTY), "receiver": CITY, "identities": ids}
    yield (
        "stream-hashes",
        simple("stream", "the running hash of a stream", "8.2", given, hashes=c.stream(COUNTY, CITY, ids)),
    )
    ref, salt = c.part("text", "路灯".encode())
    yield (
        "part-digest",
        simple(
            "part",
            "salt before content",
            "4",
            {"salt": salt, "content_hex": "路灯".encode().hex()},
            digest=ref["digest"],
        ),
    )
    yield (
        "token",
        simple("token", "an invitation", "9", {"token": c.b64(c.dumps(invitation()))}, parent=CITY, code=COUNTY),
    )
    request = c.jws(c.dumps(join_payload()), c.JOIN, COUNTY)
    yield "join-request", simple("join", "a request to be enrolled", "9", raw(request), node=COUNTY)
