"""What the keys of figures are called, and the order people expect them in."""

from collections.abc import Callable
from dataclasses import dataclass

from node.domain.topic import STEPS
from node.service.lists import Lists
from node.service.roster import name_of
from sync.roster import Roster

NONE = "未注明"
_WORDS: dict[str, dict[str, str]] = {
    "tier": {"county": "县级", "city": "市级", "province": "省级"},
    "status": {"active": "办理中", "offered": "待签收", "closed": "已办结", "frozen": "已冻结"},
    "step": dict(zip(STEPS, ("收集议题", "确定议题", "议前调研", "协商议事", "办理实施", "结果反馈"), strict=True)),
    "outcome": {"A": "解决或采纳", "B": "列入计划拟解决", "C": "暂不能解决", "D": "留作参考", "": "尚无结果"},
    "kind": {"matter": "议题", "lead": "主办分题", "assist": "协办分题"},
    "age": {"0": "本月", "1": "一至三个月", "3": "三至六个月", "6": "半年至一年", "12": "一年以上"},
}
_CODED = ("custodian", "origin", "child")


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of nodes and divisions as this node knows them."""

    roster: Roster
    lists: Lists

    def of(self, by: str, key: str) -> str:
        """The Chinese name of a key."""
        if by in _CODED:
            return name_of(self.roster, key)
        if by == "area" and key:
            division = self.lists.tree.resolve_area(key)
            return division.name if division is not None and division.name else key
        return _WORDS.get(by, {}).get(key) or key or NONE


def ordered(by: str, keys: list[str], count: Callable[[str], int]) -> list[str]:
    """Months and fixed words in their own order, everything else by size."""
    if by == "month":
        return sorted(keys)
    if by in _WORDS and by != "kind":
        places = list(_WORDS[by])
        return sorted(keys, key=lambda key: (places.index(key) if key in places else len(places), key))
    return sorted(keys, key=lambda key: (-count(key), key))
