"""Topics in the browser: opened, screened, looked at, handed on; nothing happens before it was shown and confirmed."""

import io
from typing import Any

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from node.service.sheets import workbook
from node.store import tables as t
from schemas.ids import Tier
from tests import nodes
from tests.edge.office import Office
from tests.web.browser import Browser, Page

TEXT = {"reason": "两县都有", "tried": "已协调三次", "override_reason": "群众要求"}


@pytest.fixture(scope="module")
def county(office: Office, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The code of a node below the office."""
    made = nodes.join(office.ctx, nodes.make(tmp_path_factory.mktemp("county"), "620102", Tier.COUNTY))
    made.engine.dispose()
    return made.identity.code


def path(topic: dict[str, Any], verb: str = "") -> str:
    return f"/topics/{topic['id']}" + (f"/{verb}" if verb else "")


def state(office: Office, topic: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = office.get(path(topic)).json()
    return found


def look(clerk: Browser, topic: dict[str, Any], verb: str, **filled: str) -> Page:
    """The page that shows what the verb would do."""
    response = clerk.send(path(topic, verb), path(topic, verb), {"stage": "look"}, **filled)
    assert response.status_code == 200, Page(response.text).text
    return Page(response.text)


def test_escalation_is_shown_first_and_has_changed_nothing(office: Office, clerk: Browser):
    topic = office.open(submitter={"name": "张三", "phone": "13900000000"})
    page = look(clerk, topic, "escalate", **TEXT)
    assert "现在还什么都没有发生" in page.text
    assert "两县都有" in page.text
    assert "620000政协" in page.text
    assert state(office, topic) == topic


def test_preview_says_what_leaves_and_what_stays(office: Office, clerk: Browser, county: str):
    topic = office.open(submitter={"name": "张三", "phone": "13900000000"})
    text = look(clerk, topic, "delegate", to=county, instruction="请办", override_reason="就近").text
    leaving = "".join(text[text.index("将要离开本节点的内容") :].split())
    assert f"→{county}政协下级" in leaving
    assert "以前的全部办理过程1条" in leaving
    assert "内容（24B）：全文发送" in leaving
    assert "不出本节点，只发摘要" in leaving[leaving.index("反映人信息") :]
    assert "张三" not in text
    assert "13900000000" not in text


def test_confirmed_escalation_is_done_once_however_often_it_is_sent(office: Office, clerk: Browser):
    topic = office.open()
    form = look(clerk, topic, "escalate", **TEXT).form(path(topic, "escalate"))
    first, second = (clerk.submit(form, {"stage": "do"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    after = state(office, topic)
    assert (after["status"], after["offer"]["to"], after["seq"]) == ("offered", "620000", topic["seq"] + 1)
    assert "已交上级" in clerk.read(first.headers["location"]).text


def test_going_back_from_the_preview_keeps_every_word(office: Office, clerk: Browser):
    topic = office.open()
    form = look(clerk, topic, "escalate", **TEXT, opinion="建议市里统一").form(path(topic, "escalate"))
    again = Page(clerk.submit(form, {"stage": "edit"}).text).form(path(topic, "escalate"))
    assert {name: again.fields[name] for name in (*TEXT, "opinion")} == {
        **{name: [value] for name, value in TEXT.items()},
        "opinion": ["建议市里统一"],
    }


def test_refused_verb_keeps_the_form_and_says_why(office: Office, clerk: Browser):
    topic = office.open()
    clerk.submit(look(clerk, topic, "escalate", **TEXT).form(path(topic, "escalate")), {"stage": "do"})
    response = clerk.send(path(topic, "note"), path(topic, "note"), {"stage": "look"}, text="再补一条")
    page = Page(response.text)
    assert response.status_code == 422
    assert "议题正待对方签收" in page.text
    assert page.form(path(topic, "note")).fields["text"] == ["再补一条"]


def test_choice_against_the_suggestion_asks_for_its_reason_at_the_field(office: Office, clerk: Browser):
    topic = office.open()
    given = {**TEXT, "override_reason": ""}
    response = clerk.send(path(topic, "escalate"), path(topic, "escalate"), {"stage": "look"}, **given)
    page = Page(response.text)
    wrong = [attrs for tag, attrs in page.elements if attrs.get("aria-invalid") == "true"]
    assert response.status_code == 422
    assert [attrs["name"] for attrs in wrong] == ["override_reason"]


@pytest.mark.parametrize("missing", ["reason", "tried"])
def test_empty_field_is_marked_in_the_readers_language(office: Office, clerk: Browser, missing: str):
    topic = office.open()
    response = clerk.send(path(topic, "escalate"), path(topic, "escalate"), {"stage": "look"}, **{**TEXT, missing: " "})
    assert response.status_code == 422
    assert "请填写" in Page(response.text).text
    assert state(office, topic)["status"] == "active"


def test_delegation_carries_its_day_to_the_end_of_that_day_in_china(office: Office, clerk: Browser, county: str):
    topic = office.open()
    filled = {"to": county, "instruction": "请办", "due_at": "2030-05-01", "override_reason": "就近"}
    form = look(clerk, topic, "delegate", **filled).form(path(topic, "delegate"))
    clerk.submit(form, {"stage": "do"})
    assert state(office, topic)["offer"]["due_at"] == "2030-05-01T15:59:59Z"


def test_split_takes_the_rows_that_name_a_node(office: Office, clerk: Browser, county: str):
    topic = office.open()
    rows = {"to-0": county, "title-0": "城关区承办", "instruction-0": "请办", "to-1": ""}
    more = Page(clerk.send(path(topic, "split"), path(topic, "split"), {"stage": "more"}, **rows).text)
    assert "to-2" in {attrs.get("name") for tag, attrs in more.elements if tag == "select"}
    form = look(clerk, topic, "split", **rows).form(path(topic, "split"))
    clerk.submit(form, {"stage": "do"})
    assert len(state(office, topic)["children"]) == 1


def test_step_note_result_and_close_bring_a_topic_to_its_end(office: Office, clerk: Browser):
    topic = office.open()
    for step in ("decide", "research", "consult", "implement"):
        form = look(clerk, topic, "step", text=f"{step} 的成果", override_reason="本级办").form(path(topic, "step"))
        assert form.fields["step"] == [step]
        clerk.submit(form, {"stage": "do"})
    clerk.send(path(topic, "note"), path(topic, "note"), {"stage": "look"}, text="回访一次")
    for verb, filled in (("result", {"outcome": "A", "text": "已修好"}), ("step", {"text": "已告知"}), ("close", {})):
        clerk.submit(look(clerk, topic, verb, **filled).form(path(topic, verb)), {"stage": "do"})
    assert (state(office, topic)["status"], state(office, topic)["outcome"]) == ("closed", "A")
    page = clerk.read(path(topic))
    assert "research 的成果" in page.text
    assert "回访一次" in page.text
    assert "A 解决或采纳" in page.text


def test_admin_reads_a_topic_and_is_offered_no_verb(office: Office):
    topic = office.open()
    admin = Browser(office.ctx).sign_in("王强")
    links = {attrs.get("href") for tag, attrs in admin.read(path(topic)).elements if tag == "a"}
    assert path(topic, "escalate") not in links
    response = admin.send(path(topic, "note"), path(topic, "note"), {"stage": "look"}, text="试试")
    assert response.status_code == 403


def test_topic_page_draws_the_custody_trail(office: Office, clerk: Browser):
    topic = office.open()
    clerk.submit(look(clerk, topic, "escalate", **TEXT).form(path(topic, "escalate")), {"stage": "do"})
    drawn = [attrs.get("class") for tag, attrs in clerk.read(path(topic)).elements if tag == "circle"]
    assert drawn == ["stay now", "stay offered"]


def test_statement_is_given_out_exactly_as_it_was_signed(office: Office, clerk: Browser):
    topic = office.open()
    response = clerk.get(path(topic, f"statements/{topic['head']}"))
    with office.ctx.engine.connect() as conn:
        raw = conn.execute(select(t.statements.c.raw).where(t.statements.c.id == topic["head"])).scalar_one()
    assert response.content == raw
    assert response.headers["content-disposition"].startswith("attachment;")
    assert clerk.get(path(topic, f"statements/{'0' * 64}")).status_code == 404


def test_part_is_a_download_and_only_of_its_own_topic(office: Office, clerk: Browser):
    topic, other = office.open(), office.open()
    digest = office.get(f"{path(topic)}/entries").json()["items"][0]["parts"][0]["digest"]
    response = clerk.get(path(topic, f"parts/{digest}"))
    assert response.text == topic["text"]
    assert response.headers["content-disposition"].startswith("attachment;")
    assert clerk.get(path(other, f"parts/{digest}")).status_code == 404


def test_who_raised_a_matter_is_for_those_who_work_on_it_alone(office: Office, clerk: Browser):
    topic = office.open(submitter={"name": "赵四", "phone": "13900000001"})
    admin = Browser(office.ctx).sign_in("王强")
    assert "13900000001" in clerk.read(path(topic)).text
    assert "13900000001" not in admin.read(path(topic)).text
    parts = office.get(f"{path(topic)}/entries").json()["items"][0]["parts"]
    digest = next(part["digest"] for part in parts if part["share"] == "local")
    assert clerk.get(path(topic, f"parts/{digest}")).status_code == 200
    assert admin.get(path(topic, f"parts/{digest}")).status_code == 403


def test_list_is_filtered_and_says_what_of_a_filter_is_wrong(office: Office, clerk: Browser):
    office.open(title="独一无二的路灯问题")
    found = clerk.read("/topics?q=独一无二")
    assert "独一无二的路灯问题" in found.text
    assert "老旧小区加装电梯" not in found.text
    wrong = clerk.get("/topics?area=abc")
    assert wrong.status_code == 200
    assert "格式不对" in wrong.text


def test_list_as_workbook_holds_text_and_no_formulas(office: Office, clerk: Browser):
    office.open(title="=1+1 的公式问题")
    response = clerk.get("/topics.xlsx?q=公式问题")
    sheet = load_workbook(io.BytesIO(response.content)).active
    cells = [cell for row in sheet.iter_rows(min_row=2) for cell in row]
    assert "=1+1 的公式问题" in [cell.value for cell in cells]
    assert {cell.data_type for cell in cells} <= {"s", "d", "n"}
    assert response.headers["content-disposition"] == 'attachment; filename="topics.xlsx"'


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "http://evil.example"])
def test_cell_that_looks_like_a_formula_or_a_link_is_text(text: str):
    cell = load_workbook(io.BytesIO(workbook(["列"], [[text]]))).active["A2"]
    assert (cell.value.strip(), cell.data_type, cell.hyperlink) == (text.strip(), "s", None)


def test_proof_that_cannot_be_made_any_more_is_told_on_the_topic_page(office: Office, clerk: Browser):
    topic = office.open()
    answer = clerk.get(path(topic, f"receipts/{'0' * 64}"))
    assert answer.status_code == 303
    assert "备份以后写的不能再出凭证" in clerk.read(answer.headers["location"]).text
