"""Bodies of the JSON API about what waits for a clerk: citizens' matters and words, and intake while a node heals."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.api import Form, Line, LongText, PageQuery, ReasonText, ShortReason, TitleText, View
from schemas.entry import AREAS_MAX
from schemas.ids import AreaCode, Digest
from schemas.remark import Rating

DraftKind = Literal["matter", "comment", "reopen", "rating"]
DraftState = Literal["waiting", "taken", "refused"]
CITIZEN_TEXT_MAX = 4000
PHOTOS_MAX = 3

CitizenText = Annotated[str, StringConstraints(max_length=CITIZEN_TEXT_MAX)]


class MatterForm(Form):
    """A matter as somebody raises it; nothing of it is signed before a clerk takes it."""

    text: Annotated[LongText, Field(max_length=CITIZEN_TEXT_MAX)]
    title: TitleText | None = None
    place: Line | None = None
    areas: Annotated[list[AreaCode], Field(max_length=AREAS_MAX, default_factory=list)]
    category: Line | None = None
    name: Line | None = None
    phone: Line | None = None


class WordForm(Form):
    """A comment on a topic, or why it should be taken up again."""

    text: Annotated[ReasonText, Field(max_length=2000)]


class RatingForm(Form):
    rating: Rating
    text: ShortReason | None = None


class TakeForm(Form):
    """What the clerk makes of a draft; what is not given stays as it was sent."""

    title: TitleText | None = None
    areas: Annotated[list[AreaCode], Field(max_length=AREAS_MAX)] | None = None
    category: Line | None = None
    share_photos: bool = False
    """Whether photos go with the topic to other nodes; otherwise they stay on this one."""


class RefuseForm(Form):
    reason: ShortReason


class PosterForm(Form):
    """What the printed code is for: a unit, a topic, or (neither) the office itself."""

    unit: int | None = None
    topic: Digest | None = None


class PosterView(View):
    code: str
    url: str
    title: str
    unit: int | None
    topic: Digest | None
    active: bool
    qr: str
    """An SVG image of `url`."""


class PosterPage(View):
    items: list[PosterView]
    next: str | None


class FileView(View):
    n: int
    media: str
    size: int


class DraftView(View):
    id: int
    kind: DraftKind
    origin: Literal["citizen", "healing"]
    state: DraftState
    unit: int | None
    unit_name: str | None
    topic: Digest | None
    title: str
    text: str
    place: str | None
    areas: list[str]
    category: str | None
    name: str | None
    phone: str | None
    files: list[FileView]
    at: datetime
    reason: str | None
    decided_at: datetime | None
    decided_by: str | None


class DraftQuery(PageQuery):
    model_config = ConfigDict(frozen=True, extra="forbid")

    state: DraftState = "waiting"


class DraftPage(View):
    items: list[DraftView]
    next: str | None


class TakenView(View):
    """What a draft became: a topic, or something said about one."""

    draft: int
    topic: Digest


class Kept(BaseModel):
    """A draft was kept; `secret` opens its page to whoever has it, and is shown once."""

    id: int
    secret: str
