"""Five years of an office, played by a thread beside its running node: what a county raises and solves, what its city
does with what is handed up. The player keeps no state: killed at any moment it goes on from what the database holds.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from benchmarks.gansu import townships
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.categories import builtin_categories
from node.domain.errors import DomainError
from node.domain.topic import STEPS
from node.service import decide, escalate, finish, giveback, remark, work
from node.service.commit import Batch, write
from node.service.identity import load
from node.service.open import open_topic
from node.store.codec import load_topic
from node.store.engine import reading
from node.store.tables import links, topics
from schemas import api

BEGIN = datetime(2019, 5, 1, tzinfo=UTC)
YEARS_DAYS = 5 * 365
AT_ONCE = 20
HANDED_UP_EVERY = 20
"""One topic in so many needs the city."""
HEADCOUNTS = (8, 12, 15, 18, 21)
"""Together with the share of topics they make the participations of the sources: 400,000 on 27,000."""
LASTING_EVERY = 20
"""After so many matters one is raised that stays in hand to the end."""
LASTING = "lasting"
"""Its kind."""
IDLE_S, IDLE_MAX_S = 0.25, 8.0
"""How long a player with nothing to do rests: a hundred of them that look all the time would be what is measured."""
BACKLOG_MAX = 200
"""So many statements may wait for the tier above before an office rests: five years of work in some minutes would else
pile up at home, and the tree would carry it when the play is over."""
_BUSY_S = 2.0


class Replayed(Clock):
    """Shows the day that is being played."""

    def __init__(self) -> None:
        self.day = BEGIN

    def now(self) -> datetime:
        return self.day


@dataclass(frozen=True, slots=True)
class Office:
    """One node's player: how many topics it has to raise (a city: none)."""

    settings: Settings
    quota: int

    def start(self) -> None:
        threading.Thread(target=self._play, name="player", daemon=True).start()

    def _play(self) -> None:
        clock = Replayed()
        ctx = load(self.settings, clock)
        rest_s = IDLE_S
        while True:
            try:
                busy = not _ahead(ctx) and (
                    _answer(ctx, clock) or _go_on(ctx, clock) or (bool(self.quota) and _raise(ctx, clock, self.quota))
                )
            except (DomainError, OperationalError):  # the machine may be so busy that the database stays locked
                busy = False
                time.sleep(_BUSY_S)
            rest_s = IDLE_S if busy else min(rest_s * 2, IDLE_MAX_S)
            if not busy:
                time.sleep(rest_s)


def _ahead(ctx: Context) -> bool:
    """Whether the tier above is far behind."""
    waiting = func.coalesce(func.sum(links.c.sent_seq - links.c.acked_seq), 0)
    with reading(ctx.engine) as conn:
        found: int = conn.execute(select(waiting).where(links.c.relation == "parent")).scalar_one()
    return found > BACKLOG_MAX


def _raise(ctx: Context, clock: Replayed, quota: int) -> bool:
    """Open the next few topics, spread evenly over the five years."""
    with reading(ctx.engine) as conn:
        mine = (topics.c.origin == ctx.identity.code, topics.c.kind != LASTING)
        there: int = conn.execute(select(func.count()).select_from(topics).where(*mine)).scalar_one()
    if there >= quota:
        return False
    clock.day = BEGIN + timedelta(days=YEARS_DAYS * there / quota)
    chance = random.Random(there)
    with write(ctx) as batch:
        for n in range(there, min(quota, there + AT_ONCE)):
            open_topic(batch, _form(ctx.identity.code, n, chance))
            if n % LASTING_EVERY == 0:
                topic = open_topic(batch, _form(ctx.identity.code, n, chance).model_copy(update={"kind": LASTING}))
                if n % (2 * LASTING_EVERY):
                    work.step(batch, topic, api.StepForm(step="decide", text="长期关注", override_reason="本级可办"))
    return True


def _form(county: str, n: int, chance: random.Random) -> api.OpenForm:
    """A matter of the next township, in turn; one in seven concerns another one too."""
    around = townships(county)
    home = around[n % len(around)].code
    areas = [home, around[(n + 1) % len(around)].code] if n % 7 == 0 else [home]
    source = chance.choice(["热线", "提案", "来信", "委员工作站"])
    category = chance.choice(builtin_categories().second_level())
    title = f"民生实事第{n}件"
    return api.OpenForm(title=title, text="群众反映。", areas=areas, category=category, source=source, unit=home)


def _go_on(ctx: Context, clock: Replayed) -> bool:
    """The next act of a few topics that are held here and were raised here."""
    mine = (topics.c.custodian == ctx.identity.code, topics.c.origin == ctx.identity.code, topics.c.kind != LASTING)
    rows = _some(ctx, *mine, topics.c.status == "active")
    for row in rows:
        clock.day = max(clock.day, _when(row) + timedelta(days=10))
    return _each(ctx, rows, _act)


def _act(batch: Batch, row: Any) -> None:
    """As far as one transaction takes a topic: half its steps, then the rest and its end."""
    topic = load_topic(row.work)
    count = int(row.number[-6:])
    if topic.step == "collect":
        for step in ("decide", "research"):
            work.step(batch, row.id, api.StepForm(step=step, text="已核实", override_reason="本级可办"))  # type: ignore[arg-type]
        return
    if topic.step == "research":
        work.step(batch, row.id, api.StepForm(step="consult", text="已协商"))
        work.attend(batch, row.id, api.AttendForm(headcount=HEADCOUNTS[count % len(HEADCOUNTS)], form="民情恳谈会"))
        if count % HANDED_UP_EVERY == 0:
            form = api.EscalateForm(reason="需市级统筹", tried="已协商", override_reason="涉及市管道路")
            escalate.escalate(batch, row.id, form)
        return
    for step in STEPS[STEPS.index(topic.step) + 1 :]:
        work.step(batch, row.id, api.StepForm(step=step, text="已办"))
    work.result(batch, row.id, api.ResultForm(outcome="A", text="已解决"))
    finish.close(batch, row.id, api.CloseForm())
    if count % 3 == 0:
        remark.remark(batch, row.id, api.RemarkForm(kind="rate", rating="satisfied", text="满意"))


def _answer(ctx: Context, clock: Replayed) -> bool:
    """Take what is offered; a city solves what was handed up and gives it back."""
    offered = _some(ctx, topics.c.offered_to == ctx.identity.code)
    for row in offered:
        clock.day = max(clock.day, _when(row) + timedelta(days=2))
    if _each(ctx, offered, lambda batch, row: decide.accept(batch, row.id, api.AcceptForm())):
        return True
    others = (topics.c.custodian == ctx.identity.code, topics.c.origin != ctx.identity.code)
    return _each(ctx, _some(ctx, *others, topics.c.status == "active"), _solve)


def _solve(batch: Batch, row: Any) -> None:
    work.step(batch, row.id, api.StepForm(step="implement", text="市级已办"))
    giveback.report(batch, row.id, api.ReportForm(text="已办结"))


def _some(ctx: Context, *where: Any) -> Sequence[Any]:
    with reading(ctx.engine) as conn:
        return conn.execute(select(topics).where(*where).order_by(topics.c.updated_at).limit(AT_ONCE)).all()


def _each(ctx: Context, rows: Sequence[Any], act: Callable[[Batch, Any], Any]) -> bool:
    if not rows:
        return False
    with write(ctx) as batch:
        batch.prefetch([row.id for row in rows])
        for row in rows:
            act(batch, row)
    return True


def _when(row: Any) -> datetime:
    at: datetime = row.updated_at
    return at
