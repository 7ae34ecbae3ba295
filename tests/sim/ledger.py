"""Everything the nodes ever signed: the record that I1, and the order of writing and sending, are checked against.

A signature made in a transaction that was rolled back never left its process; it is forgotten. One whose transaction
was committed counts for ever, whether anybody received it or not, and whether its node still knows it: a restore takes
nothing off this record. Whatever is seen on the wire must have been committed before.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas.ids import Digest, NodeCode
from sync.keys import Signer, unb64
from sync.sealing import ENTRY, REGISTRY, REMARK, SUMMARY, identity

OF_RECORD = (ENTRY, REMARK, REGISTRY, SUMMARY)
_COSIGNATURE = b"cosignature/v1\n"
_LOG = b"liandong/"
_AUDIT = b"liandong/audit/"
Position = tuple[object, ...]
Life = tuple[NodeCode, tuple[Any, ...]]
"""A node and one incarnation of it."""


class Violation(AssertionError):
    """An invariant does not hold; the text begins with its name."""


class Recorder(Signer):
    """A node's signer that tells the ledger what it signs."""

    def __init__(self, private: Ed25519PrivateKey, ledger: "Ledger", code: NodeCode) -> None:
        super().__init__(private)
        self._ledger, self._code = ledger, code

    def sign(self, data: bytes) -> bytes:
        if data.startswith(_AUDIT):
            return super().sign(data)  # the node's own books, which no other node reads
        if data.startswith((_LOG, _COSIGNATURE)):
            self._ledger.signed(self._code, data)
            return super().sign(data)
        protected, _, payload = data.partition(b".")
        if json.loads(unb64(protected.decode()))["typ"] in OF_RECORD:
            self._ledger.signed(self._code, unb64(payload.decode()))
        return super().sign(data)


class Ledger:
    def __init__(self) -> None:
        self.payloads: dict[Digest, dict[str, Any]] = {}
        """Every statement committed by its author."""
        self.order: dict[NodeCode, list[Digest]] = {}
        self.fresh: list[Digest] = []
        """What the checks have not seen yet."""
        self.excused: set[Life] = set()
        """Incarnations that ran twice without a chance to notice it: a copy of guard and database together."""
        self.over: set[Life] = set()
        """Incarnations whose end was noticed: nothing may ever be signed in them again."""
        self._at: dict[Position, object] = {}
        self._sizes: dict[Position, int] = {}
        self._pending: dict[NodeCode, list[bytes]] = {}
        self._kept_back: set[Digest] = set()
        """Parts that are not `full`."""

    def signed(self, code: NodeCode, said: bytes) -> None:
        self._pending.setdefault(code, []).append(said)

    def commit(self, code: NodeCode, is_stored: Callable[[Digest], bool]) -> None:
        """What was signed in the transaction that is committed now, and is part of it: what the rules forbade in the
        end was dropped before anybody saw it."""
        for said in self._pending.pop(code, []):
            if said.startswith((_LOG, _COSIGNATURE)):
                self._keep_log(code, said.decode())
            elif is_stored(identity(said)):
                self._keep(code, said)

    def forget(self, code: NodeCode) -> None:
        self._pending.pop(code, None)

    def forget_sizes(self, code: NodeCode) -> None:
        """A witness that was restored has forgotten how far it had signed; that it signs one root for each size is not
        a matter of memory."""
        self._sizes = {signer: size for signer, size in self._sizes.items() if signer[:2] != (code, True)}

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
            if line.startswith((b'{"payload"', b'{"old"')):
                outer = json.loads(line)
                found = identity(unb64(outer.get("old", outer)["payload"]))
                if found not in self.payloads:
                    raise Violation(f"R14: statement {found[:12]} was sent before it was committed")

    def _keep(self, code: NodeCode, payload: bytes) -> None:
        found, said = identity(payload), json.loads(payload)
        self.payloads[found] = said
        self.order.setdefault(code, []).append(found)
        self.fresh.append(found)
        self._kept_back |= {part["digest"] for part in said["parts"] if part["share"] != "full"}
        life = (said["author"], tuple(said["inc"]))
        if said["author"] != code or not said["inc"][0]:
            raise Violation(f"R10: {code} signed a {said['kind']} as {life}")
        if life in self.over:
            raise Violation(f"R10: {code} signed a {said['kind']} in {said['inc']}, which is over")
        for position in positions(found, said):
            if self._at.setdefault(position, found) != found and life not in self.excused:
                raise Violation(f"I1: {code} signed two statements at {position}")

    def _keep_log(self, code: NodeCode, text: str) -> None:
        """A checkpoint of its own, or one that it signs as a witness: one root for each size, and never a smaller size
        than before (I9, I10)."""
        lines = text.split("\n")
        name, size, root = lines[2:5] if text.startswith("cosignature") else lines[:3]
        _, author, inc = name.split("/")
        number, nonce = inc.split(".")
        if {(author, (int(number), nonce)), *((c, i) for c, i in self.excused if c == code)} & self.excused:
            return
        signer = (code, text.startswith("cosignature"), name)
        if self._at.setdefault((*signer, size), root) != root:
            raise Violation(f"I10: {code} signed two states of the log {name} at size {size}")
        if int(size) < self._sizes.get(signer, 0):
            raise Violation(f"I10: {code} signed the log {name} at size {size} after {self._sizes[signer]}")
        self._sizes[signer] = int(size)


def positions(id: Digest, said: dict[str, Any]) -> list[Position]:
    """The places a statement takes, of which each may be taken once (R9)."""
    who = (said["author"], tuple(said["inc"]))
    if "term" in said:
        found: list[Position] = [(*who, said["topic"] or id, json.dumps(said["term"]), said["seq"])]
        if said["kind"] == "accepted":
            found.append((*who, "answer", said["body"]["offer"]))
        return found
    if "entry" in said:
        return [(*who, "answer", said["entry"])] if said["kind"] == "declined" else []
    if "prev" in said:
        return [(*who, "registry", said["seq"])]
    return [(*who, "summary", said["seq"])]
