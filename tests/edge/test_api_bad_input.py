"""Whatever is sent, the answer is a 4xx that says why, nothing has changed, and never a 5xx."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from node.api import gate
from node.api.topics import VERBS
from node.store import office as own
from node.store import tables
from node.store.engine import reading
from tests.edge.office import TOPIC, UNKNOWN, Office, make_office, problem

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def topic(office: Office) -> str:
    found: str = office.open()["id"]
    return found


def stored(office: Office) -> list[int]:
    """How many rows the tables have that a refusal must leave alone. Of the audit, those of what was done: a refusal
    has a row of its own there."""
    done = tables.audit.c.result.not_like("refused %")
    with reading(office.ctx.engine) as conn:
        found = (tables.statements, tables.topics, tables.outbox, own.idempotency, tables.parts)
        rows = [conn.execute(select(func.count()).select_from(table)).scalar_one() for table in found]
        return [*rows, conn.execute(select(func.count()).select_from(tables.audit).where(done)).scalar_one()]


# ---- bytes ----------------------------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "a space": b" ",
    "a half": b'{"text":',
    "two values": b'{"text":"a"} {}',
    "a list": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a duplicate key": b'{"text":"a","text":"b"}',
    "a duplicate key deep down": b'{"text":"a","x":{"y":1,"y":1}}',
    "a float": b'{"text":1.0}',
    "an exponent": b'{"text":1e3}',
    "not a number": b'{"text":NaN}',
    "infinity": b'{"text":-Infinity}',
    "an integer beyond 2^53": b'{"text":9007199254740992}',
    "an integer of 5000 digits": b'{"text":' + b"9" * 5000 + b"}",
    "depth 33": b'{"text":' + b"[" * 32 + b"]" * 32 + b"}",
    "depth 100000": b"[" * 100_000,
    "a lone surrogate": b'{"text":"\\ud800"}',
    "a low surrogate first": b'{"text":"\\udc00\\ud800"}',
    "a lone surrogate in a name": b'{"\\ud800":"a"}',
    "an escaped NUL": b'{"text":"a\\u0000b"}',
    "a raw NUL": b'{"text":"a\x00b"}',
    "a raw newline": b'{"text":"a\nb"}',
    "a byte order mark": b'\xef\xbb\xbf{"text":"a"}',
    "UTF-16": '{"text":"a"}'.encode("utf-16"),
    "GB18030": '{"text":"路灯"}'.encode("gb18030"),
    "a cut character": b'{"text":"\xe8\xb7"}',
    "an overlong character": b'{"text":"\xc0\xaf"}',
    "an encoded surrogate": b'{"text":"\xed\xa0\x80"}',
    "single quotes": b"{'text':'a'}",
    "a comment": b'{"text":"a"}//',
    "a trailing comma": b'{"text":"a",}',
    "a form": b"text=a",
    "XML": b"<?xml version='1.0'?><text>a</text>",
}


@pytest.mark.parametrize("raw", BODIES.values(), ids=BODIES.keys())
def test_body_two_readers_could_differ_on_is_malformed(office: Office, topic: str, raw: bytes):
    before = stored(office)
    assert problem(office.send(f"/topics/{topic}/note", raw)) == "malformed"
    assert stored(office) == before
    assert problem(
        office.client.post("/api/v1/sessions", content=raw, headers={"content-type": "application/json"})
    ) in (
        "malformed",
        "too-large",
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=gbk",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/problem+json",
        "application/json, text/plain",
        "json",
        ";",
    ],
)
def test_other_content_type_is_415(office: Office, topic: str, content_type: str):
    assert (
        problem(office.send(f"/topics/{topic}/note", b'{"text":"a"}', content_type=content_type)) == "unsupported-media"
    )


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_in_utf8_is_taken_however_it_is_spelt(office: Office, topic: str, content_type: str):
    response = office.send(f"/topics/{topic}/note", '{"text":"现场已看"}'.encode(), content_type=content_type)
    assert response.status_code == 200


def test_missing_or_double_content_type_and_compression_are_415(office: Office, topic: str):
    at, json_type = f"/api/v1/topics/{topic}/note", ("Content-Type", "application/json")
    signed = ("Authorization", office.clerk["Authorization"])
    for headers in ([signed], [signed, json_type, json_type], [signed, json_type, ("Content-Encoding", "gzip")]):
        response = office.client.post(at, content=b'{"text":"a"}', headers=headers)
        assert problem(response) == "unsupported-media"
    sheet = office.client.post("/api/v1/imports", content=b'{"file":"a"}', headers=[signed, json_type])
    assert problem(sheet) == "unsupported-media"


# ---- sizes ----------------------------------------------------------------------------------------------------------


def pieces(size: int) -> Iterator[bytes]:
    """A body whose length nobody is told."""
    for _ in range(0, size, 65536):
        yield b" " * 65536


@pytest.mark.parametrize(
    ("path", "size"),
    [
        ("/api/v1/topics", MEGABYTE + 1),
        ("/api/v1/topics", 64 * MEGABYTE),
        ("/api/v1/sessions", 17 * 1024),
        (f"/api/v1/topics/{UNKNOWN}/note", MEGABYTE + 1),
        ("/api/v1/imports", 33 * MEGABYTE),
        ("/federation/v1/exchange", 17 * MEGABYTE),
        ("/federation/v1/join", 65 * 1024),
        ("/healthz", 65 * 1024),
        ("/nowhere", 65 * 1024),
    ],
)
def test_body_above_the_limit_of_its_path_is_413_without_anyone_asked_who_they_are(
    office: Office, path: str, size: int
):
    response = office.client.post(path, content=b" " * size)
    assert problem(response) == "too-large"
    assert response.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("path", "size"),
    [("/api/v1/topics", 64 * MEGABYTE), ("/api/v1/sessions", 128 * 1024), ("/federation/v1/exchange", 17 * MEGABYTE)],
)
def test_body_of_untold_length_is_counted(office: Office, path: str, size: int):
    headers = {**office.clerk, "content-type": "application/json"}
    response = office.client.post(path, content=pieces(size), headers=headers)
    assert problem(response) == "too-large"


def test_upload_of_untold_length_is_counted(office: Office):
    def parts() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        yield from pieces(34 * MEGABYTE)

    headers = {**office.clerk, "content-type": "multipart/form-data; boundary=x"}
    assert problem(office.client.post("/api/v1/imports", content=parts(), headers=headers)) == "too-large"


def test_body_that_does_not_come_is_not_waited_for(office: Office, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gate, "BODY_SILENCE_S", 0.05)
    scope = {"type": "http", "method": "POST", "path": "/api/v1/sessions", "headers": [], "query_string": b""}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(30)
        return {}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(office.client.app(scope | {"client": None, "server": None}, receive, send))
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]


def test_largest_topic_is_taken(office: Office):
    assert len(office.open(text="议" * 100_000)["text"]) == 100_000


# ---- fields ---------------------------------------------------------------------------------------------------------

NOTE = {"text": "x"}
ESCALATE = {"reason": "x", "tried": "x"}
DELEGATE = {"to": "620102", "instruction": "x"}
FIELDS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("", TOPIC, {"title": ""}, "title"),
    ("", TOPIC, {"title": "   "}, "title"),
    ("", TOPIC, {"title": "x" * 301}, "title"),
    ("", TOPIC, {"title": "a\nb"}, "title"),
    ("", TOPIC, {"title": "a\u202eb"}, "title"),
    ("", TOPIC, {"title": "a\x1b[31mb"}, "title"),
    ("", TOPIC, {"title": 5}, "title"),
    ("", TOPIC, {"title": None}, "title"),
    ("", TOPIC, {"title": ["x"]}, "title"),
    ("", TOPIC, {"text": "x" * 100_001}, "text"),
    ("", TOPIC, {"areas": "620102"}, "areas"),
    ("", TOPIC, {"areas": ["62010"]}, "areas.0"),
    ("", TOPIC, {"areas": ["620102\n"]}, "areas.0"),
    ("", TOPIC, {"areas": ["６２０１０２"]}, "areas.0"),
    ("", TOPIC, {"areas": [620102]}, "areas.0"),
    ("", TOPIC, {"areas": ["620102"] * 65}, "areas"),
    ("", TOPIC, {"areas": ["999999"]}, "areas"),
    ("", TOPIC, {"category": "no such category"}, "category"),
    ("", TOPIC, {"unit": "x"}, "unit"),
    ("", TOPIC, {"id": UNKNOWN}, "id"),
    ("", TOPIC, {"custodian": "620102"}, "custodian"),
    ("", TOPIC, {"status": "closed"}, "status"),
    ("note", NOTE, {"text": "x" * 8001}, "text"),
    ("note", NOTE, {"author": "620102"}, "author"),
    ("note", NOTE, {"text": "a\u2028b"}, "text"),
    ("escalate", ESCALATE, {"reason": "x" * 2001}, "reason"),
    ("escalate", ESCALATE, {"tried": ""}, "tried"),
    ("escalate", ESCALATE, {"answer_by": "tomorrow"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": "2026-05-01"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": "2026-05-01T09:00:00"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": "2026-02-30T09:00:00Z"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": "0001-01-01T00:00:00+14:00"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": "9999-12-31T23:59:59-14:00"}, "answer_by"),
    ("escalate", ESCALATE, {"answer_by": 1767225600}, "answer_by"),
    ("escalate", ESCALATE, {"to": "620000"}, "to"),
    ("delegate", DELEGATE, {"to": "62010"}, "to"),
    ("delegate", DELEGATE, {"to": "' or 1=1"}, "to"),
    ("delegate", DELEGATE, {"due_at": {}}, "due_at"),
    ("decline", {"code": "duplicate", "reason": "x"}, {"code": "expired"}, "code"),
    ("decline", {"code": "duplicate", "reason": "x"}, {"reason": "x" * 501}, "reason"),
    ("accept", {}, {"x": 1}, "x"),
    ("step", {"step": "decide", "text": "x"}, {"step": "skip"}, "step"),
    ("result", {"outcome": "A", "text": "x"}, {"outcome": "E"}, "outcome"),
    ("split", {"parts": []}, {}, "parts"),
    ("split", {"parts": [{"to": "620102", "role": "boss", "title": "x", "instruction": "x"}]}, {}, "parts.0.role"),
    ("detach", {"topic": UNKNOWN, "reason": "x"}, {"topic": "x"}, "topic"),
    ("remark", {"kind": "comment", "text": "x"}, {"kind": "declined"}, "kind"),
    ("remark", {"kind": "comment", "text": "x"}, {"entry": "x"}, "entry"),
    ("amend", {"reason": "x"}, {"areas": [None]}, "areas.0"),
]


@pytest.mark.parametrize(("verb", "form", "change", "field"), FIELDS)
def test_wrong_field_is_named_and_nothing_has_changed(
    office: Office, topic: str, verb: str, form: dict[str, Any], change: dict[str, Any], field: str
):
    before = stored(office)
    response = office.post(f"/topics/{topic}/{verb}" if verb else "/topics", form | change)
    assert problem(response) == "invalid"
    assert field in [error["field"] for error in response.json()["errors"]]
    assert stored(office) == before


@pytest.mark.parametrize("row", VERBS, ids=lambda row: row.name)
def test_missing_fields_are_all_named(office: Office, topic: str, row: Any):
    required = {name for name, field in row.form.model_fields.items() if field.is_required()}
    response = office.post(f"/topics/{topic}/{row.name}", {})
    if required:
        assert {error["field"] for error in response.json()["errors"]} == required
    else:
        assert response.status_code in (200, 409)


def test_answer_never_repeats_what_was_sent(office: Office):
    secret = "张三 13893000000"
    for fields in ({"areas": [secret]}, {"category": {"x": secret}}, {"unit": secret}, {"title": secret + "\n"}):
        response = office.post("/topics", TOPIC | {"text": secret} | fields)
        assert response.status_code in (201, 422)
        if response.status_code == 422:
            assert "13893000000" not in response.text


# ---- heads and queries ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "a b", "a\tb", "键", "a\x7f"])
def test_idempotency_key_that_is_none_is_invalid(office: Office, topic: str, key: str):
    for path in (f"/topics/{topic}/note", "/topics", "/imports"):
        response = office.send(path, b'{"text":"a"}', Idempotency_Key=key.encode())  # type: ignore[arg-type]
        assert problem(response) == "invalid"
        assert response.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["a", "~" * 255, "!", "3f9a-…".encode().hex()])
def test_idempotency_key_of_visible_ascii_is_taken(office: Office, topic: str, key: str):
    assert office.post(f"/topics/{topic}/note", {"text": "a"}, key=key).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "x=1",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=",
        "limit=1.0",
        "limit=1e1",
        "limit=%2B1",
        "limit=1_0",
        "limit=%EF%BC%91",
        "limit=99999999999999999999999",
        "limit=1&limit=2",
        "cursor=a&cursor=b",
        "q=%ff%fe",
        "q=%00",
        "status=open",
        "status=",
        "step=first",
        "custodian=62",
        "custodian=620100%0a",
        "area=6201",
        "q=" + "x" * 121,
        "category=a%0ab",
        "&".join(f"x{n}=1" for n in range(1000)),
        "\u00e9=1".encode("latin-1").decode("latin-1"),
    ],
)
def test_query_no_list_reads_is_invalid(office: Office, query: str):
    assert problem(office.get(f"/topics?{query}")) == "invalid"


@pytest.mark.parametrize("path", ["/topics", "/inbox", "/links", "/topics/{id}/entries", "/topics/{id}/remarks"])
@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "路",
        "\x00",
        "x" * 5000,
        "bnVsbA",
        "W10",
        "WzFd",
        "WyJ4Il0",
        "W251bGwsbnVsbF0",
        "WzEsMSwxLDFd",
        "WyJcdTAwMDAiLCJcdTAwMDAiXQ",
        "WyJcdWQ4MDAiLCJcdWQ4MDAiXQ",
        "WzFlOTk5XQ",
        "W1tbW1tbW1tbW1tbW1tbW10",
    ],
)
def test_cursor_no_list_gave_out_is_bad_cursor(office: Office, topic: str, path: str, cursor: str):
    response = office.get(f"{path.replace('{id}', topic)}?cursor={quote(cursor)}")
    if response.status_code != 200:
        assert problem(response) == "bad-cursor"


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/topics/{id}/entries", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"),
        ("/topics/{id}/remarks", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"),
        ("/topics", "WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwieCJd"),
    ],
)
def test_cursor_with_a_key_no_database_holds_is_bad_cursor(office: Office, topic: str, path: str, cursor: str):
    assert problem(office.get(f"{path.replace('{id}', topic)}?cursor={cursor}")) == "bad-cursor"


@pytest.mark.parametrize("name", ["李丹\x00", "x" * 65, "", "' or '1'='1"])
def test_name_no_account_can_have_is_401_or_invalid(office: Office, name: str):
    assert office.sign_in(name).status_code in (400, 401, 422)


# ---- uploads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", (400, 422)),
        (b"--x--\r\n", (422,)),
        (b"no boundary at all", (400, 422)),
        (b'--x\r\nContent-Disposition: form-data; name="other"; filename="a.csv"\r\n\r\na\r\n--x--\r\n', (422,)),
        (b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nnot a file\r\n--x--\r\n', (422,)),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n\r\n--x--\r\n', (422,)),
        (b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../x.exe"\r\n\r\nMZ\r\n--x--\r\n', (422,)),
        (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\nPK\x03\x04\r\n--x--\r\n',
            (422,),
        ),
        (b"--x\r\n" + b"X: y\r\n" * 5000 + b"\r\na\r\n--x--\r\n", (400, 422)),
    ],
)
def test_upload_that_is_no_sheet_is_refused(office: Office, body: bytes, status: tuple[int, ...]):
    before = stored(office)
    headers = {**office.clerk, "content-type": "multipart/form-data; boundary=x"}
    response = office.client.post("/api/v1/imports", content=body, headers=headers)
    assert response.status_code in status
    assert problem(response) in ("malformed", "invalid")
    assert stored(office) == before


# ---- anything -------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
anything = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(data=st.data())
def test_any_json_to_any_verb_is_answered_below_500(office: Office, topic: str, data: st.DataObject):
    row = data.draw(st.sampled_from(VERBS))
    names = st.sampled_from([*row.form.model_fields, "x"])
    body = data.draw(st.dictionaries(names, json_values, max_size=6))
    raw = json.dumps(body, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    before = stored(office)
    response = office.send(f"/topics/{topic}/{row.name}", raw)
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        problem(response)
        assert stored(office) == before


@anything
@given(
    raw=st.binary(max_size=300), content_type=st.sampled_from(["application/json", "multipart/form-data; boundary=x"])
)
def test_any_bytes_are_answered_below_500(office: Office, raw: bytes, content_type: str):
    for path in ("/topics", "/imports", "/sessions"):
        assert 400 <= office.send(path, raw, content_type=content_type).status_code < 500
    for path in ("/federation/v1/exchange", "/federation/v1/join"):
        assert 400 <= office.client.post(path, content=raw).status_code < 500


@anything
@given(query=st.text(max_size=40), id=st.text(min_size=1, max_size=70))
def test_any_path_and_query_are_answered_below_500(office: Office, query: str, id: str):
    segment = quote(id.encode("utf-8", "surrogatepass"), safe="")
    for path in ("/topics", f"/topics/{segment}", f"/topics/{segment}/entries"):
        response = office.get(f"{path}?{quote(query.encode('utf-8', 'surrogatepass'), safe='=&')}")
        assert response.status_code < 500, response.text
    assert office.client.post(f"/api/v1/links/{segment}/exchange", headers=office.clerk).status_code < 500
