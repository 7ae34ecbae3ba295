"""Vectors of further incarnations, other keys, branches and the lines of healing (SPEC 14)."""

import hashlib
from collections.abc import Iterator

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.good import Vector, accepted, chain, document, expected, registry, state, statement

SECOND = [2, c.fixed("second life")]
OTHER_KEY = "another key"
EMPTY = hashlib.sha256(b"").hexdigest()


def good_lives() -> Iterator[tuple[str, Vector]]:
    yield from _good_chains()
    yield from _good_remarks()
    yield from _good_registry()
    yield from _good_lines()


def bad_lives() -> Iterator[tuple[str, Vector]]:
    yield from _bad_registry()
    yield from _bad_lines()
    yield from _bad_chains()


def granted(node: str = COUNTY, **other: Json) -> Json:
    return {"node": node, "inc": SECOND, "key": c.kid(node), "closed": None, "log": None, **other}


def rotated(**other: object) -> Json:
    return {"node": _renewed(), "revoked": False, "closed": None, "reason": "机器更换", **other}


def _renewed(**other: object) -> Json:
    return {**c.card(COUNTY), "key": c.b64(c.public(OTHER_KEY)), **other}


_SAID_AGAIN = (
    ("enrolled", b.enrolled(COUNTY)),
    ("rotated", rotated(revoked=True)),
    ("granted", granted(key=c.kid(OTHER_KEY))),
    ("granted", granted(key=c.kid(OTHER_KEY))),
)


def _life_of_the_city() -> bytes:
    return _after_tree(PROVINCE, "granted", granted(CITY))[-1]


def _after_tree(author: str, kind: str, body: Json, **other: object) -> list[bytes]:
    """The tree of five and one more entry of `author`, at its next position."""
    tree = b.registry()
    mine = [one for one in tree if c.json.loads(c.payload_of(one))["author"] == author]
    prev = c.identity(mine[-1]) if mine else None
    return [*tree, c.registered(author, len(mine), prev, kind, body, **other)]


def _members(**changed: list[object]) -> Json:
    return {
        code: {"parent": c.PARENTS.get(code), "tier": tier, "inc": changed.get(f"c{code}", c.inc(code))}
        for code, tier in c.TIERS.items()
    }


def _good_chains() -> Iterator[tuple[str, Vector]]:
    two = [COUNTY, CITY]
    thread = b.claimed()
    thread.add(CITY, "adopted", {"orphan": "1" * 64})
    thread.add(CITY, "set_aside", {"orphan": "2" * 64, "reason": "已另行办理"})
    yield (
        "chain-orphans-disposed-of",
        chain("orphans are adopted and set aside by name", "14.6", thread, **state(thread, CITY, [CITY], two)),
    )
    thread = b.claimed()
    thread.add(CITY, "offered", b.offered(COUNTY2, "rehome"))
    thread.add(COUNTY2, "accepted", {"offer": thread.head})
    thread.add(COUNTY2, "resulted", {"outcome": "A", "text": ""})
    thread.add(COUNTY2, "closed", {"text": "", "children": []})
    ended = state(thread, COUNTY2, [COUNTY2], [*two, COUNTY2], resulted=True, closed=True)
    yield (
        "chain-closed-at-another-home",
        chain("who took the place of a lost origin closes", "5.3", thread, **ended),
    )
    thread = b.claimed_back(b.born(PROVINCE), PROVINCE, COUNTY)
    thread.add(PROVINCE, "resulted", {"outcome": "A", "text": ""})
    thread.add(PROVINCE, "closed", {"text": "", "children": []})
    three = [PROVINCE, CITY, COUNTY]
    ended = state(thread, PROVINCE, [PROVINCE, PROVINCE], three, resulted=True, closed=True)
    yield "chain-claimed-back-and-closed", chain("who claims its own delegation closes", "5.5", thread, **ended)
    thread = b.claimed_back(b.taken(), CITY, COUNTY2)
    thread.add(CITY, "offered", b.offered(COUNTY, "report"))
    thread.add(COUNTY, "accepted", {"offer": thread.head})
    ended = state(thread, COUNTY, [COUNTY], [*two, COUNTY2])
    yield (
        "chain-claimed-back-and-reported",
        chain("who claims its own delegation reports past itself", "5.5", thread, **ended),
    )
    thread = b.on_offer()
    thread.term = [1, 3, c.inc(PROVINCE), 0]
    thread.add(PROVINCE, "claimed", {"reason": "incarnation over", "approved_by": []})
    yield (
        "chain-claimed-from-an-open-offer",
        chain("a claim ends an open offer", "5.3", thread, **state(thread, PROVINCE, [PROVINCE], two)),
    )


def _good_remarks() -> Iterator[tuple[str, Vector]]:
    thread = b.born()
    data = c.remark(CITY, thread.topic, thread.head, "asked", {"claim": c.fixed("claim")})
    yield "remark-asked", statement("an arbiter asks for the best head", "6", data, **accepted(data, CITY, "asked"))
    body = {"claim": c.fixed("claim"), "head": thread.head, "seq": 0, "term": c.FIRST_TERM}
    data = c.remark(COUNTY, thread.topic, thread.head, "told", body)
    yield "remark-told", statement("a participant tells its head", "6", data, **accepted(data, kind="told"))


def _good_registry() -> Iterator[tuple[str, Vector]]:
    entries = _after_tree(CITY, "granted", granted())
    yield (
        "registry-granted",
        registry(
            "a parent grants another incarnation", "14.4", entries, anchor=PROVINCE, members=_members(c620102=SECOND)
        ),
    )
    itself = c.registered(PROVINCE, 0, None, "granted", granted(PROVINCE), inc=SECOND)
    members = _members(c620000=SECOND)
    yield (
        "registry-granted-to-itself",
        registry("the root grants itself", "14.4", [*b.registry(), itself], anchor=PROVINCE, members=members),
    )
    end = {"inc": c.inc(COUNTY), "seq": 7, "hash": "0" * 64}
    body = granted(closed=end, log={"size": 9, "root": "0" * 64})
    yield (
        "registry-granted-with-ends",
        registry(
            "a grant that closes stream and log",
            "14.4",
            _after_tree(CITY, "granted", body),
            anchor=PROVINCE,
            members=_members(c620102=SECOND),
        ),
    )
    yield (
        "registry-rotated",
        registry(
            "another key, no other incarnation yet",
            "14.7",
            _after_tree(CITY, "rotated", rotated(revoked=True)),
            anchor=PROVINCE,
            members=_members(),
        ),
    )
    again = [*_after_tree(CITY, "rotated", rotated(revoked=True))]
    for seq, (kind, body) in enumerate(_SAID_AGAIN):
        prev = c.identity(again[-1]) if seq else None
        again.append(c.registered(CITY, seq, prev, kind, body, inc=SECOND))
    again.insert(-len(_SAID_AGAIN), _life_of_the_city())
    yield (
        "registry-said-again",
        registry(
            "what is so already changes nothing",
            "14.4",
            again,
            anchor=PROVINCE,
            members=_members(c620100=SECOND, c620102=SECOND),
        ),
    )


def _good_lines() -> Iterator[tuple[str, Vector]]:
    head = c.document_header(COUNTY, CITY, inc=[0, ""])
    lines = [
        c.text("heal", {"nonce": c.fixed("restore"), "number": 1, "ready": False}),
        c.text("knows", {"nonce": c.fixed("other restore"), "number": 3}),
        c.text("have", {"prefix": "", "count": 0, "digest": EMPTY}),
        c.text("ids", {"prefix": "a", "ids": []}),
        b'{"old":' + b.born().raws[0] + b"}",
    ]
    nothing: Json = {"chunks": 0, "verdicts": 0, "pulls": 0}
    yield (
        "document-healing",
        document("a node that heals", "14.2", c.document(head, lines), items=[], **nothing),
    )


def _bad_registry() -> Iterator[tuple[str, Vector]]:
    stranger = c.kid(COUNTY2)
    rows: list[tuple[str, str, list[bytes], str]] = [
        ("by-another-city", "a grant by no parent", _after_tree(c.CITY2, "granted", granted()), "not-the-parent"),
        ("by-itself", "a grant of a node that is no root to itself", _itself(), "unknown-key"),
        (
            "number-1",
            "a grant of number 1",
            _after_tree(CITY, "granted", granted(inc=c.inc(COUNTY))),
            "wrong-incarnation",
        ),
        (
            "no-nonce",
            "a grant without a nonce",
            _after_tree(CITY, "granted", granted(inc=[2, ""])),
            "wrong-incarnation",
        ),
        (
            "other-key",
            "a grant for another node's key",
            _after_tree(CITY, "granted", granted(key=stranger)),
            "unknown-key",
        ),
        ("to-a-stranger", "a grant to nobody", _after_tree(CITY, "granted", granted(c.STRANGER)), "unknown-key"),
    ]
    for name, sentence, entries, code in rows:
        yield f"registry-granted-{name}", {**_refused(sentence, entries, code), "good": "registry-granted"}
    rows = [
        ("by-another-city", "a key named by no parent", _after_tree(c.CITY2, "rotated", rotated()), "not-the-parent"),
        (
            "other-tier",
            "another tier with another key",
            _after_tree(CITY, "rotated", rotated(node=_renewed(tier="city"))),
            "wrong-tier",
        ),
        (
            "key-taken",
            "another node's key",
            _after_tree(CITY, "rotated", rotated(node=_renewed(key=c.b64(c.public(COUNTY2))))),
            "key-taken",
        ),
    ]
    for name, sentence, entries, code in rows:
        yield f"registry-rotated-{name}", {**_refused(sentence, entries, code), "good": "registry-rotated"}


def _itself() -> list[bytes]:
    return [*b.registry(), c.registered(COUNTY, 0, None, "granted", granted(), inc=SECOND)]


def _refused(sentence: str, entries: list[bytes], code: str) -> Vector:
    return registry(sentence, "14.4", entries, at=len(entries) - 1, **expected(code))


def _bad_lines() -> Iterator[tuple[str, Vector]]:
    rows: list[tuple[str, str, bytes]] = [
        ("heal-without-nonce", "no nonce", c.text("heal", {"number": 1, "ready": True})),
        ("heal-number-text", "a number as text", c.text("heal", {"nonce": c.fixed("n"), "number": "1", "ready": True})),
        ("have-upper-case", "a prefix in capitals", c.text("have", {"prefix": "A", "count": 0, "digest": EMPTY})),
        (
            "have-65-digits",
            "a prefix longer than an identity",
            c.text("have", {"prefix": "0" * 65, "count": 0, "digest": EMPTY}),
        ),
        (
            "ids-257",
            "257 identities",
            c.text("ids", {"prefix": "", "ids": [c.fixed(f"id {n}", 32) for n in range(257)]}),
        ),
        ("old-text", "a text for a statement", c.text("old", "x")),
    ]
    for name, sentence, line in rows:
        data = c.document(c.document_header(COUNTY, CITY, inc=[0, ""]), [line])
        yield f"line-{name}", {**document(sentence, "14.2", data, document="malformed"), "good": "document-healing"}


def _bad_chains() -> Iterator[tuple[str, Vector]]:
    for name, kind, body in (
        ("adopted", "adopted", {"orphan": "1" * 64}),
        ("set-aside", "set_aside", {"orphan": "1" * 64, "reason": "不是本节点的"}),
    ):
        thread: Thread = b.claimed()
        thread.add(COUNTY, kind, body)
        yield (
            f"chain-{name}-by-another",
            {
                **chain("only the custodian disposes", "14.6", thread, at=2, **expected("not-the-writer")),
                "good": "chain-orphans-disposed-of",
            },
        )
    thread = b.claimed()
    thread.add(CITY, "set_aside", {"orphan": "1" * 64, "reason": ""})
    data = thread.raws[-1]
    vector = statement("no reason", "5.2", data, **expected("invalid"))
    yield "shape-set-aside-without-reason", {**vector, "good": "statement-opened"}
