"""The tables of SPEC 4 to 7 and 16: what a payload and the body of each kind hold."""

from tests.conformance.wire import shapes as s
from tests.conformance.wire.shapes import Shape, array, integer, maybe, one_of, record

PART = record(
    name=s.matching(r"[a-z][a-z0-9_.-]{0,63}"),
    digest=s.digest,
    size=integer(0, 33554432),
    media=s.matching(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,79}"),
    share=one_of("full", "counts", "local"),
)
SUGGESTED = record(tier=s.tier, node=maybe(s.code), rules=array(s.label, 0, 16))
OUTCOME = one_of("A", "B", "C", "D")
STEP = one_of("collect", "decide", "research", "consult", "implement", "feedback")
CHILD = record(entry=s.digest, n=integer(0, 63), topic=s.digest, head=s.digest, outcome=maybe(OUTCOME))
PORTION = record(to=s.code, role=one_of("lead", "assist"), title=s.title, instruction=s.reason, due_at=maybe(s.instant))
CARD = record(
    code=s.code,
    name=s.label,
    tier=s.tier,
    url=s.url,
    key=s.matching(r"[A-Za-z0-9_-]{43}"),
    box=s.matching(r"age1[02-9ac-hj-np-z]{58}"),
)
LAST = record(inc=s.inc, seq=s.count, hash=s.digest)
RATING = one_of("satisfied", "basically_satisfied", "not_satisfied")

ENTRIES: dict[str, Shape] = {
    "opened": record(
        nonce=s.nonce, number=s.label, title=s.title, kind=s.label, category=maybe(s.label),
        areas=array(s.area, 0, 64), source=maybe(s.label), external_id=maybe(s.label), unit=maybe(s.area),
        raised_at=maybe(s.instant), keeper=maybe(s.code), arbiters=array(s.code, 1, 8),
        parent=maybe(record(entry=s.digest, n=integer(0, 63))), depth=integer(0, 8),
    ),
    "stepped": record(step=STEP, text=s.text, suggested=maybe(SUGGESTED), override_reason=maybe(s.reason)),
    "noted": record(text=s.text),
    "attended": record(headcount=integer(1, 1000000), form=maybe(s.label), held_at=maybe(s.instant), text=s.text),
    "amended": record(
        title=maybe(s.title), category=maybe(s.label), areas=maybe(array(s.area, 0, 64)), reason=s.reason
    ),
    "split": record(portions=array(PORTION, 1, 64)),
    "child_closed": record(child=CHILD),
    "detached": record(child=CHILD, reason=s.reason),
    "resulted": record(outcome=OUTCOME, text=s.text),
    "closed": record(
        text=s.text, children=array(record(topic=s.digest, head=s.digest, detached=s.boolean), 0, 256)
    ),
    "reopened": record(reason=s.reason),
    "adopted": record(orphan=s.digest),
    "set_aside": record(orphan=s.digest, reason=s.reason),
    "offered": record(
        to=s.code, to_inc=s.inc, mode=one_of("escalate", "delegate", "report", "return", "rehome"),
        reason=maybe(s.reason), tried=maybe(s.reason), opinion=maybe(s.reason), instruction=maybe(s.reason),
        answer_by=maybe(s.instant), due_at=maybe(s.instant), suggested=maybe(SUGGESTED),
        override_reason=maybe(s.reason),
    ),
    "accepted": record(offer=s.digest),
    "resumed": record(offer=s.digest, declined=s.anything),
    "claimed": record(reason=s.reason, approved_by=array(s.label, 0, 2)),
}  # fmt: skip

REMARKS: dict[str, Shape] = {
    "declined": record(
        code=one_of(
            "not_our_area", "not_our_power", "duplicate", "incomplete", "already_decided", "recalled", "expired"
        ),
        reason=s.string(0, 500),
    ),
    "recalled": record(reason=s.string(1, 500)),
    **{kind: record(text=s.text) for kind in ("urge", "comment", "cosign", "read")},
    "asked": record(claim=s.nonce),
    "told": record(claim=s.nonce, head=s.digest, seq=s.count, term=s.term),
    "promised": record(due_at=s.instant),
    "rate": record(rating=RATING, text=s.text),
}

REGISTRY: dict[str, Shape] = {
    "anchored": record(node=CARD, inc=s.inc, witnesses=array(s.code, 0, 3)),
    "enrolled": record(node=CARD, inc=s.inc),
    "granted": record(
        node=s.code, inc=s.inc, key=s.kid, closed=maybe(LAST), log=maybe(record(size=s.count, root=s.digest))
    ),
    "rotated": record(node=CARD, revoked=s.boolean, closed=maybe(LAST), reason=s.reason),
    "published": record(list=one_of("powers", "categories", "divisions", "calendar"), version=s.count),
}

ROW = record(
    topic=s.digest, head=s.digest, term=s.term, seq=s.count, rev=s.count, number=s.label, origin=s.code,
    custodian=s.code, kind=s.label, category=maybe(s.label), source=maybe(s.label), areas=array(s.area, 0, 64),
    unit=maybe(s.area), step=STEP, status=one_of("active", "offered", "closed", "frozen"), outcome=maybe(OUTCOME),
    due_at=maybe(s.instant), answer_by=maybe(s.instant), tier_reached=s.tier, hops=s.count, returns=s.count,
    reopened=s.count, suggested=s.count, followed=s.count, participations=s.count, rating=maybe(RATING),
    opened_at=s.instant, first_action_at=maybe(s.instant), closed_at=maybe(s.instant),
)  # fmt: skip

SUMMARIES: dict[str, Shape] = {
    "page": record(rows=array(ROW, 1, 200)),
    "totals": record(
        period=s.matching(r"\d{4}-(0[1-9]|1[0-2])"), rows=s.count, root=s.digest, open=s.count, closed=s.count,
        outcomes=array(s.count, 4, 4), participations=s.count,
    ),
}  # fmt: skip

SHARED = {"v": one_of(1), "author": s.code, "inc": s.inc, "at": s.instant}
RECORD = {**SHARED, "kind": s.kind, "body": s.anything, "parts": array(PART, 0, 64)}
ENTRY, REMARK, REGISTER, SUMMARY = (f"liandong-{name}+jws" for name in ("entry", "remark", "registry", "aggregate"))
SEAL, JOIN = "liandong-seal+jws", "liandong-join+jws"

PAYLOADS: dict[str, tuple[Shape, dict[str, Shape]]] = {
    ENTRY: (record(**RECORD, topic=maybe(s.digest), seq=s.count, prev=maybe(s.digest), term=s.term), ENTRIES),
    REMARK: (record(**RECORD, topic=s.digest, entry=s.digest), REMARKS),
    REGISTER: (record(**RECORD, seq=s.count, prev=maybe(s.digest)), REGISTRY),
    SUMMARY: (record(**RECORD, seq=s.count), SUMMARIES),
}
