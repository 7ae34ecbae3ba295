"""A catch-up with both ends in one process and no sockets, so that a profiler sees all of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.field import CHILD, PARENT, pair
from benchmarks.work import author
from node.context import Context
from node.service.exchange import CHALLENGED, call, find_lane, reply_to
from node.service.receive import receive_request
from sync.transport import Reply

ENTRIES = 5_000


class Straight:
    """Stands for the HTTP client: hands the document to the parent's services."""

    def __init__(self, parent: Context) -> None:
        self._parent = parent

    def post(self, path: str, body: bytes, media_type: str, silence_s: float) -> Reply:
        received = receive_request(self._parent, body)
        return Reply(CHALLENGED if received.challenged else 200, reply_to(self._parent, received))

    def close(self) -> None:
        """Nothing is open."""


def prepared(folder: Path) -> Callable[[], None]:
    """A function that drains a backlog that is ready."""
    here = pair(folder / "pair")
    child = here.context(CHILD)
    parent = replace(here.context(PARENT), pool=None)
    author(child, ENTRIES)
    lane = find_lane(child, "push")
    assert lane is not None
    lane.transport = Straight(parent)  # type: ignore[assignment]

    def drain() -> None:
        while call(child, lane).backlog:
            pass

    return drain
