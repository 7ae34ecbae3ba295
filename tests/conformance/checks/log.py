"""The log and its witnesses (SPEC 15): the kit reads the node's log, and lets the node witness that of the kit."""

import base64
import threading
from typing import Any

import httpx

from tests.conformance.child import Child
from tests.conformance.kit import Stage, check, good, same
from tests.conformance.wire import log
from tests.conformance.wire.document import loose
from tests.conformance.wire.jose import Key, unb64
from tests.conformance.wire.log import Checkpoint

BELOW = "below"
PREFIX = "/federation/v1/log"
ADD = "/federation/v1/witness/add-checkpoint"


# ---- what the node serves ---------------------------------------------------------------------------------------


def latest(stage: Stage) -> Checkpoint:
    response = stage.client.get(f"{PREFIX}/checkpoint")
    same(response.status_code, 200, "status")
    return log.read_checkpoint(response.text)


def tile(stage: Stage, path: str) -> httpx.Response:
    return stage.client.get(f"{PREFIX}/tile/{path}")


def identities(stage: Stage, size: int) -> list[str]:
    """All leaves of the log, from its bundles of entries."""
    found: list[str] = []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        response = tile(stage, f"entries/{n:03d}" + (f".p/{width}" if width < 256 else ""))
        same((response.status_code, len(response.content)), (200, 34 * width), "a bundle of entries")
        raw = response.content
        assert all(raw[at : at + 2] == b"\x00\x20" for at in range(0, len(raw), 34)), "a length that is not 32"
        found += [raw[at + 2 : at + 34].hex() for at in range(0, len(raw), 34)]
    return found


@check(BELOW, "15.2", "the checkpoint is three lines, signed by the node under the name of its live log")
def checkpoint(stage: Stage) -> None:
    stage.child.open()
    found = latest(stage)
    roster = stage.child.roster
    same(found.name, log.log_name(stage.child.parent, roster.live(stage.child.parent)))
    assert log.is_signed(found, roster.keyring_of(stage.child.parent)), "its first signature is not the log's"


@check(BELOW, "15.3", "the tiles give the root of the checkpoint")
def tiles(stage: Stage) -> None:
    found = latest(stage)
    leaves = [log.leaf_hash(each) for each in identities(stage, found.size)]
    same(log.tree_root(leaves), found.root, "root over the identities")
    width = min(256, found.size)
    level = tile(stage, "0/000" + (f".p/{width}" if width < 256 else ""))
    same(level.content, b"".join(leaves[:width]), "the tile of level 0")


@check(BELOW, "15.1", "what the node said to this child is in its log, once each and in order")
def leaves(stage: Stage) -> None:
    child, operator = stage.child, stage.operator
    topic = operator.open()["id"]
    operator.do(topic, "delegate", to=child.code, instruction="x", override_reason="x")
    child.settle()
    said = [entry.id for entry in child.topics[topic].path()]
    for _ in range(40):
        listed = identities(stage, latest(stage).size)
        if said[-1] in listed:
            break
        child.exchange(wait_s=1, lane="wait")
    places = [listed.index(id) for id in said]
    same(places, sorted(places), "their order")
    same(len(set(listed)), len(listed), "leaves that stand once")


@check(BELOW, "15.2", "a later checkpoint continues an earlier one")
def continues(stage: Stage) -> None:
    before = latest(stage)
    stage.operator.open()
    for _ in range(40):
        after = latest(stage)
        if after.size > before.size:
            break
        stage.child.exchange(wait_s=1, lane="wait")
    hashes = [log.leaf_hash(each) for each in identities(stage, after.size)]
    assert after.size > before.size, "no later checkpoint"
    same(log.tree_root(hashes[: before.size]), before.root, "the earlier root within the later tree")


@check(BELOW, "15.3", "other spellings of tiles, and what lies beyond the checkpoint, are not there")
def spellings(stage: Stage) -> None:
    for path in ("0/0", "0/x000", "0/000.p/0", "0/000.p/256", "0/x000/000", "64/000", "entries/999", "00/000", "0/-01"):
        same(tile(stage, path).status_code, 404, path)
    same(tile(stage, f"0/000.p/{min(255, latest(stage).size + 99)}").status_code, 404, "beyond")


# ---- the node as a witness, in the exchange -----------------------------------------------------------------------


class Book:
    """The log of a child, as it tells its witness of it."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.signed = 0
        self.last: dict[str, Any] | None = None

    def hashes(self, size: int | None = None) -> list[bytes]:
        leaves = self.child.leaves if size is None else self.child.leaves[:size]
        return [log.leaf_hash(each) for each in leaves]

    def grow(self, count: int = 1) -> None:
        for _ in range(count):
            self.child.write("opened", self.child.opened())
        good(self.child.exchange())

    def note(self, leaves: list[bytes] | None = None, **other: Any) -> str:
        return log.checkpoint(self.child.key, self.child.log_name, self.hashes() if leaves is None else leaves, **other)

    def ask(self, note: str, old: int, proof: list[bytes]) -> dict[str, Any]:
        """What the witness answers to a checkpoint line."""
        line = loose("checkpoint", {"old": old, "proof": [each.hex() for each in proof], "note": note})
        found = self.child.exchange([line]).of("cosignature")
        if not found:
            found = self.child.exchange().of("cosignature")
        same([each["log"] for each in found], [self.child.log_name], "logs answered for")
        answer: dict[str, Any] = found[0]
        self.signed = answer["size"]
        return answer

    def add(self) -> dict[str, Any]:
        """Honestly: the whole log as it is."""
        hashes = self.hashes()
        return self.ask(self.note(), self.signed, log.consistency(hashes, self.signed))


def book(stage: Stage) -> Book:
    """A log of a child of its own, with a state that is signed."""
    found = Book(stage.spare())
    found.grow(3)
    found.last = found.add()
    same(found.last["size"], 3, "the size signed")
    return found


def signs(stage: Stage, child: Child, note: str, line: str) -> None:
    assert line.endswith("\n"), "a signature line without its line feed"
    assert log.is_cosigned(
        log.read_checkpoint(note), line, child.parent, stage.child.roster.keyring_of(child.parent)
    ), "the cosignature does not verify"


@check(BELOW, "15.4", "a checkpoint of a child is cosigned; the same again gets the same line; a longer one follows")
def cosigned(stage: Stage) -> None:
    found = book(stage)
    assert found.last is not None
    signs(stage, found.child, found.note(), found.last["line"])
    same(found.ask(found.note(), 3, [])["line"], found.last["line"], "the line asked again")
    found.grow(4)
    after = found.add()
    same((after["size"], after["root"]), (7, log.tree_root(found.hashes()).hex()))
    signs(stage, found.child, found.note(), after["line"])


@check(BELOW, "15.4", "a fork of a log is not signed: the answer stays the state signed before")
def fork(stage: Stage) -> None:
    found = book(stage)
    other = [*found.hashes()[:2], log.leaf_hash("9" * 64)]
    answer = found.ask(found.note(other), 3, [])
    same(answer, found.last)


@check(BELOW, "15.4", "a log that shrinks is not signed")
def shrunk(stage: Stage) -> None:
    found = book(stage)
    same(found.ask(found.note(found.hashes(2)), 2, []), found.last)


@check(BELOW, "15.4", "a longer log without a proof is not signed")
def unproven(stage: Stage) -> None:
    found = book(stage)
    found.grow(2)
    other = [log.leaf_hash("8" * 64), *found.hashes()[1:]]
    same(found.ask(found.note(other), 3, log.consistency(other, 3)), found.last)
    same(found.ask(found.note(), 3, []), found.last, "with no proof at all")
    same(found.add()["size"], 5, "the true one afterwards")


@check(BELOW, "15.4", "a checkpoint under another key or name is not signed")
def not_its_own(stage: Stage) -> None:
    found = book(stage)
    forged = log.checkpoint(Key.new(), found.child.log_name, found.hashes())
    line = loose("checkpoint", {"old": 3, "proof": [], "note": forged})
    assert all(each["line"] == (found.last or {})["line"] for each in found.child.exchange([line]).of("cosignature"))


# ---- the node as a witness, over HTTP ----------------------------------------------------------------------------


def submission(old: int, proof: list[bytes], note: str) -> str:
    return f"old {old}\n" + "".join(base64.b64encode(each).decode() + "\n" for each in proof) + f"\n{note}"


def add(stage: Stage, text: str) -> httpx.Response:
    return stage.client.post(ADD, content=text.encode())


@check(BELOW, "15.4", "add-checkpoint: 200 with a cosignature line, and the same again")
def http_200(stage: Stage) -> None:
    found = Book(stage.spare())
    found.grow(2)
    response = add(stage, submission(0, [], found.note()))
    same((response.status_code, response.headers["content-type"]), (200, "text/plain; charset=utf-8"))
    signs(stage, found.child, found.note(), response.text)
    same(add(stage, submission(2, [], found.note())).status_code, 200, "the same state again")
    found.grow(3)
    longer = submission(2, log.consistency(found.hashes(), 2), found.note())
    same(add(stage, longer).status_code, 200, "a longer state")


@check(BELOW, "15.4", "add-checkpoint: 409 with the size kept where old is another")
def http_stale(stage: Stage) -> None:
    found = book(stage)
    found.grow(2)
    response = add(stage, submission(1, log.consistency(found.hashes(), 1), found.note()))
    same((response.status_code, response.text), (409, "3\n"))
    assert response.headers["content-type"].startswith("text/x.tlog.size"), response.headers["content-type"]


@check(BELOW, "15.4", "add-checkpoint: 409 as a problem for another root of the same size")
def http_conflict(stage: Stage) -> None:
    found = book(stage)
    other = [*found.hashes()[:2], log.leaf_hash("7" * 64)]
    response = add(stage, submission(3, [], found.note(other)))
    same((response.status_code, response.headers["content-type"]), (409, "application/problem+json"))


@check(BELOW, "15.4", "add-checkpoint: 422 where the proof does not hold")
def http_unproven(stage: Stage) -> None:
    found = book(stage)
    found.grow(2)
    wrong = [bytes(32) for _ in log.consistency(found.hashes(), 3)]
    same(add(stage, submission(3, wrong, found.note())).status_code, 422)


@check(BELOW, "15.4", "add-checkpoint: 404 for a log that is not witnessed here")
def http_unknown(stage: Stage) -> None:
    name = log.log_name("999999", [1, "0" * 32])
    same(add(stage, submission(0, [], log.checkpoint(Key.new(), name, []))).status_code, 404)


@check(BELOW, "15.4", "add-checkpoint: 404 for an incarnation of a child that is not live")
def http_dead(stage: Stage) -> None:
    name = log.log_name(stage.child.code, [1, "0" * 32])
    same(add(stage, submission(0, [], log.checkpoint(stage.child.key, name, []))).status_code, 404)


@check(BELOW, "15.4", "add-checkpoint: 403 where the log has not signed")
def http_unsigned(stage: Stage) -> None:
    name = stage.child.log_name
    same(add(stage, submission(0, [], log.checkpoint(Key.new(), name, []))).status_code, 403)


@check(BELOW, "15.4", "add-checkpoint: 400 for what is no submission, and for an old size above the new")
def http_malformed(stage: Stage) -> None:
    child = stage.child
    note = log.checkpoint(child.key, child.log_name, [log.leaf_hash("1" * 64)])
    for text in (
        "",
        "old 0\n",
        "old -1\n\n" + note,
        "old 00\n\n" + note,
        "old 0\n!!\n\n" + note,
        submission(2, [], note),
    ):
        same(add(stage, text).status_code, 400, repr(text[:20]))


@check(BELOW, "15.4", "add-checkpoint: a body above 16384 bytes is refused")
def http_large(stage: Stage) -> None:
    assert add(stage, "old 0\n\n" + "x" * 16384).status_code in (400, 413)


@check(BELOW, "15.4", "of two roots of one size, asked for at once, one is signed")
def race(stage: Stage) -> None:
    found = Book(stage.spare())
    found.grow(4)
    rivals = [found.note([*found.hashes()[:3], log.leaf_hash(digit * 64)]) for digit in "123456"]
    statuses: list[int] = []

    def ask(note: str) -> None:
        statuses.append(add(stage, submission(0, [], note)).status_code)

    threads = [threading.Thread(target=ask, args=(note,)) for note in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    same(sorted(statuses), [200, *[409] * 5])


# ---- settled -------------------------------------------------------------------------------------------------------


@check(BELOW, "15.5", "what the node wrote becomes settled when its witness signed, and it says so below until heard")
def settled(stage: Stage) -> None:
    child, operator, parent = stage.child, stage.operator, stage.parent
    topic = operator.open()["id"]
    operator.do(topic, "delegate", to=child.code, instruction="x", override_reason="x")
    child.settle()
    wanted = {entry.id for entry in child.topics[topic].path()}
    parent.until(lambda: topic in parent.topics, why="the keeper has it")
    for _ in range(60):
        if wanted <= child.settled:
            break
        child.exchange(wait_s=1, lane="wait")
    assert wanted <= child.settled, f"settled: {len(child.settled & wanted)} of {len(wanted)}"
    child.settle()
    same(child.exchange().of("settled"), [], "told again after it was heard")


@check(BELOW, "15.4", "the node asks its neighbours to sign its log, and shows who did")
def asks(stage: Stage) -> None:
    child, parent = stage.child, stage.parent
    stage.operator.open()
    keys = [(office.code, unb64(office.card["key"])) for office in (child, parent)]
    for _ in range(40):
        child.exchange(wait_s=1, lane="wait")
        found = latest(stage)
        signed = {code for code, key in keys for line in found.lines[1:] if log.is_line_of(line, code, key)}
        if parent.code in signed:
            break
    assert parent.code in signed, f"cosigned by {signed}"
    for code, key in keys:
        for line in found.lines[1:]:
            if log.is_line_of(line, code, key):
                assert log.is_cosigned(found, line, code, key), f"the line of {code} does not verify"
    same([fault for fault in (*child.faults, *parent.faults) if "checkpoint" in fault or "roots" in fault], [])


@check(BELOW, "15.4", "a cosignature line about a log that is not the node's live one is passed over")
def not_live(stage: Stage) -> None:
    child = stage.child
    name = log.log_name(child.parent, [7, "0" * 32])
    said = {"log": name, "size": 2**40, "root": "0" * 64, "line": None}
    good(child.exchange([loose("cosignature", said)]))
    same(child.exchange().status, 200, "the link afterwards")


@check(BELOW, "15.4", "a cosignature that does not verify is passed over")
def unverified(stage: Stage) -> None:
    child = stage.child
    found = latest(stage)
    line = log.cosign(Key.new(), child.code, found, 1)
    for size in (found.size, found.size + 1000):
        said = {"log": found.name, "size": size, "root": found.root.hex(), "line": line}
        good(child.exchange([loose("cosignature", said)]))
    same(child.exchange().status, 200, "the link afterwards")


@check(BELOW, "15.4", "a cosignature of another root of one of the node's own sizes stops the link")
def other_root(stage: Stage) -> None:
    child = stage.spare()
    found = latest(stage)
    lie = log.read_checkpoint(log.checkpoint(child.key, found.name, [], bytes(32), found.size))
    line = log.cosign(child.key, child.code, lie, 1)
    child.exchange(
        [loose("cosignature", {"log": found.name, "size": found.size, "root": bytes(32).hex(), "line": line})]
    )
    assert child.post(child.compose()).status in (400, 403), "the link goes on"
