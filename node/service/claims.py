"""Claims: an arbiter takes a topic whose holder is gone, and offers it on (R6, R7, R11; SPEC 14.5).

What an incarnation that is over held is claimed and offered back by itself. What a node holds that will not come back
is claimed by two persons, with a reason, after everybody was asked for the best head they know.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, or_, select, update

from node.context import Context
from node.domain.refusals import AlreadyDecided, Invalid, NotADescendant, NotFound, OwnClaim, Refusal
from node.service import life
from node.service.commit import Batch, write
from node.service.paging import cursor_after, read_cursor
from node.service.retry import retry_topic
from node.service.roster import current
from node.service.verb import custody_rules
from node.store import tables as t
from node.store.codec import inc_text
from node.store.engine import reading
from node.store.topics import Working
from schemas import entry as bodies
from schemas import remark as beside
from schemas.api import ClaimForm, ClaimPage, ClaimView
from schemas.entry import Offered
from schemas.ids import NodeCode, TopicId
from schemas.statement import Remark
from sync.custody import Chain, OpenOffer, dead, needs_claim_by
from sync.errors import SyncError
from sync.roster import Roster
from sync.sealing import open_statement, parse

RECLAIM_AT_ONCE = 100
"""Topics claimed in one transaction, so that others get their turn in between."""
OVER = "incarnation over"
"""The reason of a claim no person asked for; signed as it stands, and said by the pages in the reader's words."""
NEEDS, ASKING, DONE, REFUSED = "needs_approval", "asking", "done", "refused"


def reclaim(ctx: Context) -> int:
    """Claim what this node has to because an incarnation is over, and offer it back; how many topics."""
    with reading(ctx.engine) as conn:
        roster = current(ctx, conn)
        if not life.read(conn).live:
            return 0
        wanted = _held_by_the_dead(conn, roster, ctx.identity.code)
    for start in range(0, len(wanted), RECLAIM_AT_ONCE):
        with write(ctx) as batch:
            for id in wanted[start : start + RECLAIM_AT_ONCE]:
                _reclaim_one(batch, id)
    return len(wanted)


def request(batch: Batch, form: ClaimForm) -> ClaimView:
    """Ask for a claim; a second account has to approve it. Raises Invalid, NotFound, NotADescendant."""
    batch.check_live()
    topics = _wanted(batch, form)
    if form.to is not None:
        member = batch.roster.get(form.to)
        if member is None or not batch.roster.is_below(form.to, batch.me):
            raise NotADescendant(form.to)
        if form.to == form.node:
            raise Invalid("to", "this is the node they are taken from", rule="same_node")
    if not topics and form.node == batch.me:
        raise Invalid("node", "this is the node itself, and nothing it holds needs a claim", rule="own_node")
    if not topics:
        raise Invalid("node", f"{form.node} holds nothing that could be claimed here", rule="nothing_to_claim")
    id = batch.ctx.clock.token(16)
    row = {"id": id, "node": form.node, "topics": topics, "to": form.to, "reason": form.reason}
    batch.conn.execute(insert(t.claims).values({**row, "asked_by": batch.actor, "state": NEEDS, "at": batch.now}))
    batch.audit("claim", None, claim=id, topics=len(topics), node=form.node)
    return show(batch.conn, id)


def approve(batch: Batch, id: str) -> ClaimView:
    """The second person's yes: everybody is asked now, and the claim follows. Raises NotFound, OwnClaim."""
    batch.check_live()
    row = _row(batch.conn, id)
    if row.state != NEEDS:
        raise AlreadyDecided(row.state)
    if row.asked_by == batch.actor:
        raise OwnClaim
    for topic in row.topics:
        chain = batch.working(topic).chain
        if chain is not None:
            batch.remark(topic, chain.head, "asked", beside.Asked(claim=id))
    until = batch.now + timedelta(seconds=batch.ctx.settings.claim_ask_s)
    _set(batch, id, {"approved_by": batch.actor, "state": ASKING, "ask_until": until})
    batch.audit("approve-claim", None, claim=id)
    return show(batch.conn, id)


def refuse(batch: Batch, id: str, why: str) -> ClaimView:
    """A claim nobody should make after all."""
    if _row(batch.conn, id).state != NEEDS:
        raise AlreadyDecided(id)
    _set(batch, id, {"state": REFUSED, "detail": why})
    batch.audit("refuse-claim", None, claim=id)
    return show(batch.conn, id)


_WAITING = select(t.claims.c.id).where(t.claims.c.state == ASKING)


def proceed(ctx: Context) -> int:
    """Make the claims that everybody has answered, or that have waited long enough; how many."""
    with reading(ctx.engine) as conn:
        if not life.read(conn).live:
            return 0
        ids = conn.execute(_WAITING).scalars().all()
    return sum(_proceed_one(ctx, id) for id in ids)


def show(conn: Connection, id: str) -> ClaimView:
    """Raises NotFound."""
    return _view(_row(conn, id))


def listed(ctx: Context, cursor: str | None, limit: int) -> ClaimPage:
    """Newest first. Raises BadCursor."""
    key = read_cursor(cursor, int)
    start = int(key[0]) if key else 0
    query = select(t.claims).order_by(t.claims.c.at.desc(), t.claims.c.id).offset(start).limit(limit + 1)
    with reading(ctx.engine) as conn:
        found = [_view(row) for row in conn.execute(query)]
    return ClaimPage(items=found[:limit], next=cursor_after(start + limit) if len(found) > limit else None)


def count_waiting(ctx: Context, name: str) -> int:
    """Claims that wait for another person than the one who asked, as seen by this one."""
    waits = (t.claims.c.state == "needs_approval", t.claims.c.asked_by != name)
    with reading(ctx.engine) as conn:
        return int(conn.execute(select(func.count()).select_from(t.claims).where(*waits)).scalar_one())


def numbers(ctx: Context, topics: Sequence[TopicId]) -> dict[TopicId, str]:
    """The numbers people know topics by."""
    query = select(t.topics.c.id, t.topics.c.number).where(t.topics.c.id.in_(topics))
    with reading(ctx.engine) as conn:
        return {row.id: row.number for row in conn.execute(query)} if topics else {}


def named(ctx: Context, words: Sequence[str]) -> list[TopicId]:
    """The topics that people name by number, or by identity. Raises NotFound, and Invalid where a number is not one
    topic's alone: a life that was forgotten may have given it before."""
    by_number = [word for word in words if "-" in word]
    query = select(t.topics.c.number, t.topics.c.id).where(t.topics.c.number.in_(by_number), t.topics.c.mine)
    with reading(ctx.engine) as conn:
        rows = conn.execute(query.order_by(t.topics.c.id)).all() if by_number else []
    found: dict[str, list[TopicId]] = {}
    for row in rows:
        found.setdefault(row.number, []).append(row.id)
    if missing := set(by_number) - found.keys():
        raise NotFound(", ".join(sorted(missing)))
    return [only_one(word, found[word]) if word in found else word for word in words]


def only_one(number: str, ids: Sequence[TopicId]) -> TopicId:
    """The topic of a number. Raises NotFound, or Invalid with all that have it."""
    if not ids:
        raise NotFound(number)
    if len(ids) > 1:
        several = ", ".join(ids)
        raise Invalid("topic", f"{number} is the number of {several}", rule="ambiguous_number", ids=several)
    return ids[0]


# ---- by itself ------------------------------------------------------------------------------------------------------


def _held_by_the_dead(conn: Connection, roster: Roster, me: NodeCode) -> list[TopicId]:
    """Topics an incarnation that is over writes, or is offered; open ones first."""
    renewed = [code for code, member in roster.members.items() if len(member.lives) > 1]
    if not renewed:
        return []
    conditions = [_of_the_dead(code, inc_text(roster.members[code].inc)) for code in renewed]
    query = select(t.topics.c.id, t.topics.c.custody).where(or_(*conditions), t.topics.c.status != "frozen")
    found = conn.execute(query.order_by(t.topics.c.status, t.topics.c.id)).all()
    return [row.id for row in found if f'"{me}"' in row.custody]


def _of_the_dead(code: NodeCode, live: str) -> ColumnElement[bool]:
    topics = t.topics.c
    return or_(
        and_(topics.custodian == code, topics.inc != live),
        and_(topics.offered_to == code, topics.offered_inc != live),
    )


def _reclaim_one(batch: Batch, id: TopicId) -> None:
    found = batch.working(id)
    chain = found.chain
    if chain is None or batch.frozen(chain) or batch.me not in chain.participants | set(chain.arbiters):
        return
    declined = chain.offer is not None and batch.declined(chain.offer)
    if needs_claim_by(chain, declined, batch.roster) != batch.me:
        return
    offer, holder, again = chain.offer, chain.custodian, None
    if holder == batch.me and offer is not None and dead(batch.roster, offer.to, offer.to_inc) and not declined:
        again = _renewed(batch, offer)
    _claim(batch, found, OVER, [])
    if again is not None:
        batch.entry(id, "offered", again)
    elif holder != batch.me:
        _offer_on(batch, id, holder)


def _renewed(batch: Batch, offer: OpenOffer) -> Offered:
    """The offer as it was, made to the incarnation that lives now."""
    raw: bytes = batch.conn.execute(select(t.statements.c.raw).where(t.statements.c.id == offer.id)).scalar_one()
    body: Offered = open_statement(parse(raw), batch.roster.keyring).payload.body
    return body.model_copy(update={"to_inc": batch.roster.members[offer.to].inc})


# ---- by two persons -------------------------------------------------------------------------------------------------


def _wanted(batch: Batch, form: ClaimForm) -> list[TopicId]:
    """The topics the form names, or those its node holds; all must be this node's to claim."""
    if (form.node is None) == (form.topics is None):
        raise Invalid("node", "name either a node or topics", rule="node_or_topics")
    if form.node is not None:
        if batch.roster.get(form.node) is None:
            raise NotFound(form.node)
        held = (t.topics.c.custodian == form.node, t.topics.c.mine)
        ids = batch.conn.execute(select(t.topics.c.id).where(*held).order_by(t.topics.c.id)).scalars().all()
        chains = {id: batch.working(id).chain for id in ids}
        return [id for id, chain in chains.items() if _claimable(batch, chain) and not _is_offered(batch, chain)]
    found = list(dict.fromkeys(form.topics or []))
    for id in found:
        if not _claimable(batch, batch.held(id).chain):
            raise Invalid("topics", f"{id}: this node may not claim it from who holds it", rule="not_claimable")
    return found


def _is_offered(batch: Batch, chain: Chain | None) -> bool:
    """Whether there is somebody who can still decide on it; who has declined leaves it to the one that is gone."""
    return chain is not None and chain.offer is not None and not batch.declined(chain.offer)


def _claimable(batch: Batch, chain: Chain | None) -> bool:
    """Whether the rules of custody let this node claim it (SPEC 14.5): from below; from an earlier life of its own; or
    its own offer to a life that is over."""
    if chain is None or batch.me not in chain.arbiters:
        return False
    if chain.custodian != batch.me:
        return batch.roster.is_below(chain.custodian, batch.me)
    offer = chain.offer
    return chain.inc < batch.inc or (offer is not None and dead(batch.roster, offer.to, offer.to_inc))


def _proceed_one(ctx: Context, id: str) -> int:
    with write(ctx) as batch:
        row = _row(batch.conn, id)
        if row.state != ASKING or not (batch.now >= row.ask_until or _all_told(batch, row)):
            return 0
        batch.actor = row.approved_by
        refused = [why for topic in row.topics if (why := _claim_one(batch, row, topic))]
        state = REFUSED if len(refused) == len(row.topics) else DONE
        _set(batch, id, {"state": state, "detail": "; ".join(refused)[:2000] or None})
        batch.audit("claimed", None, claim=id, topics=len(row.topics) - len(refused), refused=len(refused))
    return 1


def _claim_one(batch: Batch, row: Row[Any], topic: TopicId) -> str | None:
    """Claim one topic and offer it on; why not, where it cannot be any more."""
    found = batch.working(topic)
    if not _claimable(batch, found.chain):
        return f"{topic[:12]}: no longer to be claimed"
    try:
        _claim(batch, found, row.reason, [row.asked_by, row.approved_by])
        if row.to is not None:
            _offer_on(batch, topic, row.to)
    except (SyncError, Refusal) as error:
        return f"{topic[:12]}: {error}"
    return None


def _all_told(batch: Batch, row: Row[Any]) -> bool:
    """Whether every participant but the one that is gone has said where the chains stand there."""
    for topic in row.topics:
        chain = batch.working(topic).chain
        if chain is None:
            continue
        missing = chain.participants - {batch.me, chain.custodian}
        if not missing <= _told(batch.conn, topic, row.id, batch.roster):
            return False
    return True


def _told(conn: Connection, topic: TopicId, claim: str, roster: Roster) -> set[NodeCode]:
    query = select(t.statements.c.raw).join(t.remarks, t.remarks.c.id == t.statements.c.id)
    raws = conn.execute(query.where(t.remarks.c.topic == topic, t.remarks.c.kind == "told")).scalars().all()
    said: Iterable[Remark[Any]] = (open_statement(parse(raw), roster.keyring).payload for raw in raws)
    return {remark.author for remark in said if remark.body.claim == claim}


# ---- both -----------------------------------------------------------------------------------------------------------


def _claim(batch: Batch, found: Working, reason: str, approved_by: Sequence[str]) -> None:
    with custody_rules():
        batch.entry(found.id, "claimed", bodies.Claimed(reason=reason, approved_by=list(approved_by)))
    batch.audit("claimed", found.id)
    retry_topic(batch, found.id)  # remarks may have waited here about what is beside the chain now


def _offer_on(batch: Batch, id: TopicId, to: NodeCode) -> None:
    member = batch.roster.members[to]
    body = Offered(
        to=to,
        to_inc=member.inc,
        mode="rehome",
        reason=None,
        tried=None,
        opinion=None,
        instruction=None,
        answer_by=None,
        due_at=None,
        suggested=None,
        override_reason=None,
    )
    with custody_rules():
        batch.entry(id, "offered", body)


def _row(conn: Connection, id: str) -> Row[Any]:
    row = conn.execute(select(t.claims).where(t.claims.c.id == id)).first()
    if row is None:
        raise NotFound(id)
    return row


def _set(batch: Batch, id: str, values: dict[str, Any]) -> None:
    batch.conn.execute(update(t.claims).where(t.claims.c.id == id).values(values))


def _view(row: Row[Any]) -> ClaimView:
    return ClaimView.model_validate({**row._asdict()})
