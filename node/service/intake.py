"""Topics from a sheet of citizens' messages (CSV, XLSX): read, placed, opened, each message once.

A row that cannot be used is reported by its number and stands in nobody's way. Rows become topics in transactions of
a few hundred, each together with the marks of what it holds: a crash leaves whole transactions, and importing the
file again does the rest and nothing twice. Where a row names no area, its places are read from title and text; what
each area was taken from stays at this node, beside the topic. An answer that was given elsewhere before, and what
others thought of the message, travel as parts of the topic.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from pydantic import ValidationError
from sqlalchemy import Connection, insert, select

from node.clock import instant
from node.context import Context
from node.domain.errors import DomainError
from node.domain.places import FoundAreas, areas_of
from node.domain.refusals import Healing, NotJoined
from node.domain.sheet import Fields, Row, read_sheet
from node.service import life
from node.service.commit import Batch, write
from node.service.lists import Lists, in_force
from node.service.open import start
from node.store.engine import reading
from node.store.tables import imported, topic_places
from schemas.api import ImportView, OpenForm, RowError
from schemas.ids import Digest, TopicId
from sync.errors import SyncError
from sync.strict import dumps

ROWS_AT_ONCE = 200
"""Topics opened in one transaction, while which the node writes nothing else."""
DEFAULT_SOURCE = "import"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Matter:
    """One row, ready to be opened. `mark` is the same for the same message; `parts` are names with JSON content."""

    row: int
    form: OpenForm
    raised_at: datetime | None
    mark: Digest
    places: dict[str, list[dict[str, Any]]] | None
    parts: tuple[tuple[str, bytes], ...]


def import_topics(
    ctx: Context,
    actor: str,
    file: BinaryIO,
    name: str,
    mapping: dict[str, str] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportView:
    """Open a topic for each message that is not here yet; `mapping` gives fields to headings that are not recognised.

    `progress` is told (done, total) in the sheet's own measure, total 0 if unknown. Raises Healing, StorageFull, and
    the SheetError of a file that cannot be read; `dry_run` says what would happen and changes nothing.
    """
    mine = life.now(ctx)
    if not mine.live:
        raise NotJoined if mine.healing_since is None else Healing
    intake = _Intake(ctx, actor, dry_run)
    with closing(read_sheet(file, name, mapping)) as sheet:
        rows = sheet.rows()
        while some := list(islice(rows, ROWS_AT_ONCE)):
            intake.take(some)
            if progress is not None:
                progress(sheet.done, sheet.total)
    return intake.view()


class _Intake:
    """One import under way."""

    def __init__(self, ctx: Context, actor: str, dry_run: bool) -> None:
        self._ctx = ctx
        self._actor = actor
        self._dry_run = dry_run
        self._seen: set[bytes] = set()
        self._created = 0
        self._skipped = 0
        self._errors: list[RowError] = []
        with reading(ctx.engine) as conn:
            self._lists = in_force(ctx, conn)
        self._scope = ctx.identity.code if ctx.identity.code in self._lists.tree else None

    def view(self) -> ImportView:
        errors = sorted(self._errors, key=lambda error: error.row)
        return ImportView(created=self._created, skipped=self._skipped, errors=errors)

    def take(self, rows: Sequence[Row]) -> None:
        """Read and place the rows outside, then open what is new in one transaction."""
        matters = list(self._new_in_file(self._readable(rows)))
        if self._dry_run:
            self._count(matters)
        elif matters:
            self._open(matters)

    def _readable(self, rows: Sequence[Row]) -> Iterator[Matter]:
        for row in rows:
            errors = [RowError(row=found.row, field=found.field, message=found.message) for found in row.problems]
            matter = None if errors else _read(row, self._lists, self._scope, errors)
            self._errors += errors
            if matter is not None:
                yield matter

    def _new_in_file(self, matters: Iterator[Matter]) -> Iterator[Matter]:
        for matter in matters:
            key = bytes.fromhex(matter.mark)
            if key in self._seen:
                self._skipped += 1
            else:
                self._seen.add(key)
                yield matter

    def _count(self, matters: Sequence[Matter]) -> None:
        with reading(self._ctx.engine) as conn:
            known = _known(conn, matters)
        self._skipped += len(known)
        self._created += len(matters) - len(known)

    def _open(self, matters: Sequence[Matter]) -> None:
        refused: list[RowError] = []
        with write(self._ctx) as batch:
            batch.actor = self._actor
            known = _known(batch.conn, matters)
            done: list[tuple[Matter, TopicId]] = []
            for matter in matters:
                if matter.mark in known:
                    continue
                try:
                    done.append((matter, _start(batch, matter)))
                except (DomainError, SyncError) as error:
                    refused.append(RowError(row=matter.row, field="row", message=str(error)))
            _remember(batch, done)
        self._errors += refused
        self._skipped += len(known)
        self._created += len(done)


def _start(batch: Batch, matter: Matter) -> TopicId:
    refs = [batch.part(name, content, "application/json", "full") for name, content in matter.parts]
    topic = start(batch, matter.form, matter.raised_at, more=refs)
    batch.audit("import", topic)
    return topic


def _remember(batch: Batch, done: Sequence[tuple[Matter, TopicId]]) -> None:
    """With the topics, in their transaction: what makes a second import skip them, and where their areas are from."""
    if not done:
        return
    batch.conn.execute(insert(imported), [{"mark": matter.mark, "topic": topic} for matter, topic in done])
    places = [{"topic": topic, "found": matter.places} for matter, topic in done if matter.places]
    if places:
        batch.conn.execute(insert(topic_places), places)


def _known(conn: Connection, matters: Sequence[Matter]) -> set[Digest]:
    marks = [matter.mark for matter in matters]
    return set(conn.execute(select(imported.c.mark).where(imported.c.mark.in_(marks))).scalars())


def _read(row: Row, lists: Lists, scope: str | None, errors: list[RowError]) -> Matter | None:
    """The row as a form that the lists in force allow; what they do not allow goes into `errors`."""
    said = row.fields
    if said.category and not lists.categories.known(said.category):
        errors.append(
            RowError(
                row=row.number,
                field="category",
                message=f"类别不在分类表中：{said.category} / no such category: {said.category}",
            )
        )
    for code in said.areas:
        if lists.tree.resolve_area(code) is None:
            errors.append(
                RowError(
                    row=row.number, field="areas", message=f"区划代码不在区划表中：{code} / no such division: {code}"
                )
            )
    if errors:
        return None
    areas, places = (list(said.areas), None) if said.areas else _places(said, lists, scope)
    try:
        form = _form(said, areas)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False):
            field = str(found["loc"][0]) if found["loc"] else "row"
            errors.append(
                RowError(
                    row=row.number, field=field, message=f"内容不合要求（{found['msg']}） / not allowed: {found['msg']}"
                )
            )
        return None
    return Matter(row.number, form, said.submitted_at, _mark(form, said.submitted_at), places, tuple(_parts(said)))


def _form(said: Fields, areas: list[str]) -> OpenForm:
    who = {"name": said.name or None, "phone": said.phone or None, "address": said.address or None}
    return OpenForm.model_validate(
        {
            "title": said.title,
            "text": said.text,
            "category": said.category or None,
            "areas": areas,
            "source": said.source or DEFAULT_SOURCE,
            "kind": said.kind or None,
            "unit": said.unit or None,
            "submitter": who if any(who.values()) else None,
            "external_id": said.external_id or None,
        }
    )


def _places(said: Fields, lists: Lists, scope: str | None) -> tuple[list[str], dict[str, list[dict[str, Any]]] | None]:
    """The areas the row names in words: in its own column, else in title and text; and what each was taken from."""
    named = _in_column(areas_of(said.area_text, "", lists.tree, scope)) if said.area_text else FoundAreas(())
    found = named if named.codes else areas_of(said.title, said.text, lists.tree, scope)
    if found is not named:
        found = replace(found, ambiguous=(*named.ambiguous, *found.ambiguous), unknown=(*named.unknown, *found.unknown))
    places = {
        "matches": [asdict(place) for place in found.areas],
        "ambiguous": [
            {"name": it.name, "field": it.field, "start": it.start, "end": it.end, "candidates": list(it.codes)}
            for it in found.ambiguous
        ],
        "unknown": [asdict(place) for place in found.unknown],
    }
    return list(found.codes), places if any(places.values()) else None


def _in_column(found: FoundAreas) -> FoundAreas:
    """What was read as if from a title stands in the column of areas."""
    return FoundAreas(
        tuple(replace(place, field="areas") for place in found.areas),
        tuple(replace(place, field="areas") for place in found.ambiguous),
        tuple(replace(place, field="areas") for place in found.unknown),
    )


def _mark(form: OpenForm, raised_at: datetime | None) -> Digest:
    """The same for the same message: by its number at its source, else by title, time and text."""
    told = ["id", form.source, form.external_id]
    if form.external_id is None:
        told = ["text", form.title, instant(raised_at) if raised_at else None, form.text]
    return hashlib.sha256(dumps(told)).hexdigest()


def _parts(said: Fields) -> Iterator[tuple[str, bytes]]:
    if said.reply:
        at = instant(said.reply_at) if said.reply_at else None
        yield "reply", dumps({"at": at, "text": said.reply})
    if said.likes is not None or said.dislikes is not None:
        yield "votes", dumps({"likes": said.likes or 0, "dislikes": said.dislikes or 0})
