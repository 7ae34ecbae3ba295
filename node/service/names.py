"""What people call offices and places: names for codes, from the registry and the division table in force."""

from dataclasses import dataclass

from node.context import Context
from node.domain.divisions import DivisionTree
from node.service import roster as rosters
from node.service.lists import in_force
from node.store.engine import reading
from sync.roster import Roster


@dataclass(frozen=True, slots=True)
class Names:
    """Never raises: a code nobody knows is its own name."""

    roster: Roster
    tree: DivisionTree

    def office(self, code: str | None) -> str:
        """The office of a node."""
        if code is None:
            return "—"
        if self.roster.get(code) is None:
            return self.place(code)
        return rosters.name_of(self.roster, code)

    def place(self, code: str) -> str:
        division = self.tree.resolve_area(code)
        return (division.name or code) if division else code

    def line(self, code: str) -> tuple[str, ...]:
        """The names of a place and of what it lies in, from the province down, without mere numbering."""
        if self.tree.resolve_area(code) is None:
            return (code,)
        above = reversed(self.tree.ancestors(code))
        return tuple(division.name or division.code for division in above if not division.is_placeholder)


def names(ctx: Context) -> Names:
    with reading(ctx.engine) as conn:
        return Names(rosters.current(ctx, conn), in_force(ctx, conn).tree)
