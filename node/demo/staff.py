"""Who works in the offices of the demonstration: units, posts and who holds them, and codes printed for citizens."""

from dataclasses import dataclass

from node.demo.office import Answer, Office
from node.demo.town import Place
from node.domain.divisions import DivisionTree
from node.domain.policy import CLERK, COORDINATOR, LEADER, SUPERVISOR
from node.domain.staffing import HEAD
from schemas.ids import Tier

TOWNSHIPS = 2
TAKEN_ON = "演示任职"
HOLDERS = {
    "经办人": CLERK,
    "分管领导": LEADER,
    "督办员": SUPERVISOR,
    "党政办主任": COORDINATOR,
    "召集人": COORDINATOR,
    HEAD: COORDINATOR,
}
"""Account by title of the post; the others stay vacant, as some always are."""


@dataclass(frozen=True, slots=True)
class Staffed:
    """Posts of one office by title, and the addresses that its printed codes lead to."""

    posts: dict[str, int]
    codes: list[str]


def staff(place: Place, admin: Office, tree: DivisionTree) -> Staffed:
    """Units of one office, its posts filled, its codes printed."""
    users = {user["name"]: user["id"] for user in admin.get("/api/v1/users")["items"]}
    units = [admin.post("/api/v1/units", {"kind": "node", "name": place.name, "code": place.code})]
    root = units[0]["id"]
    if place.tier is Tier.COUNTY:
        for town in tree.children(place.code)[:TOWNSHIPS]:
            township = _unit(admin, "township", town.name, town.code, root)
            room = _unit(admin, "room", f"{town.name}协商议事室", town.code, township["id"])
            units += [township, room]
    units.append(_unit(admin, "station", f"{place.name}委员工作站", place.code, root))
    posts: dict[str, int] = {}
    for post in (post for unit in units for post in unit["posts"]):
        if post["title"] in HOLDERS:
            to = users[HOLDERS[post["title"]]]
            admin.post(f"/api/v1/posts/{post['id']}/holder", {"to": to, "note": TAKEN_ON})
            posts.setdefault(post["title"], post["id"])
    codes = [admin.post("/api/v1/posters", {"unit": unit["id"]})["url"] for unit in units]
    return Staffed(posts, codes)


def _unit(admin: Office, kind: str, name: str, code: str, parent: int) -> Answer:
    return admin.post("/api/v1/units", {"kind": kind, "name": name, "code": code, "parent": parent})
