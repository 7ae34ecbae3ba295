"""`python -m tests.model`: every state of the models within their bounds, and every control that must fail."""

import argparse
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.model.pan import Outcome, check, missing
from tests.model.runs import FORBIDDEN, GUARDS, HOLDING, LARGE


def main(argv: list[str] | None = None) -> int:
    """0: what should hold held and what should fail failed; 1: not so; 2: a tool is missing."""
    args = _arguments(argv)
    console = Console()
    if lacking := missing():
        console.print(f"needs {' and '.join(lacking)} (Debian, Ubuntu: apt install {' '.join(lacking)})")
        return 2
    outcomes = []
    with _bar(console) as bar:
        task = bar.add_task("models", total=len(args.runs), name="")
        for run in args.runs:
            bar.update(task, name=run.name)
            outcomes.append(check(run))
            bar.advance(task)
    console.print(_table(outcomes))
    for outcome in outcomes:
        if args.trail and outcome.trail:
            console.print(f"\n{outcome.run.name}\n{outcome.trail}", highlight=False, markup=False)
    held = [outcome for outcome in outcomes if not outcome.run.fails]
    console.print(f"{sum(outcome.states for outcome in held):,} states without a control")
    return 0 if all(outcome.as_it_should for outcome in outcomes) else 1


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--large", action="store_true", help="the further bounds as well: an hour, 3 GB")
    parser.add_argument("--only", default="", help="runs whose name or bounds contain this")
    parser.add_argument("--trail", action="store_true", help="print the way to each violation, step by step")
    args = parser.parse_args(argv)
    runs = (*HOLDING, *(LARGE if args.large else ()), *FORBIDDEN, *GUARDS)
    args.runs = [run for run in runs if args.only in run.name or args.only in run.bounds]
    return args


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[name]}"),
    )
    return Progress(*columns, console=console, transient=True)


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("model", "configuration", "states", "depth", "seconds", "MiB", "result")
    for one in outcomes:
        table.add_row(
            one.run.model,
            f"{one.run.name}\n[dim]{one.run.bounds}[/dim]",
            f"{one.states:,}",
            str(one.depth),
            f"{one.seconds:.1f}",
            f"{one.mebibytes:.0f}",
            _result(one),
        )
    return table


def _result(one: Outcome) -> str:
    said = "holds" if one.violated is None else f"violated in {one.depth} steps"
    if one.violated is None and not one.complete:
        said = "not finished"
    return said if one.as_it_should else f"[bold red]{said}[/bold red]"


if __name__ == "__main__":
    sys.exit(main())
