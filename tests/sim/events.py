"""Faults that happen to a node or a link at a moment of their own: crashes to come, cuts, jumps, sticks."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

from node.domain.refusals import NotFound, Refusal
from node.service.bundle import export_bundle, import_bundle
from node.service.commit import write
from node.service.exchange import Content, Envelope, document
from node.service.intake import import_topics
from node.service.published import publish
from node.service.receive import receive_file
from schemas.exchange import BYTES_DEFAULT, Budget
from schemas.ids import NodeCode
from sync.errors import BadDocument, SyncError
from tests.sim import joining, lives
from tests.sim.chance import SKEW_MAX_S
from tests.sim.checks import LinkRow
from tests.sim.ledger import Violation
from tests.sim.machine import Machine, NoRoom
from tests.sim.network import corrupt, cut, replay
from tests.sim.operators import Done, carry_out, check_repeat
from tests.sim.options import EVENT_FAULTS, LIVES_FAULTS

if TYPE_CHECKING:
    from tests.sim.world import World

Act = Callable[[], str]
BUNDLES_KEPT = 8
SHEET_ROWS = 3
SHEET = "编号,标题,内容\n1,城关区路灯,不亮\n2,积水,下雨就积水\n3,积水,下雨就积水\n"
POWERS = "category,function,tier,body,area,source\n城乡建设/安全生产,decide,{tier},县级人民政府,,假定\n"


class Events:
    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance
        faults = [name for name in EVENT_FAULTS if name in world.options.faults]
        self._names = [*faults, "replay", "publish", "import"]
        self.lives = lives.Lives(world)
        mine = [name for name in LIVES_FAULTS if name in world.options.faults]
        self._names += [*mine, *(["backup"] if mine else []), *(["claim"] if "claim" in mine else [])]
        if world.options.late:
            self._names.append("late-joiner")
        if world.options.old and not world.options.stays_old:
            self._names.append("upgrade")

    def happen(self) -> str:
        """One of the enabled faults."""
        name = self._chance.choice(self._names)
        act = getattr(self.lives, name.replace("-", "_"), None) or getattr(self, "_" + name.replace("-", "_"))
        try:
            return f"{name} {act()}"
        except NoRoom:  # a person at the machine is told
            return f"{name}: no room"

    def _count(self, name: str) -> None:
        self._world.tally.fault(name)

    def _machine(self) -> Machine:
        return self._chance.choice(self._world.joined)

    def _link(self) -> tuple[Machine, Machine]:
        """A node and one of its neighbours, either way round."""
        child = self._chance.choice([m for m in self._world.joined if self._world.options.parent(m.code)])
        ends = (child, self._world.parent_of(child))
        return ends if self._chance.random() < 0.5 else (ends[1], ends[0])

    # ---- processes ----------------------------------------------------------------------------------------------

    def _arm(self, kind: str, writes_max: int = 0) -> str:
        machine = self._machine()
        self._world.arm(machine, kind, self._chance.randint(0, writes_max))
        return machine.code

    def _crash_in_transaction(self) -> str:
        return self._arm("crash-in-transaction", 12)

    def _crash_at_commit(self) -> str:
        return self._arm("crash-at-commit")

    def _crash_after_commit(self) -> str:
        return self._arm("crash-after-commit")

    def _disk_full(self) -> str:
        return self._arm("disk-full", 12)

    def _restart(self) -> str:
        machine = self._machine()
        machine.restart(self._chance.choice((0, 0, 1, 2)))
        self._count("restart")
        return machine.code

    def _clock_jump(self) -> str:
        machine = self._machine()
        far = self._chance.choice((60, 86_400, SKEW_MAX_S))
        machine.clock.skew_s += self._chance.randint(-far, far)
        self._count("clock-jump")
        return machine.code

    def _upgrade(self) -> str:
        old = [machine for machine in self._world.machines.values() if not machine.knows_new]
        if not old or self._chance.random() < 0.7:
            return "nobody"
        machine = self._chance.choice(old)
        machine.knows_new = True
        machine.restart()
        self._count("older-version")
        return machine.code

    # ---- lines --------------------------------------------------------------------------------------------------

    def _link_down(self) -> str:
        child = self._child()
        self._world.network.line(child.code).down_until = self._world.step_no + self._chance.randint(5, 60)
        self._count("link-down")
        return child.code

    def _one_way_link(self) -> str:
        child = self._child()
        self._world.network.line(child.code).mute_until = self._world.step_no + self._chance.randint(5, 60)
        self._count("one-way-link")
        return child.code

    def _child(self) -> Machine:
        return self._chance.choice([m for m in self._world.joined if self._world.options.parent(m.code)])

    def _replay(self) -> str:
        kept = self._world.network.kept
        if not kept:
            return "nothing"
        item = self._chance.choice(kept)
        said: list[str] = []
        replay(self._world.network, self._world.machines, item, said.append)
        return f"{item.to}: {said[0]}"

    # ---- sticks -------------------------------------------------------------------------------------------------

    def _bundle(self) -> str:
        """Write a bundle for a neighbour; it arrives whenever it arrives."""
        sender, receiver = self._link()
        with sender.at_work() as ctx:
            try:
                raw = export_bundle(ctx, receiver.code, plain=True)
            except NotFound:
                return f"{sender.code} was set back to before it knew {receiver.code}"
        self._world.see(raw)
        self._world.ledger.check_released(raw)
        bundles = self._world.bundles
        bundles.append((receiver.code, raw))
        if len(bundles) > BUNDLES_KEPT:
            bundles.pop(self._chance.randrange(len(bundles)))
        self._count("bundle")
        if self._chance.random() < 0.6:
            return f"{sender.code} to {receiver.code}: {self._read_bundle(receiver, raw)}"
        return f"{sender.code} to {receiver.code}: on its way"

    def _bundle_piece(self) -> str:
        """A document with only some of what the other has not acknowledged: one piece of many, lost or early."""
        fullest = self._backlog()
        if fullest is None:
            return "whoever would write one was set back to before it knew the other"
        sender, receiver, link = fullest
        start = self._chance.randint(link.acked, max(link.acked, link.sent - 1))
        room = Budget(items=self._chance.randint(1, 4), bytes=BYTES_DEFAULT, wait_s=0)
        envelope = Envelope(receiver.code, "file", None, None, None, None, room)
        with sender.at_work() as ctx:
            raw, count = document(ctx, envelope, Content(start, room))
        self._world.see(raw)
        self._world.ledger.check_released(raw)
        self._world.network.kept_pieces.append((receiver.code, raw))
        self._count("bundle-piece")
        if self._chance.random() < 0.3:
            return f"{sender.code} to {receiver.code}: {count} after {start}, on their way"
        return f"{sender.code} to {receiver.code}: {count} after {start}, {self.take_piece(receiver.code, raw)}"

    def _backlog(self) -> tuple[Machine, Machine, LinkRow] | None:
        """The fullest of a few links, as far as their senders know of them."""
        found = []
        for _ in range(4):
            sender, receiver = self._link()
            link = self._world.checker.account(sender.code).links.get(receiver.code)
            found += [(sender, receiver, link)] if link is not None else []
        return max(found, key=lambda item: item[2].sent - item[2].acked, default=None)

    def take_piece(self, to: NodeCode, raw: bytes) -> str:
        try:
            with self._world.machines[to].at_work() as ctx:
                found = receive_file(ctx, raw)
        except SyncError as error:
            if not self._world.tolerates(error, self._world.machines[to], None):
                raise Violation(f"I14: {to} refused an honest document: {error}") from error
            return error.code
        except NoRoom:
            return "no room"
        return f"applied {found.applied}"

    def _bundle_again(self) -> str:
        """Any bundle there is, whether it has been read before or not, in any order."""
        pieces = self._world.network.kept_pieces
        if pieces and self._chance.random() < 0.5:
            self._count("bundle-again")
            return self.take_piece(*self._chance.choice(pieces))
        if not self._world.bundles:
            return "none"
        to, raw = self._chance.choice(self._world.bundles)
        self._count("bundle-again")
        return f"{to}: {self._read_bundle(self._world.machines[to], raw)}"

    def _bundle_damaged(self) -> str:
        if not self._world.bundles:
            return "none"
        to, raw = self._chance.choice(self._world.bundles)
        machine = self._world.machines[to]
        spoil = corrupt if self._chance.random() < 0.5 else cut
        bad = spoil(self._world.network.where, raw)
        commits = machine.commits
        self._count("bundle-damaged")
        try:
            with machine.at_work() as ctx:
                import_bundle(ctx, bad)
        except BadDocument as error:
            if machine.commits != commits:
                raise Violation("I21: a damaged bundle changed something") from error
            return f"{to}: {error.code}"
        except NoRoom:
            return f"{to}: no room"
        raise Violation("I21: a damaged bundle was taken")

    def again(self, to: NodeCode, raw: bytes) -> str:
        """A bundle once more, when everything has arrived."""
        return f"bundle {to}: {self._read_bundle(self._world.machines[to], raw)}"

    def _read_bundle(self, machine: Machine, raw: bytes) -> str:
        try:
            with machine.at_work() as ctx:
                view = import_bundle(ctx, raw)
        except BadDocument as error:
            if not self._world.tolerates(error, machine, None):
                raise Violation(f"I14: {machine.code} refused an honest bundle: {error}") from error
            return error.code
        except NoRoom:
            return "no room"
        return f"applied {view.applied} duplicates {view.duplicates} deferred {view.deferred} held {view.held}"

    # ---- people and the tree ------------------------------------------------------------------------------------

    def _client_repeats(self) -> str:
        """A client that lost the answer asks again with the same key."""
        if not self._world.done:
            return "nothing"
        first = self._chance.choice(self._world.done)
        machine = self._world.machines[first.order.node]
        second = carry_out(machine, first.order)
        self._count("client-repeats")
        if second != "no room":
            check_repeat(first, second)
        return f"{first.order.node} {first.order.name}: {'the same' if isinstance(second, Done) else second}"

    def _publish(self) -> str:
        machine = self._machine()
        if self._world.published >= 2 or not machine.inc.number:
            return "not now"
        content = POWERS.format(tier=self._chance.choice(("county", "city"))).encode()
        try:
            with machine.at_work("second-process" in self._world.options.faults) as ctx, write(ctx) as batch:
                publish(batch, "powers", content)
        except NoRoom:
            return f"{machine.code}: no room"
        self._world.published += 1
        return machine.code

    def _import(self) -> str:
        """The same sheet again and again: every row of it becomes one topic, whenever a process dies."""
        if len(self._world.checker.order) >= self._world.options.topics_max:
            return "enough"
        machine = self._machine()
        if not machine.inc.number:
            return "not now"
        with machine.at_work() as ctx:
            try:
                view = import_topics(ctx, "importer", BytesIO(SHEET.encode()), "sheet.csv")
            except NoRoom:
                return f"{machine.code}: no room"
        here = machine.rows("SELECT count(*) FROM audit WHERE action = 'import'")[0][0]
        if view.errors or view.created + view.skipped != SHEET_ROWS or (here != SHEET_ROWS and not machine.restored):
            raise Violation(f"I13: an imported sheet of {SHEET_ROWS} rows gave {view}, {here} topics")
        self._world.tally.verbs["import"] += 1
        return f"{machine.code}: created {view.created} skipped {view.skipped}"

    def _late_joiner(self) -> str:
        waiting = [code for code in self._world.options.late if not self._world.machines[code].joined]
        if not waiting:
            return "nobody"
        code = self._chance.choice(waiting)
        if not self._world.parent_of(self._world.machines[code]).inc.number:
            return "not now"
        if self._chance.random() < 0.3:
            kind = self._chance.choice(("crash-at-commit", "crash-after-commit"))
            self._world.arm(self._world.machines[code], kind, 0)
        try:
            joining.join(self._world, code)
        except NoRoom:
            return f"{code}: no room"
        except Refusal as error:
            raise Violation(f"I22: {code} cannot join: {error}") from error
        self._count("late-joiner")
        return code
