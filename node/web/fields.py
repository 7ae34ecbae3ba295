"""What browsers send, as the services take it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.web.visit import Visit

PART = ("to", "role", "title", "instruction", "due_at")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_end(text: str) -> str:
    """The last second of a day in China, as the services take instants; anything else stays as it is, to be refused."""
    return f"{text}T23:59:59+08:00" if _DAY.fullmatch(text) else text


def day_noon(text: str) -> str:
    """The middle of a day in China: when it was, told to the day."""
    return f"{text}T12:00:00+08:00" if _DAY.fullmatch(text) else text


def whole(text: str) -> int | str:
    """A count; what is none stays as it is, to be refused."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) else text


def lines_of(values: Sequence[str]) -> list[str]:
    """Each of the values once, and no empty ones; a field may hold several, parted by spaces or commas."""
    found = (item for value in values for item in re.split(r"[\s,，、;；]+", value))
    return list(dict.fromkeys(item for item in found if item))


def split_parts(visit: "Visit", rows_max: int, one_more: bool) -> list[dict[str, str]]:
    """The rows of a form that repeats `to-0`, `role-0` and so on; `one_more` adds an empty one."""
    rows = []
    for n in range(rows_max):
        row = {name: visit.field(f"{name}-{n}").strip() for name in PART}
        if f"to-{n}" not in visit.form:
            break
        rows.append(row)
    if (one_more or not rows) and len(rows) < rows_max:
        rows.append(dict.fromkeys(PART, ""))
    return rows
