"""What somebody who raised a matter, or scanned its code, may know of it, as facts for plain words.

Who holds it now, on which tier, until when, what was answered; and never more than that: no entry's own words but
results and the closing, no name, nothing of another topic.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection, insert, select

from node.clock import parse_instant
from node.context import Context
from node.domain.refusals import AlreadyTaken, NotFound
from node.service import drafts as waiting
from node.service.commit import Batch
from node.service.names import names
from node.service.remark import remark
from node.service.views import topic_view
from node.store import tables as t
from node.store.engine import reading
from node.store.office import drafts
from schemas.api import RemarkForm, TopicView
from schemas.drafts import RatingForm, WordForm
from schemas.ids import Digest, Tier, TopicId
from sync.sealing import parse
from sync.strict import strict_json

SECRET = re.compile(r"[0-9a-f]{32}")
_TOLD = ("opened", "accepted", "resulted", "closed", "reopened")


Stage = Literal["waiting", "refused", "working", "answered", "closed"]
"""`answered`: there is a result, but the matter is not closed; it is still being worked on or told back."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as a kind and who did it; `text` only of results and the closing."""

    kind: str
    at: datetime
    office: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A comment or a wish of this person's own, and what a clerk decided about it."""

    kind: str
    state: str
    text: str
    at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the page shows. `topic` is None until a clerk has taken the matter."""

    stage: Stage
    title: str
    text: str | None
    raised_at: datetime
    number: str | None = None
    holder: str | None = None
    tier: Tier | None = None
    offered_to: str | None = None
    promised: datetime | None = None
    due_at: datetime | None = None
    reason: str | None = None
    events: tuple[Event, ...] = ()
    said: tuple[Said, ...] = ()
    rating: str | None = None
    may_reopen: bool = False
    topic: TopicId | None = None


def story(ctx: Context, secret: str) -> Story:
    """By the secret of a receipt. Raises NotFound, for every wrong one alike."""
    with reading(ctx.engine) as conn:
        row = conn.execute(select(drafts).where(drafts.c.secret_hash == _hash(secret))).first()
        if row is None:
            raise NotFound
        title = row.form.get("title") or waiting.short(row.form["text"])
        if row.state != "taken" or row.topic is None:
            stage: Stage = "refused" if row.state == "refused" else "waiting"
            return Story(stage, title, row.form["text"], row.at, reason=row.reason)
        return _of_topic(ctx, conn, row.topic, title, row.form["text"], row.at)


def topic_story(ctx: Context, topic: TopicId) -> Story:
    """By a printed code: no text of whoever raised it. Raises NotFound."""
    with reading(ctx.engine) as conn:
        view = topic_view(ctx, conn, topic)
        return _of_topic(ctx, conn, topic, view.title, None, view.created_at)


def topic_of(ctx: Context, secret: str) -> TopicId:
    """Raises NotFound, also for a matter that is not taken yet."""
    with reading(ctx.engine) as conn:
        query = select(drafts.c.topic).where(drafts.c.secret_hash == _hash(secret), drafts.c.state == "taken")
        found: TopicId | None = conn.execute(query).scalar()
    if found is None:
        raise NotFound
    return found


def comment(batch: Batch, topic: TopicId, form: WordForm, poster: str | None = None) -> None:
    """Waits for a clerk like everything that comes by the public door. Raises NotFound, DraftsFull."""
    waiting.keep_word(batch, topic, "comment", form.text, poster)


def ask_to_reopen(batch: Batch, topic: TopicId, form: WordForm) -> None:
    """Raises NotFound, DraftsFull; AlreadyTaken unless the topic is closed and nobody has asked yet."""
    chain = batch.held(topic).chain
    if chain is None or not chain.closed or _asked(batch.conn, topic):
        raise AlreadyTaken
    waiting.keep_word(batch, topic, "reopen", form.text)


def rate(batch: Batch, topic: TopicId, form: RatingForm) -> None:
    """Once for each closing, signed at once; what is written beside it waits for a clerk.

    Raises NotFound; AlreadyTaken before the closing and the second time.
    """
    chain = batch.held(topic).chain
    if chain is None or not chain.closed or _rated(batch.conn, topic, chain.head) is not None:
        raise AlreadyTaken
    remark(batch, topic, RemarkForm(kind="rate", rating=form.rating, text="群众评价"))
    row = {
        "kind": "rating",
        "origin": waiting.CITIZEN,
        "state": "taken",
        "topic": topic,
        "form": {"rating": form.rating, "head": chain.head, "text": ""},
        "at": batch.now,
    }
    batch.conn.execute(insert(drafts).values(**row))
    if form.text:
        waiting.keep_word(batch, topic, "comment", form.text)


def _hash(secret: str) -> str:
    return waiting.secret_hash(secret if SECRET.fullmatch(secret) else "")


def _of_topic(ctx: Context, conn: Connection, topic: TopicId, title: str, text: str | None, at: datetime) -> Story:
    view = topic_view(ctx, conn, topic)
    called = names(ctx)
    member = called.roster.get(view.custodian)
    return Story(
        stage=_stage(view),
        title=title,
        text=text,
        raised_at=at,
        number=view.number,
        holder=called.office(view.custodian),
        tier=member.tier if member else None,
        offered_to=called.office(view.offer.to) if view.offer else None,
        promised=_promised(conn, topic),
        due_at=view.due_at,
        events=tuple(_events(conn, topic, called.office)),
        said=tuple(_said(conn, topic)) if text is not None else (),
        rating=_rated(conn, topic, view.head),
        may_reopen=view.status == "closed" and view.origin == ctx.identity.code and not _asked(conn, topic),
        topic=topic,
    )


def _stage(view: TopicView) -> Stage:
    if view.status == "closed":
        return "closed"
    return "answered" if view.outcome is not None else "working"


def _events(conn: Connection, topic: TopicId, office: Callable[[str | None], str]) -> list[Event]:
    e, s = t.entries.c, t.statements.c
    query = select(s.raw, e.kind).join(t.entries, e.id == s.id)
    query = query.where(e.topic == topic, e.kind.in_(_TOLD)).order_by(e.seq)
    found = []
    for raw, kind in conn.execute(query):
        said = strict_json(parse(raw).payload)
        text = said["body"].get("text") or None if kind in ("resulted", "closed") else None
        found.append(Event(kind, parse_instant(said["at"]), office(said["author"]), text))
    return found


def _promised(conn: Connection, topic: TopicId) -> datetime | None:
    r, s = t.remarks.c, t.statements.c
    query = select(s.raw).join(t.remarks, r.id == s.id).where(r.topic == topic, r.kind == "promised")
    raws = conn.execute(query.order_by(s.pos.desc()).limit(1)).scalars().all()
    return parse_instant(strict_json(parse(raws[0]).payload)["body"]["due_at"]) if raws else None


def _said(conn: Connection, topic: TopicId) -> list[Said]:
    query = select(drafts).where(drafts.c.topic == topic, drafts.c.kind.in_(("comment", "reopen")))
    rows = conn.execute(query.where(drafts.c.poster.is_(None)).order_by(drafts.c.id))
    return [Said(row.kind, row.state, row.form["text"], row.at, row.reason) for row in rows]


def _asked(conn: Connection, topic: TopicId) -> bool:
    """Whether a wish to reopen waits for a clerk."""
    query = select(drafts.c.id).where(drafts.c.topic == topic, drafts.c.kind == "reopen", drafts.c.state == "waiting")
    return conn.execute(query).first() is not None


def _rated(conn: Connection, topic: TopicId, head: Digest) -> str | None:
    query = select(drafts.c.form).where(drafts.c.topic == topic, drafts.c.kind == "rating")
    found = {form["head"]: form["rating"] for form in conn.execute(query).scalars()}
    return found.get(head)
