"""What stands for HTTP between the nodes: a Wire for each lane, with everything a line can do to a document.

Other steps of the run may happen while a call is under way (a slow reply, a held one): nothing of a node is locked
then, so they are played right inside the call.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from node.api.problems import answer
from node.service import exchange
from node.service.receive import Received, receive_request
from schemas.ids import NodeCode
from sync.errors import SyncError, TransportError
from sync.transport import Reply, TimedOut
from tests.sim.ledger import Violation
from tests.sim.machine import Crash, Gone, Machine, NoRoom

if TYPE_CHECKING:
    from tests.sim.world import World

LOST_AS_TIMEOUT = 0.5
KEPT_MAX = 12


@dataclass
class Line:
    """The state of one link: until which step it is down, or carries requests but no replies."""

    down_until: int = 0
    mute_until: int = 0


@dataclass
class Kept:
    """A request somebody recorded, to be sent again."""

    to: NodeCode
    raw: bytes
    used: bool = False
    """Whether it was taken: then its challenge is used up, and it reads nothing out any more."""


@dataclass
class Network:
    world: "World"
    lines: dict[NodeCode, Line] = field(default_factory=dict)
    """By child: a tree has one link for each."""
    kept: list[Kept] = field(default_factory=list)
    kept_pieces: list[tuple[NodeCode, bytes]] = field(default_factory=list)
    """Documents on sticks, of which each may arrive at any time, or again."""
    calm: bool = False
    """The liveness phase: nothing goes wrong any more."""
    where: random.Random = field(init=False)
    """Draws the byte at which something is damaged."""

    def __post_init__(self) -> None:
        """Where a run is played by other clocks as well, the byte is drawn apart. How long a document is may hang on
        the order of identities, these on the times in them, and a length decides how often is drawn for a place in it:
        all that is drawn from the same source after that would be something else."""
        options, chance = self.world.options, self.world.chance
        self.where = random.Random(f"{options.seed} bytes") if options.twin else chance

    def line(self, child: NodeCode) -> Line:
        return self.lines.setdefault(child, Line())

    def strikes(self, fault: str) -> bool:
        """Whether this fault happens to the exchange under way."""
        options = self.world.options
        if self.calm or fault not in options.faults or self.world.chance.random() >= options.fault_rate:
            return False
        self.world.tally.fault(fault)
        return True

    def taken(self, raw: bytes) -> None:
        for item in self.kept:
            item.used |= item.raw == raw

    def forget_used(self, code: NodeCode) -> None:
        """The node is an older copy of itself, which has not yet used the challenges it has used."""
        for item in self.kept:
            item.used &= item.to != code

    def keep(self, to: NodeCode, raw: bytes) -> None:
        self.kept.append(Kept(to, raw))
        if len(self.kept) > KEPT_MAX:
            self.kept.pop(self.world.chance.randrange(len(self.kept)))


class Wire:
    """Carries the calls of one lane of a child to its parent."""

    def __init__(self, network: Network, child: Machine, parent: Machine) -> None:
        self._network, self._child, self._parent = network, child, parent
        self.damaged = False
        """Whether the last call brought a reply that was not the one sent."""
        self.clean = False
        """Whether it brought a sealed reply as it was sent."""

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        epoch = self._child.epoch
        self.clean = False
        try:
            reply = self._carry(body)
        except TransportError:
            self._check_alive(epoch)
            raise
        self._check_alive(epoch)
        return reply

    def close(self) -> None:
        pass

    def _check_alive(self, epoch: int) -> None:
        if self._child.epoch != epoch:
            raise Gone

    def _carry(self, body: bytes) -> Reply:
        network, world = self._network, self._network.world
        line = network.line(self._child.code)
        world.ledger.check_released(body)
        world.see(body)
        if line.down_until > world.step_no or network.strikes("request-lost"):
            raise self._lost()
        if network.strikes("request-twice"):
            network.keep(self._parent.code, body)
        sent = damage(network, "request", body)
        received, epoch = self._deliver(body, sent), self._parent.epoch
        if not isinstance(received, Received):
            return received
        if network.strikes("reply-late"):
            world.meanwhile()
        if self._parent.epoch != epoch:
            raise TransportError("unreachable", "connection closed")
        reply = self._reply(received)
        check_reply(world, received, reply)
        world.see(reply)
        if line.mute_until > world.step_no or network.strikes("reply-lost"):
            raise self._lost()
        back = damage(network, "reply", reply)
        if network.strikes("reply-late"):
            world.meanwhile()
        self.clean = back == reply
        self.damaged |= back != reply
        return Reply(exchange.CHALLENGED if received.challenged else 200, back)

    def _deliver(self, body: bytes, sent: bytes) -> Received | Reply:
        parent, commits = self._parent, self._parent.commits
        try:
            with parent.at_work() as ctx:
                received = receive_request(ctx, sent)
        except SyncError as error:
            if sent == body and not self._network.world.tolerates(error, parent, self._child):
                raise Violation(
                    f"I14: {parent.code} refused an honest document of {self._child.code}: {error}"
                ) from error
            if parent.commits != commits:
                raise Violation("I21: a damaged document changed something") from error
            said = answer(error)
            return Reply(said.status_code, bytes(said.body))
        except NoRoom:
            return Reply(503, b"")
        except Crash as crash:
            if crash.machine is not parent:
                raise
            parent.restart()
            raise TransportError("unreachable", "connection closed") from None
        if sent != body:
            raise Violation("I21: a damaged document was taken")
        if not received.challenged:
            self._network.taken(body)
        return received

    def _reply(self, received: Received) -> bytes:
        with self._parent.at_work() as ctx:
            if received.document.header.lane == "wait" and not received.challenged:
                exchange.has_news(ctx, received)
            return exchange.reply_to(ctx, received)

    def _lost(self) -> TransportError:
        if self._network.world.chance.random() < LOST_AS_TIMEOUT and self._network.strikes("time-out"):
            return TimedOut("timeout", "lost")
        return TransportError("unreachable", "lost")


def check_reply(world: "World", received: Received, reply: bytes) -> None:
    world.ledger.check_released(reply)
    if received.challenged and reply.count(b"\n") != 2:
        raise Violation("I13: more than a challenge was read out to one who answered none")


def damage(network: Network, which: str, raw: bytes) -> bytes:
    """The bytes as they arrive: now and then with one byte changed, or cut short."""
    if network.strikes(f"{which}-corrupted"):
        return corrupt(network.where, raw)
    if network.strikes(f"{which}-cut"):
        return cut(network.where, raw)
    return raw


def corrupt(where: random.Random, raw: bytes) -> bytes:
    at = where.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ where.randint(1, 255)]) + raw[at + 1 :]


def cut(where: random.Random, raw: bytes) -> bytes:
    return raw[: where.randrange(len(raw))]


def replay(network: Network, machines: dict[NodeCode, Machine], kept: Kept, note: Callable[[str], None]) -> None:
    """Send a recorded request once more; nobody hears the reply."""
    parent = machines[kept.to]
    try:
        with parent.at_work() as ctx:
            received = receive_request(ctx, kept.raw)
            reply = exchange.reply_to(ctx, received)
    except SyncError as error:
        if not network.world.tolerates(error, parent, None):
            raise Violation(f"I13: {kept.to} refused a repeated document: {error}") from error
        note(error.code)
        return
    except NoRoom:
        note("no room")
        return
    check_reply(network.world, received, reply)
    if received.challenged and received.applied:
        raise Violation("I13: a document without a valid challenge was applied")
    if kept.used and not received.challenged:
        raise Violation(f"I13: {kept.to} took one challenge for two documents")
    kept.used |= not received.challenged
    note("challenged" if received.challenged else f"applied {received.applied}")
