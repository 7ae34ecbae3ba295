"""Open a topic: its first entry, its number, its text and who raised it as parts."""

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from sqlalchemy import insert, select, update

from node.domain.refusals import Invalid
from node.service.commit import Batch
from node.service.routing import at
from node.service.verb import done
from node.store.tables import numbers
from schemas import entry as bodies
from schemas.api import OpenForm, Submitter
from schemas.ids import TopicId
from schemas.statement import PartRef
from sync.custody import Chain
from sync.strict import dumps

DEFAULT_KIND = "matter"
CHINA = timezone(timedelta(hours=8))


def open_topic(batch: Batch, form: OpenForm) -> TopicId:
    """A new topic of this node. Raises Invalid for an area or category no list knows."""
    check_areas(batch, form.areas)
    check_category(batch, form.category)
    return done(batch, start(batch, form), "open")


def start(
    batch: Batch,
    form: OpenForm,
    raised_at: datetime | None = None,
    above: tuple[Chain, bodies.Split] | None = None,
    more: Sequence[PartRef] = (),
) -> TopicId:
    """Write `opened` for a checked form; `above` is the chain it is split from, and which part; `more` parts of it."""
    ancestors = batch.roster.ancestors(batch.me)
    arbitrates = bool(batch.roster.children(batch.me)) or not ancestors
    body = bodies.Opened(
        nonce=batch.ctx.clock.token(16),
        number=next_number(batch),
        title=form.title,
        kind=form.kind or DEFAULT_KIND,
        category=form.category,
        areas=list(dict.fromkeys(form.areas)),
        source=form.source,
        external_id=form.external_id,
        unit=form.unit,
        raised_at=at(raised_at),
        keeper=ancestors[0] if ancestors else None,
        arbiters=[*([batch.me] if arbitrates else []), *ancestors],
        parent=above[1] if above else None,
        depth=above[0].depth + 1 if above else 0,
    )
    opened = batch.entry(None, "opened", body, [*_parts(batch, form), *more])
    batch.text_arrived(opened.id, form.text)
    return opened.id


def check_areas(batch: Batch, areas: list[str]) -> None:
    tree = batch.lists.tree
    for code in areas:
        if tree.resolve_area(code) is None:
            raise Invalid("areas", f"{code} is in no table of divisions", rule="unknown_area", code=code)


def check_category(batch: Batch, category: str | None) -> None:
    if category is not None and not batch.lists.categories.known(category):
        raise Invalid("category", f"{category} is not in the classification", rule="unknown_category", name=category)


def next_number(batch: Batch) -> str:
    """`620102-2026-000042`: node, year in China, count within it."""
    year = batch.now.astimezone(CHINA).year
    last = batch.conn.execute(select(numbers.c.last).where(numbers.c.year == year)).scalar()
    if last is None:
        batch.conn.execute(insert(numbers).values(year=year, last=1))
    else:
        batch.conn.execute(update(numbers).where(numbers.c.year == year).values(last=last + 1))
    return f"{batch.me}-{year}-{(last or 0) + 1:06d}"


def _parts(batch: Batch, form: OpenForm) -> list[PartRef]:
    parts = [batch.part("text", form.text.encode(), "text/plain", "full")]
    if form.submitter is not None:
        said = form.submitter.model_dump() if isinstance(form.submitter, Submitter) else form.submitter
        parts.append(batch.part("submitter", dumps(said), "application/json", "local"))
    return parts
