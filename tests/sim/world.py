"""The run: nodes, network and people made from one seed, and the steps they take in turn."""

import hashlib
import random
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.service.exchange import Lane, call
from schemas.ids import NodeCode
from sync.delivery import Allowance
from sync.errors import SyncError, TransportError
from tests.sim import events, joining, looking, ticks
from tests.sim.chance import SimClock, Time
from tests.sim.checks import Checker
from tests.sim.ledger import Ledger, Violation
from tests.sim.lies.liar import Liar
from tests.sim.machine import Crash, Fuse, Gone, Machine, NoRoom
from tests.sim.network import Network, Wire
from tests.sim.operators import Done, Operators, Order, carry_out
from tests.sim.options import Options
from tests.sim.tally import Tally

LAST_STEPS = 20
NESTED_MAX = 2
_KINDS = {"operate": 42, "exchange": 36, "event": 12, "tick": 8, "look": 2}
_OUTLIVED = ("wrong-incarnation", "link-stopped", "unknown-peer", "bad-seal", "challenged-twice")
"""How a node may refuse an honest neighbour while one of them is not the one that the other knows."""


class World:
    def __init__(self, folder: Path, options: Options) -> None:
        self.options = options
        self.folder = folder
        self.chance = random.Random(f"{options.seed} steps")
        self.time = Time()
        self.ledger = Ledger()
        self.tally = Tally()
        self.network = Network(self)
        self.done: list[Done] = []
        self.committed: dict[str, Order] = {}
        """By key: every command that was done, acknowledged or not."""
        self.step_no = 0
        self.last: deque[str] = deque(maxlen=LAST_STEPS)
        self._trace = hashlib.sha256()
        self._nested = 0
        self.machines: dict[NodeCode, Machine] = {}
        for code, skew_s in zip(options.codes, options.skews_s, strict=True):
            clock = SimClock(self.time, options.seed, code, skew_s)
            self.machines[code] = Machine(folder, code, options.tier(code), clock, self.ledger, options.seed)
        self.checker = Checker(self)
        self.operators = Operators(self)
        self.liar = Liar(self)
        self.tokens: dict[NodeCode, str] = {}
        self.published = 0
        self.events = events.Events(self)
        self.bundles: list[tuple[NodeCode, bytes]] = []
        self.may_stop: set[str] = set()
        """Why a link may stop by now: something has happened that no node can put right alone."""
        self.burnt: set[NodeCode] = set()
        self.waived = False
        """Whether somebody ever chose not to wait for a neighbour that may know more."""
        for code in options.codes:
            self.machines[code].knows_new = code not in options.old
            if code not in (options.codes[0], *options.late):
                joining.join(self, code)
        self.checker.after_step()

    def close(self) -> None:
        for machine in self.machines.values():
            machine.close()

    # ---- steps --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """The safety phase: everything may go wrong."""
        for _ in range(self.options.steps):
            self.step()
            self.liar.perhaps()

    def step(self) -> None:
        """One random step, and the checks after it."""
        self.step_no += 1
        self.time.elapsed_s += self.chance.choice((0.01, 1, 30))
        kind = self.chance.choices(list(_KINDS), list(_KINDS.values()))[0]
        if kind == "operate":
            self.guarded("operate", self._operate)
        elif kind == "exchange":
            self.guarded("exchange", lambda: self.exchange(self._caller(), self.chance.choice(("push", "wait"))))
        elif kind == "tick":
            self.guarded("tick", lambda: ticks.tick(self, self._anyone()))
        elif kind == "look":
            self.guarded("look", lambda: looking.look(self._anyone(), self.step_no))
        else:
            self.guarded("event", self.events.happen)

    def guarded(self, kind: str, act: "events.Act") -> str:
        """Play one step: a crash ends its process, anything unforeseen is a violation."""
        self.tally.steps += 1
        try:
            outcome = act()
        except Crash as crash:
            assert crash.machine is not None
            crash.machine.restart()
            outcome = f"{crash.machine.code} crashed"
        except Gone:
            outcome = "caller is gone"
        except Violation:
            self.note(kind, "VIOLATION")
            raise
        except Exception as error:
            self.note(kind, "BROKE")
            where = "".join(traceback.format_exception(error)[-6:])
            raise Violation(f"I22: {type(error).__name__} out of a node: {error}\n{where}") from error
        for machine in self.machines.values():
            for name in machine.blown:
                self.tally.fault(name)
            machine.blown.clear()
        self.note(kind, outcome)
        self.checker.after_step()
        return outcome

    def meanwhile(self) -> None:
        """Other things happen while a call is under way."""
        if self._nested >= NESTED_MAX or self.network.calm:
            return
        self._nested += 1
        try:
            for _ in range(self.chance.randint(1, 4)):
                self.step()
        finally:
            self._nested -= 1

    def note(self, kind: str, outcome: str) -> None:
        line = f"{self.step_no:5} {'  ' * self._nested}{kind}: {outcome}"
        self.last.append(line)
        self._trace.update(line.encode())

    def see(self, raw: bytes) -> None:
        """What is sent becomes part of the trace."""
        self._trace.update(raw)

    @property
    def trace(self) -> str:
        return self._trace.hexdigest()

    # ---- who ----------------------------------------------------------------------------------------------------

    @property
    def joined(self) -> list[Machine]:
        return [machine for machine in self.machines.values() if machine.joined]

    def _anyone(self) -> Machine:
        return self.chance.choice(self.joined)

    def _caller(self) -> Machine:
        """A child: mostly one whose link has something to carry."""
        children = [machine for machine in self.joined if self.options.parent(machine.code)]
        behind = [child for child in children if self.checker.behind(child.code, self.parent_of(child).code)]
        return self.chance.choice(behind if behind and self.chance.random() < 0.7 else children)

    def below(self, code: NodeCode) -> list[NodeCode]:
        """The nodes under this one that are in the tree by now."""
        found = []
        for machine in self.joined:
            above = self.options.parent(machine.code)
            while above is not None and above != code:
                above = self.options.parent(above)
            found += [machine.code] if above == code else []
        return found

    def neighbours(self, code: NodeCode) -> list[NodeCode]:
        above = self.options.parent(code)
        return [other.code for other in self.joined if other.code == above or self.options.parent(other.code) == code]

    def tolerates(self, error: SyncError, receiver: Machine, sender: Machine | None) -> bool:
        """Whether an honest document may be refused so: after a restore or other end of a life, until both have met."""
        ends = [receiver, *([sender] if sender else self.joined)]
        return error.code in _OUTLIVED and any(end.restored or end.outlived or end.code in self.burnt for end in ends)

    @contextmanager
    def quiet_line(self, code: NodeCode) -> Iterator[None]:
        """Nothing goes wrong for a moment between a node and its parent."""
        parent = self.parent_of(self.machines[code])
        self.machines[code].fuse = parent.fuse = None
        self.network.lines.pop(code, None)
        self.network.calm = True
        try:
            yield
        finally:
            self.network.calm = False

    def parent_of(self, machine: Machine) -> Machine:
        above = self.options.parent(machine.code)
        assert above is not None
        return self.machines[above]

    # ---- acting -------------------------------------------------------------------------------------------------

    def _operate(self) -> str:
        chosen = self.operators.choose()
        if chosen is None:
            return self.exchange(self._caller(), "push")
        return self.order(*chosen)

    def order(self, machine: Machine, order: Order) -> str:
        """One command; a client that hears nothing may send it again, to whatever process answers then."""
        name = f"{machine.code} {order.name}"
        if order.topic is not None and self.checker.known(order.topic):
            name += f" {self.checker.number(order.topic)}"
        commits = machine.commits
        if order.side:
            self.tally.fault("second-process")
        try:
            found = carry_out(machine, order)
        except Crash:
            if machine.commits != commits:
                self.committed[order.key] = order
            machine.restart()
            if self.chance.random() < 0.5:
                return f"{name}: crashed, not asked again"
            found = carry_out(machine, order)
        if isinstance(found, str):
            self.tally.refused[found] += 1
            return f"{name}: {found}"
        self.tally.verbs[order.name] += 1
        if order.name == "recall" and order.topic is not None and self.checker.decided(order.node, order.topic):
            self.tally.fault("recall-race")
        self.committed[order.key] = order
        self.done.append(found)
        return f"{name}: done {found.head[:8]}"

    def exchange(self, child: Machine, lane_name: str, budget: bool = True) -> str:
        """One call of a child over one of its lanes."""
        name = f"{child.code} {lane_name}"
        if lane_name in child.busy:
            return f"{name}: busy"
        lane = self._lane(child, lane_name)
        wire = lane.transport
        assert isinstance(wire, Wire)
        wire.damaged = wire.clean = False
        if budget and self.network.strikes("small-budget"):
            lane.allowance = Allowance(items=1, bytes=1024)
        child.busy.add(lane_name)
        epoch = child.epoch
        ends = (child, self.parent_of(child))
        before, healed = [end.generation for end in ends], [end for end in ends if end.healing]
        try:
            with child.at_work() as ctx:
                view = call(ctx, lane, 25 if lane_name == "wait" else 0)
        except TransportError as error:
            if wire.clean and not self.tolerates(error, child, self.parent_of(child)):
                raise Violation(f"I14: {child.code} refused an honest reply: {error}") from error
            self.tally.exchanges[error.code] += 1
            return f"{name}: {error.code}"
        except NoRoom:
            return f"{name}: no room"
        finally:
            if child.epoch == epoch:
                child.busy.discard(lane_name)
        if wire.damaged:
            raise Violation("I21: a damaged reply was taken")
        self.tally.exchanges["done"] += 1
        if before == [end.generation for end in ends]:
            ends[0].unmet.discard(ends[1].code)
            ends[1].unmet.discard(ends[0].code)
        for end in healed:
            if (
                end.code,
                tuple(end.inc),
            ) in self.ledger.excused:  # it lived in it before, and was set back to before that
                end.unmet = set(self.neighbours(end.code))
        return f"{name}: sent {view.sent} received {view.received} backlog {view.backlog}"

    def _lane(self, child: Machine, name: str) -> Lane:
        if name not in child.lanes:
            parent = self.parent_of(child)
            acked = child.rows("SELECT acked_seq FROM links WHERE peer = ?", parent.code)[0][0]
            wire = Wire(self.network, child, parent)
            lane = Lane(parent.code, name, child.clock.token(16), wire, start=acked)  # type: ignore[arg-type]
            child.lanes[name] = lane
        return child.lanes[name]

    def arm(self, machine: Machine, kind: str, left: int) -> None:
        machine.fuse = Fuse(kind, left)
