"""Lies about links: challenges, acknowledgements, what a neighbour says it knows, and words that must move nothing."""

from collections.abc import Callable

from sqlalchemy import select

from node.service import challenges, receive, retry
from node.service.parts import may_pull, to_send
from node.store import tables as t
from schemas.exchange import Ack, Pull
from schemas.ids import NodeCode
from schemas.remark import Asked, Recalled
from sync.sealing import REMARK, parse
from tests.sim.lies.scene import NOWHERE, Scene

Tried = Callable[[Scene], "str | None"]
"""Does something a neighbour must not get away with; what it got away with, or None."""


def uses_the_challenge_of_another_session(scene: Scene) -> str | None:
    row = scene.batch.conn.execute(select(t.challenges)).first()
    if row is None:
        return None
    taken = challenges.use_challenge(scene.batch, row.peer, "0" * 32, row.nonce)
    return "R14: a challenge was taken from another session" if taken is not None else None


def uses_the_challenge_of_another_node(scene: Scene) -> str | None:
    row = scene.batch.conn.execute(select(t.challenges)).first()
    if row is None:
        return None
    taken = challenges.use_challenge(scene.batch, "999999", row.session, row.nonce)
    return "R14: a challenge was taken from another node" if taken is not None else None


def _ack(scene: Scene, **other: object) -> bool | None:
    """What comes of an acknowledgement of our stream to a neighbour; None where there is no stream."""
    link = scene.batch.link(scene.source)
    if link is None or not scene.batch.inc.number or not link.known or link.sent_seq == 0:
        return None
    said = {"inc": scene.batch.inc, "seq": link.sent_seq, "hash": link.sent_hash} | other
    return receive._take_ack(scene.batch, link, Ack.model_validate(said))


def acknowledges_another_stream(scene: Scene) -> str | None:
    taken = _ack(scene, hash=NOWHERE)
    if taken is None or (not taken and scene.batch.link(scene.source).stopped == "hash-mismatch"):  # type: ignore[union-attr]
        return None
    return "R15: a neighbour acknowledged another stream, and the link goes on"


def acknowledges_the_future(scene: Scene) -> str | None:
    link = scene.batch.link(scene.source)
    if link is None or _ack(scene, seq=link.sent_seq + 1) is None or not scene.batch.inc.number:
        return None
    return "R10: a neighbour knows more of this node than it does itself, and it goes on signing"


def acknowledges_a_later_life(scene: Scene) -> str | None:
    number = scene.batch.inc.number
    if _ack(scene, inc=[number + 1, "34" * 16]) is None or not scene.batch.inc.number:
        return None
    return "R10: a neighbour knows a later life of this node, and it goes on signing"


def brings_its_own_word_back(scene: Scene) -> str | None:
    """A statement of this node, in the life it lives in, that it does not know (R10)."""
    if not scene.batch.inc.number or scene.me not in scene.chain.participants:
        return None
    raw = scene.note((scene.me, scene.batch.inc))
    _judge(scene, raw)
    return "R10: a node goes on signing though others know what it does not" if scene.batch.inc.number else None


def recalls_what_others_offered(scene: Scene) -> str | None:
    """Only the offerer may ask for its offer back (R4)."""
    offer = scene.chain.offer
    liar = scene.pick(scene.chain.participants - {offer.by}) if offer else None
    if offer is None or liar is None or (offer.to, offer.to_inc) != (scene.me, scene.batch.inc):
        return None
    before = set(scene.batch.fresh)
    _judge(scene, scene.remark((liar, scene.life(liar)), offer.id, "recalled", Recalled(reason="假话")))
    return _said(scene, before, "R4: somebody else recalled an offer", "declined")


def asks_without_the_right(scene: Scene) -> str | None:
    """Only an arbiter learns by asking where a chain stands (R7)."""
    liar = scene.pick(scene.chain.participants - set(scene.chain.arbiters))
    if liar is None:
        return None
    before = set(scene.batch.fresh)
    _judge(scene, scene.remark((liar, scene.life(liar)), scene.chain.topic, "asked", Asked(claim="56" * 16)))
    return _said(scene, before, "R7: who may not claim was told the head", "told")


def _said(scene: Scene, before: set[str], why: str, kind: str) -> str | None:
    fresh = [item for id, item in scene.batch.fresh.items() if id not in before]
    mine = [item for item in fresh if item.typ == REMARK and item.payload.author == scene.me]
    return why if any(item.payload.kind == kind for item in mine) else None


def pulls_what_stays(scene: Scene) -> str | None:
    """Parts that are not `full` leave with nothing and for nobody (I17)."""
    refs = t.part_refs.c
    row = scene.batch.conn.execute(select(refs.digest, refs.statement).where(refs.share != "full")).first()
    if row is None:
        return None
    scene.batch.flush()
    pulled = may_pull(scene.batch.conn, scene.source, [Pull(digest=row.digest, offset=0)])
    sent = to_send(scene.batch.conn, [row.statement])
    return "I17: a part that is not shared would be sent" if row.digest in {*pulled, *sent} else None


def pulls_what_is_not_its_own(scene: Scene) -> str | None:
    refs = t.part_refs.c
    mine = (refs.topic == scene.chain.topic, refs.share == "full")
    digest = scene.batch.conn.execute(select(refs.digest).where(*mine)).scalar()
    outside = [code for code in scene.others if code not in scene.chain.participants | _lost(scene)]
    if digest is None or not outside:
        return None
    for code in outside:
        sent = select(t.outbox.c.seq).where(t.outbox.c.peer == code, t.outbox.c.statement == scene.chain.topic)
        if scene.batch.conn.execute(sent).first() is None and not _sent_before(scene, code):
            pulled = may_pull(scene.batch.conn, code, [Pull(digest=digest, offset=0)])
            if digest in pulled:
                return "I17: a part would be sent to one who takes no part"
    return None


def _lost(scene: Scene) -> frozenset[NodeCode]:
    return scene.batch.working(scene.chain.topic).lost


def _sent_before(scene: Scene, code: NodeCode) -> bool:
    b = t.sent_before.c
    query = select(b.seq).where(b.peer == code, b.statement == scene.chain.topic)
    return scene.batch.conn.execute(query).first() is not None


def _judge(scene: Scene, raw: bytes) -> None:
    item, result = retry.reopen(raw, parse(raw).id, scene.batch.roster)
    receive._judge(scene.batch, scene.source, item, result)


ATTEMPTS: tuple[Tried, ...] = (
    uses_the_challenge_of_another_session,
    uses_the_challenge_of_another_node,
    acknowledges_another_stream,
    acknowledges_the_future,
    acknowledges_a_later_life,
    brings_its_own_word_back,
    recalls_what_others_offered,
    asks_without_the_right,
    pulls_what_stays,
    pulls_what_is_not_its_own,
)
