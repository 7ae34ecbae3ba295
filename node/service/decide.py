"""Accept, decline, recall: the offered node decides once; the offerer may only ask (R3, R4)."""

from node.clock import parse_instant
from node.domain.refusals import AlreadyDecided, NotOfferedHere, NotTheWriter
from node.service.commit import Batch
from node.service.verb import custody_rules, done
from schemas import entry as bodies
from schemas import remark as beside
from schemas.api import AcceptForm, DeclineForm, RecallForm
from schemas.ids import TopicId
from sync.custody import OpenOffer


def accept(batch: Batch, topic: TopicId, form: AcceptForm) -> TopicId:
    """Raises NotFound, NotOfferedHere, AlreadyDecided."""
    offer = offered_here(batch, topic)
    with custody_rules():
        batch.entry(topic, "accepted", bodies.Accepted(offer=offer.id))
    return done(batch, topic, "accept")


def decline(batch: Batch, topic: TopicId, form: DeclineForm) -> TopicId:
    """Raises NotFound, NotOfferedHere, AlreadyDecided. The topic goes on at the offerer once it has heard."""
    offer = offered_here(batch, topic)
    with custody_rules():
        batch.remark(topic, offer.id, "declined", beside.Declined(code=form.code, reason=form.reason))
    return done(batch, topic, "decline")


def recall(batch: Batch, topic: TopicId, form: RecallForm) -> TopicId:
    """Ask for an open offer of this node back. Raises NotFound, NotTheWriter, AlreadyDecided."""
    found = batch.held(topic)
    chain, work = found.chain, found.topic
    assert chain is not None and work is not None  # noqa: S101 - held() found it
    if chain.offer is None:
        raise AlreadyDecided if chain.term.t > 0 else NotOfferedHere
    if chain.offer.by != batch.me:
        raise NotTheWriter(f"offered by {chain.offer.by}")
    if work.offer is None or work.offer.recall_sent_at is None:
        batch.remark(topic, chain.offer.id, "recalled", beside.Recalled(reason=form.reason))
    return done(batch, topic, "recall")


def expire(batch: Batch, topic: TopicId) -> bool:
    """Decline an offer to this node whose time to answer is over; whether it did."""
    found = batch.held(topic)
    offer = found.topic.offer if found.topic else None
    if offer is None or offer.answer_by is None or parse_instant(offer.answer_by) > batch.now:
        return False
    try:
        offered_here(batch, topic)
    except (NotOfferedHere, AlreadyDecided):
        return False
    batch.remark(topic, offer.id, "declined", beside.Declined(code="expired", reason=""))
    batch.audit("expire", topic)
    return True


def offered_here(batch: Batch, topic: TopicId) -> OpenOffer:
    """The offer this node has to decide. Raises Healing, NotOfferedHere, AlreadyDecided."""
    found = batch.held(topic)
    batch.check_live()
    chain = found.chain
    assert chain is not None  # noqa: S101 - held() found it
    offer = chain.offer
    if offer is None or offer.to != batch.me:
        answered = chain.opened_by == "accepted" and chain.custodian == batch.me and chain.seq > 0
        raise AlreadyDecided if answered else NotOfferedHere
    if offer.to_inc != batch.inc:
        raise NotOfferedHere("offered to an earlier incarnation")
    if batch.declined(offer):
        raise AlreadyDecided
    return offer
