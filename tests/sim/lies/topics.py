"""Lies about topics: entries and remarks against R1 to R9, R11, R17. None where there is nothing to lie about."""

from collections.abc import Callable

from schemas import entry as bodies
from schemas.ids import Incarnation, Term
from schemas.remark import Said
from sync.custody import dead
from tests.sim.lies.scene import NOWHERE, Lie, Scene

Told = Callable[[Scene], "Lie | None"]


def _writes(scene: Scene) -> bool:
    """Whether the custodian, another node, could write now."""
    chain = scene.chain
    return chain.custodian != scene.me and chain.offer is None and not chain.closed


# ---- R1: position, term, author -----------------------------------------------------------------------------------


def other_writer(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.chain.participants - {scene.chain.custodian})
    if liar is None or scene.chain.offer is not None or scene.chain.closed:
        return None
    return Lie(scene.note((liar, scene.life(liar))))


def other_life_writes(scene: Scene) -> Lie | None:
    if not _writes(scene):
        return None
    return Lie(scene.note((scene.chain.custodian, scene.unborn(scene.chain.custodian))))


def other_term(scene: Scene) -> Lie | None:
    term = scene.chain.term
    return Lie(scene.note(scene.holder, term=term._replace(t=term.t + 1))) if _writes(scene) else None


def skips_a_place(scene: Scene) -> Lie | None:
    return Lie(scene.note(scene.holder, seq=scene.chain.seq + 2)) if _writes(scene) else None


def follows_nothing(scene: Scene) -> Lie | None:
    return Lie(scene.note(scene.holder, prev=NOWHERE)) if _writes(scene) else None


def writes_over_its_offer(scene: Scene) -> Lie | None:
    if scene.chain.offer is None or scene.chain.custodian == scene.me:
        return None
    return Lie(scene.note(scene.holder))


def goes_on_after_the_end(scene: Scene) -> Lie | None:
    if not scene.chain.closed or scene.chain.custodian == scene.me:
        return None
    return Lie(scene.note(scene.holder))


def writes_twice(scene: Scene) -> Lie | None:
    """A second entry at the place after the present end: both of one author (R9)."""
    if not _writes(scene) or scene.batch.frozen(scene.chain):
        return None
    other = scene.entry(scene.holder, "noted", bodies.Noted(text="另一句假话"))
    return Lie(other, (scene.note(scene.holder),), scene.holder)


# ---- R1, R3, R5: answers -----------------------------------------------------------------------------------------


def accepts_what_others_are_offered(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    liar = scene.pick(scene.chain.participants - {offer.to}) if offer else None
    if offer is None or liar is None:
        return None
    return Lie(scene.entry((liar, scene.life(liar)), "accepted", bodies.Accepted(offer=offer.id)))


def accepts_in_another_life(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or offer.to == scene.me:
        return None
    return Lie(scene.entry((offer.to, scene.unborn(offer.to)), "accepted", bodies.Accepted(offer=offer.id)))


def accepts_another_offer(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or offer.to == scene.me:
        return None
    return Lie(scene.entry((offer.to, offer.to_inc), "accepted", bodies.Accepted(offer=scene.chain.topic)))


def accepts_in_the_same_term(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or offer.to == scene.me:
        return None
    body = bodies.Accepted(offer=offer.id)
    return Lie(scene.entry((offer.to, offer.to_inc), "accepted", body, term=scene.chain.term))


def accepts_what_it_declined(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or scene.me in (offer.to, offer.by) or scene.batch.declined(offer):
        return None
    who = (offer.to, offer.to_inc)
    accepted = scene.entry(who, "accepted", bodies.Accepted(offer=offer.id))
    return Lie(accepted, (scene.declined(who, offer.id),), who)


def declines_what_it_accepted(scene: Scene) -> Lie | None:
    offer = scene.opener_offer
    if offer is None or scene.chain.opened_by != "accepted" or scene.chain.custodian == scene.me:
        return None
    return Lie(scene.declined(scene.holder, offer), proves=scene.holder)


def resumes_by_itself(scene: Scene) -> Lie | None:
    """Its own word stands for the other's no: what a time limit at the offerer comes to."""
    offer = scene.chain.offer
    if offer is None or offer.by == scene.me:
        return None
    return Lie(scene.resumed(scene.holder, scene.declined(scene.holder, offer.id)))


def resumes_on_another_no(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or offer.by == scene.me:
        return None
    return Lie(scene.resumed(scene.holder, scene.declined((offer.to, offer.to_inc), scene.chain.topic)))


def resumes_for_others(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    liar = scene.pick(scene.chain.participants - {offer.by}) if offer else None
    if offer is None or liar is None:
        return None
    return Lie(scene.resumed((liar, scene.life(liar)), scene.declined((offer.to, offer.to_inc), offer.id)))


def resumes_in_the_same_term(scene: Scene) -> Lie | None:
    offer = scene.chain.offer
    if offer is None or offer.by == scene.me:
        return None
    declined = scene.declined((offer.to, offer.to_inc), offer.id)
    return Lie(scene.resumed(scene.holder, declined, term=scene.chain.term))


# ---- R1, R7, R11: claims -----------------------------------------------------------------------------------------


def _claimed() -> bodies.Claimed:
    return bodies.Claimed(reason="假话", approved_by=["chief-1", "chief-2"])


def claims_as_nobody(scene: Scene) -> Lie | None:
    above = {*scene.batch.roster.ancestors(scene.chain.custodian)} - {*scene.chain.arbiters}
    liar = scene.pick(above or {code for code in scene.others if code not in scene.chain.arbiters})
    return Lie(scene.entry((liar, scene.life(liar)), "claimed", _claimed())) if liar else None


def claims_in_another_term(scene: Scene) -> Lie | None:
    chain, above = scene.chain, scene.batch.roster.ancestors(scene.chain.custodian)
    liar = scene.pick({code for code in above if code in chain.arbiters})
    if liar is None:
        return None
    rank, inc = scene.batch.roster.members[liar].tier.rank, scene.life(liar)
    return Lie(scene.entry((liar, inc), "claimed", _claimed(), term=Term(chain.term.g + 2, rank, inc, 0)))


def claims_from_above(scene: Scene) -> Lie | None:
    """From a node that is not below, or from itself though nothing has ended."""
    chain, roster = scene.chain, scene.batch.roster
    if chain.offer is not None and dead(roster, chain.offer.to, chain.offer.to_inc):
        return None
    fair = {*roster.ancestors(chain.custodian)}
    liar = scene.pick({code for code in chain.arbiters if code not in fair})
    if liar is None or (liar == chain.custodian and chain.inc < scene.life(liar)):
        return None
    return Lie(scene.entry((liar, scene.life(liar)), "claimed", _claimed()))


def claims_unborn(scene: Scene) -> Lie | None:
    above = scene.batch.roster.ancestors(scene.chain.custodian)
    liar = scene.pick({code for code in above if code in scene.chain.arbiters})
    return Lie(scene.entry((liar, scene.unborn(liar)), "claimed", _claimed())) if liar else None


# ---- offers ------------------------------------------------------------------------------------------------------


def _offers(scene: Scene, to: str | None, mode: str, to_inc: Incarnation | None = None) -> Lie | None:
    if to is None or not _writes(scene):
        return None
    if any(child.state == "open" for child in scene.chain.children):
        return None
    return Lie(scene.entry(scene.holder, "offered", scene.offer(to, mode, to_inc)))


def _parent(scene: Scene) -> str | None:
    return scene.batch.roster.parent(scene.chain.custodian)


def offers_past_its_parent(scene: Scene) -> Lie | None:
    liar = scene.chain.custodian
    fit = {code for code in [*scene.others, scene.me] if code not in (liar, _parent(scene))}
    return _offers(scene, min(fit, default=None), "escalate")


def offers_sideways(scene: Scene) -> Lie | None:
    roster, liar = scene.batch.roster, scene.chain.custodian
    fit = {code for code in [*scene.others, scene.me] if code != liar and not roster.is_below(code, liar)}
    return _offers(scene, min(fit, default=None), "delegate")


def offers_to_the_unborn(scene: Scene) -> Lie | None:
    to = _parent(scene)
    return _offers(scene, to, "escalate", scene.unborn(to)) if to else None


def gives_back_to_another(scene: Scene) -> Lie | None:
    fit = {code for code in [*scene.others, scene.me] if code not in (scene.chain.custodian, scene.chain.below)}
    return _offers(scene, min(fit, default=None), "report")


def rehomes_without_a_claim(scene: Scene) -> Lie | None:
    below = {code for code in [*scene.others, scene.me] if scene.batch.roster.is_below(code, scene.chain.custodian)}
    return _offers(scene, min(below, default=None), "rehome") if scene.chain.opened_by != "claimed" else None


def offers_over_an_open_part(scene: Scene) -> Lie | None:
    to = _parent(scene)
    if to is None or not _writes(scene) or all(child.state != "open" for child in scene.chain.children):
        return None
    return Lie(scene.entry(scene.holder, "offered", scene.offer(to, "escalate")))


# ---- the end, and parts --------------------------------------------------------------------------------------------


def _closes(scene: Scene, leave_out: bool = False) -> Lie:
    listed = [
        bodies.ClosedChild(topic=child.topic or NOWHERE, head=child.head or NOWHERE, detached=child.state == "detached")
        for child in scene.chain.children
    ]
    return Lie(scene.entry(scene.holder, "closed", bodies.Closed(text="假话", children=listed[leave_out:])))


def closes_away_from_home(scene: Scene) -> Lie | None:
    chain = scene.chain
    fair = chain.resulted and all(child.state != "open" for child in chain.children)
    return _closes(scene) if _writes(scene) and fair and not chain.at_home else None


def closes_without_a_result(scene: Scene) -> Lie | None:
    chain = scene.chain
    fair = chain.at_home and all(child.state != "open" for child in chain.children)
    return _closes(scene) if _writes(scene) and fair and not chain.resulted else None


def closes_over_an_open_part(scene: Scene) -> Lie | None:
    chain = scene.chain
    opened = [child for child in chain.children if child.state == "open"]
    if not (_writes(scene) and chain.at_home and chain.resulted and opened):
        return None
    raw = scene.entry(scene.holder, "closed", bodies.Closed(text="假话", children=[]))
    return Lie(raw)


def closes_and_forgets_a_part(scene: Scene) -> Lie | None:
    chain = scene.chain
    ended = chain.children and all(child.state != "open" for child in chain.children)
    return _closes(scene, leave_out=True) if _writes(scene) and chain.at_home and chain.resulted and ended else None


def reopens_what_is_open(scene: Scene) -> Lie | None:
    if not _writes(scene) or not scene.chain.at_home:
        return None
    return Lie(scene.entry(scene.holder, "reopened", bodies.Reopened(reason="假话")))


def ends_a_part_there_is_not(scene: Scene) -> Lie | None:
    if not _writes(scene):
        return None
    child = bodies.Child(entry=NOWHERE, n=0, topic=NOWHERE, head=NOWHERE, outcome=None)
    return Lie(scene.entry(scene.holder, "child_closed", bodies.ChildClosed(child=child)))


# ---- births --------------------------------------------------------------------------------------------------------


def _birth(scene: Scene, liar: str, **other: object) -> bodies.Opened:
    above = scene.batch.roster.ancestors(liar)
    named = {"keeper": above[0] if above else None, "arbiters": [*above] or [liar], "parent": None, "depth": 0}
    told = {"nonce": "cd" * 16, "number": "0-2026-1", "title": "假话", "kind": "topic", "category": None, "areas": []}
    told |= {"source": None, "external_id": None, "unit": None, "raised_at": None}
    return bodies.Opened.model_validate(told | named | other)


def _neighbour(scene: Scene) -> str | None:
    """A child of this node: what it opens comes here."""
    return scene.pick([*scene.batch.roster.children(scene.me)])


def opens_at_a_later_term(scene: Scene) -> Lie | None:
    liar = _neighbour(scene)
    term = Term(1, 0, Incarnation(0, ""), 0)
    return Lie(scene.opened(liar, scene.life(liar), _birth(scene, liar), term=term)) if liar else None


def opens_unborn(scene: Scene) -> Lie | None:
    liar = _neighbour(scene)
    return Lie(scene.opened(liar, scene.unborn(liar), _birth(scene, liar))) if liar else None


def opens_with_another_keeper(scene: Scene) -> Lie | None:
    liar = _neighbour(scene)
    return Lie(scene.opened(liar, scene.life(liar), _birth(scene, liar, keeper=liar))) if liar else None


def opens_with_another_arbiter(scene: Scene) -> Lie | None:
    liar = _neighbour(scene)
    return Lie(scene.opened(liar, scene.life(liar), _birth(scene, liar, arbiters=[liar]))) if liar else None


def opens_a_part_of_nothing(scene: Scene) -> Lie | None:
    liar = _neighbour(scene)
    return Lie(scene.opened(liar, scene.life(liar), _birth(scene, liar, depth=1))) if liar else None


# ---- beside the chain ----------------------------------------------------------------------------------------------


def speaks_from_outside(scene: Scene) -> Lie | None:
    found = scene.batch.working(scene.chain.topic)
    liar = scene.pick(set(scene.others) - scene.chain.participants - found.lost)
    return Lie(scene.remark((liar, scene.life(liar)), scene.chain.topic, "urge", Said(text="假话"))) if liar else None


def speaks_unborn(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.chain.participants)
    if liar is None:
        return None
    return Lie(scene.remark((liar, scene.unborn(liar)), scene.chain.topic, "urge", Said(text="假话")))


def speaks_of_nothing(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.chain.participants)
    return Lie(scene.remark((liar, scene.life(liar)), NOWHERE, "urge", Said(text="假话"))) if liar else None


LIES: tuple[Told, ...] = (
    other_writer,
    other_life_writes,
    other_term,
    skips_a_place,
    follows_nothing,
    writes_over_its_offer,
    goes_on_after_the_end,
    accepts_what_others_are_offered,
    accepts_in_another_life,
    accepts_another_offer,
    accepts_in_the_same_term,
    resumes_by_itself,
    resumes_on_another_no,
    resumes_for_others,
    resumes_in_the_same_term,
    claims_as_nobody,
    claims_in_another_term,
    claims_from_above,
    claims_unborn,
    offers_past_its_parent,
    offers_sideways,
    offers_to_the_unborn,
    gives_back_to_another,
    rehomes_without_a_claim,
    offers_over_an_open_part,
    closes_away_from_home,
    closes_without_a_result,
    closes_over_an_open_part,
    closes_and_forgets_a_part,
    reopens_what_is_open,
    ends_a_part_there_is_not,
    opens_at_a_later_term,
    opens_unborn,
    opens_with_another_keeper,
    opens_with_another_arbiter,
    opens_a_part_of_nothing,
    speaks_from_outside,
    speaks_unborn,
    speaks_of_nothing,
)
CONTRADICTIONS: tuple[Told, ...] = (writes_twice, accepts_what_it_declined, declines_what_it_accepted)
"""Two statements for one position: the second is a proof, and freezes (R9)."""
