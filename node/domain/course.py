"""The course a topic took, as counts and dates that are asked of it later: what `node.domain.topic.work` folds beside
the state of the work itself. It is a function of the chain alone, so every holder of the chain counts the same.
"""

from dataclasses import dataclass, replace
from typing import Any

from schemas import entry as entries
from schemas.statement import Entry


@dataclass(frozen=True, slots=True)
class Course:
    """`opened_at` is when the matter was raised; `returns` counts offers declined and topics given back undone.

    `suggested`: decisions for which the routing had a suggestion; `followed`: those that needed no override.
    """

    opened_at: str
    first_action_at: str | None = None
    closed_at: str | None = None
    hops: int = 0
    returns: int = 0
    reopened: int = 0
    suggested: int = 0
    followed: int = 0
    participations: int = 0


def follow(course: Course | None, entry: Entry[Any], mode: str | None) -> Course | None:
    """The course after one more valid entry; `mode` is that of the offer that was open before it.

    None stays None: a topic stored before courses were kept is folded again from its chain.
    """
    if course is None:
        return None
    changes = _changes(course, entry.body, entry.at, mode)
    if course.first_action_at is None and not isinstance(entry.body, entries.ChildClosed | entries.Claimed):
        changes["first_action_at"] = entry.at
    return replace(course, **changes)


def _changes(course: Course, body: object, at: str, mode: str | None) -> dict[str, Any]:
    if isinstance(body, entries.Accepted):
        return {"hops": course.hops + 1, "returns": course.returns + (mode == "return")}
    if isinstance(body, entries.Resumed):
        return {"returns": course.returns + 1}
    if isinstance(body, entries.Closed):
        return {"closed_at": at}
    if isinstance(body, entries.Reopened):
        return {"closed_at": None, "reopened": course.reopened + 1}
    if isinstance(body, entries.Attended):
        return {"participations": course.participations + body.headcount}
    if isinstance(body, entries.Stepped | entries.Offered) and body.suggested is not None:
        followed = course.followed + (body.override_reason is None)
        return {"suggested": course.suggested + 1, "followed": followed}
    return {}
