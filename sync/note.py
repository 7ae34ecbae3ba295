"""Signed notes (C2SP signed-note), and the two signatures a log knows: its own and a witness's (SPEC 15.2).

A note is text, a blank line, and signature lines. A key is named by a name and four bytes, which commit to the kind of
signature as well; lines of keys one does not know are passed over. A witness signs the time along with the text
(C2SP tlog-cosignature).
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.errors import Refused
from sync.keys import SIGNATURE_BYTES, Signer

NOTE_BYTES_MAX = 16 * 1024
SIGNATURE_LINES_MAX = 16
PLAIN = 0x01
"""Ed25519 over the text."""
TIMED = 0x04
"""Ed25519 over a time and the text: a cosignature."""
_DASH = "\u2014"
_LINE = re.compile(rf"{_DASH} ([^\s+]+) ([A-Za-z0-9+/]+={{0,2}})\n")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f]")
_TIME_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """One signature line: who says to have signed, with which key, and what."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH} {self.name} {b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that may sign notes: its name, the kind of signature, and the 32 bytes."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        """The key as other tools take it (a `vkey`)."""
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    def made(self, line: Line) -> bool:
        """Whether the line says to be of this key."""
        return (line.name, line.key_id) == (self.name, self.key_id)

    def time_of(self, text: str, line: Line) -> int | None:
        """None where the signature does not verify; else the time a cosignature was made, 0 for a plain one."""
        signature, at, signed = line.signature, 0, text.encode()
        if self.kind == TIMED:
            at, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            signed = _timed(text, at)
        if len(signature) != SIGNATURE_BYTES or at > _TIME_MAX:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, signed)
        except (InvalidSignature, ValueError):
            return None
        return at


def sign(text: str, name: str, signer: Signer) -> str:
    """The note of a text, under one plain signature."""
    line = Line(name, Verifier(name, PLAIN, signer.public).key_id, signer.sign(text.encode()))
    return f"{text}\n{line}"


def only(text: str, lines: Iterable[Line], verifier: Verifier) -> str:
    """The note of a text with no signature lines but those of this key."""
    return f"{text}\n" + "".join(str(line) for line in lines if verifier.made(line))


def cosign(text: str, name: str, signer: Signer, at: int) -> str:
    """A cosignature line for a note's text, made at `at` (seconds since 1970)."""
    signature = at.to_bytes(8, "big") + signer.sign(_timed(text, at))
    return str(Line(name, Verifier(name, TIMED, signer.public).key_id, signature))


def read_note(raw: str) -> tuple[str, tuple[Line, ...]]:
    """The text of a note and its signature lines, none of them verified. Raises Refused("malformed")."""
    if len(raw.encode(errors="replace")) > NOTE_BYTES_MAX:
        raise Refused("too-large", "note")
    if _CONTROL.search(raw):
        raise Refused("malformed", "note: control character")
    text, blank, signatures = raw.rpartition("\n\n")
    if not blank or not text:
        raise Refused("malformed", "note: no signatures")
    return f"{text}\n", read_lines(signatures)


def read_lines(raw: str) -> tuple[Line, ...]:
    """One or more signature lines. Raises Refused("malformed")."""
    found: list[Line] = []
    at = 0
    while at < len(raw):
        match = _LINE.match(raw, at)
        if match is None or len(found) == SIGNATURE_LINES_MAX:
            raise Refused("malformed", "note: signature line")
        blob = unb64(match[2])
        if len(blob) <= 4:
            raise Refused("malformed", "note: signature line")
        found.append(Line(match[1], blob[:4], blob[4:]))
        at = match.end()
    if not found:
        raise Refused("malformed", "note: no signatures")
    return tuple(found)


def signed_by(text: str, lines: Iterable[Line], verifier: Verifier) -> int | None:
    """When this key signed the text (0: a plain signature); None where no line of its verifies.

    A line that says to be of this key and does not verify spoils the whole note.
    """
    times = [verifier.time_of(text, line) for line in lines if verifier.made(line)]
    return None if not times or None in times else times[0]


def b64(raw: bytes) -> str:
    """Plain base64 with padding, as notes and proofs have it."""
    return base64.b64encode(raw).decode()


def unb64(text: str) -> bytes:
    """Raises Refused("malformed") for any second spelling of the same bytes."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Refused("malformed", "base64") from None
    if b64(raw) != text:
        raise Refused("malformed", "base64")
    return raw


def _timed(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()
