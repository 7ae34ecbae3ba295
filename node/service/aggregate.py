"""The whole in figures: what is asked of the topics known here, by one dimension, and where each figure opens to.

Reading figures first brings them up to date with what this node itself wrote a moment ago; what others write is there
as far as `as_of` says.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, func, select

from node.context import Context
from node.domain.rollup import CHINA, rates
from node.domain.topic import STEPS
from node.service.asking import AGES, Asking, asking, months_on
from node.service.figures import DAY, EXACTLY, TOTAL, Sums, added, nothing
from node.service.labels import ordered
from node.store import aggregation as ag
from schemas import aggregate as views

DIFFERENCES_SHOWN = 100


def aggregate(ctx: Context, wanted: views.FigureQuery) -> views.AggregateView:
    """The figures of one dimension with how fresh they are and what differs. Raises Invalid."""
    with asking(ctx, wanted) as asked:
        return aggregated(asked, wanted.by)


def figures(ctx: Context, wanted: views.FigureQuery) -> views.FiguresView:
    """Every measure and ratio by one dimension, beside the period before where one is given. Raises Invalid."""
    with asking(ctx, wanted) as asked:
        return measured(asked, wanted.by)


def funnel(ctx: Context, wanted: views.FigureFilter) -> views.FunnelView:
    """How many topics came how far through the six steps. Raises Invalid."""
    with asking(ctx, wanted) as asked:
        return narrowing(asked)


def aggregated(asked: Asking, by: views.By) -> views.AggregateView:
    """As `aggregate`, on a view that is open."""
    found = asked.sums(by)
    total = asked.total() if by == "area" else added(found.values())
    rows = [
        views.KeyedSum(
            key=key, label=asked.labels.of(by, key), **_sum(found[key], asked.url(**_behind(asked, by, key)))
        )
        for key in ordered(by, list(found), lambda key: found[key]["count"])
    ]
    whole = views.Sum(**_sum(total, asked.url()))
    return views.AggregateView(by=by, as_of=as_of(asked), rows=rows, total=whole, differences=differences(asked.conn))


def measured(asked: Asking, by: views.By) -> views.FiguresView:
    """As `figures`, on a view that is open."""
    found, before = asked.sums(by), _before(asked, by)
    rows = [
        _figures(key, asked.labels.of(by, key), found[key], before, asked.url(**_behind(asked, by, key)))
        for key in ordered(by, list(found), lambda key: found[key]["count"])
    ]
    total = _figures("", "合计", asked.total(), _before(asked, TOTAL), asked.url())
    return views.FiguresView(by=by, rows=rows, total=total)


def narrowing(asked: Asking) -> views.FunnelView:
    """As `funnel`, on a view that is open."""
    by_step = {key: item["count"] for key, item in asked.sums("step").items()}
    total = asked.total()
    steps = [
        views.FunnelStep(
            step=step,
            label=asked.labels.of("step", step),
            count=sum(by_step.get(later, 0) for later in STEPS[at:]),
        )
        for at, step in enumerate(STEPS)
    ]
    closed = views.FunnelStep(step="closed", label=asked.labels.of("status", "closed"), count=total["closed"])
    return views.FunnelView(steps=[*steps, closed], total=total["count"])


def as_of(asked: Asking) -> list[views.AsOf]:
    """How far this node and each below it is counted."""
    me = asked.ctx.identity.code
    rows = {row.author: row for row in asked.conn.execute(select(ag.heard))}
    found = []
    for code in asked.below:
        row = rows.get(code)
        at = asked.now if code == me else row.sealed_at if row else None
        found.append(views.AsOf(node=code, seq=row.seq + 1 if row else 0, at=at))
    return found


def differences(conn: Connection) -> list[views.DifferenceView]:
    """What nodes say and what is counted here: fields of rows, months whose rows differ, summaries that are missing."""
    d, m, h = ag.row_differences.c, ag.totals_differences.c, ag.heard.c
    found = [
        views.DifferenceView(node=row.node, field=row.field, said=row.said, counted=row.counted)
        for row in conn.execute(select(ag.row_differences).order_by(d.at, d.topic, d.field).limit(DIFFERENCES_SHOWN))
    ]
    months = select(m.author, m.period, func.count(m.said).label("said"), func.count(m.counted).label("counted"))
    for row in conn.execute(months.group_by(m.author, m.period).order_by(m.period, m.author).limit(DIFFERENCES_SHOWN)):
        field = f"rows of {row.period}"
        found.append(views.DifferenceView(node=row.author, field=field, said=row.said, counted=row.counted))
    for row in conn.execute(select(ag.heard).where(h.many < h.seq + 1).order_by(h.author)):
        found.append(views.DifferenceView(node=row.author, field="summaries", said=row.seq + 1, counted=row.many))
    return found[:DIFFERENCES_SHOWN]


def _before(asked: Asking, by: str) -> dict[str, Sums] | None:
    """The same sums over the days just before; None where the question has no beginning or no end."""
    question = asked.question()
    if question.since is None or question.until is None:
        return None
    whole_months = question.since.day == 1 and (question.until + DAY).day == 1
    if whole_months:
        many = (question.until.year - question.since.year) * 12 + question.until.month - question.since.month + 1
        earlier = months_on(question.since, -many)
    else:
        earlier = question.since - (question.until - question.since) - DAY
    return asked.sums(by, replace(question, since=earlier, until=question.since - DAY))


def _behind(asked: Asking, by: views.By, key: str) -> dict[str, str]:
    """What narrows the list of topics to a key of a dimension."""
    if by != "age":
        return {{"area": "shown", "category": EXACTLY}.get(by, by): key}
    this = asked.now.astimezone(CHINA).date().replace(day=1)
    start = int(key)
    later = next((age for age in AGES if age > start), None)
    span = {"to": (months_on(this, 1 - start) - DAY).isoformat()}
    if later is not None:
        span["from"] = months_on(this, 1 - later).isoformat()
    return {name: _inner(asked.wanted, name, value) for name, value in span.items()}


def _inner(wanted: views.FigureFilter, name: str, value: str) -> str:
    """The narrower of a limit asked for and the one of an age."""
    given = wanted.from_ if name == "from" else wanted.to
    if given is None:
        return value
    return max(value, given.isoformat()) if name == "from" else min(value, given.isoformat())


def _sum(found: Sums, topics: str) -> dict[str, Any]:
    outcomes = views.Outcomes(A=found["a"], B=found["b"], C=found["c"], D=found["d"])
    plain = {name: found[name] for name in ("count", "open", "overdue", "closed")}
    return {**plain, "outcomes": outcomes, "topics": topics}


def _figures(key: str, label: str, found: Sums, before: Mapping[str, Sums] | None, topics: str) -> views.Figures:
    return views.Figures(
        key=key,
        label=label,
        sums=_measures(found),
        rates=views.Rates(**rates(found)),
        before=None if before is None else _measures(before.get(key, nothing())),
        topics=topics,
    )


def _measures(found: Sums) -> views.Measures:
    return views.Measures(**{name: found[name] for name in views.Measures.model_fields})
