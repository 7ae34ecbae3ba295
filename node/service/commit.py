"""The only writer: one durable transaction in which statements are authored or received, applied, and passed on.

`write(ctx)` opens the transaction and gives a Batch. `Batch.apply` is the one function that changes state, for what
this node writes and for what neighbours sent alike: custody and work are evolved in memory, and one flush writes the
statements, their projections, the outbox positions and the audit rows together (R14). A crash before the commit
leaves nothing; after it, everything. Nothing here touches the network.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, insert, select, update

from node.clock import instant
from node.context import Context
from node.domain.refusals import Healing, NotFound, NotJoined, NotMet, StorageFull
from node.domain.topic import work
from node.service import branches, life, react
from node.service.lists import LISTS, Lists, areas_above, in_force
from node.service.roster import ROSTER, Flags, current, read_flags
from node.service.rows import RowWork, settle, take
from node.store import audit as audit_rows
from node.store import links as link_rows
from node.store import log as log_rows
from node.store import topics as topic_rows
from node.store.aggregation import summaries
from node.store.codec import inc_of, inc_text
from node.store.engine import insert_new, writing
from node.store.links import Link
from node.store.log_tables import leaves
from node.store.projections import entry_row, part_rows, registry_row, remark_row, summary_row
from node.store.tables import (
    entries,
    equivocations,
    orphans,
    outbox,
    parked,
    part_refs,
    parts,
    registry,
    remarks,
    statements,
    topics,
    wanted_parts,
)
from node.store.topics import Surroundings, Working
from schemas import entry as bodies
from schemas.ids import Digest, Incarnation, NodeCode, TopicId
from schemas.registry import Enrolled, Granted
from schemas.statement import Entry, Frozen, PartRef, Remark, Share, Summary
from sync.chain import extend, header
from sync.custody import Chain, OpenOffer, check_offer, check_opened, evolve
from sync.errors import Deferred, Held
from sync.roster import enrol
from sync.sealing import ENTRY, REGISTRY, REMARK, SUMMARY, Statement, author

_INTO = {
    table.name: insert(table)
    for table in (statements, leaves, entries, orphans, remarks, registry, summaries, part_refs, outbox)
}
"""In the order in which one needs the other."""
_PROVEN = select(equivocations.c.author, equivocations.c.inc)
_KNOWN = select(statements.c.id).where(statements.c.id.in_(bindparam("ids", expanding=True)))
_OF: BindParameter[Any] = bindparam("of")
_WHOLE_TOPIC = (
    select(entries.c.id).where(entries.c.topic == _OF).order_by(entries.c.seq),
    select(orphans.c.id).where(orphans.c.topic == _OF).order_by(orphans.c.seq, orphans.c.id),
    select(remarks.c.id)
    .join(statements, statements.c.id == remarks.c.id)
    .where(remarks.c.topic == _OF)
    .order_by(statements.c.pos),
    select(parked.c.statement)
    .where(parked.c.topic == _OF, parked.c.relayed, parked.c.state.in_(("held", "deferred")))
    .order_by(parked.c.id),
)
"""All there is of a topic, in the order in which it goes to who is new to it."""
_DECLINES = select(remarks.c.id).where(
    remarks.c.entry == bindparam("offer"),
    remarks.c.kind == "declined",
    remarks.c.author == bindparam("to"),
    remarks.c.inc == bindparam("to_inc"),
)


@contextmanager
def write(ctx: Context) -> Iterator["Batch"]:
    """The node's write transaction; committed and announced at the end, undone by any exception.

    Raises StorageFull before anything is signed when the disk is nearly full.
    """
    if shutil.disk_usage(ctx.settings.data).free < ctx.settings.disk_reserve_bytes:
        raise StorageFull
    try:
        with writing(ctx.engine) as conn:
            batch = Batch(ctx, conn)
            yield batch
            batch.flush()
    except BaseException:
        ctx.cache.pop(ROSTER, None)
        ctx.cache.pop(LISTS, None)
        raise
    ctx.signal.notify(batch.addressed)


class Batch:
    """The working set of one transaction. `actor` is who the audit rows name."""

    def __init__(self, ctx: Context, conn: Connection) -> None:
        self.ctx = ctx
        self.conn = conn
        self.now = ctx.clock.now()
        self.at = instant(self.now)
        self.me: NodeCode = ctx.identity.code
        self.actor = "job"
        self.flags: Flags = read_flags(conn)
        self.inc: Incarnation = self.flags.inc
        self.roster = current(ctx, conn, self.flags.registry)
        self._frozen = self._load_frozen() if self.flags.equivocations else frozenset()
        self._topics: dict[TopicId, Working] = {}
        self._links: dict[NodeCode, Link | None] = {}
        self.fresh: dict[Digest, Statement] = {}
        self._chains: dict[TopicId, list[Digest]] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self.rows = RowWork()
        self._relayed: set[Digest] = set()
        self._waited: set[Digest] = set()
        self._addressed: set[NodeCode] = set()
        self._lists: Lists | None = None
        self._log_size: int | None = None

    # ---- reading ------------------------------------------------------------------------------------------------

    def prefetch(self, ids: Iterable[TopicId]) -> None:
        """Load many topics in one query; those that are not here get an empty working copy."""
        missing = [id for id in ids if id not in self._topics]
        self._topics.update({id: Working(id) for id in missing} | topic_rows.load(self.conn, missing))

    def working(self, topic: TopicId) -> Working:
        """The topic's working copy; empty when it is not here."""
        if topic not in self._topics:
            self.prefetch([topic])
        return self._topics[topic]

    def held(self, topic: TopicId) -> Working:
        """The working copy of a topic this node takes part in. Raises NotFound."""
        found = self.working(topic)
        if found.chain is None or self.me not in found.chain.participants:
            raise NotFound(topic)
        return found

    def link(self, peer: NodeCode) -> Link | None:
        if peer not in self._links:
            self._links[peer] = link_rows.load(self.conn, peer)
        return self._links[peer]

    def forget_link(self, peer: NodeCode) -> None:
        """The link's row was written elsewhere in this transaction; read it again when it is needed."""
        self._links.pop(peer, None)

    def known(self, ids: Iterable[Digest]) -> set[Digest]:
        """Those of the identities that are stored or applied in this transaction."""
        wanted = list(ids)
        found = {id for id in wanted if id in self.fresh}
        for start in range(0, len(wanted), 500):
            found.update(self.conn.execute(_KNOWN, {"ids": wanted[start : start + 500]}).scalars())
        return found

    @property
    def lists(self) -> Lists:
        """The code lists in force, looked up once a transaction."""
        if self._lists is None:
            self._lists = in_force(self.ctx, self.conn)
        return self._lists

    def lists_changed(self) -> None:
        """A version of a list was added in this transaction."""
        self._lists = None
        self.ctx.cache.pop(LISTS, None)

    def frozen(self, chain: Chain) -> bool:
        return (chain.custodian, chain.inc) in self._frozen

    # ---- writing one's own --------------------------------------------------------------------------------------

    def entry(self, topic: TopicId | None, kind: str, body: Frozen, parts: Sequence[PartRef] = ()) -> Statement:
        """Write the next entry of a topic (None: a new one). Raises Held where the custody rules forbid it."""
        self.check_live()
        chain = self.working(topic).chain if topic is not None else None
        rank = self.roster.members[self.me].tier.rank
        payload = extend(chain, header(self.me, self.inc, self.at), kind, body, parts, rank)
        statement = author(payload, ENTRY, self.ctx.identity.signer, self.me)
        self.apply(statement, None)
        return statement

    def remark(self, topic: TopicId, entry: Digest, kind: str, body: Frozen) -> Statement:
        """Say something beside a chain, about one of its entries."""
        self.check_live()
        payload = {
            **header(self.me, self.inc, self.at),
            "topic": topic,
            "entry": entry,
            "kind": kind,
            "body": body.model_dump(mode="json"),
            "parts": [],
        }
        statement = author(payload, REMARK, self.ctx.identity.signer, self.me)
        if not self.known([statement.id]):  # the same words at the same instant are one statement
            self.apply(statement, None)
        return statement

    def summarise(self, kind: str, seq: int, body: Frozen, parts: Sequence[PartRef] = ()) -> Statement:
        """Seal the `seq`-th summary of this incarnation for the tiers above."""
        self.check_live()
        payload = {
            **header(self.me, self.inc, self.at),
            "seq": seq,
            "kind": kind,
            "body": body.model_dump(mode="json"),
            "parts": [part.model_dump(mode="json") for part in parts],
        }
        statement = author(payload, SUMMARY, self.ctx.identity.signer, self.me)
        self.apply(statement, None)
        return statement

    def register(self, kind: str, body: Frozen, parts: Sequence[PartRef] = ()) -> Statement:
        """Write the next entry of this node's registry chain."""
        head = self.roster.heads.get((self.me, self.inc))
        payload = {
            **header(self.me, self.inc, self.at),
            "seq": head.seq + 1 if head else 0,
            "prev": head.id if head else None,
            "kind": kind,
            "body": body.model_dump(mode="json"),
            "parts": [part.model_dump(mode="json") for part in parts],
        }
        statement = author(payload, REGISTRY, self.ctx.identity.signer, self.me)
        self.apply(statement, None)
        return statement

    def part(self, name: str, content: bytes, media: str, share: Share) -> PartRef:
        """Store content beside the chain; the reference goes into an entry's `parts`."""
        salt = self.ctx.clock.token(16)
        digest = hashlib.sha256(bytes.fromhex(salt) + content).hexdigest()
        self.add("parts", {"digest": digest, "salt": salt, "content": content, "at": self.now})
        return PartRef(name=name, digest=digest, size=len(content), media=media, share=share)

    def audit(self, action: str, topic: TopicId | None, result: str = "done", **detail: Any) -> None:
        """One row for one state change; never a citizen's text, a name or a key in `detail`."""
        row = {"at": self.now, "actor": self.actor, "action": action, "topic": topic, "result": result}
        self.add("audit", {**row, "detail": detail or None})

    @property
    def live(self) -> bool:
        """Whether anything may be signed now."""
        return self.inc.number > 0 and self._met

    def check_live(self) -> None:
        """Raises Healing while no incarnation was granted, or where the parent is to be met after each start and was
        not: then nothing new may be signed (R10)."""
        if self.inc.number == 0:
            raise NotJoined if self.roster.get(self.me) is None else Healing
        if not self._met:
            raise NotMet

    @property
    def _met(self) -> bool:
        return not self.ctx.settings.sign_after_contact or life.met(self.conn)

    # ---- applying -----------------------------------------------------------------------------------------------

    def apply(self, statement: Statement, source: NodeCode | None, relayed: bool = False, waited: bool = False) -> None:
        """Make a verified statement part of this node's state and pass it on. `source` is the neighbour it came from.

        `relayed`: it was stored and passed on before it could be read. `waited`: it was verified and kept before, in an
        earlier transaction or this one. Raises Deferred or Held and then has changed nothing.
        """
        if relayed:
            self._relayed.add(statement.id)
        if waited:
            self._waited.add(statement.id)
        if statement.typ == ENTRY:
            self._apply_entry(statement, source)
        elif statement.typ == REMARK:
            self._apply_remark(statement, source)
        elif statement.typ == SUMMARY:
            self._apply_summary(statement, source)
        else:
            self._apply_registry(statement, source)

    def _apply_entry(self, statement: Statement, source: NodeCode | None) -> None:
        entry: Entry[Any] = statement.payload
        self._check_key(statement, source)
        found = self.working(entry.topic or statement.id)
        before = found.chain
        if before is not None and entry.kind != "opened" and entry.prev != before.head:
            if not branches.take(self, found, statement, source):
                return
        else:
            after = evolve(before, statement, self.roster)
            self._check_new(before, statement, after)
            found.chain, found.topic, found.dirty = after, work(found.topic, entry, statement.id), True
            self.store(statement, source, after.topic)
            self.add("entries", entry_row(statement, after.topic))
            self._pass_on(before, after, statement.id, source)
        self._chains.setdefault(found.id, []).append(statement.id)
        if entry.kind in ("adopted", "set_aside"):
            branches.disposed(self, statement)
        elif entry.kind == "claimed":
            branches.release(self, found)
        react.to_entry(self, found, statement, source)

    def _check_key(self, statement: Statement, source: NodeCode | None) -> None:
        """Each incarnation has one key; another one of the same node signs nothing in its name (SPEC 14.4, 14.7).

        What is signed with a revoked key is taken only from the neighbour on the way to who revoked it: nobody there
        has taken anything new under it. Who that is says the tree: a node that was set back has the revocation from
        anybody. A node that heals takes back from all neighbours what it had taken before the key was revoked.
        """
        member = self.roster.get(statement.payload.author)
        kid = member.kid_of(statement.payload.inc) if member else None
        if kid is not None and kid != statement.kid:
            raise Held("forged-author", statement.kid)
        new = statement.id not in self._waited and self.inc.number
        if new and member is not None and statement.kid in member.revoked:
            revoker = self.roster.towards(self.me, member.parent or member.card.code)
            if source is None or source != revoker:
                raise Held("revoked-key", statement.kid)

    def _check_new(self, before: Chain | None, statement: Statement, after: Chain) -> None:
        """What is asked of an entry when it is new here, beyond what makes a chain valid for ever."""
        body = statement.payload.body
        if before is not None and self.frozen(before) and not isinstance(body, bodies.Claimed):
            raise Held("frozen", before.custodian)
        if isinstance(body, bodies.Opened):
            check_opened(body, statement.payload.author, self.roster)
        elif isinstance(body, bodies.Offered) and before is not None:
            check_offer(before, body, self.roster)
        elif isinstance(body, bodies.Accepted) and before and before.offer and self.declined(before.offer):
            raise Held("equivocation", body.offer)

    def _apply_remark(self, statement: Statement, source: NodeCode | None) -> None:
        remark: Remark[Any] = statement.payload
        self._check_key(statement, source)
        found = self.working(remark.topic)
        if found.chain is None or not self._has_entry(remark.topic, remark.entry):
            raise Deferred("unknown-entry", remark.entry)
        if not statement.known:
            raise Held("unknown-kind", remark.kind)
        if remark.author not in found.concerned:
            raise Deferred("not-a-participant", remark.author)
        if remark.inc not in self.roster.members[remark.author].incs:
            raise Deferred("unknown-key", remark.author)
        if remark.kind == "declined" and self._accepted_by(remark):
            raise Held("equivocation", remark.entry)
        self.store(statement, source, remark.topic)
        self.add("remarks", remark_row(statement, self.now))
        self._pass_on(found.chain, found.chain, statement.id, source)
        self.rows.touched.add(remark.topic)
        react.to_remark(self, found, statement)

    def _apply_registry(self, statement: Statement, source: NodeCode | None) -> None:
        if statement.typ == REGISTRY and self.roster.anchor is not None:
            self._check_key(statement, source)
        roster = enrol(self.roster, statement)
        self.roster = roster
        self.flags = replace(self.flags, registry=self.flags.registry + 1)
        self.ctx.cache.pop(ROSTER, None)
        self.store(statement, source, None)
        self.add("registry", registry_row(statement))
        if isinstance(statement.payload.body, Granted):
            life.granted(self, statement.payload.body)
        for peer in sorted(roster.neighbours(self.me)):
            if peer != source:
                self.enqueue(peer, statement.id)
        if isinstance(statement.payload.body, Enrolled):
            life.enrolled(self, statement.payload.author, statement.payload.body)

    def _apply_summary(self, statement: Statement, source: NodeCode | None) -> None:
        said: Summary[Any] = statement.payload
        self._check_key(statement, source)
        if said.inc not in self.roster.members[said.author].incs:
            raise Deferred("unknown-key", said.author)
        if source is not None and not self._is_from_below(said.author, source):
            raise Held("not-below", said.author)
        if not statement.known:
            raise Held("unknown-kind", said.kind)
        take(self, statement)
        self.store(statement, source, None)
        self.add("summaries", summary_row(statement, self.now))
        self._pass_up(statement.id, source)

    def _is_from_below(self, author: NodeCode, source: NodeCode) -> bool:
        """Whether a summary comes up the branch its author stands on."""
        below = author == source or self.roster.is_below(author, source)
        return below and self.roster.parent(source) == self.me

    def _pass_up(self, identity: Digest, source: NodeCode | None) -> None:
        parent = self.roster.parent(self.me)
        if parent is not None and parent != source and identity not in self._relayed:
            self.enqueue(parent, identity)

    @property
    def addressed(self) -> frozenset[NodeCode]:
        """The neighbours something was queued for, or who have something to fetch here."""
        return frozenset(self._addressed)

    # ---- passing on ---------------------------------------------------------------------------------------------

    def enqueue(self, peer: NodeCode, identity: Digest) -> None:
        """Put a statement on our stream to a neighbour, at the next position, in this transaction."""
        link = self.link(peer)
        if link is None:
            return
        seq, running = link.send(identity)
        self._addressed.add(peer)
        self.add("outbox", {"peer": peer, "seq": seq, "statement": identity, "hash": running, "at": self.now})

    def relay(self, statement: Statement, source: NodeCode) -> bool:
        """Store and pass on what cannot be applied here (yet), as it is (R16); whether its topic is known here."""
        if statement.typ == SUMMARY:
            self.store(statement, source, None)
            self._pass_up(statement.id, source)
            return True
        topic = getattr(statement.payload, "topic", None)
        found = self.working(topic) if topic else None
        if found is None or not {self.me, statement.payload.author} <= found.concerned:
            return False
        self.store(statement, source, found.id)
        for peer in sorted((self.roster.neighbours(self.me) & found.concerned) - {source}):
            self.enqueue(peer, statement.id)
        return True

    def _pass_on(self, before: Chain | None, after: Chain, identity: Digest, source: NodeCode | None) -> None:
        found = self.working(after.topic)
        if self.me not in found.concerned:
            return
        targets = (self.roster.neighbours(self.me) & found.concerned) - {source}
        for peer in sorted(targets):
            if before is None or {self.me, peer} <= before.participants | (found.lost - after.participants):
                if identity not in self._relayed:
                    self.enqueue(peer, identity)
            else:
                self.introduce(peer, after.topic)
        if before is not None and source in after.participants - before.participants:
            self.introduce(source, after.topic, but=identity)  # it comes back from a life that told more of the topic

    def introduce(self, peer: NodeCode, topic: TopicId, but: Digest = "") -> None:
        """Queue the whole chain and what stands beside it, without `but`, for a new participant among the neighbours.

        What was passed on unread belongs to that (R16), and everything goes in the order it came here.
        """
        self.flush_rows()
        for query in _WHOLE_TOPIC:
            found = [identity for identity in self.conn.execute(query, {"of": topic}).scalars() if identity != but]
            for identity in found:
                self.enqueue(peer, identity)
            log_rows.tell_again(self.conn, peer, found)

    # ---- storing ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write everything that is still in memory. May be called more than once in a transaction."""
        self.flush_rows()
        changed = [found for found in self._topics.values() if found.dirty]
        if changed:
            around = Surroundings(self.me, self.now, self.frozen, lambda code: areas_above(self.lists, code))
            topic_rows.store(self.conn, changed, around)
            for found in changed:
                found.dirty = False
                found.areas_stored = found.topic.areas if found.topic else None
                self.rows.touched.add(found.id)
        settle(self)
        for link in self._links.values():
            if link is not None and link.dirty:
                link_rows.store(self.conn, link)
                link.dirty = False

    def flush_rows(self) -> None:
        for name, into in _INTO.items():
            if rows := self._rows.pop(name, None):
                self.conn.execute(into, rows)
        if rows := self._rows.pop("audit", None):
            audit_rows.append(self.conn, self.ctx.identity.signer, rows)
        for table in (parts, wanted_parts, equivocations):
            if rows := self._rows.pop(table.name, None):
                insert_new(self.conn, table, rows)

    def equivocation(self, kept: Digest, other: Digest, chain: Chain | None, who: NodeCode, inc: Incarnation) -> None:
        """Record the proof that a node signed two things for one position, and freeze what it holds (R9)."""
        topic = chain.topic if chain else None
        row = {"kept": kept, "other": other, "author": who, "inc": inc_text(inc), "topic": topic, "at": self.now}
        self.add("equivocations", row)
        self._frozen = self._frozen | {(who, inc)}
        self.flush()
        still = topics.c.status.in_(("active", "offered"))
        held = (topics.c.custodian == who, topics.c.inc == inc_text(inc), still)
        self.rows.touched.update(self.conn.execute(select(topics.c.id).where(*held)).scalars())
        self.conn.execute(update(topics).where(*held).values(status="frozen"))
        self.audit("equivocation", topic, "alarm", author=who)

    def note_deferred(self) -> None:
        """Something was parked in this transaction: later statements may open it."""
        self.flags = replace(self.flags, deferred=self.flags.deferred + 1)

    def topic_of_entry(self, identity: Digest) -> TopicId | None:
        for topic, ids in self._chains.items():
            if identity in ids:
                return topic
        beside = self._rows.get(orphans.name, ())
        return next((row["topic"] for row in beside if row["id"] == identity), None) or branches.topic_of(
            self, identity
        )

    def text_arrived(self, topic: TopicId, content: str) -> None:
        found = self.working(topic)
        if found.chain is not None:
            found.text, found.dirty = content, True

    def store(
        self, statement: Statement, source: NodeCode | None, topic: TopicId | None, relayed: bool = False
    ) -> None:
        self.fresh[statement.id] = statement
        if relayed or statement.id in self._relayed:
            return
        row = {"id": statement.id, "raw": statement.raw, "typ": statement.typ, "author": statement.payload.author}
        self.add("statements", {**row, "at": self.now, "source": source})
        if source is None:
            self._add_leaf(statement)
        for ref, part_row in zip(statement.payload.parts, part_rows(statement, topic), strict=True):
            self.add("part_refs", part_row)
            if source is not None and ref.share == "full":
                want = {"peer": source, "digest": ref.digest, "size": ref.size, "salt": None, "got": 0}
                self.add("wanted_parts", want)

    def _add_leaf(self, statement: Statement) -> None:
        """The next leaf of this node's own log; what stands above leaves is made with a checkpoint (SPEC 15)."""
        if self._log_size is None:
            self._log_size = log_rows.size(self.conn, self.inc)
        row = {"inc": inc_text(self.inc), "idx": self._log_size, "statement": statement.id}
        self.add("leaves", row)
        self._log_size += 1

    def add(self, table: str, row: dict[str, Any]) -> None:
        self._rows.setdefault(table, []).append(row)

    def _has_entry(self, topic: TopicId, identity: Digest) -> bool:
        chain = self.working(topic).chain
        if chain is not None and identity in (chain.head, chain.topic):
            return True
        return self.topic_of_entry(identity) == topic

    def declined(self, offer: OpenOffer) -> bool:
        """Whether the node that is offered the topic has declined this offer; what others say of it is no answer."""
        answer = ("declined", offer.id, offer.to, offer.to_inc)
        fresh = (item.payload for item in self.fresh.values() if item.typ == REMARK)
        if any((said.kind, said.entry, said.author, said.inc) == answer for said in fresh):
            return True
        asked = {"offer": offer.id, "to": offer.to, "to_inc": inc_text(offer.to_inc)}
        return self.conn.execute(_DECLINES, asked).first() is not None

    def _accepted_by(self, declined: Remark[Any]) -> bool:
        """Whether the author of this decline has accepted the same offer."""
        chain = self.working(declined.topic).chain
        if chain is not None and chain.offer is not None and chain.offer.id == declined.entry:
            return False
        self.flush_rows()
        offer = select(entries.c.seq).where(entries.c.id == declined.entry).scalar_subquery()
        query = select(entries.c.id).where(
            entries.c.topic == declined.topic,
            entries.c.seq == offer + 1,
            entries.c.kind == "accepted",
            entries.c.author == declined.author,
        )
        return self.conn.execute(query).first() is not None

    def _load_frozen(self) -> frozenset[tuple[NodeCode, Incarnation]]:
        rows = self.conn.execute(_PROVEN)
        return frozenset((row.author, inc_of(row.inc)) for row in rows)
