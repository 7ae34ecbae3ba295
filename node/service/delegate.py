"""指定下放: offer a topic to one named node below this one. A skipped tier relays and sees."""

from node.domain.refusals import NotADescendant
from node.domain.routing import Act
from node.service.commit import Batch
from node.service.routing import at, weighed
from node.service.verb import custody_rules, done, working_on
from schemas.api import DelegateForm
from schemas.entry import Offered
from schemas.ids import NodeCode, TopicId
from sync.roster import Member


def delegate(batch: Batch, topic: TopicId, form: DelegateForm) -> TopicId:
    """Raises NotFound, NotTheWriter, OfferOpen, NotADescendant, ChildrenOpen, OverrideReasonMissing."""
    found = working_on(batch, topic)
    member = descendant(batch, form.to)
    suggested = weighed(batch, found, member.tier, Act.DELEGATE, form.override_reason)
    body = Offered(
        to=form.to,
        to_inc=member.inc,
        mode="delegate",
        reason=form.reason,
        tried=None,
        opinion=None,
        instruction=form.instruction,
        answer_by=at(form.answer_by),
        due_at=at(form.due_at),
        suggested=suggested,
        override_reason=form.override_reason,
    )
    with custody_rules():
        batch.entry(topic, "offered", body)
    return done(batch, topic, "delegate")


def descendant(batch: Batch, code: NodeCode) -> Member:
    """The enrolled node `code` below this one. Raises NotADescendant."""
    member = batch.roster.get(code)
    if member is None or not batch.roster.is_below(code, batch.me):
        raise NotADescendant(code)
    return member
