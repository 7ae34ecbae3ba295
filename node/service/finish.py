"""Close and reopen, both only at the origin (or who took its place after a claim): others report."""

from node.domain.refusals import ChildrenOpen, CloseAtOrigin, NotTheWriter, OrphansOpen
from node.domain.topic import check_close
from node.service import branches
from node.service.commit import Batch
from node.service.verb import custody_rules, done, holding, working_on
from schemas import entry as bodies
from schemas.api import CloseForm, ReasonForm
from schemas.ids import TopicId


def close(batch: Batch, topic: TopicId, form: CloseForm) -> TopicId:
    """Raises CloseAtOrigin, ChildrenOpen, OrphansOpen, StepOrder (no feedback or no result), NotTheWriter."""
    found = working_on(batch, topic)
    chain, work = found.chain, found.topic
    assert chain is not None and work is not None  # noqa: S101 - working_on found it
    if any(child.state == "open" for child in chain.children):
        raise ChildrenOpen
    if branches.undisposed(batch, topic):
        raise OrphansOpen
    check_close(work, chain.at_home)
    children = [
        bodies.ClosedChild(topic=child.topic, head=child.head, detached=child.state == "detached")
        for child in chain.children
        if child.topic is not None and child.head is not None
    ]
    once = list(dict.fromkeys(children))  # parts of one split that were let go of unseen go by one name
    with custody_rules():
        batch.entry(topic, "closed", bodies.Closed(text=form.text or "", children=once))
    return done(batch, topic, "close")


def reopen(batch: Batch, topic: TopicId, form: ReasonForm) -> TopicId:
    """Raises CloseAtOrigin elsewhere, NotTheWriter unless the topic is closed."""
    chain = batch.held(topic).chain
    assert chain is not None  # noqa: S101 - held() found it
    if chain.stack[0] != batch.me:
        raise CloseAtOrigin(chain.stack[0])
    holding(batch, topic)
    if not chain.closed:
        raise NotTheWriter("not closed")
    with custody_rules():
        batch.entry(topic, "reopened", bodies.Reopened(reason=form.reason))
    return done(batch, topic, "reopen")
