"""The right tier for a topic, as this node sees it now, and the record that a person's choice differed from it."""

from datetime import datetime

from node.clock import instant
from node.domain.refusals import OverrideReasonMissing
from node.domain.routing import Act, Suggestion, override_needed, suggest
from node.service.commit import Batch
from node.store.topics import Working
from schemas.entry import Suggested
from schemas.ids import Tier


def suggestion(batch: Batch, found: Working) -> Suggestion:
    """What the routing says of this topic's areas and category."""
    assert found.topic is not None  # noqa: S101 - a held topic has its work state
    lists = batch.lists
    enrolled = batch.roster.members.keys()
    return suggest(found.topic.areas, found.topic.category, lists.tree, lists.catalogue, batch.me, enrolled)


def weighed(batch: Batch, found: Working, target: Tier, act: Act, reason: str | None) -> Suggested:
    """The suggestion as it goes into the entry. Raises OverrideReasonMissing where the choice differs without one."""
    said = suggestion(batch, found)
    if reason is None and override_needed(said.tier, target, act):
        raise OverrideReasonMissing(f"suggested {said.tier}, chosen {target}")
    rules = [item.rule.value if item.row is None else f"{item.rule.value} {item.row}"[:120] for item in said.reasons]
    return Suggested(tier=said.tier, node=said.node, rules=rules[:16])


def at(value: datetime | None) -> str | None:
    """An instant of a form as an entry carries it."""
    return instant(value) if value is not None else None
