"""New matters in the browser: written down, imported, their places and categories found by typing."""

from typing import Any

import pytest

from node.service import drafts
from node.service.commit import write
from node.service.users import add_user
from node.web import intake
from schemas.api import ImportView
from schemas.drafts import MatterForm, RefuseForm
from tests.edge.office import PASSWORD, Office
from tests.web.browser import Browser, Page, problems_of_markup

MATTER = {"title": "雁滩公园门口积水严重", "text": "每逢下雨积水半尺。", "areas": "城关区 620103"}
SHEET = "标题,内容,时间\n井盖丢失,中山路井盖不见了。,2026-01-02 10:00\n,没有标题,2026-01-02\n"


def topics(office: Office, words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = office.get("/topics", params={"q": words}).json()["items"]
    return found


def test_matter_is_opened_with_the_places_its_names_mean(office: Office, clerk: Browser):
    response = clerk.send("/intake", "/intake", name="张三", phone="13900000000", source="hotline", **MATTER)
    assert response.status_code == 303
    page = clerk.read(response.headers["location"])
    assert "由哪一级办理" in page.text
    (topic,) = topics(office, MATTER["title"])
    assert (topic["areas"], topic["source"]) == (["620102", "620103"], "hotline")


def test_matter_like_one_that_is_here_is_shown_it_first_and_opened_on_insisting(office: Office, clerk: Browser):
    office.open(title="金昌路人行道地砖松动", areas=["620102"])
    filled = {**MATTER, "title": "金昌路人行道地砖松动了", "areas": "620102"}
    response = clerk.send("/intake", "/intake", **filled)
    page = Page(response.text)
    assert "可能已经有人反映过" in page.text
    assert len(topics(office, "金昌路")) == 1
    clerk.submit(page.form("/intake"))
    assert len(topics(office, "金昌路")) == 2


def test_place_nobody_knows_is_said_at_its_field_and_nothing_is_lost(office: Office, clerk: Browser):
    response = clerk.send("/intake", "/intake", **{**MATTER, "areas": "城关区 乌有之乡"})
    page = Page(response.text)
    form = page.form("/intake")
    assert response.status_code == 422
    assert "不清楚是哪里：乌有之乡" in page.text
    assert form.fields["areas"] == ["620102", "乌有之乡"]
    assert form.fields["text"] == [MATTER["text"]]


@pytest.mark.parametrize(("title", "said"), [(" ", "请填写"), ("长" * 500, "太长，最多")])
def test_title_that_is_missing_or_too_long_is_told_as_a_text(clerk: Browser, title: str, said: str):
    response = clerk.send("/intake", "/intake", **{**MATTER, "title": title})
    text = Page(response.text).text
    assert response.status_code == 422
    assert said in text
    assert "至少选一项" not in text


def test_category_no_list_knows_is_said_at_its_field(clerk: Browser):
    response = clerk.send("/intake", "/intake", **MATTER, category="没有/这类", seen="1")
    assert response.status_code == 422
    assert any(
        attrs.get("name") == "category" and attrs.get("aria-invalid") for _, attrs in Page(response.text).elements
    )


def test_intake_sent_twice_opens_one_topic(office: Office, clerk: Browser):
    form = clerk.read("/intake").form("/intake")
    for _ in range(2):
        clerk.submit(form, title="重复按了两次的按钮", text="手抖了。", areas="")
    assert len(topics(office, "重复按了两次的按钮")) == 1


def test_import_looks_first_then_imports_and_names_the_rows(office: Office, clerk: Browser):
    for stage, word, count in (("look", "还没有导入", 0), ("do", "导入完成", 1)):
        form = clerk.read("/import").form("/import")
        response = clerk.submit(form, {"stage": stage}, files={"file": ("留言.csv", SHEET.encode(), "text/csv")})
        page = Page(response.text)
        assert response.status_code == 200
        assert word in page.text
        rows = [attrs for tag, attrs in page.elements if tag == "td" and attrs.get("class") == "number"]
        assert len(rows) == 1
        assert len(topics(office, "井盖丢失")) == count


def test_import_says_how_far_it_is_to_who_started_it_alone(
    office: Office, clerk: Browser, monkeypatch: pytest.MonkeyPatch
):
    seen: list[Any] = []
    form = clerk.read("/import").form("/import")
    (watch,) = form.fields["watch"]

    def slow(*args: Any, progress: Any, **options: Any) -> ImportView:
        progress(3, 10)
        for name in ("李丹", "王芳"):
            other = Browser(office.ctx).sign_in(name)
            seen.append(other.get(f"/import/progress?watch={watch}").json()["share"])
        return ImportView(created=0, skipped=0, errors=[])

    add_user(office.ctx, "王芳", PASSWORD, ["clerk"])
    monkeypatch.setattr(intake, "import_topics", slow)
    assert clerk.submit(form, {"stage": "do"}, files={"file": ("留言.csv", SHEET.encode())}).status_code == 200
    assert seen == [0.3, None]
    assert clerk.get(f"/import/progress?watch={watch}").json() == {"share": None}


def test_import_of_no_table_says_so(clerk: Browser):
    form = clerk.read("/import").form("/import")
    response = clerk.submit(form, {"stage": "look"}, files={"file": ("x.csv", "甲,乙\n1,2\n".encode(), "text/csv")})
    assert response.status_code == 422
    assert "找不到“标题”列" in response.text


def test_import_without_a_file_says_so(clerk: Browser):
    response = clerk.send("/import", "/import", {"stage": "look"})
    assert response.status_code == 422
    assert "请选择文件" in response.text


def test_places_are_found_by_name_and_by_tree(clerk: Browser):
    typed = Page(clerk.get("/pick/places?areas=七里河", **{"hx-request": "true"}).text)
    values = [attrs.get("data-value") for tag, attrs in typed.elements if tag == "button"]
    assert values[0] == "620103"
    below = Page(clerk.get("/pick/places?below=620100", **{"hx-request": "true"}).text)
    values = [attrs.get("data-value") for tag, attrs in below.elements if tag == "button"]
    assert {"620100", "620102", "620103"} <= set(values)


def test_categories_are_found_by_words(clerk: Browser):
    found = Page(clerk.get("/pick/categories?category=物业", **{"hx-request": "true"}).text)
    values = [attrs["data-value"] for tag, attrs in found.elements if tag == "button"]
    assert values
    assert all("物业" in (value or "") for value in values)


def test_today_tells_of_what_citizens_sent_until_it_is_decided(office: Office, clerk: Browser):
    assert "来自巷口的来件" not in clerk.read("/").text
    with write(office.ctx) as batch:
        kept = drafts.keep(batch, MatterForm(text="来自巷口的来件"), drafts.CITIZEN)
    page = clerk.read("/")
    assert "来自巷口的来件" in page.text
    assert problems_of_markup(page) == []
    assert ("a", {"href": f"/drafts/{kept.id}"}) in page.elements
    with write(office.ctx) as batch:
        drafts.refuse(batch, kept.id, RefuseForm(reason="已有人反映"))
    assert "来自巷口的来件" not in clerk.read("/").text
