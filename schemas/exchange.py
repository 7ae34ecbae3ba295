"""The exchange document: JSON Lines from header to seal (SPEC 8), and the bodies of joining (SPEC 9)."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.ids import Count, Digest, Incarnation, NodeCode, Nonce, Tier, Version
from schemas.registry import Card, Url
from schemas.statement import CHUNK_BYTES_MAX, PART_BYTES_MAX, Frozen

MEDIA_TYPE = "application/liandong-exchange+jsonl"
DOCUMENT_BYTES_MAX = 16 * 1024 * 1024
LINE_BYTES_MAX = 512 * 1024
ITEMS_MAX = 5000
LINES_MAX = 12000
WAIT_S_MAX = 25
PAPERS_MAX = 1000
"""Lines of a document of papers; one of an unknown key that has more is not looked at."""
PAPERS_BYTES_MAX = 1024 * 1024
"""Of such a document as a whole."""
LISTED_MAX = 256
"""Identities that are listed one by one; more are compared by the digests of their parts."""
ITEMS_DEFAULT = 200
BYTES_DEFAULT = 1024 * 1024
PROOF_HASHES_MAX = 63
CHECKPOINT_CHARS_MAX = 4096
COSIGNATURE_CHARS_MAX = 512
SETTLED_MAX = 500
"""Statements named in one `settled` line, of which a document has one at most."""
SILENCE_S = 30
"""Longest time without a byte before a side gives a request up."""

Lane = Literal["wait", "push", "file"]
Session = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Disposition = Literal["applied", "duplicate", "deferred", "held", "refused"]
LogName = Annotated[str, StringConstraints(pattern=r"^liandong/[0-9]{6}/[1-9][0-9]{0,15}\.[0-9a-f]{32}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,39}$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{0,64}$")]


class Ack(Frozen):
    """How far the sender has the receiver's stream: incarnation, seq, hash; seq 0 for nothing yet."""

    inc: Incarnation
    seq: Count
    hash: Digest


class Budget(Frozen):
    """What the sender is ready to get back."""

    items: Annotated[int, Field(ge=1, le=ITEMS_MAX)]
    bytes: Annotated[int, Field(ge=1024, le=DOCUMENT_BYTES_MAX)]
    wait_s: Annotated[int, Field(ge=0, le=WAIT_S_MAX)]


class DocumentHeader(Frozen):
    v: Version
    from_: Annotated[NodeCode, Field(alias="from")]
    to: NodeCode
    inc: Incarnation
    instance: Nonce | None
    lane: Lane
    session: Session | None
    nonce: Nonce | None
    answers: Nonce | None
    challenge: Nonce | None
    ack: Ack
    first: Count
    budget: Budget
    checkpoint: None


class Chunk(Frozen):
    """A piece of a part; `data` is base64url of at most CHUNK_BYTES_MAX bytes."""

    digest: Digest
    salt: Nonce
    size: Annotated[int, Field(ge=0, le=PART_BYTES_MAX)]
    offset: Annotated[int, Field(ge=0, le=PART_BYTES_MAX)]
    data: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]*$", max_length=CHUNK_BYTES_MAX * 4 // 3 + 4)]


class Verdict(Frozen):
    """What became of a statement the other side sent."""

    seq: Count
    id: Digest
    disposition: Disposition
    code: Code | None


class Pull(Frozen):
    """Please send this part from this offset on."""

    digest: Digest
    offset: Annotated[int, Field(ge=0, le=PART_BYTES_MAX)]


class CheckpointLine(Frozen):
    """Please sign this state of the sender's log, which by this proof continues the one of `old` leaves (SPEC 15)."""

    old: Count
    proof: Annotated[list[Digest], Field(max_length=PROOF_HASHES_MAX)]
    note: Annotated[str, Field(min_length=1, max_length=CHECKPOINT_CHARS_MAX)]


class CosignatureLine(Frozen):
    """The largest state of the receiver's log that the sender signed; `line` is null while there is none."""

    log: LogName
    size: Count
    root: Digest
    line: Annotated[str, Field(min_length=1, max_length=COSIGNATURE_CHARS_MAX)] | None


class SettledLine(Frozen):
    """These statements, which the receiver has from the sender, are settled; `upto` counts what was told so far."""

    inc: Incarnation
    upto: Count
    ids: Annotated[list[Digest], Field(min_length=1, max_length=SETTLED_MAX)]


class HeardLine(Frozen):
    """How far the sender has taken the receiver's `settled` lines."""

    inc: Incarnation
    upto: Count


class SignedLine(Frozen):
    """A state of another's log that the sender signed, for the receiver to keep: the log's note, the sender's line."""

    note: Annotated[str, Field(min_length=1, max_length=CHECKPOINT_CHARS_MAX)]
    line: Annotated[str, Field(min_length=1, max_length=COSIGNATURE_CHARS_MAX)]


class KeptLine(Frozen):
    """The largest state of another's log that the receiver signed, as far as the sender keeps it for the receiver."""

    note: Annotated[str, Field(min_length=1, max_length=CHECKPOINT_CHARS_MAX)]
    line: Annotated[str, Field(min_length=1, max_length=COSIGNATURE_CHARS_MAX)]


class Heal(Frozen):
    """The sender has no live incarnation: the nonce of this restore, the highest number it knows of itself, and whether
    every neighbour has answered or was waived (SPEC 14.4)."""

    nonce: Nonce
    number: Count
    ready: bool


class Knows(Frozen):
    """The answer to `heal`: the highest number of an incarnation of the asker that is known here."""

    nonce: Nonce
    number: Count


class Have(Frozen):
    """How many identities of the sender's set begin with `prefix`, and the SHA-256 over them (SPEC 14.3)."""

    prefix: Prefix
    count: Count
    digest: Digest


class Ids(Frozen):
    """All identities of the sender's set that begin with `prefix`."""

    prefix: Prefix
    ids: Annotated[list[Digest], Field(max_length=LISTED_MAX)]


class JoinRequest(Frozen):
    """What a child asks with; sealed as a statement of type `join` under the key it proves to hold."""

    v: Version
    parent: NodeCode
    secret: Nonce
    node: Card
    nonce: Nonce


class Invitation(Frozen):
    """What the single-use token says: base64url of this object's JSON."""

    v: Version
    url: Url
    parent: NodeCode
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
    anchor: Digest
    log: Annotated[str, Field(min_length=1, max_length=120)]
    code: NodeCode
    tier: Tier
    name: Annotated[str, Field(min_length=1, max_length=120)]
    secret: Nonce
