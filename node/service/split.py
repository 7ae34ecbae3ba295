"""Split a topic into lead and assisting topics of their own, and let go of one by name (R17)."""

from sqlalchemy import Connection, select

from node.domain.refusals import Invalid, NotFound
from node.service.commit import Batch
from node.service.delegate import descendant
from node.service.open import start
from node.service.routing import at
from node.service.verb import custody_rules, done, working_on
from node.store.tables import statements, topics
from node.store.topics import Working
from schemas import entry as bodies
from schemas.api import DetachForm, OpenForm, SplitForm, SplitPart
from schemas.ids import Digest, TopicId
from sync.custody import Chain


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
    """Stop waiting for a split-off topic, which goes on by itself. Raises NotFound, Invalid.

    `form.topic` may name the entry that split instead: then for all its parts that are not here. After a restore or a
    claim they may be nowhere at all, and this topic would wait for ever (ADR 0004, ADR 0025).
    """
    found = working_on(batch, topic)
    assert found.chain is not None  # noqa: S101 - working_on found it
    gone = unseen(batch.conn, found.chain).get(form.topic)
    with custody_rules():
        for child in gone or [_part(batch, topic, form.topic)]:
            batch.entry(topic, "detached", bodies.Detached(child=child, reason=form.reason))
    return done(batch, topic, "detach")


def unseen(conn: Connection, chain: Chain) -> dict[Digest, list[bodies.Child]]:
    """The open parts of a topic that are not at this node, by the entry that split them off.

    Nobody here knows what they are called: the entry stands for the topic and for its end (SPEC 5.3).
    """
    waits = [child for child in chain.children if child.state == "open"]
    if not waits:
        return {}
    query = select(topics.c.parent_entry, topics.c.parent_n).where(topics.c.mine)
    here = {tuple(row) for row in conn.execute(query.where(topics.c.parent_entry.in_({c.entry for c in waits})))}
    found: dict[Digest, list[bodies.Child]] = {}
    for child in waits:
        if (child.entry, child.n) not in here:
            named = bodies.Child(entry=child.entry, n=child.n, topic=child.entry, head=child.entry, outcome=None)
            found.setdefault(child.entry, []).append(named)
    return found


def _part(batch: Batch, topic: TopicId, part: TopicId) -> bodies.Child:
    """A part that is here, by its own name."""
    child = batch.held(part)
    if child.topic is None or child.chain is None or child.topic.parent is None:
        raise NotFound(part)
    above = child.topic.parent
    author = select(statements.c.author).where(statements.c.id == above.entry)
    splitter = batch.conn.execute(author).scalar()
    if batch.topic_of_entry(above.entry) != topic or child.chain.origin != splitter:
        raise Invalid("topic", "not split from this one", rule="not_split_here")
    return bodies.Child(entry=above.entry, n=above.n, topic=part, head=child.chain.head, outcome=child.topic.outcome)


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
