"""Chinese working days: weekends, holidays, and the weekend days worked in their place, by a published list a year.

A year that no list covers is reckoned by the week alone and every answer says so: nothing is guessed in silence.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache, cached_property
from importlib.resources import files
from itertools import accumulate
from typing import Literal

from node.domain.csvtable import read_table
from node.domain.errors import BadDay, CalendarError, DuplicateDay

Kind = Literal["holiday", "workday"]
CHINA = timezone(timedelta(hours=8))
_COLUMNS = {"day": "日期", "kind": "类别", "name": "名称"}
_KINDS: dict[str, Kind] = {"holiday": "holiday", "workday": "workday", "放假": "holiday", "上班": "workday"}


@dataclass(frozen=True, slots=True)
class Term:
    """When a number of working days is over; `covered` is false where a year on the way is in no list."""

    at: datetime
    covered: bool


@dataclass(frozen=True)
class Calendar:
    """The days that are otherwise than the week says, with the name of their holiday."""

    days: Mapping[date, tuple[Kind, str]]

    @cached_property
    def years(self) -> frozenset[int]:
        """The years that are covered."""
        return frozenset(day.year for day in self.days)

    def works(self, day: date) -> bool:
        """Whether offices work on this day, as far as is known."""
        special = self.days.get(day)
        return day.weekday() < 5 if special is None else special[0] == "workday"

    def after(self, start: datetime, working_days: int) -> Term:
        """The end, in China, of the working day that is so many after the day of `start`; that day itself is none."""
        day, covered = start.astimezone(CHINA).date(), True
        left = working_days
        while left > 0:
            day += timedelta(days=1)
            covered = covered and day.year in self.years
            left -= self.works(day)
        return Term(_end_of(day), covered)

    def until(self, now: datetime, due: datetime) -> int:
        """Working days left after today until the day of `due`; below zero: so many are over since."""
        today, last = now.astimezone(CHINA).date(), due.astimezone(CHINA).date()
        return self._worked(last) - self._worked(today)

    def _worked(self, day: date) -> int:
        """Working days from the first day there is until this one: weeks, and what the lists say otherwise."""
        weeks, rest = divmod(day.toordinal(), 7)  # day 1 was a Monday
        days, changes = self._changes
        return weeks * 5 + min(rest, 5) + changes[bisect_right(days, day)]

    @cached_property
    def _changes(self) -> tuple[list[date], list[int]]:
        """The listed days in order, and by how many working days all before each, and all of them, change the count."""
        listed = sorted(self.days)
        by = [(self.days[day][0] == "workday") - (day.weekday() < 5) for day in listed]
        return listed, [0, *accumulate(by)]

    def over(self, other: "Calendar") -> "Calendar":
        """This list, and the years of `other` that it does not name."""
        kept = {day: what for day, what in other.days.items() if day.year not in self.years}
        return Calendar(kept | dict(self.days))


def load_calendar(data: bytes) -> Calendar:
    """Read a calendar from CSV with the columns day, kind, name. Raises a `CalendarError` naming the row."""
    days: dict[date, tuple[Kind, str]] = {}
    for row, (text, kind, name) in read_table(data, _COLUMNS, CalendarError):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise BadDay(text, row, "day") from None
        if len(text) != len("2026-01-01"):
            raise BadDay(text, row, "day")
        known = _KINDS.get(kind)
        if known is None:
            raise CalendarError(f"{kind}: holiday or workday", row, "kind")
        if known == "workday" and day.weekday() < 5:
            raise BadDay(f"{text} is a working day by the week already", row, "day")
        if day in days:
            raise DuplicateDay(text, row)
        days[day] = (known, name)
    if not days:
        raise CalendarError("no rows in the table")
    return Calendar(days)


@cache
def builtin_calendar() -> Calendar:
    """The years shipped with the program (see data/README.md)."""
    return load_calendar((files("node.domain") / "data" / "calendar.csv").read_bytes())


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), CHINA).astimezone(UTC)
