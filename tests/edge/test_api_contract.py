"""The operators' API keeps its contract: routes, roles, bodies, answers, and a document that says so truly."""

import json
import re
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from node.api.strict import VERB, StrictRoute
from node.app import ROUTERS, create_app
from node.domain.policy import PUBLIC, ROLES, VERBS, allowed
from node.service.users import add_user
from tests.edge.office import PASSWORD, TOPIC, UNKNOWN, Office, make_office, problem


def words(text: str) -> set[str]:
    return set(text.split())


TOPIC_VERBS = words(
    "escalate delegate report return accept decline recall step note attend amend result close reopen split detach"
    " remark"
)
ROUTES = {
    ("POST", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/current"),
    ("GET", "/api/v1/node"),
    ("GET", "/api/v1/topics"),
    ("POST", "/api/v1/topics"),
    ("GET", "/api/v1/topics/{id}"),
    ("GET", "/api/v1/topics/{id}/entries"),
    ("GET", "/api/v1/topics/{id}/remarks"),
    ("GET", "/api/v1/topics/{id}/suggestion"),
    ("GET", "/api/v1/topics/{id}/receipt"),
    *(("POST", f"/api/v1/topics/{{id}}/{verb}") for verb in TOPIC_VERBS),
    ("GET", "/api/v1/inbox"),
    ("GET", "/api/v1/links"),
    ("GET", "/api/v1/aggregate"),
    ("GET", "/api/v1/aggregate/figures"),
    ("GET", "/api/v1/aggregate/funnel"),
    ("GET", "/api/v1/aggregate/topics"),
    ("GET", "/api/v1/aggregate/differences"),
    ("GET", "/api/v1/aggregate/nodes"),
    ("GET", "/api/v1/aggregate/rows"),
    ("GET", "/api/v1/aggregate/columns"),
    ("POST", "/api/v1/links/{code}/exchange"),
    ("POST", "/api/v1/links/{code}/lift"),
    ("GET", "/api/v1/healing"),
    ("POST", "/api/v1/healing/waive"),
    ("GET", "/api/v1/claims"),
    ("POST", "/api/v1/claims"),
    ("GET", "/api/v1/claims/{id}"),
    ("POST", "/api/v1/claims/{id}/approve"),
    ("POST", "/api/v1/claims/{id}/refuse"),
    ("GET", "/api/v1/topics/{id}/orphans"),
    ("POST", "/api/v1/topics/{id}/orphans/{hash}"),
    ("POST", "/api/v1/imports"),
    ("POST", "/federation/v1/exchange"),
    ("POST", "/federation/v1/join"),
    ("GET", "/federation/v1/log/checkpoint"),
    ("GET", "/federation/v1/log/tile/{path}"),
    ("POST", "/federation/v1/witness/add-checkpoint"),
    ("GET", "/healthz"),
    ("GET", "/metrics"),
}
LOG = {"/federation/v1/log/checkpoint", "/federation/v1/witness/add-checkpoint"}
TOPIC_FIELDS = words(
    "id number title text kind category areas source external_id status step origin custodian term seq"
    " head offer trail participants parent children outcome durability created_at updated_at due_at"
)
OFFER_FIELDS = words(
    "id from to to_inc mode reason tried opinion instruction answer_by due_at offered_at recall_sent_at"
)
ENTRY_FIELDS = words("hash prev seq term kind author inc at body parts durability verified")
ESCALATE = {"reason": "涉及两个县区", "tried": "已与两区协商三次", "override_reason": "市里定不了"}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"), login_failures_max=4)


@pytest.fixture(scope="module")
def province(office: Office) -> Office:
    """The same house one tier up, with a clerk of its own."""
    made = Office(office.above, office.above, TestClient(create_app(office.above)), {}, {})
    add_user(office.above, "陈静", PASSWORD, ["clerk"])
    made.clerk["Authorization"] = f"Bearer {made.sign_in('陈静').json()['token']}"
    return made


@pytest.fixture(scope="module")
def contract(office: Office) -> dict[str, Any]:
    found: dict[str, Any] = office.client.get("/openapi.json").json()
    return found


def strict_routes() -> list[APIRoute]:
    return [route for router in ROUTERS for route in router.routes if isinstance(route, StrictRoute)]


def filled(path: str) -> str:
    return (
        path.replace("{id}", UNKNOWN)
        .replace("{code}", "629999")
        .replace("{number}", "999999")
        .replace("{ref}", UNKNOWN[:16])
    )


# ---- the document ---------------------------------------------------------------------------------------------------


def test_every_route_is_in_the_contract_and_no_other(contract: dict[str, Any]):
    listed = {(method.upper(), path) for path, found in contract["paths"].items() for method in found}
    assert listed >= ROUTES
    routes = [route for router in ROUTERS for route in router.routes]
    built = {(method, route.path_format) for route in routes for method in route.methods or ()}
    assert listed == built


def test_every_route_names_a_verb_of_the_policy():
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, StrictRoute) or route.path.startswith("/federation/")
    assert {route.openapi_extra[VERB] for route in strict_routes()} - {PUBLIC} <= VERBS


def test_every_operation_lists_its_body_its_answer_and_its_problems(contract: dict[str, Any]):
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            where, responses = f"{method} {path}", operation["responses"]
            assert operation["summary"], where
            assert {"500"} <= responses.keys(), where
            secured = operation.get(VERB) not in (None, PUBLIC)
            assert ("401" in responses and "security" in operation) == secured or path == "/api/v1/sessions", where
            assert ("404" in responses) == ("{" in path or path in LOG), where
            for status, response in responses.items():
                others = {("/healthz", "503"), ("/federation/v1/witness/add-checkpoint", "409")}
                if int(status) >= 400 and (path, status) not in others and status != "428":
                    assert list(response["content"]) == ["application/problem+json"], f"{where} {status}"
            if method == "post" and not path.endswith(("/links/{code}/exchange", "/users/{number}/lock")):
                assert operation["requestBody"]["required"], where


def test_forms_of_the_contract_take_no_unknown_field(contract: dict[str, Any]):
    schemas = contract["components"]["schemas"]
    forms = {name for name in schemas if name.endswith("Form")} | {"SplitPart", "Submitter"}
    assert len(forms) > 15
    assert {name for name in forms if schemas[name].get("additionalProperties") is not False} == set()
    assert not {"HTTPValidationError", "ValidationError"} & schemas.keys()


def test_every_reference_of_the_contract_resolves(contract: dict[str, Any]):
    for name in re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(contract)):
        assert name in contract["components"]["schemas"]


def test_documentation_pages_are_closed_and_the_contract_is_open(office: Office):
    for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        assert office.client.get(path).status_code == 404
    assert office.client.get("/openapi.json").status_code == 200


# ---- who may --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Bearer {'0' * 64}",
        f"Basic {'0' * 64}",
        f"Bearer {'0' * 64} {'0' * 64}",
        "Bearer \u00e9".encode("latin-1"),
    ],
)
@pytest.mark.parametrize("route", strict_routes(), ids=lambda route: f"{route.path}")
def test_route_without_a_session_is_401_before_anything_else(office: Office, route: APIRoute, authorization: Any):
    if route.openapi_extra[VERB] == PUBLIC:
        return
    headers = {} if authorization is None else {"Authorization": authorization}
    (method,) = route.methods
    body = None if method == "GET" else b"{not json"
    response = office.client.request(method, filled(route.path) + "?x=1", headers=headers, content=body)
    assert problem(response) == "unauthenticated"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.fixture(scope="module")
def people(office: Office) -> dict[str, dict[str, str]]:
    """The headers of somebody with each role alone."""
    found = {}
    for role in sorted(ROLES):
        add_user(office.ctx, f"only-{role}", PASSWORD, [role])
        found[role] = {"Authorization": f"Bearer {office.sign_in(f'only-{role}').json()['token']}"}
    return found


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("route", strict_routes(), ids=lambda route: f"{route.path}")
def test_route_is_403_exactly_where_the_policy_says_so(
    office: Office, people: dict[str, dict[str, str]], route: APIRoute, role: str
):
    verb = route.openapi_extra[VERB]
    (method,) = route.methods
    if verb in (PUBLIC, "sign_out") or (method, route.path) == ("DELETE", "/api/v1/sessions"):
        return  # who may end everybody's session ends those of this test
    response = office.client.request(
        method, filled(route.path), headers=people[role], content=b"" if method == "GET" else b"{"
    )
    refused = response.status_code == 403
    assert refused != allowed(frozenset({role}), verb)
    if refused:
        assert problem(response) == "not-allowed"


def test_two_authorization_headers_are_nobody(office: Office):
    headers = [("Authorization", office.clerk["Authorization"])] * 2
    assert office.client.get("/api/v1/node", headers=headers).status_code == 401


# ---- signing in -----------------------------------------------------------------------------------------------------


def test_signing_in_gives_a_token_and_signing_out_ends_it(office: Office):
    response = office.sign_in("李丹")
    assert response.status_code == 201
    assert response.json().keys() == {"token", "expires_at"}
    assert response.json()["expires_at"].endswith("Z")
    headers = {"Authorization": f"bearer {response.json()['token']}"}
    assert office.client.get("/api/v1/node", headers=headers).status_code == 200
    ended = office.client.delete("/api/v1/sessions/current", headers=headers)
    assert (ended.status_code, ended.content) == (204, b"")
    assert office.client.get("/api/v1/node", headers=headers).status_code == 401
    assert office.client.delete("/api/v1/sessions/current", headers=headers).status_code == 401


def test_unknown_name_and_wrong_password_get_the_same_answer(office: Office):
    wrong, unknown = office.sign_in("李丹", "not the password"), office.sign_in("nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content


def test_too_many_failures_are_429_with_the_time_to_wait(office: Office):
    for _ in range(office.ctx.settings.login_failures_max):
        assert office.sign_in("王强", "not the password").status_code == 401
    locked = office.sign_in("王强")
    assert problem(locked) == "too-many-requests"
    assert 0 < int(locked.headers["retry-after"]) <= office.ctx.settings.login_lock_s
    assert office.client.get("/api/v1/node", headers=office.admin).status_code == 200, "sessions go on"


# ---- topics ---------------------------------------------------------------------------------------------------------


def test_topic_goes_through_its_verbs(office: Office):
    topic = office.open(external_id="12345-7", submitter={"name": "张三", "phone": "0931-1234567"})
    assert topic.keys() == TOPIC_FIELDS
    assert re.fullmatch(r"620100-\d{4}-\d{6}", topic["number"])
    at = f"/topics/{topic['id']}"
    assert office.get(at).json() == topic
    noted = office.post(f"{at}/note", {"text": "现场已看"})
    assert noted.status_code == 200
    assert (noted.json()["seq"], noted.json()["step"]) == (1, "collect")
    offered = office.post(f"{at}/escalate", ESCALATE)
    assert offered.status_code == 200, offered.text
    assert offered.json()["status"] == "offered"
    assert offered.json()["offer"].keys() == OFFER_FIELDS
    assert (offered.json()["offer"]["from"], offered.json()["offer"]["to"]) == ("620100", "620000")
    assert problem(office.post(f"{at}/note", {"text": "再记"})) == "offer-open"
    assert problem(office.post(f"{at}/accept", {})) == "not-offered-here"
    recalled = office.post(f"{at}/recall", {"reason": "补充材料"})
    assert recalled.status_code == 202
    assert recalled.json()["offer"]["recall_sent_at"]
    entries = office.get(f"{at}/entries").json()
    assert [entry["seq"] for entry in entries["items"]] == [0, 1, 2]
    assert entries["items"][0].keys() == ENTRY_FIELDS
    assert entries["items"][-1]["hash"] == recalled.json()["head"]
    assert [item["kind"] for item in office.get(f"{at}/remarks").json()["items"]] == ["recalled"]
    assert office.get(f"{at}/suggestion").json()["tier"] == "county"


@pytest.mark.parametrize(
    ("verb", "body", "name"),
    [
        ("step", {"step": "consult", "text": "x"}, "step-order"),
        ("delegate", {"to": "620000", "instruction": "x", "override_reason": "x"}, "not-a-descendant"),
        ("escalate", {"reason": "x", "tried": "x"}, "override-reason-missing"),
        ("decline", {"code": "duplicate", "reason": "x"}, "not-offered-here"),
        ("decline", {"code": "recalled", "reason": "x"}, "invalid"),
        ("reopen", {"reason": "x"}, "not-the-writer"),
        ("report", {"text": "x"}, "close-at-origin"),
    ],
)
def test_refusal_is_a_problem_and_changes_nothing(office: Office, verb: str, body: dict[str, str], name: str):
    topic = office.open()
    assert problem(office.post(f"/topics/{topic['id']}/{verb}", body)) == name
    assert office.get(f"/topics/{topic['id']}").json() == topic


@pytest.mark.parametrize("id", [UNKNOWN, "x", "%00", "0" * 63, "0" * 65, "A" * 64, "..", "%2e%2e%2f"])
@pytest.mark.parametrize("rest", ["", "/entries", "/remarks", "/suggestion"])
def test_topic_that_is_not_here_is_404(office: Office, id: str, rest: str):
    assert problem(office.get(f"/topics/{id}{rest}")) == "not-found"


def test_topic_another_node_has_not_shared_is_404(office: Office, province: Office):
    topic = office.open()
    for verb, body in (("note", {"text": "x"}), ("accept", {}), ("remark", {"kind": "comment", "text": "x"})):
        assert problem(province.post(f"/topics/{topic['id']}/{verb}", body)) == "not-found"
    assert problem(province.get(f"/topics/{topic['id']}")) == "not-found"


def test_list_is_paged_and_filtered(office: Office):
    made = [office.open(title=f"第{n}件", source="paging")["id"] for n in range(5)]
    found, cursor = [], None
    while True:
        page = office.get("/topics", params={"limit": 2, "q": "第", **({"cursor": cursor} if cursor else {})}).json()
        assert page.keys() == {"items", "next"}
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == made[::-1]
    for query in ({"status": "closed"}, {"custodian": "620102"}, {"area": "620200"}, {"q": "没有这样的题目"}):
        assert office.get("/topics", params=query).json() == {"items": [], "next": None}
    assert len(office.get("/topics", params={"area": "620100", "q": "第"}).json()["items"]) == 5


@pytest.mark.parametrize("path", ["/inbox", "/links", "/topics"])
def test_every_list_has_items_and_next(office: Office, path: str):
    assert office.get(path).json().keys() == {"items", "next"}
    assert office.client.get(f"/api/v1{path}", headers=office.admin).status_code == 200


def test_node_says_who_it_is(office: Office):
    found = office.get("/node").json()
    assert found["code"] == "620100"
    assert (found["parent"], found["mode"], found["tier"]) == ("620000", "ready", "city")


def test_exchange_is_404_for_no_neighbour_and_202_at_the_parent(office: Office, province: Office):
    assert problem(office.client.post("/api/v1/links/620102/exchange", headers=office.clerk)) == "not-found"
    response = province.client.post("/api/v1/links/620100/exchange", headers=province.clerk)
    assert (response.status_code, response.json()) == (202, {"waits_for_peer": True})


def test_import_answers_with_counts_and_row_errors(office: Office):
    sheet = "标题,内容,地区\n路灯不亮,永昌路路灯不亮,620102\n,没有标题,620102\n".encode()
    for created, skipped in ((1, 0), (0, 1)):
        files = {"file": ("来信.csv", sheet, "text/csv")}
        response = office.client.post("/api/v1/imports", files=files, headers=office.clerk)
        assert response.status_code == 200, response.text
        found = response.json()
        assert (found["created"], found["skipped"]) == (created, skipped)
        assert [error["row"] for error in found["errors"]] == [3]


# ---- once -----------------------------------------------------------------------------------------------------------


def test_repeated_key_gives_the_same_bytes_and_does_nothing_twice(office: Office):
    first = office.post("/topics", TOPIC, key="open-1")
    again = office.post("/topics", TOPIC, key="open-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    note = f"/topics/{first.json()['id']}/note"
    assert office.post(note, {"text": "一"}, key="n").content == office.post(note, {"text": "一"}, key="n").content
    assert office.get(f"/topics/{first.json()['id']}").json()["seq"] == 1


def test_key_of_another_request_is_refused(office: Office):
    topic = office.open()
    at = f"/topics/{topic['id']}/note"
    assert office.post(at, {"text": "一"}, key="other").status_code == 200
    assert problem(office.post(at, {"text": "二"}, key="other")) == "idempotency-key-reused"
    assert problem(office.post("/topics", TOPIC, key="other")) == "idempotency-key-reused"


def test_refused_request_leaves_its_key_free(office: Office):
    at = f"/topics/{office.open()['id']}/step"
    assert problem(office.post(at, {"step": "consult", "text": "x"}, key="free")) == "step-order"
    assert office.post(at, {"step": "decide", "text": "x"}, key="free").status_code in (200, 422)
