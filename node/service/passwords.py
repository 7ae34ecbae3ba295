"""Hashing passwords (argon2id), a few at a time: each takes 64 MiB, and whoever floods the door must not take them all.

Passwords are compared as NFC text, so that two keyboards that write one character differently sign in alike.
"""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import islice

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from node.domain.policy import Profile
from node.domain.refusals import Invalid, TooManyRequests

PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 256
SALT_BYTES = 16
COMMON_PASSWORDS = 3000
"""So many of the most frequent passwords that are long enough are refused (ASVS 6.2.4)."""
CLASSES_MIN = 3
"""Under `mlps3`: of capitals, small letters, digits and everything else."""
HASHES_MAX = 2
"""At once; one for each core of a small machine."""
WAITING_MAX = 6
"""Requests that may wait for a hash; the next one is told to come back, so that no flood holds every thread."""

_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_room = threading.BoundedSemaphore(HASHES_MAX + WAITING_MAX)
_hashing = threading.BoundedSemaphore(HASHES_MAX)
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$AAAAAAAAAAAAAAAAAAAAAA$XsTYOX9zZBUPSF/iJGQz0pYhGjJleLNYLdGPrNlEozk"
"""Checked when there is no such account, so that both take equally long; has the parameters of the real ones."""


def hash_password(password: str, salt: bytes, profile: Profile = "asvs", name: str = "") -> str:
    """The string to store. Raises Invalid, TooManyRequests."""
    text = checked(password, profile, name)
    with _one_of_few():
        return _HASHER.hash(text, salt=salt)


def matches(stored: str, password: str) -> bool:
    """Whether this is the password; takes equally long either way. Raises TooManyRequests."""
    with _one_of_few():
        try:
            return _HASHER.verify(stored, unicodedata.normalize("NFC", password))
        except (VerificationError, InvalidHashError):
            return False


def checked(password: str, profile: Profile = "asvs", name: str = "") -> str:
    """The password as NFC text. Long enough, not among the commonest, not the account's own name; composition rules
    make passwords worse, so only `mlps3` has one, where the law asks for it. Raises Invalid."""
    text = unicodedata.normalize("NFC", password)
    if not PASSWORD_CHARS_MIN <= len(text) <= PASSWORD_CHARS_MAX:
        message = f"must have {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters"
        raise Invalid("password", message, rule="password_length", least=PASSWORD_CHARS_MIN, most=PASSWORD_CHARS_MAX)
    if not text.isprintable():
        raise Invalid("password", "must be one line without control characters", rule="password_line")
    if text.lower() in _common() or (name and text.lower() == name.lower()):
        raise Invalid("password", "is among the first that anybody would try", rule="password_common")
    if profile == "mlps3" and _classes(text) < CLASSES_MIN:
        message = "needs three of: capitals, small letters, digits, other characters"
        raise Invalid("password", message, rule="password_classes")
    return text


def _classes(text: str) -> int:
    kinds = {
        "upper" if char.isupper() else "lower" if char.islower() else "digit" if char.isdigit() else "other"
        for char in text
    }
    return len(kinds)


@cache
def _common() -> frozenset[str]:
    """Read when the first password is set: signing in never needs it."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    long_enough = (word for word in FREQUENCY_LISTS["passwords"] if len(word) >= PASSWORD_CHARS_MIN)
    return frozenset(islice(long_enough, COMMON_PASSWORDS))


@contextmanager
def _one_of_few() -> Iterator[None]:
    if not _room.acquire(blocking=False):
        raise TooManyRequests
    try:
        with _hashing:
            yield
    finally:
        _room.release()
