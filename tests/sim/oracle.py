"""The rules of custody once more, written from the text of the protocol and apart from sync.custody (R1-R3, R17).

Sees each entry once, when the first node has it. Knows the tree from the options, not from a roster.
"""

from dataclasses import dataclass, field
from typing import Any

from schemas.ids import Digest, NodeCode, TopicId
from tests.sim.ledger import Violation
from tests.sim.options import Options

Payload = dict[str, Any]


@dataclass(slots=True)
class Course:
    """A topic so far: its last entry, who had it in turn, who takes part, and whether it is on offer or closed."""

    last: Payload
    stack: list[NodeCode]
    participants: set[NodeCode]
    parts: dict[tuple[Digest, int], bool] = field(default_factory=dict)
    """Every portion split off, and whether it has ended or was let go."""


class Oracle:
    def __init__(self, options: Options) -> None:
        self._options = options
        self.courses: dict[TopicId, Course] = {}

    def judge(self, id: Digest, said: Payload) -> None:
        """Raises Violation where this entry may not follow what came before."""
        author = said["author"]
        if said["kind"] == "opened":
            self.courses[id] = Course(said, [author], {author, *self._up(author)[1:2]})
            return
        course = self.courses[said["topic"]]
        last, course.last = course.last, said
        why = _turn(last, said) or self._rule(course, last, id, said)
        if why is not None:
            raise Violation(f"R1: {said['kind']} by {author} after {last['kind']} by {last['author']}: {why}")

    def _rule(self, course: Course, last: Payload, id: Digest, said: Payload) -> str | None:
        kind, body, author = said["kind"], said["body"], said["author"]
        if kind == "offered":
            course.participants |= set(self._path(author, body["to"]))
            return self._offer(course, body, author)
        if kind == "accepted":
            _move(course.stack, last["body"]["mode"], author)
        elif kind == "split":
            course.parts |= {(id, n): False for n in range(len(body["portions"]))}
        elif kind in ("child_closed", "detached"):
            part = (body["child"]["entry"], body["child"]["n"])
            ended = course.parts.get(part)
            course.parts[part] = True
            return None if ended is False else "no such part is open"
        elif kind == "closed":
            if not all(course.parts.values()):
                return "parts are open"
            return None if author == course.stack[0] else "not at the origin"
        return None

    def _offer(self, course: Course, body: Payload, author: NodeCode) -> str | None:
        up = self._up(body["to"])
        fair = {
            "escalate": self._up(author)[1:2] == [body["to"]],
            "delegate": author in up[1:],
            "report": course.stack[-2:-1] == [body["to"]],
            "return": course.stack[-2:-1] == [body["to"]],
        }
        if not all(course.parts.values()):
            return "parts are open"
        return None if fair.get(body["mode"]) else f"{body['mode']} to {body['to']}"

    def _up(self, code: NodeCode) -> list[NodeCode]:
        """The node and all above it."""
        found: list[NodeCode] = [code]
        while (above := self._options.parent(found[-1])) is not None:
            found.append(above)
        return found

    def _path(self, a: NodeCode, b: NodeCode) -> list[NodeCode]:
        up_a, up_b = self._up(a), self._up(b)
        common = next(code for code in up_a if code in up_b)
        return [*up_a[: up_a.index(common) + 1], *up_b[: up_b.index(common)]]


def _move(stack: list[NodeCode], mode: str, to: NodeCode) -> None:
    if mode in ("report", "return"):
        stack.pop()
    else:
        stack.append(to)


def _turn(last: Payload, said: Payload) -> str | None:
    """Whose turn it is, and in which term."""
    who, mover = (said["author"], said["inc"]), (last["author"], last["inc"])
    offer, kind = last["kind"] == "offered", said["kind"]
    if kind == "accepted":
        fair = offer and who == (last["body"]["to"], last["body"]["to_inc"])
    elif kind == "resumed":
        fair = offer and who == mover
    elif last["kind"] == "closed":
        fair = kind == "reopened" and who == mover
    else:
        fair = not offer and kind != "reopened" and who == mover
    if not fair:
        return "not its turn"
    opens = kind in ("accepted", "resumed")
    return None if said["term"] == [*last["term"][:3], last["term"][3] + opens] else f"in the term {said['term']}"
