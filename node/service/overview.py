"""The dashboard's matter: the whole in figures, each beside where it opens to, and who below has reported."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.context import Context
from node.service.aggregate import aggregated, measured, narrowing
from node.service.asking import asking
from node.service.reporting import nodes
from schemas import aggregate as views
from schemas.api import LIMIT_MAX
from schemas.ids import NodeCode

RANKS = ("closing_rate", "solution_rate", "satisfaction_rate", "solved_at_origin_rate", "overdue_rate")
"""Ratios that branches are ranked by."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One child with all below it. Its nodes were expected to seal their totals of the month; how many came, how many
    of those in time, which of them fell silent."""

    code: NodeCode
    expected: int
    actual: int
    on_time: int
    differs: int
    missing: int
    silent: tuple[views.NodeFigures, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """`children` are the branches, or the nodes of the one branch asked for."""

    children: views.FiguresView
    areas: views.FiguresView
    months: views.FiguresView
    outcomes: views.AggregateView
    statuses: views.AggregateView
    funnel: views.FunnelView
    branches: list[Branch]

    @property
    def differences(self) -> list[views.DifferenceView]:
        return self.outcomes.differences

    @property
    def silent(self) -> list[views.NodeFigures]:
        return [node for branch in self.branches for node in branch.silent]


def overview(ctx: Context, wanted: views.FigureFilter, period: str | None = None) -> Overview:
    """Everything one page shows; `period` is the month whose totals are looked for. Raises Invalid."""
    with asking(ctx, wanted) as asked:
        return Overview(
            children=measured(asked, by_child(wanted)),
            areas=measured(asked, "area"),
            months=measured(asked, "month"),
            outcomes=aggregated(asked, "outcome"),
            statuses=aggregated(asked, "status"),
            funnel=narrowing(asked),
            branches=branches(ctx.identity.code, reports(ctx, period)),
        )


def by_child(wanted: views.FigureFilter) -> views.By:
    """By branch, or by the nodes of the one branch asked for."""
    return "child" if wanted.child is None else "origin"


def question_by_child(wanted: views.FigureFilter) -> views.FigureQuery:
    return views.FigureQuery.model_validate({**wanted.model_dump(mode="json"), "by": by_child(wanted)})


def ranked(rows: list[views.Figures], by: str) -> list[views.Figures]:
    """Highest first; who has nothing to divide by comes last. Without a ratio the order stays."""
    if by not in RANKS:
        return rows
    return sorted(rows, key=lambda row: (getattr(row.rates, by) is None, -(getattr(row.rates, by) or 0)))


def reports(ctx: Context, period: str | None) -> list[views.NodeFigures]:
    """What was heard of every node, this one and all below."""
    found: list[views.NodeFigures] = []
    after: str | None = None
    while True:
        page = nodes(ctx, period, after, LIMIT_MAX)
        found += page.items
        after = page.next
        if after is None:
            return found


def branches(me: NodeCode, reported: Sequence[views.NodeFigures]) -> list[Branch]:
    """This node by itself, then each child with all below it, by code."""
    parents = {node.code: node.parent for node in reported}
    grouped: dict[NodeCode, list[views.NodeFigures]] = {}
    for node in reported:
        grouped.setdefault(_branch_of(node.code, me, parents), []).append(node)
    return [_branch(code, grouped[code]) for code in sorted(grouped, key=lambda code: (code != me, code))]


def _branch_of(code: NodeCode, me: NodeCode, parents: dict[NodeCode, NodeCode | None]) -> NodeCode:
    while code != me and (above := parents.get(code)) is not None and above != me:
        code = above
    return code


def _branch(code: NodeCode, members: Sequence[views.NodeFigures]) -> Branch:
    return Branch(
        code=code,
        expected=len(members),
        actual=sum(node.actual is not None for node in members),
        on_time=sum(node.on_time for node in members),
        differs=sum(node.differs for node in members),
        missing=sum(node.missing for node in members),
        silent=tuple(node for node in members if node.silent),
    )
