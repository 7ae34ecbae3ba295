"""Import of sheets, on both databases: each message once, whatever happens in between, and its places read."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from node.clock import Clock, parse_instant
from node.config import Settings
from node.context import Context
from node.domain.errors import SheetError
from node.domain.refusals import Healing
from node.service import life, read
from node.service.commit import write
from node.service.create import Plan, init_node
from node.service.intake import ROWS_AT_ONCE, import_topics
from node.service.verify import verify
from node.store import tables as t
from schemas.api import ImportView, TopicFilter
from schemas.ids import Tier
from sync.strict import strict_json
from tests.store.tree import contents, rows

DIVISIONS = """code,name,level,parent
990000,东江省,province,
990100,甲市,city,990000
990101,和平区,county,990100
990102,A3区,county,990100
990200,乙市,city,990000
990201,和平区,county,990200
990202,清水县,county,990200
"""
HEADER = "留言编号,留言用户,留言主题,留言时间,留言详情,答复意见,答复时间,点赞数,反对数\n"
MESSAGES = (
    HEADER
    + """101,甲某,清水县城北路灯不亮,2019/4/25 9:32:09,"
				清水县城北一带多日没有路灯。

				",已转县住建局办理。,2019/5/10 14:56:53,3,1
102,乙某,A3区公交太少,2019-04-08 08:37:20,甲市A3区的公交车班次太少。,,,0,0
103,丙某,和平区的路坏了,2020/1/7 21:31:53,路坏了很久。,,,,
104,丁某,,2020/1/7 21:31:53,没有标题的留言,,,,
105,戊某,时间不对,昨天,时间不对的留言,,,,
,己某,没有编号的,2020/1/8 10:00,请修桥。,,,,
,,,,,,,,
101,甲某,清水县城北路灯不亮,2019/4/25 9:32:09,重复的编号,,,,
,己某,没有编号的,2020/1/8 10:00,请修桥。,,,,
"""
    + ",,,,,,,,\n" * 500
)


@pytest.fixture
def ctx(database_url: str, tmp_path: Path) -> Iterator[Context]:
    settings = Settings(data=tmp_path / "data", database_url=database_url, disk_reserve_bytes=0)
    plan = Plan("990000", "东江省政协", Tier.PROVINCE, "http://127.0.0.1:8000", True, DIVISIONS.encode())
    made = init_node(settings, Clock(), plan)
    yield made
    made.engine.dispose()


def take(ctx: Context, content: str | bytes, name: str = "留言.csv", **options: Any) -> ImportView:
    raw = content.encode() if isinstance(content, str) else content
    return import_topics(ctx, "李丹", io.BytesIO(raw), name, **options)


def by_title(ctx: Context) -> dict[str, Any]:
    return {item.title: item for item in read.topics(ctx, TopicFilter(), None, 200).items}


def part(ctx: Context, topic: str, name: str) -> dict[str, Any]:
    ref = rows(ctx, t.part_refs, t.part_refs.c.statement == topic, t.part_refs.c.name == name)[0]
    content: bytes = rows(ctx, t.parts, t.parts.c.digest == ref.digest)[0].content
    return strict_json(content)


def test_rows_become_topics_and_bad_ones_are_named(ctx: Context) -> None:
    view = take(ctx, MESSAGES)
    assert (view.created, view.skipped) == (4, 2)
    assert [(error.row, error.field) for error in view.errors] == [(5, "title"), (6, "submitted_at")]
    topics = by_title(ctx)
    lamp = topics["清水县城北路灯不亮"]
    assert (lamp.external_id, lamp.source, lamp.areas, lamp.origin) == ("101", "import", ["990202"], "990000")
    assert lamp.text == "清水县城北一带多日没有路灯。"
    opened = read.entries(ctx, lamp.id, None, 1).items[0]
    assert parse_instant(opened.body["raised_at"]).isoformat() == "2019-04-25T01:32:09+00:00"
    assert {ref.name: ref.share for ref in opened.parts} == {
        "text": "full",
        "submitter": "local",
        "reply": "full",
        "votes": "full",
    }
    assert part(ctx, lamp.id, "submitter")["name"] == "甲某"
    assert part(ctx, lamp.id, "reply") == {"at": "2019-05-10T06:56:53.000Z", "text": "已转县住建局办理。"}
    assert part(ctx, lamp.id, "votes") == {"likes": 3, "dislikes": 1}
    assert verify(ctx).ok
    audited = rows(ctx, t.audit, t.audit.c.action == "import")
    assert len(audited) == 4 and {row.actor for row in audited} == {"李丹"}


def test_areas_say_what_they_were_taken_from_and_doubtful_names_stay_open(ctx: Context) -> None:
    take(ctx, MESSAGES)
    topics = by_title(ctx)
    said = read.suggestion(ctx, topics["A3区公交太少"].id)
    assert [(place.code, place.name, place.field, place.start, place.end) for place in said.areas] == [
        ("990102", "A3区", "title", 0, 3)
    ]
    road = topics["和平区的路坏了"]
    assert road.areas == []
    said = read.suggestion(ctx, road.id)
    assert [(place.name, place.candidates) for place in said.ambiguous] == [("和平区", ["990101", "990201"])]
    unknown = "编号,主题,内容\n7,丙丁县的路坏了,请修\n"
    take(ctx, unknown)
    said = read.suggestion(ctx, by_title(ctx)["丙丁县的路坏了"].id)
    assert [place.name for place in said.unknown] == ["丙丁县"]


def test_a_second_import_creates_nothing(ctx: Context) -> None:
    take(ctx, MESSAGES)
    before = contents(ctx)
    again = take(ctx, MESSAGES)
    assert (again.created, again.skipped, len(again.errors)) == (0, 6, 2)
    assert contents(ctx) == before


def test_a_dry_run_says_what_would_happen_and_changes_nothing(ctx: Context) -> None:
    before = contents(ctx)
    would = take(ctx, MESSAGES, dry_run=True)
    assert contents(ctx) == before
    assert take(ctx, MESSAGES) == would
    assert (take(ctx, MESSAGES, dry_run=True).created, take(ctx, MESSAGES).created) == (0, 0)


def test_a_crash_in_the_middle_and_another_run_import_everything_once(ctx: Context) -> None:
    many = "编号,主题,内容\n" + "".join(f"{n},第{n}件,内容{n}\n" for n in range(2 * ROWS_AT_ONCE + 30))

    def crash(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(ctx, many, progress=crash)
    assert len(rows(ctx, t.topics)) == ROWS_AT_ONCE
    view = take(ctx, many)
    assert (view.created, view.skipped) == (ROWS_AT_ONCE + 30, ROWS_AT_ONCE)
    assert {row.external_id for row in rows(ctx, t.topics)} == {str(n) for n in range(2 * ROWS_AT_ONCE + 30)}
    assert len({row.number for row in rows(ctx, t.topics)}) == 2 * ROWS_AT_ONCE + 30
    assert verify(ctx).ok


def test_progress_reaches_its_end(ctx: Context) -> None:
    told: list[tuple[int, int]] = []
    take(ctx, MESSAGES, progress=lambda done, total: told.append((done, total)))
    assert told and told[-1][0] == told[-1][1] > 0


def test_columns_of_one_s_own_are_named_by_a_mapping(ctx: Context) -> None:
    own = "来信题名,来信正文,属何处\n修桥,请修清水县的桥,A3区\n"
    with pytest.raises(SheetError):
        take(ctx, own)
    view = take(ctx, own, mapping={"来信题名": "title", "来信正文": "text", "属何处": "areas"})
    assert view.created == 1
    topic = by_title(ctx)["修桥"]
    assert topic.areas == ["990102"]
    assert read.suggestion(ctx, topic.id).areas[0].field == "areas"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("1,题,文,123456,,", "areas"),
        ("1,题,文,,不存在的类别,", "category"),
        (f"1,{'长' * 301},文,,,", "title"),
        (f"{'1' * 121},题,文,,,", "external_id"),
        (f"1,题,{'长' * 100_001},,,", "text"),
    ],
)
def test_what_the_lists_do_not_know_is_an_error_of_its_row_alone(ctx: Context, row: str, field: str) -> None:
    view = take(ctx, f"编号,主题,内容,区划代码,类别,来源\n{row}\n2,好的,可以,990101,城乡建设,热线\n")
    assert [(error.row, error.field) for error in view.errors] == [(2, field)]
    assert view.created == 1
    good = by_title(ctx)["好的"]
    assert (good.areas, good.category, good.source) == (["990101"], "城乡建设", "热线")


def test_the_same_number_from_another_source_is_another_message(ctx: Context) -> None:
    sheet = "编号,主题,内容,来源\n1,甲,文,热线\n1,乙,文,信访\n1,丙,文,热线\n"
    view = take(ctx, sheet)
    assert (view.created, view.skipped) == (2, 1)
    assert set(by_title(ctx)) == {"甲", "乙"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_any_usual_encoding_gives_the_same_topics(ctx: Context, encoding: str) -> None:
    assert take(ctx, MESSAGES.encode(encoding)).created == 4
    assert take(ctx, MESSAGES).created == 0


def test_a_workbook_gives_the_same_topics_as_the_text(ctx: Context) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for line in ("编号 主题 内容", "1 清水县的桥 请修", "2 题 文"):
        sheet.append(line.split())
    for _ in range(60_000):
        sheet.append([None, None, None])
    content = io.BytesIO()
    book.save(content)
    view = take(ctx, content.getvalue(), "留言.xlsx")
    assert (view.created, view.skipped, view.errors) == (2, 0, [])
    assert take(ctx, "编号,主题,内容\n1,清水县的桥,请修\n2,题,文\n").skipped == 2


def test_what_is_no_sheet_is_refused(ctx: Context) -> None:
    before = contents(ctx)
    for raw in (b"", b"\x00" * 100, b"%PDF-1.4", "没有表头\n".encode()):
        with pytest.raises(SheetError):
            take(ctx, raw)
    assert contents(ctx) == before


def test_a_node_that_may_not_sign_imports_nothing(ctx: Context) -> None:
    with write(ctx) as batch:
        life.end(batch, "restored")
    with pytest.raises(Healing):
        take(ctx, MESSAGES)
    assert not rows(ctx, t.topics)


# ---- real messages, which are not part of the project ------------------------------------------------------------


@pytest.mark.slow
def test_real_messages_import_and_get_the_county_their_title_names(shared_data: Path, tmp_path: Path) -> None:
    table = (shared_data / "divisions-xidi.csv").read_bytes()
    plan = Plan("990000", "西地省政协", Tier.PROVINCE, "http://127.0.0.1:8000", True, table)
    ctx = init_node(Settings(data=tmp_path / "data", disk_reserve_bytes=0), Clock(), plan)
    for name, count in (("messages-replied.csv", 1900), ("messages-votes.csv", 3000)):
        raw = (shared_data / name).read_bytes()
        view = take(ctx, raw, name)
        assert (view.created, view.skipped, view.errors) == (count, 0, [])
        view = take(ctx, raw, name)
        assert (view.created, view.skipped, view.errors) == (0, count, [])
    counties = {
        cells[1]: cells[0]
        for line in table.decode("utf-8-sig").splitlines()
        if (cells := line.split(","))[2] == "county"
    }
    pattern = re.compile("|".join(sorted(map(re.escape, counties), key=len, reverse=True)))
    areas: dict[str, set[str]] = {}
    for row in rows(ctx, t.topic_areas, t.topic_areas.c.own):
        areas.setdefault(row.topic, set()).add(row.area)
    asked = held = 0
    for row in rows(ctx, t.topics):
        named = set(pattern.findall(row.title))
        if len(named) == 1:
            asked += 1
            held += counties[named.pop()] in areas.get(row.id, set())
    assert asked > 1000
    assert held >= 0.97 * asked, f"{held} of {asked}"
    assert verify(ctx).ok
    ctx.engine.dispose()
