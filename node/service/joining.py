"""Joining the tree: invite at the parent, join at the child, over the network or by stick (SPEC 9).

The token says where the parent is and under which key it answers; the child proves that it holds its own key; the
parent enrols it in its registry chain, once. The answer is the whole registry, so that the child can verify every
statement of the tree without asking anybody again.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Row, insert, select, update

from node.context import Context
from node.domain.refusals import BadToken, Invalid
from node.service import guard, life, remedy, torn
from node.service.commit import Batch, write
from node.service.create import card_of, record_grant
from node.service.roster import open_anchor
from node.store import tables as t
from node.store.codec import inc_text
from schemas.exchange import MEDIA_TYPE, SILENCE_S, Invitation, JoinRequest
from schemas.ids import Digest, Incarnation, NodeCode, Tier
from schemas.registry import Enrolled, Rotated, StreamEnd
from schemas.statement import VERSION
from sync.errors import Held, Refused, SyncError, TransportError
from sync.keys import b64, check_public_key, thumbprint, unb64
from sync.roster import Roster
from sync.sealing import JOIN, open_join, open_statement, parse, seal
from sync.strict import dumps, strict_json
from sync.transport import Transport, host_networks

JOIN_PATH = "/federation/v1/join"


@dataclass(frozen=True, slots=True)
class Renewal:
    """Why an enrolled child gets another key; `revoked`: the old one is in other hands (SPEC 14.7)."""

    reason: str
    revoked: bool = False


def invite(batch: Batch, code: NodeCode, tier: Tier, name: str, renewal: Renewal | None = None) -> str:
    """A single-use token for a new child, or the new machine of one. Raises Invalid where the code cannot be that."""
    _check_invited(batch, code, tier, renewal)
    me = batch.ctx.identity
    secret = batch.ctx.clock.token(16)
    row: dict[str, object] = {
        "secret_hash": _hash(secret),
        "code": code,
        "name": name,
        "tier": tier.value,
        "at": batch.now,
    }
    if renewal is not None:
        row |= {"renewal": renewal.reason, "revoked": renewal.revoked}
    batch.conn.execute(insert(t.invitations).values(row))
    batch.audit("invite", None, code=code, renewal=renewal is not None)
    invitation = Invitation(
        v=VERSION,
        url=me.url,
        parent=me.code,
        key=b64(me.signer.public),
        anchor=_anchor_of(batch.roster),
        log=f"liandong/{me.code}/{inc_text(batch.inc)}",
        code=code,
        tier=tier,
        name=name,
        secret=secret,
    )
    return b64(dumps(invitation.model_dump(mode="json")))


def read_token(token: str) -> Invitation:
    """Raises BadToken."""
    try:
        raw = unb64(token.strip())
        strict_json(raw)
        return Invitation.model_validate_json(raw)
    except (SyncError, ValidationError):
        raise BadToken("not a token of liandong invite, or not copied whole") from None


def join(ctx: Context, token: str) -> None:
    """Enrol this node at its parent over the network. Raises BadToken, Invalid, TransportError."""
    invitation = read_token(token)
    request = join_request(ctx, token)
    networks = (*ctx.settings.allowed_networks, *host_networks(invitation.url))
    transport = Transport(invitation.url, networks, ctx.identity.url, ctx.settings.ca_file)
    try:
        reply = transport.post(JOIN_PATH, request, MEDIA_TYPE, SILENCE_S)
    finally:
        transport.close()
    if reply.status in (401, 403, 409, 422):
        raise BadToken(_detail(reply.body))
    if reply.status != 200:
        raise TransportError("unexpected-answer", f"HTTP {reply.status}")
    finish_join(ctx, token, reply.body)


def join_request(ctx: Context, token: str) -> bytes:
    """The signed request of this node, to be posted or carried to the parent. Raises BadToken, Invalid."""
    invitation = read_token(token)
    me = ctx.identity
    if (invitation.code, invitation.tier) != (me.code, me.tier):
        raise BadToken(f"made for {invitation.code} ({invitation.tier}), this is {me.code} ({me.tier})")
    mine = life.now(ctx)
    if mine.parent is not None or mine.live:
        raise Invalid("token", "this node is enrolled already", rule="joined_already")
    request = JoinRequest(
        v=VERSION, parent=invitation.parent, secret=invitation.secret, node=card_of(ctx), nonce=mine.inc.nonce
    )
    return seal(request.model_dump(mode="json"), JOIN, me.signer)


def enrol_child(ctx: Context, raw: bytes) -> bytes:
    """The parent's side: enrol the sender of a join request. The same key asked again gets the same bytes.

    Raises Refused for a bad request, BadToken, and BadKey, Held (mapped by the caller) where it may not be enrolled.
    """
    request = open_join(raw)
    key = unb64(request.node.key)
    with write(ctx) as batch:
        batch.actor = f"node:{request.node.code}"
        row = batch.conn.execute(
            select(t.invitations).where(t.invitations.c.secret_hash == _hash(request.secret))
        ).first()
        if row is None or request.parent != batch.me:
            raise BadToken
        if row.used_by is not None:
            if row.used_by != thumbprint(key):
                raise BadToken("used already, by another node")
            answer: bytes = row.answer
            return answer
        if (row.code, row.tier) != (request.node.code, request.node.tier.value):
            raise BadToken(f"made for {row.code} ({row.tier})")
        return _enrol(batch, request, key, row)


def finish_join(ctx: Context, token: str, answer: bytes) -> None:
    """The child's side: verify the parent's answer and start to live. Raises BadToken, changing nothing."""
    invitation = read_token(token)
    try:
        with write(ctx) as batch:
            first = Incarnation(1, batch.inc.nonce)
            roster = _take_registry(batch, answer, invitation.parent)
            anchor, enrolled = _check_answer(batch, roster, invitation, first)
            batch.inc = first if enrolled else batch.inc
            life.create_link(batch, invitation.parent, "parent", invitation.url)
            record_grant(batch, anchor, (invitation.parent, invitation.url))
            if not enrolled:
                life.end(batch, "new-machine")
            batch.audit("join", None, parent=invitation.parent)
    except SyncError as error:
        raise BadToken(f"the parent's answer does not verify: {error}") from error
    guard.turn(ctx)


def _enrol(batch: Batch, request: JoinRequest, key: bytes, invited: Row[Any]) -> bytes:
    check_public_key(key)
    if invited.renewal is None:
        if remedy.remedy(batch, request.node.code) is not None:
            raise Held("code-taken", request.node.code)
        batch.register("enrolled", Enrolled(node=request.node, inc=Incarnation(1, request.nonce)))
    else:
        _renew(batch, request, invited)
    batch.flush_rows()
    query = select(t.statements.c.raw).join(t.registry, t.registry.c.id == t.statements.c.id)
    answer = b"".join(raw + b"\n" for raw in batch.conn.execute(query.order_by(t.statements.c.pos)).scalars())
    mine = t.invitations.c.secret_hash == _hash(request.secret)
    batch.conn.execute(update(t.invitations).where(mine).values(used_by=thumbprint(key), answer=answer))
    batch.audit("enrol", None, code=request.node.code)
    return answer


def _renew(batch: Batch, request: JoinRequest, invited: Row[Any]) -> None:
    """An enrolled child on a new machine: another key; it heals before it is granted another incarnation."""
    link = batch.link(request.node.code)
    if link is None:
        raise BadToken(f"{request.node.code} is not enrolled here")
    if batch.roster.members[link.peer].had_key(request.node.key):
        raise Held("key-taken", request.node.code)
    torn.repeat(batch)
    remedy.check_renewable(batch, link.peer)
    closed = StreamEnd(inc=link.received_inc, seq=link.received_seq, hash=link.received_hash)
    rotated = Rotated(node=request.node, revoked=invited.revoked, closed=closed, reason=invited.renewal)
    batch.register("rotated", rotated)
    link.url, link.dirty = request.node.url, True


def _take_registry(batch: Batch, answer: bytes, parent: NodeCode) -> Roster:
    lines = [line for line in answer.split(b"\n") if line]
    if not lines:
        raise Refused("malformed", "empty answer")
    batch.apply(open_anchor(lines[0]), parent)
    for line in lines[1:]:
        batch.apply(open_statement(parse(line), batch.roster.keyring), parent)
    return batch.roster


def _check_answer(batch: Batch, roster: Roster, invitation: Invitation, first: Incarnation) -> tuple[Digest, bool]:
    """The root's identity, once the answer enrols exactly this node below exactly that parent; and whether it was newly
    enrolled, not known by another key before."""
    mine, parent = roster.get(batch.me), roster.get(invitation.parent)
    if parent is None or parent.card.key != invitation.key:
        raise Held("forged-author", "the parent's key is not the one of the invitation")
    if mine is None or mine.parent != invitation.parent or mine.card != card_of(batch.ctx):
        raise Held("forged-author", "this node is not enrolled as it asked")
    enrolled = len(mine.keys) == 1
    if enrolled and mine.inc != first:
        raise Held("forged-author", "this node is not enrolled as it asked")
    if _anchor_of(roster) != invitation.anchor:
        raise Held("second-root", "the root is not the one of the invitation")
    return invitation.anchor, enrolled


def _anchor_of(roster: Roster) -> Digest:
    """Identity of the root's `anchored`."""
    assert roster.anchor is not None  # noqa: S101 - a living node knows its root
    return roster.members[roster.anchor].entry


def _check_invited(batch: Batch, code: NodeCode, tier: Tier, renewal: Renewal | None) -> None:
    batch.check_live()
    member = batch.roster.get(code)
    if renewal is not None:
        if member is None or member.parent != batch.me or member.tier is not tier:
            message = f"{code} is no {tier} enrolled below this node"
            raise Invalid("code", message, rule="not_enrolled_below", code=code, tier=tier.value)
        remedy.check_renewable(batch, code)
        return
    if tier.rank >= batch.ctx.identity.tier.rank:
        mine = batch.ctx.identity.tier
        raise Invalid("tier", f"{tier} is not below {mine}", rule="tier_not_below", tier=tier.value, mine=mine.value)
    if member is not None:
        message = f"{code} is enrolled already; for a new machine of it renew the invitation"
        raise Invalid("code", message, rule="enrolled_already", code=code)
    if remedy.remedy(batch, code) is not None:
        message = f"another branch of this node's registry enrols {code}"
        raise Invalid("code", message, rule="enrolled_elsewhere", code=code)
    tree = batch.lists.tree
    if code in tree and batch.me in tree and not tree.is_within(code, batch.me):
        message = f"{code} does not lie within {batch.me}"
        raise Invalid("code", message, rule="not_within", code=code, mine=batch.me)


def _hash(secret: str) -> str:
    return hashlib.sha256(bytes.fromhex(secret)).hexdigest()


def _detail(body: bytes) -> str:
    try:
        return str(strict_json(body).get("detail", ""))
    except SyncError:
        return "refused"
