"""What both ends of a link do with a document that is good: take it, and say what it asks for."""

from typing import Any

from tests.conformance.office import CHUNK_BYTES, Link, Office
from tests.conformance.wire import log, sets, strict
from tests.conformance.wire.document import Document, loose
from tests.conformance.wire.jose import b64
from tests.conformance.wire.statement import identity
from tests.conformance.wire.strict import Json

PULLS_MAX = 64


def hear(office: Office, link: Link, document: Document) -> None:
    """Take ack, statements and loose lines; what cannot be right is a fault of the other side."""
    ack(office, link, document.header["ack"])
    for n, raw in enumerate(document.statements):
        _statement(office, link, document.header["first"] + n, raw)
    for name, value in document.loose:
        if name == "chunk":
            office.chunk(value)
        elif name == "old":
            office.take(strict.write(value), link.peer)
        elif name == "settled":
            office.settled |= set(value["ids"])


def ack(office: Office, link: Link, said: Json) -> None:
    if said["inc"] != office.inc:
        return
    if said["seq"] > link.out.seq or said != link.out.at(said["seq"]):
        office.faults.append(f"ack {said} of our stream is not what was sent")
        return
    link.acked = said["seq"]


def _statement(office: Office, link: Link, seq: int, raw: bytes) -> None:
    id = identity(raw)
    if seq <= link.into.seq:
        return
    if seq != link.into.seq + 1:
        office.faults.append(f"position {seq} follows {link.into.seq}")
        return
    link.into.add(id)
    office.take(raw, link.peer)
    if id in office.parked and id not in office.evil:
        office.faults.append(f"statement {id}: {office.parked[id][1]}")


def pulls(office: Office) -> list[bytes]:
    wanted = list(office.wants().items())[:PULLS_MAX]
    return [loose("pull", {"digest": digest, "offset": offset}) for digest, offset in wanted]


def answers(office: Office, link: Link, document: Document) -> list[bytes]:
    """What an honest peer owes for these loose lines, in its next document."""
    found: list[tuple[str, Any]] = []
    for name, value in document.loose:
        if name == "pull":
            found += chunks(office, value)
        elif name == "heal":
            member = office.roster.members.get(link.peer)
            number = member.inc[0] if member else 0
            found.append(("knows", {"nonce": value["nonce"], "number": number}))
        elif name == "have":
            found += sets.answer_have(office.shared_with(link.peer), value)
        elif name == "ids":
            lacks, asks = sets.answer_ids(office.shared_with(link.peer), value)
            found += [("old", strict.read(raw)) for raw in office.in_order(lacks)] + asks
        elif name == "settled":
            found.append(("heard", {"inc": value["inc"], "upto": value["upto"]}))
        elif name == "checkpoint":
            found += cosign(office, link, value)
    return [loose(name, value) for name, value in found]


def chunks(office: Office, pull: Json) -> list[tuple[str, Any]]:
    part = office.parts.get(pull["digest"])
    if part is None or not part.whole:
        return []
    data = bytes(part.data)[pull["offset"] :][:CHUNK_BYTES]
    own = {"digest": pull["digest"], "salt": part.salt, "size": part.size, "offset": pull["offset"], "data": b64(data)}
    return [("chunk", own)]


def cosign(office: Office, link: Link, value: Json) -> list[tuple[str, Any]]:
    """The witness (15.4): what is consistent with all that was signed is signed, and nothing else."""
    kept, found = office.signed, log.read_checkpoint(value["note"])
    size, root, line = kept.get(found.name, (0, log.tree_root([]), None))
    public = office.roster.keyring_of(link.peer)
    proof = [bytes.fromhex(each) for each in value["proof"]]
    good = log.is_signed(found, public) and found.name == log.log_name(link.peer, office.roster.live(link.peer))
    if not good:
        office.faults.append(f"a checkpoint that is not rightly signed: {found.name}")
    elif value["old"] == size and found.size > size:
        if log.consistent(size, root, found.size, found.root, proof):
            line = log.cosign(office.key, office.code, found, 1_700_000_000 + found.size)
            size, root = found.size, found.root
            kept[found.name] = (size, root, line)
        else:
            office.faults.append(f"a checkpoint of {found.size} is not proven from {size}")
    elif found.size == size and found.root != root:
        office.faults.append(f"two roots of size {size}")
    return [("cosignature", {"log": found.name, "size": size, "root": root.hex(), "line": line})]
