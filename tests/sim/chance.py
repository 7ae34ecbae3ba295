"""Time, randomness and keys of the simulated nodes, all from the seed."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.clock import Clock
from node.service.identity import BOX_KEY, SIGNING_KEY
from schemas.ids import NodeCode

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
SKEW_MAX_S = 10 * 365 * 24 * 3600
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


@dataclass
class Time:
    """The true time, in seconds since the start of the run; no node sees it."""

    elapsed_s: float = 0.0


class SimClock(Clock):
    """One node's clock: `skew_s` off the true time, and jumping when told to. Its tokens are its own stream."""

    def __init__(self, time: Time, seed: int, code: NodeCode, skew_s: int) -> None:
        self.skew_s = skew_s
        self._time = time
        self._random = random.Random(f"{seed} tokens {code}")

    def now(self) -> datetime:
        limit = timedelta(seconds=max(-2 * SKEW_MAX_S, min(self.skew_s, 2 * SKEW_MAX_S)))
        return START + timedelta(milliseconds=round(self._time.elapsed_s * 1000)) + limit

    def monotonic_s(self) -> float:
        return self._time.elapsed_s

    def token(self, size: int = 16) -> str:
        return self._random.randbytes(size).hex()

    def jitter(self, upper_s: float) -> float:
        return self._random.uniform(0, upper_s)


def private_key(seed: int, code: NodeCode, machine: int = 0) -> Ed25519PrivateKey:
    """Of the node's first machine, or of a later one that took its place."""
    name = f"{seed} key {code} {machine}" if machine else f"{seed} key {code}"
    return Ed25519PrivateKey.from_private_bytes(random.Random(name).randbytes(32))


def write_keys(data: Path, seed: int, code: NodeCode, machine: int = 0) -> None:
    """The key files that `init` would otherwise make; it keeps those it finds."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = private_key(seed, code, machine).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (data / SIGNING_KEY).write_bytes(pem)
    box = random.Random(f"{seed} box {code}").randbytes(32)
    (data / BOX_KEY).write_text(f"{_age_identity(box)}\n")


def _age_identity(secret: bytes) -> str:
    """An age X25519 identity (Bech32, as `age-keygen` prints it) of 32 bytes."""
    prefix = "age-secret-key-"
    values, bits, count = [], 0, 0
    for byte in secret:
        bits, count = bits << 8 | byte, count + 8
        while count >= 5:
            count -= 5
            values.append(bits >> count & 31)
    if count:
        values.append(bits << (5 - count) & 31)
    expanded = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    check = _polymod(expanded + values + [0] * 6) ^ 1
    values += [check >> 5 * (5 - n) & 31 for n in range(6)]
    return (prefix + "1" + "".join(_BECH32[value] for value in values)).upper()


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for n in range(5):
            check ^= _GENERATOR[n] if top >> n & 1 else 0
    return check
