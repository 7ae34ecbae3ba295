"""Bodies of statements beside a chain, by kind (SPEC 6). They need no turn and form an unordered set."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.ids import Count, Digest, Instant, Nonce, Term
from schemas.statement import Frozen, Text

PersonDeclineCode = Literal["not_our_area", "not_our_power", "duplicate", "incomplete", "already_decided"]
DeclineCode = Literal[
    "not_our_area", "not_our_power", "duplicate", "incomplete", "already_decided", "recalled", "expired"
]
Rating = Literal["satisfied", "basically_satisfied", "not_satisfied"]
PersonRemark = Literal["urge", "comment", "cosign", "rate", "read"]


class Declined(Frozen):
    """The offered node's no to the offer in `entry`; its payload is at most 4 KiB, for `resumed` embeds it."""

    code: DeclineCode
    reason: Annotated[str, Field(max_length=500)]


class Recalled(Frozen):
    """The offerer asks for the offer in `entry` back; a request, never a decision (R4)."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]


class Said(Frozen):
    """Urging, a comment, a co-signature or a read receipt."""

    text: Text


class Rated(Frozen):
    rating: Rating
    text: Text


class Asked(Frozen):
    """An arbiter that is about to claim asks every participant for the best head it knows (R7)."""

    claim: Nonce


class Told(Frozen):
    """The answer to `asked`, by the machine: where the chain stands here."""

    claim: Nonce
    head: Digest
    seq: Count
    term: Term


class Promised(Frozen):
    """Until when the citizen who raised the matter in `entry` was promised an answer."""

    due_at: Instant


BODIES: dict[str, type[Frozen]] = {
    "declined": Declined,
    "recalled": Recalled,
    "urge": Said,
    "comment": Said,
    "cosign": Said,
    "rate": Rated,
    "read": Said,
    "asked": Asked,
    "told": Told,
    "promised": Promised,
}
DECISIONS = frozenset({"declined"})
