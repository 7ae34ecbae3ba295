"""What is kept for people to try: offices with their staff, hundreds of topics in every state, citizens waiting."""

from node.demo.citizens import raise_matter
from node.demo.courses import CITY, accept, steps, up
from node.demo.office import Office
from node.demo.staff import Staffed, staff
from node.demo.stock import Stock
from node.demo.telling import Teller
from node.demo.town import Place, Town
from node.domain.divisions import builtin
from node.domain.policy import ADMIN
from schemas.ids import Tier

BEATS = 4 + 4 + 4 + 4
"""Of each node: its staff, its citizens, its messages, what became of them."""
CITIZENS = {Tier.COUNTY: 6, Tier.CITY: 3, Tier.PROVINCE: 2}
"""How many raise a matter at each tier; a printed form takes some at once and then one every few seconds."""
DUTIES = 10
"""Topics of each office that are made the duty of a post."""
REFUSED = "与上周已受理的事项相同，请按原回执查看进展。"


class Setting:
    """`opened`: how many topics began at each node."""

    def __init__(self, town: Town, teller: Teller, size: int) -> None:
        self._town = town
        self._teller = teller
        self._stock = Stock(town, teller, size)
        self._staffed: dict[str, Staffed] = {}

    @property
    def opened(self) -> dict[str, int]:
        return dict(self._stock.opened)

    def make(self) -> None:
        """Everything there is before the walk. Raises Refused, GaveUp, OSError."""
        self._teller.chapter(
            "二、单位和岗位、群众来件、各个环节的议题", "Units and posts, citizens, topics in every state"
        )
        for place in self._town.places:
            self._staff(place)
        for place, office in zip(self._town.places, self._town.offices, strict=True):
            self._citizens(place, office)
        self._stock.fill()
        for office in self._town.offices:
            self._duties(office)

    def _staff(self, place: Place) -> None:
        admin = self._town.person(place, ADMIN)
        self._staffed[place.code] = staff(place, admin, builtin())
        admin.close()
        count = len(self._staffed[place.code].codes)
        self._teller.beat(
            place.name, f"{count} 个单位，岗位已任职，二维码已制作", f"{count} units, staffed, codes printed"
        )

    def _citizens(self, place: Place, office: Office) -> None:
        """Most wait for a clerk; at a county the first is taken and goes up, the second is refused."""
        codes = self._staffed[place.code].codes
        count = CITIZENS[place.tier]
        receipts = [raise_matter(codes[n % len(codes)], n) for n in range(count)]
        if place.tier is Tier.COUNTY:
            first, second = (draft["id"] for draft in office.get("/api/v1/drafts")["items"][:2])
            topic = office.post(f"/api/v1/drafts/{first}/take", {"areas": [place.code]})["topic"]
            self._stock.add(topic, place.code, (up(place.code), accept(CITY), *steps(CITY, "decide")))
            office.post(f"/api/v1/drafts/{second}/refuse", {"reason": REFUSED})
            self._town.doors += [
                (f"群众反映事项（{place.name}）", "a citizen's form", codes[0]),
                (f"群众查看进展（{place.name}）", "a citizen's receipt", receipts[0]),
            ]
        self._teller.beat(place.name, f"收到群众来件 {count} 件", f"{count} matters raised by citizens")

    def _duties(self, office: Office) -> None:
        posts = self._staffed[office.code].posts
        mine = [view for view in office.all_topics() if view["custodian"] == office.code and view["status"] == "active"]
        for view in sorted(mine, key=lambda view: view["due_at"] or "9")[:DUTIES]:
            for part, title in (("owner", "经办人"), ("supervisor", "督办员")):
                office.post(f"/api/v1/topics/{view['id']}/duties", {"part": part, "post": posts[title]})
