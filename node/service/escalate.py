"""逐级上交: offer a topic to the direct parent."""

from node.domain.refusals import NotTheParent
from node.domain.routing import Act
from node.service.commit import Batch
from node.service.routing import at, weighed
from node.service.verb import custody_rules, done, working_on
from schemas.api import EscalateForm
from schemas.entry import Offered
from schemas.ids import TopicId


def escalate(batch: Batch, topic: TopicId, form: EscalateForm) -> TopicId:
    """Raises NotFound, NotTheWriter, OfferOpen, NotTheParent, ChildrenOpen, OverrideReasonMissing."""
    found = working_on(batch, topic)
    parent = batch.roster.get(batch.roster.parent(batch.me) or "")
    if parent is None:
        raise NotTheParent
    suggested = weighed(batch, found, parent.tier, Act.ESCALATE, form.override_reason)
    body = Offered(
        to=parent.card.code,
        to_inc=parent.inc,
        mode="escalate",
        reason=form.reason,
        tried=form.tried,
        opinion=form.opinion,
        instruction=None,
        answer_by=at(form.answer_by),
        due_at=None,
        suggested=suggested,
        override_reason=form.override_reason,
    )
    with custody_rules():
        batch.entry(topic, "offered", body)
    return done(batch, topic, "escalate")
