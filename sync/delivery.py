"""Delivery decisions as values: when to try again, and how much to ask for next (SPEC 8.6)."""

from dataclasses import dataclass, replace

from schemas.exchange import BYTES_DEFAULT, DOCUMENT_BYTES_MAX, ITEMS_DEFAULT, ITEMS_MAX

RETRY_FIRST_S = 5.0
RETRY_CAP_S = 15 * 60.0
BYTES_FLOOR = 4 * 1024
BYTES_CEILING = DOCUMENT_BYTES_MAX // 4
ITEMS_CEILING = ITEMS_MAX // 2


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much one document may carry: grows with success, halves when a request times out, never below one item."""

    items: int = ITEMS_DEFAULT
    bytes: int = BYTES_DEFAULT

    def after_success(self) -> "Allowance":
        return replace(self, items=min(self.items * 2, ITEMS_CEILING), bytes=min(self.bytes * 2, BYTES_CEILING))

    def after_timeout(self) -> "Allowance":
        return replace(self, items=max(self.items // 2, 1), bytes=max(self.bytes // 2, BYTES_FLOOR))


def retry_cap_s(failures: int) -> float:
    """Upper end of the wait before the next try: at once after the first failure, then 5 s doubling to 15 min.

    The caller waits an even random part of it (full jitter), so that many children never call in step.
    """
    if failures <= 1:
        return 0.0
    return float(min(RETRY_FIRST_S * 2 ** min(failures - 2, 20), RETRY_CAP_S))
