"""A process of its own for each mutant: it imports all of the project with the bug in place, and takes it along."""

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.sim.mutants.libraries"])
"""Each is forked from a process that has imported the libraries, which takes longer than all that is done in many."""


def in_a_process(what: str, work: Callable[..., Any], *values: Any, timeout_s: float | None = None) -> Any:
    """What `work(*values)` gives, a function of a module that imports nothing of the project. Raises TimeoutError, and
    RuntimeError where it failed."""
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_tell, args=(sender, work, values))
    process.start()
    sender.close()
    try:
        if not receiver.poll(timeout_s):
            raise TimeoutError(f"{what}: not done within {timeout_s:.0f} s")
        done, found = receiver.recv()
    except EOFError:
        raise RuntimeError(f"{what}: its process ended without a word") from None
    finally:
        process.kill()
        process.join()
    if not done:
        raise RuntimeError(f"{what}: {found}")
    return found


def _tell(sender: Connection, work: Callable[..., Any], values: tuple[Any, ...]) -> None:
    try:
        sender.send((True, work(*values)))
    except BaseException as error:
        sender.send((False, f"{type(error).__name__}: {error}"))
    finally:
        sys.stdout.flush()
