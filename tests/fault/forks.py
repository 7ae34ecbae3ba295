"""Processes forked from one parent that has imported the node already: a start costs milliseconds, not a second.

The parent is the standard library's fork server. A job is a function of this package; it is given its end of a pipe
and its arguments, and waits for `go` first, so that whoever wants to watch it can take hold of it before it acts.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

PRELOADED = ("node.cli.server", "tests.fault.acts", "tests.fault.judge", "tests.fault.power", "tests.fault.restores")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(list(PRELOADED))

SILENCE_S = 60.0

Job = Callable[..., None]


class Broken(Exception):
    """A job ended by an exception of its own, which is a fault of the test or of the product."""


class Fork:
    """One process running a job; `pipe` leads to it and ends when it does."""

    def __init__(self, job: Job, *arguments: Any) -> None:
        self.pipe, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=_run, args=(job, theirs, arguments), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def go(self) -> None:
        with suppress(OSError):
            self.pipe.send("go")

    def hear(self) -> Any:
        """The next thing it says; None when it is dead. Raises Broken, also where it says nothing for too long."""
        try:
            if not self.pipe.poll(SILENCE_S):
                self.process.kill()
                raise Broken(f"silent for {SILENCE_S} s")
            said = self.pipe.recv()
        except (EOFError, OSError):
            return None
        if said[0] == "broken":
            raise Broken(said[1])
        return said

    def end(self) -> int:
        """Its exit code, negative for a signal; killed first if it does not end by itself."""
        self.pipe.close()
        self.process.join(10)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode
        self.process.close()
        assert code is not None
        return code


def ask(job: Job, *arguments: Any) -> Any:
    """Run a job to its end and give the last thing it says. Raises Broken."""
    fork = Fork(job, *arguments)
    fork.go()
    said = last = fork.hear()
    while said is not None:
        last, said = said, fork.hear()
    code = fork.end()
    if code or last is None:
        raise Broken(f"{job.__name__}{arguments} ended with {code}")
    return last[1]


def _run(job: Job, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    code = 1
    try:
        if pipe.recv() == "go":
            job(pipe, *arguments)
            code = 0
    except EOFError:
        pass
    except BaseException:
        with suppress(OSError):
            pipe.send(("broken", traceback.format_exc()))
    sys.stderr.flush()
    os._exit(code)  # as a killed process would: nothing is closed or cleaned up on the way out
