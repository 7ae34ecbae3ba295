"""The job of the two processes that race for one node."""

from multiprocessing.connection import Connection

from node.cli.server import start
from node.config import Settings
from node.domain.refusals import NodeRunning
from node.jobs import Jobs


def run(pipe: Connection, settings: Settings) -> None:
    """What `liandong work` does, until told to die; says whether it runs, and as which instance."""
    try:
        ctx, lock = start(settings, True)
        Jobs(ctx, lock).start()
    except NodeRunning:
        pipe.send(("refused", None))
        return
    pipe.send(("runs", ctx.instance))
    pipe.recv()
