"""Bodies of registry entries, by kind (SPEC 7): who is a node of the tree, under which key, below whom."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.ids import Count, Digest, Incarnation, KeyId, NodeCode, Tier
from schemas.statement import Frozen, Reason

PublicKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""32 bytes, base64url without padding."""
Recipient = Annotated[str, StringConstraints(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]
"""An age X25519 recipient, as the common `age` tool takes it."""
Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,192}$")]


class Card(Frozen):
    """What a node is: its place in the tree and its two public keys (Ed25519 to sign, X25519 to receive bundles)."""

    code: NodeCode
    name: Annotated[str, Field(min_length=1, max_length=120)]
    tier: Tier
    url: Url
    key: PublicKey
    box: Recipient


class Anchored(Frozen):
    """The root names itself and, later, its witnesses; the only registry entry that needs no earlier key."""

    node: Card
    inc: Incarnation
    witnesses: Annotated[list[NodeCode], Field(max_length=3)]


class Enrolled(Frozen):
    """The author takes this node as its child and grants it incarnation 1 with the nonce it drew."""

    node: Card
    inc: Incarnation


class Published(Frozen):
    """A numbered version of a code list that flows down; the content is the part named `content`."""

    list: Literal["powers", "categories", "divisions", "calendar"]
    version: Count


class StreamEnd(Frozen):
    """How far the author had the stream of an incarnation that is over."""

    inc: Incarnation
    seq: Count
    hash: Digest


class LogEnd(Frozen):
    """The last checkpoint of a log that the author cosigned."""

    size: Count
    root: Digest


class Granted(Frozen):
    """The parent grants its child, or the root itself, another incarnation, for the nonce of one restore (R10, R13)."""

    node: NodeCode
    inc: Incarnation
    key: KeyId
    closed: StreamEnd | None
    log: LogEnd | None


class Rotated(Frozen):
    """The parent names another key of its child; `revoked`: the old one is in other hands (R19)."""

    node: Card
    revoked: bool
    closed: StreamEnd | None
    reason: Reason


BODIES: dict[str, type[Frozen]] = {
    "anchored": Anchored,
    "enrolled": Enrolled,
    "published": Published,
    "granted": Granted,
    "rotated": Rotated,
}
