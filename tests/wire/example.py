"""The worked example of SPEC 17, as Markdown: every intermediate value from the keys to the seal."""

import hashlib
import json
from collections.abc import Iterator

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, Json, Thread

TEXT = "滨河路东段十二盏路灯不亮，夜间行走不便。".encode()
NODES = {CITY: "city, root", COUNTY: "county"}
_LATER = "2026-05-01T01:30:00Z"


def example() -> str:
    """The text between the markers of SPEC 17."""
    thread, ref, salt = _chain()
    request = _request(thread, ref, salt)
    parts = [_keys(), _part(ref, salt)]
    titles = ("17.3 `opened`", "17.4 `offered`", "17.5 `accepted`")
    parts += [_statement(title, raw) for title, raw in zip(titles, thread.raws, strict=True)]
    parts += [
        _stream(thread),
        _document("17.7 The request", request),
        _document("17.8 The reply", _reply(thread, request)),
    ]
    return "\n".join(parts)


def documents() -> tuple[Thread, bytes, bytes]:
    """The chain, the request and the reply of the example."""
    thread, ref, salt = _chain()
    request = _request(thread, ref, salt)
    return thread, request, _reply(thread, request)


def _chain() -> tuple[Thread, Json, str]:
    ref, salt = c.part("text", TEXT)
    thread = Thread()
    thread.add(COUNTY, "opened", b.opened(COUNTY, keeper=CITY, arbiters=[CITY]), [ref])
    thread.add(COUNTY, "offered", b.offered(CITY, "escalate", tried="已协商三次"), at="2026-05-01T01:00:05Z")
    thread.add(CITY, "accepted", {"offer": thread.head}, at=_LATER)
    return thread, ref, salt


def _request(thread: Thread, ref: Json, salt: str) -> bytes:
    head = c.document_header(COUNTY, CITY, first=1, answers=c.fixed("challenge 1"))
    chunk = {"digest": ref["digest"], "salt": salt, "size": len(TEXT), "offset": 0, "data": c.b64(TEXT)}
    return c.document(head, [*thread.raws[:2], c.text("chunk", chunk)], at="2026-05-01T01:00:06Z")


def _reply(thread: Thread, request: bytes) -> bytes:
    ids = [c.identity(raw) for raw in thread.raws[:2]]
    ack = {"inc": c.inc(COUNTY), "seq": 2, "hash": c.stream(COUNTY, CITY, ids)[2]}
    head = c.document_header(CITY, COUNTY, first=1, ack=ack, challenge=c.fixed("challenge 2"))
    return c.document(head, thread.raws[2:], at=_LATER)


def _keys() -> str:
    lines = ["### 17.1 Keys", "", "| | 620100 (city, root) | 620102 (county) |", "|---|---|---|"]
    rows = {
        "text whose SHA-256 is the private key": [f"`liandong example key {code}`" for code in NODES],
        "private key (seed)": [f"`{c.fixed(f'key {code}', 32)}`" for code in NODES],
        "public key": [f"`{c.public(code).hex()}`" for code in NODES],
        "public key in base64url": [f"`{c.b64(c.public(code))}`" for code in NODES],
        "key id": [f"`{c.kid(code)}`" for code in NODES],
        "incarnation": [f"`{c.dumps(c.inc(code)).decode()}`" for code in NODES],
    }
    lines += [f"| {name} | {' | '.join(values)} |" for name, values in rows.items()]
    return "\n".join([*lines, ""])


def _block(*lines: str) -> list[str]:
    return ["```", *lines, "```"]


def _part(ref: Json, salt: str) -> str:
    return "\n".join(
        [
            "### 17.2 The part `text`",
            "",
            f"Content, {len(TEXT)} bytes of UTF-8: {TEXT.decode()}",
            "",
            *_block(f"salt     {salt}", f"content  {TEXT.hex()}", f"digest   {ref['digest']}"),
            "",
        ]
    )


def _statement(title: str, raw: bytes) -> str:
    outer = json.loads(raw)
    one = outer["signatures"][0]
    return "\n".join(
        [f"### {title}", "", *_signed(outer["payload"], one), "", "The statement, one line:", *_block(raw.decode()), ""]
    )


def _signed(payload: str, one: Json) -> Iterator[str]:
    data = c.unb64(payload)
    yield f"Payload, {len(data)} bytes:"
    yield from _block(data.decode())
    yield "Protected header, in base64url; payload, in base64url; signature over `protected.payload`, in hexadecimal:"
    yield from _block(c.unb64(one["protected"]).decode(), one["protected"], payload, c.unb64(one["signature"]).hex())
    yield "Identity, SHA-256 of the payload:"
    yield from _block(hashlib.sha256(data).hexdigest())


def _stream(thread: Thread) -> str:
    lines = ["### 17.6 Streams", ""]
    for sender, receiver, raws in ((COUNTY, CITY, thread.raws[:2]), (CITY, COUNTY, thread.raws[2:])):
        hashes = c.stream(sender, receiver, [c.identity(raw) for raw in raws])
        number, nonce = c.inc(sender)
        start = f"liandong/stream/1\\n{sender}\\n{number}\\n{nonce}\\n{receiver}\\n"
        lines += [f"From {sender} to {receiver}:"]
        lines += _block(start, *(f"hash_{n}  {value}" for n, value in enumerate(hashes)))
    return "\n".join([*lines, ""])


def _document(title: str, data: bytes) -> str:
    body, _, last = data[:-1].rpartition(b"\n")
    body += b"\n"
    seal = json.loads(last)["seal"]
    lines = [f"### {title}", "", f"The document, {len(data)} bytes, the last of them a line feed:"]
    lines += _block(*data[:-1].decode().split("\n"))
    lines += [f"SHA-256 of the {len(body)} bytes before the seal line:", *_block(hashlib.sha256(body).hexdigest())]
    lines += ["The seal. " + next(iter(_signed(seal["payload"], seal["signatures"][0])))]
    lines += list(_signed(seal["payload"], seal["signatures"][0]))[1:-4]
    return "\n".join([*lines, ""])
