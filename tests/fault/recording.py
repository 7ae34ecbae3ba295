"""What a process did to its files, in order, read from the tracer's log."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fault.acts import RECORD

_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+|\?)")
_BEGUN = re.compile(r"^(\d*) *(.*?) <unfinished \.\.\.>$")
_RESUMED = re.compile(r"^(\d*) *<\.\.\. \w+ resumed>(.*)$")
_FD = re.compile(r"(\d+)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_SYNCS = ("fsync", "fdatasync")
_WRITES = ("write", "pwrite64")


class Unreadable(Exception):
    """The log holds a call that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Event:
    """`kind`: create, write, cut, sync, sync_folder, rename, unlink, or say: an acknowledgement."""

    kind: str
    file: str = ""
    at: int = 0
    data: bytes = b""
    to: str = ""
    said: tuple[str, Any] = ("", None)


def read(log: Path, folder: Path) -> list[Event]:
    """The events of one data folder. Raises Unreadable."""
    return list(_Reader(folder).events(log.read_text().splitlines()))


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._positions: dict[str, int] = {}

    def events(self, lines: list[str]) -> Iterator[Event]:
        for line in _whole(lines):
            found = _LINE.match(line)
            if found is None:
                if "+++" not in line and "---" not in line:
                    raise Unreadable(line[:200])
                continue
            call, arguments, result = found.groups()
            if result.isdecimal():  # neither an error nor cut off by the end of the process
                yield from self._event(call, arguments, line)

    def _event(self, call: str, arguments: str, line: str) -> Iterator[Event]:
        if call == "openat":
            yield from self._opened(arguments, line)
            return
        if call in ("rename", "unlink"):
            names = [self._name(_bytes(text).decode()) for text in _TEXT.findall(arguments)]
            yield Event(call, names[0], to=names[-1])
            return
        if call == "mkdir":
            return  # the data folder itself, which the disk begins with
        found = _FD.match(arguments)
        if found is None:
            raise Unreadable(line[:200])
        fd, path = found.groups()
        name = self._name(_bytes(path).decode())
        if call in _WRITES:
            yield from self._written(call, fd, name, arguments)
        elif call in _SYNCS:
            yield Event("sync" if name else "sync_folder", name)
        elif call == "ftruncate":
            yield Event("cut", name, int(arguments.rpartition(",")[2]))
        else:
            raise Unreadable(line[:200])

    def _opened(self, arguments: str, line: str) -> Iterator[Event]:
        fd = re.search(r"= (\d+)<", line)
        path = _bytes(_TEXT.findall(arguments)[-1]).decode()
        if fd is None or path == self._folder:
            return
        self._positions[fd.group(1)] = 0
        if "O_CREAT" in arguments:
            yield Event("create", self._name(path))
        if "O_TRUNC" in arguments:
            yield Event("cut", self._name(path), 0)

    def _written(self, call: str, fd: str, name: str, arguments: str) -> Iterator[Event]:
        data = _bytes(_TEXT.findall(arguments)[-1])
        if name == RECORD:
            yield from (Event("say", said=tuple(json.loads(said))) for said in data.splitlines())
            return
        if call == "pwrite64":
            yield Event("write", name, int(arguments.rpartition(",")[2]), data)
            return
        at = self._positions.get(fd, 0)
        self._positions[fd] = at + len(data)
        yield Event("write", name, at, data)

    def _name(self, path: str) -> str:
        """Below the data folder; the folder itself is the empty name."""
        return path.removeprefix(self._folder).lstrip("/") if path.startswith(self._folder) else Path(path).name


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """Each call on one line, where it ended. One that a thread was in when its process ended has no other half, and
    nobody heard of it; of some the tracer does not even learn the name (`???`)."""
    begun: dict[str, str] = {}
    for line in lines:
        if (half := _BEGUN.match(line)) is not None:
            begun[half.group(1)] = half.group(2)
        elif (half := _RESUMED.match(line)) is not None:
            pid, rest = half.groups()
            if pid not in begun:
                raise Unreadable(line[:200])
            yield f"{pid} {begun.pop(pid)}{rest}".lstrip()
        else:
            yield line


def _bytes(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace("\\x", ""))
