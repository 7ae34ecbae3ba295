"""What went wrong, as the one line a person reads: in Chinese, in English, and what to do.

A refusal by the rules ends with 1, a value that can never be right with 2. Anything no table has words for is a fault
of the program and keeps its traceback.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from node.cli.words import CODES, SAID, Pair
from node.domain.errors import DomainError
from node.domain.refusals import Invalid
from node.store.faults import fault
from node.web.words import field_key, pairs
from sync.errors import SyncError

REFUSED = 1
USAGE = 2
FIELDS_SHOWN_MAX = 5
_FALLBACK: Pair = ("不能这样做", "This cannot be done")


@dataclass(frozen=True, slots=True)
class Said:
    text: str
    status: int


def explain(error: Exception) -> Said | None:
    """The line and the exit code; None for what nobody foresaw."""
    if isinstance(error, ValidationError):
        return Said(_one_line("; ".join(map(_field, error.errors()[:FIELDS_SHOWN_MAX]))), USAGE)
    if isinstance(error, SQLAlchemyError):
        return Said(_database(error), REFUSED)
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return Said(f"无法读写文件或使用网络，请检查路径和权限 / Check path and permissions: {what}", REFUSED)
    if not isinstance(error, DomainError | SyncError):
        return None
    chinese, english = _words(error)
    more = _more(error)
    return Said(_one_line(f"{chinese} / {english}" + (f": {more}" if more else "")), REFUSED)


def _words(error: DomainError | SyncError) -> Pair:
    if isinstance(error, Invalid) and error.rule is not None:
        chinese, english = pairs()[f"problem.rule.{error.rule}"]
        return chinese.format_map(error.values), english.format_map(error.values)
    if isinstance(error, SyncError):
        known = CODES.get(error.code) or pairs().get(f"links.code.{error.code}")
        if known is not None:
            return known
    return next((SAID[cls] for cls in type(error).__mro__ if cls in SAID), _FALLBACK)


def _more(error: DomainError | SyncError) -> str:
    """What this instance adds to the words: which file, code, row. The words of a rule say that themselves."""
    if isinstance(error, SyncError):
        return str(error)
    if isinstance(error, Invalid):
        return "" if error.rule is not None else f"{error.field}: {error.message}"
    return error.detail


def _database(error: SQLAlchemyError) -> str:
    known = fault(error)
    if known is not None:
        return f"数据库现在不可用（{known.value}），请稍后再试 / The database cannot be used now, try again"
    cause = type(getattr(error, "orig", None) or error).__name__
    return f"数据库打不开，请检查 --data 和 --database / The database cannot be used, check --data, --database: {cause}"


def _field(found: Mapping[str, Any]) -> str:
    """One field of a form: in Chinese as the pages say it, in English as the form's own rules do, which name more."""
    name = ".".join(map(str, found["loc"])) or "value"
    chinese, _ = pairs().get(field_key(found), ("填写有误", ""))
    return f"{name}：{chinese.format_map(found.get('ctx', {}))} / {name}: {found['msg']}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
