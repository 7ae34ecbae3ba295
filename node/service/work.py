"""The work itself at the custodian: the six steps, notes, amendments, the result."""

from node.domain.routing import Act
from node.domain.topic import check_amend, check_step
from node.service.commit import Batch
from node.service.open import check_areas, check_category
from node.service.routing import at, weighed
from node.service.verb import custody_rules, done, working_on
from schemas import entry as bodies
from schemas.api import AmendForm, AttendForm, NoteForm, ResultForm, StepForm
from schemas.ids import TopicId


def step(batch: Batch, topic: TopicId, form: StepForm) -> TopicId:
    """Complete the next of the six steps. Raises StepOrder, OverrideReasonMissing (deciding below the right tier)."""
    found = working_on(batch, topic)
    assert found.topic is not None  # noqa: S101 - working_on found it
    check_step(found.topic, form.step)
    suggested = None
    if form.step == "decide":
        suggested = weighed(batch, found, batch.ctx.identity.tier, Act.DECIDE, form.override_reason)
    body = bodies.Stepped(step=form.step, text=form.text, suggested=suggested, override_reason=form.override_reason)
    with custody_rules():
        batch.entry(topic, "stepped", body)
    return done(batch, topic, "step")


def note(batch: Batch, topic: TopicId, form: NoteForm) -> TopicId:
    working_on(batch, topic)
    with custody_rules():
        batch.entry(topic, "noted", bodies.Noted(text=form.text))
    return done(batch, topic, "note")


def attend(batch: Batch, topic: TopicId, form: AttendForm) -> TopicId:
    """Record a gathering on the matter: how many took part; who they were stays in the office."""
    working_on(batch, topic)
    body = bodies.Attended(headcount=form.headcount, form=form.form, held_at=at(form.held_at), text=form.text or "")
    with custody_rules():
        batch.entry(topic, "attended", body)
    return done(batch, topic, "attend")


def amend(batch: Batch, topic: TopicId, form: AmendForm) -> TopicId:
    """Correct title, category or areas. Raises Invalid where nothing, or nothing known, is given."""
    working_on(batch, topic)
    check_amend(form.title, form.category, form.areas)
    check_areas(batch, form.areas or [])
    check_category(batch, form.category)
    body = bodies.Amended(title=form.title, category=form.category, areas=form.areas, reason=form.reason)
    with custody_rules():
        batch.entry(topic, "amended", body)
    return done(batch, topic, "amend")


def result(batch: Batch, topic: TopicId, form: ResultForm) -> TopicId:
    working_on(batch, topic)
    with custody_rules():
        batch.entry(topic, "resulted", bodies.Resulted(outcome=form.outcome, text=form.text))
    return done(batch, topic, "result")
