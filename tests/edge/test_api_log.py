"""The log over HTTP: what auditors read, what a witness answers (C2SP tlog-tiles, tlog-witness), and receipts."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from node.app import create_app
from node.service import life, log
from node.service.receipt import root_key
from schemas.ids import Tier
from sync.keys import unb64
from sync.log import Checkpoint, Submission, open_checkpoint, origin, read_checkpoint, sign_checkpoint, write_submission
from sync.merkle import consistency_ranges, from_leaves, leaf_hash, root
from sync.note import read_lines
from sync.receipt import read_receipt
from tests import nodes
from tests.edge.office import UNKNOWN, Office, make_office, problem

ADD = "/federation/v1/witness/add-checkpoint"
LOG = "/federation/v1/log"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


@pytest.fixture(scope="module")
def witnessed(office: Office) -> str:
    """A topic that is under a checkpoint which the province signed."""
    topic = str(office.open()["id"])
    lane = nodes.lane(office.ctx, office.above)
    for _ in range(3):
        nodes.settle([lane], [office.ctx])
        log.make_checkpoint(office.ctx)
    nodes.settle([lane], [office.ctx])
    return topic


@pytest.fixture
def child(office: Office, tmp_path: Path):
    """A county of the office with a made-up log, and what it would post about it."""
    number = f"6201{len(office.get('/node').json()['children']) + 10:02d}"
    return nodes.join(office.ctx, nodes.make(tmp_path, number, Tier.COUNTY))


def body(child, old: int, size: int, first: bytes = b"0", signer=None) -> str:
    hashes = [leaf_hash(first if n == 0 else n.to_bytes(4, "big")) for n in range(size)]
    hasher = from_leaves(hashes)
    state = Checkpoint(origin(child.identity.code, life.now(child).inc), size, root(size, hasher))
    proof = tuple(hasher(*item) for item in (consistency_ranges(old, size) if old <= size else []))
    return write_submission(Submission(old, proof, sign_checkpoint(state, signer or child.identity.signer)))


def test_checkpoint_is_served_without_an_account_and_verifies(office: Office, witnessed: str):
    found = office.client.get(f"{LOG}/checkpoint")
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    state = open_checkpoint(found.text, office.ctx.identity.signer.public)
    assert [line.name for line in read_checkpoint(found.text)[1]] == [state.origin, "liandong/620000"]
    shown = office.get("/node").json()["checkpoint"]
    assert (shown["log"], shown["size"], shown["root"]) == (state.origin, state.size, state.root.hex())
    assert shown["witnessed"] == state.size


def test_tiles_within_the_checkpoint_are_served_and_nothing_beyond(office: Office, witnessed: str):
    size = read_checkpoint(office.client.get(f"{LOG}/checkpoint").text)[0].size
    found = office.client.get(f"{LOG}/tile/0/000.p/{size}")
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/octet-stream"
    assert "immutable" in found.headers["cache-control"]
    assert len(found.content) == 32 * size
    entries = office.client.get(f"{LOG}/tile/entries/000.p/{size}").content
    assert witnessed in [entries[n + 2 : n + 34].hex() for n in range(0, len(entries), 34)]
    beyond = (f"0/000.p/{size + 1}", "0/000", "1/000.p/1", "entries/000", "0/001.p/1")
    for path in (*beyond, "0/000.p/01", "x", "", "../node"):
        answer = office.client.get(f"{LOG}/tile/{path}")
        assert answer.status_code == 404, path


def test_log_before_its_first_checkpoint_is_not_found(office: Office):
    below = nodes.make(office.ctx.settings.data.parent, "620199", Tier.COUNTY)
    client = TestClient(create_app(below))
    assert problem(client.get(f"{LOG}/checkpoint")) == "not-found"
    assert problem(client.get(f"{LOG}/tile/0/000.p/1")) == "not-found"
    below.engine.dispose()


def test_witness_answers_as_tlog_witness_has_it(office: Office, child):
    def post(raw: str):
        return office.client.post(ADD, content=raw.encode())

    first = post(body(child, 0, 3))
    assert first.status_code == 200
    assert first.headers["content-type"] == "text/plain; charset=utf-8"
    assert [line.name for line in read_lines(first.text)] == ["liandong/620100"]
    stale = post(body(child, 0, 5))
    assert (stale.status_code, stale.text) == (409, "3\n")
    assert stale.headers["content-type"].startswith("text/x.tlog.size")
    assert post(body(child, 3, 5)).status_code == 200
    conflict = post(body(child, 5, 5, first=b"another"))
    assert (conflict.status_code, problem(conflict)) == (409, "checkpoint-conflict")
    assert problem(post(body(child, 5, 9, first=b"another"))) == "invalid"
    assert post(body(child, 5, 9, first=b"another")).status_code == 422
    assert post(body(child, 9, 4)).status_code == 400
    assert post("nonsense").status_code == 400
    assert post(body(child, 5, 7, signer=office.ctx.identity.signer)).status_code == 403
    other = body(child, 5, 7).replace(f"/{child.identity.code}/", "/999999/")
    assert post(other).status_code == 404
    assert post("x" * 20_000).status_code == 413


def test_receipt_is_a_file_that_proves_the_topic(office: Office, witnessed: str):
    found = office.get(f"/topics/{witnessed}/receipt")
    assert found.status_code == 200
    assert found.headers["content-disposition"].endswith('.tlog-proof"')
    proven = read_receipt(found.content, unb64(root_key(office.above)[1]))
    assert proven.statement.id == witnessed
    named = office.get(f"/topics/{witnessed}/receipt", params={"entry": witnessed})
    assert named.content == found.content


def test_receipt_that_cannot_be_given_is_refused_by_name(office: Office, witnessed: str):
    young = str(office.open()["id"])
    refused = office.get(f"/topics/{young}/receipt")
    assert (refused.status_code, problem(refused)) == (409, "not-witnessed")
    assert problem(office.get(f"/topics/{UNKNOWN}/receipt")) == "not-found"
    assert problem(office.get(f"/topics/{witnessed}/receipt", params={"entry": UNKNOWN})) == "not-found"
    assert problem(office.get(f"/topics/{witnessed}/receipt", params={"entry": "x"})) == "invalid"
    assert office.client.get(f"/api/v1/topics/{witnessed}/receipt").status_code == 401
