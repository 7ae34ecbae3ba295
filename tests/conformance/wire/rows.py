"""Rows of summaries (SPEC 16): which stands, and the commitment over a set of them."""

import hashlib
from typing import Any

from tests.conformance.wire import log
from tests.conformance.wire.strict import Json, write


def leaf(row: Json) -> str:
    """SHA-256(0x00 ‖ J): names ascending and no white space are RFC 8785 for what a row holds."""
    return hashlib.sha256(b"\0" + write(row)).hexdigest()


def place(row: Json) -> tuple[Any, ...]:
    return row["term"], row["seq"], row["rev"], leaf(row)


def root(leaves: list[str]) -> str:
    return log.tree_root([bytes.fromhex(each) for each in leaves]).hex()
