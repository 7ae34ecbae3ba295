"""Bodies of the JSON API about people: accounts, sessions, factors, units, posts, hand-overs, the audit."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from schemas.api import Form, Line, Moment, PageQuery, ReasonText, UserName, View
from schemas.ids import AreaCode, Digest, TopicId

PasswordText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Otp = Annotated[str, StringConstraints(max_length=16)]
RoleText = Annotated[str, StringConstraints(max_length=16)]
UnitKind = Literal["node", "township", "village", "room", "station"]
DutyPart = Literal["owner", "supervisor"]


# ---- accounts -------------------------------------------------------------------------------------------------------


class UserForm(Form):
    name: UserName
    password: PasswordText
    roles: Annotated[list[RoleText], Field(min_length=1, max_length=8)]


class RolesForm(Form):
    roles: Annotated[list[RoleText], Field(min_length=1, max_length=8)]


class PasswordForm(Form):
    """A new password for somebody else's account."""

    password: PasswordText


class OwnPasswordForm(Form):
    current: PasswordText
    password: PasswordText


class ActiveForm(Form):
    active: bool


class ProofForm(Form):
    """One's own password again, and a code where the account has a second factor."""

    password: PasswordText
    otp: Otp | None = None


class OtpForm(Form):
    otp: Otp


class UserView(View):
    id: int
    name: str
    roles: list[str]
    active: bool
    locked: bool
    second_factor: bool
    posts: list[str]
    created_at: datetime


class UserPage(View):
    items: list[UserView]
    next: str | None


class OwnView(View):
    """Who is signed in here."""

    id: int
    name: str
    roles: list[str]
    second_factor: bool
    recovery_codes_left: int
    owes: Literal["password", "factor"] | None
    proved_until: datetime | None
    """Until when the dangerous verbs are open without giving the password again."""
    expires_at: datetime


class FactorView(View):
    """Shown once: what an authenticator app reads."""

    secret: str
    uri: str
    qr: str
    """An SVG image of `uri`."""


class RecoveryView(View):
    """Shown once: each opens the account one time in place of a code."""

    codes: list[str]


class SessionItem(View):
    ref: str
    user: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    current: bool


class SessionPage(View):
    items: list[SessionItem]
    next: str | None


class EndedView(View):
    ended: int


# ---- units and posts ------------------------------------------------------------------------------------------------


class UnitForm(Form):
    kind: UnitKind
    name: Line
    code: AreaCode | None = None
    parent: int | None = None


class UnitChange(Form):
    name: Line | None = None
    active: bool | None = None


class PostForm(Form):
    title: Line
    role: RoleText | None = None


class PostChange(Form):
    title: Line | None = None
    active: bool | None = None


class HandOverForm(Form):
    """Who holds the post from now on; null leaves it vacant, which is refused while items are open."""

    to: int | None
    note: ReasonText


class DutyForm(Form):
    part: DutyPart = "owner"
    post: int


class PostView(View):
    id: int
    unit: int
    title: str
    role: str | None
    active: bool
    holder: str | None
    holder_id: int | None
    since: datetime | None
    open_items: int


class UnitView(View):
    id: int
    kind: UnitKind
    name: str
    code: str | None
    parent: int | None
    active: bool
    posts: list[PostView]
    flags: list[str]
    """What its staffing lacks, as `vacant 站长`, `deputies 0`."""


class UnitPage(View):
    items: list[UnitView]
    next: str | None


class HandOverItem(View):
    topic: Digest
    number: str
    title: str
    part: DutyPart
    status: str
    due_at: datetime | None


class HandOverView(View):
    """The sheet that both sign: what went over, from whom to whom, when."""

    id: int
    post: int
    title: str
    unit: str
    from_: Annotated[str | None, Field(serialization_alias="from")]
    to: str | None
    at: datetime
    by: str
    note: str
    items: list[HandOverItem]


class HandOverPage(View):
    items: list[HandOverView]
    next: str | None


class DutyView(View):
    topic: Digest
    part: DutyPart
    post: int
    title: str
    unit: str
    holder: str | None


class DutyPage(View):
    items: list[DutyView]
    next: str | None


# ---- audit ----------------------------------------------------------------------------------------------------------


def _truth(value: object) -> object:
    """`true` or `false`: pydantic alone would take "1", "on" and "yes" as well."""
    if isinstance(value, str) and value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value


class AuditFilter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    actor: Annotated[str, StringConstraints(max_length=64)] | None = None
    action: Annotated[str, StringConstraints(max_length=40)] | None = None
    topic: TopicId | None = None
    refused: Annotated[bool, BeforeValidator(_truth)] | None = None
    since: Moment | None = None
    until: Moment | None = None


class AuditQuery(AuditFilter, PageQuery):
    """Query of the audit: every given field must hold."""


class AuditItem(View):
    id: int
    at: datetime
    actor: str
    action: str
    topic: str | None
    result: str
    detail: dict[str, Any] | None
    hash: str | None


class AuditPage(View):
    items: list[AuditItem]
    next: str | None
