"""strace as the hand that strikes: a signal or an error at the Nth system call that changes a file, and the record.

Only calls on the files of one data folder count, so that the Nth is the same one every time. Where tracing is
forbidden, as in some containers, `missing()` says so.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

WRITES = (
    "pwrite64,write,pwritev,writev,fsync,fdatasync,ftruncate,?fallocate,"
    "?rename,?renameat,?renameat2,?unlink,?unlinkat,?mkdir,?mkdirat"
)
FILES = (
    *("node.db", "node.db-wal", "node.db-shm", "node.db-journal"),
    *("guard.json", "guard.json.new", "signing.pem", "signing.pem.new", "box.txt", "box.txt.new", "jobs.lock"),
)
FAULTS = {"kill": "signal=KILL", "full": "error=ENOSPC", "broken": "error=EIO"}
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)
_HIT = re.compile(r"\(INJECTED\)|killed by SIGKILL")


@cache
def missing() -> str | None:
    """Why strace cannot be used here; None where it can."""
    if shutil.which("strace") is None:
        return "NO STRACE: install it (Debian, Ubuntu: apt install strace; as root, make setup does)"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        tracer = Strace(child.pid, Path("/dev/null"), Path("/nowhere"))
    except Untraceable as error:
        return f"NO TRACING HERE: {error}"
    else:
        child.communicate(b"\n")
        tracer.end()
        return None
    finally:
        child.kill()
        child.wait()


class Untraceable(Exception):
    """strace could not take hold of a process."""


class Strace:
    """Follows one process. `fault` strikes at its `nth` call of this name on a file of `folder`; 0: it only records."""

    def __init__(self, pid: int, log: Path, folder: Path, fault: str = "", call: str = "", nth: int = 0) -> None:
        self._log = log
        self._follow(pid, folder, "-e", f"trace={WRITES}", *_injection(fault, call, nth))

    def _follow(self, pid: int, folder: Path, *options: str) -> None:
        command = ["strace", "-f", "-p", str(pid), "-o", str(self._log), *_paths(folder), *options]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if "attached" not in said:
            self._process.kill()
            self._process.communicate()
            raise Untraceable(said.strip() or "strace ended at once")

    def end(self) -> None:
        """Once the process it follows is gone."""
        self._process.communicate()

    def struck(self) -> bool:
        """Whether the fault came to pass."""
        return _HIT.search(self._log.read_text()) is not None

    def calls(self) -> Counter[str]:
        """How often each system call was seen."""
        return Counter(_CALL.findall(self._log.read_text()))


class Recorder(Strace):
    """Writes down what one process does to the files of `folder`, and to the record beside it, with all content."""

    def __init__(self, pid: int, log: Path, folder: Path, record: Path) -> None:
        self._log = log
        everything = ("-y", "-xx", "-s", "100000000", "-P", str(record), "-e", f"trace=openat,{WRITES}")
        self._follow(pid, folder, *everything)


def _injection(fault: str, call: str, nth: int) -> list[str]:
    return ["-e", f"inject={call}:{FAULTS[fault]}:when={nth}"] if nth else []


def _paths(folder: Path) -> list[str]:
    return [part for name in ("", *FILES) for part in ("-P", str(folder / name) if name else str(folder))]
