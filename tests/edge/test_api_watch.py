"""Around the operators' API: headers, methods, health, figures, faults, and what the log may say."""

import errno
import io
import json
import logging
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from node.api import gate
from node.app import create_app, set_up_logging
from node.store.engine import connect
from tests.edge.office import TOPIC, UNKNOWN, Office, make_office, problem

SECURITY = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.mark.parametrize("path", ["/api/v1/node", "/api/v1/topics", "/nowhere", "/healthz", "/openapi.json"])
def test_every_response_has_the_security_headers(office: Office, path: str):
    for headers in ({}, office.clerk):
        response = office.client.get(path, headers=headers)
        assert SECURITY.items() <= dict(response.headers).items()
        assert "server" not in response.headers


def test_responses_are_never_compressed(office: Office):
    response = office.client.get("/openapi.json", headers={"Accept-Encoding": "gzip, br, deflate"})
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/api/v1/topics", "GET, POST"),
        ("/api/v1/sessions", "DELETE, GET, POST"),
        (f"/api/v1/topics/{UNKNOWN}/accept", "POST"),
        ("/healthz", "GET"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_method_is_405_and_told_all_that_are_allowed(office: Office, path: str, allow: str, method: str):
    response = office.client.request(method, path, headers=office.clerk)
    assert problem(response) == "method-not-allowed"
    assert response.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/api/v1/topics/", "/api/v2/topics", "/api/v1", "/api/v1/seizures", "/healthz/"])
def test_path_that_is_none_is_404_and_never_redirected(office: Office, path: str):
    assert problem(office.client.get(path, headers=office.clerk, follow_redirects=False)) == "not-found"


def test_health_says_ready_and_503_without_a_database(office: Office, tmp_path: Path):
    found = office.client.get("/healthz?probe=1")
    assert (found.status_code, found.json()) == (200, {"status": "ok", "database": True, "mode": "ready"})
    cut_off = replace(office.ctx, engine=connect(f"sqlite:///{tmp_path}/gone/node.db"), cache={})
    without = TestClient(create_app(cut_off))
    down = without.get("/healthz")
    assert (down.status_code, down.json()["database"]) == (503, False)
    for path in ("/api/v1/node", "/metrics"):
        answer = without.get(path, headers=office.clerk)
        assert problem(answer) == "unavailable"
        assert answer.headers["retry-after"]


def test_full_disk_is_507_and_reading_goes_on(office: Office):
    full = replace(office.ctx, settings=office.ctx.settings.model_copy(update={"disk_reserve_bytes": 1 << 60}))
    client = TestClient(create_app(full))
    answer = client.post("/api/v1/topics", json=TOPIC, headers=office.clerk)
    assert problem(answer) == "storage-full"
    assert answer.headers["retry-after"]
    assert client.get("/api/v1/topics", headers=office.clerk).status_code == 200


def test_more_requests_than_can_be_served_are_503_and_health_still_answers(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gate, "REQUESTS_MAX", 0)
    answer = office.get("/node")
    assert problem(answer) == "unavailable"
    assert answer.headers["retry-after"]
    assert office.client.get("/healthz").status_code == 200


def test_metrics_count_requests_by_route_and_show_topics_and_links(office: Office):
    topic = office.open()
    office.get(f"/topics/{topic['id']}")
    office.client.request("BREW", "/nowhere")
    text = office.client.get("/metrics").text
    assert re.search(
        r'liandong_http_requests_total\{method="GET",route="/api/v1/topics/\{id\}",status="200"\} \d', text
    )
    assert 'liandong_http_requests_total{method="other",route="none",status="404"}' in text
    assert 'liandong_http_request_seconds_bucket{le="0.015",route="/api/v1/topics"}' in text
    assert re.search(r'liandong_topics\{status="active"\} [1-9]', text)
    for name in ("backlog", "held", "deferred", "failures", "stopped"):
        assert f'liandong_link_{name}{{peer="620000"}}' in text
    assert topic["id"] not in text


# ---- what is said of faults and in the log --------------------------------------------------------------------------


@pytest.fixture
def log():
    """Lines of the process's log while a test runs."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers, root.level
    set_up_logging(stream)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    assert stream.getvalue().isascii()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fault_of_the_program_is_500_that_tells_nothing_and_a_log_line_that_finds_it(office: Office, log: io.StringIO):
    app = create_app(office.ctx)

    def boom() -> None:
        raise RuntimeError("张三 13893000000")

    app.router.routes.insert(0, APIRoute("/boom", boom))
    response = TestClient(app).get("/boom")
    assert problem(response) == "internal"
    assert "13893000000" not in response.text + log.getvalue()
    fault, request = lines(log)
    assert (fault["event"], fault["error"]) == ("fault", "RuntimeError")
    assert fault["instance"] == response.json()["instance"]
    assert "boom" in fault["where"][-1]
    assert (request["route"], request["status"]) == ("/boom", 500)


def test_log_has_one_line_a_request_without_query_body_or_token(office: Office, log: io.StringIO):
    client = TestClient(create_app(office.ctx))
    client.get("/api/v1/topics?q=张三", headers=office.clerk)
    client.post("/api/v1/sessions", json={"username": "李丹", "password": "wrong-secret"})
    client.get("/a\u202eb%0aINFO forged")
    found = lines(log)
    assert [(line["event"], line["method"], line["route"], line["status"]) for line in found] == [
        ("request", "GET", "/api/v1/topics", 200),
        ("request", "POST", "/api/v1/sessions", 401),
        ("request", "GET", "none", 404),
    ]
    assert all(isinstance(line["ms"], float) and line["at"].endswith("Z") for line in found)
    said = log.getvalue()
    for secret in ("张三", "wrong-secret", office.clerk["Authorization"][-10:], "forged"):
        assert secret not in said
        assert secret.encode("unicode_escape").decode() not in said


def test_log_of_libraries_is_json_too_and_their_exceptions_lose_their_words(log: io.StringIO):
    try:
        raise ValueError("张三 13893000000")
    except ValueError:
        logging.getLogger("some.library").exception("failed\nfor %s", "a\u202eb\x1b[31m")
    (line,) = lines(log)
    assert (line["event"], line["error"], line["level"]) == ("failed\nfor a\u202eb\x1b[31m", "ValueError", "error")
    assert "13893000000" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


class FullDisk(io.StringIO):
    """A log on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_request_whose_log_line_cannot_be_written_is_answered_all_the_same(office: Office, log: io.StringIO):
    set_up_logging(FullDisk())
    client = TestClient(create_app(office.ctx))
    assert client.get("/api/v1/node", headers=office.admin).status_code == 200
    logging.getLogger().warning("lost as well")
    set_up_logging(log)
