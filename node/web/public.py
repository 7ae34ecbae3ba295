"""The citizen's pages: raise a matter, follow it in plain words, say something, rate. No account, no script."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from node.api.auth import address
from node.domain.policy import PUBLIC
from node.domain.refusals import AlreadyTaken, Invalid, NotFound, TooLarge
from node.service import door
from node.service.factors import svg
from node.service.follow import topic_story
from node.service.photos import BYTES_MAX
from node.service.posters import poster
from node.web.errors import field_errors
from node.web.pages import Pages
from node.web.visit import Visit
from schemas.drafts import PHOTOS_MAX, MatterForm, PosterView, RatingForm, WordForm

router = Pages()
PLAIN = ("text", "place", "name", "phone")
RATINGS = ("satisfied", "basically_satisfied", "not_satisfied")
FOLLOW = "/r/"


@router.get("/raise", verb=PUBLIC)
def ask_office(visit: Visit) -> Response:
    return _form(visit, None, {})


@router.post("/raise", verb=PUBLIC)
def take_office(visit: Visit) -> Response:
    return _take(visit, None)


@router.get("/p/{poster}", verb=PUBLIC)
def ask(visit: Visit) -> Response:
    """What a printed code leads to: a form for a matter, or a topic with a form for a comment."""
    found = poster(visit.ctx, visit.request.path_params["poster"])
    if found.topic is not None:
        return _topic(visit, found)
    return _form(visit, found, {})


@router.post("/p/{poster}", verb=PUBLIC)
def take(visit: Visit) -> Response:
    found = poster(visit.ctx, visit.request.path_params["poster"])
    if found.topic is None:
        return _take(visit, found)
    try:
        form = WordForm(text=visit.field("text").strip())
    except ValidationError as error:
        return _topic(visit, found, field_errors(error, visit.words))
    door.comment_by_code(visit.ctx, found.code, form)
    return visit.to(f"/p/{found.code}", "public.comment_kept")


@router.get("/follow", verb=PUBLIC)
def enter(visit: Visit) -> Response:
    return visit.page("public/enter.html", wrong=False)


@router.post("/follow", verb=PUBLIC)
def go(visit: Visit) -> Response:
    """The receipt's code as somebody typed it; a wrong one looks like every other wrong one."""
    secret = "".join(visit.field("code").split()).replace("-", "").lower()[:64]
    try:
        door.find(visit.ctx, secret, _address(visit))
    except NotFound:
        return visit.page("public/enter.html", 404, wrong=True)
    return visit.to(FOLLOW + secret)


@router.get("/r/{secret}", verb=PUBLIC)
def follow(visit: Visit) -> Response:
    return _story(visit)


@router.get("/r/{secret}/proof", verb=PUBLIC)
def proof(visit: Visit) -> Response:
    """The .tlog-proof: that the matter was accepted, for anybody to check offline."""
    name, content = door.proof(visit.ctx, visit.request.path_params["secret"], _address(visit))
    return visit.file(content, "application/octet-stream", name)


@router.post("/r/{secret}/comment", verb=PUBLIC)
def comment(visit: Visit) -> Response:
    return _say(visit, lambda secret, text: door.comment(visit.ctx, secret, WordForm(text=text), _address(visit)))


@router.post("/r/{secret}/reopen", verb=PUBLIC)
def reopen(visit: Visit) -> Response:
    return _say(visit, lambda secret, text: door.ask_to_reopen(visit.ctx, secret, WordForm(text=text), _address(visit)))


@router.post("/r/{secret}/rate", verb=PUBLIC)
def rate(visit: Visit) -> Response:
    def act(secret: str, text: str) -> None:
        form = RatingForm.model_validate({"rating": visit.field("rating"), "text": text or None})
        door.rate(visit.ctx, secret, form, _address(visit))

    return _say(visit, act)


def _say(visit: Visit, act: Callable[[str, str], None]) -> Response:
    secret = visit.request.path_params["secret"]
    what = visit.request.url.path.rpartition("/")[2]
    try:
        act(secret, visit.field("text").strip())
    except ValidationError as error:
        return _story(visit, field_errors(error, visit.words), what)
    except AlreadyTaken:
        return visit.to(FOLLOW + secret, "public.already")
    return visit.to(FOLLOW + secret, f"public.{what}_kept")


def _story(visit: Visit, errors: dict[str, str] | None = None, wrong: str = "") -> Response:
    secret = visit.request.path_params["secret"]
    story = door.find(visit.ctx, secret, _address(visit))
    url = f"{visit.ctx.identity.url.rstrip('/')}{FOLLOW}{secret}"
    values = {"story": story, "secret": secret, "qr": svg(url), "fresh": bool(visit.query("new"))}
    status = 422 if errors else 200
    return visit.page("public/follow.html", status, errors=errors, wrong=wrong, ratings=RATINGS, **values)


def _topic(visit: Visit, found: PosterView, errors: dict[str, str] | None = None) -> Response:
    story = topic_story(visit.ctx, found.topic or "")
    return visit.page("public/topic.html", 422 if errors else 200, story=story, poster=found, errors=errors)


def _take(visit: Visit, found: PosterView | None) -> Response:
    given: dict[str, Any] = {name: visit.field(name).strip() for name in PLAIN}
    uploads = [upload for n in range(1, PHOTOS_MAX + 1) if (upload := visit.upload(f"photo{n}")) is not None]
    try:
        form = MatterForm.model_validate({name: value for name, value in given.items() if value})
        pictures = [upload.file.read(BYTES_MAX + 1) for upload in uploads]
        kept = door.raise_matter(visit.ctx, form, pictures, found.code if found else None)
    except ValidationError as error:
        return _form(visit, found, given, field_errors(error, visit.words))
    except (Invalid, TooLarge):
        return _form(visit, found, given, {"photo1": visit.words("public.bad_photo")})
    return visit.to(f"{FOLLOW}{kept.secret}?new=1")


def _form(
    visit: Visit, found: PosterView | None, given: dict[str, Any], errors: dict[str, str] | None = None
) -> Response:
    blank = dict.fromkeys(PLAIN, "")
    photos = range(1, PHOTOS_MAX + 1)
    values = {"poster": found, "given": {**blank, **given}, "errors": errors, "photos": photos}
    return visit.page("public/raise.html", 422 if errors else 200, **values)


def _address(visit: Visit) -> str:
    return address(visit.ctx, visit.request)
