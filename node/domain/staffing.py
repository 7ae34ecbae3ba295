"""The posts a unit has by its kind, and what its staffing lacks (乡镇党政办主任、村书记为召集人、站长与副站长)."""

from collections.abc import Sequence

from node.domain.policy import CLERK, COORDINATOR, LEADER, SUPERVISOR

HEAD, DEPUTY = "站长", "副站长"
TEMPLATES: dict[str, tuple[tuple[str, str | None], ...]] = {
    "node": (("经办人", CLERK), ("分管领导", LEADER), ("督办员", SUPERVISOR)),
    "township": (("党政办主任", COORDINATOR), ("包抓领导", LEADER)),
    "village": (("村书记（召集人）", COORDINATOR),),
    "room": (("召集人", COORDINATOR),),
    "station": ((HEAD, COORDINATOR), (DEPUTY, COORDINATOR)),
}
"""(title, role): a new unit gets these, vacant; more can be added."""
DEPUTIES_MAX = 2


def lacking(kind: str, staff: Sequence[tuple[str, bool]]) -> list[str]:
    """What is wrong, from (title, whether somebody holds it) of every post; empty where all is well.

    `vacant TITLE` for a post nobody holds; of a station also `no-head`, and `deputies N` for none or more than two.
    """
    flags = [f"vacant {title}" for title, held in staff if not held]
    if kind != "station":
        return flags
    if not any(held for title, held in staff if title == HEAD):
        flags.append("no-head")
    deputies = sum(held for title, held in staff if title == DEPUTY)
    if not 1 <= deputies <= DEPUTIES_MAX:
        flags.append(f"deputies {deputies}")
    return flags
