"""Code lists that flow down: published here, or arrived from above (SPEC 7.4)."""

from typing import Literal

from sqlalchemy import select

from node.domain.errors import DomainError
from node.domain.refusals import Invalid
from node.service.commit import Batch
from node.service.lists import add_version, areas_above, check, last_version
from node.service.rows import place_again
from node.store import tables as t
from node.store.topics import renew_areas
from schemas.ids import Digest
from schemas.registry import Published
from sync.sealing import parse
from sync.strict import strict_json

ListName = Literal["powers", "categories", "divisions", "calendar"]


def publish(batch: Batch, name: ListName, content: bytes) -> int:
    """Take a checked list into force here and send it down; the version it got. Raises the list's typed error."""
    check(name, content, batch.lists.categories)
    version = last_version(batch.conn, name, batch.me) + 1
    ref = batch.part("content", content, "text/csv", "full")
    statement = batch.register("published", Published(list=name, version=version), [ref])
    _add(batch, name, version, statement.id, ref.digest)
    batch.audit("publish", None, list=name, version=version)
    return version


def recognise(content: bytes) -> ListName:
    """Which list a file is, by its header. Raises Invalid."""
    try:
        header = content[:400].decode("utf-8-sig", "replace").splitlines()[0].lower()
    except IndexError:
        raise Invalid("file", "is empty", rule="list_empty") from None
    if "function" in header or "职能" in header:
        return "powers"
    if "parent" in header or "上级" in header:
        return "divisions"
    if "level1" in header or "一级" in header:
        return "categories"
    if "day" in header or "日期" in header:
        return "calendar"
    message = "is no powers catalogue, categories, divisions or calendar: its header names no such column"
    raise Invalid("file", message, rule="unknown_list")


def list_arrived(batch: Batch, statement: Digest, digest: Digest, content: bytes) -> None:
    """The content of a published list from above is here: in force if it can be used, else kept and audited."""
    raw = batch.conn.execute(select(t.statements.c.raw).where(t.statements.c.id == statement)).scalar_one()
    entry = strict_json(parse(raw).payload)
    name, version, author = entry["body"]["list"], entry["body"]["version"], entry["author"]
    if author not in batch.roster.ancestors(batch.me):
        return
    try:
        check(name, content, batch.lists.categories)
    except DomainError as error:
        batch.audit("list-unusable", None, "alarm", list=name, version=version, why=str(error))
        return
    _add(batch, name, version, statement, digest, author)


def _add(batch: Batch, name: str, version: int, statement: Digest, digest: Digest, author: str | None = None) -> None:
    publisher = author or batch.me
    row = {"list": name, "author": publisher, "version": version, "statement": statement, "digest": digest}
    rank = batch.roster.members[publisher].tier.rank
    add_version(batch.conn, {**row, "rank": rank, "at": batch.now})
    batch.lists_changed()
    if name == "divisions":
        batch.flush()
        renew_areas(batch.conn, lambda code: areas_above(batch.lists, code))
        place_again(batch)
