"""What every verb on a topic shares: the topic must be here, the node must hold it, and the answer is the topic."""

from collections.abc import Iterator
from contextlib import contextmanager

from node.domain.refusals import (
    AlreadyDecided,
    ChildrenOpen,
    CloseAtOrigin,
    NotADescendant,
    NotOfferedHere,
    NotTheParent,
    NotTheWriter,
    OfferOpen,
    Refusal,
)
from node.service.commit import Batch
from node.store.topics import Working
from schemas.ids import TopicId
from sync.errors import Held

_REFUSALS: dict[str, type[Refusal]] = {
    "not-the-writer": NotTheWriter,
    "closed": NotTheWriter,
    "frozen": NotTheWriter,
    "not-closed": NotTheWriter,
    "offer-open": OfferOpen,
    "not-offered-here": NotOfferedHere,
    "no-such-offer": NotOfferedHere,
    "equivocation": AlreadyDecided,
    "not-the-parent": NotTheParent,
    "not-a-descendant": NotADescendant,
    "not-to-oneself": NotADescendant,
    "children-open": ChildrenOpen,
    "close-at-origin": CloseAtOrigin,
}


def holding(batch: Batch, topic: TopicId) -> Working:
    """The topic, which this node may write now. Raises NotFound, Healing, OfferOpen, NotTheWriter."""
    found = batch.held(topic)
    batch.check_live()
    chain = found.chain
    assert chain is not None  # noqa: S101 - held() found it
    if (chain.custodian, chain.inc) != (batch.me, batch.inc) or batch.frozen(chain):
        raise NotTheWriter(f"held by {chain.custodian}")
    if chain.offer is not None:
        raise OfferOpen(f"offered to {chain.offer.to}")
    return found


def working_on(batch: Batch, topic: TopicId) -> Working:
    """As `holding`, and not closed."""
    found = holding(batch, topic)
    if found.chain is not None and found.chain.closed:
        raise NotTheWriter("closed; reopen it first")
    return found


@contextmanager
def custody_rules() -> Iterator[None]:
    """Turns what the custody rules hold against an own entry into the refusal a person can read."""
    try:
        yield
    except Held as error:
        raise _REFUSALS.get(error.code, NotTheWriter)(error.detail) from error


def done(batch: Batch, topic: TopicId, verb: str) -> TopicId:
    """One audit row; the topic is what the caller answers with."""
    batch.audit(verb, topic)
    return topic
