"""Why a number is what it is: whose topics it counts, how far each of these nodes was heard, what the recount found."""

from dataclasses import dataclass

from node.context import Context
from node.domain.rollup import month_before
from node.service.aggregate import figures
from node.service.overview import reports
from schemas import aggregate as views
from schemas.ids import NodeCode


@dataclass(frozen=True, slots=True)
class Source:
    """One node that holds topics of the number. `reported` is none of a node that the registry no longer names."""

    code: NodeCode
    name: str
    count: int
    reported: views.NodeFigures | None


@dataclass(frozen=True, slots=True)
class Why:
    """`period` is the month whose totals were counted again: the one asked for, or the last that is over."""

    total: int
    period: str
    sources: list[Source]


def why(ctx: Context, wanted: views.FigureFilter) -> Why:
    """Raises Invalid."""
    query = views.FigureQuery.model_validate({**wanted.model_dump(mode="json"), "by": "custodian"})
    counted = figures(ctx, query)
    period = wanted.month or month_before(ctx.clock.now())
    reported = {node.code: node for node in reports(ctx, period)}
    sources = [Source(row.key, row.label, row.sums.count, reported.get(row.key)) for row in counted.rows]
    return Why(counted.total.sums.count, period, sources)


def members(ctx: Context, branch: NodeCode | None, period: str | None) -> list[views.NodeFigures]:
    """What was heard of every node of a branch, by code; of all nodes without one."""
    reported = reports(ctx, period)
    if branch is None:
        return reported
    parents = {node.code: node.parent for node in reported}
    return [node for node in reported if _lies_below(node.code, branch, parents, ctx.identity.code)]


def _lies_below(
    code: NodeCode | None, branch: NodeCode, parents: dict[NodeCode, NodeCode | None], me: NodeCode
) -> bool:
    """Whether a node is on the branch. This node's own branch is this node alone."""
    while code is not None and code != branch and code != me:
        code = parents.get(code)
    return code == branch
