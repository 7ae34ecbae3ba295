"""A real parent on loopback HTTP, and a child of its that keeps to no rule.

The nodes are those of tests/wire/cast.py, with the same keys and incarnations, so that every wire vector can be thrown
at them. The hostile county holds its real key and says whatever a test wants under it.
"""

import itertools
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import func, select

from node.app import create_app
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service.create import Plan, init_node
from node.service.delegate import delegate
from node.service.identity import SIGNING_KEY, load
from node.service.open import open_topic
from node.store import tables as t
from node.store.engine import reading
from schemas.api import DelegateForm, OpenForm
from schemas.exchange import MEDIA_TYPE, Verdict
from schemas.ids import Tier
from sync.exchange import Document, read
from sync.keys import Keyring
from tests import nodes
from tests.wire import bodies as b
from tests.wire import cast as c
from tests.wire.cast import CITY, COUNTY, COUNTY2, PROVINCE, Json, Thread
from tests.wire.judge import keyring_of

EXCHANGE, JOIN = "/federation/v1/exchange", "/federation/v1/join"
KEYRING: Keyring = keyring_of({"keys": c.keys()})
SESSION = c.fixed("evil session")
URN = "urn:liandong:problem:"
PASSING = frozenset({"challenges"})
"""What may change when nothing happens: a challenge was given."""
RECORD_OF_A_STATEMENT = PASSING | {"links", "replaced_instances", "parked", "audit"}
"""What may change when a statement was not applied: it is kept, counted and noted."""
RELAY = RECORD_OF_A_STATEMENT | {"statements", "outbox", "part_refs", "wanted_parts"}
"""What may change besides when it is passed on unread."""

_counter = itertools.count()


class _Birth(Clock):
    """Draws the nonce that the cast has for this node; for the moment of its birth alone."""

    def __init__(self, code: str) -> None:
        self._nonce: str = c.inc(code)[1]

    def token(self, size: int = 16) -> str:
        return self._nonce


def make(folder: Path, code: str, root: bool = False) -> Context:
    """The node `code` of the cast."""
    data = folder / code
    data.mkdir(parents=True)
    pem = c.private(code).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (data / SIGNING_KEY).write_bytes(pem)
    settings = Settings(data=data, disk_reserve_bytes=0)
    tier = Tier(c.TIERS.get(code, "county"))
    init_node(settings, _Birth(code), Plan(code, c.NAMES.get(code, code), tier, f"http://127.0.0.1:1{code[:4]}", root))
    return load(settings, Clock())


@dataclass
class House:
    """The tree of the cast; `city` is served at `url`, `county` is hostile, `county2` is honest."""

    province: Context
    city: Context
    county: Context
    county2: Context
    url: str = ""
    folder: Path = field(default_factory=Path)
    evils: dict[str, "Evil"] = field(default_factory=dict)

    def evil(self, code: str = COUNTY) -> "Evil":
        if code not in self.evils:
            self.evils[code] = Evil(self.url, code)
        return self.evils[code]

    def close(self) -> None:
        for evil in self.evils.values():
            evil.client.close()

    def another(self, code: str) -> "Evil":
        """One more hostile child, for a test that ends with its link stopped or its topics frozen."""
        nodes.join(self.city, make(self.folder, code))
        return self.evil(code)


def make_house(folder: Path) -> House:
    province = make(folder, PROVINCE, root=True)
    city = nodes.join(province, make(folder, CITY))
    county, county2 = (nodes.join(city, make(folder, code)) for code in (COUNTY, COUNTY2))
    return House(province, city, county, county2, folder=folder)


@contextmanager
def served(ctx: Context) -> Iterator[str]:
    """The URL of the app of this node, on a free loopback port, in a thread of its own."""
    app = create_app(ctx)
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        app.state.stopping.set()
        server.should_exit = True
        thread.join(10)
        sock.close()


@dataclass(frozen=True)
class Answer:
    """What the parent said: a status, and a problem or a document."""

    status: int
    problem: str | None
    document: Document | None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        return self.document.verdicts if self.document else ()

    @property
    def content(self) -> tuple[Any, ...]:
        return (*self.document.items, *self.document.chunks) if self.document else ()


class Evil:
    """A child that composes its documents by hand. `said` counts on from what the parent has of its stream."""

    def __init__(self, url: str, code: str) -> None:
        self.url = url
        self.code = code
        self.client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    def send(self, content: Any, path: str = EXCHANGE, **headers: str) -> Answer:
        named = {"content-type": MEDIA_TYPE, **{name.replace("_", "-"): value for name, value in headers.items()}}
        response = self.client.post(path, content=content, headers=named)
        return answer_of(response)

    def document(self, lines: Sequence[bytes] = (), signed_by: str | None = None, **head: Any) -> bytes:
        """A sealed document; `seal` in `head` replaces fields of the seal."""
        seal = head.pop("seal", {})
        fresh = c.fixed(f"nonce {next(_counter)}")
        full = c.document_header(self.code, CITY, **{"session": SESSION, "nonce": fresh, **head})
        return c.document(full, lines, signed_by, **seal)

    def challenge(self, session: str = SESSION) -> tuple[str, int]:
        """A fresh challenge, and how far the parent has our stream."""
        answer = self.send(self.document(session=session))
        assert answer.status == 428, answer
        assert answer.document is not None
        header = answer.document.header
        assert header.challenge is not None
        return header.challenge, header.ack.seq

    def ready(self, lines: Sequence[bytes] = (), loose: Sequence[bytes] = (), **head: Any) -> bytes:
        """A document that answers a challenge, its statements at the next positions."""
        challenge, seq = self.challenge()
        small = {"items": 1, "bytes": 1024, "wait_s": 0}
        known = {"answers": challenge, "first": seq + 1 if lines else 0, "budget": small}
        return self.document([*lines, *loose], **{**known, **head})

    def say(self, lines: Sequence[bytes] = (), loose: Sequence[bytes] = (), **head: Any) -> Answer:
        return self.send(self.ready(lines, loose, **head))

    def topic(self, **other: Any) -> Thread:
        """A new topic of this child that the parent has."""
        thread = b.born(COUNTY, what=f"evil {next(_counter)}", **other) if self.code == COUNTY else _born(self.code)
        answer = self.say(thread.raws)
        assert (answer.status, answer.verdicts) == (200, ()), answer
        return thread

    def add(self, thread: Thread, kind: str, body: Json, **other: Any) -> Answer:
        """One more entry of a topic of this child, as it should be or not."""
        thread.add(self.code, kind, body, **other)
        return self.say(thread.raws[-1:])


def _born(code: str) -> Thread:
    thread = Thread()
    body = b.opened(COUNTY, what=f"evil {next(_counter)}", number=f"{code}-2026-000001")
    thread.add(code, "opened", body)
    return thread


def answer_of(response: httpx.Response) -> Answer:
    if response.headers["content-type"] == "application/problem+json":
        found = response.json()
        assert found["status"] == response.status_code
        return Answer(response.status_code, found["type"].removeprefix(URN), None)
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    return Answer(response.status_code, None, read(response.content, KEYRING))


def dump(ctx: Context, without: frozenset[str] = PASSING) -> dict[str, list[str]]:
    """Every row of every table, in a form that can be compared."""
    found = {}
    with reading(ctx.engine) as conn:
        for table in t.metadata.sorted_tables:
            if table.name not in without:
                found[table.name] = sorted(repr(tuple(row)) for row in conn.execute(select(table)))
    return found


@contextmanager
def unchanged(ctx: Context, without: frozenset[str] = PASSING) -> Iterator[None]:
    """Fails where the block changed any row beside those of the tables in `without`."""
    without |= {"audit_head"} if "audit" in without else set()
    before = dump(ctx, without)
    yield
    after = dump(ctx, without)
    changed = {name for name, rows in after.items() if rows != before[name]}
    assert not changed, {name: (before[name][-2:], after[name][-2:]) for name in changed}


# ---- topics of the house, as the city has them ----------------------------------------------------------------


def topic_of(house: House, **other: Any) -> str:
    """A topic the city opened, with a part that never leaves and one that may."""
    form = OpenForm(title="路灯", text="十二盏路灯不亮", areas=[COUNTY], submitter="0931-1234567", **other)
    found: str = nodes.do(house.city, open_topic, form).id
    return found


def delegated(house: House, to: str = COUNTY) -> str:
    topic = topic_of(house)
    nodes.do(house.city, delegate, topic, DelegateForm(to=to, instruction="请办理", override_reason="x"))
    return topic


def thread_of(house: House, topic: str) -> Thread:
    """The chain as the city has it."""
    query = select(t.statements.c.raw).join(t.entries, t.entries.c.id == t.statements.c.id)
    with reading(house.city.engine) as conn:
        raws = list(conn.execute(query.where(t.entries.c.topic == topic).order_by(t.entries.c.seq)).scalars())
    return Thread(raws, topic, json.loads(c.payload_of(raws[-1]))["term"])


def digest_of(house: House, topic: str, share: str) -> str:
    query = select(t.part_refs.c.digest).where(t.part_refs.c.topic == topic, t.part_refs.c.share == share)
    with reading(house.city.engine) as conn:
        found: str = conn.execute(query).scalars().first()
    return found


def count(house: House, table: Any) -> int:
    with reading(house.city.engine) as conn:
        found: int = conn.execute(select(func.count()).select_from(table)).scalar_one()
    return found
