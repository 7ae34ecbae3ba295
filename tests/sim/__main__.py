"""`python -m tests.sim`: play seeds until told to stop, or until several have failed."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.sim.options import STEPS_DEFAULT, Options, expand
from tests.sim.report import brief, failure, summary
from tests.sim.run import Result, run
from tests.sim.tally import Total

SEEDS_DEFAULT = 40
FAILURES_MAX = 5
"""After which the rest would only say the same."""
KINDS_MIN = 14
"""Of fault, each in a fifth of the seeds or more; of few seeds that says nothing."""
KINDS_COUNT_FROM_SEEDS = 50


def main(argv: list[str] | None = None) -> int:
    """0: every seed held; 1: one did not, and how to play it again; or they met too little."""
    args = _arguments(argv)
    if args.idle:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    console = Console()
    began, total, failed = time.perf_counter(), Total(), list[Result]()
    with _bar(console) as bar:
        task = bar.add_task("seconds" if args.seconds else "seeds", total=args.seconds or args.seeds, steps=0)
        for result in _results(args, began):
            total.add(result.tally)
            bar.update(task, completed=time.perf_counter() - began if args.seconds else total.seeds, steps=total.steps)
            if result.violation is not None:
                failed.append(result)
                bar.console.print(failure(result), highlight=False, markup=False)
            if len(failed) == FAILURES_MAX:
                break
    console.print(summary(total, len(failed), time.perf_counter() - began))
    for result in failed:  # a log may be seen by its end alone
        console.print(brief(result), highlight=False, markup=False)
    meets_little = total.seeds >= KINDS_COUNT_FROM_SEEDS and len(total.widely) < KINDS_MIN
    if meets_little:
        console.print(f"FAILED: fewer than {KINDS_MIN} kinds of fault in a fifth of the seeds")
    return 1 if failed or meets_little else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS_DEFAULT, help="how many")
    parser.add_argument("--seconds", type=float, help="as many as fit into this time")
    parser.add_argument("--seed", type=int, help="this one alone, or with --seeds the first of them")
    parser.add_argument("--steps", type=int, default=STEPS_DEFAULT, help="of each seed, before it comes to rest")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--idle", action="store_true", help="in time that nothing else on this machine wants")
    args = parser.parse_args(argv)
    if args.seed is not None and "--seeds" not in (argv or sys.argv) and args.seconds is None:
        args.seeds = 1
    return args


def _results(args: argparse.Namespace, began: float) -> Iterator[Result]:
    first = args.seed if args.seed is not None else 0
    if args.jobs == 1:
        for options in _wanted(args, first, began):
            yield run(options)
        return
    with ProcessPoolExecutor(args.jobs) as pool:
        pending: set[Future[Result]] = set()
        for options in _wanted(args, first, began):
            pending.add(pool.submit(run, options))
            if len(pending) > args.jobs:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in pending)


def _wanted(args: argparse.Namespace, first: int, began: float) -> Iterator[Options]:
    seed = first
    while (time.perf_counter() - began < args.seconds) if args.seconds else (seed < first + args.seeds):
        yield expand(seed, args.steps)
        seed += 1


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[steps]} steps"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


if __name__ == "__main__":
    sys.exit(main())
