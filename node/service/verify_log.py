"""The part of verify that is about logs: this node's own, leaf by leaf, and what it signed of others'.

Every statement written here is a leaf exactly once and in the order written; the hashes above are those of the leaves;
every checkpoint ever signed is a state the log went through; every cosignature kept verifies. Leaves are read once, in
order, whatever the size of the log.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, func, select

from node.context import Context
from node.service.fold import Findings
from node.store import log_tables as lt
from node.store import tables as t
from node.store.codec import inc_of, inc_text
from schemas.ids import Digest, NodeCode
from sync.errors import Refused, SyncError
from sync.log import Checkpoint, log_key, origin, read_checkpoint, read_origin, witness_key
from sync.merkle import TILE_WIDTH, Frontier, leaf_hash, tile_root
from sync.note import read_lines, signed_by
from sync.roster import Roster
from sync.sealing import parse, read_unverified

ROWS_AT_ONCE = 1000


def check(ctx: Context, conn: Connection, roster: Roster, findings: Findings) -> None:
    """Note in `findings` what is wrong."""
    _check_leaves(conn, findings)
    for inc in conn.execute(select(lt.leaves.c.inc).distinct()).scalars():
        _Log(ctx, conn, roster, findings, inc).run()
    for row in conn.execute(select(lt.witnessed)):
        _check_signed("witnessed", row, row.root, ctx.identity.code, roster, findings)
    for row in conn.execute(select(lt.remembered)):
        _check_signed("remembered", row, None, row.witness, roster, findings)


def authored(conn: Connection) -> Iterator[tuple[str, Digest]]:
    """(incarnation, identity) of what was written here, in the order written: what the leaves must be."""
    s = t.statements.c
    query = select(s.id, s.raw).where(s.source.is_(None)).order_by(s.pos)
    for row in conn.execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        try:
            said = read_unverified(parse(row.raw))
        except SyncError:
            continue
        yield inc_text(said.inc), row.id


def _check_leaves(conn: Connection, findings: Findings) -> None:
    """Leaves and statements, side by side in the order written: within an incarnation that is the order of both."""
    kept: dict[str, Iterator[tuple[int, Digest]]] = {}
    sizes: dict[str, int] = {}
    for inc, id in authored(conn):
        index = sizes[inc] = sizes.get(inc, -1) + 1
        leaf = next(kept.setdefault(inc, _leaves(conn, inc)), None)
        if leaf != (index, id):
            findings.add("leaf", f"{index} of {inc}", f"is not {id}, which was written then")
    for row in conn.execute(select(lt.leaves.c.inc, func.count().label("n")).group_by(lt.leaves.c.inc)):
        if row.n != sizes.get(row.inc, -1) + 1:
            findings.add("log", row.inc, f"{row.n} leaves, but {sizes.get(row.inc, -1) + 1} statements were written")


def _leaves(conn: Connection, inc: str) -> Iterator[tuple[int, Digest]]:
    """Pages, not one open result: several incarnations may be read by turns."""
    leaves = lt.leaves.c
    query = select(leaves.idx, leaves.statement).where(leaves.inc == inc).order_by(leaves.idx).limit(ROWS_AT_ONCE)
    after = -1
    while rows := conn.execute(query.where(leaves.idx > after)).all():
        for row in rows:
            yield row.idx, row.statement
        after = rows[-1].idx


class _Log:
    """One incarnation's log, read from the first leaf to the last."""

    def __init__(self, ctx: Context, conn: Connection, roster: Roster, findings: Findings, inc: str) -> None:
        self._conn, self._findings, self._inc = conn, findings, inc
        self._me = ctx.identity.code
        self._keys = _keys(roster, self._me)
        self._roster = roster
        self._name = origin(self._me, inc_of(inc))
        query = select(lt.checkpoints).where(lt.checkpoints.c.inc == inc).order_by(lt.checkpoints.c.size)
        self._due = conn.execute(query.execution_options(yield_per=ROWS_AT_ONCE))
        self._tiles: list[list[bytes]] = []
        latest = select(func.max(lt.checkpoints.c.size)).where(lt.checkpoints.c.inc == inc)
        self._latest: int = conn.execute(latest).scalar() or 0
        signed = conn.execute(select(lt.cosignatures).where(lt.cosignatures.c.inc == inc))
        self._signed = {(row.witness, row.size): row.line for row in signed}

    def run(self) -> None:
        frontier = Frontier()
        query = select(lt.leaves.c.statement).where(lt.leaves.c.inc == self._inc).order_by(lt.leaves.c.idx)
        row = self._due.fetchone()
        for id in self._conn.execute(query.execution_options(yield_per=ROWS_AT_ONCE)).scalars():
            leaf = leaf_hash(bytes.fromhex(id))
            frontier.append(leaf)
            self._grow(0, leaf, frontier.size)
            if row is not None and row.size == frontier.size:
                self._check_checkpoint(row, frontier.root())
                row = self._due.fetchone()
        self._due.close()
        if row is not None:
            self._findings.add("checkpoint", f"{self._name} {row.size}", f"the log has only {frontier.size} leaves")
        for witness, size in self._signed:
            self._findings.add("cosignature", f"{self._name} {size} by {witness}", "no checkpoint of that size is here")

    def _grow(self, level: int, hash: bytes, count: int) -> None:
        """One more hash at a level; where a tile is full, the one above it is checked."""
        if len(self._tiles) == level:
            self._tiles.append([])
        self._tiles[level].append(hash)
        if len(self._tiles[level]) < TILE_WIDTH:
            return
        above, index = tile_root(self._tiles[level]), count // TILE_WIDTH - 1
        self._tiles[level] = []
        n = lt.log_nodes.c
        where = (n.inc == self._inc, n.level == level + 1, n.idx == index)
        kept = self._conn.execute(select(n.hash).where(*where)).scalar()
        complete = (index + 1) * TILE_WIDTH ** (level + 1) <= self._latest
        if kept != above.hex() and (complete or kept is not None):
            self._findings.add("log node", f"{self._inc} {level + 1} {index}", "is not the hash of what lies below")
        self._grow(level + 1, above, index + 1)

    def _check_checkpoint(self, row: Row[Any], root: bytes) -> None:
        state = Checkpoint(self._name, row.size, root)
        where = f"{self._name} {row.size}"
        try:
            said, lines = read_checkpoint(row.note)
        except Refused as error:
            self._findings.add("checkpoint", where, error)
            return
        keys = [log_key(self._name, key) for key in self._keys]
        if said != state or row.root != root.hex():
            self._findings.add("checkpoint", where, "the log was never in that state")
        elif not any(signed_by(str(state), lines, key) is not None for key in keys):
            self._findings.add("checkpoint", where, "its signature does not verify")
        for witness in [witness for witness, size in self._signed if size == row.size]:
            if not _cosigned_by(state, self._signed.pop((witness, row.size)), witness, self._roster):
                self._findings.add("cosignature", f"{where} by {witness}", "does not verify")


def _check_signed(
    what: str, row: Row[Any], root: str | None, witness: NodeCode, roster: Roster, findings: Findings
) -> None:
    """A state of another's log that a witness signed, this node or one it keeps that for."""
    where = f"{row.node} {row.inc}"
    try:
        state, lines = read_checkpoint(row.note)
        code, inc = read_origin(state.origin)
    except Refused as error:
        findings.add(what, where, error)
        return
    keys = [log_key(state.origin, key) for key in _keys(roster, row.node)]
    said = (code, inc_text(inc), state.size, state.root.hex())
    if said != (row.node, row.inc, row.size, root or state.root.hex()):
        findings.add(what, where, "is not the checkpoint that is kept with it")
    elif not any(signed_by(str(state), lines, key) is not None for key in keys):
        findings.add(what, where, "the log's signature does not verify")
    elif not _cosigned_by(state, row.line, witness, roster):
        findings.add(what, where, "the witness's signature does not verify")


def _cosigned_by(state: Checkpoint, line: str, witness: NodeCode, roster: Roster) -> bool:
    try:
        lines = read_lines(line)
    except Refused:
        return False
    keys = [witness_key(witness, key) for key in _keys(roster, witness)]
    return any(signed_by(str(state), lines, key) is not None for key in keys)


def _keys(roster: Roster, code: NodeCode) -> list[bytes]:
    """The keys a node has had."""
    member = roster.get(code)
    return [key.public.public_bytes_raw() for key in member.keys] if member is not None else []
