"""Opaque cursors: where a list goes on, as base64url of the last item's sort key."""

import json

from node.domain.refusals import BadCursor
from schemas.ids import COUNT_MAX
from sync.errors import SyncError
from sync.keys import b64, unb64

LIMIT_DEFAULT = 50
LIMIT_MAX = 200


def cursor_after(*key: str | int) -> str:
    return b64(json.dumps(key).encode())


def read_cursor(cursor: str | None, *shape: type) -> tuple[str | int, ...] | None:
    """The sort key in a cursor of this list, None for its start. Raises BadCursor for anything else."""
    if cursor is None:
        return None
    try:
        key = json.loads(unb64(cursor[:1000]))
    except (ValueError, SyncError, RecursionError):
        raise BadCursor from None
    if not isinstance(key, list) or [type(item) for item in key] != list(shape):
        raise BadCursor
    if not all(item.isprintable() if isinstance(item, str) else abs(item) <= COUNT_MAX for item in key):
        raise BadCursor
    return tuple(key)
