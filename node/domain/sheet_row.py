"""One row of a sheet, read into fields.

Decides what each recognised cell says and what is wrong with it. A title is required; a row without a text has its
title as text. A category may stand in one column or in three, one for each level.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from node.domain.categories import normal_path
from node.domain.sheet_fields import LINE_CHARS_MAX, TEXT_CHARS_MAX, TITLE_CHARS_MAX, as_text, tidy_line, tidy_text
from node.domain.sheet_times import read_time

SHOWN_CHARS_MAX = 40
COUNT_MAX = 2**53 - 1
_CHARS_MAX = {"title": TITLE_CHARS_MAX, "text": TEXT_CHARS_MAX, "reply": TEXT_CHARS_MAX}
_PARTED = re.compile(r"[\s、,，;；/|]+")
_AREA = re.compile(r"[0-9]{6}(?:[0-9]{3}){0,2}", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a row from being imported; `field` is a field of `Fields`, or "row" for all of it."""

    row: int
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Fields:
    """What a row says; "" , None and () where it says nothing. Times are UTC.

    `areas` are division codes where the cell holds codes; names of places are left in `area_text`.
    """

    title: str = ""
    text: str = ""
    external_id: str = ""
    submitted_at: datetime | None = None
    name: str = ""
    phone: str = ""
    address: str = ""
    category: str = ""
    areas: tuple[str, ...] = ()
    area_text: str = ""
    source: str = ""
    kind: str = ""
    unit: str = ""
    reply: str = ""
    reply_at: datetime | None = None
    likes: int | None = None
    dislikes: int | None = None


def read_row(
    number: int, cells: Sequence[object], places: Mapping[str, int]
) -> tuple[Fields, tuple[Problem, ...]] | None:
    """Fields and problems of a row, None for a blank one; `places` says in which cell each field stands."""
    said = {
        field: cells[place] for field, place in places.items() if place < len(cells) and as_text(cells[place]).strip()
    }
    if not said:
        return None
    reader = _Reader(number, said)
    title = reader.line("title")
    if not title and "title" not in reader.bad:
        reader.problem("title", "缺标题 / the title is missing")
    areas, area_text = reader.areas()
    fields = Fields(
        title=title,
        text=reader.text("text") or title,
        external_id=reader.line("external_id"),
        submitted_at=reader.time("submitted_at"),
        name=reader.line("name"),
        phone=reader.line("phone"),
        address=reader.line("address"),
        category=reader.category(),
        areas=areas,
        area_text=area_text,
        source=reader.line("source"),
        kind=reader.line("kind"),
        unit=reader.unit(),
        reply=reader.text("reply"),
        reply_at=reader.time("reply_at"),
        likes=reader.count("likes"),
        dislikes=reader.count("dislikes"),
    )
    return fields, tuple(reader.problems)


class _Reader:
    """Reads cell after cell of one row and notes the problems."""

    def __init__(self, number: int, said: Mapping[str, object]) -> None:
        self.problems: list[Problem] = []
        self._number = number
        self._said = said

    @property
    def bad(self) -> set[str]:
        return {problem.field for problem in self.problems}

    def problem(self, field: str, message: str) -> None:
        self.problems.append(Problem(self._number, field, message))

    def line(self, field: str) -> str:
        return self._bounded(field, tidy_line(self._said.get(field)))

    def text(self, field: str) -> str:
        return self._bounded(field, tidy_text(self._said.get(field)))

    def time(self, field: str) -> datetime | None:
        cell = self._said.get(field)
        if cell is None:
            return None
        moment = read_time(cell)
        if moment is None:
            said = _shown(tidy_line(cell))
            self.problem(
                field,
                f"时间看不懂：{said}（请写成 2019-04-25 09:32 的样子） / not a time: {said} (write 2019-04-25 09:32)",
            )
        return moment

    def count(self, field: str) -> int | None:
        said = tidy_line(self._said.get(field)).replace(",", "")
        if said and not _COUNT.fullmatch(said):
            self.problem(field, f"不是数目：{_shown(said)} / not a number: {_shown(said)}")
            return None
        return min(int(said), COUNT_MAX) if said else None

    def category(self) -> str:
        said = self.line("category")
        if not said:
            levels = [self.line(f"category{level}") for level in (1, 2, 3)]
            said = "/".join(levels[: levels.index("")] if "" in levels else levels)
        return self._bounded("category", normal_path(said))

    def areas(self) -> tuple[tuple[str, ...], str]:
        said = self.line("areas")
        parts = [part for part in _PARTED.split(said) if part]
        if parts and all(_AREA.fullmatch(part) for part in parts):
            return tuple(dict.fromkeys(parts)), ""
        return (), said

    def unit(self) -> str:
        said = self.line("unit")
        if said and not _AREA.fullmatch(said):
            shown = _shown(said)
            self.problem("unit", f"单位代码应是6、9或12位数字：{shown} / a unit's code has 6, 9 or 12 digits: {shown}")
            return ""
        return said

    def _bounded(self, field: str, value: str) -> str:
        most = _CHARS_MAX.get(field, LINE_CHARS_MAX)
        if len(value) <= most:
            return value
        if field not in self.bad:
            self.problem(field, f"超过{most}字（现有{len(value)}字） / more than {most} characters ({len(value)})")
        return ""


def _shown(said: str) -> str:
    """As it is named in a message, which holds both languages with a stroke between them."""
    return said[:SHOWN_CHARS_MAX].replace(" / ", "/")
