"""New matters: written down one by one, or from a file that is looked at before anything is opened."""

from collections.abc import Sequence
from typing import Any, BinaryIO, cast

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from node.domain.errors import DomainError, SheetError
from node.domain.refusals import Healing, Invalid
from node.service.intake import import_topics
from node.service.open import open_topic
from node.service.perform import perform
from node.service.pickers import read_areas
from node.service.posts import list_units
from node.service.similar import Similar, similar
from node.web.errors import field_errors
from node.web.fields import lines_of
from node.web.pages import Pages
from node.web.visit import HEADERS, Visit
from schemas.api import OpenForm, TopicView

router = Pages()
SOURCES = ("visit", "hotline", "letter", "member", "informant", "leader", "meeting")
ERRORS_SHOWN_MAX = 200
UNDER_WAY = "imports under way"
_SUBMITTER = ("name", "phone", "address", "note")
_PLAIN = ("title", "text", "category", "source", "external_id", "unit")


@router.get("/intake", verb="open")
def ask(visit: Visit) -> Response:
    return _form(visit, {})


@router.post("/intake", verb="open")
def take(visit: Visit) -> Response:
    """Opens the topic; before that, topics that look the same are shown once."""
    given: dict[str, Any] = {name: visit.field(name).strip() for name in (*_PLAIN, *_SUBMITTER)}
    found = read_areas(visit.ctx, lines_of(visit.fields("areas")))
    given |= {"areas": list(found.codes), "areas_text": " ".join(found.unclear)}
    if found.unclear:
        return _form(visit, given, {"areas": visit.words("pick.unclear", names="、".join(found.unclear))})
    try:
        form = OpenForm.model_validate(_clean(given))
        alike = similar(visit.ctx, form.title, form.areas, form.category) if not visit.field("seen") else []
        if alike:
            return _form(visit, given, alike=alike)
        answer = perform(
            visit.ctx, visit.command("open", 201).about(unit=form.unit), lambda batch: open_topic(batch, form)
        )
    except ValidationError as error:
        return _form(visit, given, field_errors(error, visit.words))
    except Invalid as error:
        return _form(visit, given, field_errors(error, visit.words))
    except Healing:
        return _form(visit, given, {"form": visit.words("intake.healing")})
    topic = TopicView.model_validate_json(answer.body, by_alias=True, by_name=True)
    return visit.to(f"/topics/{topic.id}/screening?done=intake", "intake.done", number=topic.number)


@router.get("/import", verb="import")
def choose_file(visit: Visit) -> Response:
    return visit.page("import.html", view=None, wrong=None, looked=False)


@router.post("/import", verb="import")
def import_file(visit: Visit) -> Response:
    """`look` says what the file would give and changes nothing."""
    upload, looked = visit.upload("file"), visit.field("stage") != "do"
    if upload is None:
        return visit.page("import.html", 422, view=None, wrong=visit.words("intake.no_file"), looked=False)
    try:
        view = _import(visit, upload.file, upload.filename or "", looked)
    except SheetError as error:
        return visit.page("import.html", 422, view=None, wrong=_told(visit, error), looked=False)
    return visit.page("import.html", view=view, wrong=None, looked=looked, shown_max=ERRORS_SHOWN_MAX)


@router.get("/import/progress", verb="import")
def progress(visit: Visit) -> Response:
    """How far the import is that the form with this `watch` started: a share of 1, null where none is known here."""
    share = _under_way(visit).get((visit.person.name, visit.query("watch")))
    return JSONResponse({"share": share}, headers=HEADERS)


def _import(visit: Visit, file: BinaryIO, name: str, looked: bool) -> Any:
    key, known = (visit.person.name, visit.field("watch")[:64]), _under_way(visit)

    def tell(done: int, total: int) -> None:
        known[key] = min(1.0, done / total) if total else None

    try:
        return import_topics(visit.ctx, visit.person.name, file, name, dry_run=looked, progress=tell)
    finally:
        known.pop(key, None)


def _under_way(visit: Visit) -> dict[tuple[str, str], float | None]:
    """Imports that this process is at, by person and form: to be looked at, and gone with the process."""
    return cast(dict[tuple[str, str], float | None], visit.ctx.cache.setdefault(UNDER_WAY, {}))


def _told(visit: Visit, error: DomainError) -> str:
    name = f"intake.sheet.{type(error).__name__}"
    return visit.words(name if visit.words.known(name) else "intake.sheet.SheetError")


def _form(
    visit: Visit, given: dict[str, Any], errors: dict[str, str] | None = None, alike: Sequence[Similar] = ()
) -> Response:
    blank = {**dict.fromkeys((*_PLAIN, *_SUBMITTER), ""), "areas": [], "areas_text": ""}
    values: dict[str, Any] = {"errors": errors, "alike": alike, "filled": bool(given), "sources": SOURCES}
    keeper = visit.names.roster.parent(visit.ctx.identity.code)
    units = [(unit.code, unit.name) for unit in list_units(visit.ctx) if unit.active and unit.code]
    values |= {"keeper": keeper, "units": units}
    return visit.page("intake.html", 422 if errors else 200, given={**blank, **given}, **values)


def _clean(given: dict[str, Any]) -> dict[str, Any]:
    form: dict[str, Any] = {name: given[name] for name in _PLAIN if given[name]}
    who = {name: given[name] for name in _SUBMITTER if given[name]}
    return {**form, "areas": given["areas"], **({"submitter": who} if who else {})}
