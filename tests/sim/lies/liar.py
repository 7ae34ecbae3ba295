"""Now and then, between two steps, a node is told lies; what it makes of them is undone, so that the run goes on."""

import random
from typing import TYPE_CHECKING

from sqlalchemy import select

from node.service import receive, retry
from node.service.commit import Batch, write
from node.store import tables as t
from node.store.codec import inc_text
from schemas import entry as bodies
from schemas.ids import Digest, TopicId
from sync.custody import Chain
from sync.sealing import parse
from tests.sim.ledger import Violation
from tests.sim.lies import links, topics, trees
from tests.sim.lies.scene import Lie, Scene, all_keys
from tests.sim.machine import Machine

if TYPE_CHECKING:
    from tests.sim.world import World

LIES_AT_ONCE = 20
"""Tried in one transaction; of many there is nothing to tell about the topic at hand."""


class _Undone(Exception):
    """Ends the transaction in which lies were told."""


class Liar:
    """Has a randomness of its own: whether anybody lies changes nothing else of a run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = random.Random(f"{world.options.seed} lies")

    def perhaps(self) -> None:
        """Raises Violation where a lie was taken for true."""
        if self._chance.random() >= self._world.options.lying:
            return
        machine = self._chance.choice(self._world.joined)
        topic = self._topic(machine)
        if topic is None or machine.fuse is not None:
            return
        fair = [*topics.LIES, *trees.LIES]
        chosen = self._chance.sample(fair, LIES_AT_ONCE)
        last = self._chance.choice([*topics.CONTRADICTIONS, *trees.CONTRADICTIONS, *links.ATTEMPTS])
        with machine.at_work() as ctx:
            try:
                with write(ctx) as batch:
                    chain = batch.working(topic).chain
                    if chain is None or batch.me not in chain.participants:
                        raise _Undone  # it is here for a branch that was lost
                    scene = self._scene(batch, chain)
                    for tell in chosen:
                        self._check(scene, tell.__name__, tell(scene))
                    self._finally(scene, last)
                    raise _Undone
            except _Undone:
                self._world.tally.lies += 1

    def _topic(self, machine: Machine) -> TopicId | None:
        known = [row[0] for row in machine.rows("SELECT id FROM topics WHERE mine AND status != 'frozen' ORDER BY id")]
        return self._chance.choice(known) if known else None

    def _scene(self, batch: Batch, chain: Chain) -> Scene:
        machines = self._world.machines
        known = [code for code in sorted(batch.roster.members) if code != batch.me]
        source = self._chance.choice(sorted(batch.roster.neighbours(batch.me)))
        keys = all_keys(self._world.options.seed, {code: machines[code].replaced for code in machines})
        return Scene(batch, chain, self._opener_offer(chain), keys, self._chance, source, known)

    def _opener_offer(self, chain: Chain) -> Digest | None:
        opener = self._world.checker.oracle.courses[chain.head].opener
        offer: Digest | None = opener["body"].get("offer")
        return offer

    def _check(self, scene: Scene, name: str, lie: Lie | None) -> None:
        """Held, deferred or refused, whatever the code; it only must not become true."""
        if lie is None:
            return
        for raw in lie.first:
            if _told(scene, raw) != "applied":
                return
        if (said := _told(scene, lie.raw)) in ("applied", "duplicate"):
            raise Violation(f"{_rule(name)}: {scene.me} took a lie for true: {name}")
        if lie.proves is None:
            return
        who, inc = lie.proves
        proven = (t.equivocations.c.author == who, t.equivocations.c.inc == inc_text(inc))
        if scene.batch.conn.execute(select(t.equivocations.c.kept).where(*proven)).first() is None:
            raise Violation(f"R9: {scene.me} kept no proof of a contradiction: {name}: {said}")
        self._after_proof(scene, lie)

    def _after_proof(self, scene: Scene, lie: Lie) -> None:
        """Who contradicted himself writes no more (R9)."""
        assert lie.proves is not None
        chain = scene.batch.working(scene.chain.topic).chain
        if chain is None or (chain.custodian, chain.inc) != lie.proves or chain.offer or chain.closed:
            return
        scene.chain = chain
        if _told(scene, scene.entry(lie.proves, "noted", bodies.Noted(text="再说"))) == "applied":
            raise Violation(f"R9: {scene.me} goes on listening to one who contradicted himself")

    def _finally(self, scene: Scene, last: "topics.Told | links.Tried") -> None:
        """One that would leave its traces even where the node does everything right."""
        found = last(scene)
        if isinstance(found, str):
            raise Violation(f"{found} ({scene.me})")
        if isinstance(found, Lie):
            self._check(scene, last.__name__, found)


def _told(scene: Scene, raw: bytes) -> str:
    """What becomes of a statement that a neighbour brings."""
    item, result = retry.reopen(raw, parse(raw).id, scene.batch.roster)
    return receive._judge(scene.batch, scene.source, item, result)[0]


def _rule(name: str) -> str:
    """Which rule a lie is against."""
    return _RULES.get(name, "R1")


_RULES = {
    "writes_over_its_offer": "R2",
    "writes_twice": "R9",
    "accepts_what_it_declined": "R3",
    "declines_what_it_accepted": "R3",
    "resumes_on_another_no": "R5",
    "rehomes_without_a_claim": "R6",
    "offers_over_an_open_part": "R17",
    "closes_over_an_open_part": "R17",
    "closes_and_forgets_a_part": "R17",
    "ends_a_part_there_is_not": "R17",
    "opens_a_part_of_nothing": "R17",
    "signs_with_a_revoked_key": "R19",
    **{lie.__name__: "R10" for lie in trees.LIES if lie.__name__ != "signs_with_a_revoked_key"},
}
