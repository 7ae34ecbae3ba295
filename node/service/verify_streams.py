"""The part of verify that is not about chains: streams and links, parts, counters, and rows that point nowhere."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, Integer, Select, and_, cast, func, or_, select

from node.context import Context
from node.service import life
from node.service.fold import Findings
from node.store import links as link_rows
from node.store import tables as t
from node.store.codec import inc_text
from node.store.links import Link
from sync.keys import b64
from sync.roster import Roster
from sync.stream import stream_hash, stream_start

OUTBOX_ROWS_AT_ONCE = 2000
PARTS_AT_ONCE = 8
FIRST = 1


def check(ctx: Context, conn: Connection, roster: Roster, findings: Findings) -> None:
    """Note in `findings` what is wrong."""
    _check_self(ctx, conn, roster, findings)
    for link in link_rows.load_all(conn):
        _check_stream(ctx, conn, link, findings)
        _check_received(ctx, conn, link, findings)
    _check_contents(conn, findings)
    _check_numbers(ctx, conn, findings)
    for kind, why, query in _strays():
        for row in conn.execute(query):
            findings.add(kind, " ".join(map(str, row)), why)


def _check_self(ctx: Context, conn: Connection, roster: Roster, findings: Findings) -> None:
    me, mine = ctx.identity, life.read(conn)
    member = roster.get(me.code)
    if member is None and not mine.live:
        return
    fits = member is not None and member.card.key == b64(me.signer.public)
    if member is None or not fits or (mine.live and mine.inc not in member.incs):
        findings.add("node", me.code, "the registry does not name this node with this key and incarnation")
        return
    linked = set(conn.execute(select(t.links.c.peer)).scalars())
    for code in sorted(linked ^ roster.neighbours(me.code)):
        findings.add("link", code, "links and registry name different neighbours")
    if conn.execute(select(t.node.c.parent)).scalar() != member.parent:
        findings.add("node", me.code, "its parent is not the one of the registry")


def _check_stream(ctx: Context, conn: Connection, link: Link, findings: Findings) -> None:
    """Our stream to a neighbour: without a gap, each hash made of the one before."""
    start = stream_start(ctx.identity.code, life.read(conn).stream_inc, link.peer)
    seq, running, acked = 0, start, start if link.acked_seq == 0 else None
    query = select(t.outbox.c.seq, t.outbox.c.statement, t.outbox.c.hash).where(t.outbox.c.peer == link.peer)
    result = conn.execute(query.order_by(t.outbox.c.seq).execution_options(yield_per=OUTBOX_ROWS_AT_ONCE))
    for row in result:
        seq, running = seq + 1, stream_hash(running, row.statement)
        if (row.seq, row.hash) != (seq, running):
            findings.add("outbox", f"to {link.peer} seq {row.seq}", "a gap" if row.seq != seq else "its hash is wrong")
            seq, running = row.seq, row.hash
        if seq == link.acked_seq:
            acked = running
    if (link.sent_seq, link.sent_hash) != (seq, running):
        findings.add("link", link.peer, f"says {link.sent_seq} were sent, the stream ends at {seq} or otherwise")
    if acked != link.acked_hash:
        findings.add("link", link.peer, f"acknowledged at {link.acked_seq}, with another hash than the stream's")


def _check_received(ctx: Context, conn: Connection, link: Link, findings: Findings) -> None:
    """The neighbour's stream is not kept; but it cannot be shorter than what came on it, in their first lives."""
    me_first = life.read(conn).stream_inc.number == FIRST
    start = stream_start(link.peer, link.received_inc, ctx.identity.code)
    if (link.received_seq == 0) != (link.received_hash == start):
        findings.add("link", link.peer, "received nothing, or something, with the hash of the other")
    s = t.statements
    from_join = select(t.registry.c.id).where(t.registry.c.id == s.c.id).exists()
    query = select(func.count()).where(s.c.source == link.peer, ~from_join)
    if link.received_inc.number == FIRST and me_first and conn.execute(query).scalar_one() > link.received_seq:
        findings.add("link", link.peer, f"received {link.received_seq}, but more of its statements are here")
    beyond = select(func.count()).where(
        t.parked.c.peer == link.peer,
        t.parked.c.inc == inc_text(link.received_inc),
        t.parked.c.stream_seq > link.received_seq,
        t.parked.c.state != "ahead",
    )
    if conn.execute(beyond).scalar_one():
        findings.add("link", link.peer, "statements beyond what it received were judged")


def _check_contents(conn: Connection, findings: Findings) -> None:
    """Every part that is here has the digest it is known by."""
    query = select(t.parts).where(t.parts.c.content.is_not(None)).order_by(t.parts.c.digest)
    for row in conn.execute(query.execution_options(yield_per=PARTS_AT_ONCE)):
        if hashlib.sha256(bytes.fromhex(row.salt) + row.content).hexdigest() != row.digest:
            findings.add("part", row.digest, "its content is not what the digest says")


def _strays() -> Sequence[tuple[str, str, Select[tuple[object, ...]]]]:
    """(kind, why, query of the rows that are wrong)."""
    s, refs, parts, wanted = t.statements, t.part_refs, t.parts, t.wanted_parts
    here = refs.join(s, s.c.id == refs.c.statement).outerjoin(parts, parts.c.digest == refs.c.digest)
    asked = select(wanted.c.digest).where(wanted.c.digest == refs.c.digest).exists()
    lost = and_(parts.c.digest.is_(None), or_(s.c.source.is_(None), and_(refs.c.share == "full", ~asked)))
    known = select(refs.c.digest).where(refs.c.digest == parts.c.digest).exists()
    listed = select(t.catalogues.c.digest).where(t.catalogues.c.digest == parts.c.digest).exists()
    listing = select(parts.c.digest).where(parts.c.digest == t.catalogues.c.digest).exists()
    opened = select(t.topics.c.id).where(t.topics.c.id == t.imported.c.topic).exists()
    placed = select(t.topics.c.id).where(t.topics.c.id == t.topic_places.c.topic).exists()
    named = select(refs.c.digest).where(refs.c.digest == wanted.c.digest).exists()
    proof = select(t.statements.c.id).where(t.statements.c.id == t.equivocations.c.kept).exists()
    size = select(refs.c.digest).select_from(here).where(func.length(parts.c.content) != refs.c.size)
    return [
        ("part", "is neither here nor asked for", select(refs.c.digest).select_from(here).where(lost)),
        ("part", "has another size than its reference", size),
        ("part", "belongs to no statement", select(parts.c.digest).where(~known, ~listed)),
        ("list", "its content is not here", select(t.catalogues.c.digest).where(~listing)),
        ("imported", "its topic is not here", select(t.imported.c.mark).where(~opened)),
        ("place", "its topic is not here", select(t.topic_places.c.topic).where(~placed)),
        ("wanted part", "no statement names it", select(wanted.c.digest).where(~named)),
        ("equivocation", "its proof is not here", select(t.equivocations.c.kept).where(~proof)),
    ]


def _check_numbers(ctx: Context, conn: Connection, findings: Findings) -> None:
    """No number that was given can be given again."""
    me, p = ctx.identity.code, t.topics.c
    year = func.substr(p.number, len(me) + 2, 4)
    highest = func.max(cast(func.substr(p.number, len(me) + 7), Integer))
    last = {row.year: row.last for row in conn.execute(select(t.numbers))}
    for given, count in conn.execute(select(year, highest).where(p.origin == me).group_by(year)):
        if count > last.get(int(given), 0):
            findings.add("number", f"{me}-{given}", f"{count} was given, the counter says {last.get(int(given), 0)}")
