"""`python -m benchmarks [--profile] [B1 B4 …]`: measure, and print the figures with their ratios as a table."""

import argparse
import cProfile
import importlib
import pstats
import shutil
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.measure import Figure, table
from benchmarks.shares import shares

MEASURES = {
    "B1": "catch_up",
    "B2": "hops",
    "B3": "latency",
    "B4": "writes",
    "B5": "growth",
    "B6": "idle",
    "B7": "million",
    "B8": "flood",
    "B9": "pages",
    "B11": "fresh",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("measures", nargs="*", metavar="B1…B11", help="which; all by default")
    parser.add_argument("--profile", action="store_true", help="show where the time goes in a catch-up instead")
    asked = parser.parse_args()
    if asked.profile:
        return _profile(Console())
    figures: list[Figure] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        for id in asked.measures or MEASURES:
            running = progress.add_task(f"{id} {MEASURES[id].replace('_', ' ')}")
            folder = Path(tempfile.mkdtemp(prefix="liandong-bench-"))
            try:
                figures += importlib.import_module(f"benchmarks.{MEASURES[id]}").measure(folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            progress.remove_task(running)
    Console(width=140).print(table(figures))


def _profile(console: Console) -> None:
    """Where the time of a catch-up goes, both ends in one process and one thread."""
    folder = Path(tempfile.mkdtemp(prefix="liandong-bench-"))
    try:
        drain = importlib.import_module("benchmarks.one_process").prepared(folder)
        profile = cProfile.Profile()
        profile.runcall(drain)
        console.print(shares(pstats.Stats(profile)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
