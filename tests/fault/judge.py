"""What must be true after a fault, whatever it was: judged in a fresh process, on nothing but the data folders.

The node starts without help; `verify` finds nothing; everything that was acknowledged is there; what was cut short can
be done again and is done once; and when neighbours have exchanged, all of them know the same.
"""

from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from node.context import Context
from node.service import joining, life
from node.service.retry import retry_parked
from node.service.verify import verify
from node.store import links as link_rows
from node.store import office
from node.store import tables as t
from node.store.engine import reading
from tests.fault.acts import Act, Place, find
from tests.fault.scene import CITY, NEWCOMER, load_node
from tests.nodes import lane, settle

Outcome = dict[str, Any]
_OWN = (office.users, office.idempotency)
_COUNTED = (t.statements, t.entries, t.remarks, t.registry, t.parts, t.part_refs, t.invitations, *_OWN)


@dataclass
class Acks:
    """The record kept outside: what clients were told, how much of its stream the neighbour was told to be there, and
    whether the act was done."""

    told: dict[str, str] = field(default_factory=dict)
    seq: int = 0
    done: bool = False

    def add(self, kind: str, what: Any) -> None:
        if kind == "told":
            self.told.update([what])
        elif kind == "acked":
            self.seq = max(self.seq, what)
        elif kind == "done":
            self.done = True


def judge(pipe: Connection, folder: Path, template: Path, name: str, acks: Acks, expected: Outcome | None) -> None:
    """A job: says the problems found and the outcome."""
    act, place = find(name), Place(folder, template)
    problems: list[str] = []
    ctx = start(act, place, act.made or acks.done)
    neighbours = [load_node(folder, code) for code in act.with_]
    for node in (ctx, *neighbours):
        problems += _verified(node, "after the start")
    problems += kept(act, ctx, place, acks, expected)
    ctx, neighbours = _joined(name, ctx, neighbours, place)
    _rest(ctx, neighbours)
    for node in (ctx, *neighbours):
        problems += _verified(node, "at the end")
    problems += _agreement([ctx, *neighbours])
    outcome = {node.identity.code: outcome_of(node, act) for node in (ctx, *neighbours)}
    if expected is not None:
        problems += differences(outcome, expected)
    pipe.send(("judged", (problems, outcome)))


def kept(act: Act, ctx: Context, place: Place, acks: Acks, expected: Outcome | None) -> list[str]:
    """What was acknowledged is there; doing it again changes nothing of it and tells the same."""
    with reading(ctx.engine) as conn:
        got = max((link.received_seq for link in link_rows.load_all(conn)), default=0)
    problems = [f"acknowledged {acks.seq} and has {got}"] if got < acks.seq else []
    if acks.done and expected is not None and not act.with_:
        problems += differences({ctx.identity.code: outcome_of(ctx, act)}, expected)
    act.do(ctx, place)
    for name, text in acks.told.items():
        if (again := place.said.get(name)) != text:
            problems.append(f"{name}: the client was told {text[:80]!r}, and again {str(again)[:80]!r}")
    return problems


def recover(pipe: Connection, folder: Path, template: Path, name: str) -> None:
    """A job: only starts again and does again, to be struck in the middle."""
    act, place = find(name), Place(folder, template)
    pipe.send(("ready", None))
    pipe.recv()
    ctx = start(act, place, act.made)
    act.do(ctx, place)
    pipe.send(("done", None))


def start(act: Act, place: Place, made: bool) -> Context:
    """The node as its process starts; where it was not made to the end, it is made again first."""
    if not made:
        act.do(None, place)  # type: ignore[arg-type] - there is no node yet
    ctx = load_node(place.folder, act.node, new_start=True)
    retry_parked(ctx)
    return ctx


def _verified(ctx: Context, when: str) -> list[str]:
    return [f"{ctx.identity.code} {when}: {problem}" for problem in verify(ctx).problems]


def _joined(name: str, ctx: Context, neighbours: list[Context], place: Place) -> tuple[Context, list[Context]]:
    """Where a node was about to join: it does, from wherever it got to."""
    if name not in ("join", "enrol"):
        return ctx, neighbours
    child, parent = (ctx, neighbours[0]) if name == "join" else (neighbours[0], ctx)
    if not life.now(child).live:
        token = place.notes["token"]
        joining.finish_join(child, token, joining.enrol_child(parent, joining.join_request(child, token)))
    child = load_node(place.folder, NEWCOMER)
    return (child, [parent]) if name == "join" else (parent, [child])


def _rest(ctx: Context, neighbours: list[Context]) -> None:
    """The link between the two is used until nothing is left to say."""
    if neighbours:
        other = neighbours[0]
        child, parent = (other, ctx) if ctx.identity.code == CITY else (ctx, other)
        settle([lane(child, parent)], [child])


def _agreement(nodes: list[Context]) -> list[str]:
    """Both ends know the same of what both take part in, and of each other's streams."""
    if len(nodes) < 2:
        return []
    mine, theirs = (_states(node) for node in nodes)
    problems = [
        f"{id[:8]}: {mine[id]} and {theirs[id]}" for id in mine.keys() & theirs.keys() if mine[id] != theirs[id]
    ]
    ends = []
    for node, other in (nodes, nodes[::-1]):
        with reading(node.engine) as conn:
            link = link_rows.load(conn, other.identity.code)
        assert link is not None
        ends.append(((link.sent_seq, link.sent_hash), (link.received_seq, link.received_hash), link.acked_seq))
    (sent, received, acked), (sent_there, received_there, acked_there) = ends
    if (sent, received) != (received_there, sent_there) or (acked, acked_there) != (sent[0], sent_there[0]):
        problems.append(f"the streams differ: {ends}")
    return problems


def _states(ctx: Context) -> dict[str, tuple[Any, ...]]:
    c = t.topics.c
    with reading(ctx.engine) as conn:
        rows = conn.execute(select(c.id, c.custodian, c.seq, c.head, c.status)).all()
    return {row[0]: tuple(row[1:]) for row in rows}


def outcome_of(ctx: Context, act: Act) -> Outcome:
    """What has to be the same as in a run without a fault: nothing lost, nothing twice."""
    counted = _COUNTED if act.with_ else (*_COUNTED, t.audit)
    with reading(ctx.engine) as conn:
        counts = {one.name: conn.execute(select(func.count()).select_from(one)).scalar_one() for one in counted}
        sent = {link.peer: link.sent_seq for link in link_rows.load_all(conn)}
    topics = sorted((custodian, seq, status) for custodian, seq, _, status in _states(ctx).values())
    return {"rows": counts, "sent": sent, "topics": topics}


def differences(found: Outcome, expected: Outcome) -> list[str]:
    return [
        f"{code} {key}: {said[key]}; without a fault: {value}"
        for code, said in found.items()
        for key, value in expected[code].items()
        if said[key] != value
    ]
