"""Sheets as people have them: every encoding, format and untidiness, and none that harms."""

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.styles import Font

from node.domain import errors, sheet_xlsx
from node.domain.sheet import Fields, Row, Sheet, read_sheet
from node.domain.sheet_fields import field_of, tidy_line, tidy_text
from node.domain.sheet_times import read_time

HEADER = "编号,标题,内容,时间"


def opened(data: bytes, **options: object) -> Sheet:
    return read_sheet(io.BytesIO(data), "sheet", **options)  # type: ignore[arg-type]


def rows(data: bytes) -> list[Row]:
    with opened(data) as sheet:
        return list(sheet.rows())


def only(data: bytes) -> Fields:
    (row,) = rows(data)
    assert row.problems == ()
    return row.fields


def workbook(*lines: tuple[object, ...], change: Callable[[openpyxl.Workbook], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    for line in lines:
        book.active.append(line)
    if change:
        change(book)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# -- headings ---------------------------------------------------------------------------------------------------------

HEADINGS = {
    "the contest's headings": (
        "留言编号 留言用户 留言主题 留言时间 留言详情",
        "external_id name title submitted_at text",
    ),
    "replies": ("答复意见 答复时间 点赞数 反对数", "reply reply_at likes dislikes"),
    "an office's headings": ("案由 诉求内容 联系人 手机 来源", "title text name phone source"),
    "levels and places": ("一级分类 二级分类 三级分类 区划代码", "category1 category2 category3 areas"),
    "English field names": (
        "title Text external_id submitted_at category",
        "title text external_id submitted_at category",
    ),
    "stars, remarks and full width": ("*标题 内容（必填） 时间： ＩＤ", "title text submitted_at -"),
    "others are not known": ("备注 经办人 序", "- - -"),
}


@pytest.mark.parametrize("sentence", HEADINGS)
def test_field_of(sentence: str) -> None:
    headings, expected = HEADINGS[sentence]
    assert " ".join(field_of(heading) or "-" for heading in headings.split(" ")) == expected


def test_sheet_says_which_columns_it_took_and_which_not() -> None:
    with opened("标题,备注,标题,正文\nx,y,z,w".encode()) as sheet:
        assert [(column.index, column.field) for column in sheet.columns] == [(0, "title"), (3, "text")]
        assert sheet.ignored == ("备注", "标题")
        assert [row.fields.title for row in sheet.rows()] == ["x"]


def test_header_may_stand_below_a_heading_of_the_sheet() -> None:
    with opened("2024年来信汇总,,\n\n标题,内容,时间\n路灯不亮,晚上很黑,2024-05-01".encode()) as sheet:
        assert sheet.header_row == 3
        assert [(row.number, row.fields.title) for row in sheet.rows()] == [(4, "路灯不亮")]


def test_mapping_names_columns_this_program_does_not_know() -> None:
    with opened("大事,标题\n路灯不亮,不用这个".encode(), mapping={"大事": "title"}) as sheet:
        assert [row.fields.title for row in sheet.rows()] == ["路灯不亮"]


def test_mapping_to_an_unknown_field_is_refused_with_its_name() -> None:
    with pytest.raises(errors.SheetError, match="colour") as caught:
        opened("标题\nx".encode(), mapping={"颜色": "colour"})
    assert caught.value.field == "colour"


# -- text files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_encoding_and_delimiter(encoding: str, delimiter: str) -> None:
    text = f"{HEADER}\n7,路灯不亮,晚上很黑，请修,2019/4/25 9:32:09\n".replace(",", delimiter)
    fields = only(text.encode(encoding))
    assert (fields.external_id, fields.title, fields.text) == ("7", "路灯不亮", "晚上很黑，请修")
    assert fields.submitted_at == datetime(2019, 4, 25, 1, 32, 9, tzinfo=UTC)


def test_row_numbers_count_records_and_blank_rows_as_a_spreadsheet_does() -> None:
    text = f'{HEADER}\n1,甲,"一\n二\n三",\n\n , ,\u00a0,\n2,乙,丙,\n'
    assert [(row.number, row.fields.title) for row in rows(text.encode())] == [(2, "甲"), (5, "乙")]


def test_columns_beyond_the_header_and_short_rows_are_no_problem() -> None:
    assert [row.fields.title for row in rows("标题,内容\n甲\n乙,丙,丁\n".encode())] == ["甲", "乙"]


def test_damaged_utf8_is_not_taken_for_gb18030() -> None:
    with pytest.raises(errors.WrongEncoding, match="byte"):
        opened(f"{HEADER}\n1,{'路灯不亮' * 20},".encode() + b"\xff\xfe\n")


def test_endless_field_ends_the_reading_with_a_row_that_says_so() -> None:
    read = rows(f'{HEADER}\n1,甲,乙,\n2,"丙{"x" * 200_000}\n'.encode())
    assert [row.number for row in read] == [2, 3]
    assert read[1].problems[0].field == "row"


def test_progress_reaches_the_total() -> None:
    data = f"{HEADER}\n1,甲,乙,\n".encode()
    with opened(data) as sheet:
        list(sheet.rows())
        assert (sheet.done, sheet.total, sheet.unit) == (len(data), len(data), "bytes")


def test_file_by_path_and_stream_that_cannot_seek(tmp_path: Path) -> None:
    path = tmp_path / "信.csv"
    path.write_text(f"{HEADER}\n1,甲,乙,\n", encoding="utf-8")
    with read_sheet(path) as sheet:
        assert (sheet.name, [row.fields.title for row in sheet.rows()]) == ("信.csv", ["甲"])

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with read_sheet(Pipe(path.read_bytes())) as sheet:
        assert [row.fields.title for row in sheet.rows()] == ["甲"]


def test_refusing_the_sheet_leaves_the_callers_file_open() -> None:
    file = io.BytesIO(b"a,b\n1,2\n")
    with pytest.raises(errors.NoHeader):
        read_sheet(file)
    assert not file.closed


def test_closing_the_sheet_leaves_the_callers_file_open() -> None:
    file = io.BytesIO(f"{HEADER}\n1,甲,乙,\n".encode())
    with read_sheet(file):
        pass
    assert not file.closed


# -- cells ------------------------------------------------------------------------------------------------------------


def test_text_keeps_paragraphs_and_loses_odd_spaces() -> None:
    said = "\ufeff\n\t\t您好：\u3000\u3000一、路灯\u00a0\u00a0不亮。_x000D_\n"
    said += "\u3000\u3000二、\t请修 。\r\n\r\n\r\n\r\n谢谢\u200b\x07 \n"
    assert tidy_text(said) == "您好：\n一、路灯 不亮。\n\n二、 请修 。\n\n谢谢"
    assert tidy_line(" 路灯\n不亮\u3000\u00a0！ ") == "路灯 不亮 ！"


def test_row_without_text_has_its_title_as_text() -> None:
    assert only("标题,内容\n路灯不亮,\n".encode()).text == "路灯不亮"


def test_levels_of_a_category_become_one_path() -> None:
    head = "标题,一级分类,二级分类,三级分类"
    assert only(f"{head}\n甲,政法,诉讼,民事诉讼".encode()).category == "政法/诉讼/民事诉讼"
    assert only(f"{head}\n甲,政法,,民事诉讼".encode()).category == "政法"
    assert only("标题,类别\n甲,政法 / 诉讼".encode()).category == "政法/诉讼"


def test_codes_of_areas_are_parted_and_names_left_as_text() -> None:
    fields = only("标题,区划代码\n甲,620102、620123001\n".encode())
    assert (fields.areas, fields.area_text) == (("620102", "620123001"), "")
    fields = only("标题,地区\n甲,榆中县、皋兰县\n".encode())
    assert (fields.areas, fields.area_text) == ((), "榆中县、皋兰县")


PROBLEMS = {
    "no title": ("1,,乙,2019-04-25", "title", "缺标题 / the title is missing"),
    "a title too long": (f"1,{'长' * 301},乙,", "title", "超过300字"),
    "a text too long": (f"1,甲,{'长' * 100_001},", "text", "超过100000字"),
    "a number too long": (f"{'1' * 121},甲,乙,", "external_id", "超过120字"),
    "a time nobody can read": ("1,甲,乙,去年春天", "submitted_at", "去年春天"),
    "a day that does not exist": ("1,甲,乙,2019-02-30", "submitted_at", "2019-02-30"),
}


@pytest.mark.parametrize("sentence", PROBLEMS)
def test_problem_names_row_and_field(sentence: str) -> None:
    line, field, message = PROBLEMS[sentence]
    good, bad, after = rows(f"{HEADER}\n0,好,好,\n{line}\n2,好,好,\n".encode())
    assert (good.problems, after.problems) == ((), ())
    ((problem,)) = bad.problems
    assert (problem.row, problem.field) == (3, field)
    assert message in problem.message


def test_counts_are_whole_numbers() -> None:
    assert only('标题,点赞数,反对数\n甲,"1,234",0'.encode()).likes == 1234
    (row,) = rows("标题,点赞数\n甲,很多".encode())
    assert row.problems[0].field == "likes"


TIMES = {
    "slashes and no zeros": ("2019/4/25 9:32:09", (2019, 4, 25, 1, 32, 9)),
    "a day alone is its beginning": ("2019-04-25", (2019, 4, 24, 16, 0, 0)),
    "Chinese day": ("2019年4月25日", (2019, 4, 24, 16, 0, 0)),
    "Chinese day and clock": ("2019年4月25日 9时32分", (2019, 4, 25, 1, 32, 0)),
    "dots": ("2019.4.25 09:32", (2019, 4, 25, 1, 32, 0)),
    "eight digits": ("20190425", (2019, 4, 24, 16, 0, 0)),
    "afternoon": ("2019-4-25 下午 3:05", (2019, 4, 25, 7, 5, 0)),
    "weekday": ("2019-04-25 星期四 09:32", (2019, 4, 25, 1, 32, 0)),
    "full width": ("２０１９－０４－２５ ０９：３２", (2019, 4, 25, 1, 32, 0)),
    "RFC 3339 in UTC": ("2019-04-25T09:32:09Z", (2019, 4, 25, 9, 32, 9)),
    "RFC 3339 with an offset": ("2019-04-25T09:32:09.123+09:00", (2019, 4, 25, 0, 32, 9)),
    "a spreadsheet's number": ("43580.397", (2019, 4, 25, 1, 31, 41)),
    "a spreadsheet's number as such": (43580.5, (2019, 4, 25, 4, 0, 0)),
    "a spreadsheet's instant": (datetime(2019, 4, 25, 9, 32, 9), (2019, 4, 25, 1, 32, 9)),
    "a spreadsheet's day": (date(2019, 4, 25), (2019, 4, 24, 16, 0, 0)),
    "the month before the day is not guessed": ("4/25/2019", None),
    "a year of two digits is not guessed": ("19-04-25", None),
    "an hour that does not exist": ("2019-04-25 25:00", None),
    "something behind it": ("2019-04-25 前后", None),
    "a year out of bounds": ("0019-04-25", None),
    "no time": (True, None),
}


@pytest.mark.parametrize("sentence", TIMES)
def test_read_time(sentence: str) -> None:
    said, expected = TIMES[sentence]
    assert read_time(said) == (datetime(*expected, tzinfo=UTC) if expected else None)


@given(st.datetimes(datetime(1950, 1, 1), datetime(2099, 12, 31)))
def test_every_way_to_write_an_instant_reads_as_the_same(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    expected = moment.replace(tzinfo=timezone(timedelta(hours=8))).astimezone(UTC)
    written = [
        f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment.minute:02}:{moment.second:02}",
        f"{moment.year}年{moment.month}月{moment.day}日{moment.hour}时{moment.minute}分{moment.second}秒",
        moment.isoformat(" "),
        moment.isoformat() + "+08:00",
    ]
    assert {read_time(text) for text in written} == {expected}


# -- workbooks --------------------------------------------------------------------------------------------------------


def test_workbook_gives_values_whatever_its_file_is_called() -> None:
    data = workbook(
        ("编号", "标题", "内容", "时间", "点赞数"),
        (7, "路灯不亮", "一\n\n二", datetime(2019, 4, 25, 9, 32, 9), 3),
        (8.0, "水压不足", None, "2019年4月25日", None),
    )
    one, two = rows(data)
    assert one == Row(
        2,
        Fields(
            external_id="7",
            title="路灯不亮",
            text="一\n\n二",
            submitted_at=datetime(2019, 4, 25, 1, 32, 9, tzinfo=UTC),
            likes=3,
        ),
    )
    assert (two.number, two.fields.external_id, two.fields.text) == (3, "8", "水压不足")


def test_formula_cell_is_read_as_its_value() -> None:
    data = workbook(("标题", "内容"), ("甲", "=1+1"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/worksheets/sheet1.xml"] = (
        parts["xl/worksheets/sheet1.xml"].replace(b"<v></v>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>")
    )
    assert only(zipped(parts)).text == "2"


def test_header_is_looked_for_in_every_worksheet() -> None:
    def add(book: openpyxl.Workbook) -> None:
        sheet = book.create_sheet("来信")
        sheet.append(("标题", "内容"))
        sheet.append(("甲", "乙"))

    assert only(workbook(("说明",), ("请填第二页",), change=add)).title == "甲"


def test_sixty_thousand_empty_rows_at_the_end_are_passed_over() -> None:
    def style(book: openpyxl.Workbook) -> None:
        for number in range(3, 60_003):
            book.active.cell(number, 1).font = Font(bold=True)

    with opened(workbook(("标题", "内容"), ("甲", "乙"), change=style)) as sheet:
        read = list(sheet.rows())
        assert [(row.number, row.problems) for row in read] == [(2, ())]
        assert (sheet.done, sheet.total, sheet.unit) == (60_002, 60_002, "rows")


def test_row_number_beyond_all_sheets_does_not_keep_the_reader() -> None:
    parts = unzipped(workbook(("标题", "内容"), ("甲", "乙")))
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'<row r="2"', b'<row r="2000000000"')
    assert rows(zipped(parts)) == []


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def with_part(name: str, content: bytes) -> bytes:
    return zipped({**unzipped(workbook(("标题", "内容"), ("甲", "乙"))), name: content})


ENTITIES = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><sst>&b;</sst>'


def encrypted() -> bytes:
    data = bytearray(workbook(("标题",), ("甲",)))
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


REFUSED: dict[str, tuple[Callable[[], bytes], type[errors.SheetError], str]] = {
    "an empty file": (lambda: b"", errors.EmptySheet, ""),
    "nothing but spaces": (lambda: b" \n\r\n ", errors.EmptySheet, ""),
    "an empty workbook": (lambda: workbook(), errors.EmptySheet, ""),
    "no heading that is known": (lambda: b"a,b\n1,2\n", errors.NoHeader, ""),
    "a workbook without a heading that is known": (lambda: workbook(("a",), (1,)), errors.NoHeader, ""),
    "a text but no title": (lambda: "内容\n乙\n".encode(), errors.NoHeader, ""),
    "an old workbook": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), errors.UnknownFormat, "xlsx"),
    "a PDF": (lambda: b"%PDF-1.7\n", errors.UnknownFormat, "PDF"),
    "binary data": (lambda: b"\x01\x00\x02\x00" * 100, errors.UnknownFormat, "binary"),
    "a zip archive that is none": (lambda: b"PK\x03\x04" + bytes(100), errors.UnknownFormat, "archive"),
    "another zip archive": (lambda: zipped({"a.txt": b"x"}), errors.UnknownFormat, "no workbook"),
    "a workbook in pieces": (lambda: zipped({"[Content_Types].xml": b"<x"}), errors.UnknownFormat, "workbook"),
    "neither encoding": (lambda: "标题\n".encode() + b"\xff\xff\xff\n", errors.WrongEncoding, "byte"),
    "a password": (encrypted, errors.UnsafeWorkbook, "password"),
    "a thousand parts": (
        lambda: zipped({"[Content_Types].xml": b"<x/>"} | {f"{number}.bin": b"" for number in range(1001)}),
        errors.UnsafeWorkbook,
        "parts",
    ),
    "an archive that unpacks to a thousand times its size": (
        lambda: with_part("xl/media/image1.png", bytes(40 << 20)),
        errors.UnsafeWorkbook,
        "times",
    ),
    "declared entities": (
        lambda: with_part("xl/sharedStrings.xml", ENTITIES.encode()),
        errors.UnsafeWorkbook,
        "document type",
    ),
    "declared entities in another encoding": (
        lambda: with_part(
            "xl/sharedStrings.xml", ('<?xml version="1.0" encoding="utf-16"?>' + ENTITIES).encode("utf-16")
        ),
        errors.UnsafeWorkbook,
        "document type",
    ),
    "declared entities behind a long comment": (
        lambda: with_part("xl/styles.xml", b"<!--" + bytes(range(33, 44)) * 200_000 + b"-->" + ENTITIES.encode()),
        errors.UnsafeWorkbook,
        "styles",
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence: str) -> None:
    build, error, message = REFUSED[sentence]
    with pytest.raises(error, match=message or None):
        opened(build())


def test_workbook_that_unpacks_to_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_xlsx, "UNPACKED_BYTES_MAX", 1000)
    with pytest.raises(errors.UnsafeWorkbook, match="MiB unpacked"):
        opened(workbook(("标题",), ("甲",)))


def test_rows_before_the_damage_are_read_and_the_last_one_tells_of_it() -> None:
    parts = unzipped(workbook(("标题",), *[(f"第{number}件事",) for number in range(2, 3002)]))
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b'<row r="2900"', b'<row r="2900" <')
    read = rows(zipped(parts))
    assert 1000 < len(read) < 2900
    assert [row.number for row in read] == list(range(2, len(read) + 2))
    assert [row.number for row in read if row.problems] == [read[-1].number]
    assert read[-1].problems[0].field == "row"


# -- anything ---------------------------------------------------------------------------------------------------------

BOOK = workbook(("标题", "内容", "时间"), ("甲", "乙", datetime(2019, 4, 25, 9)), ("丙", None, "2019-04-25"))


def read_all(data: bytes) -> None:
    try:
        sheet = opened(data)
    except errors.SheetError:
        return
    with sheet:
        for row in sheet.rows():
            assert row.number > sheet.header_row
            assert bool(row.fields.title) or row.problems


@given(st.binary(max_size=400))
def test_random_bytes_never_crash_the_reader(data: bytes) -> None:
    read_all(data)


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "gb18030", "utf-16"]))
def test_random_bytes_below_a_header_never_crash_the_reader(data: bytes, encoding: str) -> None:
    read_all(f"{HEADER}\n".encode(encoding) + data)


@given(st.integers(0, len(BOOK) - 1), st.integers(0, 255), st.integers(1, 40))
def test_damaged_workbook_never_crashes_the_reader(at: int, byte: int, length: int) -> None:
    read_all(BOOK[:at] + bytes([byte] * length) + BOOK[at + length :])
    read_all(BOOK[:at])


CELLS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30).map(tidy_line)


@given(st.lists(st.tuples(CELLS.filter(bool), CELLS), max_size=6))
def test_what_is_written_is_read_back_from_csv_and_xlsx(lines: list[tuple[str, str]]) -> None:
    text = "\n".join(["标题,内容", *(",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines)])
    expected = [(title, tidy_text(text) or title) for title, text in lines]
    assert [(row.fields.title, row.fields.text) for row in rows(text.encode())] == expected
