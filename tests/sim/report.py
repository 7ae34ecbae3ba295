"""What is printed: the table of what was seen, and a failing seed with all that is needed to play it again."""

from collections import Counter

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tests.sim.options import FAULTS, Options
from tests.sim.run import Result
from tests.sim.tally import Total


def summary(total: Total, failures: int, seconds: float) -> RenderableType:
    speed = f"{total.seeds} seeds, {total.steps} steps in {seconds:.0f} s ({total.steps / seconds:.0f}/s)"
    line = f"{speed}, {failures or 'no'} seed{'' if failures == 1 else 's'} failed"
    told = f"{len(total.widely)} of {len(FAULTS)} kinds of fault in a fifth of the seeds or more"
    exchanges = ", ".join(f"{name} {count}" for name, count in total.exchanges.most_common())
    refused = ", ".join(f"{name} {count}" for name, count in total.refused.most_common())
    return Group(
        Text(line),
        Text(told),
        Text(f"a dozen lies each told to some node {total.lies} times{'' if failures else ', none of them believed'}"),
        _table("fault", total.faults, total.fault_seeds, total.seeds, FAULTS),
        _table("verb", total.verbs, total.verb_seeds, total.seeds, tuple(sorted(total.verbs))),
        Text(f"exchanges: {exchanges}"),
        Text(f"refused: {refused}"),
    )


def _table(title: str, counts: Counter[str], seeds: Counter[str], of: int, names: tuple[str, ...]) -> Table:
    table = Table(title, "times", "share of seeds")
    for name in names:
        table.add_row(name, str(counts[name]), f"{100 * seeds[name] / max(of, 1):.0f} %")
    return table


def failure(result: Result) -> str:
    """With its options and last steps."""
    options = result.options
    return "\n".join(
        (
            f"seed {options.seed} FAILED: {result.violation}",
            "options:",
            str(options),
            "last steps:",
            *(f"  {line}" for line in result.last),
            _again(options),
        )
    )


def brief(result: Result) -> str:
    """What was wrong, and how to play it again."""
    return f"seed {result.options.seed} FAILED: {result.violation}\n{_again(result.options)}"


def _again(options: Options) -> str:
    return f"again: make sim ARGS='--seed {options.seed} --steps {options.steps}'"
