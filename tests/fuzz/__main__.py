"""`python -m tests.fuzz`: damaged input for all decoders, as many as asked, or one input again."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzz.campaign import Outcome, campaign, memory_mib
from tests.fuzz.targets import TARGETS

COUNT_DEFAULT = 100_000
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Piece:
    """Inputs `first` up to `first + count` of a target."""

    target: str
    seed: int
    first: int
    count: int


def main(argv: list[str] | None = None) -> int:
    """0: nothing was wrong; 1: something was, and how to see it again."""
    args = _arguments(argv)
    console = Console()
    began, found = time.perf_counter(), {name: Outcome(name) for name in args.targets}
    pieces = _pieces(args)
    with _bar(console) as bar:
        task = bar.add_task("executions", total=sum(piece.count for piece in pieces))
        for outcome in _outcomes(pieces, args.jobs):
            found[outcome.target].add(outcome)
            bar.advance(task, outcome.executions)
    console.print(_table(found.values()))
    violations = [said for outcome in found.values() for said in outcome.violations]
    for said in violations:
        console.print(said, highlight=False, markup=False)
    total = sum(outcome.executions for outcome in found.values())
    console.print(
        f"{total:,} executions of {len(found)} decoders with seed {args.seed} in {time.perf_counter() - began:.0f} s, "
        f"{memory_mib():.0f} MiB at most: {len(violations)} violations"
    )
    return 1 if violations else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT_DEFAULT, help="executions, all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed makes the same inputs")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--target", choices=TARGETS, help="this one alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    args = parser.parse_args(argv)
    args.targets = [args.target] if args.target else list(TARGETS)
    return args


def _pieces(args: argparse.Namespace) -> list[Piece]:
    """Every target gets as many, in pieces that all processes share."""
    each = -(-args.count // len(args.targets))
    return [
        Piece(name, args.seed, args.first + at, min(CHUNK, each - at))
        for at in range(0, each, CHUNK)
        for name in args.targets
    ]


def _outcomes(pieces: list[Piece], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(_play, pieces)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_play, pieces)


def _play(piece: Piece) -> Outcome:
    return campaign(piece.target, piece.seed, piece.count, piece.first)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _table(outcomes: Iterable[Outcome]) -> Table:
    table = Table("decoder", "executions", "taken", "µs", "slowest ms", "refused, most often")
    for one in outcomes:
        refused = [(code, count) for code, count in one.said.most_common() if code != "taken"]
        table.add_row(
            one.target,
            f"{one.executions:,}",
            f"{one.said['taken']:,}",
            f"{one.seconds / max(one.executions, 1) * 1e6:.0f}",
            f"{one.slowest * 1000:.0f}",
            ", ".join(f"{code} {count:,}" for code, count in refused[:5]),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
