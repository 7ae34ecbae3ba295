"""A witness of the neighbours' logs (SPEC 15.4), and what signatures of witnesses are good for here: settled or not.

A witness signs a log's state only as the continuation of the last one it signed. That state is read, compared and
replaced inside the node's one write transaction, and the signature leaves only after the commit: no race and no crash
can make it sign a smaller tree after a larger one, or two roots of one size (I10).

A statement is settled when its author's witness has signed a checkpoint above it and the keeper, or the next node on
the way to it, has acknowledged it. The author finds that out and tells the neighbours that got the statement from it;
they tell theirs. Each is told once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel
from sqlalchemy import Connection, Select, bindparam, select, union_all

from node.context import Context
from node.domain.refusals import CheckpointConflict, NotAllowed, NotFound, StaleCheckpoint
from node.service import log, memory
from node.service import roster as rosters
from node.service.commit import Batch, write
from node.service.life import Life
from node.store import log as rows
from node.store.codec import inc_text
from node.store.engine import reading
from node.store.log_tables import leaves
from node.store.tables import entries, links, orphans, outbox, remarks
from schemas.exchange import SETTLED_MAX, CheckpointLine, CosignatureLine, HeardLine, SettledLine
from schemas.ids import Digest, Incarnation, NodeCode, TopicId
from sync.errors import Refused
from sync.exchange import Document
from sync.keys import unb64
from sync.log import (
    Checkpoint,
    Submission,
    open_checkpoint,
    origin,
    read_checkpoint,
    read_origin,
    read_submission,
    witness_key,
)
from sync.merkle import EMPTY_ROOT, proves_consistency
from sync.note import cosign, read_lines, signed_by
from sync.roster import Roster


class Found(Enum):
    """What a witness makes of a checkpoint it is asked to sign."""

    SIGNED = "signed"
    STALE = "stale"
    CONFLICT = "conflict"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Answer:
    """`size`, `root`, `line`: the largest state of that log this witness has signed, after this question."""

    found: Found
    size: int = 0
    root: bytes = EMPTY_ROOT
    line: str | None = None


def ask(batch: Batch, asked: Submission, state: Checkpoint) -> Answer:
    """Sign a log's state if it continues the one signed last. Its own signature is verified already."""
    code, inc = read_origin(state.origin)
    kept = rows.witnessed_of(batch.conn, code, inc)
    last = Answer(Found.SIGNED, kept.size, bytes.fromhex(kept.root), kept.line) if kept else Answer(Found.SIGNED)
    if state.size == last.size and state.root != last.root:
        _keep_conflict(batch, state, kept.note if kept else "", asked.note)
        return _but(last, Found.CONFLICT)
    if asked.old != last.size:
        return _but(last, Found.STALE)
    if not proves_consistency(last.size, last.root, state.size, state.root, asked.proof):
        batch.audit("checkpoint-unproven", None, "alarm", node=code, size=state.size, signed=last.size)
        return _but(last, Found.UNPROVEN)
    me = batch.ctx.identity
    line = cosign(str(state), witness_key(batch.me, me.signer.public).name, me.signer, int(batch.now.timestamp()))
    row = {"node": code, "inc": inc_text(inc), "size": state.size, "root": state.root.hex(), "at": batch.now}
    rows.store_witnessed(batch.conn, {**row, "note": asked.note, "line": line})
    return Answer(Found.SIGNED, state.size, state.root, line)


def add_checkpoint(ctx: Context, raw: bytes) -> str:
    """The cosignature on a neighbour's checkpoint (C2SP tlog-witness). Whoever may bring it: the log's key signed it.

    Raises Refused for what cannot be read or does not follow, NotFound for a log not witnessed here, NotAllowed where
    its key did not sign, StaleCheckpoint where `old` is not what was signed last, CheckpointConflict.
    """
    try:
        asked = read_submission(raw.decode())
    except UnicodeDecodeError:
        raise Refused("malformed", "not UTF-8") from None
    state, _ = read_checkpoint(asked.note)
    with reading(ctx.engine) as conn:
        roster = rosters.current(ctx, conn)
        public = _key_of_log(ctx, roster, state.origin)
    if public is None:
        raise NotFound(state.origin)
    try:
        open_checkpoint(asked.note, public)
    except Refused:
        raise NotAllowed("the log's key did not sign this") from None
    if asked.old > state.size:
        raise Refused("malformed", "old size")
    with write(ctx) as batch:
        batch.actor = "witness"
        batch.check_live()
        answer = ask(batch, asked, state)
    if answer.found is Found.STALE or (answer.found is Found.CONFLICT and asked.old != answer.size):
        raise StaleCheckpoint(answer.size)
    if answer.found is Found.CONFLICT:
        raise CheckpointConflict
    if answer.found is Found.UNPROVEN or answer.line is None:
        raise Refused("unproven", "the consistency proof does not verify")
    return answer.line


# ---- in the exchange ---------------------------------------------------------------------------------------------


def take(batch: Batch, peer: NodeCode, document: Document) -> tuple[list[BaseModel], str | None]:
    """Heed what a document says of logs: (what to answer, why the link must stop)."""
    answers: list[BaseModel] = []
    kept: list[BaseModel] = []
    for said in document.log:
        if isinstance(said, CheckpointLine):
            answers += _answer(batch, peer, said)
        elif isinstance(said, CosignatureLine):
            why = _take_cosignature(batch, peer, said)
            if why is not None:
                return answers[-1:] + kept, why
        elif isinstance(said, SettledLine) and said.inc == document.header.inc:
            _take_settled(batch, peer, said)
        elif isinstance(said, HeardLine) and said.inc == batch.inc:
            rows.told(batch.conn, peer, said.upto)
        else:
            kept += memory.take(batch, peer, said)
    return answers[-1:] + kept, None


def to_say(
    ctx: Context, conn: Connection, mine: Life, roster: Roster, peer: NodeCode, has: int, by_file: bool
) -> list[BaseModel]:
    """What goes to a neighbour about logs: our checkpoint to sign, what is settled, and what of that we have heard.

    A node without a live incarnation has no log and settles nothing.
    """
    said: list[BaseModel] = []
    asked = log.submission(ctx, conn, mine.inc, peer) if mine.live else None
    if asked is not None:
        said.append(asked)
    told = rows.to_tell(conn, peer, has, SETTLED_MAX) if mine.live else []
    if told:
        said.append(SettledLine(inc=mine.inc, upto=told[-1][0], ids=[id for _, id in told]))
    heard = rows.heard(conn, peer)
    if heard is not None:
        said.append(HeardLine(inc=heard[0], upto=heard[1]))
    said += memory.to_tell(conn, roster, ctx.identity.code, peer)
    if by_file:
        said += memory.kept_for(conn, peer)
    member = roster.get(peer)
    if by_file and member is not None:
        kept = rows.witnessed_of(conn, peer, member.inc)
        if kept is not None:
            said.append(_cosignature(peer, member.inc, kept.size, kept.root, kept.line))
    return said


def _answer(batch: Batch, peer: NodeCode, said: CheckpointLine) -> list[CosignatureLine]:
    """Our signature, or the largest state we signed; nothing where that is not the log of this neighbour."""
    member = batch.roster.get(peer)
    if member is None or not batch.inc.number:
        return []
    try:
        state = open_checkpoint(said.note, unb64(member.card.key))
    except Refused as error:
        batch.audit("checkpoint-refused", None, error.code, node=peer)
        return []
    if state.origin != origin(peer, member.inc):
        return []
    asked = Submission(said.old, tuple(map(bytes.fromhex, said.proof)), said.note)
    kept = rows.witnessed_of(batch.conn, peer, member.inc)
    if kept is None or (kept.size, kept.root) != (state.size, state.root.hex()):
        found = ask(batch, asked, state)
        return [_cosignature(peer, member.inc, found.size, found.root.hex(), found.line)]
    return [_cosignature(peer, member.inc, kept.size, kept.root, kept.line)]


def _take_cosignature(batch: Batch, peer: NodeCode, said: CosignatureLine) -> str | None:
    """A witness's word on our log: kept where it signed what we have; else why the link stops."""
    member, conn, inc = batch.roster.get(peer), batch.conn, batch.inc
    if member is None or not inc.number or said.log != origin(batch.me, inc):
        return None
    batch.flush_rows()
    if said.size > rows.size(conn, inc):
        return "peer-knows-more" if _verified(batch, peer, said) else None
    known = rows.note_at(conn, inc, said.size)
    kept = next(iter(rows.cosigned(conn, inc, (peer,))), None)
    if said.line is None or known is None:
        if kept is not None and kept.said != said.size:
            rows.store_cosignature(conn, {**kept._mapping, "said": said.size})
        return None
    if not _verified(batch, peer, said):
        batch.audit("cosignature-refused", None, "bad-signature", node=peer)
        return None
    if known.root != said.root:
        return "hash-mismatch"
    if kept is not None and kept.size >= said.size:
        rows.store_cosignature(conn, {**kept._mapping, "said": said.size})
        return None
    before = log.cosigned_size(conn, batch.roster, batch.me, inc)
    row = {"inc": inc_text(inc), "witness": peer, "size": said.size, "said": said.size}
    rows.store_cosignature(conn, {**row, "line": said.line, "at": batch.now})
    after = log.cosigned_size(conn, batch.roster, batch.me, inc)
    for start in range(before, after, SETTLED_MAX):
        _settle(batch, rows.leaf_ids(conn, inc, start, min(start + SETTLED_MAX, after)))
    return None


def _verified(batch: Batch, peer: NodeCode, said: CosignatureLine) -> bool:
    """Whether the neighbour's key signed just that state of our log."""
    if said.line is None:
        return False
    try:
        lines = read_lines(said.line)
    except Refused:
        return False
    text = str(Checkpoint(said.log, said.size, bytes.fromhex(said.root)))
    key = witness_key(peer, unb64(batch.roster.members[peer].card.key))
    return len(lines) == 1 and signed_by(text, lines, key) is not None


def _take_settled(batch: Batch, peer: NodeCode, said: SettledLine) -> None:
    batch.flush_rows()
    rows.settle(batch.conn, sorted(batch.known(said.ids)), peer)
    rows.hear(batch.conn, peer, said.inc, said.upto)


# ---- what is settled ---------------------------------------------------------------------------------------------


_OURS_SENT = (
    select(outbox.c.statement)
    .join(leaves, leaves.c.statement == outbox.c.statement)
    .where(outbox.c.peer == bindparam("to"), outbox.c.seq > bindparam("above"), outbox.c.seq <= bindparam("up_to"))
    .where(leaves.c.inc == bindparam("in"), leaves.c.idx < bindparam("size"))
)


def acknowledged(batch: Batch, peer: NodeCode, before: int, now: int) -> None:
    """A neighbour acknowledged our stream from `before` up to `now`: what of ours is settled by that."""
    signed = log.cosigned_size(batch.conn, batch.roster, batch.me, batch.inc) if now > before else 0
    if not signed:
        return
    of = {"to": peer, "above": before, "up_to": now, "in": inc_text(batch.inc), "size": signed}
    _settle(batch, list(batch.conn.execute(_OURS_SENT, of).scalars()))


def _settle(batch: Batch, ids: Sequence[Digest]) -> None:
    """Those of these statements of ours, all under a signed checkpoint, that their keeper has: keep it, and tell."""
    if not ids:
        return
    batch.flush()
    acked = select(outbox.c.statement, outbox.c.peer).join(links, links.c.peer == outbox.c.peer)
    where = (outbox.c.statement.in_(ids), outbox.c.seq <= links.c.acked_seq)
    have: dict[Digest, set[NodeCode]] = {}
    for row in batch.conn.execute(acked.where(*where)):
        have.setdefault(row.statement, set()).add(row.peer)
    topics = {row.id: row.topic for row in batch.conn.execute(_topics(list(have)))}
    batch.prefetch(set(topics.values()))
    done = [id for id, topic in topics.items() if _kept(batch, topic, have[id])]
    rows.settle(batch.conn, done, None)


def _topics(ids: Sequence[Digest]) -> Select[tuple[Digest, TopicId]]:
    both = union_all(
        select(entries.c.id, entries.c.topic).where(entries.c.id.in_(ids)),
        select(remarks.c.id, remarks.c.topic).where(remarks.c.id.in_(ids)),
        select(orphans.c.id, orphans.c.topic).where(orphans.c.id.in_(ids)),
    ).subquery()
    return select(both.c.id, both.c.topic)


def _kept(batch: Batch, topic: TopicId, by: set[NodeCode]) -> bool:
    """Whether the topic's keeper, or the next node towards it, is among those who have it; any where this is the
    keeper itself or there is none."""
    chain = batch.working(topic).chain
    keeper = chain.keeper if chain is not None else None
    if keeper is None or keeper == batch.me:
        return bool(by)
    return batch.roster.path(batch.me, keeper)[1] in by


# ---- small things ------------------------------------------------------------------------------------------------


def _but(last: Answer, found: Found) -> Answer:
    return Answer(found, last.size, last.root, last.line)


def _cosignature(code: NodeCode, inc: Incarnation, size: int, root: str, line: str | None) -> CosignatureLine:
    return CosignatureLine(log=origin(code, inc), size=size, root=root, line=line)


def _key_of_log(ctx: Context, roster: Roster, name: str) -> bytes | None:
    """The key of a log that is witnessed here: that of a neighbour's live incarnation."""
    try:
        code, inc = read_origin(name)
    except Refused:
        return None
    member = roster.get(code)
    if member is None or member.inc != inc or code not in roster.neighbours(ctx.identity.code):
        return None
    return unb64(member.card.key)


def _keep_conflict(batch: Batch, state: Checkpoint, kept: str, other: str) -> None:
    """Two states of one size, both signed by the log: nothing of it is taken, and the proof stays."""
    code, inc = read_origin(state.origin)
    key = {"node": code, "inc": inc_text(inc), "size": state.size, "root": state.root.hex()}
    if rows.keep_conflict(batch.conn, {**key, "kept": kept, "other": other, "at": batch.now}):
        batch.audit("checkpoint-conflict", None, "alarm", node=code, size=state.size)
