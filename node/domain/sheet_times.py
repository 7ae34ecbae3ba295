"""Dates and times as people and spreadsheets write them.

Decides the instant a cell means. Without a zone it is China time (UTC+8), without an hour the day's beginning. What
cannot be read for certain is not read: two-digit years and days before months are refused.
"""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone

YEAR_MIN, YEAR_MAX = 1949, 2100
CHINA_TIME = timezone(timedelta(hours=8), "UTC+8")

_DAY = re.compile(
    r"(?P<year>\d{4}) ?(?:(?P<part>[-/.]) ?(?P<month>\d{1,2}) ?(?P=part) ?(?P<day>\d{1,2})(?!\d)"
    r"|年 ?(?P<m>\d{1,2}) ?月 ?(?P<d>\d{1,2}) ?日?|(?P<mm>\d{2})(?P<dd>\d{2})(?!\d))(?: ?(?:星期|周).)?",
    re.ASCII,
)
_CLOCK = re.compile(
    r"[T ]? ?(?P<half>上午|下午|晚上|凌晨|中午|AM|PM)? ?(?P<hour>\d{1,2}) ?[:时点] ?(?:(?P<minute>\d{1,2}) ?"
    r"(?:[:分] ?(?:(?P<second>\d{1,2})(?:\.\d{1,9})? ?秒?)?)?)? ?(?P<after>AM|PM)? ?(?P<zone>Z|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_SERIAL = re.compile(r"[2-7]\d{4}(?:\.\d+)?", re.ASCII)
_SERIAL_DAY_0 = datetime(1899, 12, 30, tzinfo=CHINA_TIME)
_LATE_HALF = frozenset({"下午", "晚上", "PM"})


def read_time(cell: object) -> datetime | None:
    """The instant in UTC, to the second, or None when the cell does not say one."""
    try:
        moment = _moment(cell)
        return moment.astimezone(UTC).replace(microsecond=0) if moment and _is_plausible(moment) else None
    except (ValueError, OverflowError):
        return None


def _is_plausible(moment: datetime) -> bool:
    return YEAR_MIN <= moment.year <= YEAR_MAX


def _moment(cell: object) -> datetime | None:
    if isinstance(cell, datetime):
        return cell if cell.tzinfo else cell.replace(tzinfo=CHINA_TIME)
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day, tzinfo=CHINA_TIME)
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        return None
    text = " ".join(unicodedata.normalize("NFKC", str(cell)).upper().split())
    if _SERIAL.fullmatch(text):
        return _SERIAL_DAY_0 + timedelta(seconds=round(float(text) * 86_400))
    return _written(text)


def _written(text: str) -> datetime | None:
    day = _DAY.match(text)
    clock = _CLOCK.fullmatch(text, day.end()) if day else None
    if day is None or (clock is None and text[day.end() :]):
        return None
    year, month, number = day["year"], day["month"] or day["m"] or day["mm"], day["day"] or day["d"] or day["dd"]
    start = datetime(int(year), int(month), int(number), tzinfo=_zone(clock["zone"] if clock else None))
    if clock is None:
        return start
    return start.replace(hour=_hour(clock), minute=int(clock["minute"] or 0), second=int(clock["second"] or 0))


def _hour(clock: re.Match[str]) -> int:
    hour, half = int(clock["hour"]), clock["half"] or clock["after"]
    if half in _LATE_HALF and hour < 12:
        return hour + 12
    return 0 if half in ("AM", "凌晨") and hour == 12 else hour


def _zone(written: str | None) -> timezone:
    if not written:
        return CHINA_TIME
    if written == "Z":
        return UTC
    ahead = timedelta(hours=int(written[1:3]), minutes=int(written[-2:]))
    return timezone(-ahead if written[0] == "-" else ahead)
