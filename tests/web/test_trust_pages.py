"""Trust at the console: what is shown to whom, claims of two persons, waiving, lifting, orphans by name."""

from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from node.service import decide, delegate, exchange, healing, life, upkeep
from node.service.claims import OVER
from node.service.commit import write
from node.service.users import add_user
from node.store import tables as t
from node.store.engine import reading, writing
from schemas import api
from schemas.ids import Tier
from sync.errors import TransportError
from tests import nodes
from tests.edge.office import PASSWORD, Office, make_office
from tests.web.browser import Browser, Page, problems_of_markup

COUNTY = "620102"
REASON = "县级机房失火"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A city with a second admin, and below it a county that holds a topic the city delegated."""
    folder = tmp_path_factory.mktemp("trust")
    office = make_office(folder)
    county = nodes.join(office.ctx, nodes.make(folder, COUNTY, Tier.COUNTY))
    topic = office.open()["id"]
    form = api.DelegateForm(to=COUNTY, instruction="请办", override_reason="专题")
    nodes.do(office.ctx, delegate.delegate, topic, form)
    lane = nodes.lane(county, office.ctx)
    nodes.settle([lane], [county])
    nodes.do(county, decide.accept, topic, api.AcceptForm())
    nodes.settle([lane], [county])
    add_user(office.ctx, "赵敏", PASSWORD, ["admin"])
    return office


@pytest.fixture
def admin(office: Office) -> Browser:
    return Browser(office.ctx).sign_in("王强")


@pytest.fixture
def second(office: Office) -> Browser:
    return Browser(office.ctx).sign_in("赵敏")


def claims_of(office: Office) -> list[tuple[str, str]]:
    with reading(office.ctx.engine) as conn:
        return [(row.id, row.state) for row in conn.execute(select(t.claims.c.id, t.claims.c.state))]


def asked(office: Office, admin: Browser) -> str:
    """The id of a claim that was asked for, through the step that shows it first."""
    before = dict(claims_of(office))
    shown = admin.send("/trust", "/trust/claims", node=COUNTY, reason=REASON)
    assert shown.status_code == 200
    assert dict(claims_of(office)) == before, "the first sending only asks"
    form = Page(shown.text).form("/trust/claims")
    assert admin.submit(form, {"stage": "do"}).status_code == 303
    (id,) = dict(claims_of(office)).keys() - before.keys()
    return id


@pytest.mark.parametrize(("lang", "word"), [("zh", "已入网节点"), ("en", "Enrolled nodes")])
@pytest.mark.parametrize("name", ["李丹", "王强"])
def test_trust_shows_every_node_with_its_key_and_forms_to_admins_alone(office: Office, name: str, lang: str, word: str):
    page = Browser(office.ctx).sign_in(name).speak(lang).read("/trust")
    assert problems_of_markup(page) == []
    assert word in page.text
    for code in ("620000", "620100", COUNTY):
        assert code in page.text
    assert office.ctx.identity.signer.kid in page.text
    assert ("/trust/claims" in {form.action for form in page.forms}) is (name == "王强")


def test_claim_by_one_person_is_refused_and_by_a_second_approved(office: Office, admin: Browser, second: Browser):
    id = asked(office, admin)
    path = f"/trust/claims/{id}/approve"
    assert path not in {form.action for form in admin.read("/trust").forms}
    own = second.read("/trust").form(path)
    mine = {"csrf": admin.read("/trust").form("/trust/claims").fields["csrf"], "stage": "do"}
    assert admin.client.post(path, data=mine, headers={"accept": "text/html"}).status_code == 403
    assert dict(claims_of(office))[id] == "needs_approval"
    shown = second.submit(own)
    assert dict(claims_of(office))[id] == "needs_approval"
    assert second.submit(Page(shown.text).form(path), {"stage": "do"}).status_code == 303
    assert dict(claims_of(office))[id] == "asking"


def test_claim_is_refused_with_a_reason_and_never_without(office: Office, admin: Browser, second: Browser):
    id = asked(office, admin)
    path = f"/trust/claims/{id}/refuse"
    assert second.send("/trust", path, reason="").status_code == 422
    assert dict(claims_of(office))[id] == "needs_approval"
    assert second.send("/trust", path, reason="县里明天恢复").status_code == 303
    assert dict(claims_of(office))[id] == "refused"
    assert "县里明天恢复" in second.read("/trust").text


def test_claim_of_a_node_and_of_topics_at_once_changes_nothing(office: Office, admin: Browser):
    before = claims_of(office)
    form = admin.read("/trust").form("/trust/claims")
    both = admin.submit(form, {"stage": "do"}, node=COUNTY, topics="0" * 64, reason=REASON)
    assert both.status_code == 422
    assert claims_of(office) == before


def test_topics_are_claimed_by_the_numbers_people_know(office: Office, admin: Browser):
    (held,) = [item for item in office.get("/topics").json()["items"] if item["custodian"] == COUNTY]
    before = dict(claims_of(office))
    form = admin.read("/trust").form("/trust/claims")
    wrong = admin.submit(form, {"stage": "do"}, topics="620100-2026-999999", reason=REASON)
    assert wrong.status_code == 422
    assert "本节点没有这件议题" in wrong.text
    assert dict(claims_of(office)) == before
    assert admin.submit(form, {"stage": "do"}, topics=held["number"], reason=REASON).status_code == 303
    assert len(claims_of(office)) == len(before) + 1
    assert held["number"] in admin.read("/trust").text


def test_clerk_may_not_claim(office: Office, clerk: Browser):
    token = {"csrf": next(form.fields["csrf"] for form in clerk.read("/account").forms if "csrf" in form.fields)}
    answer = clerk.client.post("/trust/claims", data=token, headers={"accept": "text/html"})
    assert answer.status_code == 403


def test_stopped_link_goes_on_after_a_reason_and_a_second_look(office: Office, admin: Browser):
    with writing(office.ctx.engine) as conn:
        conn.execute(update(t.links).where(t.links.c.peer == COUNTY).values(stopped="peer-knows-more"))
    path = f"/trust/links/{COUNTY}/lift"
    shown = admin.send("/trust", path, reason="已核对")
    with reading(office.ctx.engine) as conn:
        assert conn.execute(select(t.links.c.stopped).where(t.links.c.peer == COUNTY)).scalar() == "peer-knows-more"
    assert admin.submit(Page(shown.text).form(path), {"stage": "do"}).status_code == 303
    with reading(office.ctx.engine) as conn:
        assert conn.execute(select(t.links.c.stopped).where(t.links.c.peer == COUNTY)).scalar() is None


def test_orphan_is_set_aside_with_a_reason_by_the_clerk(office: Office, clerk: Browser):
    topic = office.open()["id"]
    entry = office.get(f"/topics/{topic}/entries").json()["items"][0]["hash"]
    with writing(office.ctx.engine) as conn:
        row = {
            "id": entry,
            "topic": topic,
            "seq": 1,
            "prev": entry,
            "term": "",
            "kind": "opened",
            "author": "620100",
            "disposed": None,
        }
        conn.execute(insert(t.orphans).values(row))
    page = clerk.read(f"/topics/{topic}")
    path = f"/topics/{topic}/orphans/{entry}"
    assert "孤立条目" in page.text
    assert problems_of_markup(page) == []
    shown = clerk.submit(page.form(path), {"decision": "set_aside"}, reason="重复")
    assert shown.status_code == 200
    assert "重复" in shown.text
    assert clerk.submit(page.form(path), {"decision": "set_aside"}, reason="").status_code == 303
    kinds = [item["kind"] for item in office.get(f"/topics/{topic}/entries").json()["items"]]
    assert kinds == ["opened"], "nothing is written before the second look"


@pytest.mark.parametrize(
    ("lang", "over", "handed"),
    [("zh", "按规则自动接管", "接管后转交"), ("en", "claimed by rule", "Handed on after a claim")],
)
def test_topic_claimed_and_handed_back_by_rule_says_so_in_the_readers_words(
    tmp_path: Path, lang: str, over: str, handed: str
):
    office = make_office(tmp_path)
    county = nodes.join(office.ctx, nodes.make(tmp_path, COUNTY, Tier.COUNTY))
    topic, lane = office.open()["id"], nodes.lane(county, office.ctx)
    nodes.do(
        office.ctx, delegate.delegate, topic, api.DelegateForm(to=COUNTY, instruction="请办", override_reason="特")
    )
    nodes.settle([lane], [county])
    nodes.do(county, decide.accept, topic, api.AcceptForm())
    nodes.settle([lane], [county])
    with write(county) as batch:
        life.end(batch, "by-hand")
    for _ in range(6):  # as many as it takes to compare and be granted
        with suppress(TransportError):
            exchange.call(county, lane)
    upkeep.live_on(office.ctx)
    entries = office.get(f"/topics/{topic}/entries").json()["items"]
    assert (entries[-2]["body"]["reason"], entries[-1]["body"]["mode"]) == (OVER, "rehome")
    page = Browser(office.ctx).sign_in("李丹").speak(lang).read(f"/topics/{topic}")
    assert problems_of_markup(page) == []
    assert page.text.count(over) == 2  # in the history, and among everything that was said
    assert handed in page.text
    assert OVER not in page.text
    assert "rehome" not in page.text


def test_healing_says_whom_it_waits_for_and_that_work_waits_and_is_waived_in_writing(tmp_path: Path):
    office = make_office(tmp_path)
    admin = Browser(office.ctx).sign_in("王强")
    with writing(office.ctx.engine) as conn:
        conn.execute(update(t.links).values(failures=3, last_contact_at=None))
    assert "工作照常进行" in admin.read("/links").text
    with write(office.ctx) as batch:
        life.end(batch, "test")
    links = admin.read("/links")
    assert "本节点正在恢复，现在只能查看" in links.text
    assert "工作照常进行" not in links.text
    page = admin.speak("en").read("/trust")
    assert "Healing (read-only): waits to compare with 620000" in page.text
    path = "/trust/healing/620000/waive"
    shown = admin.submit(page.form(path), reason="省级停机")
    assert healing.view(office.ctx).peers[0].state == "asked"
    assert admin.submit(Page(shown.text).form(path), {"stage": "do"}).status_code == 303
    assert healing.view(office.ctx).peers[0].state == "waived"
