"""A node's log as others see it (SPEC 15): its name, checkpoints, tiles, the witness's request, and proofs as files.

The forms are those of C2SP (tlog-checkpoint, tlog-tiles, tlog-witness, tlog-proof), so that tools of others read and
witness these logs. Nothing here reads or writes anything but its arguments.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.exchange import PROOF_HASHES_MAX
from schemas.ids import COUNT_MAX, Incarnation, NodeCode
from sync.errors import Refused
from sync.keys import Signer
from sync.merkle import HASH_BYTES, TILE_WIDTH
from sync.note import PLAIN, TIMED, Line, Verifier, b64, read_note, sign, signed_by, unb64

PROOF_BYTES_MAX = 4 * 1024 * 1024
PROOF_HEAD = "c2sp.org/tlog-proof@v1"
LEVEL_MAX = 63
_ORIGIN = re.compile(r"liandong/([0-9]{6})/([1-9][0-9]{0,15})\.([0-9a-f]{32})")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_TILE = re.compile(r"(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's state: how many leaves it has and the root over them."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"


def origin(code: NodeCode, inc: Incarnation) -> str:
    """The name of the log of a node's incarnation."""
    return f"liandong/{code}/{inc.number}.{inc.nonce}"


def read_origin(text: str) -> tuple[NodeCode, Incarnation]:
    """Whose log a name is. Raises Refused("malformed")."""
    found = _ORIGIN.fullmatch(text)
    if found is None or int(found[2]) > COUNT_MAX:
        raise Refused("malformed", "log name")
    return found[1], Incarnation(int(found[2]), found[3])


def log_key(name: str, public: bytes) -> Verifier:
    """The key of the log called `name`."""
    return Verifier(name, PLAIN, public)


def witness_key(code: NodeCode, public: bytes) -> Verifier:
    """The key under which a node cosigns."""
    return Verifier(f"liandong/{code}", TIMED, public)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    return sign(str(checkpoint), checkpoint.origin, signer)


def read_checkpoint(raw: str) -> tuple[Checkpoint, tuple[Line, ...]]:
    """A checkpoint and its signature lines, none verified. Raises Refused. Extension lines are not taken."""
    text, lines = read_note(raw)
    rows = text.split("\n")
    if len(rows) != 4:
        raise Refused("malformed", "checkpoint")
    root = unb64(rows[2])
    if not rows[0] or len(root) != HASH_BYTES:
        raise Refused("malformed", "checkpoint")
    return Checkpoint(rows[0], _decimal(rows[1]), root), lines


def open_checkpoint(raw: str, public: bytes) -> Checkpoint:
    """A checkpoint that its log signed with this key. Raises Refused("malformed" or "bad-signature")."""
    checkpoint, lines = read_checkpoint(raw)
    if signed_by(str(checkpoint), lines, log_key(checkpoint.origin, public)) is None:
        raise Refused("bad-signature", checkpoint.origin)
    return checkpoint


# ---- tiles -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile by its place: hashes of a level, or the entries themselves; `width` below 256 for a partial one."""

    level: int | Literal["entries"]
    index: int
    width: int = TILE_WIDTH

    @property
    def start(self) -> int:
        """Index of its first hash or entry within its level."""
        return self.index * TILE_WIDTH


def tile_path(tile: Tile) -> str:
    """Where a tile is found, below `tile/`."""
    digits = f"{tile.index % 1000:03d}"
    rest = tile.index // 1000
    while rest:
        digits, rest = f"x{rest % 1000:03d}/{digits}", rest // 1000
    return f"{tile.level}/{digits}" + (f".p/{tile.width}" if tile.width < TILE_WIDTH else "")


def read_tile_path(path: str) -> Tile:
    """The tile at a path. Raises Refused("malformed") for any second spelling of it."""
    found = _TILE.fullmatch(path)
    if found is None:
        raise Refused("malformed", "tile path")
    level: int | Literal["entries"] = "entries" if found[1] == "entries" else int(found[1])
    index = int(found[2].replace("x", "").replace("/", "") + found[3])
    tile = Tile(level, index, int(found[4]) if found[4] else TILE_WIDTH)
    if tile_path(tile) != path or (level != "entries" and level > LEVEL_MAX):
        raise Refused("malformed", "tile path")
    return tile


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each behind its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


# ---- asking a witness --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """What a witness is asked: sign this checkpoint, which by this proof continues the tree of `old` leaves."""

    old: int
    proof: tuple[bytes, ...]
    note: str


def write_submission(asked: Submission) -> str:
    """The body of add-checkpoint."""
    return f"old {asked.old}\n" + "".join(f"{b64(item)}\n" for item in asked.proof) + f"\n{asked.note}"


def read_submission(raw: str) -> Submission:
    """Raises Refused("malformed")."""
    head, blank, note = raw.partition("\n\n")
    first, *hashes = head.split("\n")
    if not blank or not first.startswith("old ") or len(hashes) > PROOF_HASHES_MAX:
        raise Refused("malformed", "add-checkpoint")
    return Submission(_decimal(first[4:]), tuple(map(_hash, hashes)), note)


# ---- proofs as files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Proof:
    """A `.tlog-proof`: leaf `index` is under the checkpoint of `note`; `extra` is for who reads it."""

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes | None = None


def write_proof(proof: Proof) -> str:
    extra = "" if proof.extra is None else f"extra {b64(proof.extra)}\n"
    hashes = "".join(f"{b64(item)}\n" for item in proof.hashes)
    return f"{PROOF_HEAD}\n{extra}index {proof.index}\n{hashes}\n{proof.note}"


def read_proof(raw: bytes) -> Proof:
    """Raises Refused("malformed" or "too-large")."""
    if len(raw) > PROOF_BYTES_MAX:
        raise Refused("too-large", f"{len(raw)} bytes")
    try:
        head, blank, note = raw.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise Refused("malformed", "not UTF-8") from None
    first, *rows = head.split("\n")
    extra = unb64(rows.pop(0)[6:]) if rows and rows[0].startswith("extra ") else None
    if not blank or first != PROOF_HEAD or not rows or not rows[0].startswith("index "):
        raise Refused("malformed", "not a tlog-proof")
    if len(rows) - 1 > PROOF_HASHES_MAX:
        raise Refused("malformed", "proof")
    return Proof(_decimal(rows[0][6:]), tuple(map(_hash, rows[1:])), note, extra)


def _decimal(text: str) -> int:
    if not _DECIMAL.fullmatch(text) or int(text) > COUNT_MAX:
        raise Refused("malformed", "number")
    return int(text)


def _hash(text: str) -> bytes:
    raw = unb64(text)
    if len(raw) != HASH_BYTES:
        raise Refused("malformed", "hash")
    return raw
