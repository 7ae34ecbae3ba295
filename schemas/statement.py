"""The signed thing: a JWS in General JSON serialization and what every payload shares (SPEC 3).

The payload bytes are the truth: signed, stored and sent as they are. Nothing here signs or verifies; sync.sealing does.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from schemas.ids import Count, Digest, Incarnation, Instant, NodeCode, Term, Version

VERSION: Literal[1] = 1
PAYLOAD_BYTES_MAX = 60 * 1024
DECLINED_BYTES_MAX = 4 * 1024
DECLINED_STATEMENT_BYTES_MAX = 16 * 1024
"""Of a whole `declined` with all its signatures: `resumed` embeds it and must stay within its own limit."""
STATEMENT_BYTES_MAX = 96 * 1024
JSON_DEPTH_MAX = 32
SIGNATURES_MAX = 4
PARTS_MAX = 64
PART_BYTES_MAX = 32 * 1024 * 1024
CHUNK_BYTES_MAX = 192 * 1024

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")]
Share = Literal["full", "counts", "local"]
Status = Literal["active", "offered", "closed", "frozen"]
"""What a topic is in; `frozen` is what a node says that knows its custodian signed twice."""
Title = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Text = Annotated[str, StringConstraints(max_length=8000)]


class Frozen(BaseModel):
    """A wire object: every field present, none unknown, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Body = TypeVar("Body")
AnyBody = dict[str, Any]
"""The body of a kind this version does not know: kept and relayed, never read."""


class PartRef(Frozen):
    """Content that travels beside a payload and can be erased: digest = SHA-256(salt || bytes)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
    digest: Digest
    size: Annotated[int, Field(ge=0, le=PART_BYTES_MAX)]
    media: Annotated[str, StringConstraints(pattern=r"^[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,79}$")]
    share: Share


def _named_once(parts: list[PartRef]) -> list[PartRef]:
    if len({part.name for part in parts}) != len(parts):
        raise ValueError("two parts of one name")
    return parts


Parts = Annotated[list[PartRef], Field(max_length=PARTS_MAX), AfterValidator(_named_once)]


class Header(Frozen):
    """What every statement of every kind says of itself."""

    v: Version
    author: NodeCode
    inc: Incarnation
    at: Instant


class Positioned(Header):
    """A statement that stands at a position of a chain."""

    seq: Count
    prev: Digest | None


class Entry(Positioned, Generic[Body]):
    """One entry of a topic's chain; the kind names the shape of `body` (schemas.entry)."""

    topic: Digest | None
    term: Term
    kind: Kind
    body: Body
    parts: Parts


class Remark(Header, Generic[Body]):
    """A statement beside a chain, about one of its entries; shapes of `body` in schemas.remark."""

    topic: Digest
    entry: Digest
    kind: Kind
    body: Body
    parts: Parts


class RegistryEntry(Positioned, Generic[Body]):
    """One entry of a node's registry chain; shapes of `body` in schemas.registry."""

    kind: Kind
    body: Body
    parts: Parts


class Summary(Header, Generic[Body]):
    """What a custodian says of its topics for the tiers above, the `seq`-th of its incarnation; shapes of `body` in
    schemas.summary."""

    seq: Count
    kind: Kind
    body: Body
    parts: Parts


class Seal(Header):
    """The last line of an exchange document; the author is the sender."""

    to: NodeCode
    session: str | None
    nonce: str | None
    digest: Digest
