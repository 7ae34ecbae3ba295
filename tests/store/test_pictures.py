"""Pictures: names that are told apart, words for whoever does not see them, places that stand by their city."""

import pytest

from node.service.pictures import GROUPED_FROM, Picture, Remembered, of_areas, of_months
from schemas.aggregate import By, Figures, FiguresView, Measures, Rates


def view(by: By, *rows: tuple[str, str, int, int]) -> FiguresView:
    """Rows of key, label, count and how many are late."""
    made = [_figures(key, label, count, late) for key, label, count, late in rows]
    return FiguresView(by=by, rows=made, total=_figures("", "合计", sum(row[2] for row in rows), 0))


def _figures(key: str, label: str, count: int, late: int) -> Figures:
    sums = Measures(**dict.fromkeys(Measures.model_fields, 0) | {"count": count, "overdue": late})
    return Figures(
        key=key, label=label, sums=sums, rates=Rates(**dict.fromkeys(Rates.model_fields)), before=None, topics=""
    )


def test_places_of_one_name_are_told_apart_by_their_codes():
    made = of_areas(
        view("area", ("620102", "城关区", 2, 0), ("540102", "城关区", 1, 0), ("", "未注明", 1, 0)), "zh", str
    )
    assert [bar.label for bar in made.bars] == ["城关区 620102", "城关区 540102", "未注明地方"]


def test_many_places_stand_together_by_city_and_few_do_not():
    rows = [(f"6201{n:02d}" if n % 2 else f"6205{n:02d}", f"区{n}", 1, 0) for n in range(1, GROUPED_FROM + 1)]
    named = {"620100": "兰州市", "620500": "天水市"}
    many = of_areas(view("area", *rows), "zh", named.__getitem__)
    assert {bar.group for bar in many.bars} == {"兰州市", "天水市"}
    assert {bar.group for bar in of_areas(view("area", *rows[:-1]), "zh", named.__getitem__).bars} == {""}


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        ("zh", "各地议题，共 10 件：城关区 5（逾期 2）、红古区 3、安宁区 1，等 4 项"),
        ("en", "Topics by place, 10 in all: 城关区 5 (2 overdue), 红古区 3, 安宁区 1, and others, 4 in all"),
    ],
)
def test_gist_names_the_first_rows_and_how_many_there_are(lang, said: str):
    rows = [
        ("620102", "城关区", 5, 2),
        ("620111", "红古区", 3, 0),
        ("620105", "安宁区", 1, 0),
        ("620121", "永登县", 1, 0),
    ]
    assert of_areas(view("area", *rows), lang, str).gist == said


def test_gist_of_months_begins_with_the_latest():
    assert (
        ": 2026-11 2, 2026-10 1"
        in of_months(view("month", ("2026-10", "2026-10", 1, 0), ("2026-11", "2026-11", 2, 0)), "en").gist
    )


def test_picture_is_remembered_by_its_mark_and_its_name_alone():
    known = Remembered()
    made = of_months(view("month", ("2026-10", "2026-10", 1, 0)), "zh")
    known.keep([made])
    assert known.recall("months", made.mark) == made
    assert known.recall("areas", made.mark) is None
    assert known.recall("months", "0" * 16) is None


def test_mark_tells_pictures_apart_that_show_different_numbers_or_words():
    rows = [("2026-10", "2026-10", 1, 0)]
    marks = {of_months(view("month", *rows), lang).mark for lang in ("zh", "en")}
    marks.add(of_months(view("month", ("2026-10", "2026-10", 2, 0)), "zh").mark)
    assert len(marks) == 3
    assert Picture("months", (), 0, "zh").mark not in marks
