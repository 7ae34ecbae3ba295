"""What one seed stands for, spelled out: the tree, the clocks, which faults and how often. Printed with a failure."""

import random
from dataclasses import asdict, dataclass, replace

from schemas.ids import NodeCode, Tier
from tests.sim.chance import SKEW_MAX_S

PROVINCE = "620000"
CITIES = ("620100", "620500")
COUNTIES = {"620100": ("620102", "620103", "620104"), "620500": ("620502", "620503")}

WIRE_FAULTS = (
    "request-lost",
    "request-twice",
    "request-corrupted",
    "request-cut",
    "reply-lost",
    "reply-late",
    "reply-corrupted",
    "reply-cut",
    "time-out",
    "small-budget",
)
"""What may happen to one exchange."""
EVENT_FAULTS = (
    "link-down",
    "one-way-link",
    "crash-in-transaction",
    "crash-at-commit",
    "crash-after-commit",
    "disk-full",
    "restart",
    "clock-jump",
    "bundle",
    "bundle-piece",
    "bundle-again",
    "bundle-damaged",
    "client-repeats",
)
"""What may happen to a node or a link at a step of its own."""
LIVES_FAULTS = (
    "backup",
    "restore",
    "restore-several",
    "lost-guard",
    "unnoticed-restore",
    "power-cut",
    "ended-by-hand",
    "waive",
    "new-machine",
    "clone",
    "claim",
)
"""What may happen to a whole machine, and what people do then; in a part of the seeds."""
LIVES_SEEN = ("restore-while-healing", "restore-of-the-root", "parallel-claims", "rehome")
"""Of those, what is worth counting by itself."""
OTHER_FAULTS = ("second-process", "late-joiner", "older-version", "recall-race")
"""Of the whole run, or of how operators happen to act."""
FAULTS = (*WIRE_FAULTS, *EVENT_FAULTS, *OTHER_FAULTS, *LIVES_FAULTS, *LIVES_SEEN)
_CHOSEN = (*WIRE_FAULTS, *EVENT_FAULTS, *OTHER_FAULTS)
_LIVES_SHARE = 0.6
_ENABLED_SHARE = 0.75
STEPS_DEFAULT = 300
LYING = 0.15
"""The share of steps after which somebody lies."""


@dataclass(frozen=True)
class Options:
    """`late` join in the middle; `old` do not know the newest kinds, until the end or (`stays_old`) for good.

    `zeal` is how much of the operators' work brings a topic nearer to its end rather than elsewhere.
    """

    seed: int
    steps: int
    cities: tuple[NodeCode, ...]
    counties: tuple[NodeCode, ...]
    late: tuple[NodeCode, ...]
    old: tuple[NodeCode, ...]
    stays_old: bool
    skews_s: tuple[int, ...]
    faults: tuple[str, ...]
    fault_rate: float
    topics_max: int
    zeal: int
    deadlines: bool
    finish: bool
    twin: bool
    lying: float = LYING

    @property
    def codes(self) -> tuple[NodeCode, ...]:
        """Parents before children."""
        return (PROVINCE, *self.cities, *self.counties)

    def tier(self, code: NodeCode) -> Tier:
        if code == PROVINCE:
            return Tier.PROVINCE
        return Tier.CITY if code in CITIES else Tier.COUNTY

    def parent(self, code: NodeCode) -> NodeCode | None:
        if code == PROVINCE:
            return None
        return next((city for city, below in COUNTIES.items() if code in below), PROVINCE)

    def __str__(self) -> str:
        return "\n".join(f"  {name} = {value}" for name, value in asdict(self).items())


def expand(seed: int, steps: int = STEPS_DEFAULT) -> Options:
    """The options of a seed; `steps` is given from outside and changes nothing else."""
    chance = random.Random(f"{seed} options")
    cities = CITIES[: chance.choice((1, 2))]
    counties: list[NodeCode] = []
    for city in cities:
        counties += COUNTIES[city][: chance.randint(1, 3)]
    if len(counties) < 2:
        counties = list(COUNTIES[cities[0]][:2])
    faults = tuple(name for name in _CHOSEN if chance.random() < _ENABLED_SHARE)
    codes = (PROVINCE, *cities, *counties)
    late = tuple(code for code in counties[1:] if "late-joiner" in faults and chance.random() < 0.6)
    old = tuple(
        code for code in codes if "older-version" in faults and chance.random() < (0.5 if code in cities else 0.25)
    )
    skew = chance.choice((0, 3600, SKEW_MAX_S))
    twin = chance.random() < 0.15
    if not twin and chance.random() < _LIVES_SHARE:
        faults += ("backup", *(name for name in LIVES_FAULTS[1:] if chance.random() < _ENABLED_SHARE))
    return Options(
        seed=seed,
        steps=steps,
        cities=cities,
        counties=tuple(counties),
        late=late,
        old=old,
        stays_old=bool(old) and chance.random() < 0.3 and "backup" not in faults,
        skews_s=tuple(chance.randint(-skew, skew) for _ in codes),
        faults=faults,
        fault_rate=chance.choice((0.01, 0.04, 0.12)),
        zeal=chance.choice((1, 3, 9)),
        topics_max=chance.choice((2, 5, 10)),
        deadlines=not twin and chance.random() < 0.5,
        finish=chance.random() < 0.4,
        twin=twin,
    )


def other_clocks(options: Options) -> Options:
    """The same run by other clocks; whatever a clock may decide (`deadlines`) is off in both."""
    chance = random.Random(f"{options.seed} other clocks")
    skews_s = tuple(chance.randint(-SKEW_MAX_S, SKEW_MAX_S) for _ in options.skews_s)
    return replace(options, skews_s=skews_s, deadlines=False)
