"""The tree of a whole province: one node for it, its cities and their counties, enrolled from the top down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.field import free_port
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain import divisions
from node.domain.divisions import Division, Level
from node.service import joining
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.identity import load
from schemas.ids import Tier

PROVINCE = "620000"


@dataclass(frozen=True, slots=True)
class Place:
    """A node to be: where it stands and where it is served."""

    code: str
    name: str
    tier: Tier
    parent: str | None
    url: str


def places(cities: int = 14, counties: int = 88) -> list[Place]:
    """The province, its first cities and their first counties, so many in all; each before those below it."""
    tree = divisions.builtin()
    wanted_cities = [division for division in tree.children(PROVINCE) if division.level is Level.CITY][:cities]
    wanted = list(_counties(tree, wanted_cities))[:counties]
    top = tree.get(PROVINCE)
    assert top is not None
    found = [_place(top, None), *(_place(city, PROVINCE) for city in wanted_cities)]
    return [*found, *(_place(county, city.code) for city, county in wanted)]


def make(folder: Path, wanted: list[Place], clock: Clock) -> dict[str, Context]:
    """Every node in its folder, joined to its parent; contexts are ready to use."""
    made: dict[str, Context] = {}
    for place in wanted:
        settings = Settings(data=folder / place.code, disk_reserve_bytes=0)
        plan = Plan(place.code, place.name, place.tier, place.url, root=place.parent is None)
        ctx = init_node(settings, clock, plan)
        if place.parent is not None:
            join(made[place.parent], ctx)
            ctx.engine.dispose()
            ctx = load(settings, clock)
        made[place.code] = ctx
    return made


def join(parent: Context, child: Context) -> None:
    me = child.identity
    with write(parent) as batch:
        token = joining.invite(batch, me.code, me.tier, me.name)
    joining.finish_join(child, token, joining.enrol_child(parent, joining.join_request(child, token)))


def _counties(tree: divisions.DivisionTree, cities: list[Division]) -> Iterator[tuple[Division, Division]]:
    """Round by round over the cities, so that a small tree has counties in all of them."""
    lines = [list(tree.children(city.code)) for city in cities]
    for at in range(max(map(len, lines), default=0)):
        for city, line in zip(cities, lines, strict=True):
            if at < len(line):
                yield city, line[at]


def _place(division: Division, parent: str | None) -> Place:
    tiers = {Level.PROVINCE: Tier.PROVINCE, Level.CITY: Tier.CITY, Level.COUNTY: Tier.COUNTY}
    url = f"http://127.0.0.1:{free_port()}"
    return Place(division.code, f"{division.name}政协", tiers[division.level], parent, url)
