"""The tree of a whole province: one node for it, its cities and their counties, enrolled from the top down.

Townships are units of their county's node (they run none of their own): each gets its station there, and the matters of
the county are theirs.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.field import PASSWORD
from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain import divisions
from node.domain.divisions import Division, Level
from node.service import joining
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.identity import load
from node.service.posts import add_unit
from node.service.users import add_user
from schemas.ids import Tier
from schemas.people import UnitForm
from sync.keys import b64
from sync.strict import dumps

PROVINCE = "620000"
FIRST_PORT = 20_000
"""Below those the system gives away by itself: a tree that is stopped finds its own again."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node to be: where it stands, where it is served, and where the line to its parent begins."""

    code: str
    name: str
    tier: Tier
    parent: str | None
    port: int
    line: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def places(cities: int = 14, counties: int = 88) -> list[Place]:
    """The province, its first cities and their first counties, so many in all; each before those below it."""
    tree = divisions.builtin()
    wanted_cities = [division for division in tree.children(PROVINCE) if division.level is Level.CITY][:cities]
    wanted = list(_counties(tree, wanted_cities))[:counties]
    top = tree.get(PROVINCE)
    assert top is not None
    ports = _free_ports()
    found = [_place(top, None, ports), *(_place(city, PROVINCE, ports) for city in wanted_cities)]
    return [*found, *(_place(county, city.code, ports) for city, county in wanted)]


@cache
def townships(county: str) -> tuple[Division, ...]:
    return tuple(division for division in divisions.builtin().children(county) if division.level is Level.TOWNSHIP)


def make(folder: Path, wanted: list[Place], clock: Clock, database_url: str = "") -> None:
    """Every node in its folder, joined to its parent over its line, with its stations; the province has a clerk, and
    keeps its data at `database_url`, where one is given."""
    made: dict[str, Context] = {}
    for place in wanted:
        url = database_url if place.parent is None else ""
        settings = Settings(data=folder / place.code, disk_reserve_bytes=0, database_url=url)
        plan = Plan(place.code, place.name, place.tier, place.url, root=place.parent is None)
        ctx = init_node(settings, clock, plan)
        if place.parent is not None:
            join(made[place.parent], ctx, f"http://127.0.0.1:{place.line}")
            ctx.engine.dispose()
            ctx = load(settings, clock)
        made[place.code] = ctx
        if place.parent is None:
            add_user(ctx, "bench", PASSWORD, ["clerk", "admin"])
        with write(ctx) as batch:
            for township in townships(place.code):
                add_unit(batch, UnitForm(kind="station", name=f"{township.name}委员工作站", code=township.code))
    for ctx in made.values():
        ctx.engine.dispose()


def join(parent: Context, child: Context, line: str = "") -> None:
    """Enrol a child; it will call its parent at `line`, where one is given."""
    me = child.identity
    with write(parent) as batch:
        token = joining.invite(batch, me.code, me.tier, me.name)
    if line:
        invitation = joining.read_token(token).model_copy(update={"url": line})
        token = b64(dumps(invitation.model_dump(mode="json")))
    joining.finish_join(child, token, joining.enrol_child(parent, joining.join_request(child, token)))


def taken(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _counties(tree: divisions.DivisionTree, cities: list[Division]) -> Iterator[tuple[Division, Division]]:
    """Round by round over the cities, so that a small tree has counties in all of them."""
    lines = [list(tree.children(city.code)) for city in cities]
    for at in range(max(map(len, lines), default=0)):
        for city, line in zip(cities, lines, strict=True):
            if at < len(line):
                yield city, line[at]


def _place(division: Division, parent: str | None, ports: Iterator[int]) -> Place:
    tiers = {Level.PROVINCE: Tier.PROVINCE, Level.CITY: Tier.CITY, Level.COUNTY: Tier.COUNTY}
    return Place(division.code, f"{division.name}政协", tiers[division.level], parent, next(ports), next(ports))


def _free_ports() -> Iterator[int]:
    return (port for port in range(FIRST_PORT, 32_000) if not taken(port))
