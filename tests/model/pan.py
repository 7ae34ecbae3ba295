"""Runs one model: spin writes a checker in C, gcc compiles it, the checker visits every state within the bounds."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.model.runs import Run

HERE = Path(__file__).parent
TOOLS = ("spin", "gcc")
MEMORY_MIB = 3000
DEPTH_MAX = 5000
SECONDS_MAX = 3600

# NOREDUCE: all steps share the tables, so partial orders save nothing. COLLAPSE: memory. BFS: the shortest violation.
_EXHAUSTIVE = ("-O1", "-DSAFETY", "-DCOLLAPSE", "-DNOREDUCE")
_SHORTEST = ("-O0", "-DSAFETY", "-DNOREDUCE", "-DBFS")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the checker said. `trail`: steps to the first violation, which is the shortest for a control."""

    run: Run
    violated: str | None
    complete: bool
    states: int
    depth: int
    seconds: float
    mebibytes: float
    trail: str

    @property
    def as_it_should(self) -> bool:
        return self.violated is not None if self.run.fails else self.violated is None and self.complete


def missing() -> list[str]:
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def check(run: Run) -> Outcome:
    """Raises CalledProcessError where the model does not compile."""
    with tempfile.TemporaryDirectory(prefix="liandong-model-") as folder:
        _build(run, Path(folder))
        said = _say("./pan", f"-m{DEPTH_MAX}", cwd=folder).stdout
        return _read(run, said, _steps(run, folder) if "pan:1:" in said else "")


def _build(run: Run, folder: Path) -> None:
    shortest = ("-DSHORTEST",) if run.fails else ()
    _say("spin", "-a", *shortest, *run.defines, str(HERE / f"{run.model}.pml"), cwd=folder).check_returncode()
    flags = _SHORTEST if run.fails else _EXHAUSTIVE
    _say("gcc", "-w", *flags, f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c", cwd=folder).check_returncode()


def _say(*command: str, cwd: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


def _read(run: Run, said: str, trail: str) -> Outcome:
    violation = re.search(r"^pan:1: (.*?) \(at depth", said, re.MULTILINE)
    unfinished = ("Search not completed", "max search depth too small", "reached -DMEMLIM")
    return Outcome(
        run=run,
        violated=violation[1] if violation else None,
        complete="states, stored" in said and not any(word in said for word in unfinished),
        states=int(_number(r"(\d+) states, stored", said)),
        depth=int(_number(r"depth reached (\d+)", said)),
        seconds=_number(r"elapsed time ([\d.e+-]+)", said),
        mebibytes=_number(r"([\d.]+)\s+total actual memory usage", said),
        trail=trail,
    )


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    return float(found[1]) if found else 0.0


def _steps(run: Run, folder: str) -> str:
    """The statements of the way to the violation, as spin replays it."""
    shortest = ("-DSHORTEST",) if run.fails else ()
    model = HERE / f"{run.model}.pml"
    trail = f"{run.model}.pml.trail"
    return _say("spin", "-t", "-p", "-k", trail, *shortest, *run.defines, str(model), cwd=folder).stdout
