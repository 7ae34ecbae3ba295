"""Say something beside a chain: urge, comment, co-sign, rate, mark as read. Any participant may; custody stays."""

from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.service.verb import custody_rules, done
from schemas import remark as beside
from schemas.api import RemarkForm
from schemas.ids import TopicId


def remark(batch: Batch, topic: TopicId, form: RemarkForm) -> TopicId:
    """About `entry`, by default the head. Raises NotFound, Invalid."""
    chain = batch.held(topic).chain
    assert chain is not None  # noqa: S101 - held() found it
    entry = form.entry or chain.head
    if batch.topic_of_entry(entry) != topic:
        raise NotFound(entry)
    if (form.kind == "rate") != (form.rating is not None):
        raise Invalid("rating", "goes with the kind rate, and only with it", rule="rating_alone")
    body: beside.Said | beside.Rated = beside.Said(text=form.text)
    if form.rating is not None:
        body = beside.Rated(rating=form.rating, text=form.text)
    with custody_rules():
        batch.remark(topic, entry, form.kind, body)
    return done(batch, topic, "remark")
