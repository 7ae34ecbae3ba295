"""Lies about who is who: signatures, keys, and the registry (R10, R13, R19)."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from schemas import registry as bodies
from schemas.entry import Noted
from schemas.ids import Incarnation, NodeCode, Tier
from schemas.remark import Said
from sync.chain import extend, header
from sync.keys import b64
from sync.sealing import ENTRY, SUMMARY, seal
from tests.sim.lies.scene import AT, Lie, Scene

Told = Callable[[Scene], "Lie | None"]
SMALL_ORDER = b64(bytes([1] + [0] * 31))
"""The neutral element: one signature fits every message under it."""


# ---- signatures and keys -------------------------------------------------------------------------------------------


def _noted(scene: Scene, who: tuple[NodeCode, Incarnation]) -> dict[str, Any]:
    return extend(scene.chain, header(*who, AT), "noted", Noted(text="假话"))


def signs_for_another(scene: Scene) -> Lie | None:
    liar = scene.pick([code for code in scene.others if code != scene.chain.custodian])
    if liar is None or scene.chain.custodian == scene.me or scene.chain.offer or scene.chain.closed:
        return None
    return Lie(seal(_noted(scene, scene.holder), ENTRY, scene.signer(liar, scene.life(liar))))


def breaks_a_signature(scene: Scene) -> Lie | None:
    if scene.chain.custodian == scene.me or scene.chain.offer or scene.chain.closed:
        return None
    one, other = (scene.entry(scene.holder, "noted", Noted(text=text)) for text in ("真话", "假话"))
    cut = b'"signature":"'
    return Lie(one.split(cut)[0] + cut + other.split(cut)[1])


def signs_with_another_of_its_keys(scene: Scene) -> Lie | None:
    """A machine that was replaced, in the life of its successor, or the other way round (SPEC 14.4)."""
    liar, inc = scene.holder
    member = scene.batch.roster.get(liar)
    if liar == scene.me or member is None or scene.chain.offer or scene.chain.closed:
        return None
    known = {key.kid for key in member.keys}
    wrong = [key for key in scene.keys[liar] if key.kid in known and key.kid != member.kid_of(inc)]
    return Lie(seal(_noted(scene, scene.holder), ENTRY, wrong[0])) if wrong else None


def signs_with_a_revoked_key(scene: Scene) -> Lie | None:
    """Passed on by a neighbour that is not on the way to who revoked it (R19)."""
    for code in scene.others:
        member = scene.batch.roster.get(code)
        if member is None or not member.revoked or code not in scene.chain.participants:
            continue
        kid = member.revoked[0]
        if not scene.batch.inc.number:
            continue  # who heals takes back from anybody what it had
        lives = [inc for inc in member.incs if member.kid_of(inc) == kid]
        if lives and scene.source != scene.batch.roster.towards(scene.me, member.parent or code):
            return Lie(scene.remark((code, lives[-1]), scene.chain.topic, "urge", Said(text="假话")))
    return None


def sums_up_for_others(scene: Scene) -> Lie | None:
    """A summary goes up from below, never comes down."""
    parent = scene.batch.roster.parent(scene.me)
    if parent is None or scene.source != parent:
        return None
    body = {"period": "2026-02", "rows": 0, "root": sha256(b"").hexdigest(), "open": 0, "closed": 0}
    body |= {"outcomes": [0, 0, 0, 0], "participations": 0}
    said = {**header(parent, scene.life(parent), AT), "seq": 0, "kind": "totals", "body": body, "parts": []}
    return Lie(seal(said, SUMMARY, scene.signer(parent, scene.life(parent))))


# ---- the registry --------------------------------------------------------------------------------------------------


def _child_of(scene: Scene, liar: NodeCode) -> NodeCode | None:
    return next(iter(scene.batch.roster.children(liar)), None)


def _card(scene: Scene, code: NodeCode, tier: Tier, key: str) -> bodies.Card:
    box = scene.batch.roster.members[scene.me].card.box
    return bodies.Card(code=code, name="假", tier=tier, url="http://127.0.0.1:1", key=key, box=box)


def _key(n: int) -> str:
    """A sound key nobody has."""
    return b64(Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key().public_bytes_raw())


def _grant(scene: Scene, liar: NodeCode, node: NodeCode, inc: Incarnation, key: str | None = None) -> Lie:
    kid = key or scene.batch.roster.members[node].key.kid
    return Lie(scene.registry(liar, "granted", bodies.Granted(node=node, inc=inc, key=kid, closed=None, log=None)))


def grants_what_is_not_its_own(scene: Scene) -> Lie | None:
    roster = scene.batch.roster
    liar = scene.pick([code for code in scene.others if code != roster.anchor])
    if liar is None:
        return None
    node = next(code for code in sorted(roster.members) if roster.parent(code) not in (liar, None))
    return _grant(scene, liar, node, scene.unborn(node)) if node != liar else None


def grants_a_first_life_again(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.others)
    child = _child_of(scene, liar) if liar else None
    return _grant(scene, liar, child, Incarnation(1, "ef" * 16)) if liar and child else None


def grants_to_an_unknown_key(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.others)
    child = _child_of(scene, liar) if liar else None
    return _grant(scene, liar, child, scene.unborn(child), "A" * 43) if liar and child else None


def grants_itself(scene: Scene) -> Lie | None:
    """What only the root may do: the first word of a life is the grant of it."""
    liar = scene.pick([code for code in scene.others if code != scene.batch.roster.anchor])
    if liar is None:
        return None
    inc = scene.unborn(liar)
    body = bodies.Granted(node=liar, inc=inc, key=scene.batch.roster.members[liar].key.kid, closed=None, log=None)
    return Lie(scene.registry(liar, "granted", body, inc=inc))


def speaks_in_a_life_nobody_granted(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.others)
    if liar is None:
        return None
    return Lie(scene.registry(liar, "published", bodies.Published(list="powers", version=99), inc=scene.unborn(liar)))


def enrols_a_code_twice(scene: Scene) -> Lie | None:
    liar = scene.pick([code for code in scene.others if scene.batch.roster.members[code].tier.rank > 1])
    if liar is None:
        return None
    taken = max(scene.batch.roster.members)
    card = _card(scene, taken, Tier.COUNTY, _key(3))
    return Lie(scene.registry(liar, "enrolled", bodies.Enrolled(node=card, inc=Incarnation(1, "12" * 16))))


def enrols_a_peer(scene: Scene) -> Lie | None:
    liar = scene.pick([code for code in scene.others if scene.batch.roster.members[code].tier.rank == 1])
    if liar is None:
        return None
    card = _card(scene, "629999", Tier.COUNTY, _key(3))
    return Lie(scene.registry(liar, "enrolled", bodies.Enrolled(node=card, inc=Incarnation(1, "12" * 16))))


def _enrols(scene: Scene, key: str, inc: Incarnation) -> Lie | None:
    liar = scene.pick([code for code in scene.others if scene.batch.roster.members[code].tier.rank > 1])
    if liar is None:
        return None
    return Lie(
        scene.registry(liar, "enrolled", bodies.Enrolled(node=_card(scene, "629999", Tier.COUNTY, key), inc=inc))
    )


def enrols_into_a_later_life(scene: Scene) -> Lie | None:
    return _enrols(scene, _key(3), Incarnation(2, "12" * 16))


def enrols_a_key_that_fits_all(scene: Scene) -> Lie | None:
    return _enrols(scene, SMALL_ORDER, Incarnation(1, "12" * 16))


def enrols_a_key_twice(scene: Scene) -> Lie | None:
    taken = scene.batch.roster.members[scene.others[0]].card.key
    return _enrols(scene, taken, Incarnation(1, "12" * 16))


def plants_a_second_root(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.others)
    if liar is None:
        return None
    inc = scene.life(liar)
    body = bodies.Anchored(node=_card(scene, liar, Tier.PROVINCE, _key(4)), inc=inc, witnesses=[])
    return Lie(scene.registry(liar, "anchored", body))


def renews_what_is_not_its_own(scene: Scene) -> Lie | None:
    liar = scene.pick(scene.others)
    if liar is None:
        return None
    fit = [code for code in scene.others if scene.batch.roster.parent(code) not in (liar, None)]
    if not fit or (liar == scene.batch.roster.anchor and fit[0] == liar):
        return None
    card = scene.batch.roster.members[fit[0]].card.model_copy(update={"key": _key(5)})
    return Lie(scene.registry(liar, "rotated", bodies.Rotated(node=card, revoked=True, closed=None, reason="假话")))


def writes_its_registry_twice(scene: Scene) -> Lie | None:
    liar = scene.pick([code for code in scene.others if (code, scene.life(code)) in scene.batch.roster.heads])
    if liar is None:
        return None
    member = scene.batch.roster.members[liar]
    if member.lives[-1][1] != member.key.kid:
        return None  # a new machine has its place, and waits for its grant: nothing is taken in the old life any more
    head = scene.batch.roster.heads[liar, scene.life(liar)]
    body = bodies.Published(list="powers", version=98)
    raw = scene.registry(liar, "published", body, seq=head.seq, prev=None if head.seq == 0 else head.id)
    return Lie(raw, proves=(liar, scene.life(liar)))


def breaks_its_registry(scene: Scene) -> Lie | None:
    liar = scene.pick([code for code in scene.others if (code, scene.life(code)) in scene.batch.roster.heads])
    if liar is None:
        return None
    return Lie(scene.registry(liar, "published", bodies.Published(list="powers", version=97), prev="0" * 64))


LIES: tuple[Told, ...] = (
    signs_for_another,
    breaks_a_signature,
    signs_with_another_of_its_keys,
    signs_with_a_revoked_key,
    sums_up_for_others,
    grants_what_is_not_its_own,
    grants_a_first_life_again,
    grants_to_an_unknown_key,
    grants_itself,
    speaks_in_a_life_nobody_granted,
    enrols_a_code_twice,
    enrols_a_peer,
    enrols_into_a_later_life,
    enrols_a_key_that_fits_all,
    enrols_a_key_twice,
    plants_a_second_root,
    renews_what_is_not_its_own,
    breaks_its_registry,
)
CONTRADICTIONS: tuple[Told, ...] = (writes_its_registry_twice,)
