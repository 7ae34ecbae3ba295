"""What a witness signed is kept by two more of its neighbours, who give it back when it heals (SPEC 15.4).

A witness that lost its newest states would sign a second continuation of a log that lies. So it tells what it signs to
neighbours that are not that log's owner; each answers with the largest it keeps. What comes back under the witness's
own signature and is larger than what it remembers, becomes its memory: nothing smaller is signed again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection

from node.context import Context
from node.service import roster as rosters
from node.service.commit import Batch
from node.store import log as rows
from node.store.codec import inc_of, inc_text
from schemas.exchange import KeptLine, SignedLine
from schemas.ids import Incarnation, NodeCode
from sync.errors import Refused
from sync.log import Checkpoint, log_key, read_checkpoint, read_origin, witness_key
from sync.note import only, read_lines, signed_by
from sync.roster import Roster

KEEPERS_MAX = 2
"""How many neighbours keep each state."""


@dataclass(frozen=True, slots=True)
class _State:
    """A state of a log, signed by the log and by a witness of it; both signatures verified."""

    node: NodeCode
    inc: Incarnation
    checkpoint: Checkpoint
    note: str
    line: str

    @property
    def age(self) -> tuple[Incarnation, int]:
        return self.inc, self.checkpoint.size


def keepers(roster: Roster, witness: NodeCode, owner: NodeCode) -> tuple[NodeCode, ...]:
    """Who keeps what a witness signs of this log: its parent and its first children, the log's owner left out."""
    parent = roster.parent(witness)
    near = (*((parent,) if parent is not None else ()), *roster.children(witness))
    return tuple(code for code in near if code != owner)[:KEEPERS_MAX]


def to_tell(conn: Connection, roster: Roster, me: NodeCode, peer: NodeCode) -> list[SignedLine]:
    """States of living logs that were signed here and that this neighbour is not known to keep."""
    return [SignedLine(note=row.note, line=row.line) for row in _untold(conn, roster, me, peer)]


def untold(ctx: Context, conn: Connection, peer: NodeCode) -> int:
    """A number that is another one whenever there is something new to tell this neighbour; 0 where there is nothing."""
    return sum(row.size for row in _untold(conn, rosters.current(ctx, conn), ctx.identity.code, peer))


def kept_for(conn: Connection, peer: NodeCode) -> list[KeptLine]:
    """All that this node keeps for a neighbour."""
    return [KeptLine(note=row.note, line=row.line) for row in rows.remembered_for(conn, peer)]


def take(batch: Batch, peer: NodeCode, said: BaseModel) -> list[KeptLine]:
    """Heed one line of a neighbour's document; what to answer."""
    if isinstance(said, SignedLine):
        return _keep(batch, peer, said)
    if isinstance(said, KeptLine):
        _recall(batch, peer, said)
    return []


def _untold(conn: Connection, roster: Roster, me: NodeCode, peer: NodeCode) -> Iterator[Any]:
    told: dict[tuple[NodeCode, Incarnation], int] | None = None
    for row in rows.signed_states(conn):
        member, inc = roster.get(row.node), inc_of(row.inc)
        if member is None or member.inc != inc or peer not in keepers(roster, me, row.node):
            continue
        told = rows.reminded(conn, peer) if told is None else told
        if told.get((row.node, inc), 0) < row.size:
            yield row


def _keep(batch: Batch, peer: NodeCode, said: SignedLine) -> list[KeptLine]:
    """Keep what a neighbour signed, unless what is kept is later; either way say what is kept."""
    state = _read(batch.roster, said, peer)
    if state is None or state.node not in batch.roster.neighbours(peer) or state.node == batch.me:
        return []
    kept = rows.remembered_of(batch.conn, peer, state.node)
    if kept is not None and state.age <= (inc_of(kept.inc), kept.size):
        return [KeptLine(note=kept.note, line=kept.line)]
    row = {"witness": peer, "node": state.node, "inc": inc_text(state.inc), "size": state.checkpoint.size}
    rows.remember(batch.conn, {**row, "note": state.note, "line": state.line, "at": batch.now})
    return [KeptLine(note=state.note, line=state.line)]


def _recall(batch: Batch, peer: NodeCode, said: KeptLine) -> None:
    """What a neighbour keeps under our own signature: heard, or remembered again."""
    state = _read(batch.roster, said, batch.me)
    if state is None:
        return
    found, conn = state.checkpoint, batch.conn
    mine = rows.witnessed_of(conn, state.node, state.inc)
    if mine is None or mine.size < found.size:
        row = {"node": state.node, "inc": inc_text(state.inc), "size": found.size, "root": found.root.hex()}
        rows.store_witnessed(conn, {**row, "note": state.note, "line": state.line, "at": batch.now})
        batch.audit("witness-remembers", None, node=state.node, size=found.size, peer=peer)
    elif mine.size == found.size and mine.root != found.root.hex():
        row = {"node": state.node, "inc": inc_text(state.inc), "size": found.size, "root": found.root.hex()}
        if rows.keep_conflict(conn, {**row, "kept": mine.note, "other": state.note, "at": batch.now}):
            batch.audit("checkpoint-conflict", None, "alarm", node=state.node, size=found.size)
        return
    rows.remind(conn, peer, state.node, state.inc, found.size)


def _read(roster: Roster, said: SignedLine | KeptLine, witness: NodeCode) -> _State | None:
    """None where it is not what a log of the tree and this witness have signed, as far as the roster knows."""
    try:
        found, lines = read_checkpoint(said.note)
        code, inc = read_origin(found.origin)
        by = read_lines(said.line)
    except Refused:
        return None
    owner, text = roster.get(code), str(found)
    if owner is None or inc not in owner.incs:
        return None
    key = next((key for key in _logs(roster, code, found.origin) if signed_by(text, lines, key) is not None), None)
    signed = any(signed_by(text, by, witness_key(witness, public)) is not None for public in _keys(roster, witness))
    if key is None or not signed or len(by) != 1:
        return None
    return _State(code, inc, found, only(text, lines, key), said.line)


def _logs(roster: Roster, code: NodeCode, name: str) -> Iterator[Any]:
    return (log_key(name, public) for public in _keys(roster, code))


def _keys(roster: Roster, code: NodeCode) -> list[bytes]:
    """The keys of a node that are not in other hands."""
    member = roster.get(code)
    keys = member.keys if member is not None else ()
    return [key.public.public_bytes_raw() for key in keys if member and key.kid not in member.revoked]
