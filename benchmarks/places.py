"""How well the areas of imported messages are read: `python -m benchmarks.places`.

Reads the messages in the folder LIANDONG_SHARED_DATA (default ../shared/data beside the repository). The yardstick is
deliberately dumb and shares no code with the product: a regular expression over the county names of the table, longest
first. Where the title holds exactly one of them, the areas must hold that county. What is left over is printed by
category, as counts and codes only: the messages are not ours to show.
"""

import csv
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from node.domain.divisions import DivisionTree, load
from node.domain.places import FoundAreas, areas_of

FILES = ("messages-replied.csv", "messages-votes.csv", "messages-labelled.csv")
TITLE, TEXT, NUMBER = "留言主题", "留言详情", "留言编号"


def folder() -> Path:
    """Where the real data lies; it need not exist."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("LIANDONG_SHARED_DATA", beside))


def messages(path: Path) -> Iterator[tuple[str, str, str]]:
    """`(number, title, text)` of every message."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            yield row[NUMBER], row[TITLE], row[TEXT]


def counties_by_name(path: Path) -> dict[str, str]:
    """Code by name of every county of the table, read without the product's code."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row["code"] for row in csv.DictReader(file) if row["level"] == "county"}


def named_in(title: str, counties: dict[str, str]) -> set[str]:
    """The yardstick: codes of all county names that stand in the title."""
    pattern = "|".join(sorted(map(re.escape, counties), key=len, reverse=True))
    return {counties[name] for name in re.findall(rf"(?<![A-Z])(?:{pattern})", title)}


def category(code: str, found: FoundAreas) -> str:
    """Why a county the title names is not among the areas."""
    if any(place.code == code for place in found.doubtful):
        return "read as a part of another name (a road's, an estate's)"
    if any(code in place.codes for place in found.ambiguous):
        return "left ambiguous"
    return "not read at all"


def measure(
    path: Path, tree: DivisionTree, counties: dict[str, str]
) -> tuple[int, list[tuple[str, str, str]], Counter[str]]:
    """Titles with exactly one county, the cases missed as `(number, code, category)`, and what all messages got."""
    asked, missed = 0, []
    given: Counter[str] = Counter()
    for number, title, text in messages(path):
        found = areas_of(title, text, tree)
        levels = sorted({division.level.value for code in found.codes if (division := tree.get(code))})
        given[" and ".join(levels) or "none"] += 1
        named = named_in(title, counties)
        if len(named) == 1:
            asked += 1
            code = named.pop()
            if code not in found.codes:
                missed.append((number, code, category(code, found)))
    return asked, missed, given


def main() -> int:
    """Print the figures; 1 when the data is not there."""
    data = folder()
    if not (data / "divisions-xidi.csv").exists():
        print(f"no data in {data}; set LIANDONG_SHARED_DATA")
        return 1
    tree = load((data / "divisions-xidi.csv").read_bytes())
    counties = counties_by_name(data / "divisions-xidi.csv")
    for name in FILES:
        started = time.perf_counter()
        asked, missed, given = measure(data / name, tree, counties)
        spent = time.perf_counter() - started
        hit = 100 * (asked - len(missed)) / asked
        print(f"{name}: {hit:.2f} % of {asked} titles with one county; {sum(given.values()) / spent:,.0f} messages/s")
        print("  areas given:", ", ".join(f"{level} {count}" for level, count in given.most_common()))
        for reason, count in Counter(case[2] for case in missed).most_common():
            shown = " ".join(f"{number}:{code}" for number, code, why in missed if why == reason)
            print(f"  missed, {reason}: {count} ({shown})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
