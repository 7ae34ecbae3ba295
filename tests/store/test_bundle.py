"""The exchange by stick, on both databases: the same bytes, the same end state, and nothing from a bad file."""

import random
from typing import Any

import pyrage
import pytest
from sqlalchemy import select

from node.context import Context
from node.domain.refusals import NotFound
from node.service import bundle, read
from node.service.bundle import BundleView, export_bundle, import_bundle
from node.service.commit import write
from node.store import tables as t
from node.store.engine import reading
from schemas.entry import Noted
from sync.errors import BadDocument
from sync.strict import dumps, strict_json
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PROVINCE,
    Tree,
    accept,
    close,
    contents,
    note,
    offer_up,
    open_topic,
    report,
    result,
    rows,
    steps,
)


def carry(sender: Context, receiver: Context) -> BundleView:
    """A stick goes from one node to its neighbour."""
    return import_bundle(receiver, export_bundle(sender, receiver.identity.code))


def received_from(node: Context, peer: str) -> dict[str, bytes]:
    s = t.statements.c
    with reading(node.engine) as conn:
        return {row.id: row.raw for row in conn.execute(select(s.id, s.raw).where(s.source == peer))}


def sent_to(node: Context, peer: str) -> dict[str, bytes]:
    query = select(t.statements.c.id, t.statements.c.raw).join(t.outbox, t.outbox.c.statement == t.statements.c.id)
    with reading(node.engine) as conn:
        return {row.id: row.raw for row in conn.execute(query.where(t.outbox.c.peer == peer))}


def with_part(node: Context, topic: str, content: bytes) -> str:
    with write(node) as batch:
        ref = batch.part("scan", content, "application/pdf", "full")
        batch.entry(topic, "noted", Noted(text="附件"), [ref])
    return ref.digest


def code_of(node: Context, raw: bytes) -> str:
    """The code of the refusal of a bundle, which has changed nothing."""
    before = contents(node)
    with pytest.raises(BadDocument) as refusal:
        import_bundle(node, raw)
    assert contents(node) == before
    return refusal.value.code


def test_a_node_without_a_network_takes_part_in_a_whole_round(tree: Tree) -> None:
    county, city = tree.county, tree.city
    topic = open_topic(county, submitter={"name": "张三"})
    offer_up(county, topic)
    view = carry(county, city)
    assert (view.sender, view.documents, view.applied, view.held) == (COUNTY, 2, 2, 0)
    accept(city, topic)
    steps(city, topic, "decide", "research", "consult", "implement")
    result(city, topic)
    report(city, topic)
    assert carry(city, county).acked == 2
    accept(county, topic)
    steps(county, topic, "feedback")
    close(county, topic)
    carry(county, city)
    carry(city, county)
    assert tree.agree(topic, county, city)[0::3] == (COUNTY, "closed")
    assert read.topic(city, topic).text == "两县交界处坑洼。"
    for node, peer in ((county, CITY), (city, COUNTY)):
        link = rows(node, t.links, t.links.c.peer == peer)[0]
        assert link.acked_seq == link.sent_seq
    tree.settle()
    tree.check()


def test_statements_by_stick_are_the_bytes_of_the_wire(tree: Tree) -> None:
    for child in (tree.county, tree.other):
        topic = open_topic(child, body="长" * 500)
        note(child, topic)
        offer_up(child, topic)
    tree.settle(tree.county)
    carry(tree.other, tree.city)
    for child in (tree.county, tree.other):
        code = child.identity.code
        over = received_from(tree.city, code)
        assert len(over) == 3
        assert over.items() <= sent_to(child, CITY).items()
    carried = {row.digest: row.content for row in rows(tree.other, t.parts)}
    assert carried.items() <= {row.digest: row.content for row in rows(tree.city, t.parts)}.items()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1, 1, 2, 0)])
def test_bundles_in_any_order_and_number_give_one_end_state(tree: Tree, order: tuple[int, ...]) -> None:
    bundles = []
    topic = open_topic(tree.county, body="长" * 500)
    bundles.append(export_bundle(tree.county, CITY))
    note(tree.county, topic)
    bundles.append(export_bundle(tree.county, CITY, plain=True))
    offer_up(tree.county, topic)
    bundles.append(export_bundle(tree.county, CITY))
    seen = [import_bundle(tree.city, bundles[n]) for n in order]
    assert sum(view.applied for view in seen) == 3
    assert tree.agree(topic, tree.county, tree.city)[3] == "offered"
    assert not rows(tree.city, t.wanted_parts)
    assert received_from(tree.city, COUNTY).items() <= sent_to(tree.county, CITY).items()
    before = contents(tree.city)
    again = import_bundle(tree.city, bundles[2])
    assert (again.applied, again.duplicates) == (0, 3)
    assert contents(tree.city) == before
    tree.settle()
    tree.check()


def test_stick_and_wire_mix(tree: Tree) -> None:
    topic = open_topic(tree.county)
    early = export_bundle(tree.county, CITY)
    tree.settle()
    offer_up(tree.county, topic)
    carry(tree.county, tree.city)
    import_bundle(tree.city, early)
    accept(tree.city, topic)
    tree.settle()
    assert tree.agree(topic, tree.county, tree.city)[0] == CITY
    tree.check()


def test_parts_larger_than_a_document_come_whole_over_several(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_ROOM", bundle._ROOM.model_copy(update={"bytes": 64 * 1024, "items": 3}))
    topic = open_topic(tree.county)
    chance = random.Random(3)
    digests = {
        with_part(tree.county, topic, content): content for content in map(chance.randbytes, (200_000, 0, 70_001))
    }
    for n in range(8):
        note(tree.county, topic, f"第{n}条")
    view = carry(tree.county, tree.city)
    assert view.documents > 5
    assert view.applied == 12
    for digest, content in digests.items():
        assert rows(tree.city, t.parts, t.parts.c.digest == digest)[0].content == content
    assert not rows(tree.city, t.wanted_parts) and not rows(tree.city, t.part_chunks)
    tree.settle()
    tree.check()


def test_a_part_begun_over_the_wire_is_finished_by_stick(tree: Tree) -> None:
    from sync.delivery import Allowance
    from tests.nodes import exchange

    topic = open_topic(tree.county)
    content = random.Random(4).randbytes(300_000)
    digest = with_part(tree.county, topic, content)
    for _ in range(3):
        tree.lanes[COUNTY].allowance = Allowance(items=5, bytes=90_000)
        exchange.call(tree.county, tree.lanes[COUNTY])
    got = rows(tree.city, t.wanted_parts, t.wanted_parts.c.digest == digest)[0].got
    assert 0 < got < len(content)
    with write(tree.county) as batch:
        link = batch.link(CITY)
        assert link is not None
        start, link.acked_seq, link.dirty = link.acked_seq, 0, True
    carry(tree.county, tree.city)
    assert start and rows(tree.city, t.parts, t.parts.c.digest == digest)[0].content == content


def test_a_bundle_is_for_one_neighbour_alone(tree: Tree) -> None:
    open_topic(tree.county)
    sealed, plain = export_bundle(tree.county, CITY), export_bundle(tree.county, CITY, plain=True)
    assert sealed.startswith(b"age-encryption.org/v1\n") and not plain.startswith(b"age")
    assert b'"payload"' not in sealed
    assert pyrage.decrypt(sealed, [pyrage.x25519.Identity.from_str(tree.city.identity.box)]).startswith(b'{"bundle":')
    for node in (tree.province, tree.other, tree.county):
        assert code_of(node, sealed) == "cannot-decrypt"
        assert code_of(node, plain) in ("not-for-me", "unknown-peer")
    for stranger in (PROVINCE, OTHER, COUNTY, "999999"):
        with pytest.raises(NotFound):
            export_bundle(tree.county, stranger)


def _documents(raw: bytes) -> list[bytes]:
    return bundle._split(raw)


def _framed(some: list[bytes], **change: Any) -> bytes:
    body = b"".join(some)
    first = {"v": 1, "documents": len(some), "bytes": len(body), **change}
    return dumps({"bundle": first}) + b"\n" + body


def test_a_bad_bundle_changes_nothing_and_says_why(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_ROOM", bundle._ROOM.model_copy(update={"items": 1}))
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    plain, sealed = export_bundle(tree.county, CITY, plain=True), export_bundle(tree.county, CITY)
    foreign = _documents(export_bundle(tree.other, CITY, plain=True))
    papers, *documents = _documents(plain)
    assert b'{"old":' in papers and b'{"old":' not in b"".join(documents)
    assert len(documents) == 2
    last_seal_broken = documents[1].replace(b'"signature":"', b'"signature":"A', 1)
    wire: list[bytes] = []
    tree.wires[OTHER].on_request = lambda raw: wire.append(raw) or raw  # type: ignore[func-returns-value]
    tree.settle(tree.other)
    bad = {
        "nothing": (b"", "not-a-bundle"),
        "text": ("你好\n".encode(), "not-a-bundle"),
        "binary": (b"\x00" * 5000, "not-a-bundle"),
        "a zip": (b"PK\x03\x04" + b"\x00" * 100, "not-a-bundle"),
        "another version": (_framed(documents, v=2), "not-a-bundle"),
        "an unknown field": (_framed(documents, more=1), "not-a-bundle"),
        "too many documents": (_framed(documents, documents=5000), "not-a-bundle"),
        "a document of the wire": (_framed([wire[-1]]), "not-a-bundle"),
        "a document of the wire, sealed by who is asked": (_framed([*documents, wire[-1]]), "not-a-bundle"),
        "a missing document": (_framed(documents[:1], documents=2), "truncated"),
        "a cut in a document": (plain[:-40], "truncated"),
        "a cut behind a document": (plain[: -len(documents[1])], "truncated"),
        "something more at the end": (plain + b"{}\n", "truncated"),
        "two senders": (_framed([*documents, *foreign]), "mixed"),
        "a bad seal in the last document": (_framed([documents[0], last_seal_broken]), "bad-seal"),
        "lines moved between documents": (_framed([_with_line(documents[0], documents[1])]), "bad-seal"),
        "a cut in the encryption": (sealed[:-40], "cannot-decrypt"),
        "a bit in the encryption": (sealed[:-40] + bytes([sealed[-40] ^ 1]) + sealed[-39:], "cannot-decrypt"),
        "an age header alone": (b"age-encryption.org/v1\n", "cannot-decrypt"),
        "an endless age header": (
            sealed.replace(b"\n--- ", b"\n-> grease " + b"x " * 9_000 + b"\n--- ", 1),
            "cannot-decrypt",
        ),
        "armor around nothing": (b"-----BEGIN AGE ENCRYPTED FILE-----\n=\n", "cannot-decrypt"),
    }
    for name, (raw, code) in bad.items():
        assert code_of(tree.city, raw) == code, name
    assert carry(tree.county, tree.city).applied == 2


def _with_line(one: bytes, other: bytes) -> bytes:
    head, *rest = one.splitlines(keepends=True)
    return b"".join([head, *[line for line in other.splitlines(keepends=True) if b'"payload"' in line[:12]], *rest])


def test_an_armored_bundle_is_read_like_a_binary_one(tree: Tree) -> None:
    open_topic(tree.county)
    to = pyrage.x25519.Identity.from_str(tree.city.identity.box).to_public()
    armored = pyrage.encrypt(export_bundle(tree.county, CITY, plain=True), [to], armored=True)
    assert import_bundle(tree.city, armored).applied == 1


def test_every_cut_and_every_changed_byte_of_a_plain_bundle_is_refused(tree: Tree) -> None:
    open_topic(tree.county)
    raw = export_bundle(tree.county, CITY, plain=True)
    before = contents(tree.city)
    for at in range(0, len(raw), max(1, len(raw) // 120)):
        for bad in (raw[:at], raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]):
            with pytest.raises(BadDocument):
                import_bundle(tree.city, bad)
    assert contents(tree.city) == before


def test_a_bundle_beyond_all_bounds_is_refused_before_it_is_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    open_topic(tree.county)
    raw = export_bundle(tree.county, CITY, plain=True)
    monkeypatch.setattr(bundle, "BUNDLE_BYTES_MAX", len(raw) - 1)
    assert code_of(tree.city, raw) == "too-large"


def test_a_bundle_says_so_when_there_is_nothing_new(tree: Tree) -> None:
    tree.settle()
    view = carry(tree.county, tree.city)
    assert (view.documents, view.applied, view.duplicates) == (2, 0, 0)
    first = strict_json(export_bundle(tree.county, CITY, plain=True).split(b"\n", 1)[0])
    assert first["bundle"]["documents"] == 2
