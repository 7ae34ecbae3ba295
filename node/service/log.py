"""This node's own log (SPEC 15): what it authored, as a Merkle tree that others sign for.

Leaves are written with the statements they stand for (node.service.commit). Everything above them is made here, when a
checkpoint is due: a tick of node.jobs, so that a burst of work costs one signature. The cost of a checkpoint or proof
follows what is new and the depth of the tree, never its size.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, insert

from node.context import Context
from node.domain.refusals import NotFound
from node.service import life
from node.service import roster as rosters
from node.service.commit import Batch, write
from node.store import log as rows
from node.store.codec import inc_text
from node.store.engine import reading
from node.store.log_tables import checkpoints
from schemas.api import CheckpointView
from schemas.exchange import CheckpointLine
from schemas.ids import Incarnation, NodeCode
from sync.errors import Refused
from sync.log import Checkpoint, Tile, entry_bundle, log_key, origin, read_tile_path, sign_checkpoint
from sync.merkle import TILE_WIDTH, Hasher, Range, consistency_ranges, from_nodes, root
from sync.roster import Roster

PROOF = "proof"


def make_checkpoint(ctx: Context) -> bool:
    """Sign the log's state where leaves are new since the last time; whether they were."""
    with reading(ctx.engine) as conn:
        inc = living(ctx, conn)
        if inc is None or not _is_due(conn, inc):
            return False
    with write(ctx) as batch:
        return checkpoint(batch)


def checkpoint(batch: Batch) -> bool:
    """As `make_checkpoint`, in an open transaction."""
    batch.flush_rows()
    conn, inc = batch.conn, batch.inc
    if not inc.number or not _is_due(conn, inc):
        return False
    size = rows.size(conn, inc)
    rows.complete(conn, inc, size)
    state = Checkpoint(origin(batch.me, inc), size, root(size, tree(conn, inc)))
    note = sign_checkpoint(state, batch.ctx.identity.signer)
    row = {"inc": inc_text(inc), "size": size, "root": state.root.hex(), "note": note, "at": batch.now}
    conn.execute(insert(checkpoints), row)
    return True


def living(ctx: Context, conn: Connection) -> Incarnation | None:
    """The incarnation whose log is written now; None at a node without one."""
    mine = life.read(conn)
    return mine.inc if mine.live else None


def tree(conn: Connection, inc: Incarnation) -> Hasher:
    """Hashes of this node's log, each tile read once."""
    tiles: dict[tuple[int, int], list[bytes]] = {}

    def node(level: int, index: int) -> bytes:
        at = (level, index // TILE_WIDTH)
        if at not in tiles:
            tiles[at] = rows.hashes(conn, inc, level, at[1] * TILE_WIDTH, (at[1] + 1) * TILE_WIDTH)
        return tiles[at][index % TILE_WIDTH]

    return from_nodes(node)


def hashes_of(conn: Connection, inc: Incarnation, ranges: Iterable[Range]) -> tuple[bytes, ...]:
    """A proof: the hashes of these ranges of this node's log."""
    hasher = tree(conn, inc)
    return tuple(hasher(start, end) for start, end in ranges)


def witnesses(roster: Roster, code: NodeCode) -> tuple[NodeCode, ...]:
    """Whose cosignature counts for a node's log: its parent's; for the root that of any of its children."""
    parent = roster.parent(code)
    return (parent,) if parent is not None else roster.children(code)


def cosigned_size(conn: Connection, roster: Roster, me: NodeCode, inc: Incarnation) -> int:
    """How many leaves of this node's log are under a checkpoint that a witness of it signed."""
    found = rows.cosigned(conn, inc, witnesses(roster, me))
    return int(found[0].size) if found else 0


def last_cosigned(conn: Connection, node: NodeCode, inc: Incarnation) -> tuple[int, str] | None:
    """(size, root) of the last checkpoint of another's log that this node signed: where a grant closes that log."""
    row = rows.witnessed_of(conn, node, inc)
    return (row.size, row.root) if row else None


# ---- what others ask for -----------------------------------------------------------------------------------------


def submission(ctx: Context, conn: Connection, inc: Incarnation, peer: NodeCode) -> CheckpointLine | None:
    """What this neighbour is still to be asked to sign of the log that is written now; None where it has signed the
    latest."""
    latest = rows.latest(conn, inc)
    if latest is None:
        return None
    signed = next(iter(rows.cosigned(conn, inc, (peer,))), None)
    if signed is not None and signed.size == latest.size and signed.said == latest.size:
        return None
    old = min(signed.said, latest.size) if signed is not None else 0
    proof = _proof(ctx, conn, inc, old, latest.size)
    return CheckpointLine(old=old, proof=[item.hex() for item in proof], note=latest.note)


def unsigned(ctx: Context, conn: Connection, peer: NodeCode) -> int:
    """The size of the latest checkpoint if this neighbour has not signed it, else 0."""
    inc = living(ctx, conn)
    latest = rows.latest(conn, inc) if inc else None
    if inc is None or latest is None:
        return 0
    signed = next(iter(rows.cosigned(conn, inc, (peer,))), None)
    return 0 if signed is not None and signed.size >= latest.size else int(latest.size)


def checkpoint_text(ctx: Context) -> str:
    """The latest checkpoint with the cosignatures on it, for auditors. Raises NotFound before the first."""
    with reading(ctx.engine) as conn:
        inc = living(ctx, conn)
        latest = rows.latest(conn, inc) if inc else None
        if inc is None or latest is None:
            raise NotFound("no checkpoint yet")
        signed = [row.line for row in rows.cosigned(conn, inc) if row.size == latest.size]
    return str(latest.note) + "".join(signed[:SIGNERS_SHOWN_MAX])


SIGNERS_SHOWN_MAX = 15
"""With the log's own the sixteen lines that every reader of notes takes."""


def tile_bytes(ctx: Context, path: str) -> bytes:
    """A tile of hashes or entries within the latest checkpoint. Raises NotFound for any other path."""
    try:
        tile = read_tile_path(path)
    except Refused:
        raise NotFound(path) from None
    with reading(ctx.engine) as conn:
        inc = living(ctx, conn)
        latest = rows.latest(conn, inc) if inc else None
        if inc is None or latest is None or tile.start + tile.width > _width(tile, latest.size):
            raise NotFound(path)
        end = tile.start + tile.width
        if tile.level == "entries":
            return entry_bundle([bytes.fromhex(id) for id in rows.leaf_ids(conn, inc, tile.start, end)])
        return b"".join(rows.hashes(conn, inc, tile.level, tile.start, end))


def view(ctx: Context, conn: Connection) -> CheckpointView | None:
    """The latest checkpoint and how far it is witnessed, as `GET /api/v1/node` shows it."""
    inc = living(ctx, conn)
    latest = rows.latest(conn, inc) if inc else None
    if inc is None or latest is None:
        return None
    me = ctx.identity
    name = origin(me.code, inc)
    return CheckpointView(
        log=name,
        size=latest.size,
        root=latest.root,
        at=latest.at,
        witnessed=cosigned_size(conn, rosters.current(ctx, conn), me.code, inc),
        key=str(log_key(name, me.signer.public)),
    )


def _is_due(conn: Connection, inc: Incarnation) -> bool:
    latest = rows.latest(conn, inc)
    return rows.size(conn, inc) > (latest.size if latest else 0)


def _width(tile: Tile, size: int) -> int:
    """How many hashes or entries the level of a tile has in a tree of `size` leaves."""
    return size if tile.level == "entries" else size >> 8 * tile.level


def _proof(ctx: Context, conn: Connection, inc: Incarnation, old: int, new: int) -> tuple[bytes, ...]:
    """A consistency proof; the last one is kept, because all children of a node ask for the same."""
    asked = (inc, old, new)
    kept = ctx.cache.get(PROOF)
    if isinstance(kept, tuple) and kept[0] == asked:
        known: tuple[bytes, ...] = kept[1]
        return known
    found = hashes_of(conn, inc, consistency_ranges(old, new))
    ctx.cache[PROOF] = (asked, found)
    return found
