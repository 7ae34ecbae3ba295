"""Topics from a CSV or XLSX file."""

from typing import Annotated

from fastapi import APIRouter, File, Request, UploadFile
from starlette.responses import Response

from node.api.auth import context
from node.api.reply import reply
from node.api.strict import StrictRoute, command, verb
from node.service.intake import import_topics
from schemas.api import ImportView

router = APIRouter(prefix="/api/v1/imports", route_class=StrictRoute, tags=["imports"])


@router.post(
    "", response_model=ImportView, openapi_extra=verb("import"), summary="导入议题 / Import topics from a file"
)
def import_file(request: Request, file: Annotated[UploadFile, File(description="CSV or XLSX")]) -> Response:
    """Rows that cannot be used are listed and the others imported; sending a file again imports nothing twice."""
    return reply(import_topics(context(request), command(request).actor.name, file.file, file.filename or ""))
