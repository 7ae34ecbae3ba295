"""The lines of a tree: one address for each child, behind which its parent answers, and which can be cut.

What is sent over a line that is cut goes nowhere and nobody is told, as with a cable that is out: both ends find out by
their own patience. The lines live in a process of their own, so that what they carry costs the measuring one nothing.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress

PIECE_BYTES = 65_536
Fork = Callable[[Callable[[], None]], int]


class Lines:
    """`ends`: by child, the port it calls and the one its parent is served at."""

    def __init__(self, ends: Mapping[str, tuple[int, int]], fork: Fork) -> None:
        heard, self._said = os.pipe()
        self._pid = fork(lambda: asyncio.run(_carry(ends, heard)))
        os.close(heard)

    def cut(self, code: str) -> None:
        os.write(self._said, f"cut {code}\n".encode())

    def mend(self, code: str) -> None:
        os.write(self._said, f"mend {code}\n".encode())

    def close(self) -> None:
        os.close(self._said)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


class _Line:
    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._whole = True
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError):
            if self._whole:
                there, back = await asyncio.open_connection("127.0.0.1", self._parent)
                self._open.add(back)
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            else:
                while await reader.read(PIECE_BYTES):
                    pass
        if self._whole:
            writer.close()
        self._open.discard(writer)

    def cut(self) -> None:
        self._whole = False

    def mend(self) -> None:
        """Good again for new connections; those that lost bytes can only be broken off."""
        self._whole = True
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                if self._whole:
                    writer.write(piece)
                    await writer.drain()
        if self._whole:
            writer.close()
            self._open.discard(writer)


async def _carry(ends: Mapping[str, tuple[int, int]], heard: int) -> None:
    lines = {code: _Line(parent) for code, (_, parent) in ends.items()}
    for code, (port, _) in ends.items():
        await asyncio.start_server(lines[code].serve, "127.0.0.1", port)
    orders = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(orders)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(heard, "rb"))
    while order := (await orders.readline()).decode().split():
        line = lines[order[1]]
        if order[0] == "cut":
            line.cut()
        else:
            line.mend()
