"""Where names of divisions stand in a text: finding them, not yet deciding which division is meant.

Masked names (A3区) are found by their shape, real ones by the longest name of the table at each position. Full-width
and small Latin letters are read like plain capitals, and spaces inside a masked name are passed over; offsets always
are those of the text as given.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from node.domain.divisions import DivisionTree
from node.domain.place_names import Named, NameIndex, Need, names_of

MASKED = re.compile(
    r"(?P<letters>[A-Z]+)[ \t\u3000\xa0]{0,2}(?P<digits>[0-9]{0,2})[ \t\u3000\xa0]{0,2}(?P<kind>[市区县州])"
)
_FOLD = {wide: chr(wide - 0xFEE0).upper() for wide in range(0xFF01, 0xFF5F) if chr(wide - 0xFEE0).isalnum()} | {
    ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"
}
_HAN = "\u4e00-\u9fff"
LEAD = re.compile(
    rf"(?:^|[^{_HAN}A-Z0-9]|[在到至从由向往赴去来过经对给把将与和及跟同或是于为离距回进入的让请询诉映议望求决报问督盼吁住属归]"
    r"|过境|途经|途径|连接|以及|包括|开通|直通|取缔|整治|解决|严查|加快|完善)$"
)
_GOES_BEFORE = re.compile(r"[我省市州盟区县乡镇村]$")
_GOES_BEHIND = re.compile(
    rf"$|[^{_HAN}A-Z0-9]|[的在到至往和与及跟等是有对没应要能出去回各这也]|地区|境内|城区|高新|经开|开发区|段|方向|地铁|公交|高铁|铁路|机场|火车站"
    r"|政府|当地|本地|居民|市民|群众|周边|之间"
)
_NOT_BEHIND = {"市": re.compile(r"[场面]"), "镇": re.compile(r"[化]|居民|职工")}
_ROAD = re.compile(
    r"[东西南北中]{1,2}路|路(?![口政灯段面桥边人况过网牌障])"
    r"|[东西南北中]{0,2}(?:大道|大街(?!小巷)|街(?![道办上头面])|巷)|立交|高架|隧道"
)
_SIGHT = re.compile(r"[寺阁]|河(?:大桥|[东西南北]岸|畔|风光|观光)")
_CONTEXT_CHARS = 3


@dataclass(frozen=True, slots=True)
class Mention:
    """A name at `text[start:end]` and the divisions it may stand for, none for one that is in no table.

    `road` tells that the name goes on as a road's; `led` that a word which names a place ends before it, `begins` that
    any word does, `adjacent` that another mention does.
    """

    start: int
    end: int
    name: str
    bearers: tuple[Named, ...]
    road: bool
    led: bool
    begins: bool
    adjacent: bool


def fold(text: str) -> str:
    """The text with full-width and small Latin letters and digits as plain capitals; no character moves."""
    return text.translate(_FOLD)


def scan(text: str, tree: DivisionTree, within: Callable[[str], bool]) -> list[Mention]:
    """All mentions in the order of the text, none overlapping another.

    `within` says whether a code lies in the node's subtree. Names that need a division above them to be named
    elsewhere are kept; the caller, who sees the whole text, drops them.
    """
    names = names_of(tree)
    folded = fold(text)
    masked = {match.start(): match for match in MASKED.finditer(folded)}
    found: list[Mention] = []
    for match in names.starts.finditer(folded):
        at = match.start()
        if found and found[-1].end > at:
            continue
        before = found[-1] if found and found[-1].end == at else None
        if at in masked:
            mention = _masked(folded, masked[at], names, before)
        else:
            mention = _real(folded, at, names, tree, within, before)
        if mention:
            found.append(mention)
    return found


def _masked(text: str, match: re.Match[str], names: NameIndex, before: Mention | None) -> Mention | None:
    name = match["letters"] + match["digits"] + match["kind"]
    start = match.start()
    digits = re.search(r"[A-Z]?[0-9]+$", text[max(0, start - 8) : start])
    if digits and digits[0][0].isalpha():
        return None
    bearers = names.bearers.get(name, ())
    if not bearers and not _looks_masked(match, names, after_digits=bool(digits)):
        return None
    return _mention(text, start, match.end(), name, bearers, before)


def _looks_masked(match: re.Match[str], names: NameIndex, after_digits: bool) -> bool:
    """A3区 anywhere; D区 only where the table has such names, for elsewhere it is a part of a housing estate."""
    if len(match["letters"]) > 1 or after_digits:
        return False
    return bool(match["digits"]) or (match["kind"] != "州" and bool(names.coded))


def _real(
    text: str, at: int, names: NameIndex, tree: DivisionTree, within: Callable[[str], bool], before: Mention | None
) -> Mention | None:
    for name in names.names_at(text, at):
        end = at + len(name)
        if _goes_on(name, text, end) or _cuts_a_province(text, at, end, names):
            continue
        begins = before is not None or _begins(text, at)
        above = {named.code for named in before.bearers} if before else set()

        def counts(named: Named, begins: bool = begins, above: set[str] = above, end: int = end) -> bool:
            adjacent = any(tree.is_within(named.code, code) and named.code != code for code in above)
            ends = named.need in (Need.SHORT, Need.STEM) and _ends(text, end, named.code, names, tree)
            return _counts(named.need, begins, adjacent, within(named.code), ends)

        bearers = tuple(named for named in names.bearers[name] if counts(named))
        if bearers:
            return _mention(text, at, end, name, bearers, before)
    return None


def _counts(need: Need, begins: bool, adjacent: bool, home: bool, ends: bool) -> bool:
    """Whether a name with this need counts here, as far as its surroundings say."""
    match need:
        case Need.NOTHING | Need.PLACED | Need.BELOW:
            return True
        case Need.WORD:
            return begins
        case Need.HOME:
            return adjacent or (begins and home)
        case Need.NEXT:
            return adjacent
        case Need.STEM:
            return adjacent and ends
        case Need.SHORT:
            return begins and ends


def _begins(text: str, start: int) -> bool:
    before = text[max(0, start - _CONTEXT_CHARS) : start]
    return bool(LEAD.search(before) or _GOES_BEFORE.search(before))


def _goes_on(name: str, text: str, end: int) -> bool:
    pattern = _NOT_BEHIND.get(name[-1])
    return bool(pattern and pattern.match(text, end))


def _cuts_a_province(text: str, start: int, end: int, names: NameIndex) -> bool:
    """海南区 in 上海南区, 南山区 in 云南山区."""
    return any(
        text[first:last] in names.province_stems
        for first in range(max(0, start - 2), start)
        for last in range(start + 1, min(end, first + 4))
    )


def _ends(text: str, end: int, code: str, names: NameIndex, tree: DivisionTree) -> bool:
    """Whether a stem ends here: a word that goes behind places follows, or the name of something in the division."""
    return bool(_GOES_BEHIND.match(text, end)) or any(
        tree.is_within(named.code, code) for name in names.names_at(text, end) for named in names.bearers[name]
    )


def _mention(text: str, start: int, end: int, name: str, bearers: tuple[Named, ...], before: Mention | None) -> Mention:
    road = bool(_ROAD.match(text, end) or (name[0].isascii() and _SIGHT.match(text, end)))
    led = bool(LEAD.search(text[max(0, start - _CONTEXT_CHARS) : start]))
    return Mention(start, end, name, bearers, road, led, _begins(text, start), before is not None)


def unlisted_names(text: str, taken: Sequence[Mention], tree: DivisionTree) -> Iterator[tuple[int, int, str]]:
    """Names that look like a division's and are in no table: `(start, end, name)`; clear cases only."""
    spans = [(mention.start, mention.end) for mention in taken]
    listed = names_of(tree).bearers
    for match in _UNLISTED.finditer(text):
        start, end = match.span("name")
        overlaps = any(start < last and first < end for first, last in spans)
        if not overlaps and match["name"] not in listed and not _NO_NAME.search(match["name"]):
            yield start, end, match["name"]


_UNLISTED = re.compile(
    rf"(?:^|[\s，。；：、！？“”（）()《》,;:!?]|位于|家住|来自|户籍(?:在|是)|户口在|我是)(?P<name>[{_HAN}]{{2,3}}[市县区])"
    r"(?![场民委长政内外里级直区域县市面中属籍上下城人])"
)
_NO_NAME = re.compile(
    r"[我本全该各此某贵外这那每哪为的在到对请和与及给是有被把将从由向让使下上两几一二三四五六七八九十多整同邻跨老新旧大小的了不]"
    r"|[地小社校城园景片库厂矿山郊辖学工湾牧林湖港街院灾宅业禁产居生住商水功中核心]区$|[开发高新经保税]{2}区$|[城都超股上楼夜集菜门闹车鱼花]市$"
)
