"""The one table from error to problem document (RFC 9457): status, stable name, title.

A class that is not in the table is answered as its nearest base; an exception with none is a fault of the program and
answers 500 without a word of what went wrong. What an error carries about a person's own request is told, what it
carries about the machine is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from node.domain import refusals
from node.domain.errors import DomainError, RowError
from node.store.faults import Fault, fault
from schemas.problem import MEDIA_TYPE, PREFIX, FieldError, Name, Problem
from sync import errors as sync

ERRORS_MAX = 20
FIELD_CHARS_MAX = 100


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table."""

    status: int
    name: Name
    title: str


MALFORMED = Kind(400, "malformed", "请求格式有误 / The request cannot be read")
UNKNOWN_PEER = Kind(400, "unknown-peer", "发送方不是本节点认识的上下级 / The sender is no neighbour known here")
UNAUTHENTICATED = Kind(401, "unauthenticated", "请先登录 / Sign in first")
NOT_ALLOWED = Kind(403, "not-allowed", "没有此项权限 / Your role does not allow this")
NOT_FOUND = Kind(404, "not-found", "未找到 / Not found")
METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed", "不支持此操作方式 / The method is not allowed here")
NOT_THE_WRITER = Kind(409, "not-the-writer", "议题不在本节点 / This node does not hold the topic")
CHECKPOINT_CONFLICT = Kind(409, "checkpoint-conflict", "与已见证的日志不符 / Not what was witnessed of this log")
TOO_LARGE = Kind(413, "too-large", "内容过大 / The content is too large")
UNSUPPORTED_MEDIA = Kind(415, "unsupported-media", "不支持的内容类型 / The content type is not supported")
INVALID = Kind(422, "invalid", "填写有误 / A field is not as it must be")
TOO_MANY = Kind(429, "too-many-requests", "操作过于频繁 / Too many requests")
INTERNAL = Kind(500, "internal", "系统内部错误 / Internal error")
UNAVAILABLE = Kind(503, "unavailable", "系统繁忙 / The node is busy")
NO_FONT = Kind(503, "no-chinese-font", "本机没有中文字体 / No font with Chinese characters here")
STORAGE_FULL = Kind(507, "storage-full", "磁盘空间不足 / The disk is full")

TABLE: dict[type[Exception], Kind] = {
    refusals.NotTheWriter: NOT_THE_WRITER,
    refusals.OfferOpen: Kind(409, "offer-open", "议题正待对方签收 / The topic waits for an answer to its offer"),
    refusals.NotOfferedHere: Kind(409, "not-offered-here", "议题未交给本节点 / The topic is not offered to this node"),
    refusals.AlreadyDecided: Kind(409, "already-decided", "已经答复过 / The offer has been answered"),
    refusals.StepOrder: Kind(409, "step-order", "六步须依次进行 / The six steps follow one another"),
    refusals.ChildrenOpen: Kind(409, "children-open", "分办议题尚未办结 / Split-off topics are still open"),
    refusals.OrphansOpen: Kind(409, "orphans-open", "尚有未处置的孤立条目 / Orphaned entries are not disposed of"),
    refusals.CloseAtOrigin: Kind(409, "close-at-origin", "须由发起节点办结 / Only the node of origin closes"),
    refusals.Healing: Kind(409, "healing", "节点恢复中，只能查看 / The node is read-only while it heals"),
    refusals.NotTheParent: Kind(422, "not-the-parent", "只能逐级上交 / A topic goes up to the direct parent only"),
    refusals.NotADescendant: Kind(422, "not-a-descendant", "只能下放给下级节点 / Only a node below can be named"),
    refusals.OverrideReasonMissing: Kind(
        422, "override-reason-missing", "与建议层级不同，须说明理由 / Say why this differs from the suggested tier"
    ),
    refusals.Invalid: INVALID,
    refusals.IdempotencyKeyReused: Kind(
        422, "idempotency-key-reused", "幂等键已用于其他请求 / The Idempotency-Key belongs to another request"
    ),
    refusals.Malformed: MALFORMED,
    refusals.BadCursor: Kind(400, "bad-cursor", "翻页标记无效 / The cursor is not one of this list"),
    refusals.Unauthenticated: UNAUTHENTICATED,
    refusals.OtpNeeded: Kind(401, "otp-needed", "还需动态验证码 / A one-time code is needed as well"),
    refusals.NotAllowed: NOT_ALLOWED,
    refusals.StepUpNeeded: Kind(403, "step-up-needed", "请再次输入密码 / Give your password again first"),
    refusals.PasswordExpired: Kind(403, "password-expired", "密码已到期，请先更换 / Set a new password first"),
    refusals.FactorNeeded: Kind(403, "factor-needed", "请先启用动态验证码 / Set up a second factor first"),
    refusals.DutiesOpen: Kind(409, "duties-open", "名下还有未移交事项 / Hand over the open items first"),
    refusals.AlreadyTaken: Kind(409, "already-taken", "已有人处理 / Somebody has decided about this already"),
    refusals.NotFound: NOT_FOUND,
    refusals.TooLarge: TOO_LARGE,
    refusals.UnsupportedMedia: UNSUPPORTED_MEDIA,
    refusals.TooManyRequests: TOO_MANY,
    refusals.Unavailable: UNAVAILABLE,
    refusals.NoChineseFont: NO_FONT,
    refusals.StorageFull: STORAGE_FULL,
    refusals.NoNode: UNAVAILABLE,
    refusals.NodeRunning: UNAVAILABLE,
    refusals.NodeExists: INVALID,
    refusals.BadToken: NOT_ALLOWED,
    refusals.StaleCheckpoint: CHECKPOINT_CONFLICT,
    refusals.CheckpointConflict: CHECKPOINT_CONFLICT,
    refusals.NotWitnessed: Kind(409, "not-witnessed", "上级尚未见证 / No witness has signed for this yet"),
    DomainError: INVALID,
    sync.BadDocument: MALFORMED,
    sync.TransportError: UNAVAILABLE,
    sync.SyncError: INVALID,
}
KINDS: dict[str, Kind] = {kind.name: kind for kind in (*TABLE.values(), UNKNOWN_PEER, METHOD_NOT_ALLOWED, INTERNAL)}
_CODES: dict[str, Kind] = {**KINDS, "busy": UNAVAILABLE}
"""Codes of the protocol that say more than the class of the error."""
_STATUS = {
    kind.status: kind
    for kind in (MALFORMED, UNAUTHENTICATED, NOT_ALLOWED, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED_MEDIA)
}
_FAULTS: dict[Fault, refusals.Refusal] = {
    Fault.FULL: refusals.StorageFull(),
    Fault.BUSY: refusals.Unavailable(),
}


def answer(error: Exception, instance: str | None = None) -> Response:
    """The response to an exception; `instance` finds the log line of one nobody foresaw."""
    problem, headers = describe(error, instance)
    content = problem.model_dump_json(exclude_none=True).encode()
    return Response(content, problem.status, headers, media_type=MEDIA_TYPE)


def describe(error: Exception, instance: str | None = None) -> tuple[Problem, dict[str, str]]:
    """The problem document and the headers that go with it."""
    if isinstance(error, HTTPException):
        return _of_framework(error)
    if isinstance(error, RequestValidationError):
        return _problem(INVALID, "one or several fields are wrong", errors=_fields(error.errors())), {}
    if (found := fault(error)) is not None:
        error = _FAULTS[found]
    kind = kind_of(error)
    if kind is INTERNAL:
        return _problem(INTERNAL, "Something went wrong on this node; nothing was changed.", instance=instance), {}
    return _problem(kind, str(error), errors=_own_fields(error)), _headers(kind, error)


def kind_of(error: Exception) -> Kind:
    """The row for an exception: by its protocol code where that names a problem, otherwise by its class."""
    if isinstance(error, sync.SyncError) and error.code in _CODES:
        return _CODES[error.code]
    return next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), INTERNAL)


def _of_framework(error: HTTPException) -> tuple[Problem, dict[str, str]]:
    kind = _STATUS.get(error.status_code, MALFORMED if error.status_code < 500 else INTERNAL)
    kept = {name: value for name, value in (error.headers or {}).items() if name in ("Allow", "Connection")}
    return _problem(kind, kind.title.rpartition(" / ")[2] + "."), {**kept, **_headers(kind, error)}


def _problem(
    kind: Kind, detail: str, *, errors: list[FieldError] | None = None, instance: str | None = None
) -> Problem:
    return Problem(
        type=PREFIX + kind.name, title=kind.title, status=kind.status, detail=detail, errors=errors, instance=instance
    )


def _headers(kind: Kind, error: Exception) -> dict[str, str]:
    if kind is UNAUTHENTICATED:
        return {"WWW-Authenticate": "Bearer"}
    if kind is TOO_LARGE:
        return {"Connection": "close"}
    if kind in (TOO_MANY, UNAVAILABLE, NO_FONT, STORAGE_FULL):
        return {"Retry-After": str(getattr(error, "retry_after_s", refusals.Unavailable.retry_after_s))}
    return {}


def _own_fields(error: Exception) -> list[FieldError] | None:
    if isinstance(error, refusals.Invalid):
        return [FieldError(field=error.field[:FIELD_CHARS_MAX], message=error.message)]
    if isinstance(error, RowError) and error.field is not None:
        return [FieldError(field=error.field[:FIELD_CHARS_MAX], message=str(error))]
    return None


def _fields(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Path and message of each; never the value, which may be a citizen's."""
    listed = []
    for item in found[:ERRORS_MAX]:
        path = ".".join(str(step) for step in item["loc"][1:]) or str(item["loc"][0])
        listed.append(FieldError(field=path[:FIELD_CHARS_MAX], message=item["msg"]))
    return listed
