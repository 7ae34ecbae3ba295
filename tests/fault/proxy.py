"""A bad line between two real nodes: a TCP proxy that does one thing to one byte of one direction.

It flips a byte, ends the stream there, ends both streams, lets nothing more through, waits before it, or lets the rest
through in drops. Where the fault leaves both ends waiting for each other, the line breaks soon, as real ones do.
"""

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

KINDS = ("flip", "truncate", "cut", "hole", "delay", "drops")
SILENT = ("truncate", "hole")
"""After these nothing more goes through that way."""
UP, DOWN = "up", "down"
BROKEN_AFTER_S = 0.4
DELAY_S = 0.2
DROP_BYTES, DROP_S = 256, 0.002
PIECE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the byte at `offset` of what goes `way` over one connection; `mask` is what is flipped."""

    kind: str
    way: str
    offset: int
    mask: int = 0xFF

    def __str__(self) -> str:
        return f"{self.kind}:{self.way}:{self.offset}:{self.mask}"

    @classmethod
    def parse(cls, name: str) -> "Fault":
        kind, way, offset, mask = name.split(":")
        return cls(kind, way, int(offset), int(mask))


@dataclass(slots=True)
class _Line:
    """One connection through the proxy."""

    fault: Fault | None
    writers: list[asyncio.StreamWriter]
    seen: dict[str, int] = field(default_factory=lambda: {UP: 0, DOWN: 0})
    struck: bool = False

    def close(self) -> None:
        for writer in self.writers:
            writer.close()


class Proxy:
    """Runs in a thread of its own. `fault` is for every connection made from then on; None: a good line."""

    def __init__(self, port: int, upstream: int) -> None:
        self.port = port
        self.fault: Fault | None = None
        self.last: _Line | None = None
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._lines: set[_Line] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", port))

    def close(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        line = self.last = _Line(self.fault, [writer, back])
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._pump(line, UP, reader, back), self._pump(line, DOWN, there, writer))
        line.close()

    async def _pump(self, line: _Line, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            at = line.seen[way]
            line.seen[way] += len(piece)
            fault = line.fault
            if fault is not None and fault.way == way and at <= fault.offset < line.seen[way]:
                line.struck = True
                asyncio.get_running_loop().call_later(BROKEN_AFTER_S, line.close)
                await _strike(line, fault, piece, fault.offset - at, writer)
            elif not (line.struck and fault is not None and fault.kind in SILENT and fault.way == way):
                writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _strike(line: _Line, fault: Fault, piece: bytes, at: int, writer: asyncio.StreamWriter) -> None:
    head, rest = piece[:at], piece[at:]
    if fault.kind == "flip":
        writer.write(head + bytes([rest[0] ^ fault.mask]) + rest[1:])
        return
    writer.write(head)
    await writer.drain()
    if fault.kind == "truncate":
        writer.write_eof()
    elif fault.kind == "cut":
        line.close()
    elif fault.kind == "delay":
        await asyncio.sleep(DELAY_S)
        writer.write(rest)
    elif fault.kind == "drops":
        for start in range(0, len(rest), DROP_BYTES):
            writer.write(rest[start : start + DROP_BYTES])
            await writer.drain()
            await asyncio.sleep(DROP_S)
