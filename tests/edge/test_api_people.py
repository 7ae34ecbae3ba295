"""People over the JSON API: accounts, factors, step-up, units, hand-over, drafts, the audit, as programs use them."""

from typing import Any

import pyotp
import pytest
from httpx2 import Response

from node.service.users import add_user
from tests.edge.office import PASSWORD, TOPIC, Office, make_office, problem


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    made = make_office(tmp_path_factory.mktemp("office"))
    add_user(made.ctx, "审计员", PASSWORD, ["auditor"])
    return made


def asked(office: Office, who: dict[str, str], method: str, path: str, body: Any = None) -> Response:
    return office.client.request(method, f"/api/v1{path}", headers=who, json=body)


def headers(office: Office, name: str, password: str = PASSWORD, otp: str | None = None) -> dict[str, str]:
    body = {"username": name, "password": password, **({"otp": otp} if otp else {})}
    response = office.client.post("/api/v1/sessions", json=body)
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['token']}"}


def added(office: Office, name: str, *roles: str) -> int:
    response = asked(office, office.admin, "POST", "/users", {"name": name, "password": PASSWORD, "roles": list(roles)})
    assert response.status_code == 201, response.text
    return int(response.json()["id"])


def test_account_is_added_listed_changed_and_shut_out(office: Office):
    user = added(office, "钱统筹", "coordinator")
    theirs = headers(office, "钱统筹")
    assert asked(office, theirs, "GET", "/me").json()["roles"] == ["coordinator"]
    listed = asked(office, office.admin, "GET", "/users").json()["items"]
    assert [item["roles"] for item in listed if item["id"] == user] == [["coordinator"]]
    changed = asked(office, office.admin, "POST", f"/users/{user}/roles", {"roles": ["leader"]})
    assert changed.json()["roles"] == ["leader"]
    assert asked(office, theirs, "GET", "/me").status_code == 401, "other rights, another session"
    assert problem(asked(office, office.admin, "POST", f"/users/{user}/roles", {"roles": ["king"]})) == "invalid"
    assert asked(office, office.admin, "POST", f"/users/{user}/active", {"active": False}).json()["active"] is False
    assert office.sign_in("钱统筹").status_code == 401


def test_second_factor_is_needed_once_it_is_confirmed(office: Office):
    added(office, "孙双因", "clerk")
    theirs = headers(office, "孙双因")
    made = asked(office, theirs, "POST", "/me/factor", {"password": PASSWORD}).json()
    code = pyotp.TOTP(made["secret"]).now()
    codes = asked(office, theirs, "POST", "/me/factor/confirm", {"otp": code}).json()["codes"]
    assert problem(office.sign_in("孙双因")) == "otp-needed"
    assert headers(office, "孙双因", otp=codes[3])
    wrong = office.client.post("/api/v1/sessions", json={"username": "孙双因", "password": PASSWORD, "otp": codes[3]})
    assert problem(wrong) == "unauthenticated"


def test_proof_gives_a_new_token_and_the_old_one_is_worthless(office: Office):
    added(office, "李再验", "admin")
    old = headers(office, "李再验")
    assert problem(asked(office, old, "POST", "/sessions/current/proof", {"password": "wrong"})) == "unauthenticated"
    fresh = asked(office, old, "POST", "/sessions/current/proof", {"password": PASSWORD}).json()["token"]
    assert asked(office, old, "GET", "/me").status_code == 401
    assert asked(office, {"Authorization": f"Bearer {fresh}"}, "GET", "/me").status_code == 200


def test_post_is_handed_over_with_its_open_items_and_the_sheet_is_kept(office: Office):
    first, second = added(office, "周旧", "coordinator"), added(office, "吴新", "coordinator")
    unit = asked(office, office.admin, "POST", "/units", {"kind": "township", "name": "雁滩镇", "code": "620102013"})
    post = unit.json()["posts"][0]["id"]
    asked(office, office.admin, "POST", f"/posts/{post}/holder", {"to": first, "note": "任职"})
    topic = office.open(unit="620102013")["id"]
    assert asked(office, office.clerk, "POST", f"/topics/{topic}/duties", {"post": post}).json()["holder"] == "周旧"
    refused = asked(office, office.admin, "POST", f"/users/{first}/active", {"active": False})
    assert problem(refused) == "duties-open"
    sheet = asked(office, office.admin, "POST", f"/posts/{post}/holder", {"to": second, "note": "换届"}).json()
    assert (sheet["from"], sheet["to"], [item["topic"] for item in sheet["items"]]) == ("周旧", "吴新", [topic])
    assert asked(office, office.clerk, "GET", f"/handovers/{sheet['id']}").json() == sheet
    assert asked(office, office.clerk, "GET", f"/topics/{topic}/duties").json()["items"][0]["holder"] == "吴新"
    assert asked(office, headers(office, "吴新"), "POST", f"/topics/{topic}/note", {"text": "已看"}).status_code == 200
    other = office.open(unit="620102014")["id"]
    answer = asked(office, headers(office, "吴新"), "POST", f"/topics/{other}/note", {"text": "已看"})
    assert problem(answer) == "not-allowed"


def test_draft_is_kept_taken_once_and_refused_with_a_reason(office: Office):
    kept = asked(office, office.clerk, "POST", "/drafts", {"text": "停电两天", "areas": ["620102"]})
    assert (kept.status_code, kept.json()["state"], kept.json()["origin"]) == (201, "waiting", "healing")
    at = f"/drafts/{kept.json()['id']}"
    assert asked(office, office.admin, "GET", at).status_code == 403
    taken = asked(office, office.clerk, "POST", f"{at}/take", {"title": "停电"})
    assert office.get(f"/topics/{taken.json()['topic']}").json()["title"] == "停电"
    assert problem(asked(office, office.clerk, "POST", f"{at}/take", {})) == "already-taken"
    other = asked(office, office.clerk, "POST", "/drafts", {"text": "重复反映"}).json()["id"]
    refused = asked(office, office.clerk, "POST", f"/drafts/{other}/refuse", {"reason": "重复"}).json()
    assert (refused["state"], refused["reason"]) == ("refused", "重复")
    states = [
        len(asked(office, office.clerk, "GET", f"/drafts?state={state}").json()["items"])
        for state in ("waiting", "taken", "refused")
    ]
    assert states == [0, 1, 1]


def test_auditor_reads_what_was_done_and_refused_and_changes_nothing(office: Office):
    auditor = headers(office, "审计员")
    assert asked(office, office.admin, "POST", "/topics", TOPIC).status_code == 403
    found = asked(office, auditor, "GET", "/audit?refused=true&actor=王强").json()["items"]
    assert (found[0]["action"], found[0]["result"]) == ("open", "refused NotAllowed")
    assert asked(office, office.admin, "GET", "/audit").status_code == 403
    assert asked(office, auditor, "POST", "/topics", TOPIC).status_code == 403
    export = asked(office, auditor, "GET", "/audit/export")
    assert export.headers["content-type"].startswith("application/jsonl")
    assert export.text.count("\n") > 20
    assert problem(asked(office, auditor, "GET", "/audit?since=yesterday")) == "invalid"


def test_clock_answers_in_working_days_and_says_which_years_it_knows(office: Office):
    terms = asked(office, office.clerk, "GET", "/terms").json()
    assert terms["answer_by"] < terms["due_at"]
    calendar = asked(office, office.clerk, "GET", "/calendar?year=2026").json()
    assert 2026 in calendar["covered"]
    assert {"day": "2026-02-14", "kind": "workday", "name": "春节"} in calendar["items"]
    assert problem(asked(office, office.clerk, "GET", "/calendar?year=soon")) == "invalid"
    assert asked(office, office.clerk, "GET", "/warnings").json() == {"items": [], "next": None}


def test_everybody_else_is_signed_out_by_the_kill_switch(office: Office):
    add_user(office.ctx, "郑管", PASSWORD, ["admin"])
    mine, theirs = headers(office, "郑管"), headers(office, "审计员")
    assert asked(office, mine, "DELETE", "/sessions").json()["ended"] >= 1
    assert asked(office, theirs, "GET", "/me").status_code == 401
    assert [item["current"] for item in asked(office, mine, "GET", "/sessions").json()["items"]] == [True]
