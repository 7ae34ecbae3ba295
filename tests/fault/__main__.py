"""`python -m tests.fault PART`: as many faults as you have time for. What goes wrong is named so that it can be
played again: give the name as it was printed."""

import argparse
import atexit
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from tests.fault import kills, line, namespaces, plan, power, restores, scene, strace, weather
from tests.fault.campaign import Told, Trial, play
from tests.fault.lab import Labs
from tests.fault.proxy import Fault


def main(argv: list[str] | None = None) -> int:
    """0: nothing went wrong; 1: something did; 2: it cannot be done on this machine."""
    args = _arguments(argv)
    console = Console()
    if why := PARTS[args.part][0]():
        console.print(why, style="bold red")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="liandong-faults-", dir=args.folder))
    console.print(f"seed {args.seed}, in {folder}")
    tally = play(args.part, PARTS[args.part][1](args, folder), 1 if args.part in ALONE else args.jobs, console)
    console.print(f"{args.part}: {tally}", highlight=False)
    if not tally.failed:
        shutil.rmtree(folder)
    return 1 if tally.failed else 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fault", description=__doc__)
    parser.add_argument("part", choices=sorted(PARTS))
    parser.add_argument("name", nargs="?", help="one trial again")
    parser.add_argument("--seed", type=int, default=1, help="draws what is tried")
    parser.add_argument("--count", type=int, help="how many; 0: all there are")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="where the data folders go")
    return parser.parse_args(argv)


def _template(folder: Path) -> Path:
    (folder / "template").mkdir()
    return scene.build(folder / "template")


def _kills(args: argparse.Namespace, folder: Path) -> list[Trial]:
    template = _template(folder)
    if args.name:
        blow = kills.Blow.parse(args.name)
        outcome = plan.learn(template, folder / "learning", blow.act, blow.mode).outcome
        return [Trial(f"kills {blow}", kills.trial, (template, folder / "again", blow, outcome))]
    count = 5000 if args.count is None else args.count
    return plan.trials(template, folder / "blows", args.seed, count, (count or 10_000) // 10, both=True)


def _power(args: argparse.Namespace, folder: Path) -> list[Trial]:
    template = _template(folder)
    if args.name:
        act, mode, seed, count = args.name.split(":")
        work = (template, folder / "again", act, mode, int(seed), int(count))
        return [Trial(f"power {args.name}", power.trial, work)]
    return power.trials(template, folder / "images", args.seed, args.count or 20_000)


def _net(args: argparse.Namespace, folder: Path) -> list[Trial]:
    namespaces.move_to_hub()
    labs = Labs(folder)
    atexit.register(labs.close)
    if args.name:
        seed, number = map(int, args.name.split(":"))
        return [Trial(f"net {seed}:{number} {weather.name_of(number)}", weather.scenario, (labs, seed, number))]
    numbers = range(60 if args.count is None else args.count)
    if args.count and args.count < len(weather.TROUBLES):
        numbers = random.Random(args.seed).sample(range(3 * len(weather.TROUBLES)), args.count)
    return [
        Trial(f"net {args.seed}:{number} {weather.name_of(number)}", weather.scenario, (labs, args.seed, number))
        for number in numbers
    ]


def _line(args: argparse.Namespace, folder: Path) -> list[Trial]:
    pair = line.Pair.open(folder)
    atexit.register(pair.close)
    chosen = [Fault.parse(args.name)] if args.name else line.faults(pair.sizes(), args.seed, args.count or 0)
    last = Trial("line, at the end", _sound, (pair,))
    return [*(Trial(f"line {fault}", line.trial, (pair, fault)) for fault in chosen), last]


def _sound(pair: line.Pair) -> Told:
    return Told(line.sound(pair))


def _lives(args: argparse.Namespace, folder: Path) -> list[Trial]:
    if args.name:
        seed, town, each, clones = map(int, args.name.split(":"))
        return restores.trials(folder, seed, range(town, town + 1), each, clones)
    towns = -(-(60 if args.count is None else args.count) // restores.RESTORES)
    return restores.trials(folder, args.seed, range(towns))


Part = tuple[Callable[[], str | None], Callable[[argparse.Namespace, Path], list[Trial]]]
PARTS: dict[str, Part] = {
    "kills": (strace.missing, _kills),
    "power": (strace.missing, _power),
    "net": (namespaces.missing, _net),
    "line": (lambda: None, _line),
    "lives": (lambda: None, _lives),
}
"""Why it cannot be done here, and what is tried."""
ALONE = ("net", "line")
"""Played one after the other on the same nodes, whatever --jobs says."""


if __name__ == "__main__":
    sys.exit(main())
