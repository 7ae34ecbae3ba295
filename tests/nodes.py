"""Real nodes in one process for tests: real services and databases, with the network replaced by a function call."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from node.api.problems import answer
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.errors import DomainError
from node.domain.refusals import Refusal
from node.service import exchange, joining
from node.service.commit import Batch, write
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.perform import shown
from node.service.receive import receive_request
from node.store import tables as t
from node.store.engine import reading
from schemas.ids import Tier
from sync.errors import SyncError, TransportError
from sync.transport import Reply

HOOK = Callable[[bytes], bytes | None]


@dataclass
class Wire:
    """Stands for a child's HTTP client: calls the parent's services. `on_request`, `on_reply` may change or drop."""

    parent: Context
    on_request: HOOK = field(default=lambda raw: raw)
    on_reply: HOOK = field(default=lambda raw: raw)

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        sent = self.on_request(body)
        if sent is None:
            raise TransportError("unreachable", "request lost")
        try:
            received = receive_request(self.parent, sent)
            reply = exchange.reply_to(self.parent, received)
        except SyncError as error:
            said = answer(error)
            return Reply(said.status_code, bytes(said.body))
        back = self.on_reply(reply)
        if back is None:
            raise TransportError("unreachable", "reply lost")
        return Reply(exchange.CHALLENGED if received.challenged else 200, back)

    def close(self) -> None:
        pass


def make(folder: Path, code: str, tier: Tier, root: bool = False, **settings: Any) -> Context:
    """A new node in `folder`/`code`."""
    data = Settings(data=folder / code, disk_reserve_bytes=0, **settings)
    return init_node(data, Clock(), Plan(code, f"{code}政协", tier, f"http://127.0.0.1:1{code[:4]}", root))


def reload(ctx: Context) -> Context:
    """The same node after a restart."""
    ctx.engine.dispose()
    return load(ctx.settings, ctx.clock, new_start=True)


def join(parent: Context, child: Context) -> Context:
    """Enrol `child` at `parent` by stick; gives the child's living context."""
    with write(parent) as batch:
        token = joining.invite(batch, child.identity.code, child.identity.tier, child.identity.name)
    request = joining.join_request(child, token)
    joining.finish_join(child, token, joining.enrol_child(parent, request))
    child.engine.dispose()
    return load(child.settings, child.clock)


def lane(child: Context, parent: Context, wire: Wire | None = None) -> exchange.Lane:
    found = exchange.find_lane(child, "push")
    assert found is not None
    found.transport.close()
    found.transport = wire or Wire(parent)  # type: ignore[assignment]
    return found


def settle(links: list[exchange.Lane], children: list[Context], rounds: int = 30) -> None:
    """Exchange over all links until nothing is left to say."""
    for _ in range(rounds):
        busy = False
        for link, child in zip(links, children, strict=True):
            with suppress(TransportError):
                view = exchange.call(child, link)
                busy |= bool(view.sent or view.received or view.backlog) or exchange.can_serve(child, link)
        if not busy:
            return
    raise AssertionError("the links do not come to rest")


def do(ctx: Context, act: Callable[..., Any], *args: Any) -> Any:
    """One command on a node; gives its view."""
    with write(ctx) as batch:
        return shown(batch, act(batch, *args))


def refused(ctx: Context, act: Callable[..., Any], *args: Any) -> type[Refusal] | type[DomainError]:
    """The class of the refusal a command meets."""
    try:
        do(ctx, act, *args)
    except DomainError as error:
        return type(error)
    raise AssertionError("not refused")


def state_of(ctx: Context, topic: str) -> tuple[str, int, str, str]:
    """(custodian, seq, head, status) of a topic as this node has it."""
    with reading(ctx.engine) as conn:
        row = conn.execute(select(t.topics).where(t.topics.c.id == topic)).one()
    return row.custodian, row.seq, row.head, row.status


__all__ = ["Batch", "Wire", "do", "join", "lane", "make", "refused", "reload", "settle", "state_of"]
