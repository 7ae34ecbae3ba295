"""What the province shows against what the counties' own databases hold, counted without any code of aggregation.

A county's topics are read from its chains, entry by entry, as bytes: nothing of what folds, sums or sends them is used.
The province is asked as a clerk asks it, over HTTP.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from benchmarks import gansu
from benchmarks.field import Client
from benchmarks.fleet import Fleet
from sync.keys import unb64

DIMENSIONS = (
    "origin",
    "custodian",
    "child",
    "tier",
    "category",
    "source",
    "kind",
    "status",
    "step",
    "outcome",
    "month",
)
MEASURES = (
    *("count", "open", "overdue", "closed", "a", "b", "c", "d", "solved_at_origin", "hops", "returns", "reopened"),
    *("suggested", "followed", "participations", "responded", "rated", "satisfied", "basically_satisfied"),
)
CHINA = timezone(timedelta(hours=8))
SHOWN = 20
OF_TOTALS = "rows of "

Say = Callable[[str], None]


class Unequal(Exception):
    """A figure of the province is not the sum over the nodes."""


@dataclass(frozen=True, slots=True)
class Counted:
    """One topic: where it counts, the townships it names, what it adds, and its last entry."""

    keys: dict[str, str]
    areas: tuple[str, ...]
    adds: Counter[str]
    head: str


def compare(fleet: Fleet, say: Say) -> int:
    """How many figures were compared. Raises Unequal where one differs."""
    topics = {id: topic for code in fleet.quotas for id, topic in counted(fleet, code)}
    say(f"{len(topics):,} topics counted in the counties' own databases")
    client = Client(fleet.places[gansu.PROVINCE].url).sign_in()
    wrong, compared = [*_lists(fleet, topics)], len(topics)
    for by in DIMENSIONS:
        found = _ask(client, "figures", by=by)
        sums = {row["key"]: row["sums"] | row["rates"] for row in found["rows"]}
        own = _summed(topics.values(), by)
        for key in sums.keys() | own.keys():
            wrong += _differences(f"{by} {key}", sums.get(key, {}), own.get(key, Counter()))
        total = found["total"]["sums"] | found["total"]["rates"]
        wrong += _differences(f"all, by {by}", total, sum(own.values(), Counter()))
        compared += (len(own) + 1) * (len(MEASURES) + 2)
    townships = [division.code for code in fleet.quotas for division in gansu.townships(code)]
    for code in townships:
        total = _ask(client, "figures", by="status", area=code)["total"]["sums"]
        own_sums = sum((topic.adds for topic in topics.values() if code in topic.areas), Counter[str]())
        wrong += _differences(f"township {code}", total, own_sums)
    compared += len(townships) * len(MEASURES)
    wrong += [f"the province has found a difference by itself: {item}" for item in _standing(client)]
    if wrong:
        raise Unequal(f"{len(wrong)} figures differ:\n" + "\n".join(wrong[:SHOWN]))
    return compared


def counted(fleet: Fleet, code: str) -> Iterator[tuple[str, Counted]]:
    """Every topic this county opened, with its identity."""
    chains: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    query = "SELECT e.topic, e.id, s.raw FROM entries e JOIN statements s ON s.id = e.id"
    for topic, id, raw in fleet.ask(code, query):
        chains[topic][id] = _payload(raw)
    ratings: defaultdict[str, list[Any]] = defaultdict(list)
    query = "SELECT r.topic, r.id, s.raw FROM remarks r JOIN statements s ON s.id = r.id WHERE r.kind = 'rate'"
    for topic, id, raw in fleet.ask(code, query):
        said = _payload(raw)
        ratings[topic].append((said["at"], id, said["body"]["rating"]))
    tiers = {place.code: place.tier.value for place in fleet.places.values()}
    city = fleet.places[code].parent
    query = "SELECT id, head, custodian, status, step, outcome FROM topics WHERE origin = ?"
    for topic, head, custodian, status, step, outcome in fleet.ask(code, query, code):
        entries = _chain(chains[topic], head)
        opened = entries[0]["body"]
        keys = {
            "origin": code,
            "custodian": custodian,
            "child": city or "",
            "tier": tiers[custodian],
            "category": opened["category"] or "",
            "source": opened["source"] or "",
            "kind": opened["kind"],
            "status": status,
            "step": step,
            "outcome": outcome or "",
            "month": _month(entries[0]),
        }
        rating = max(ratings[topic])[2] if ratings[topic] else None
        yield topic, Counted(keys, tuple(opened["areas"]), _adds(entries, status, rating), head)


def _chain(entries: dict[str, Any], head: str) -> list[Any]:
    """From the birth to the last entry, along what each names before it; a branch that lost is not on that way."""
    found = []
    at: str | None = head
    while at is not None:
        found.append(entries[at])
        at = entries[at]["prev"]
    return found[::-1]


def _adds(entries: list[Any], status: str, rating: str | None) -> Counter[str]:
    adds = Counter(count=1, open=int(status != "closed"), closed=int(status == "closed"))
    mode = outcome = first = closed = None
    handed_up = False
    for entry in entries[1:]:
        kind, body = entry["kind"], entry["body"]
        first = first or (entry["at"] if kind not in ("claimed", "child_closed") else None)
        if kind in ("stepped", "offered") and body["suggested"] is not None:
            adds["suggested"] += 1
            adds["followed"] += body["override_reason"] is None
        if kind == "offered":
            mode = body["mode"]
        elif kind == "accepted":
            adds["hops"] += 1
            adds["returns"] += mode == "return"
            handed_up = handed_up or mode == "escalate"
        elif kind == "resumed":
            adds["returns"] += 1
        elif kind == "attended":
            adds["participations"] += body["headcount"]
        elif kind == "resulted":
            outcome = body["outcome"]
        elif kind == "closed":
            closed = entry["at"]
    if outcome is not None:
        adds[outcome.lower()] += 1
        adds["solved_at_origin"] = int(status == "closed" and outcome == "A" and not handed_up)
    adds["rated"] = int(rating is not None)
    adds["satisfied"] = int(rating == "satisfied")
    adds["basically_satisfied"] = int(rating == "basically_satisfied")
    adds["responded"] = int(first is not None)
    adds["response_s"] = _seconds(entries[0], first)
    adds["resolution_s"] = _seconds(entries[0], closed)
    return adds


def _summed(topics: Iterable[Counted], by: str) -> dict[str, Counter[str]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for topic in topics:
        found[topic.keys[by]].update(topic.adds)
    return found


def _differences(what: str, shown: dict[str, Any], own: Counter[str]) -> Iterator[str]:
    for name in MEASURES:
        if shown.get(name, 0) != own[name]:
            yield f"{what}: {name} is {shown.get(name, 0)} at the province, {own[name]} in the counties"
    for name, part, whole in (
        ("response_days", "response_s", "responded"),
        ("resolution_days", "resolution_s", "closed"),
    ):
        days = round(own[part] / (own[whole] * 86_400), 4) if own[whole] else None
        if name in shown and shown[name] != days:
            yield f"{what}: {name} is {shown[name]} at the province, {days} in the counties"


def _lists(fleet: Fleet, topics: dict[str, Counted]) -> Iterator[str]:
    """Topic by topic: each is at the province, up to its last entry, and no other."""
    there = dict(fleet.ask(gansu.PROVINCE, "SELECT topic, head FROM topic_rows"))
    for id in there.keys() | topics.keys():
        own = topics[id].head if id in topics else None
        if there.get(id) != own:
            yield f"topic {id}: last entry {there.get(id)} at the province, {own} in its county"


def _standing(client: Client) -> list[Any]:
    """What nodes say of rows and the province counts otherwise. Totals of a month are sealed again a day after its rows
    changed (SPEC 16), and here all months are over while they are played: theirs are left out."""
    found = _ask(client, "differences")["items"]
    return [item for item in found if not item["field"].startswith(OF_TOTALS)]


def _ask(client: Client, route: str, **query: str) -> Any:
    status, found = client.request("GET", f"/api/v1/aggregate/{route}?{urlencode(query)}")
    if status != 200:
        raise Unequal(f"{route} answers {status}: {found}")
    return found


def _payload(raw: bytes) -> Any:
    return json.loads(unb64(json.loads(raw)["payload"]))


def _month(opened: Any) -> str:
    return _raised(opened).astimezone(CHINA).strftime("%Y-%m")


def _seconds(opened: Any, at: str | None) -> int:
    return max(0, int((datetime.fromisoformat(at) - _raised(opened)).total_seconds())) if at else 0


def _raised(opened: Any) -> datetime:
    return datetime.fromisoformat(opened["body"]["raised_at"] or opened["at"])
