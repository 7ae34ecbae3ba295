"""Hashing passwords (argon2id), a few at a time: each takes 64 MiB, and whoever floods the door must not take them all.

Passwords are compared as NFC text, so that two keyboards that write one character differently sign in alike.
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from node.domain.refusals import Invalid, TooManyRequests

PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 256
SALT_BYTES = 16
HASHES_MAX = 2
"""At once; one for each core of a small machine."""
WAITING_MAX = 6
"""Requests that may wait for a hash; the next one is told to come back, so that no flood holds every thread."""

_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_room = threading.BoundedSemaphore(HASHES_MAX + WAITING_MAX)
_hashing = threading.BoundedSemaphore(HASHES_MAX)
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$XsTYOX9zZBUPSF/iJGQz0pYhGjJleLNYLdGPrNlEozk"
"""Checked when there is no such account, so that both take equally long; has the parameters of the real ones."""


def hash_password(password: str, salt: bytes) -> str:
    """The string to store. Raises Invalid, TooManyRequests."""
    text = checked(password)
    with _one_of_few():
        return _HASHER.hash(text, salt=salt)


def matches(stored: str, password: str) -> bool:
    """Whether this is the password; takes equally long either way. Raises TooManyRequests."""
    with _one_of_few():
        try:
            return _HASHER.verify(stored, unicodedata.normalize("NFC", password))
        except (VerificationError, InvalidHashError):
            return False


def checked(password: str) -> str:
    """The password as NFC text. Length is the only rule: composition rules make passwords worse."""
    text = unicodedata.normalize("NFC", password)
    if not PASSWORD_CHARS_MIN <= len(text) <= PASSWORD_CHARS_MAX:
        raise Invalid("password", f"must have {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters")
    if not text.isprintable():
        raise Invalid("password", "must be one line without control characters")
    return text


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _room.acquire(blocking=False):
        raise TooManyRequests
    try:
        with _hashing:
            yield
    finally:
        _room.release()
