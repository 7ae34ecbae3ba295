"""A seeded bug as data, and its place in the source. The code it guards may change; then it must fail loudly."""

import ast
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
MODULE = ""
"""Stands for a function where the text is not inside one."""


class Misplaced(Exception):
    """The guarded code no longer has the text that the mutant replaces, or has it more than once."""


@dataclass(frozen=True)
class Edit:
    """`place` is `module:function`; `old` is replaced by `new`, and is there exactly once."""

    place: str
    old: str
    new: str

    @property
    def module(self) -> str:
        return self.place.partition(":")[0]

    @property
    def function(self) -> str:
        return self.place.partition(":")[2]

    def apply(self, source: str) -> str:
        """The module's source with the bug in it. Raises Misplaced."""
        begin, end = _span(source, self.function)
        part = source[begin:end]
        if part.count(self.old) != 1:
            raise Misplaced(f"{self.place}: {part.count(self.old)} times {self.old!r}")
        return source[:begin] + part.replace(self.old, self.new) + source[end:]


@dataclass(frozen=True)
class Mutant:
    """`needs`: faults without which the guard is never asked. `elsewhere`: the test that notices it where no run of the
    simulator can; `why` then says why not."""

    name: str
    rule: str
    edits: tuple[Edit, ...]
    needs: tuple[str, ...] = ()
    elsewhere: str = ""
    why: str = field(default="", compare=False)


def m(
    name: str,
    rule: str,
    place: str,
    old: str,
    new: str,
    elsewhere: str = "",
    why: str = "",
    needs: tuple[str, ...] = (),
) -> Mutant:
    """A mutant of one edit."""
    return Mutant(name, rule, (Edit(place, old, new),), needs, elsewhere, why)


def source_of(module: str) -> str:
    return (ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8")


def _span(source: str, function: str) -> tuple[int, int]:
    """Where a function, or a method `Class.name`, begins and ends."""
    if function == MODULE:
        return 0, len(source)
    node: ast.AST = ast.parse(source)
    for name in function.split("."):
        found = [
            item
            for item in getattr(node, "body", [])
            if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name == name
        ]
        if len(found) != 1:
            raise Misplaced(f"no {function}")
        node = found[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef) and node.end_lineno is not None
    lines = source.splitlines(keepends=True)
    begin = sum(map(len, lines[: node.lineno - 1]))
    return begin, begin + sum(map(len, lines[node.lineno - 1 : node.end_lineno]))
