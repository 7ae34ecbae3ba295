"""The rules of custody once more, written from the text of the protocol and apart from sync.custody.

Sees each entry once, when its author has committed it, and knows the course of the topic up to every entry: entries
form a tree (R8). Knows the tree of nodes from the options, not from a roster, and incarnations from the grants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.ids import Digest, NodeCode, TopicId
from tests.sim.ledger import Violation
from tests.sim.options import Options

Payload = dict[str, Any]
OPENERS = ("opened", "accepted", "resumed", "claimed")
DISPOSALS = ("adopted", "set_aside")


@dataclass(frozen=True, slots=True)
class Course:
    """A topic up to one entry: that entry, who opened its term, who had it in turn, who takes part, what is open."""

    topic: TopicId
    last: Payload
    opener: Payload
    stack: tuple[NodeCode, ...]
    participants: frozenset[NodeCode]
    arbiters: tuple[NodeCode, ...]
    parts: Mapping[tuple[Digest, int], bool] = field(default_factory=dict)
    """Every portion split off, and whether it has ended or was let go."""
    closed: bool = False
    disposed: frozenset[Digest] = frozenset()

    @property
    def rank(self) -> tuple[Any, ...]:
        """What orders the ends of branches."""
        return (*self.last["term"], self.last["seq"])


class Oracle:
    def __init__(self, options: Options) -> None:
        self._options = options
        self.courses: dict[Digest, Course] = {}
        self.lives: dict[NodeCode, list[list[Any]]] = {}
        """Every incarnation granted to a node, in order."""

    def granted(self, node: NodeCode, inc: list[Any]) -> None:
        """An incarnation was granted, by whomever."""
        mine = self.lives.setdefault(node, [])
        if inc not in mine:
            mine.append(inc)
            mine.sort()

    def judge(self, id: Digest, said: Payload) -> None:
        """Raises Violation where this entry may not follow what came before."""
        author = said["author"]
        if said["kind"] == "opened":
            home, arbiters = self._up(author), tuple(said["body"]["arbiters"])
            if (arbiters[-len(home[1:]) :] if home[1:] else arbiters[1:]) != tuple(home[1:]):
                raise Violation(f"R1: a topic of {author} names the arbiters {arbiters}")
            self.courses[id] = Course(id, said, said, (author,), frozenset({author, *home[1:2]}), arbiters)
            return
        before = self.courses.get(said["prev"])
        if before is None or before.topic != said["topic"]:
            raise Violation(f"I9: {said['kind']} by {author} follows nothing that was ever written")
        opens = said["kind"] in OPENERS
        after = replace(before, last=said, opener=said if opens else before.opener)
        why = self._turn(before, said) or self._rule(before, id, said)
        if why is not None:
            last = before.last
            raise Violation(f"R1: {said['kind']} by {author} after {last['kind']} by {last['author']}: {why}")
        self.courses[id] = self._after(before, after, id, said)

    # ---- whose turn it is -----------------------------------------------------------------------------------------

    def _turn(self, before: Course, said: Payload) -> str | None:
        last, opener, kind = before.last, before.opener, said["kind"]
        who, holder = (said["author"], said["inc"]), (opener["author"], opener["inc"])
        offer = last["kind"] == "offered"
        if said["seq"] != last["seq"] + 1:
            return f"at the position {said['seq']}"
        if kind == "claimed":
            return self._claim(before, said)
        if kind == "accepted":
            fair = offer and who == (last["body"]["to"], last["body"]["to_inc"])
        elif kind == "resumed":
            fair = offer and who == holder
        elif before.closed:
            rehomes = kind == "offered" and said["body"]["mode"] == "rehome"
            fair = (kind == "reopened" or rehomes) and not offer and who == holder
        else:
            fair = not offer and kind != "reopened" and who == holder
        if not fair:
            return "not its turn"
        moved = kind in ("accepted", "resumed")
        wanted = [*last["term"][:3], last["term"][3] + moved]
        return None if said["term"] == wanted else f"in the term {said['term']}"

    def _claim(self, before: Course, said: Payload) -> str | None:
        author, inc, last = said["author"], said["inc"], before.last
        holder, holder_inc = before.opener["author"], before.opener["inc"]
        offer = last["body"] if last["kind"] == "offered" else None
        if author not in before.arbiters:
            return "not an arbiter"
        if said["term"] != [last["term"][0] + 1, self._options.tier(author).rank, inc, 0]:
            return f"in the term {said['term']}"
        lost_offer = offer is not None and self._is_over(offer["to"], offer["to_inc"])
        if author != holder and author not in self._up(holder)[1:]:
            return "from somebody who is not below"
        if author == holder and not (holder_inc < inc or lost_offer):
            return "from itself"
        approved = said["body"]["approved_by"]
        if not approved and not (self._is_over(holder, holder_inc) or lost_offer):
            return "by itself, though nobody's incarnation is over"
        if approved and len(set(approved)) != 2:
            return f"approved by {approved}"
        return None

    def _is_over(self, node: NodeCode, inc: list[Any]) -> bool:
        return bool(self.lives.get(node)) and self.lives[node][-1] != inc

    # ---- what it may say ------------------------------------------------------------------------------------------

    def _rule(self, before: Course, id: Digest, said: Payload) -> str | None:
        kind, body, author = said["kind"], said["body"], said["author"]
        if kind == "offered":
            return self._offer(before, body, author)
        if kind in ("child_closed", "detached"):
            part = (body["child"]["entry"], body["child"]["n"])
            return None if before.parts.get(part) is False else "no such part is open"
        if kind == "closed":
            if not all(before.parts.values()):
                return "parts are open"
            return None if set(before.stack) == {author} else "not at the origin"
        if kind in DISPOSALS:
            orphan = self.courses.get(body["orphan"])
            if orphan is None or orphan.topic != before.topic:
                return "no such orphan"
            return "disposed of twice" if body["orphan"] in before.disposed else None
        return None

    def _offer(self, before: Course, body: Payload, author: NodeCode) -> str | None:
        up, stack = self._up(body["to"]), before.stack
        fair = {
            "escalate": self._up(author)[1:2] == [body["to"]],
            "delegate": author in up[1:],
            "rehome": author in up[1:] and before.opener["kind"] == "claimed",
            "report": _lower(stack)[-1:] == (body["to"],),
            "return": _lower(stack)[-1:] == (body["to"],),
        }
        renews = before.opener is before.last and before.last["kind"] == "claimed"  # R11: the offer as it was
        if not all(before.parts.values()) and body["mode"] != "rehome":
            return "parts are open"
        if fair.get(body["mode"]) or (renews and body["mode"] in ("escalate", "report", "return")):
            return None
        return f"{body['mode']} to {body['to']}"

    def _after(self, before: Course, after: Course, id: Digest, said: Payload) -> Course:
        kind, body, author = said["kind"], said["body"], said["author"]
        if kind == "offered":
            return replace(after, participants=before.participants | set(self._path(author, body["to"])))
        if kind == "accepted":
            return replace(after, stack=_moved(before.stack, before.last["body"]["mode"], author))
        if kind == "claimed":
            return replace(after, stack=(*before.stack[:-1], author))
        if kind == "split":
            return replace(after, parts={**before.parts, **{(id, n): False for n in range(len(body["portions"]))}})
        if kind in ("child_closed", "detached"):
            return replace(after, parts={**before.parts, (body["child"]["entry"], body["child"]["n"]): True})
        if kind in DISPOSALS:
            return replace(after, disposed=before.disposed | {body["orphan"]})
        if kind in ("closed", "reopened"):
            return replace(after, closed=kind == "closed")
        return after

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


def _moved(stack: tuple[NodeCode, ...], mode: str, to: NodeCode) -> tuple[NodeCode, ...]:
    if mode in ("report", "return"):
        return _lower(stack)
    return (*stack[:-1], to) if mode == "rehome" else (*stack, to)


def _lower(stack: tuple[NodeCode, ...]) -> tuple[NodeCode, ...]:
    """What lies below the last node and all the places it has in a row."""
    top = stack[-1]
    return stack[: max((n + 1 for n, node in enumerate(stack) if node != top), default=0)]
