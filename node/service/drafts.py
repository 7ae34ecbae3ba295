"""What waits for a clerk, unsigned: matters and words of citizens, and intake while the node may not sign (R12).

A draft is no topic: it has a quota of its own, travels nowhere and counts nowhere. A clerk makes a topic (or a remark)
of it, or refuses it with a reason that whoever sent it can read.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from node.context import Context
from node.domain.refusals import AlreadyTaken, NotFound, TooManyRequests
from node.service.commit import Batch
from node.service.finish import reopen
from node.service.open import check_areas, check_category, start
from node.service.paging import cursor_after, read_cursor
from node.service.photos import MEDIA
from node.service.remark import remark
from node.service.routing import at
from node.service.terms import promised
from node.service.verb import custody_rules
from node.store.engine import reading
from node.store.office import draft_files, drafts, posters, units
from schemas import remark as beside
from schemas.api import OpenForm, ReasonForm, RemarkForm, Submitter
from schemas.drafts import DraftPage, DraftState, DraftView, FileView, Kept, MatterForm, RefuseForm, TakeForm
from schemas.ids import TopicId
from schemas.statement import PartRef

CITIZEN = "citizen"
"""Who acts, in the audit, when something comes by the public door."""
SOURCE = "群众扫码"
SECRET_BYTES = 16
WAITING_MAX = 5_000
WAITING_BYTES_MAX = 512 * 1024 * 1024
WAITING_PER_TOPIC_MAX = 50
TITLE_CHARS = 40


class DraftsFull(TooManyRequests):
    """So much waits for the clerks that nothing more is taken just now; come to the office, or try again later."""

    retry_after_s = 3600


# ---- keeping --------------------------------------------------------------------------------------------------------


def keep(
    batch: Batch, form: MatterForm, origin: str = "healing", photos: Sequence[bytes] = (), poster: str | None = None
) -> Kept:
    """Keep a matter until a clerk decides. Raises DraftsFull, NotFound for a code nobody printed."""
    _check_room(batch.conn)
    found = _poster(batch.conn, poster) if poster else None
    secret = batch.ctx.clock.token(SECRET_BYTES)
    row = {
        **_row(batch, "matter", origin, form.model_dump(mode="json")),
        "secret_hash": secret_hash(secret),
        "poster": poster,
        "unit_id": found.unit_id if found else None,
    }
    draft: int = batch.conn.execute(insert(drafts).values(**row).returning(drafts.c.id)).scalar_one()
    for n, content in enumerate(photos, start=1):
        digest = hashlib.sha256(content).hexdigest()
        file = {"draft_id": draft, "n": n, "digest": digest, "media": MEDIA, "content": content}
        batch.conn.execute(insert(draft_files).values(**file))
    batch.audit("keep_draft", None, draft=draft, origin=origin)
    return Kept(id=draft, secret=secret)


def keep_word(batch: Batch, topic: TopicId, kind: str, text: str, poster: str | None = None) -> int:
    """Keep a comment or a wish to reopen until a clerk decides. Raises DraftsFull, NotFound."""
    batch.held(topic)
    _check_room(batch.conn, topic)
    row = {**_row(batch, kind, CITIZEN, {"text": text}), "topic": topic, "poster": poster}
    draft: int = batch.conn.execute(insert(drafts).values(**row).returning(drafts.c.id)).scalar_one()
    batch.audit("keep_draft", topic, draft=draft, kind=kind)
    return draft


def secret_hash(secret: str) -> str:
    """What is kept of a receipt's 128 random bits."""
    return hashlib.sha256(f"liandong/receipt/1\n{secret}".encode()).hexdigest()


# ---- deciding -------------------------------------------------------------------------------------------------------


def take(batch: Batch, draft: int, form: TakeForm) -> TopicId:
    """Make of a draft what it is for: a topic with a promised date, a comment, a topic taken up again.

    Raises NotFound, AlreadyTaken, Invalid, and what the verb behind it refuses with.
    """
    row = _waiting(batch.conn, draft)
    topic = _open(batch, row, form) if row.kind == "matter" else _say(batch, row)
    _decide(batch, draft, "taken", topic=topic)
    batch.audit("take_draft", topic, draft=draft, kind=row.kind)
    return topic


def refuse(batch: Batch, draft: int, form: RefuseForm) -> DraftView:
    """Not taken, for a reason that whoever sent it reads; its photos are gone. Raises NotFound, AlreadyTaken."""
    row = _waiting(batch.conn, draft)
    _decide(batch, draft, "refused", reason=form.reason)
    batch.audit("refuse_draft", row.topic, draft=draft)
    return one(batch.conn, draft)


def _open(batch: Batch, row: Any, form: TakeForm) -> TopicId:
    sent = MatterForm.model_validate(row.form)
    given = OpenForm(
        title=form.title or sent.title or short(sent.text),
        text=sent.text,
        category=form.category or sent.category,
        areas=form.areas if form.areas is not None else sent.areas,
        source=SOURCE if row.origin == CITIZEN else None,
        unit=_unit_code(batch.conn, row.unit_id),
        submitter=Submitter(name=sent.name, phone=sent.phone, address=sent.place),
    )
    check_areas(batch, given.areas)
    check_category(batch, given.category)
    topic = start(batch, given, row.at, more=_photo_parts(batch, row.id, form.share_photos))
    if row.origin == CITIZEN:
        with custody_rules():
            batch.remark(topic, topic, "promised", beside.Promised(due_at=at(promised(batch)) or ""))
    return topic


def _say(batch: Batch, row: Any) -> TopicId:
    text = row.form["text"]
    if row.kind == "reopen":
        return reopen(batch, row.topic, ReasonForm(reason=text))
    return remark(batch, row.topic, RemarkForm(kind="comment", text=text))


def _photo_parts(batch: Batch, draft: int, shared: bool) -> list[PartRef]:
    share = "full" if shared else "local"
    files = batch.conn.execute(select(draft_files).where(draft_files.c.draft_id == draft).order_by(draft_files.c.n))
    return [batch.part(f"photo{row.n}", row.content, row.media, share) for row in files.all()]  # type: ignore[arg-type]


# ---- reading --------------------------------------------------------------------------------------------------------


def page(ctx: Context, state: DraftState, cursor: str | None, limit: int) -> DraftPage:
    """Oldest first while they wait, newest first once decided. Raises BadCursor."""
    key = read_cursor(cursor, int)
    waits = state == "waiting"
    where = [drafts.c.state == state, drafts.c.kind != "rating"]
    if key:
        where.append(drafts.c.id > int(key[0]) if waits else drafts.c.id < int(key[0]))
    with reading(ctx.engine) as conn:
        found = _views(conn, *where, limit=limit + 1, rising=waits)
    more = len(found) > limit
    return DraftPage(items=found[:limit], next=cursor_after(found[limit - 1].id) if more else None)


def count_waiting(ctx: Context) -> int:
    with reading(ctx.engine) as conn:
        query = select(func.count()).select_from(drafts).where(drafts.c.state == "waiting", drafts.c.kind != "rating")
        return int(conn.execute(query).scalar_one())


def read(ctx: Context, draft: int) -> DraftView:
    """Raises NotFound."""
    with reading(ctx.engine) as conn:
        return one(conn, draft)


def file(ctx: Context, draft: int, n: int) -> tuple[str, bytes]:
    """(media type, content) of a photo. Raises NotFound."""
    with reading(ctx.engine) as conn:
        wanted = (draft_files.c.draft_id == draft, draft_files.c.n == n)
        row = conn.execute(select(draft_files).where(*wanted)).first()
    if row is None:
        raise NotFound(f"{draft}/{n}")
    return row.media, row.content


def one(conn: Connection, draft: int) -> DraftView:
    found = _views(conn, drafts.c.id == draft, limit=1)
    if not found:
        raise NotFound(str(draft))
    return found[0]


def place_of(ctx: Context, draft: int) -> tuple[TopicId | None, str | None]:
    """(topic, division code of the unit) a draft is about, by which one's relation to it is judged. Raises NotFound."""
    with reading(ctx.engine) as conn:
        row = conn.execute(select(drafts.c.topic, drafts.c.unit_id).where(drafts.c.id == draft)).first()
        if row is None:
            raise NotFound(str(draft))
        return row.topic, _unit_code(conn, row.unit_id)


def short(text: str) -> str:
    """A title made of the first words of a text."""
    line = text.split("\n", 1)[0].strip()
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1] + "…"


# ---- rows -----------------------------------------------------------------------------------------------------------


def _row(batch: Batch, kind: str, origin: str, form: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "origin": origin, "state": "waiting", "form": form, "at": batch.now}


def _waiting(conn: Connection, draft: int) -> Any:
    row = conn.execute(select(drafts).where(drafts.c.id == draft, drafts.c.kind != "rating")).first()
    if row is None:
        raise NotFound(str(draft))
    if row.state != "waiting":
        raise AlreadyTaken(row.decided_by or "")
    return row


def _decide(batch: Batch, draft: int, state: str, **values: Any) -> None:
    done = {"state": state, "decided_at": batch.now, "decided_by": batch.actor, **values}
    batch.conn.execute(update(drafts).where(drafts.c.id == draft).values(**done))
    batch.conn.execute(delete(draft_files).where(draft_files.c.draft_id == draft))


def _check_room(conn: Connection, topic: TopicId | None = None) -> None:
    waiting = select(func.count()).select_from(drafts).where(drafts.c.state == "waiting")
    if topic is not None and conn.execute(waiting.where(drafts.c.topic == topic)).scalar_one() >= WAITING_PER_TOPIC_MAX:
        raise DraftsFull
    size = select(func.coalesce(func.sum(func.length(draft_files.c.content)), 0))
    if conn.execute(waiting).scalar_one() >= WAITING_MAX or conn.execute(size).scalar_one() >= WAITING_BYTES_MAX:
        raise DraftsFull


def _poster(conn: Connection, code: str) -> Any:
    row = conn.execute(select(posters).where(posters.c.code == code, posters.c.active)).first()
    if row is None:
        raise NotFound(code)
    return row


def _unit_code(conn: Connection, unit: int | None) -> str | None:
    return conn.execute(select(units.c.code).where(units.c.id == unit)).scalar() if unit is not None else None


def _views(conn: Connection, *where: ColumnElement[bool], limit: int, rising: bool = True) -> list[DraftView]:
    query = select(drafts, units.c.name.label("unit_name")).outerjoin(units, units.c.id == drafts.c.unit_id)
    rows = conn.execute(query.where(*where).order_by(drafts.c.id if rising else drafts.c.id.desc()).limit(limit)).all()
    kept: dict[int, list[FileView]] = {}
    sizes = select(draft_files.c.draft_id, draft_files.c.n, draft_files.c.media, func.length(draft_files.c.content))
    for draft, n, media, size in conn.execute(sizes.where(draft_files.c.draft_id.in_([row.id for row in rows]))):
        kept.setdefault(draft, []).append(FileView(n=n, media=media, size=size))
    return [_view(row, kept.get(row.id, [])) for row in rows]


def _view(row: Any, kept: list[FileView]) -> DraftView:
    form = row.form
    return DraftView(
        id=row.id,
        kind=row.kind,
        origin=row.origin,
        state=row.state,
        unit=row.unit_id,
        unit_name=row.unit_name,
        topic=row.topic,
        title=form.get("title") or short(form["text"]),
        text=form["text"],
        place=form.get("place"),
        areas=form.get("areas") or [],
        category=form.get("category"),
        name=form.get("name"),
        phone=form.get("phone"),
        files=kept,
        at=row.at,
        reason=row.reason,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
    )
