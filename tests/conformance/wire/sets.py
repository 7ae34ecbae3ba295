"""Comparing sets without streams (SPEC 14.3)."""

import hashlib
from collections.abc import Sequence
from typing import Any

from tests.conformance.wire.strict import Json

LISTED_MAX = 256
DIGITS = "0123456789abcdef"


def within(ids: Sequence[str], prefix: str) -> list[str]:
    return sorted(id for id in ids if id.startswith(prefix))


def have(ids: Sequence[str], prefix: str = "") -> Json:
    some = within(ids, prefix)
    return {
        "prefix": prefix,
        "count": len(some),
        "digest": hashlib.sha256(bytes.fromhex("".join(some))).hexdigest(),
    }


def answer_have(ids: Sequence[str], theirs: Json) -> list[tuple[str, Json]]:
    own = have(ids, theirs["prefix"])
    if own == theirs:
        return [("have", own)] if theirs["prefix"] == "" else []
    if own["count"] > LISTED_MAX:
        return [("have", have(ids, theirs["prefix"] + digit)) for digit in DIGITS]
    return [("ids", {"prefix": theirs["prefix"], "ids": within(ids, theirs["prefix"])})]


def answer_ids(ids: Sequence[str], theirs: Json) -> tuple[list[str], list[tuple[str, Json]]]:
    """What the other lacks, and our own list where we lack something."""
    own = within(ids, theirs["prefix"])
    lacks = sorted(set(own) - set(theirs["ids"]))
    asks: list[tuple[str, Any]] = []
    if set(theirs["ids"]) - set(own):
        asks.append(("ids", {"prefix": theirs["prefix"], "ids": own[:LISTED_MAX]}))
    return lacks, asks
