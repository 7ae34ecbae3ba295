"""Every refusal of the domain rules.

The class docstring is the message text; what an instance adds is the detail that makes it findable (a row, a code).

    DomainError
      RowError                     a table that cannot be used: names the row
        DivisionError              divisions.csv
          DuplicateCode, UnknownParent, ParentCycle, BadLevel, BadCode, BadName
        CatalogueError             powers.csv, categories.csv
          UnknownCategory, UnknownFunction, UnknownTier, MissingSource, BadException, DuplicateRow
        CalendarError              calendar.csv
          BadDay, DuplicateDay
        SheetError                 a CSV or XLSX file that cannot be read at all
          EmptySheet, NoHeader, UnknownFormat, WrongEncoding, UnsafeWorkbook, SheetTooLarge
      UnknownDivision              a code that is in no table
"""


class DomainError(Exception):
    """The rules do not allow this."""

    def __init__(self, detail: str = "") -> None:
        text = (type(self).__doc__ or DomainError.__doc__ or "").strip().split("\n")[0]
        super().__init__(f"{text.rstrip('.')}: {detail}" if detail else text)
        self.detail = detail


# ---- tables: divisions, catalogue, sheets ------------------------------------------------------------------------


class RowError(DomainError):
    """The table cannot be used."""

    def __init__(self, detail: str = "", row: int | None = None, field: str | None = None) -> None:
        where = "" if row is None else f"row {row}" + (f", column {field}" if field else "")
        super().__init__(": ".join(part for part in (where, detail) if part))
        self.row = row
        self.field = field


class DivisionError(RowError):
    """The division table cannot be used."""


class DuplicateCode(DivisionError):
    """Two divisions have the same code."""


class UnknownParent(DivisionError):
    """The parent is not in the table."""


class ParentCycle(DivisionError):
    """The parent links run in a circle."""


class BadLevel(DivisionError):
    """The level is not one of province, city, county, township, village, or not below its parent's."""


class BadCode(DivisionError):
    """A division code has 6, 9 or 12 digits."""


class BadName(DivisionError):
    """A division has a name."""


class UnknownDivision(DomainError):
    """No division has this code."""


class CatalogueError(RowError):
    """The powers-and-duties catalogue cannot be used."""


class UnknownCategory(CatalogueError):
    """The category is not in the classification."""


class UnknownFunction(CatalogueError):
    """The function is not one of decide, approve, fund, enforce, inform."""


class UnknownTier(CatalogueError):
    """The tier is not one of township, county, city, province."""


class MissingSource(CatalogueError):
    """A catalogue row names its source, or says that it is an assumption."""


class BadException(CatalogueError):
    """The area of an exception is a division code of 6, 9 or 12 digits."""


class DuplicateRow(CatalogueError):
    """Two catalogue rows say the same."""


class CalendarError(RowError):
    """The calendar cannot be used."""


class BadDay(CalendarError):
    """A day is written 2026-05-01, and one that is worked in place of another is a Saturday or Sunday."""


class DuplicateDay(CalendarError):
    """A day stands in the table twice."""


class SheetError(RowError):
    """The file cannot be read as a table."""


class EmptySheet(SheetError):
    """The file holds no rows."""


class NoHeader(SheetError):
    """No column holds the title; one of the first rows has to name the columns (标题, 内容, 时间 and so on)."""


class UnknownFormat(SheetError):
    """The file is neither CSV nor XLSX."""


class WrongEncoding(SheetError):
    """The text is neither UTF-8 nor GB18030."""


class UnsafeWorkbook(SheetError):
    """The workbook is built in a way that is not opened here."""


class SheetTooLarge(SheetError):
    """The file is larger than what is read at once."""
