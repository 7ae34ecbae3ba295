"""Views as responses: rendered once, by the model itself, not checked again on the way out."""

from pydantic import BaseModel
from starlette.responses import Response

from node.service.perform import Answer

JSON = "application/json"


def reply(view: BaseModel, status: int = 200) -> Response:
    return Response(view.model_dump_json(by_alias=True).encode(), status, media_type=JSON)


def answered(answer: Answer) -> Response:
    """The bytes a command was answered with, the first time and every time it is asked again."""
    return Response(answer.body, answer.status, media_type=JSON)
