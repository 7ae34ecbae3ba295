"""A topic's chain: the next entry of it, and the whole of it verified (SPEC 5.1)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.ids import FIRST_TERM, Incarnation, NodeCode
from schemas.statement import VERSION, Frozen
from sync.custody import Chain, evolve, next_term
from sync.errors import Refused
from sync.roster import Roster
from sync.sealing import Statement


def header(author: NodeCode, inc: Incarnation, at: str) -> dict[str, Any]:
    return {"v": VERSION, "author": author, "inc": inc, "at": at}


def extend(
    chain: Chain | None,
    shared: Mapping[str, Any],
    kind: str,
    body: Frozen,
    parts: Sequence[Frozen] = (),
    rank: int = 0,
) -> dict[str, Any]:
    """The payload of the entry after `chain`; `shared` comes from `header`. Decides nothing: `evolve` judges it."""
    return {
        **shared,
        "topic": chain.topic if chain else None,
        "seq": chain.seq + 1 if chain else 0,
        "prev": chain.head if chain else None,
        "term": next_term(chain, kind, rank, shared["inc"]) if chain else FIRST_TERM,
        "kind": kind,
        "body": body.model_dump(mode="json"),
        "parts": [part.model_dump(mode="json") for part in parts],
    }


def verify(statements: Iterable[Statement], roster: Roster) -> Chain:
    """The state after all of a chain's statements in order. Raises Held or Deferred at the first bad one."""
    chain: Chain | None = None
    for statement in statements:
        chain = evolve(chain, statement, roster)
    if chain is None:
        raise Refused("malformed", "empty chain")
    return chain
