"""Report (done) and return (not done): back to the node below on the custody stack."""

from typing import Literal

from node.domain.refusals import CloseAtOrigin
from node.service.commit import Batch
from node.service.verb import custody_rules, done, working_on
from schemas.api import ReasonForm, ReportForm
from schemas.entry import Offered
from schemas.ids import NO_INCARNATION, TopicId


def report(batch: Batch, topic: TopicId, form: ReportForm) -> TopicId:
    """Raises NotFound, NotTheWriter, OfferOpen, ChildrenOpen, and CloseAtOrigin where there is no way back to go."""
    return _give_back(batch, topic, "report", form.text)


def give_back(batch: Batch, topic: TopicId, form: ReasonForm) -> TopicId:
    """As `report`, for a topic that was not brought to an end here."""
    return _give_back(batch, topic, "return", form.reason)


def _give_back(batch: Batch, topic: TopicId, mode: Literal["report", "return"], reason: str) -> TopicId:
    chain = working_on(batch, topic).chain
    assert chain is not None  # noqa: S101 - working_on found it
    below = chain.below
    if below is None:
        raise CloseAtOrigin(batch.me)
    member = batch.roster.get(below)
    body = Offered(
        to=below,
        to_inc=member.inc if member else NO_INCARNATION,
        mode=mode,
        reason=reason,
        tried=None,
        opinion=None,
        instruction=None,
        answer_by=None,
        due_at=None,
        suggested=None,
        override_reason=None,
    )
    with custody_rules():
        batch.entry(topic, "offered", body)
    return done(batch, topic, mode)
