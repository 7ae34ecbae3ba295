"""What befalls the nodes of a province while they work: kills, lines that are cut, a machine that is lost and restored
from a backup. All of it is planned from the size of the replay alone, so a replay that is interrupted goes on with it.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.fleet import Fleet
from schemas.ids import Tier

SEED = 1
REST_S = 5.0
"""A killed node comes back within so many seconds."""

Say = Callable[[str], None]


class What(StrEnum):
    KILL = "kill"
    CUT = "cut"
    BACKUP = "backup"
    LOSE = "lose"


@dataclass(frozen=True, slots=True)
class Blow:
    """Falls when so many matters are solved."""

    at: int
    what: What
    code: str


def plan(fleet: Fleet, solved: int, kills: int, cuts: int) -> list[Blow]:
    """Kills go round the tiers; lines are cut below cities and above them; one county is lost well after its backup."""
    chance = random.Random(SEED)
    tiers = [[code for code, place in fleet.places.items() if place.tier is tier] for tier in reversed(Tier)]
    lost = chance.choice(list(fleet.quotas))
    counties, cities, top = sorted(tiers, key=len, reverse=True)
    spared = [code for code in counties if code != lost] or counties
    blows = [Blow(solved // 4, What.BACKUP, lost), Blow(solved * 3 // 5, What.LOSE, lost)]
    for n in range(kills):
        victims = (spared, cities, top)[n % 3]
        blows.append(Blow((n + 1) * solved // (kills + 1), What.KILL, chance.choice(victims)))
    for n in range(cuts):
        victims = (cities, spared)[n % 2]
        blows.append(Blow((2 * n + 1) * solved // (2 * cuts + 1), What.CUT, chance.choice(victims)))
    return sorted(blows, key=lambda blow: blow.at)


class Trouble:
    """Deals the blows when they are due, from the `done`-th on, and ends what ends by itself."""

    def __init__(self, fleet: Fleet, blows: list[Blow], done: int, cut_s: float, say: Say) -> None:
        self._fleet, self._blows, self._cut_s, self._say = fleet, blows, cut_s, say
        self._chance = random.Random(SEED + done)
        self._mend_at: dict[str, float] = {}
        self._healing: dict[str, tuple[float, int]] = {}
        self.done = done

    @property
    def over(self) -> bool:
        return self.done == len(self._blows) and not self._mend_at and not self._healing

    def look(self, solved: int) -> None:
        """Deal what is due, then mend and see who has healed."""
        while self.done < len(self._blows) and self._blows[self.done].at <= solved:
            self._deal(self._blows[self.done], solved)
            self.done += 1
        now = time.monotonic()
        for code in [code for code, until in self._mend_at.items() if until <= now]:
            del self._mend_at[code]
            self._fleet.lines.mend(code)
            self._say(f"the line of {code} is good again")
        for code in [code for code, (_, old) in self._healing.items() if self._fleet.incarnation(code) > old]:
            took = now - self._healing.pop(code)[0]
            self._say(f"{code} has healed, {took:.0f} s after its restore, and has {self._entries(code):,} entries")

    def _deal(self, blow: Blow, solved: int) -> None:
        code = blow.code
        if blow.what is What.KILL:
            self._fleet.kill(code)
            time.sleep(self._chance.uniform(0, REST_S))
            self._fleet.start(code)
            self._say(f"{solved:,} solved; {code} was killed and started again")
        elif blow.what is What.CUT:
            self._fleet.lines.cut(code)
            self._mend_at[code] = time.monotonic() + self._cut_s
            self._say(f"{solved:,} solved; the line of {code} to the tier above was cut")
        elif blow.what is What.BACKUP:
            self._fleet.back_up(code)
            self._say(f"{solved:,} solved; {code} was backed up, with {self._entries(code):,} entries")
        else:
            had, lived = self._entries(code), self._fleet.incarnation(code)
            self._fleet.lose_and_restore(code)
            self._healing[code] = (time.monotonic(), lived)
            self._say(f"{solved:,} solved; {code} was lost with {had:,} entries and restored from its backup")

    def _entries(self, code: str) -> int:
        found: int = self._fleet.ask(code, "SELECT count(*) FROM entries")[0][0]
        return found
