"""Problems (RFC 9457): the body of every error of the HTTP API, and the stable names of its `type`.

A name once published keeps its meaning; programs branch on it, people read title and detail.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:liandong:problem:"

Name = Literal[
    "not-the-writer",
    "offer-open",
    "not-offered-here",
    "already-decided",
    "step-order",
    "children-open",
    "orphans-open",
    "close-at-origin",
    "healing",
    "not-witnessed",
    "checkpoint-conflict",
    "not-the-parent",
    "not-a-descendant",
    "override-reason-missing",
    "invalid",
    "idempotency-key-reused",
    "malformed",
    "bad-cursor",
    "unknown-peer",
    "unauthenticated",
    "otp-needed",
    "not-allowed",
    "step-up-needed",
    "password-expired",
    "factor-needed",
    "duties-open",
    "already-taken",
    "not-found",
    "method-not-allowed",
    "too-large",
    "unsupported-media",
    "too-many-requests",
    "unavailable",
    "no-chinese-font",
    "storage-full",
    "internal",
]


class FieldError(BaseModel):
    """What is wrong with one field; `field` is its path, `areas.0` for the first of a list."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str


class Problem(BaseModel):
    """Why a request was refused. A refusal has changed nothing."""

    model_config = ConfigDict(frozen=True)

    type: Annotated[str, Field(pattern=f"^{PREFIX}[a-z-]+$")]
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
    """Only of `invalid`."""
    instance: str | None = None
    """Only of `internal`: what to look for in the log."""
