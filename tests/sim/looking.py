"""People looking: everything that only reads must work on whatever state a node is in."""

from collections.abc import Callable

from node.context import Context
from node.service import doctor, inbox, links, measure, read
from schemas import api
from tests.sim.machine import Machine

LOOKED_AT_MAX = 3
"""Topics opened at a time; another look begins at another one."""
_PAGES: tuple[Callable[[Context], object], ...] = (
    lambda ctx: inbox.inbox(ctx, None, api.LIMIT_MAX),
    lambda ctx: links.links(ctx, None, api.LIMIT_MAX),
    measure.figures,
    doctor.doctor,
)


def look(machine: Machine, first: int) -> str:
    """Open some topics, from the one at `first` of the list, and one of the other pages."""
    with machine.at_work() as ctx:
        found = read.topics(ctx, api.TopicFilter(), None, api.LIMIT_MAX)
        some = [found.items[(first + n) % len(found.items)] for n in range(min(len(found.items), LOOKED_AT_MAX))]
        for topic in some:
            read.topic(ctx, topic.id)
            read.entries(ctx, topic.id, None, api.LIMIT_MAX)
            read.remarks(ctx, topic.id, None, api.LIMIT_MAX)
            read.suggestion(ctx, topic.id)
        _PAGES[first % len(_PAGES)](ctx)
    return f"{machine.code}: {len(found.items)} topics"
