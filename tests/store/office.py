"""One office for tests of its people: a node on the database under test, with a clock that stands still."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.service.commit import write
from node.service.create import Plan, init_node
from node.store.engine import reading
from node.store.tables import audit
from schemas.ids import Tier

PASSWORD = "联动联动联动联动"


class SetClock(Clock):
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 5, 6, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.at.timestamp()

    def go_on(self, **span: float) -> None:
        self.at += timedelta(**span)


def make_node(folder: Path, database_url: str, clock: Clock, **settings: Any) -> Context:
    """A root county, so that it may sign from the start."""
    given = Settings(data=folder / "data", database_url=database_url, disk_reserve_bytes=0, **settings)
    return init_node(given, clock, Plan("620102", "城关区政协", Tier.COUNTY, "http://127.0.0.1:8000", root=True))


def act(ctx: Context, do: Any, *args: Any, by: str = "王强") -> Any:
    with write(ctx) as batch:
        batch.actor = by
        return do(batch, *args)


def audited(ctx: Context) -> list[tuple[str, str, str]]:
    with reading(ctx.engine) as conn:
        return [(row.actor, row.action, row.result) for row in conn.execute(select(audit).order_by(audit.c.id))]
