"""The small values every layer shares: node codes, identities, incarnations, terms, tiers (SPEC 2).

They are parsed once, where bytes enter the house, and never re-checked inside.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

NodeCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
"""Division code of a node, six digits."""
AreaCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}([0-9]{3}([0-9]{3})?)?$")]
"""Division code of a place: 6, 9 or 12 digits."""
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal; of a payload it is the statement's identity."""
TopicId = Digest
KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""JWK thumbprint (RFC 7638), base64url."""
Nonce = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""128 random bits in lower-case hexadecimal."""

COUNT_MAX = 2**53 - 1
Count = Annotated[int, Field(strict=True, ge=0, le=COUNT_MAX)]
Version = Annotated[int, Field(strict=True, ge=1, le=1)]
"""The number 1; a plain literal would take `true` as well."""


def _real_instant(value: str) -> str:
    datetime.fromisoformat(value)
    return value


Instant = Annotated[
    str,
    StringConstraints(pattern=r"^(19|2[0-9])[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"),
    AfterValidator(_real_instant),
]
"""RFC 3339 in UTC, for people: clocks decide nothing between nodes (R20). Outside the years 1900 to 2999 some zone's or
some database's arithmetic overflows."""


def _array(value: object) -> object:
    if not isinstance(value, list | tuple):
        raise ValueError("must be an array")
    return value


def _only_array(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """One spelling: a named tuple alone would be read from an object with its field names too."""
    return core_schema.no_info_before_validator_function(_array, handler(source))


class Incarnation(NamedTuple):
    """One life of a node between two restores; `[0, ""]` where none is meant (R10)."""

    number: Count
    nonce: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{32})?$")]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _only_array(source, handler)


NO_INCARNATION = Incarnation(0, "")


class Term(NamedTuple):
    """A span of one custodian's writing, ordered left to right: claims, the last claimant's rank and incarnation,
    hand-overs since."""

    g: Count
    k: Count
    i: Incarnation
    t: Count

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return _only_array(source, handler)


FIRST_TERM = Term(0, 0, NO_INCARNATION, 0)


class Tier(StrEnum):
    """The three tiers that run nodes; townships and villages are units of a county's node."""

    COUNTY = "county"
    CITY = "city"
    PROVINCE = "province"

    @property
    def rank(self) -> int:
        return {"county": 1, "city": 2, "province": 3}[self.value]
