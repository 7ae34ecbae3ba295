"""What is known of each mutant: the seed that catches it, kept as data, and the table of it for people."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.sim.mutants.catalogue import ALL, NOT_RULES
from tests.sim.mutants.mutant import ROOT, Mutant
from tests.sim.mutants.trial import STEPS, Found

FILE = Path(__file__).with_name("caught.json")
PAGE = ROOT / "docs" / "seeded-bugs.md"
TEXT_MAX = 110


@dataclass(frozen=True)
class Caught:
    """`seed` of `steps` steps caught the mutant, by `check`; it was the `seeds`-th that was tried. Without a seed none
    of them did."""

    seed: int | None
    seeds: int
    check: str
    text: str
    steps: int = STEPS


def load() -> dict[str, Caught]:
    """By name: every mutant that was tried."""
    return {name: Caught(**row) for name, row in json.loads(FILE.read_text(encoding="utf-8")).items()}


def caught() -> dict[str, Caught]:
    """Those that are noticed."""
    return {name: item for name, item in load().items() if item.seed is not None}


def renewed(known: dict[str, Caught], found: Iterable[Found]) -> dict[str, Caught]:
    """With what was found now; what is no mutant any more is left out."""
    now = known | {item.name: Caught(item.seed, item.seeds, item.check, item.text, item.steps) for item in found}
    return {mutant.name: now[mutant.name] for mutant in ALL if mutant.name in now}


def store(tried: dict[str, Caught]) -> None:
    rows = {name: asdict(item) for name, item in tried.items()}
    FILE.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(tried), encoding="utf-8")


def page(tried: dict[str, Caught]) -> str:
    """The table, generated: what was broken, which check noticed, after how many seeds."""
    noticed = [item for item in tried.values() if item.seed is not None]
    elsewhere = [mutant for mutant in ALL if mutant.elsewhere and _seed(tried, mutant) is None]
    rest = [mutant for mutant in ALL if not mutant.elsewhere and _seed(tried, mutant) is None]
    escaped = [mutant for mutant in rest if mutant.name in tried]
    first = sum(item.seeds == 1 for item in noticed)
    lines = [
        "# Seeded bugs: what happens when a guard is missing",
        "",
        f"{len(ALL)} guards of the protocol are taken out or weakened, one at a time (`tests/sim/mutants`), and the",
        f"simulator plays seeds of {STEPS} steps or more against each until a check notices. Seeds without the fault",
        "that a bug needs are passed over. Made by `make mutants`; `make test` plays, for each that is noticed, the",
        "very seed that is named here.",
        "",
        f"- {len(noticed)} are noticed by the simulator, {first} of them by the first seed;",
        f"- {len(elsewhere)} are out of its reach, or of that of the seeds tried, and are noticed by the test",
        "  that is named, which `make test` runs with the bug in place;",
        f"- {len(escaped)} were not noticed in the seeds that were tried: a hole in the simulator, or a guard with",
        "  another one behind it;",
        f"- {len(rest) - len(escaped)} have not been tried yet.",
        "",
        *(f"{rule} has no guard: {why}." for rule, why in NOT_RULES.items()),
        "",
        "| rule | bug | noticed by | seed | steps | tried |",
        "|---|---|---|---|---|---|",
        *(_row(mutant, tried.get(mutant.name)) for mutant in ALL),
        "",
    ]
    return "\n".join(lines)


def _seed(tried: dict[str, Caught], mutant: Mutant) -> int | None:
    found = tried.get(mutant.name)
    return found.seed if found is not None else None


def _row(mutant: Mutant, found: Caught | None) -> str:
    name = f"| {mutant.rule} | {mutant.name} |"
    if found is not None and found.seed is not None:
        text = found.text.replace("|", "\\|")
        text = text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."
        return f"{name} {found.check}: {text} | {found.seed} | {found.steps} | {found.seeds} |"
    if mutant.elsewhere:
        return f"{name} `{mutant.elsewhere}` | | | |"
    return (
        f"{name} **nothing** | | {found.steps} | {found.seeds} |"
        if found is not None
        else f"{name} not tried yet | | | |"
    )
