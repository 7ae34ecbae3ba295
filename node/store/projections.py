"""The rows that a statement has beside its bytes: what is derived from it alone, when it is applied or made again."""

from datetime import datetime
from typing import Any

from node.clock import parse_instant
from node.store.codec import inc_text
from schemas.ids import Term, TopicId
from sync.sealing import REGISTRY, SUMMARY, Statement

Row = dict[str, Any]


def term_text(term: Term) -> str:
    return f"{term.g}.{term.k}.{inc_text(term.i)}.{term.t}"


def topic_of(statement: Statement) -> TopicId | None:
    """The topic a statement belongs to; registry entries and summaries belong to none."""
    if statement.typ in (REGISTRY, SUMMARY):
        return None
    topic: TopicId | None = statement.payload.topic
    return topic or statement.id


def entry_row(statement: Statement, topic: TopicId) -> Row:
    entry = statement.payload
    return {
        "id": statement.id,
        "topic": topic,
        "seq": entry.seq,
        "term": term_text(entry.term),
        "kind": entry.kind,
        "author": entry.author,
    }


def orphan_row(statement: Statement, topic: TopicId) -> Row:
    return {**entry_row(statement, topic), "prev": statement.payload.prev, "disposed": None}


def remark_row(statement: Statement, at: datetime) -> Row:
    remark = statement.payload
    row = {"id": statement.id, "topic": remark.topic, "entry": remark.entry, "kind": remark.kind}
    return {**row, "author": remark.author, "inc": inc_text(remark.inc), "at": at}


def registry_row(statement: Statement) -> Row:
    entry = statement.payload
    row = {"id": statement.id, "author": entry.author, "inc": inc_text(entry.inc)}
    return {**row, "seq": entry.seq, "kind": entry.kind}


def summary_row(statement: Statement, at: datetime) -> Row:
    said = statement.payload
    row = {"id": statement.id, "author": said.author, "inc": inc_text(said.inc), "seq": said.seq, "kind": said.kind}
    return {**row, "sealed_at": parse_instant(said.at), "heard_at": at}


def part_rows(statement: Statement, topic: TopicId | None) -> list[Row]:
    return [
        {
            "statement": statement.id,
            "topic": topic,
            "name": ref.name,
            "digest": ref.digest,
            "size": ref.size,
            "media": ref.media,
            "share": ref.share,
        }
        for ref in statement.payload.parts
    ]
