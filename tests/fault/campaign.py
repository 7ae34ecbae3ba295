"""Many trials one after the other, on as many processes as wanted, with a progress bar and a summary."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.fault.forks import FORKS

LINES = 20
"""Said on the way where no bar can be shown."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to try: what its failure is called, and a function of a module with its arguments."""

    name: str
    work: Callable[..., "Told"]
    arguments: tuple[Any, ...] = ()


@dataclass(slots=True)
class Told:
    """What came of it: what was wrong, and what is counted."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    """All of a campaign. `failed`: name and problems of each trial that went wrong."""

    trials: int = 0
    seconds: float = 0
    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, list[str]]] = field(default_factory=list)

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return f"{self.trials} trials in {self.seconds:.0f} s, {len(self.failed)} wrong: {counts}"


def play(title: str, trials: list[Trial], jobs: int = 1, console: Console | None = None) -> Tally:
    """Try them all; what is wrong is printed as it is found."""
    tally, began = Tally(), perf_counter()
    with _bar(console or Console(quiet=True)) as bar:
        task = bar.add_task(title, total=len(trials))
        for trial, told in _results(trials, jobs):
            tally.trials += 1
            tally.counts += told.counts
            if told.problems:
                tally.failed.append((trial.name, told.problems))
                bar.console.print(f"{trial.name}\n  " + "\n  ".join(told.problems), highlight=False, markup=False)
            bar.advance(task)
            if not bar.console.is_terminal and tally.trials % -(-len(trials) // LINES) == 0:
                bar.console.print(f"{title}: {tally.trials} of {len(trials)} in {perf_counter() - began:.0f} s")
    tally.seconds = perf_counter() - began
    return tally


def _results(trials: list[Trial], jobs: int) -> Iterator[tuple[Trial, Told]]:
    if jobs == 1:
        for trial in trials:
            yield trial, trial.work(*trial.arguments)
        return
    with ProcessPoolExecutor(jobs, mp_context=FORKS) as pool:
        waiting: dict[Future[Told], Trial] = {}
        left = iter(trials)
        for trial in islice(left, 2 * jobs):
            waiting[pool.submit(trial.work, *trial.arguments)] = trial
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
            _refill(pool, left, waiting, len(done))


def _refill(pool: ProcessPoolExecutor, left: Iterable[Trial], waiting: dict[Future[Told], Trial], count: int) -> None:
    for trial in islice(left, count):
        waiting[pool.submit(trial.work, *trial.arguments)] = trial


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)
