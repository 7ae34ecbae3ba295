"""People looking: everything that only reads must work on whatever state a node is in."""

from node.service import doctor, inbox, links, measure, read
from schemas import api
from tests.sim.machine import Machine


def look(machine: Machine) -> str:
    """Open every page there is."""
    with machine.at_work() as ctx:
        found = read.topics(ctx, api.TopicFilter(), None, api.LIMIT_MAX)
        for topic in found.items:
            read.topic(ctx, topic.id)
            read.entries(ctx, topic.id, None, api.LIMIT_MAX)
            read.remarks(ctx, topic.id, None, api.LIMIT_MAX)
            read.suggestion(ctx, topic.id)
        inbox.inbox(ctx, None, api.LIMIT_MAX)
        links.links(ctx, None, api.LIMIT_MAX)
        measure.figures(ctx)
        doctor.doctor(ctx)
    return f"{machine.code}: {len(found.items)} topics"
