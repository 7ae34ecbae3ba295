"""Split a topic into lead and assisting topics of their own, and let go of one by name (R17)."""

from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.service.delegate import descendant
from node.service.open import start
from node.service.routing import at
from node.service.verb import custody_rules, done, working_on
from node.store.topics import Working
from schemas import entry as bodies
from schemas.api import DetachForm, OpenForm, SplitForm, SplitPart
from schemas.ids import TopicId


def split(batch: Batch, topic: TopicId, form: SplitForm) -> TopicId:
    """Open one topic for each part and offer it to the named node, all or none. Raises NotADescendant, Invalid."""
    found = working_on(batch, topic)
    members = [descendant(batch, part.to) for part in form.parts]
    if sum(part.role == "lead" for part in form.parts) > 1:
        raise Invalid("parts", "one part leads, the others assist", rule="one_lead")
    portions = [
        bodies.Portion(
            to=part.to, role=part.role, title=part.title, instruction=part.instruction, due_at=at(part.due_at)
        )
        for part in form.parts
    ]
    with custody_rules():
        entry = batch.entry(topic, "split", bodies.SplitOff(portions=portions))
        for n, (part, member) in enumerate(zip(form.parts, members, strict=True)):
            child = _open_part(batch, found, part, bodies.Split(entry=entry.id, n=n))
            batch.entry(child, "offered", _offer(part, member.inc))
    return done(batch, topic, "split")


def detach(batch: Batch, topic: TopicId, form: DetachForm) -> TopicId:
    """Stop waiting for a split-off topic, which goes on by itself. Raises NotFound, Invalid."""
    working_on(batch, topic)
    child = batch.held(form.topic)
    if child.topic is None or child.chain is None or child.topic.parent is None:
        raise NotFound(form.topic)
    above = child.topic.parent
    if batch.topic_of_entry(above.entry) != topic or child.chain.origin != batch.me:
        raise Invalid("topic", "not split from this one", rule="not_split_here")
    named = bodies.Child(
        entry=above.entry, n=above.n, topic=form.topic, head=child.chain.head, outcome=child.topic.outcome
    )
    with custody_rules():
        batch.entry(topic, "detached", bodies.Detached(child=named, reason=form.reason))
    return done(batch, topic, "detach")


def _open_part(batch: Batch, found: Working, part: SplitPart, above: bodies.Split) -> TopicId:
    assert found.topic is not None and found.chain is not None  # noqa: S101 - working_on found it
    tree = batch.lists.tree
    within = [area for area in found.topic.areas if tree.resolve_area(area) and tree.is_within(area, part.to)]
    text = part.instruction if found.text is None else f"{part.instruction}\n\n{found.text}"
    form = OpenForm(
        title=part.title,
        text=text[:100_000],
        category=found.topic.category,
        areas=within or ([part.to] if part.to in tree else []),
        source=found.topic.number,
        kind=part.role,
    )
    return start(batch, form, above=(found.chain, above))


def _offer(part: SplitPart, to_inc: object) -> bodies.Offered:
    return bodies.Offered.model_validate(
        {
            "to": part.to,
            "to_inc": to_inc,
            "mode": "delegate",
            "reason": None,
            "tried": None,
            "opinion": None,
            "instruction": part.instruction,
            "answer_by": None,
            "due_at": at(part.due_at),
            "suggested": None,
            "override_reason": None,
        }
    )
