"""What the commands share: the node they act on, and printing for people and for programs.

Text of topics comes from other people; it is printed as it is, without control characters and without markup.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from node.config import Settings
    from node.context import Context
    from node.service.commit import Batch

Progress = Callable[[int, int], None]
OPERATOR = "cli"
"""Who did it, in the audit, when a topic is worked on from the terminal."""


def settings(data: Path | None, database: str | None) -> "Settings":
    """The environment's settings, with what the command line says on top."""
    from node.config import Settings

    given: dict[str, Any] = {}
    if data is not None:
        given["data"] = data
    if database is not None:
        given["database_url"] = database
    return Settings(**given)


def node(data: Path | None, database: str | None) -> "Context":
    """The node in this data folder. Raises NoNode."""
    from node.clock import Clock
    from node.service.identity import load

    return load(settings(data, database), Clock())


def commit(ctx: "Context", verb: str, act: "Callable[[Batch], BaseModel | str]") -> dict[str, Any]:
    """Do one command as the operator of this machine and give the answer, as the HTTP API would give it."""
    from node.domain.policy import ROLES
    from node.service.perform import Actor, Command, perform

    answer = perform(ctx, Command(Actor(0, OPERATOR, ROLES), verb), act)
    found: dict[str, Any] = json.loads(answer.body)
    return found


def say(text: str = "") -> None:
    typer.echo(clean(text))


def note(text: str) -> None:
    """For the person, beside the output a program reads."""
    typer.echo(clean(text), err=True)


def clean(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or char.isprintable())


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def as_data(view: "BaseModel") -> Any:
    """A view as the HTTP API shows it."""
    return view.model_dump(mode="json", by_alias=True)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns that line up, Chinese included."""
    from rich.cells import cell_len

    lines = [list(heads), *[[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]]
    widths = [max(cell_len(line[n]) for line in lines) for n in range(len(heads))]
    for line in lines:
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def progress(label: str) -> Iterator[Progress | None]:
    """A bar on standard error while a person watches; nothing otherwise."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)
