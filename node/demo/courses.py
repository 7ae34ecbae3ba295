"""The ways a topic of the stock may have gone so far: who did what, in order, up to the state it is shown in."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

PROVINCE, CITY, COUNTIES = "620000", "620100", ("620102", "620103")
ELSEWHERE = "620400"
"""Another city of the province, which has no node here: what concerns it too belongs to the province."""

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deed:
    """What one office does with a topic, or with the n-th topic split from it. Days count from now; None: no term.

    `texts` are what it may say; each topic takes one of them.
    """

    by: str
    verb: str
    body: Body = field(default_factory=dict)
    child: int | None = None
    texts: tuple[str, ...] = ()
    due_days: int | None = None
    answer_days: int | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """`areas` beside the topic's own place make it a matter of a higher tier; `share` of topics go this way.

    `place` is where the matter must lie for the course to make sense, None: anywhere in the division.
    """

    name: str
    deeds: tuple[Deed, ...]
    share: int = 1
    areas: tuple[str, ...] = ()
    place: str | None = None


STEP_TEXTS = {
    "decide": ("主任会议研究，列入本级协商议题。", "经筛选归类，确定为本月协商议题。", "与承办单位会商后确定办理。"),
    "research": (
        "现场走访三次，座谈居民二十余人。",
        "会同社区查看现场，列出问题清单。",
        "调阅台账，核对了近一年的来件。",
    ),
    "consult": (
        "召开协商议事会，形成三条一致意见。",
        "邀请委员、居民代表、承办单位面商。",
        "线上线下同步协商，意见基本一致。",
    ),
    "implement": ("承办单位已进场，整改过半。", "方案已公示，正在实施。", "第一批问题已整改，其余限期完成。"),
    "feedback": ("已电话回访反映人，表示满意。", "已在社区公示栏公布结果。", "已当面告知反映人，无其他意见。"),
}
RESULTS = {
    "A": ("问题已解决，居民现场确认。", "整改完成，已建立长效管护。"),
    "B": ("已列入下年度计划，资金已落实。",),
    "C": ("条件暂不具备，已向反映人说明原因。",),
    "D": ("建议已转有关部门留作参考。",),
}
WORK = ("decide", "research", "consult", "implement")


def steps(by: str, *names: str, child: int | None = None) -> tuple[Deed, ...]:
    return tuple(Deed(by, "step", {"step": name}, child, STEP_TEXTS[name]) for name in names)


def result(by: str, outcome: str = "A", child: int | None = None) -> Deed:
    return Deed(by, "result", {"outcome": outcome}, child, RESULTS[outcome])


def up(by: str, answer_days: int | None = 7) -> Deed:
    said = {
        "reason": "涉及范围超出本级，需上级统筹",
        "tried": "已现场核实并协调三次",
        "opinion": "建议统一标准、明确牵头单位",
    }
    return Deed(by, "escalate", said, answer_days=answer_days)


def down(by: str, to: str, due_days: int | None = 30, answer_days: int | None = 5) -> Deed:
    said = {"to": to, "instruction": "请牵头办理，按期报结果。"}
    return Deed(by, "delegate", said, due_days=due_days, answer_days=answer_days)


def accept(by: str, child: int | None = None) -> Deed:
    return Deed(by, "accept", {}, child)


def report(by: str, child: int | None = None) -> Deed:
    return Deed(by, "report", {"text": "已办理完毕，请审定。"}, child)


def give_back(by: str) -> Deed:
    return Deed(by, "return", {"reason": "经核实属原单位职责，请就地协商办理。"})


def divide(by: str, lead: str, assist: str, due_days: int = 20) -> Deed:
    parts = [
        {"to": lead, "role": "lead", "title": "牵头摸清底数、统一清单", "instruction": "两周内报清单。"},
        {"to": assist, "role": "assist", "title": "配合核对本地情况", "instruction": "按统一清单核对。"},
    ]
    return Deed(by, "split", {"parts": parts}, due_days=due_days)


def at_home(me: str) -> Iterator[Course]:
    """What an office does by itself, from screening to the reopened matter."""
    yield Course("new", (), 4)
    yield Course("decided", steps(me, "decide"), 2)
    yield Course("researching", steps(me, "decide", "research"), 2)
    gathering = Deed(me, "attend", {"headcount": 26, "form": "协商议事会", "text": "居民、物业、街道代表参加。"})
    yield Course("consulting", (*steps(me, "decide", "research"), gathering, *steps(me, "consult")), 2)
    yield Course("implementing", steps(me, *WORK), 2)
    done = (*steps(me, *WORK), result(me))
    yield Course("feedback", (*done, *steps(me, "feedback")), 2)
    for outcome, share in (("A", 4), ("B", 2), ("C", 1), ("D", 1)):
        deeds = (*steps(me, *WORK), result(me, outcome), *steps(me, "feedback"), Deed(me, "close"))
        yield Course(f"closed {outcome}", deeds, share)
    again = Deed(me, "reopen", {"reason": "回访发现问题反复，再办理。"})
    yield Course("reopened", (*done, *steps(me, "feedback"), Deed(me, "close"), again))


def few_at_home(me: str) -> Iterator[Course]:
    """Of that, what an office above the counties has."""
    shown = ("new", "consulting", "feedback", "closed A")
    return (course for course in at_home(me) if course.name in shown)


def of_county(me: str) -> Iterator[Course]:
    """What goes up from a county, and what comes of it."""
    other = next(code for code in COUNTIES if code != me)
    yield from at_home(me)
    wide = (other,)
    yield Course("offered to the city", (up(me),), 3, wide)
    yield Course("to be answered soon", (up(me, 1),), 1, wide)
    at_city = (up(me), accept(CITY))
    yield Course("at the city", at_city, 3, wide)
    yield Course(
        "declined", (up(me), Deed(CITY, "decline", {"code": "not_our_power", "reason": "按权责清单由区里办理"}))
    )
    yield Course("return offered", (*at_city, give_back(CITY)), 1, wide)
    yield Course("returned", (*at_city, give_back(CITY), accept(me)), 2, wide)
    solved = (*at_city, *steps(CITY, *WORK), result(CITY), report(CITY))
    yield Course("answer offered", solved, 2, wide)
    yield Course("answer at home", (*solved, accept(me)), 2, wide)
    closed = (*solved, accept(me), *steps(me, "feedback"), Deed(me, "close"))
    yield Course("home and closed", closed, 2, wide)
    far = (ELSEWHERE,)
    yield Course("offered to the province", (*at_city, up(CITY)), 2, far)
    yield Course("at the province", (*at_city, up(CITY), accept(PROVINCE)), 2, far)
    decided = (*at_city, up(CITY), accept(PROVINCE), *steps(PROVINCE, "decide"))
    yield Course("province, back down, late", (*decided, down(PROVINCE, CITY, -2), accept(CITY)), 1, far)
    yield Course("province, back down", (*decided, down(PROVINCE, CITY, 2), accept(CITY)), 1, far)


def of_city() -> Iterator[Course]:
    """What a city does itself, and what it gives its counties."""
    lead, assist = COUNTIES
    yield from few_at_home(CITY)
    for n, me in enumerate(COUNTIES):
        yield Course("offered to the county", (down(CITY, me),), place=me)
        yield Course("overdue", (down(CITY, me, -3 - n), accept(me), *steps(me, "decide")), place=me)
        yield Course("due in three days", (down(CITY, me, 2), accept(me), *steps(me, "decide", "research")), place=me)
        yield Course("under way", (down(CITY, me, 25), accept(me), *steps(me, *WORK)), place=me)
        done = (down(CITY, me, 15), accept(me), *steps(me, *WORK), result(me), report(me))
        yield Course("reported", done, place=me)
        yield Course("sent back", (down(CITY, me), accept(me), give_back(me), accept(CITY)), place=me)
    both = steps(CITY, "decide")
    yield Course("split, offered", (*both, divide(CITY, lead, assist)), 1, COUNTIES, lead)
    yield Course(
        "split, under way",
        (*both, divide(CITY, lead, assist, 2), *taken(lead, 0), *taken(assist, 1)),
        2,
        COUNTIES,
        lead,
    )
    half = (*taken(lead, 0), *steps(lead, "research", "consult", "implement", child=0), result(lead, child=0))
    back = (report(lead, 0), accept(CITY, 0), *steps(CITY, "feedback", child=0), Deed(CITY, "close", {}, 0))
    yield Course("split, one part closed", (*both, divide(CITY, lead, assist), *half, *back), 1, COUNTIES, lead)


def of_province() -> Iterator[Course]:
    """What a province does itself, and what it gives its city, or past it a county by name."""
    yield from few_at_home(PROVINCE)
    yield Course("offered to the city", (down(PROVINCE, CITY),), place=CITY)
    yield Course("overdue at the city", (down(PROVINCE, CITY, -4), accept(CITY)), 2, place=CITY)
    yield Course("due at the city", (down(PROVINCE, CITY, 2), accept(CITY)), 2, place=CITY)
    for me in COUNTIES:
        yield Course("straight to a county", (down(PROVINCE, me, 40), accept(me), *steps(me, "decide")), place=me)
    yield Course(
        "reported", (down(PROVINCE, CITY), accept(CITY), *steps(CITY, *WORK), result(CITY), report(CITY)), 2, place=CITY
    )
    yield Course(
        "split", (*steps(PROVINCE, "decide"), divide(PROVINCE, CITY, COUNTIES[1]), *taken(CITY, 0)), 1, COUNTIES, CITY
    )


def taken(by: str, child: int) -> tuple[Deed, ...]:
    return accept(by, child), *steps(by, "decide", child=child)


def courses(code: str) -> list[Course]:
    """All courses of the topics that begin at one office: each once, then again as often as its share says."""
    found = list({PROVINCE: of_province, CITY: of_city}.get(code, lambda: of_county(code))())
    return found + [course for course in found for _ in range(course.share - 1)]
