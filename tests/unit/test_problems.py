"""The table from error to problem document: every refusal has a row, and no answer tells what it must not."""

import errno
import json
import sqlite3
from typing import get_args

import pytest
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from node.api import problems
from node.api.problems import KINDS, TABLE, answer, kind_of
from node.domain import refusals
from node.domain.errors import DomainError
from node.domain.refusals import Invalid, Refusal
from node.service.sessions import Locked, WrongPassword
from node.service.throttle import Throttled
from node.service.users import NameTaken
from schemas.problem import MEDIA_TYPE, Name, Problem
from sync import errors as sync

PUBLISHED = {
    409: {
        "not-the-writer",
        "offer-open",
        "not-offered-here",
        "already-decided",
        "checkpoint-conflict",
        "not-witnessed",
        "step-order",
        "children-open",
        "orphans-open",
        "close-at-origin",
        "healing",
        "duties-open",
        "already-taken",
    },
    422: {
        "not-the-parent",
        "not-a-descendant",
        "override-reason-missing",
        "invalid",
        "idempotency-key-reused",
    },
    400: {"malformed", "bad-cursor", "unknown-peer"},
    401: {"unauthenticated", "otp-needed"},
    403: {"not-allowed", "step-up-needed", "password-expired", "factor-needed"},
    404: {"not-found"},
    405: {"method-not-allowed"},
    413: {"too-large"},
    415: {"unsupported-media"},
    429: {"too-many-requests"},
    500: {"internal"},
    503: {"unavailable", "no-chinese-font"},
    507: {"storage-full"},
}
SECRET = "张三 13893000000"


def classes_below(base: type) -> list[type]:
    return [base, *(found for cls in base.__subclasses__() for found in classes_below(cls))]


def made(cls: type[Exception]) -> Exception:
    if cls in (Invalid, Locked, Throttled):
        return cls("title", "is empty") if cls is Invalid else cls(7)
    return cls("some-code") if issubclass(cls, sync.SyncError) else cls()


def document(error: Exception) -> dict[str, object]:
    response = answer(error)
    assert response.headers["content-type"] == MEDIA_TYPE
    found = json.loads(bytes(response.body))
    Problem.model_validate(found)
    assert found["status"] == response.status_code
    return found


def test_published_names_and_statuses_are_these():
    assert {name: kind.status for name, kind in KINDS.items()} == {
        name: status for status, names in PUBLISHED.items() for name in names
    }
    assert set(get_args(Name)) == set(KINDS)


@pytest.mark.parametrize("cls", classes_below(Refusal)[1:], ids=lambda cls: cls.__name__)
def test_every_refusal_is_its_own_problem(cls: type[Refusal]):
    found = document(made(cls))
    assert found["type"] != "urn:liandong:problem:internal"
    assert 400 <= found["status"] < 600
    assert found["detail"]
    assert any(base in TABLE for base in cls.__mro__ if base not in (Refusal, DomainError)), "falls back to `invalid`"


@pytest.mark.parametrize("cls", classes_below(DomainError) + classes_below(sync.SyncError), ids=lambda c: c.__name__)
def test_no_error_of_ours_is_internal(cls: type[Exception]):
    assert kind_of(made(cls)) is not problems.INTERNAL


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_title_is_chinese_first_and_english_second(kind: problems.Kind):
    chinese, _, english = kind.title.partition(" / ")
    assert not chinese.isascii()
    assert english.isascii()
    assert english


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (refusals.Malformed(), 400, "malformed"),
        (sync.Refused("malformed", "duplicate key"), 400, "malformed"),
        (sync.Refused("too-large", "61441 bytes"), 413, "too-large"),
        (sync.Refused("invalid", "title"), 422, "invalid"),
        (sync.Held("offer-open", "x"), 409, "offer-open"),
        (sync.Held("no-such-child", "x"), 422, "invalid"),
        (sync.BadDocument("seal", "x"), 400, "malformed"),
        (sync.BadDocument("unknown-peer", "x"), 400, "unknown-peer"),
        (sync.BadDocument("busy", "x"), 503, "unavailable"),
        (sync.TransportError("unreachable", "620000"), 503, "unavailable"),
        (NameTaken(), 422, "invalid"),
        (WrongPassword(), 401, "unauthenticated"),
        (Locked(7), 429, "too-many-requests"),
        (HTTPException(404), 404, "not-found"),
        (HTTPException(405, headers={"Allow": "GET"}), 405, "method-not-allowed"),
        (HTTPException(413), 413, "too-large"),
        (HTTPException(400, SECRET), 400, "malformed"),
        (OSError(errno.ENOSPC, SECRET), 507, "storage-full"),
        (OSError(errno.EIO, SECRET), 503, "unavailable"),
        (OSError(errno.EROFS, SECRET), 503, "unavailable"),
        (OSError(errno.EACCES, SECRET), 500, "internal"),
        (PoolTimeout(SECRET), 503, "unavailable"),
        (RuntimeError(SECRET), 500, "internal"),
        (RecursionError(SECRET), 500, "internal"),
    ],
    ids=lambda value: getattr(type(value), "__name__", "") if isinstance(value, Exception) else str(value),
)
def test_error_is_answered_as(error: Exception, status: int, name: str):
    found = document(error)
    assert (found["status"], found["type"]) == (status, f"urn:liandong:problem:{name}")
    assert SECRET not in json.dumps(found, ensure_ascii=False)


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


class PostgresError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__(SECRET)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), 507),
        (sqlite_error(sqlite3.SQLITE_BUSY), 503),
        (sqlite_error(sqlite3.SQLITE_BUSY | 2 << 8), 503),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), 503),
        (sqlite_error(sqlite3.SQLITE_IOERR | 3 << 8), 503),
        (sqlite_error(sqlite3.SQLITE_ERROR), 500),
        (PostgresError("53100"), 507),
        (PostgresError("53300"), 503),
        (PostgresError("40001"), 503),
        (PostgresError("57P01"), 503),
        (PostgresError("55P03"), 503),
        (PostgresError(None), 503),
        (PostgresError("42P01"), 500),
    ],
)
def test_database_error_is_full_or_busy_or_a_bug(error: Exception, status: int):
    response = answer(OperationalError("insert into topics values (?)", {"text": SECRET}, error))
    assert response.status_code == status
    assert SECRET not in bytes(response.body).decode()
    assert ("retry-after" in response.headers) == (status != 500)


def test_broken_constraint_is_a_bug():
    assert answer(IntegrityError("insert", {}, sqlite3.IntegrityError(SECRET))).status_code == 500


def test_invalid_names_the_field():
    assert document(Invalid("title", "is empty"))["errors"] == [{"field": "title", "message": "is empty"}]


def test_validation_errors_name_path_and_message_but_never_the_value():
    errors = [{"loc": ("body", "areas", 0), "msg": "not a code", "input": SECRET}, {"loc": ("body",), "msg": "no"}]
    found = document(RequestValidationError(errors))
    assert found["errors"] == [{"field": "areas.0", "message": "not a code"}, {"field": "body", "message": "no"}]
    assert SECRET not in json.dumps(found, ensure_ascii=False)


def test_validation_errors_are_bounded():
    errors = [{"loc": ("body", "x" * 5000), "msg": "not known"}] * 5000
    assert len(bytes(answer(RequestValidationError(errors)).body)) < 10_000


@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (refusals.Unauthenticated(), "www-authenticate", "Bearer"),
        (Locked(7), "retry-after", "7"),
        (refusals.Unavailable(), "retry-after", "2"),
        (refusals.StorageFull(), "retry-after", "60"),
        (sync.TransportError("timeout"), "retry-after", "2"),
        (HTTPException(405, headers={"Allow": "GET"}), "allow", "GET"),
        (HTTPException(413), "connection", "close"),
    ],
)
def test_header_goes_with_the_problem(error: Exception, header: str, value: str):
    assert answer(error).headers[header] == value
