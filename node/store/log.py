"""Rows of the log: leaves, the hashes above them, checkpoints, cosignatures, and what is settled."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, union

from node.store.codec import inc_of, inc_text
from node.store.engine import insert_new, upsert
from node.store.log_tables import (
    checkpoints,
    cosignatures,
    leaves,
    log_conflicts,
    log_nodes,
    noticed,
    notices,
    remembered,
    reminders,
    settled,
    witnessed,
)
from node.store.tables import outbox, sent_before, statements
from schemas.ids import Digest, Incarnation, NodeCode
from sync.merkle import TILE_WIDTH, leaf_hash, tile_root

VALUES_AT_ONCE = 500
LEAVES_AT_ONCE = 64 * TILE_WIDTH
"""Of which the hashes above are made at once, when a log is built that has none of them yet."""

_STREAMS = (sent_before, outbox)
"""What went to neighbours: of incarnations before, and of this one."""

_CONFLICT = ("node", "inc", "size", "root")

_SIZE = select(func.coalesce(func.max(leaves.c.idx) + 1, 0)).where(leaves.c.inc == bindparam("inc"))
_LEAVES = (
    select(leaves.c.statement)
    .where(leaves.c.inc == bindparam("inc"), leaves.c.idx >= bindparam("first"), leaves.c.idx < bindparam("last"))
    .order_by(leaves.c.idx)
)
_NODES = (
    select(log_nodes.c.hash)
    .where(
        log_nodes.c.inc == bindparam("inc"),
        log_nodes.c.level == bindparam("level"),
        log_nodes.c.idx >= bindparam("first"),
        log_nodes.c.idx < bindparam("last"),
    )
    .order_by(log_nodes.c.idx)
)
_COSIGNED = (
    select(cosignatures)
    .where(cosignatures.c.inc == bindparam("inc"))
    .order_by(cosignatures.c.size.desc(), cosignatures.c.witness)
)
_COSIGNED_BY = _COSIGNED.where(cosignatures.c.witness.in_(bindparam("witnesses", expanding=True)))
_WITNESSED = select(witnessed).where(witnessed.c.node == bindparam("of"), witnessed.c.inc == bindparam("in"))
_SIGNED = select(witnessed).order_by(witnessed.c.node, witnessed.c.inc)
_REMINDED = select(reminders).where(reminders.c.peer == bindparam("of"))
_SETTLED = select(settled.c.statement).where(settled.c.statement.in_(bindparam("ids", expanding=True)))
_TO_TELL = (
    select(notices.c.id, notices.c.statement, outbox.c.seq)
    .outerjoin(outbox, (outbox.c.peer == notices.c.peer) & (outbox.c.statement == notices.c.statement))
    .where(notices.c.peer == bindparam("to"))
    .order_by(notices.c.id)
    .limit(bindparam("most"))
)
_TOLD = delete(notices).where(notices.c.peer == bindparam("to"), notices.c.id <= bindparam("upto"))
_HEARD = select(noticed).where(noticed.c.peer == bindparam("of"))
_LATEST = select(checkpoints).where(checkpoints.c.inc == bindparam("inc")).order_by(checkpoints.c.size.desc()).limit(1)


def size(conn: Connection, inc: Incarnation) -> int:
    """How many leaves the log of an incarnation has."""
    found: int = conn.execute(_SIZE, {"inc": inc_text(inc)}).scalar_one()
    return found


def leaf_ids(conn: Connection, inc: Incarnation, first: int, last: int) -> list[Digest]:
    """The statements at indexes `first` up to `last`, the latter excluded."""
    where = {"inc": inc_text(inc), "first": first, "last": last}
    return list(conn.execute(_LEAVES, where).scalars())


def leaf_of(conn: Connection, statement: Digest) -> tuple[Incarnation, int] | None:
    """Where a statement of this node's own stands in its log."""
    row = conn.execute(select(leaves.c.inc, leaves.c.idx).where(leaves.c.statement == statement)).first()
    return (inc_of(row.inc), row.idx) if row else None


def hashes(conn: Connection, inc: Incarnation, level: int, first: int, last: int) -> list[bytes]:
    """Hashes of a level of the tree: of leaves at level 0, of complete tiles of the level below above that."""
    if level == 0:
        return [leaf_hash(bytes.fromhex(id)) for id in leaf_ids(conn, inc, first, last)]
    where = {"inc": inc_text(inc), "level": level, "first": first, "last": last}
    return [bytes.fromhex(item) for item in conn.execute(_NODES, where).scalars()]


def complete(conn: Connection, inc: Incarnation, leaf_count: int) -> None:
    """Keep the hash above each tile that has become full, level by level."""
    level, count = 0, leaf_count
    while full := count // TILE_WIDTH:
        query = select(func.coalesce(func.max(log_nodes.c.idx) + 1, 0))
        mine = (log_nodes.c.inc == inc_text(inc), log_nodes.c.level == level + 1)
        done: int = conn.execute(query.where(*mine)).scalar_one()
        for start in range(done * TILE_WIDTH, full * TILE_WIDTH, LEAVES_AT_ONCE):
            end = min(start + LEAVES_AT_ONCE, full * TILE_WIDTH)
            below = hashes(conn, inc, level, start, end)
            rows = [
                {"inc": inc_text(inc), "level": level + 1, "idx": (start + at) // TILE_WIDTH, "hash": above.hex()}
                for at in range(0, len(below), TILE_WIDTH)
                if (above := tile_root(below[at : at + TILE_WIDTH]))
            ]
            conn.execute(insert(log_nodes), rows)
        level, count = level + 1, full


def latest(conn: Connection, inc: Incarnation) -> Any | None:
    """The row of this node's largest checkpoint in an incarnation."""
    return conn.execute(_LATEST, {"inc": inc_text(inc)}).first()


def cosigned(conn: Connection, inc: Incarnation, witnesses: Iterable[NodeCode] | None = None) -> list[Any]:
    """The cosignatures on own checkpoints, the largest first; of these witnesses alone where they are named."""
    if witnesses is None:
        return list(conn.execute(_COSIGNED, {"inc": inc_text(inc)}))
    return list(conn.execute(_COSIGNED_BY, {"inc": inc_text(inc), "witnesses": list(witnesses)}))


def note_at(conn: Connection, inc: Incarnation, at: int) -> Any | None:
    """The row of the own checkpoint of a size."""
    mine = (checkpoints.c.inc == inc_text(inc), checkpoints.c.size == at)
    return conn.execute(select(checkpoints).where(*mine)).first()


def witnessed_of(conn: Connection, node: NodeCode, inc: Incarnation) -> Any | None:
    """The row of the largest checkpoint of another's log that this node signed."""
    return conn.execute(_WITNESSED, {"of": node, "in": inc_text(inc)}).first()


def store_witnessed(conn: Connection, row: dict[str, Any]) -> None:
    upsert(conn, witnessed, [row])


def store_cosignature(conn: Connection, row: dict[str, Any]) -> None:
    upsert(conn, cosignatures, [row])


def keep_conflict(conn: Connection, row: dict[str, Any]) -> bool:
    """Keep two notes of one log that contradict each other; False where that is known already."""
    known = select(log_conflicts.c.at).where(*(log_conflicts.c[name] == row[name] for name in _CONFLICT))
    if conn.execute(known).first() is not None:
        return False
    conn.execute(insert(log_conflicts), row)
    return True


# ---- what neighbours keep of what they signed --------------------------------------------------------------------


def signed_states(conn: Connection) -> list[Any]:
    """Of each log that was ever signed for here, in each of its incarnations, the row of the largest state."""
    return list(conn.execute(_SIGNED))


def reminded(conn: Connection, peer: NodeCode) -> dict[tuple[NodeCode, Incarnation], int]:
    """How large a state of each log this neighbour is known to keep for this node."""
    rows = conn.execute(_REMINDED, {"of": peer})
    return {(row.node, inc_of(row.inc)): row.size for row in rows}


def remind(conn: Connection, peer: NodeCode, node: NodeCode, inc: Incarnation, size: int) -> None:
    upsert(conn, reminders, [{"peer": peer, "node": node, "inc": inc_text(inc), "size": size}])


def forget_reminders(conn: Connection, peer: NodeCode) -> None:
    """A neighbour that lives anew may have lost what it kept."""
    conn.execute(delete(reminders).where(reminders.c.peer == peer))


_REMEMBERED = select(remembered).where(remembered.c.witness == bindparam("by")).order_by(remembered.c.node)


def remembered_for(conn: Connection, witness: NodeCode) -> list[Any]:
    """What this node keeps of what a neighbour signed, by log."""
    return list(conn.execute(_REMEMBERED, {"by": witness}))


def remembered_of(conn: Connection, witness: NodeCode, node: NodeCode) -> Any | None:
    mine = (remembered.c.witness == witness, remembered.c.node == node)
    return conn.execute(select(remembered).where(*mine)).first()


def remember(conn: Connection, row: dict[str, Any]) -> None:
    upsert(conn, remembered, [row])


# ---- what is settled ---------------------------------------------------------------------------------------------


def are_settled(conn: Connection, ids: Iterable[Digest]) -> set[Digest]:
    """Those of the statements that are known to be settled."""
    found: set[Digest] = set()
    for some in _some(list(ids)):
        found.update(conn.execute(_SETTLED, {"ids": some}).scalars())
    return found


def settle(conn: Connection, ids: Sequence[Digest], source: NodeCode | None) -> None:
    """Keep that these are settled, and what is to be told to the neighbours who got them from here."""
    fresh = sorted(set(ids) - are_settled(conn, ids))
    insert_new(conn, settled, [{"statement": id} for id in fresh])
    for some in _some(fresh):
        went = union(
            *(select(table.c.peer, table.c.statement).where(table.c.statement.in_(some)) for table in _STREAMS)
        )
        rows = sorted((row.peer, row.statement) for row in conn.execute(went))
        insert_new(conn, notices, [{"peer": peer, "statement": id} for peer, id in rows if peer != source])


def tell_again(conn: Connection, peer: NodeCode, ids: Sequence[Digest]) -> None:
    """These go to this neighbour now: it is told which of them are settled already."""
    known = are_settled(conn, ids)
    insert_new(conn, notices, [{"peer": peer, "statement": id} for id in ids if id in known])


def tell_all(conn: Connection, peer: NodeCode) -> None:
    """A neighbour that lives anew is told once more of everything it has from here, and of what came from it and was
    given back to it: its backup may not know."""
    went = [
        select(table.c.statement)
        .join(settled, settled.c.statement == table.c.statement)
        .where(table.c.peer == peer)
        .order_by(table.c.seq)
        for table in _STREAMS
    ]
    s = statements.c
    came = select(s.id).join(settled, settled.c.statement == s.id).where(s.source == peer).order_by(s.pos)
    for query in (*went, came):
        for some in _some(conn.execute(query).scalars().all()):
            insert_new(conn, notices, [{"peer": peer, "statement": id} for id in some])


def to_tell(conn: Connection, peer: NodeCode, has: int, most: int) -> list[tuple[int, Digest]]:
    """(id, statement) of what to tell a neighbour that has our stream up to `has`, as far as it has the statements."""
    found: list[tuple[int, Digest]] = []
    for row in conn.execute(_TO_TELL, {"to": peer, "most": most}):
        if row.seq is not None and row.seq > has:
            break
        found.append((row.id, row.statement))
    return found


def told(conn: Connection, peer: NodeCode, upto: int) -> None:
    """A neighbour has taken our notices up to this one."""
    conn.execute(_TOLD, {"to": peer, "upto": upto})


def heard(conn: Connection, peer: NodeCode) -> tuple[Incarnation, int] | None:
    """How far this node has taken a neighbour's notices."""
    row = conn.execute(_HEARD, {"of": peer}).first()
    return (inc_of(row.inc), row.upto) if row else None


def hear(conn: Connection, peer: NodeCode, inc: Incarnation, upto: int) -> None:
    upsert(conn, noticed, [{"peer": peer, "inc": inc_text(inc), "upto": upto}])


def _some(ids: Sequence[Digest]) -> Iterable[Sequence[Digest]]:
    for start in range(0, len(ids), VALUES_AT_ONCE):
        yield ids[start : start + VALUES_AT_ONCE]
