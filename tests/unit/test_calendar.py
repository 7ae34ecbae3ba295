"""Working days: the three years that ship, terms over holidays, and a year that no list covers."""

from datetime import UTC, date, datetime, timedelta

import pytest

from node.domain.calendar import CHINA, Calendar, builtin_calendar, load_calendar
from node.domain.errors import BadDay, CalendarError, DuplicateDay

DAYS = builtin_calendar()


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00:00+08:00")


def works(year: int) -> int:
    first = date(year, 1, 1)
    return sum(DAYS.works(day) for n in range(366) if (day := first + timedelta(days=n)).year == year)


@pytest.mark.parametrize(("year", "days"), [(2024, 251), (2025, 248), (2026, 248)])
def test_year_has_the_working_days_its_notice_makes(year: int, days: int):
    assert year in DAYS.years
    assert works(year) == days


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-25", 5, "2026-12-02"),
        ("2026-02-13", 1, "2026-02-14"),
        ("2026-02-13", 2, "2026-02-24"),
        ("2026-09-30", 3, "2026-10-10"),
        ("2025-09-26", 4, "2025-10-09"),
        ("2024-05-10", 1, "2024-05-11"),
        ("2026-11-25", 0, "2026-11-25"),
    ],
)
def test_term_ends_with_the_last_of_its_working_days(start: str, days: int, end: str):
    term = DAYS.after(noon(start), days)
    assert term.covered
    assert term.at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S") == f"{end} 23:59:59"


def test_the_day_is_that_of_china_whatever_the_hour():
    late = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)
    assert DAYS.after(late, 1).at == DAYS.after(noon("2026-11-26"), 1).at


def test_year_in_no_list_is_reckoned_by_the_week_and_said_to_be():
    term = DAYS.after(noon("2026-12-30"), 3)
    assert not term.covered
    assert term.at.astimezone(CHINA).date() == date(2027, 1, 4)
    assert DAYS.after(noon("2026-12-30"), 1).covered


@pytest.mark.parametrize(
    ("due", "left"),
    [
        ("2026-11-25", 0),
        ("2026-11-26", 1),
        ("2026-12-02", 5),
        ("2026-11-24", -1),
        ("2026-11-20", -3),
        ("2999-01-01", 253591),
    ],
)
def test_days_left_are_working_days_and_negative_once_over(due: str, left: int):
    found = DAYS.until(noon("2026-11-25"), noon(due))
    assert found == left if due < "2100" else found > 250_000


def test_loaded_year_is_added_and_one_it_names_replaced():
    loaded = load_calendar("日期,类别,名称\n2027-01-01,放假,元旦\n2026-11-26,holiday,试\n".encode())
    both = loaded.over(DAYS)
    assert both.years == {2024, 2025, 2026, 2027}
    assert not both.works(date(2026, 11, 26))
    assert both.works(date(2026, 10, 2)), "a year named anew is that list's alone"
    assert not both.works(date(2025, 10, 2))


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ("2026-02-30,holiday,x", BadDay),
        ("20260101,holiday,x", BadDay),
        ("2026-1-1,holiday,x", BadDay),
        ("2026-01-05,workday,x", BadDay),
        ("2026-01-05,feast,x", CalendarError),
        ("2026-01-05,holiday,x\n2026-01-05,holiday,x", DuplicateDay),
        ("", CalendarError),
    ],
)
def test_bad_row_is_refused_by_number(rows: str, error: type[CalendarError]):
    with pytest.raises(error) as refused:
        load_calendar(f"day,kind,name\n{rows}\n".encode())
    assert refused.value.row is not None or not rows


def test_calendar_without_days_covers_nothing():
    assert Calendar({}).years == frozenset()
    assert not Calendar({}).after(noon("2026-11-25"), 1).covered
