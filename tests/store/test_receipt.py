"""Receipts: made by the author once a witness has signed, checked by the root's key alone, spoilt by any change."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.context import Context
from node.domain.refusals import NotFound, NotWitnessed
from node.service.receipt import receipt, root_key, topic_receipt
from node.store.engine import reading
from sync.errors import SyncError
from sync.keys import unb64
from sync.log import read_proof, write_proof
from sync.receipt import read_receipt
from tests.store.logs import sign
from tests.store.tree import CITY, COUNTY, PROVINCE, Tree, accept, note, offer_down, offer_up, open_topic


def key(node: Context) -> bytes:
    return unb64(root_key(node)[1])


def taken_up(tree: Tree) -> str:
    """A county's topic that the city accepted, all of it signed for."""
    topic = open_topic(tree.county, "跨县公路破损")
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    tree.settle()
    sign(tree)
    return topic


def test_receipt_of_the_origin_proves_who_opened_what(tree: Tree):
    topic = taken_up(tree)
    name, raw = topic_receipt(tree.county, topic)
    found = read_receipt(raw, key(tree.county))
    assert name.endswith(".tlog-proof")
    assert (found.root.code, found.author.code) == (PROVINCE, COUNTY)
    assert [seen.node.code for seen in found.seen] == [CITY]
    assert found.opened is not None
    assert (found.statement.id, found.opened.title) == (topic, "跨县公路破损")


def test_receipt_of_an_acceptance_tells_the_offer_and_the_topic(tree: Tree):
    topic = taken_up(tree)
    offer_down(tree.city, topic, COUNTY, due_at="2027-01-31T00:00:00Z")
    tree.settle()
    accept(tree.county, topic)
    tree.settle()
    sign(tree)
    found = read_receipt(topic_receipt(tree.county, topic)[1], key(tree.province))
    assert found.statement.payload.kind == "accepted"
    assert found.opened is not None
    assert found.offered is not None
    assert found.offered.to == COUNTY
    assert found.offered.due_at == "2027-01-31T00:00:00.000Z"
    city = read_receipt(topic_receipt(tree.city, topic)[1], key(tree.province))
    assert [seen.node.code for seen in city.seen] == [PROVINCE]


def test_receipt_of_the_root_is_witnessed_by_its_children(tree: Tree):
    topic = open_topic(tree.province)
    offer_down(tree.province, topic, CITY)
    tree.settle()
    sign(tree)
    found = read_receipt(topic_receipt(tree.province, topic)[1], key(tree.other))
    assert found.author == found.root
    assert [seen.node.code for seen in found.seen] == [CITY]


def test_receipt_before_a_witness_has_signed_is_refused(tree: Tree):
    topic = open_topic(tree.county)
    with pytest.raises(NotWitnessed):
        topic_receipt(tree.county, topic)


def test_receipt_for_what_others_said_is_refused(tree: Tree):
    topic = open_topic(tree.county)
    tree.settle()
    sign(tree)
    with pytest.raises(NotFound):
        topic_receipt(tree.city, topic)
    with reading(tree.city.engine) as conn, pytest.raises(NotFound):
        receipt(tree.city, conn, topic)


def test_receipt_stays_good_when_the_log_has_grown(tree: Tree):
    topic = taken_up(tree)
    old = topic_receipt(tree.county, topic)[1]
    other = open_topic(tree.county)
    for n in range(300):
        note(tree.county, other, f"第{n}记")
    tree.settle()
    sign(tree)
    new = topic_receipt(tree.county, topic)[1]
    one, two = read_receipt(old, key(tree.county)), read_receipt(new, key(tree.county))
    assert one.statement.id == two.statement.id
    assert one.checkpoint.size + 300 < two.checkpoint.size
    assert (one.index, two.index) == (one.index, one.index)


def test_receipt_under_another_root_is_refused(tree: Tree):
    raw = topic_receipt(tree.county, taken_up(tree))[1]
    with pytest.raises(SyncError, match="not-this-root"):
        read_receipt(raw, tree.city.identity.signer.public)


@pytest.fixture(scope="module")
def good(template, tmp_path_factory) -> tuple[bytes, bytes]:
    """A receipt and the root's key."""
    tree = Tree(template, tmp_path_factory.mktemp("receipt"), "sqlite://")
    topic = taken_up(tree)
    found = topic_receipt(tree.city, topic)[1], key(tree.city)
    tree.close()
    return found


def test_no_byte_of_a_receipt_can_be_changed(good: tuple[bytes, bytes]):
    raw, root = good
    read_receipt(raw, root)
    for at in range(0, len(raw), 7):
        for put in (raw[at] ^ 0x01, raw[at] ^ 0x20):
            with pytest.raises(SyncError):
                read_receipt(raw[:at] + bytes([put]) + raw[at + 1 :], root)


@settings(max_examples=300)
@given(st.data())
def test_no_byte_of_what_a_receipt_carries_can_be_changed(good: tuple[bytes, bytes], data: st.DataObject):
    """As above, behind the base64 of `extra`, where a changed byte still gives a proof of good form."""
    raw, root = good
    proof = read_proof(raw)
    assert proof.extra is not None
    at = data.draw(st.integers(0, len(proof.extra) - 1))
    put = data.draw(st.integers(0, 255).filter(lambda byte: byte != proof.extra[at]))  # type: ignore[index]
    changed = proof.extra[:at] + bytes([put]) + proof.extra[at + 1 :]
    text = write_proof(type(proof)(proof.index, proof.hashes, proof.note, changed))
    with pytest.raises(SyncError):
        read_receipt(text.encode(), root)


def changed(raw: bytes, change) -> bytes:
    """The receipt with its `extra` changed and written again in the right form."""
    head, _, rest = raw.decode().partition("extra ")
    blob, _, tail = rest.partition("\n")
    extra = json.loads(base64.b64decode(blob))
    change(extra)
    again = json.dumps(extra, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return f"{head}extra {base64.b64encode(again).decode()}\n{tail}".encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda extra: extra["registry"].pop(), "unknown-key"),
        (lambda extra: extra["registry"].reverse(), "invalid"),
        (lambda extra: extra["registry"].append(extra["statement"]), "invalid"),
        (lambda extra: extra["registry"].append(extra["registry"][-1]), "invalid"),
        (lambda extra: extra["statement"].update(extra["registry"][-1]), "not-of-this-log"),
        (lambda extra: extra["statement"]["signatures"].append({"protected": "", "signature": ""}), "malformed"),
        (lambda extra: extra["context"].__setitem__(1, extra["context"][0]), "bad-context"),
        (lambda extra: extra["context"].append("e30"), "too_long"),
        (lambda extra: extra.update(more=1), "invalid"),
        (lambda extra: extra.update(v=2), "invalid"),
    ],
)
def test_receipt_with_other_contents_is_refused(good: tuple[bytes, bytes], change, code: str):
    raw, root = good
    with pytest.raises(SyncError, match=code):
        read_receipt(changed(raw, change), root)


def test_receipt_without_or_with_another_cosignature_is_refused(good: tuple[bytes, bytes]):
    raw, root = good
    lines = raw.decode().splitlines(keepends=True)
    with pytest.raises(SyncError, match="no-witness"):
        read_receipt("".join(lines[:-1]).encode(), root)
    with pytest.raises(SyncError, match="bad-signature"):
        read_receipt("".join([*lines, lines[-1].replace("liandong/", "liandong/x")]).encode(), root)
    with pytest.raises(SyncError, match="bad-signature"):
        read_receipt("".join([*lines[:-2], lines[-1], lines[-2]]).encode(), root)
