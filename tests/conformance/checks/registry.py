"""The registry on its way (SPEC 7, 9): every node of the tree comes to know every other."""

from tests.conformance.kit import Stage, check, good, same
from tests.conformance.wire import bodies

BELOW = "below"


@check(BELOW, "5.6", "a node that joins becomes known to its siblings and to those above")
def siblings(stage: Stage) -> None:
    child = stage.child
    fresh = stage.spare()
    child.settle()
    same(child.roster.members[fresh.code].card, fresh.card)
    same(child.roster.members[fresh.code].parent, fresh.parent)
    if stage.above is not None:
        stage.above.until(lambda: fresh.code in stage.parent.roster.members, why="those above hear")


@check(BELOW, "9", "what the answer to joining held is not sent again")
def not_again(stage: Stage) -> None:
    fresh = stage.spare()
    before = set(fresh.store)
    answer = good(fresh.exchange())
    assert answer.document is not None
    from_start = [raw for raw in answer.document.statements if raw in {fresh.store[id] for id in before}]
    same(from_start, [])


@check(BELOW, "7.2", "every registry chain the node gave has no gap and one root")
def whole(stage: Stage) -> None:
    roster = stage.child.roster
    kinds = [entry.kind for entry in roster.entries.values()]
    same(kinds.count("anchored"), 1)
    assert all(entry.typ == bodies.REGISTER for entry in roster.entries.values())
    assert stage.child.code in roster.members
