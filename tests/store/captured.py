"""Everything that went over a link, and whether something is in it, however it was written down.

A value may hide behind an encoding, and behind an encoding within another: each body is searched as it is and as what
it can be read as (lines of JSON, base64 of either alphabet, hex, compressed streams), and the value in each of the
forms in which it can stand within a longer text.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

DEPTH_MAX = 5
UNPACKED_MAX = 1 << 24
BETWEEN = bytes(8)
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_BASE64 = re.compile(rb"[A-Za-z0-9_+/-]{16,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){16,}")


@dataclass
class Captured:
    """Bodies by the link they went over."""

    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    _layers: dict[str, bytes] = field(default_factory=dict)
    _read: int = 0

    def add(self, link: str, body: bytes) -> bytes:
        self.bodies.append((link, body))
        return body

    def links(self) -> set[str]:
        return {link for link, _ in self.bodies}

    def where(self, value: bytes) -> set[str]:
        """The links over which a value went."""
        for link, body in self.bodies[self._read :]:
            self._layers[link] = BETWEEN.join([self._layers.get(link, b""), *set(layers(body))])
        self._read = len(self.bodies)
        wanted = forms(value)
        return {link for link, read in self._layers.items() if any(form in read for form in wanted)}


def forms(value: bytes) -> set[bytes]:
    """The ways a value may be written within something longer."""
    found = {value, value.hex().encode(), value.hex().upper().encode()}
    for before in range(3):
        found |= {_within(base64.b64encode, value, before), _within(base64.urlsafe_b64encode, value, before)}
    with suppress(UnicodeDecodeError):
        text = value.decode()
        found |= {json.dumps(text)[1:-1].encode(), json.dumps(text).upper()[1:-1].encode(), quote(text, "").encode()}
        found |= {text.encode(name) for name in ("utf-16-le", "utf-16-be", "gb18030")}
    return found


def _within(encode: Callable[[bytes], bytes], value: bytes, before: int) -> bytes:
    """What of the encoding is the same whatever stands before and after the value; `before` bytes precede it."""
    written = encode(bytes(before) + value)
    first = -(-before * 8 // 6)
    last = (before + len(value)) * 8 // 6
    return written[first:last]


def layers(body: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes themselves, and all that can be read out of them."""
    yield body
    if depth == DEPTH_MAX:
        return
    for read in (_decompressed, _strings, _decoded):
        for inner in read(body):
            yield from layers(inner, depth + 1)


def _decompressed(body: bytes) -> Iterator[bytes]:
    """What gzip or zlib made smaller; a stream that begins so and breaks off counts as far as it goes."""
    with suppress(zlib.error):
        if found := zlib.decompressobj(wbits=47).decompress(body, UNPACKED_MAX):
            yield found


def _strings(body: bytes) -> Iterator[bytes]:
    """The strings of a text of JSON that say something else than the text itself does: those with escapes."""
    for match in _STRING.finditer(body):
        if b"\\" in match[1]:
            with suppress(ValueError):
                told: Any = json.loads(match[0])
                yield told.encode(errors="surrogatepass")


def _decoded(body: bytes) -> Iterator[bytes]:
    for match in _BASE64.finditer(body):
        text = match[0].rstrip(b"=")
        if len(text) % 4 != 1:
            with suppress(binascii.Error):
                yield base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_" if _is_url(text) else None)
    for match in _HEX.finditer(body):
        yield bytes.fromhex(match[0].decode())


def _is_url(text: bytes) -> bool:
    return b"-" in text or b"_" in text
