"""Machines of one's own: network namespaces joined by a bridge, all inside a namespace of this process.

Nothing outside is touched, and all of it is gone when the processes are. A wire between two machines can be cut in one
or both directions, refused, made lossy or narrow; each is undone by `heal`.
"""

import ctypes
import os
import shutil
import subprocess
from multiprocessing.connection import Connection

from tests.fault.forks import Fork

NEWNET = 0x40000000
NETWORK = "10.77.0.0/16"
HUB = "10.77.255.254"
NARROW = "50kbit"
_LIBC = ctypes.CDLL(None, use_errno=True)


class Machine:
    """A namespace with one address, kept open by a process that only waits."""

    def __init__(self, number: int) -> None:
        self.address = f"10.77.{number}.1"
        self._holder = Fork(hold)
        self._holder.go()
        self._holder.hear()
        inside, outside = "eth0", f"port{number}"
        self._port = outside
        pid = str(self._holder.pid)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", pid)
        _run("ip", "link", "set", outside, "master", "hub", "up")
        for command in (
            f"ip addr add {self.address}/16 dev {inside}",
            f"ip link set {inside} up",
            "ip link set lo up",
            *(f"iptables -N {chain}" for chain in ("faults-in", "faults-out")),
            "iptables -A INPUT -j faults-in",
            "iptables -A OUTPUT -j faults-out",
        ):
            self.run(*command.split())

    @property
    def namespace(self) -> str:
        return f"/proc/{self._holder.pid}/ns/net"

    def run(self, *command: str) -> None:
        _run("nsenter", f"--net={self.namespace}", *command)

    def end(self) -> None:
        _run("ip", "link", "del", self._port)  # by itself it would go some time after the namespace
        self._holder.end()

    def deaf_to(self, other: "Machine") -> None:
        """What the other sends is lost."""
        self._fault("in", "-s", other.address, "-j", "DROP")

    def refuses(self, other: "Machine") -> None:
        """Connections from the other are reset at once, as by a firewall or where nothing listens."""
        self._fault("in", "-s", other.address, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")

    def loses(self, other: "Machine", share: float) -> None:
        """Some of what the other sends is lost."""
        chance = ("-m", "statistic", "--mode", "random", "--probability", str(share))
        self._fault("in", "-s", other.address, *chance, "-j", "DROP")

    def narrow_to(self, other: "Machine") -> None:
        """What goes to the other goes through a narrow line."""
        self.run(*["tc", "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "10"])
        self.run(*["tc", "class", "add", "dev", "eth0", "parent", "1:", "classid", "1:10", "htb", "rate", "10gbit"])
        self.run(*f"tc class add dev eth0 parent 1: classid 1:30 htb rate {NARROW} ceil {NARROW} burst 4k".split())
        match = f"match ip dst {other.address}/32 flowid 1:30"
        self.run(*f"tc filter add dev eth0 parent 1: protocol ip u32 {match}".split())

    def heal(self) -> None:
        self.run("iptables", "-F", "faults-in")
        self.run("iptables", "-F", "faults-out")
        subprocess.run(
            ["nsenter", f"--net={self.namespace}", "tc", "qdisc", "del", "dev", "eth0", "root"], capture_output=True
        )

    def _fault(self, direction: str, *rule: str) -> None:
        self.run("iptables", "-A", f"faults-{direction}", *rule)


def missing() -> str | None:
    """Why there can be no such machines here; None where there can."""
    tools = [tool for tool in ("ip", "tc", "iptables", "nsenter") if shutil.which(tool) is None]
    if tools:
        return f"NO {' '.join(tools).upper()}: install iproute2, iptables and util-linux"
    if os.geteuid() != 0:
        return "NOT ROOT: network namespaces are made by root alone"
    lossy = "iptables -A INPUT -m statistic --mode random --probability 0.5 -j DROP"
    probe = f"ip link add v0 type veth peer name v1 && tc qdisc add dev v0 root handle 1: htb && {lossy}"
    tried = subprocess.run(["unshare", "--net", "sh", "-c", probe], capture_output=True, text=True)
    return f"NO NETWORK NAMESPACES HERE: {tried.stderr.strip()}" if tried.returncode else None


def move_to_hub() -> None:
    """This process leaves the machine's network for one of its own, in which there is nothing but a bridge."""
    _checked(_LIBC.unshare(NEWNET))
    for command in (
        "ip link set lo up",
        "ip link add hub type bridge",
        f"ip addr add {HUB}/16 dev hub",
        "ip link set hub up",
    ):
        _run(*command.split())


def enter(namespace: str) -> None:
    """This process becomes one of that machine's."""
    handle = os.open(namespace, os.O_RDONLY)
    try:
        _checked(_LIBC.setns(handle, NEWNET))
    finally:
        os.close(handle)


def hold(pipe: Connection) -> None:
    """A job: keeps a new namespace until nobody wants it any more."""
    _checked(_LIBC.unshare(NEWNET))
    pipe.send(("held", None))
    pipe.recv()


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
