"""Some hundreds of topics in every state a topic can be in, made over the nodes' API as offices would make them."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from node.clock import instant
from node.demo.courses import CITY, PROVINCE, Course, Deed, courses
from node.demo.messages import Supply, messages, rows_of, sheet
from node.demo.office import Office, Refused, Waiting
from node.demo.telling import Teller
from node.demo.town import Town
from node.domain.divisions import builtin
from node.domain.routing import Act, override_needed
from schemas.ids import Tier

SHARES = {PROVINCE: 2, CITY: 3}
COUNTY_SHARE = 4
"""Of so many topics begin at a county."""
ACTS = {"escalate": Act.ESCALATE, "delegate": Act.DELEGATE}
OVERRIDE = "与上下级会商后这样安排"


def import_few(town: Town, teller: Teller) -> dict[str, int]:
    """Some messages for the two counties, and nothing done with them; how many each has. Raises Refused, GaveUp."""
    teller.chapter("二、两区导入群众留言", "The counties import citizens' messages")
    kind, sheets = messages()
    opened = {}
    for office, content in zip(town.counties, sheets, strict=True):
        _import(office, content, rows_of(content))
        opened[office.code] = rows_of(content)
        teller.beat(office.name, f"导入{kind} {opened[office.code]} 条", f"{opened[office.code]} messages imported")
    return opened


def _import(office: Office, content: bytes, count: int) -> None:
    said = office.upload("/api/v1/imports", "messages.csv", content)
    if said["errors"] or said["created"] + said["skipped"] != count:
        raise Refused(office.code, 200, {"type": ":import", "detail": str(said)[:500]})


@dataclass
class Way:
    """One topic on its course; `at` is the next deed."""

    topic: str
    course: Course
    number: int = 0
    at: int = 0
    children: list[str] = field(default_factory=list)

    @property
    def next(self) -> Deed:
        return self.course.deeds[self.at]

    @property
    def ended(self) -> bool:
        return self.at == len(self.course.deeds)

    @property
    def subject(self) -> str:
        child = self.next.child
        return self.topic if child is None else self.children[child]


class Stock:
    """`opened`: how many topics began at each node."""

    def __init__(self, town: Town, teller: Teller, size: int) -> None:
        self._town = town
        self._teller = teller
        self._size = size
        self._offices = {office.code: office for office in town.offices}
        self._tiers = {place.code: place.tier for place in town.places}
        self._waiting = Waiting(town.offices, teller.clock)
        self._ways: list[Way] = []
        self.opened: Counter[str] = Counter()

    def fill(self) -> None:
        """Import the messages and take each topic as far as its course goes. Raises Refused, GaveUp."""
        supply = Supply(builtin(), self._teller.clock.now())
        for office in reversed(self._town.offices):
            self._import(office, supply)
        self._go()
        for office in self._town.offices:
            self._tell(office)

    def add(self, topic: str, code: str, deeds: tuple[Deed, ...]) -> None:
        """One more topic that was opened at `code`, to go a course of its own."""
        self.opened[code] += 1
        self._ways.append(Way(topic, Course("", deeds), len(self._ways)))

    def _import(self, office: Office, supply: Supply) -> None:
        ways = courses(office.code)
        chosen = [ways[n % len(ways)] for n in range(self._count(office))]
        rows = supply.rows(office.code, [course.place for course in chosen])
        for row, course in zip(rows, chosen, strict=True):
            row["地区"] = " ".join(dict.fromkeys([row["地区"], *course.areas]))
        _import(office, sheet(rows), len(rows))
        numbers = {topic["external_id"]: topic["id"] for topic in office.all_topics() if topic["origin"] == office.code}
        for n, (row, course) in enumerate(zip(rows, chosen, strict=True)):
            self._ways.append(Way(numbers[row["编号"]], course, n))
        self.opened[office.code] += len(rows)
        self._teller.beat(office.name, f"导入{supply.kind} {len(rows)} 条", f"{len(rows)} messages imported")

    def _count(self, office: Office) -> int:
        shares = {code: SHARES.get(code, COUNTY_SHARE) for code in self._offices}
        return max(1, self._size * shares[office.code] // sum(shares.values()))

    def _go(self) -> None:
        """All deeds of all courses, in the order in which they become possible."""
        todo = [way for way in self._ways if not way.ended]
        with self._teller.counting("办理议题 working on topics", sum(len(way.course.deeds) for way in todo)) as advance:
            while todo:
                advance(self._waiting.until("topics on their courses", partial(self._round, todo)))
                todo = [way for way in todo if not way.ended]

    def _round(self, todo: list[Way]) -> int:
        return sum(self._further(way) for way in todo)

    def _further(self, way: Way) -> int:
        """How many deeds could be done now, one after the other at one office."""
        done = 0
        while not way.ended and self._possible(way):
            self._do(way)
            done += 1
        return done

    def _possible(self, way: Way) -> bool:
        deed = way.next
        try:
            view = self._offices[deed.by].get(f"/api/v1/topics/{way.subject}")
        except Refused as refused:
            if refused.status == 404:
                return False
            raise
        if deed.verb in ("accept", "decline"):
            return bool(view["offer"]) and view["offer"]["to"] == deed.by
        status = "closed" if deed.verb == "reopen" else "active"
        return bool(view["status"] == status and view["custodian"] == deed.by)

    def _do(self, way: Way) -> None:
        deed = way.next
        office = self._offices[deed.by]
        body = self._body(office, way.subject, deed)
        if deed.texts:
            body["text"] = deed.texts[way.number % len(deed.texts)]
        view = office.post(f"/api/v1/topics/{way.subject}/{deed.verb}", body)
        if deed.verb == "split":
            way.children += view["children"]
            self.opened[deed.by] += len(view["children"])
        way.at += 1

    def _body(self, office: Office, topic: str, deed: Deed) -> dict[str, Any]:
        body = dict(deed.body)
        for name, days in (("due_at", deed.due_days), ("answer_by", deed.answer_days)):
            if days is not None and deed.verb != "split":
                body[name] = self._on(days)
        if deed.verb == "split":
            body["parts"] = [{**part, "due_at": self._on(deed.due_days or 0)} for part in body["parts"]]
        act, target = self._act(office, deed)
        if act and override_needed(Tier(office.get(f"/api/v1/topics/{topic}/suggestion")["tier"]), target, act):
            body["override_reason"] = OVERRIDE
        return body

    def _act(self, office: Office, deed: Deed) -> tuple[Act | None, Tier]:
        """What of the deed the right tier is asked about, and the tier it goes to."""
        own = self._tiers[office.code]
        if deed.verb == "step" and deed.body["step"] == "decide":
            return Act.DECIDE, own
        if deed.verb == "escalate":
            return Act.ESCALATE, Tier.PROVINCE if own is Tier.CITY else Tier.CITY
        return ACTS.get(deed.verb), self._tiers.get(deed.body.get("to", ""), own)

    def _on(self, days: int) -> str:
        return instant(self._teller.clock.now() + timedelta(days=days))

    def _tell(self, office: Office) -> None:
        views = office.all_topics()
        mine = [view for view in views if view["custodian"] == office.code]
        counts = Counter(view["status"] for view in mine)
        chinese = f"共 {len(views)} 件，本单位负责 {len(mine)} 件：在办 {counts['active']}、"
        chinese += f"已提出待对方签收 {counts['offered']}、已办结 {counts['closed']}"
        english = f"{len(views)} topics, {len(mine)} held here: {counts['active']} active, "
        self._teller.beat(office.name, chinese, english + f"{counts['offered']} on offer, {counts['closed']} closed")
