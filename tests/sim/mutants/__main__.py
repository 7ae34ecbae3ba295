"""`python -m tests.sim.mutants`: try every seeded bug, renew the record of what catches it, and write the table."""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.sim.mutants import record
from tests.sim.mutants.catalogue import ALL
from tests.sim.mutants.mutant import Mutant
from tests.sim.mutants.trial import CONTROL, STEPS, Found, fitting, tried

SEEDS_DEFAULT = 30
TIMEOUT_S = 3600.0


def main(argv: list[str] | None = None) -> int:
    """0: every bug is noticed, by the simulator or by the test that is named for it; 1: some are not."""
    args = _arguments(argv)
    console = Console()
    wanted = sorted(
        (m for m in ALL if _is_wanted(args, m)), key=lambda m: args.names.index(m.name) if m.name in args.names else 0
    )
    found: list[Found] = []
    if args.control:
        control = tried(CONTROL, range(args.seeds), TIMEOUT_S, args.steps)
        if control.seed is not None:
            console.print(f"seed {control.seed} fails without any bug: {control.check}: {control.text}", markup=False)
            return 1
    began = time.perf_counter()
    with _bar(console) as bar:
        task = bar.add_task("mutants", total=len(wanted), last="")
        for item in _results(wanted, args):
            found.append(item)
            said = f"{item.check} after {item.seeds}" if item.seed is not None else "escaped"
            bar.update(task, advance=1, last=f"{item.name}: {said}")
            record.store(record.renewed(record.load(), [item]))
    escaped = [item for item in found if item.seed is None and not _of(item.name).elsewhere]
    steps = sum(item.played for item in found)
    took = time.perf_counter() - began
    console.print(f"{len(found)} mutants, {steps} steps in {took:.0f} s, {len(escaped)} escaped", highlight=False)
    for item in escaped:
        console.print(f"  {item.name} ({item.seeds} seeds) {item.text}", highlight=False, markup=False)
    return 1 if escaped else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of mutants, or of rules; all where none is named")
    parser.add_argument("--seeds", type=int, default=SEEDS_DEFAULT, help="tried for each, at most")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each seed")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--missing", action="store_true", help="only those nothing is known to notice")
    parser.add_argument("--control", action="store_true", help="first play the same seeds without any bug")
    return parser.parse_args(argv)


def _is_wanted(args: argparse.Namespace, mutant: Mutant) -> bool:
    named = not args.names or mutant.name in args.names or mutant.rule in args.names
    return named and not (args.missing and mutant.name in record.caught())


def _results(wanted: list[Mutant], args: argparse.Namespace) -> Iterator[Found]:
    with ThreadPoolExecutor(args.jobs) as pool:
        pending = [
            pool.submit(tried, mutant.name, fitting(mutant, args.seeds), TIMEOUT_S, args.steps) for mutant in wanted
        ]
        for future in as_completed(pending):
            yield future.result()


def _of(name: str) -> Mutant:
    return next(mutant for mutant in ALL if mutant.name == name)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    return Progress(*columns, console=console)


if __name__ == "__main__":
    raise SystemExit(main())
