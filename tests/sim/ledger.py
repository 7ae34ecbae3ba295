"""Everything the nodes ever signed: the record that I1, and the order of writing and sending, are checked against.

A signature made in a transaction that was rolled back never left its process; it is forgotten. One whose transaction
was committed counts for ever, whether anybody received it or not. Whatever is seen on the wire must have been
committed before.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.ids import Digest, NodeCode
from sync.keys import Signer, unb64
from sync.sealing import ENTRY, REGISTRY, REMARK, identity

_OF_RECORD = (ENTRY, REMARK, REGISTRY)
Position = tuple[object, ...]


class Violation(AssertionError):
    """An invariant does not hold; the text begins with its name."""


class Recorder(Signer):
    """A node's signer that tells the ledger what it signs."""

    def __init__(self, private: Ed25519PrivateKey, ledger: "Ledger", code: NodeCode) -> None:
        super().__init__(private)
        self._ledger, self._code = ledger, code

    def sign(self, data: bytes) -> bytes:
        protected, _, payload = data.partition(b".")
        if protected.startswith((b"liandong/", b"cosignature/v1")):
            return super().sign(data)  # the node's own books, checkpoints and what it signs of others': no statements
        if json.loads(unb64(protected.decode()))["typ"] in _OF_RECORD:
            self._ledger.signed(self._code, unb64(payload.decode()))
        return super().sign(data)


class Ledger:
    def __init__(self) -> None:
        self.payloads: dict[Digest, dict[str, Any]] = {}
        """Every statement committed by its author."""
        self.order: dict[NodeCode, list[Digest]] = {}
        self._at: dict[Position, Digest] = {}
        self._pending: dict[NodeCode, list[bytes]] = {}
        self._kept_back: set[Digest] = set()
        """Parts that are not `full`."""

    def signed(self, code: NodeCode, payload: bytes) -> None:
        self._pending.setdefault(code, []).append(payload)

    def commit(self, code: NodeCode) -> None:
        for payload in self._pending.pop(code, []):
            self._keep(code, payload)

    def forget(self, code: NodeCode) -> None:
        self._pending.pop(code, None)

    def adopt_stored(self, code: NodeCode, path: Path) -> None:
        """What a node signed before it was watched: a root's anchor."""
        with sqlite3.connect(path) as conn:
            for (raw,) in conn.execute("SELECT raw FROM statements ORDER BY pos"):
                self._keep(code, unb64(json.loads(raw)["payload"]))
        conn.close()

    def check_released(self, document: bytes) -> None:
        """Nothing is on its way that its author had not committed, and nothing that is to stay where it is (I17)."""
        for line in document.split(b"\n"):
            if line.startswith(b'{"chunk"') and json.loads(line)["chunk"]["digest"] in self._kept_back:
                raise Violation("I17: a part that is not shared was sent")
            if line.startswith(b'{"payload"'):
                found = identity(unb64(json.loads(line)["payload"]))
                if found not in self.payloads:
                    raise Violation(f"R14: statement {found[:12]} was sent before it was committed")

    def _keep(self, code: NodeCode, payload: bytes) -> None:
        found, said = identity(payload), json.loads(payload)
        self.payloads[found] = said
        self.order.setdefault(code, []).append(found)
        self._kept_back |= {part["digest"] for part in said["parts"] if part["share"] != "full"}
        for position in _positions(found, said):
            if self._at.setdefault(position, found) != found:
                raise Violation(f"I1: {code} signed two statements at {position}")


def _positions(id: Digest, said: dict[str, Any]) -> list[Position]:
    """The places a statement takes, of which each may be taken once (R9)."""
    who = (said["author"], tuple(said["inc"]))
    if "term" in said:
        found: list[Position] = [(*who, said["topic"] or id, json.dumps(said["term"]), said["seq"])]
        if said["kind"] == "accepted":
            found.append((*who, "answer", said["body"]["offer"]))
        return found
    if "entry" in said:
        return [(*who, "answer", said["entry"])] if said["kind"] == "declined" else []
    return [(*who, "registry", said["seq"])]
