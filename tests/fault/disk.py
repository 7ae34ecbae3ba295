"""A disk whose power can fail: what was synced stays; of the rest any part may be there, in any order, and torn.

What is written is pending until its file is synced, a name until its folder is. A power cut keeps of each file's
pending writes none, all, the first few, any, or any 512-byte sectors of any; of pending names the first few, as a
journal does.
"""

import random
from dataclasses import dataclass, field

from tests.fault.recording import Event

SECTOR = 512
FATES = ("lost", "kept", "prefix", "subset", "torn")


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)


class Disk:
    """Files by name, as they are for running processes and as they are on the platter."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._names = {name: _File(bytearray(content)) for name, content in files.items()}
        self._durable_names = dict(self._names)
        self._pending_names: list[dict[str, _File]] = []

    def apply(self, event: Event) -> None:
        if event.kind == "create":
            if event.file not in self._names:
                self._names[event.file] = _File()
                self._renamed()
        elif event.kind in ("write", "cut"):
            self._names[event.file].pending.append(event)
        elif event.kind == "sync":
            file = self._names[event.file]
            for change in file.pending:
                _change(file.durable, change)
            file.pending.clear()
        elif event.kind == "sync_folder":
            self._durable_names = dict(self._names)
            self._pending_names.clear()
        elif event.kind == "rename":
            self._names[event.to] = self._names.pop(event.file)
            self._renamed()
        elif event.kind == "unlink":
            del self._names[event.file]
            self._renamed()

    def cut_power(self, fate: str, chance: random.Random) -> dict[str, bytes]:
        """What is found when the power is back."""
        steps = [self._durable_names, *self._pending_names]
        upto = {"lost": 0, "kept": len(steps) - 1}.get(fate)
        names = steps[chance.randrange(len(steps)) if upto is None else upto]
        return {name: _found(file, fate, chance) for name, file in names.items()}

    def _renamed(self) -> None:
        self._pending_names.append(dict(self._names))


def _found(file: _File, fate: str, chance: random.Random) -> bytes:
    content, pending = bytearray(file.durable), file.pending
    if fate == "lost":
        pending = []
    elif fate == "prefix":
        pending = pending[: chance.randint(0, len(pending))]
    elif fate in ("subset", "torn"):
        pending = [change for change in pending if chance.random() < 0.5]
    for change in pending:
        for piece in _torn(change, chance) if fate == "torn" else [change]:
            _change(content, piece)
    return bytes(content)


def _torn(change: Event, chance: random.Random) -> list[Event]:
    """Some of the sectors of a write, cut where the disk's sectors are."""
    if change.kind == "cut":
        return [change]
    pieces, at, end = [], change.at, change.at + len(change.data)
    while at < end:
        upto = min(end, (at // SECTOR + 1) * SECTOR)
        if chance.random() < 0.5:
            pieces.append(Event("write", change.file, at, change.data[at - change.at : upto - change.at]))
        at = upto
    return pieces


def _change(content: bytearray, change: Event) -> None:
    size = change.at if change.kind == "cut" else change.at + len(change.data)
    if len(content) < size:
        content.extend(bytes(size - len(content)))
    if change.kind == "cut":
        del content[size:]
    else:
        content[change.at : size] = change.data
