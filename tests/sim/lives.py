"""What happens to whole machines and what people do then: backups, restores, copies, clones, new machines, claims."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from node.domain.errors import DomainError
from node.domain.refusals import AlreadyDecided, NotAllowed
from node.service import claims, guard, healing, life, links
from node.service.commit import Batch, write
from node.service.guard import GUARD
from node.service.joining import Renewal, enrol_child, finish_join, invite, join_request
from schemas import api
from schemas.ids import NodeCode, TopicId
from tests.sim import joining
from tests.sim.ledger import Violation
from tests.sim.machine import Copy, Machine, NoRoom
from tests.sim.operators import Order, carry_out

if TYPE_CHECKING:
    from tests.sim.world import World

COPIES_KEPT = 3
RESTORES_AT_ONCE = 3
CALLS_OF_CLONES = 6
CHIEFS = ("chief-1", "chief-2", "chief-3")
REASON = "原办理单位无法继续"


class Lives:
    """Events that change which machine a node runs on, or from which moment."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance: random.Random = world.chance

    def _count(self, name: str) -> None:
        self._world.tally.fault(name)

    def _machine(self) -> Machine:
        return self._chance.choice(self._world.joined)

    # ---- copies -------------------------------------------------------------------------------------------------

    def backup(self) -> str:
        """Copy a database; the epoch turns as `liandong backup` does. `whole`: the guard as well, as a VM is copied."""
        machine = self._machine()
        whole = "unnoticed-restore" in self._world.options.faults and self._chance.random() < 0.4
        whole = whole and bool(machine.inc.number)
        self._keep(machine, machine.copy(whole))
        if not whole and self._chance.random() < 0.7:
            try:
                with machine.at_work() as ctx:
                    guard.turn(ctx)
            except NoRoom:
                return f"{machine.code}: no room to turn the epoch"
        self._count("backup")
        return f"{machine.code}{' whole' if whole else ''}"

    def _keep(self, machine: Machine, copy: Copy) -> None:
        machine.copies.append(copy)
        if len(machine.copies) > COPIES_KEPT:
            machine.copies.pop(self._chance.randrange(len(machine.copies)))

    def _with_copies(self, whole: bool) -> list[Machine]:
        return [m for m in self._world.joined if any((copy.guard is not None) == whole for copy in m.copies)]

    # ---- restores -----------------------------------------------------------------------------------------------

    def restore(self) -> str:
        """One node, from any copy, up to three times in a row."""
        return self._restore_some(1)

    def restore_several(self) -> str:
        return self._restore_some(RESTORES_AT_ONCE)

    def _restore_some(self, count: int) -> str:
        able = [m for m in self._world.joined if m.copies]
        chosen = self._chance.sample(able, min(count, len(able)))
        if len(chosen) < min(count, 2):
            return "no copy"
        for machine in chosen:
            if machine.healing:
                self._count("restore-while-healing")
            for _ in range(self._chance.choice((1, 1, 2, 3))):
                self._restore(machine, self._chance.choice(machine.copies))
        self._count("restore" if count == 1 else "restore-several")
        if self._world.options.parent(chosen[0].code) is None:
            self._count("restore-of-the-root")
        return ", ".join(machine.code for machine in chosen)

    def _restore(self, machine: Machine, copy: Copy) -> None:
        """The guard stays as it is on the machine, and so it shows; within one epoch it shows when others are met."""
        self._forget(machine)
        if machine.fits(copy):
            self._put_back_unnoticed(machine, copy)
            return
        self._over(machine)
        machine.put_back(replace(copy, guard=None))
        if machine.inc.number:
            raise Violation(f"R10: {machine.code} was restored and did not notice")

    def _put_back_unnoticed(self, machine: Machine, copy: Copy) -> None:
        machine.put_back(copy)
        self._excuse(machine)
        machine.unmet = set(self._world.neighbours(machine.code))
        self._world.may_stop |= {"hash-mismatch", "peer-knows-more"}

    def _forget(self, machine: Machine) -> None:
        """What it acknowledged to people may be lost with its disk; what others have is not (checked at rest)."""
        world = self._world
        world.ledger.forget_sizes(machine.code)
        machine.refed = set(world.neighbours(machine.code))
        world.done = [done for done in world.done if done.order.node != machine.code]
        world.committed = {key: order for key, order in world.committed.items() if order.node != machine.code}

    def _over(self, machine: Machine) -> None:
        """Everything it ever lived in is over from here on, whatever it still knows of it."""
        machine.outlived = True
        said = self._world.ledger.payloads.values()
        self._world.ledger.over |= {
            (machine.code, tuple(item["inc"])) for item in said if item["author"] == machine.code
        }
        if machine.inc.number:
            self._world.ledger.over.add((machine.code, tuple(machine.inc)))

    def lost_guard(self) -> str:
        machine = self._machine()
        self._over(machine)
        (machine.settings.data / GUARD).unlink(missing_ok=True)
        machine.restart()
        if machine.inc.number:
            raise Violation(f"R10: {machine.code} lost its guard and goes on signing")
        self._count("lost-guard")
        return machine.code

    def unnoticed_restore(self) -> str:
        """Guard and database together: it shows when a neighbour is met that knows more."""
        able = self._with_copies(whole=True)
        if not able:
            return "no copy"
        machine = self._chance.choice(able)
        self._forget(machine)
        copies = [copy for copy in machine.copies if copy.guard is not None]
        self._put_back_unnoticed(machine, self._chance.choice(copies))
        self._count("unnoticed-restore")
        return machine.code

    def _excuse(self, machine: Machine) -> None:
        """The life it was set back into may sign anything again; so may the one it is to hear the grant of, where it
        was set back to before that."""
        self._world.network.forget_used(machine.code)
        number, nonce = machine.inc
        granted = self._world.checker.oracle.lives.get(machine.code, [])
        for inc in [machine.inc] if number else [inc for inc in granted if inc[1] == nonce]:
            self._world.ledger.excused.add((machine.code, tuple(inc)))
            self._world.ledger.over.discard((machine.code, tuple(inc)))

    def power_cut(self) -> str:
        machine = self._machine()
        torn = self._chance.randbytes(self._chance.choice((0, 17, 4096)))
        machine.lose_power(torn)
        self._count("power-cut")
        return machine.code

    def ended_by_hand(self) -> str:
        machine = self._machine()
        if not machine.inc.number:
            return f"{machine.code}: over already"
        try:
            self.end_by_hand(machine)
        except NoRoom:
            return f"{machine.code}: no room"
        return machine.code

    def end_by_hand(self, machine: Machine) -> None:
        lived = machine.inc
        try:
            with machine.at_work() as ctx, write(ctx) as batch:
                life.end(batch, "by-hand")
        finally:  # it may have died after the commit, or not have come so far
            if machine.inc != lived:
                self._over(machine)
                self._world.ledger.over.add((machine.code, tuple(lived)))
        self._count("ended-by-hand")

    def waive(self) -> str:
        """Somebody does not want to wait for a neighbour any longer."""
        able = [m for m in self._world.joined if m.healing]
        if not able:
            return "nobody heals"
        machine = self._chance.choice(able)
        with machine.at_work() as ctx:
            asked = [peer.code for peer in healing.view(ctx).peers if peer.state == "asked"]
            if not asked:
                return f"{machine.code}: nobody to waive"
            chosen = self._chance.choice(asked)
            try:
                with write(ctx) as batch:
                    healing.waive(batch, chosen, REASON)
            except NoRoom:
                return f"{machine.code}: no room"
        self._world.waived = True
        self._count("waive")
        return machine.code

    # ---- machines -----------------------------------------------------------------------------------------------

    def new_machine(self) -> str:
        """A node burns down; its parent invites another machine with another key in its place (SPEC 14.7)."""
        able = [m for m in self._world.joined if self._world.options.parent(m.code) and not self._world.below(m.code)]
        machine = self._chance.choice(able)
        parent = self._world.parent_of(machine)
        if not parent.inc.number or machine.code in self._world.burnt:
            return f"{machine.code}: not now"
        with parent.at_work() as ctx, write(ctx) as batch:
            if not joining.heed(batch, machine.code):
                return f"{machine.code}: not now"
        self._world.burnt.add(machine.code)
        self._forget(machine)
        self._over(machine)
        parent.fuse = machine.fuse = None
        revoked = self._chance.random() < 0.3
        machine.burn_down()
        with parent.at_work() as ctx, write(ctx) as batch:
            renewal = Renewal(REASON, revoked=revoked)
            token = invite(batch, machine.code, machine.tier, machine.ctx.identity.name, renewal)
        with machine.at_work() as ctx:
            request = join_request(ctx, token)
        with parent.at_work() as ctx:
            answer = enrol_child(ctx, request)
        with machine.at_work() as ctx:
            finish_join(ctx, token, answer)
        machine.renew()
        if machine.inc.number:
            raise Violation(f"R10: {machine.code} lives on a new machine without a grant")
        self._count("new-machine")
        return machine.code

    def clone(self) -> str:
        """A copy of a whole machine runs beside it; it shows as soon as both have called (R11)."""
        able = [m for m in self._world.joined if self._world.options.parent(m.code) and m.inc.number]
        if not able:
            return "nobody"
        machine = self._chance.choice(able)
        parent = self._world.parent_of(machine)
        if not parent.inc.number or parent.unmet or machine.unmet:
            return f"{machine.code}: not now"
        self._excuse(machine)
        self._forget(machine)
        machine.restored = True
        self._world.may_stop |= {"clone", "hash-mismatch", "peer-knows-more"}
        with self._world.quiet_line(machine.code):
            found = self._two_of(machine, parent)
        self._count("clone")
        return f"{machine.code}: {found}"

    def _two_of(self, machine: Machine, parent: Machine) -> str:
        """The copy and the node call in turn, until one of them is found out; then a person puts it right."""
        self._call(machine)
        other = machine.copy(whole=True)
        machine.restart()
        for turn in range(CALLS_OF_CLONES):
            self._call(machine)
            if self._found_out(machine, parent):
                break
            if turn and self._chance.random() < 0.5:
                self._write_something(machine)
            other = machine.swap(other)
        else:
            raise Violation(f"T9: two copies of {machine.code} have called {CALLS_OF_CLONES} times, and nobody noticed")
        if self._chance.random() < 0.5:
            machine.swap(other)
        if machine.inc.number:
            self.end_by_hand(machine)
        for one, peer in ((parent, machine.code), (machine, parent.code)):
            if one.rows("SELECT 1 FROM links WHERE peer = ? AND stopped IS NOT NULL", peer):
                lift(one, peer)
        return f"found out after {turn + 1} calls"

    def _call(self, machine: Machine) -> None:
        """One exchange with the parent, repeated until it is done or refused for good."""
        for _ in range(3):
            if ": sent" in self._world.exchange(machine, "push", budget=False):
                return

    def _write_something(self, machine: Machine) -> None:
        mine = [topic for topic in self._world.checker.order if machine.code in self._world.checker.deciders(topic)]
        if mine:
            order = Order(machine.code, "note", mine[0], api.NoteForm(text="副本"), f"{self._chance.getrandbits(64)}")
            carry_out(machine, order)

    def _found_out(self, machine: Machine, parent: Machine) -> bool:
        stopped = parent.rows("SELECT stopped FROM links WHERE peer = ?", machine.code)[0][0]
        return stopped == "clone" or not machine.inc.number

    # ---- claims -------------------------------------------------------------------------------------------------

    def claim(self) -> str:
        """An arbiter asks for topics that somebody below holds; now and then another arbiter does so, too."""
        topics = [t for t in self._world.checker.order if self._arbiters(t)]
        if not topics:
            return "nothing to claim"
        topic = self._chance.choice(topics)
        arbiters = self._arbiters(topic)
        chosen = self._chance.sample(arbiters, min(len(arbiters), self._chance.choice((1, 1, 2))))
        if len(chosen) > 1:
            self._count("parallel-claims")
        return ", ".join(self.ask_claim(machine, topic) for machine in chosen)

    def _arbiters(self, topic: TopicId) -> list[Machine]:
        """Nodes that may claim the topic now, as far as they know."""
        found = []
        for machine in self._world.joined:
            seen = self._world.checker.seen(machine.code, topic)
            if seen is None or not machine.inc.number or machine.code not in seen.chain.arbiters:
                continue
            below = self._world.below(machine.code)
            if seen.mine and seen.chain.custodian in below:
                found.append(machine)
        return found

    def ask_claim(self, machine: Machine, topic: TopicId, to: NodeCode | None = None) -> str:
        """One person asks, another approves or refuses; nobody alone can do both."""
        below = self._world.below(machine.code)
        seen = self._world.checker.seen(machine.code, topic)
        holder = seen.chain.custodian if seen else None
        if to is None and self._chance.random() < 0.6:
            to = self._chance.choice([code for code in below if code != holder] or [None])
        form = api.ClaimForm(topics=[topic], to=to, reason=REASON)
        try:
            with machine.at_work() as ctx:
                with write(ctx) as batch:
                    asked = claims.request(_as(batch, CHIEFS[0]), form)
                if self._chance.random() < 0.1:
                    with write(ctx) as batch:
                        claims.refuse(_as(batch, CHIEFS[1]), asked.id, REASON)
                    self._try_after_all(machine, asked.id)
                    return f"{machine.code} refused"
                self._try_alone(machine, asked.id)
                with write(ctx) as batch:
                    claims.approve(_as(batch, CHIEFS[1]), asked.id)
        except (DomainError, NoRoom) as error:
            return f"{machine.code} {type(error).__name__}"
        self._count("rehome" if to else "claim")
        return f"{machine.code} {self._world.checker.number(topic)} to {to}"

    def _try_after_all(self, machine: Machine, id: str) -> None:
        try:
            with machine.at_work() as ctx, write(ctx) as batch:
                claims.approve(_as(batch, CHIEFS[2]), id)
        except AlreadyDecided:
            return
        raise Violation(f"R7: a claim of {machine.code} that was refused is approved")

    def _try_alone(self, machine: Machine, id: str) -> None:
        try:
            with machine.at_work() as ctx, write(ctx) as batch:
                claims.approve(_as(batch, CHIEFS[0]), id)
        except NotAllowed:
            return
        raise Violation(f"R7: one person alone had a claim of {machine.code} made")


def _as(batch: Batch, actor: str) -> Batch:
    batch.actor = actor
    return batch


def lift(machine: Machine, peer: NodeCode) -> None:
    """A person lets a stopped link go on."""
    with machine.at_work() as ctx, write(ctx) as batch:
        links.lift(batch, peer, REASON)
