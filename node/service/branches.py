"""The tree of a topic's entries: which of its ends is the chain, and what stands beside it (SPEC 14.6, R8).

A claim may stand beside entries the arbiter did not know, and two arbiters may claim at once. Whoever has the same
entries has the same chain, whatever order they came in: the path to the highest (term, seq). Everything else is an
orphan, kept and passed on like an entry until the custodian disposes of it by name.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, null, select, update

from node.domain.topic import Topic, recall_sent, work
from node.service import forks
from node.store.projections import entry_row, orphan_row, term_text
from node.store.tables import entries, orphans, outbox, remarks, sent_before, statements
from node.store.topics import Working
from schemas.ids import Digest, NodeCode, TopicId
from sync.custody import Chain, evolve
from sync.errors import Held
from sync.sealing import Statement, open_statement, parse

if TYPE_CHECKING:
    from node.service.commit import Batch


@dataclass(frozen=True, slots=True)
class Branch:
    """A path from `opened` to one entry: the statements in order, and the state after the last."""

    path: tuple[Statement, ...]
    chain: Chain
    topic: Topic

    def extended(self, batch: "Batch", statement: Statement) -> "Branch":
        chain = evolve(self.chain, statement, batch.roster)
        return Branch((*self.path, statement), chain, work(self.topic, statement.payload, statement.id))


def take(batch: "Batch", found: Working, statement: Statement, source: NodeCode | None) -> bool:
    """Apply an entry that does not continue the chain; whether the chain is now the path to it.

    Raises Held, Deferred as `evolve` does, and then has changed nothing.
    """
    before, entry = found.chain, statement.payload
    assert before is not None  # noqa: S101 - the caller has a chain
    batch.flush_rows()
    held = forks.path_to(batch, before.topic, statement)
    start = held[0].statement.payload.prev if held else entry.prev
    if start is None or batch.topic_of_entry(start) != before.topic:
        evolve(before, statement, batch.roster)
        raise Held("wrong-position", entry.kind)  # evolve takes nothing that is not after the head
    _check_rival(batch, before.topic, statement)
    branch = branch_to(batch, before.topic, start)
    for one in (*(one.statement for one in held), statement):
        branch = branch.extended(batch, one)
    forks.store(batch, before.topic, held)
    batch.store(statement, source, before.topic)
    new = [*(one.statement for one in held), statement]
    if branch.chain.rank <= before.rank:
        _orphan(batch, found, new, branch.chain.participants, source)
        return False
    _switch(batch, found, branch, source)
    return True


def release(batch: "Batch", found: Working) -> int:
    """A claim ends what two entries of one position had stopped: what is held of it is beside the chain now (R9).

    Gives how many entries that are.
    """
    chain, count = found.chain, 0
    assert chain is not None  # noqa: S101 - just claimed
    for one in forks.held(batch, chain.topic):
        said = one.statement.payload
        if said.term.g >= chain.term.g or said.prev is None or batch.topic_of_entry(said.prev) != chain.topic:
            continue
        batch.flush_rows()
        try:
            branch = branch_to(batch, chain.topic, said.prev).extended(batch, one.statement)
        except Held:
            continue
        forks.store(batch, chain.topic, [one])
        _orphan(batch, found, [one.statement], branch.chain.participants, one.peer)
        count += 1
    return count


def _orphan(
    batch: "Batch", found: Working, new: Sequence[Statement], participants: frozenset[NodeCode], source: NodeCode | None
) -> None:
    for statement in new:
        batch.add("orphans", _with_disposal(batch, found.id, orphan_row(statement, found.id)))
    found.lost, found.dirty = found.lost | participants, True
    _pass_on(batch, found, new, source)


def branch_to(batch: "Batch", topic: TopicId, end: Digest) -> Branch:
    """The branch that ends in an entry that is here, folded again from its bytes."""
    rows = {row.id: row for row in batch.conn.execute(_all_entries(topic)).all()}
    chain = {row.seq: row.id for row in rows.values() if row.prev is None}
    path: list[Digest] = []
    at: Digest | None = end
    while at is not None:
        path.append(at)
        at = rows[at].prev or chain.get(rows[at].seq - 1)
    return _fold(batch, [rows[id].raw for id in reversed(path)])


def disposed(batch: "Batch", statement: Statement) -> None:
    """`adopted` or `set_aside` was applied: the orphan it names is disposed of, if it is here."""
    batch.flush_rows()
    mine = (orphans.c.id == statement.payload.body.orphan, orphans.c.topic == statement.payload.topic)
    batch.conn.execute(update(orphans).where(*mine).values(disposed=statement.payload.kind))


def undisposed(batch: "Batch", topic: TopicId) -> bool:
    """Whether an orphan of the topic is known here that nobody has disposed of."""
    batch.flush_rows()
    query = select(orphans.c.id).where(orphans.c.topic == topic, orphans.c.disposed.is_(None)).limit(1)
    return batch.conn.execute(query).first() is not None


def _all_entries(topic: TopicId) -> Any:
    """Those of the chain have no `prev` here: it is the one with the seq before."""
    here = select(entries.c.id, entries.c.seq, statements.c.raw, null().label("prev"))
    here = here.join(statements, statements.c.id == entries.c.id)
    beside = select(orphans.c.id, orphans.c.seq, statements.c.raw, orphans.c.prev)
    beside = beside.join(statements, statements.c.id == orphans.c.id)
    return here.where(entries.c.topic == topic).union_all(beside.where(orphans.c.topic == topic))


def _fold(batch: "Batch", raws: Sequence[bytes]) -> Branch:
    chain: Chain | None = None
    topic: Topic | None = None
    path = []
    for raw in raws:
        statement = open_statement(parse(raw), batch.roster.keyring)
        chain = evolve(chain, statement, batch.roster)
        topic = work(topic, statement.payload, statement.id)
        path.append(statement)
    assert chain is not None and topic is not None  # noqa: S101 - a path begins with `opened`
    return Branch(tuple(path), chain, topic)


def _check_rival(batch: "Batch", topic: TopicId, statement: Statement) -> None:
    """Two entries of one position are never both taken: of one author that is a proof (R9)."""
    said, term = statement.payload, term_text(statement.payload.term)
    for table in (entries, orphans):
        there = (table.c.topic == topic, table.c.seq == said.seq, table.c.term == term)
        if batch.conn.execute(select(table.c.id).where(*there)).first() is not None:
            raise Held("fork", str(said.seq))


def _switch(batch: "Batch", found: Working, branch: Branch, source: NodeCode | None) -> None:
    """The chain is another path now: rows change places, and everybody concerned hears of both."""
    before = found.chain
    assert before is not None  # noqa: S101 - the caller has a chain
    batch.flush_rows()
    now_chain = {statement.id: statement for statement in branch.path}
    old = batch.conn.execute(
        select(entries.c.id, statements.c.raw)
        .join(statements, statements.c.id == entries.c.id)
        .where(entries.c.topic == found.id)
        .order_by(entries.c.seq)
    ).all()
    left = [open_statement(parse(row.raw), batch.roster.keyring) for row in old if row.id not in now_chain]
    kept = {row.id for row in old} & now_chain.keys()
    batch.conn.execute(delete(entries).where(entries.c.topic == found.id, entries.c.id.not_in(kept)))
    batch.conn.execute(delete(orphans).where(orphans.c.id.in_(now_chain)))
    batch.conn.execute(insert(entries), [entry_row(s, found.id) for s in branch.path if s.id not in kept])
    found.chain, found.topic, found.dirty = branch.chain, _recalled(batch, branch), True
    for statement in left:
        batch.add("orphans", _with_disposal(batch, found.id, orphan_row(statement, found.id)))
    batch.flush_rows()
    _settle_disposals(batch, found.id, branch.path)
    found.lost = _lost(batch, found.id)
    batch.audit("branch", found.id, "alarm" if left else "done", orphaned=len(left), head=branch.chain.head)
    # What is left had been passed on when it was the chain, to all that took part by it.
    _pass_on(batch, found, [s for s in branch.path if s.id not in kept], source)


def _lost(batch: "Batch", topic: TopicId) -> frozenset[NodeCode]:
    """The participants of every branch beside the chain."""
    found: frozenset[NodeCode] = frozenset()
    for id in batch.conn.execute(select(orphans.c.id).where(orphans.c.topic == topic)).scalars().all():
        found |= branch_to(batch, topic, id).chain.participants
    return found


def _recalled(batch: "Batch", branch: Branch) -> Topic:
    """The work of the branch with its open offer marked as asked back, where it was."""
    offer = branch.chain.offer
    if offer is None:
        return branch.topic
    query = select(statements.c.raw).join(remarks, remarks.c.id == statements.c.id)
    said = query.where(remarks.c.entry == offer.id, remarks.c.kind == "recalled", remarks.c.author == offer.by)
    topic = branch.topic
    for raw in batch.conn.execute(said.order_by(statements.c.pos)).scalars().all():
        topic = recall_sent(topic, offer.id, open_statement(parse(raw), batch.roster.keyring).payload.at)
    return topic


def _with_disposal(batch: "Batch", topic: TopicId, row: dict[str, Any]) -> dict[str, Any]:
    """An orphan may come after the entry that disposes of it."""
    query = select(statements.c.raw, entries.c.kind).join(entries, entries.c.id == statements.c.id)
    mine = (entries.c.topic == topic, entries.c.kind.in_(("adopted", "set_aside")))
    for raw, kind in batch.conn.execute(query.where(*mine)).all():
        if open_statement(parse(raw), batch.roster.keyring).payload.body.orphan == row["id"]:
            return {**row, "disposed": kind}
    return row


def _settle_disposals(batch: "Batch", topic: TopicId, path: Iterable[Statement]) -> None:
    """What was disposed of by an entry that is itself an orphan now, is not; only the chain disposes."""
    batch.conn.execute(update(orphans).where(orphans.c.topic == topic).values(disposed=None))
    for statement in path:
        if statement.payload.kind in ("adopted", "set_aside"):
            disposed(batch, statement)


def _pass_on(batch: "Batch", found: Working, new: Sequence[Statement], source: NodeCode | None) -> None:
    """To every neighbour that takes part, or took part on a lost branch, what it was not sent yet.

    `source` sent the last of `new`, not what this node held against it.
    """
    if batch.me not in found.concerned:
        return
    for peer in sorted(batch.roster.neighbours(batch.me) & found.concerned):
        had = _had_by(batch, peer, [statement.id for statement in new])
        known = set(batch.conn.execute(_sent(peer, [found.id])).scalars())
        if not known and not _came_from(batch, found.id, peer):
            batch.introduce(peer, found.id)
            continue
        for statement in new:
            if statement.id not in had and not (peer == source and statement is new[-1]):
                batch.enqueue(peer, statement.id)


def _had_by(batch: "Batch", peer: NodeCode, ids: Sequence[Digest]) -> set[Digest]:
    came = select(statements.c.id).where(statements.c.id.in_(ids), statements.c.source == peer)
    return {*batch.conn.execute(came).scalars(), *batch.conn.execute(_sent(peer, ids)).scalars()}


def _came_from(batch: "Batch", topic: TopicId, peer: NodeCode) -> bool:
    query = select(statements.c.source).where(statements.c.id == topic)
    return batch.conn.execute(query).scalar() == peer


def _sent(peer: NodeCode, ids: Sequence[Digest]) -> Any:
    now = select(outbox.c.statement).where(outbox.c.peer == peer, outbox.c.statement.in_(ids))
    before = select(sent_before.c.statement).where(sent_before.c.peer == peer, sent_before.c.statement.in_(ids))
    return now.union_all(before)


_TOPIC_OF = [select(table.c.topic).where(table.c.id == bindparam("id")) for table in (entries, orphans)]


def topic_of(batch: "Batch", identity: Digest) -> TopicId | None:
    """The topic an entry that is here belongs to, on the chain or beside it."""
    for query in _TOPIC_OF:
        topic: TopicId | None = batch.conn.execute(query, {"id": identity}).scalar()
        if topic is not None:
            return topic
    return None
