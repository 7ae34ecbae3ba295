"""Where a lie is told: one node inside a transaction that is undone afterwards, and a liar who has everybody's keys."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from node.service.commit import Batch
from schemas import entry as bodies
from schemas.ids import Digest, Incarnation, NodeCode
from schemas.remark import Declined
from schemas.statement import Frozen, PartRef
from sync.chain import extend, header
from sync.custody import Chain
from sync.keys import Signer
from sync.sealing import ENTRY, REGISTRY, REMARK, seal
from sync.strict import strict_json
from tests.sim.chance import private_key

AT = "2026-03-01T08:00:00Z"
NOWHERE: Digest = "0" * 64
Keys = Mapping[NodeCode, Sequence[Signer]]
"""Every key each node ever had."""


@dataclass(frozen=True, slots=True)
class Lie:
    """`raw` must not be applied. `first`: true statements that come before it, of which one may be missing."""

    raw: bytes
    first: tuple[bytes, ...] = ()
    proves: tuple[NodeCode, Incarnation] | None = None
    """Who contradicts himself by it, so that everything he holds must freeze (R9)."""


@dataclass
class Scene:
    """What a lie is made from. `chain` is a topic as this node has it; the lie continues it."""

    batch: Batch
    chain: Chain
    opener_offer: Digest | None
    """The offer whose acceptance opened the term."""
    keys: Keys
    chance: random.Random
    source: NodeCode
    """The neighbour that passes the lie on."""
    others: list[NodeCode] = field(default_factory=list)
    """All nodes of the tree but this one."""

    @property
    def me(self) -> NodeCode:
        return self.batch.me

    @property
    def holder(self) -> tuple[NodeCode, Incarnation]:
        return self.chain.custodian, self.chain.inc

    def life(self, code: NodeCode) -> Incarnation:
        """The one a node lives in, as far as it is known here."""
        return self.batch.roster.members[code].inc

    def unborn(self, code: NodeCode) -> Incarnation:
        """One that nobody ever granted."""
        return Incarnation(self.life(code).number + 1, "ab" * 16)

    def signer(self, code: NodeCode, inc: Incarnation) -> Signer:
        """The key this incarnation signs with; for one that was never granted the node's last."""
        member = self.batch.roster.members[code]
        kid = member.kid_of(inc) or member.key.kid
        return next(key for key in self.keys[code] if key.kid == kid)

    def pick(self, codes: "set[NodeCode] | frozenset[NodeCode] | list[NodeCode]") -> NodeCode | None:
        """One of them that is known here and is not this node."""
        able = sorted(code for code in codes if code != self.me and self.batch.roster.get(code) is not None)
        return self.chance.choice(able) if able else None

    # ---- statements ---------------------------------------------------------------------------------------------

    def entry(self, who: tuple[NodeCode, Incarnation], kind: str, body: Frozen, **other: Any) -> bytes:
        """The next entry of the chain, as this node would write it, but for `other`."""
        rank = self.batch.roster.members[who[0]].tier.rank
        said = extend(self.chain, header(*who, AT), kind, body, _NONE, rank) | other
        return seal(said, ENTRY, self.signer(*who))

    def note(self, who: tuple[NodeCode, Incarnation], **other: Any) -> bytes:
        return self.entry(who, "noted", bodies.Noted(text="假话"), **other)

    def opened(self, code: NodeCode, inc: Incarnation, body: bodies.Opened, **other: Any) -> bytes:
        said = extend(None, header(code, inc, AT), "opened", body) | other
        return seal(said, ENTRY, self.signer(code, inc))

    def remark(self, who: tuple[NodeCode, Incarnation], entry: Digest, kind: str, body: Frozen) -> bytes:
        said = {**header(*who, AT), "topic": self.chain.topic, "entry": entry, "kind": kind, "parts": []}
        return seal(said | {"body": body.model_dump(mode="json")}, REMARK, self.signer(*who))

    def declined(self, who: tuple[NodeCode, Incarnation], offer: Digest) -> bytes:
        return self.remark(who, offer, "declined", Declined(code="incomplete", reason=""))

    def resumed(self, who: tuple[NodeCode, Incarnation], declined: bytes, **other: Any) -> bytes:
        assert self.chain.offer is not None
        body = bodies.Resumed(offer=self.chain.offer.id, declined=strict_json(declined))
        return self.entry(who, "resumed", body, **other)

    def registry(self, code: NodeCode, kind: str, body: Frozen, **other: Any) -> bytes:
        """The next entry of a node's registry chain."""
        inc = other.pop("inc", self.life(code))
        head = self.batch.roster.heads.get((code, inc))
        said = {**header(code, inc, AT), "seq": head.seq + 1 if head else 0, "prev": head.id if head else None}
        said |= {"kind": kind, "body": body.model_dump(mode="json"), "parts": []}
        return seal(said | other, REGISTRY, self.signer(code, inc))

    def offer(self, to: NodeCode, mode: str, to_inc: Incarnation | None = None) -> bodies.Offered:
        told = {"reason": "假话", "tried": None, "opinion": None, "instruction": "假话", "answer_by": None}
        told |= {"due_at": None, "suggested": None, "override_reason": "假话"}
        return bodies.Offered.model_validate({"to": to, "to_inc": to_inc or self.life(to), "mode": mode, **told})


_NONE: Sequence[PartRef] = ()


def all_keys(seed: int, machines: Mapping[NodeCode, int]) -> Keys:
    """`machines`: how many a node has had before the present one."""
    return {code: [Signer(private_key(seed, code, n)) for n in range(count + 1)] for code, count in machines.items()}
