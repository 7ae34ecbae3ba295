"""A question under way: which topics are asked for, on one view of the database, and where a figure opens to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from urllib.parse import urlencode

from sqlalchemy import Connection

from node.context import Context
from node.domain.refusals import Invalid
from node.domain.rollup import CHINA, MEASURES
from node.service import roster, summaries
from node.service.figures import DAY, EXACTLY, TOTAL, Question, Sums, nothing, sums
from node.service.labels import Labels
from node.service.lists import in_force
from node.store.engine import reading
from schemas import aggregate as views
from schemas.ids import NodeCode
from sync.roster import Roster

TOPICS = "/api/v1/aggregate/topics"
AGES = (0, 1, 3, 6, 12)
"""Months since the month of opening, where each age begins."""
_COLUMNS = ("custodian", "origin", "category", EXACTLY, "source", "kind", "status", "step", "outcome")


@dataclass(frozen=True, slots=True)
class Asking:
    """One question under way, on one view of the database."""

    ctx: Context
    conn: Connection
    roster: Roster
    labels: Labels
    wanted: views.FigureFilter
    now: datetime
    known: dict[tuple[str, str], dict[str, Sums]] = field(default_factory=dict, repr=False)
    """What was counted already on this view, by dimension and question: a page asks for the same totals many times."""

    @property
    def below(self) -> list[NodeCode]:
        """This node and every node below it."""
        me = self.ctx.identity.code
        return [me, *(code for code in sorted(self.roster.members) if self.roster.is_below(code, me))]

    def question(self) -> Question:
        wanted = self.wanted
        since, until = days_of(wanted)
        given = {name: getattr(wanted, name) for name in _COLUMNS}
        equal: dict[str, tuple[str, ...]] = {name: (str(it),) for name, it in given.items() if it is not None}
        if wanted.tier is not None:
            _narrow(equal, "custodian", [code for code, row in self.roster.members.items() if row.tier == wanted.tier])
        if wanted.child is not None:
            _narrow(equal, "origin", [code for code in self.roster.members if self.child_of(code) == wanted.child])
        overdue = None if wanted.overdue is None else wanted.overdue == "true"
        return Question(since, until, wanted.area, self._is_place(), wanted.shown, equal, overdue)

    def child_of(self, code: NodeCode) -> NodeCode:
        """The branch a node stands on, seen from here: this node, or that of its children at or above the node."""
        me = self.ctx.identity.code
        line = (code, *self.roster.ancestors(code))
        return line[line.index(me) - 1] if me in line and code != me else code

    def sums(self, by: str, asked: Question | None = None) -> dict[str, Sums]:
        asked = asked or self.question()
        if by == "tier":
            return _folded(self._sums("custodian", asked), self._tier_of)
        if by == "child":
            return _folded(self._sums("origin", asked), self.child_of)
        if by == "age":
            return self._ages(asked)
        return self._sums(by, asked)

    def total(self, asked: Question | None = None) -> Sums:
        return self.sums(TOTAL, asked).get("", nothing())

    def url(self, **more: str) -> str:
        """Where the topics behind a figure are listed."""
        given = self.wanted.model_dump(mode="json", by_alias=True, exclude_none=True)
        asked = {name: value for name, value in given.items() if name not in ("by", "cursor", "limit")} | more
        return f"{TOPICS}?{urlencode(asked)}" if asked else TOPICS

    def _sums(self, by: str, asked: Question) -> dict[str, Sums]:
        key = (by, repr(asked))
        if key not in self.known:
            self.known[key] = sums(self.conn, asked, by, self.now)
        return self.known[key]

    def _is_place(self) -> bool:
        area = self.wanted.area
        division = self.labels.lists.tree.resolve_area(area) if area is not None else None
        if division is None or division.is_placeholder or division.code != area:
            return False
        return 1 <= division.level.rank < self.ctx.identity.tier.rank

    def _tier_of(self, code: NodeCode) -> str:
        member = self.roster.get(code)
        return str(member.tier) if member else ""

    def _ages(self, asked: Question) -> dict[str, Sums]:
        """Open topics by how long ago they were opened."""
        today = self.now.astimezone(CHINA).date()
        months = self.sums("month", asked)
        found: dict[str, Sums] = {}
        for month, item in months.items():
            since = (today.year - int(month[:4])) * 12 + today.month - int(month[5:])
            age = str(max((start for start in AGES if start <= since), default=0))
            _add(found.setdefault(age, nothing()), item)
        return found


@contextmanager
def asking(ctx: Context, wanted: views.FigureFilter) -> Iterator[Asking]:
    """One consistent view, in which what this node wrote before is counted. Raises Invalid for a span that ends
    before it begins."""
    since, until = days_of(wanted)
    if since is not None and until is not None and since > until:
        raise Invalid("to", "lies before from", rule="ends_before")
    summaries.catch_up(ctx)
    with reading(ctx.engine) as conn:
        known = roster.current(ctx, conn)
        yield Asking(ctx, conn, known, Labels(known, in_force(ctx, conn)), wanted, ctx.clock.now())


def days_of(wanted: views.FigureFilter) -> tuple[date | None, date | None]:
    """The span asked for: what `from` and `to` and `month` have in common."""
    since, until = wanted.from_, wanted.to
    if wanted.month is not None:
        first = date(int(wanted.month[:4]), int(wanted.month[5:]), 1)
        last = months_on(first, 1) - DAY
        since, until = max(first, since or first), min(last, until or last)
    return since, until


def months_on(first: date, many: int) -> date:
    """The first day of the month so many months later, or earlier."""
    at = first.year * 12 + first.month - 1 + many
    return date(at // 12, at % 12 + 1, 1)


def _narrow(equal: dict[str, tuple[str, ...]], column: str, values: Iterable[str]) -> None:
    """Both what was asked of the column and one of these."""
    allowed = tuple(sorted(values))
    if column in equal:
        allowed = tuple(value for value in equal[column] if value in allowed)
    equal[column] = allowed


def _folded(found: Mapping[str, Sums], key_of: Callable[[str], str]) -> dict[str, Sums]:
    folded: dict[str, Sums] = {}
    for key, item in found.items():
        _add(folded.setdefault(key_of(key), nothing()), item)
    return folded


def _add(into: Sums, item: Sums) -> None:
    for name in MEASURES:
        into[name] += item[name]
