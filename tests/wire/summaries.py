"""Vectors of aggregation (SPEC 16), and of the entry that records a gathering."""

import json
from collections.abc import Iterator
from typing import Any

from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import COUNTY, COUNTY2, Json
from tests.wire.good import Vector, accepted, chain, expected, simple, state, statement

SUMMARY = "liandong-aggregate+jws"
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def row(what: str = "one", **other: Any) -> Json:
    """A row of the county, with every field."""
    found = {
        "topic": c.fixed(f"topic {what}", 32),
        "head": c.fixed(f"head {what}", 32),
        "term": c.FIRST_TERM,
        "seq": 3,
        "rev": 0,
        "number": "620102-2026-000042",
        "origin": COUNTY,
        "custodian": COUNTY,
        "kind": "matter",
        "category": "城乡建设/市政设施",
        "source": None,
        "areas": [COUNTY],
        "unit": None,
        "step": "decide",
        "status": "active",
        "outcome": None,
        "due_at": "2026-06-01T00:00:00Z",
        "answer_by": None,
        "tier_reached": "county",
        "hops": 0,
        "returns": 0,
        "reopened": 0,
        "suggested": 1,
        "followed": 1,
        "participations": 12,
        "rating": None,
        "opened_at": "2026-05-01T01:00:00Z",
        "first_action_at": "2026-05-02T01:00:00Z",
        "closed_at": None,
    }
    return {**found, **other}


def summary(kind: str, body: Json, code: str = COUNTY, **other: Any) -> bytes:
    payload = {**c.shared(code), "seq": 0, "kind": kind, "body": body, "parts": [], **other}
    return c.jws(c.dumps(payload), SUMMARY, code)


def totals(**other: Any) -> Json:
    found = {"period": "2026-05", "rows": 1, "root": EMPTY_ROOT, "open": 1, "closed": 0, "outcomes": [0, 0, 0, 0]}
    return {**found, "participations": 12, **other}


def good_summaries() -> Iterator[tuple[str, Vector]]:
    one = summary("page", {"rows": [row()]})
    yield "summary-page", statement("a row of one topic", "16.1", one, **accepted(one, kind="page"))
    many = summary("page", {"rows": [row(str(n), category=None, due_at=None) for n in range(80)]}, seq=7)
    yield "summary-page-of-80", statement("many rows, one signature", "16.1", many, **accepted(many, kind="page"))
    ref, _ = c.part("rows", b"\x01" * 64, "full", "application/octet-stream")
    month = summary("totals", totals(), parts=[ref])
    yield "summary-totals", statement("a month's totals", "16.4", month, **accepted(month, kind="totals"))
    later = summary("weather", {"rain": []})
    said = accepted(later, kind="weather", known=False)
    yield "summary-unknown-kind", statement("a kind of summary nobody knows is kept", "16.1", later, **said)
    for count in (0, 1, 2, 3, 7):
        rows = [row(str(n)) for n in range(count)]
        leaves = {json.loads(c.dumps(item))["topic"]: _leaf(item) for item in rows}
        root = _tree([leaves[topic] for topic in sorted(leaves)])
        found = simple("rows", f"the root of {count} rows", "16.4", {"rows": rows}, leaves=leaves, root=root)
        yield f"summary-root-of-{count}", found
    higher = [row(term=[0, 0, [0, ""], 1]), row(seq=4), row(rev=1), row(term=[1, 2, c.inc(COUNTY), 0], seq=1)]
    order = ["rev", "seq", "t", "g"]
    yield (
        "summary-order",
        simple(
            "order",
            "term before seq before rev",
            "16.3",
            {"rows": {"t": higher[0], "seq": higher[1], "rev": higher[2], "g": higher[3]}},
            ascending=order,
        ),
    )
    thread = b.born()
    thread.add(COUNTY, "attended", attended())
    holds = state(thread, COUNTY, [COUNTY], [COUNTY, c.CITY])
    yield "chain-attended", chain("people took part", "5.2", thread, **holds)


def attended(**other: Any) -> Json:
    return {"headcount": 23, "form": "民情恳谈会", "held_at": "2026-05-01T07:00:00Z", "text": "", **other}


def bad_summaries() -> Iterator[tuple[str, Vector]]:
    big = {"rows": [row(str(n), areas=[COUNTY], category=None) for n in range(201)]}
    rows: list[tuple[str, str, str, Json]] = [
        ("page-empty", "no row", "page", {"rows": []}),
        ("page-topic-twice", "two rows of one topic", "page", {"rows": [row(), row(rev=1)]}),
        ("row-field-missing", "a field missing", "page", {"rows": [_without("rating")]}),
        ("row-field-unknown", "a field nobody knows", "page", {"rows": [row(title="路灯")]}),
        ("row-step-unknown", "a step of no meaning", "page", {"rows": [row(step="rest")]}),
        ("row-status-unknown", "a status of no meaning", "page", {"rows": [row(status="lost")]}),
        ("row-tier-unknown", "a tier without nodes", "page", {"rows": [row(tier_reached="township")]}),
        ("row-hops-negative", "a negative count", "page", {"rows": [row(hops=-1)]}),
        ("row-term-object", "a term as an object", "page", {"rows": [row(term={"g": 0})]}),
        ("row-at-without-zone", "an instant without Z", "page", {"rows": [row(opened_at="2026-05-01T01:00:00")]}),
        ("totals-month-13", "a month 13", "totals", totals(period="2026-13")),
        ("totals-three-outcomes", "an outcome missing", "totals", totals(outcomes=[0, 0, 0])),
        ("totals-no-root", "no commitment", "totals", totals(root=None)),
    ]
    for name, sentence, kind, body in rows:
        base = "summary-page" if kind == "page" else "summary-totals"
        data = summary(kind, body)
        yield f"summary-{name}", {**statement(sentence, "16", data, **expected("invalid")), "good": base}
    wide = summary("page", big)
    yield "summary-too-large", {**statement("more than a payload", "3.1", wide, **expected("too-large")), "good": _PAGE}
    forged = summary("page", {"rows": [row()]}, author=COUNTY2)
    found = statement("signed by another", "3.4", forged, **expected("forged-author"))
    yield "summary-forged-author", {**found, "good": _PAGE}
    for name, sentence, change in (
        ("nobody", "nobody took part", {"headcount": 0}),
        ("too-many", "more than a gathering can hold", {"headcount": 1_000_001}),
    ):
        thread = b.born()
        thread.add(COUNTY, "attended", attended(**change))
        wrong = chain(sentence, "5.2", thread, at=1, **expected("invalid"))
        yield f"chain-attended-{name}", {**wrong, "good": "chain-attended"}


_PAGE = "summary-page"


def _without(name: str) -> Json:
    found = row()
    del found[name]
    return found


def _leaf(item: Json) -> str:
    return c.hashlib.sha256(b"\x00" + c.dumps(item)).hexdigest()


def _tree(leaves: list[str]) -> str:
    """RFC 6962, by its own recursion."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = bytes.fromhex(_tree(leaves[:split])), bytes.fromhex(_tree(leaves[split:]))
    return c.hashlib.sha256(b"\x01" + left + right).hexdigest()
