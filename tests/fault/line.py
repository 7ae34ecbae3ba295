"""Two real nodes with a bad line between them: an exchange meets one fault and is then tried again on a good line."""

import random
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from node.cli.server import serve
from node.clock import Clock
from node.config import Settings
from node.demo.town import free_port
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.users import add_user
from node.service.verify import verify
from schemas.ids import Tier
from tests.fault.campaign import Told
from tests.fault.clerk import NAME, PASSWORD, Clerk, Unanswered
from tests.fault.crew import until
from tests.fault.forks import Fork
from tests.fault.lab import log_to
from tests.fault.proxy import DOWN, KINDS, UP, Fault, Proxy
from tests.fault.scene import load_node, shut
from tests.nodes import join, lane, settle

CITY, COUNTY = "620100", "620102"
PATIENCE_S = 20.0
START_S = 60.0


def serve_here(
    pipe: Connection,
    folder: Path,
    code: str,
    port: int,
    jobs: bool,
    reserve: int = 0,
    after_contact: bool = False,
) -> None:
    """A job: `liandong serve` on loopback, until killed."""
    log_to(folder / f"{code}.log")
    settings = Settings(data=folder / code, disk_reserve_bytes=reserve, sign_after_contact=after_contact)
    serve(settings, "127.0.0.1", port, jobs, say=lambda said: pipe.send(("said", said)))


@dataclass
class Pair:
    """A city and its county, which reaches it through the proxy alone. Without jobs: nothing is said unasked."""

    city: Clerk
    county: Clerk
    proxy: Proxy
    topic: str
    folder: Path
    ends: ExitStack

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Both running, with one topic that both know."""
        port, child_port, proxy_port = (free_port(Clock()) for _ in range(3))
        _make(folder, proxy_port)
        ends = ExitStack()
        clerks = []
        for code, at in ((CITY, port), (COUNTY, child_port)):
            fork = Fork(serve_here, folder, code, at, False)
            ends.callback(fork.end)
            ends.callback(fork.process.kill)
            fork.go()
            clerks.append(Clerk("127.0.0.1", at, PATIENCE_S))
            ends.callback(clerks[-1].hang_up)
            until(clerks[-1].sign_in, START_S, f"{code} does not start")
        proxy = Proxy(proxy_port, port)
        ends.callback(proxy.close)
        _, topic = clerks[1].ask("POST", "/api/v1/topics", {"title": "路灯", "text": "坏了", "areas": [COUNTY]})
        pair = cls(*clerks, proxy, topic["id"], folder, ends)
        form = {"reason": "跨县", "tried": "已协调", "override_reason": "特"}
        clerks[1].ask("POST", f"/api/v1/topics/{topic['id']}/escalate", form)
        pair.exchange()
        clerks[0].ask("POST", f"/api/v1/topics/{topic['id']}/accept", {})
        pair.exchange()
        return pair

    def close(self) -> None:
        self.ends.close()

    def exchange(self) -> int:
        return self.county.ask("POST", f"/api/v1/links/{CITY}/exchange", {})[0]

    def states(self) -> list[tuple[int, str]]:
        """Seq and head of the topic at both ends."""
        found = []
        for clerk in (self.city, self.county):
            status, topic = clerk.ask("GET", f"/api/v1/topics/{self.topic}")
            if status != 200:
                raise Unanswered(f"{clerk.port}: {status}")
            found.append((topic["seq"], topic["head"]))
        return found

    def news(self) -> None:
        """Something to say in both directions."""
        self.city.ask("POST", f"/api/v1/topics/{self.topic}/note", {"text": "市里记一笔"})
        comment = {"kind": "comment", "text": f"阅{Clock().token(8)}"}
        self.county.ask("POST", f"/api/v1/topics/{self.topic}/remark", comment)

    def sizes(self) -> dict[str, int]:
        """How many bytes an exchange of such news takes each way."""
        self.news()
        self.exchange()
        assert self.proxy.last is not None
        return dict(self.proxy.last.seen)


def faults(sizes: dict[str, int], seed: int, count: int) -> list[Fault]:
    """A flip and a truncation at every offset, both ways, and a hundred of each other kind; or `count` of all those."""
    chance = random.Random(seed)
    places = [(way, at) for way in (UP, DOWN) for at in range(sizes[way])]
    every = [Fault(kind, way, at, 1 << chance.randrange(8)) for kind in KINDS[:2] for way, at in places]
    others = [Fault(kind, *chance.choice(places)) for kind in KINDS[2:] for _ in range(100)]
    if not count:
        return every + others
    return chance.sample(every, count * 4 // 5) + chance.sample(others, count - count * 4 // 5)


def trial(pair: Pair, fault: Fault) -> Told:
    """An exchange over the bad line is done or is refused; over the good one it is done, and both ends agree."""
    told = Told()
    pair.news()
    pair.proxy.fault = fault
    status = pair.exchange()
    struck = pair.proxy.last is not None and pair.proxy.last.struck
    pair.proxy.fault = None
    if status not in (200, 503):
        told.problems.append(f"the county answers {status} over the bad line")
    for _ in range(3):
        again = pair.exchange()
    if again != 200:
        told.problems.append(f"the county answers {again} over the good line")
    there, here = pair.states()
    if there != here:
        told.problems.append(f"the city has {there}, the county {here}")
    told.counts = Counter({fault.kind: int(struck), f"answered-{status}": 1, "out-of-reach": int(not struck)})
    return told


def sound(pair: Pair) -> list[str]:
    """What `verify` says of both; for the end."""
    problems = []
    for code in (CITY, COUNTY):
        ctx = load_node(pair.folder, code)
        problems += [f"{code}: {said}" for said in verify(ctx).problems]
        shut(ctx)
    for clerk in (pair.city, pair.county):
        problems += [f"{link}" for link in clerk.all("/api/v1/links") if link["held"] or link["state"] == "stopped"]
    return problems


def _make(folder: Path, proxy_port: int) -> None:
    """Both nodes, enrolled by stick; the city is called at the proxy's address."""
    made = []
    for code, tier, port in ((CITY, Tier.CITY, proxy_port), (COUNTY, Tier.COUNTY, 1)):
        settings = Settings(data=folder / code, disk_reserve_bytes=0)
        plan = Plan(code, f"{code}政协", tier, f"http://127.0.0.1:{port}", root=code == CITY)
        made.append(init_node(settings, Clock(), plan))
    made[1] = join(*made)
    made[0] = load(made[0].settings, Clock())
    settle([lane(made[1], made[0])], [made[1]])
    for ctx in made:
        add_user(ctx, NAME, PASSWORD, ["clerk", "admin"])
        shut(ctx)
