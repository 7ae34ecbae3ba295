"""What stands in the address of a request: ids and codes in its path, the cursor in its query.

An id of another shape is the id of nothing, so it is not found rather than invalid.
"""

import re
from typing import Annotated

from fastapi import Path

from node.domain.refusals import BadCursor, NotFound
from schemas.ids import NodeCode, TopicId

CURSOR_CHARS_MAX = 1024
_TOPIC = re.compile(r"[0-9a-f]{64}")
_SESSION = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_NODE = re.compile(r"[0-9]{6}")
_CURSOR = re.compile(rf"[\x21-\x7e]{{1,{CURSOR_CHARS_MAX}}}")

TopicPath = Annotated[
    str, Path(alias="id", description="The topic.", json_schema_extra={"pattern": f"^{_TOPIC.pattern}$"})
]
NodePath = Annotated[
    str, Path(alias="code", description="The neighbour.", json_schema_extra={"pattern": f"^{_NODE.pattern}$"})
]

SessionPath = Annotated[
    str, Path(alias="ref", description="The session.", json_schema_extra={"pattern": f"^{_SESSION.pattern}$"})
]
NumberPath = Annotated[
    str, Path(alias="number", description="Its number here.", json_schema_extra={"pattern": f"^{_NUMBER.pattern}$"})
]


def topic_id(text: str) -> TopicId:
    """Raises NotFound."""
    if not _TOPIC.fullmatch(text):
        raise NotFound
    return text


def node_code(text: str) -> NodeCode:
    """Raises NotFound."""
    if not _NODE.fullmatch(text):
        raise NotFound
    return text


def session_ref(text: str) -> str:
    """Raises NotFound."""
    if not _SESSION.fullmatch(text):
        raise NotFound
    return text


def number(text: str) -> int:
    """The number of an account, a unit, a post, a draft. Raises NotFound."""
    if not _NUMBER.fullmatch(text):
        raise NotFound
    return int(text)


def cursor(text: str | None) -> str | None:
    """Raises BadCursor for what no list can have given out; what is in a cursor is the list's own matter."""
    if text is not None and not _CURSOR.fullmatch(text):
        raise BadCursor
    return text
