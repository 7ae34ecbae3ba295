"""Custody from end to end over real nodes, and the one write transaction, on both databases."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select

from node.context import Context
from node.domain.refusals import (
    AlreadyDecided,
    ChildrenOpen,
    CloseAtOrigin,
    IdempotencyKeyReused,
    Invalid,
    NotADescendant,
    NotAllowed,
    NotFound,
    NotOfferedHere,
    NotTheParent,
    NotTheWriter,
    OfferOpen,
    StorageFull,
)
from node.service import decide, delegate, escalate, finish, giveback, read, split, upkeep, work
from node.service import open as opening
from node.service.commit import Batch, write
from node.service.perform import Actor, Command, perform
from node.service.verify import verify
from node.store import tables as t
from node.store.engine import reading
from schemas import api
from tests.nodes import do, refused, state_of
from tests.store.tree import (
    CITY,
    COUNTY,
    OTHER,
    PAST,
    PROVINCE,
    Tree,
    accept,
    close,
    contents,
    decline,
    delegated,
    note,
    offer_down,
    offer_up,
    open_topic,
    recall,
    report,
    result,
    rows,
    steps,
)


def kinds(node: Context, topic: str) -> list[str]:
    return [entry.kind for entry in read.entries(node, topic, None, 200).items]


def remarks(node: Context, topic: str) -> list[tuple[str, str]]:
    return sorted((remark.kind, remark.author) for remark in read.remarks(node, topic, None, 200).items)


# ---- custody -----------------------------------------------------------------------------------------------------


def test_a_topic_goes_up_down_and_home_by_the_custody_stack(tree: Tree) -> None:
    county, city, province = tree.county, tree.city, tree.province
    topic = open_topic(county)
    for lower, upper in ((county, city), (city, province)):
        offer_up(lower, topic)
        tree.settle()
        accept(upper, topic)
        tree.settle()
    steps(province, topic, "decide")
    offer_down(province, topic, CITY)
    tree.settle()
    accept(city, topic)
    steps(city, topic, "research", "consult", "implement")
    result(city, topic)
    for holder, below in ((city, province), (province, city), (city, county)):
        report(holder, topic)
        tree.settle()
        accept(below, topic)
        tree.settle()
    assert refused(city, finish.close, topic, api.CloseForm()) is NotTheWriter
    steps(county, topic, "feedback")
    close(county, topic)
    tree.settle()

    custodian, seq, _, status = tree.agree(topic, county, city, province)
    assert (custodian, status) == (COUNTY, "closed")
    trail = [(stop.node, stop.mode) for stop in read.topic(province, topic).trail]
    assert trail == [
        (COUNTY, "open"),
        (CITY, "escalate"),
        (PROVINCE, "escalate"),
        (CITY, "delegate"),
        (PROVINCE, "report"),
        (CITY, "report"),
        (COUNTY, "report"),
    ]
    entries = read.entries(city, topic, None, 200).items
    assert [entry.seq for entry in entries] == list(range(seq + 1))
    assert all(entry.verified and entry.durability == "received" for entry in entries)
    assert not rows(tree.other, t.topics)
    tree.check()


def test_a_delegation_past_a_tier_is_relayed_and_seen_there_and_returns_to_who_gave_it(tree: Tree) -> None:
    topic = open_topic(tree.province)
    offer_down(tree.province, topic, COUNTY)
    tree.settle()
    assert tree.agree(topic, tree.province, tree.city, tree.county)[3] == "offered"
    assert refused(tree.city, decide.accept, topic, api.AcceptForm()) is NotOfferedHere
    assert refused(tree.city, work.note, topic, api.NoteForm(text="x")) is NotTheWriter
    accept(tree.county, topic)
    do(tree.county, giveback.give_back, topic, api.ReasonForm(reason="办不了"))
    tree.settle()
    accept(tree.province, topic)
    tree.settle()
    assert tree.agree(topic, tree.province, tree.city, tree.county)[0] == PROVINCE
    tree.check()


def test_a_declined_offer_resumes_at_the_offerer_by_itself(tree: Tree) -> None:
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    assert refused(tree.county, work.note, topic, api.NoteForm(text="x")) is OfferOpen
    tree.settle()
    decline(tree.city, topic)
    again = api.DeclineForm(code="duplicate", reason="再次")
    assert refused(tree.city, decide.decline, topic, again) is AlreadyDecided
    assert refused(tree.city, decide.accept, topic, api.AcceptForm()) is AlreadyDecided
    tree.settle()
    assert tree.agree(topic, tree.county, tree.city)[0::3] == (COUNTY, "active")
    assert kinds(tree.city, topic) == ["opened", "offered", "resumed"]
    embedded = read.entries(tree.city, topic, None, 9).items[-1].body["declined"]
    assert "signatures" in embedded
    note(tree.county, topic)
    tree.check()


def test_a_recall_of_an_undecided_offer_brings_it_back(tree: Tree) -> None:
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    tree.settle()
    recall(tree.county, topic)
    recall(tree.county, topic)
    assert read.topic(tree.county, topic).offer.recall_sent_at is not None  # type: ignore[union-attr]
    assert refused(tree.city, decide.recall, topic, api.RecallForm(reason="x")) is NotTheWriter
    tree.settle()
    assert tree.agree(topic, tree.county, tree.city)[0::3] == (COUNTY, "active")
    assert remarks(tree.city, topic) == [("declined", CITY), ("recalled", COUNTY)]
    assert read.remarks(tree.county, topic, None, 9).items[-1].body["code"] == "recalled"
    tree.check()


def test_a_recall_that_crosses_an_acceptance_changes_nothing(tree: Tree) -> None:
    topic = open_topic(tree.county)
    offer_up(tree.county, topic)
    tree.settle()
    accept(tree.city, topic)
    recall(tree.county, topic)
    tree.settle()
    assert tree.agree(topic, tree.county, tree.city)[0::3] == (CITY, "active")
    assert remarks(tree.city, topic) == [("recalled", COUNTY)]
    assert refused(tree.county, decide.recall, topic, api.RecallForm(reason="x")) is AlreadyDecided
    tree.check()


def test_an_offer_expires_only_at_the_node_it_was_made_to(tree: Tree) -> None:
    topic = open_topic(tree.county)
    offer_up(tree.county, topic, answer_by=PAST)
    assert upkeep.expire_offers(tree.county) == 0
    tree.settle()
    assert state_of(tree.county, topic)[3] == "offered"
    assert upkeep.expire_offers(tree.city) == 1
    assert upkeep.expire_offers(tree.city) == 0
    tree.settle()
    assert tree.agree(topic, tree.county, tree.city)[0::3] == (COUNTY, "active")
    tree.check()


def test_a_topic_with_open_parts_neither_moves_nor_closes(tree: Tree) -> None:
    city, county, other = tree.city, tree.county, tree.other
    topic = open_topic(city)
    parts = [
        api.SplitPart(to=COUNTY, role="lead", title="东段", instruction="东"),
        api.SplitPart(to=OTHER, role="assist", title="西段", instruction="西"),
    ]
    two_leads = api.SplitForm(parts=[parts[0], parts[0].model_copy(update={"to": OTHER})])
    assert refused(city, split.split, topic, two_leads) is Invalid
    east, west = do(city, split.split, topic, api.SplitForm(parts=parts)).children
    tree.settle()
    steps(city, topic, "decide", "research", "consult", "implement", "feedback")
    result(city, topic)
    assert refused(city, finish.close, topic, api.CloseForm()) is ChildrenOpen
    up = api.EscalateForm(reason="a", tried="b", override_reason="c")
    assert refused(city, escalate.escalate, topic, up) is ChildrenOpen

    accept(county, east)
    steps(county, east, "decide", "research", "consult", "implement")
    result(county, east)
    report(county, east)
    tree.settle()
    accept(city, east)
    steps(city, east, "feedback")
    close(city, east)
    assert kinds(city, topic)[-1] == "child_closed"
    assert refused(city, finish.close, topic, api.CloseForm()) is ChildrenOpen
    above = read.entries(city, topic, None, 99).items[1].hash
    for name in (topic, above):
        assert refused(city, split.detach, topic, api.DetachForm(topic=name, reason="x")) is NotFound
    do(city, split.detach, topic, api.DetachForm(topic=west, reason="另行办理"))
    close(city, topic)
    tree.settle()
    listed = read.entries(city, topic, None, 99).items[-1].body["children"]
    assert [(child["topic"], child["detached"]) for child in listed] == [(east, False), (west, True)]
    assert tree.agree(topic, city, tree.province)[3] == "closed"
    assert tree.agree(west, city, other)[3] == "offered"
    tree.check()


def test_a_closed_topic_is_reopened_only_at_its_origin(tree: Tree) -> None:
    topic = open_topic(tree.county)
    steps(tree.county, topic, "decide", "research", "consult", "implement", "feedback")
    result(tree.county, topic)
    close(tree.county, topic)
    tree.settle()
    assert refused(tree.city, finish.reopen, topic, api.ReasonForm(reason="x")) is CloseAtOrigin
    assert refused(tree.county, work.note, topic, api.NoteForm(text="x")) is NotTheWriter
    do(tree.county, finish.reopen, topic, api.ReasonForm(reason="又坏了"))
    tree.settle()
    view = read.topic(tree.city, topic)
    assert (view.status, view.step, view.outcome) == ("active", "collect", None)
    tree.check()


def test_offers_go_to_the_parent_or_a_descendant_only(tree: Tree) -> None:
    topic = open_topic(tree.county)
    down = api.DelegateForm(to=OTHER, instruction="x", override_reason="y")
    assert refused(tree.county, delegate.delegate, topic, down) is NotADescendant
    assert refused(tree.county, giveback.report, topic, api.ReportForm(text="x")) is CloseAtOrigin
    above = open_topic(tree.province)
    up = api.EscalateForm(reason="a", tried="b", override_reason="c")
    assert refused(tree.province, escalate.escalate, above, up) is NotTheParent
    assert refused(tree.county, work.note, above, api.NoteForm(text="x")) is NotFound


# ---- the transaction ---------------------------------------------------------------------------------------------


def test_concurrent_writers_leave_streams_without_a_gap(tree: Tree) -> None:
    errors: list[BaseException] = []

    def work_on(name: int) -> None:
        try:
            for n in range(4):
                note(tree.city, open_topic(tree.city, f"第{name}-{n}件"))
        except BaseException as error:
            errors.append(error)

    before = len(rows(tree.city, t.outbox, t.outbox.c.peer == PROVINCE))
    threads = [threading.Thread(target=work_on, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    seqs = sorted(row.seq for row in rows(tree.city, t.outbox, t.outbox.c.peer == PROVINCE))
    assert seqs == list(range(1, before + 49))
    numbers = {row.number for row in rows(tree.city, t.topics)}
    assert len(numbers) == 24
    tree.settle()
    tree.check()


def test_a_repeated_command_gets_the_first_answer_and_does_nothing(tree: Tree) -> None:
    clerk = Actor(1, "李丹", frozenset({"clerk"}))
    form = api.OpenForm(title="路灯不亮", text="多日", areas=[])
    first = _open(tree.city, clerk, form, "key-1")
    before = contents(tree.city)
    assert _open(tree.city, clerk, form, "key-1") == first
    assert contents(tree.city) == before
    with pytest.raises(IdempotencyKeyReused):
        perform(tree.city, Command(clerk, "open", "key-1", "another"), lambda batch: opening.open_topic(batch, form))
    assert _open(tree.city, Actor(2, "王五", frozenset({"clerk"})), form, "key-1") != first
    with pytest.raises(NotAllowed):
        _open(tree.city, Actor(3, "赵六", frozenset({"admin"})), form, "key-2")


def test_a_command_that_was_done_but_not_answered_is_answered_when_repeated(tree: Tree) -> None:
    """Failed, but did persist: the reply was lost after the commit."""
    clerk = Actor(1, "李丹", frozenset({"clerk"}))
    form = api.OpenForm(title="路灯不亮", text="多日", areas=[])

    def lose_the_reply(_peers: frozenset[str]) -> None:
        raise ConnectionError

    tree.city.signal.listen(lose_the_reply)
    with pytest.raises(ConnectionError):
        _open(tree.city, clerk, form, "key-1")
    tree.city.signal.unlisten(lose_the_reply)
    assert len(rows(tree.city, t.topics)) == 1
    answer = json.loads(_open(tree.city, clerk, form, "key-1"))
    assert [row.id for row in rows(tree.city, t.topics)] == [answer["id"]]


def test_a_transaction_that_fails_at_any_statement_leaves_nothing(tree: Tree) -> None:
    """Failed, and did not persist: whichever of its SQL statements the database refuses, or the commit itself."""
    topic = open_topic(tree.city)
    tree.settle()
    before = contents(tree.city)
    failed = 0
    while True:
        try:
            with _failing_at(tree.city, failed + 1):
                offer_up(tree.city, topic)
        except _Refused:
            failed += 1
            assert contents(tree.city) == before
            continue
        break
    assert failed >= 6
    tree.settle()
    accept(tree.province, topic)
    tree.settle()
    assert tree.agree(topic, tree.city, tree.province)[0] == PROVINCE
    tree.check()


def test_a_refused_command_burns_neither_number_nor_position(tree: Tree) -> None:
    first = read.topic(tree.city, open_topic(tree.city)).number
    before = contents(tree.city)
    with pytest.raises(ZeroDivisionError), write(tree.city) as batch:
        opening.open_topic(batch, api.OpenForm(title="a", text="b", areas=[]))
        raise ZeroDivisionError
    assert contents(tree.city) == before
    second = read.topic(tree.city, open_topic(tree.city)).number
    assert int(second[-6:]) == int(first[-6:]) + 1
    assert verify(tree.city).ok


def test_a_registry_entry_undone_with_its_transaction_is_known_to_nobody(tree: Tree) -> None:
    from node.service import published

    table = "code,name,level,parent\n620000,甘肃省,province,\n620100,兰州市,city,620000\n".encode()
    before = contents(tree.city)
    with pytest.raises(ZeroDivisionError), write(tree.city) as batch:
        published.publish(batch, "divisions", table)
        raise ZeroDivisionError
    assert contents(tree.city) == before
    assert do_publish(tree.city, table) == 1
    assert verify(tree.city).ok


def test_nothing_is_signed_when_the_disk_is_nearly_full(tree: Tree) -> None:
    settings = tree.city.settings.model_copy(update={"disk_reserve_bytes": 2**62})
    full = Context(settings, tree.city.engine, tree.city.clock, tree.city.identity, tree.city.instance)
    with pytest.raises(StorageFull), write(full):
        raise AssertionError("must not get here")


def test_every_change_of_a_topic_has_one_audit_row(tree: Tree) -> None:
    topic = delegated(tree)
    note(tree.county, topic)
    said = [row.action for row in rows(tree.county, t.audit, t.audit.c.topic == topic)]
    assert said == ["accept", "note"]
    assert not [row for row in rows(tree.county, t.audit) if row.detail and "text" in row.detail]


# ---- helpers -----------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """What the database says here."""


@contextmanager
def _failing_at(node: Context, n: int) -> Iterator[None]:
    """The n-th SQL statement that changes something, or the commit behind the last one, fails."""
    count = 0

    def refuse(*args: Any) -> None:
        nonlocal count
        changes = len(args) == 1 or str(args[2]).lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
        count += changes
        if count == n and changes:
            raise _Refused

    event.listen(node.engine, "before_cursor_execute", refuse)
    event.listen(node.engine, "commit", refuse)
    try:
        yield
    finally:
        event.remove(node.engine, "before_cursor_execute", refuse)
        event.remove(node.engine, "commit", refuse)


def _open(node: Context, actor: Actor, form: api.OpenForm, key: str) -> bytes:
    fingerprint = hashlib.sha256(form.model_dump_json().encode()).hexdigest()
    act: Callable[[Batch], Any] = lambda batch: opening.open_topic(batch, form)  # noqa: E731
    return perform(node, Command(actor, "open", key, fingerprint, 201), act).body


def do_publish(node: Context, table: bytes) -> int:
    from node.service import published

    with write(node) as batch:
        return published.publish(batch, "divisions", table)


def test_the_statement_count_is_that_of_the_chain(tree: Tree) -> None:
    topic = delegated(tree)
    with reading(tree.city.engine) as conn:
        count = conn.execute(select(func.count()).where(t.entries.c.topic == topic)).scalar_one()
    assert count == state_of(tree.city, topic)[1] + 1
