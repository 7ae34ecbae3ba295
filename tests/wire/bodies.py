"""Bodies with every field, and the chains that vectors and tests start from."""

import json
from typing import Any

from tests.wire.cast import (
    CITY,
    COUNTY,
    COUNTY2,
    NAMES,
    PARENTS,
    PROVINCE,
    Json,
    Thread,
    card,
    fixed,
    identity,
    inc,
    registered,
    remark,
)


def ancestors(code: str) -> list[str]:
    above = PARENTS.get(code)
    return [above, *ancestors(above)] if above else []


def opened(code: str, what: str = "topic", **other: Any) -> Json:
    found = {
        "nonce": fixed(what),
        "number": f"{code}-2026-000042",
        "title": "滨河路路灯不亮",
        "kind": "matter",
        "category": "城乡建设/市政设施",
        "areas": [COUNTY],
        "source": None,
        "external_id": None,
        "unit": None,
        "raised_at": None,
        "keeper": PARENTS.get(code),
        "arbiters": [*([] if code in (COUNTY, COUNTY2) else [code]), *ancestors(code)],
        "parent": None,
        "depth": 0,
    }
    return {**found, **other}


def offered(to: str, mode: str, **other: Any) -> Json:
    found = {
        "to": to,
        "to_inc": inc(to),
        "mode": mode,
        "reason": "涉及两个县区",
        "tried": None,
        "opinion": None,
        "instruction": None,
        "answer_by": None,
        "due_at": None,
        "suggested": None,
        "override_reason": None,
    }
    return {**found, **other}


def stepped(step: str = "decide") -> Json:
    return {"step": step, "text": "已核实", "suggested": None, "override_reason": None}


def amended(**other: Any) -> Json:
    return {"title": None, "category": None, "areas": None, "reason": "更正", **other}


def portion(to: str, role: str) -> Json:
    return {"to": to, "role": role, "title": "一段", "instruction": "请办理", "due_at": None}


def child(entry: str, n: int, topic: str, head: str) -> Json:
    return {"child": {"entry": entry, "n": n, "topic": topic, "head": head, "outcome": "A"}}


def declined(thread: Thread, code: str, offer: str | None = None, **other: Any) -> bytes:
    body = other.pop("body", {"code": "not_our_power", "reason": "属上级权限"})
    return remark(code, other.pop("topic", thread.topic), offer or thread.head, "declined", body, **other)


def resumed(offer: str, said: bytes) -> Json:
    return {"offer": offer, "declined": json.loads(said)}


# ---- chains -----------------------------------------------------------------------------------------------------


def born(code: str = COUNTY, **other: Any) -> Thread:
    thread = Thread()
    thread.add(code, "opened", opened(code, **other))
    return thread


def on_offer(to: str = CITY, mode: str = "escalate") -> Thread:
    """The county's topic, offered to the city."""
    thread = born()
    thread.add(COUNTY, "offered", offered(to, mode))
    return thread


def taken() -> Thread:
    """The county's topic, accepted by the city."""
    thread = on_offer()
    thread.add(CITY, "accepted", {"offer": thread.head})
    return thread


def given_back(mode: str = "report") -> Thread:
    """The county's topic, back from the city with a result."""
    thread = taken()
    thread.add(CITY, "resulted", {"outcome": "A", "text": "已修复"})
    thread.add(CITY, "offered", offered(COUNTY, mode))
    thread.add(COUNTY, "accepted", {"offer": thread.head})
    return thread


def split() -> Thread:
    """The city's topic, split in two."""
    thread = born(CITY)
    portions = [portion(COUNTY, "lead"), portion(COUNTY2, "assist")]
    thread.add(CITY, "split", {"portions": portions})
    return thread


def portions_ended() -> Thread:
    """One portion closed, the other detached, and a result."""
    thread = split()
    entry = thread.head
    thread.add(CITY, "child_closed", child(entry, 0, fixed("child 0", 32), fixed("head 0", 32)))
    thread.add(CITY, "detached", {**child(entry, 1, fixed("child 1", 32), fixed("head 1", 32)), "reason": "另行办理"})
    thread.add(CITY, "resulted", {"outcome": "B", "text": ""})
    return thread


def children_of_closed() -> list[Json]:
    return [{"topic": fixed(f"child {n}", 32), "head": fixed(f"head {n}", 32), "detached": bool(n)} for n in range(2)]


def claimed(by: str = CITY) -> Thread:
    """The county's topic, claimed by the city."""
    thread = born()
    thread.term = [1, 2, inc(by), 0]
    thread.add(by, "claimed", {"reason": "该节点硬件损毁", "approved_by": ["李丹", "王强"]})
    return thread


def claimed_back(thread: Thread, holder: str, to: str) -> Thread:
    """The holder's topic, delegated to a node below and claimed from there by the holder itself."""
    thread.add(holder, "offered", offered(to, "delegate"))
    thread.add(to, "accepted", {"offer": thread.head})
    thread.term = [1, 2 if holder == CITY else 3, inc(holder), 0]
    thread.add(holder, "claimed", {"reason": "该节点硬件损毁", "approved_by": ["李丹", "王强"]})
    return thread


# ---- the registry -----------------------------------------------------------------------------------------------


def anchored(**other: Any) -> bytes:
    return registered(
        PROVINCE, 0, None, "anchored", {"node": card(PROVINCE), "inc": inc(PROVINCE), "witnesses": []}, **other
    )


def enrolled(code: str, **other: Any) -> Json:
    return {"node": {**card(code), **other}, "inc": inc(code)}


def registry() -> list[bytes]:
    """The whole tree of five, in an order in which each verifies by those before it."""
    found = [anchored()]
    last: dict[str, tuple[int, str]] = {PROVINCE: (0, identity(found[0]))}
    for code in list(NAMES)[1:]:
        above = PARENTS[code]
        seq, prev = last.get(above, (-1, ""))
        found.append(registered(above, seq + 1, prev or None, "enrolled", enrolled(code)))
        last[above] = (seq + 1, identity(found[-1]))
    return found
