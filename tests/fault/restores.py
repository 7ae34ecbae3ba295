"""Machines that are set back, and copies that run twice: real processes, the real commands, random moments."""

import random
import shutil
import time
from pathlib import Path

from tests.fault.campaign import Told, Trial
from tests.fault.clerk import Unanswered
from tests.fault.crew import PARENT, until
from tests.fault.town import CODES, Process, Town, audited, command, rows, statements_of

HEALED_S = 90.0
FOUND_S = 60.0
CALM_S = 3.0
"""So long all of it has to stay as it is: what nodes do by themselves, they do every two seconds."""
SNAPSHOTS = 0.25
IN_A_ROW = (1, 1, 1, 2, 3)
RESTORES, CLONES = 10, 2
"""What befalls one town."""


def restore_trial(town: Town, seed: int, number: int) -> Told:
    """Set one node back to a random moment and look at everything afterwards."""
    chance = random.Random(f"restore {seed} {number}")
    code = CODES[number % len(CODES)]
    told = Told()
    told.counts[f"restored-{code}"] += 1
    try:
        _work(town, chance, chance.randint(2, 8))
        snapshot = chance.random() < SNAPSHOTS
        set_back = _snapshot if snapshot else _backup
        told.counts["snapshot" if snapshot else "backup"] += 1
        set_back(town, code, chance, told)
        _after(town, told)
    except (AssertionError, Unanswered) as error:
        told.problems.append(str(error))
    return told


def clone_trial(town: Town, seed: int, number: int) -> Told:
    """Start a copy of a node beside it; it is found at first contact, and after two commands all is as before."""
    chance = random.Random(f"clone {seed} {number}")
    code = CODES[1 + number % (len(CODES) - 1)]
    node, told = town.nodes[code], Told()
    try:
        _work(town, chance, chance.randint(2, 6))
        _wait_for_rest(town)
        node.kill()
        copy = _copied(town, node)
        before = audited(town.nodes[PARENT[code]].data, "clone")
        node.start()
        node.sign_in()
        until(lambda: not town.troubles(), HEALED_S, "no rest before the copy starts")
        _run_beside(town, node, copy, chance, told)
        assert audited(town.nodes[PARENT[code]].data, "clone") == before + 1
        _made_whole(town, node)
        told.counts["clones"] += 1
        _after(town, told)
    except (AssertionError, Unanswered) as error:
        told.problems.append(str(error))
    return told


def town_trial(folder: Path, seed: int, number: int, restores: int, clones: int) -> Told:
    """One town and all that befalls it, one thing after the other."""
    town, told = Town(folder / f"town-{number}"), Told()
    town.open()
    try:
        town.start()
        for turn in range(restores + clones):
            what = restore_trial if turn < restores else clone_trial
            one = what(town, seed, number * (restores + clones) + turn)
            told.counts += one.counts
            told.problems += [f"{what.__name__} {turn}: {said}" for said in one.problems]
            if one.problems:
                break  # what comes after it proves nothing
        told.counts["acknowledged"] += len(town.record)
    except Unanswered as error:
        told.problems.append(str(error))
    finally:
        town.close()
    if not told.problems:
        shutil.rmtree(town.folder)
    return told


def trials(folder: Path, seed: int, towns: range, restores: int = RESTORES, clones: int = CLONES) -> list[Trial]:
    """So many restores and clones in each of these towns."""
    return [
        Trial(f"lives {seed}:{n}:{restores}:{clones}", town_trial, (folder, seed, n, restores, clones)) for n in towns
    ]


def _backup(town: Town, code: str, chance: random.Random, told: Told) -> None:
    """`liandong backup` while it works, more work, kill -9, `liandong restore`: it knows before it says a word."""
    node = town.nodes[code]
    file = town.folder / f"{code}.liandong"
    command("backup", file, data=node.data)
    _work(town, chance, chance.randint(0, 10))
    if chance.random() < 0.5:
        _wait_for_rest(town)
    node.kill()
    for turn in range(chance.choice(IN_A_ROW)):
        if turn:
            node.start()
            time.sleep(chance.random() * 2)  # it may be killed at any point of its healing
            node.kill()
            told.counts["again"] += 1
        dead = town.put_away(code)
        said = command("restore", file, data=node.data)
        assert "read-only" in said or "Compared with all" in said, f"the restore is not noticed: {said}"
        _lose_what_it_alone_knew(town, code, dead, told)
    _work(town, chance, chance.randint(0, 4))
    node.start()
    node.sign_in()


def _snapshot(town: Town, code: str, chance: random.Random, told: Told) -> None:
    """The whole machine is set back, its guard as well: only a neighbour can tell, and does at first contact."""
    node = town.nodes[code]
    node.kill()
    kept = town.folder / "snapshot"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(node.data, kept)
    node.start()
    node.sign_in()
    _tell_a_neighbour(node)
    _work(town, chance, chance.randint(0, 8))
    _wait_for_rest(town)
    node.kill()
    dead = town.put_away(code)
    shutil.copytree(kept, node.data)
    over = audited(node.data, "incarnation-over")
    _lose_what_it_alone_knew(town, code, dead, told)
    node.start(after_contact=True)
    node.sign_in()
    until(lambda: audited(node.data, "incarnation-over") > over, FOUND_S, f"{code}: nobody noticed the snapshot")


def _tell_a_neighbour(node: Process) -> None:
    """What is written now a neighbour gets to know; what nobody knows, nobody can notice to be missing."""
    _, topic = node.clerk.ask("POST", "/api/v1/topics", {"title": "快照之后", "text": "不亮", "areas": [node.code]})
    if node.code in PARENT:
        verb, form = "escalate", {"reason": "跨县", "tried": "已协调", "override_reason": "特"}
    else:
        verb, form = "delegate", {"to": CODES[1], "instruction": "请办", "override_reason": "特"}
    status, said = node.clerk.ask("POST", f"/api/v1/topics/{topic['id']}/{verb}", form)
    assert status == 200, said


def _run_beside(town: Town, node: Process, copy: Process, chance: random.Random, told: Told) -> None:
    """Both run; one of them, drawn by lot, has a clerk at work."""
    copy.start()
    copy.sign_in()
    parent = town.nodes[PARENT[node.code]]
    writer = chance.choice((node, copy))
    form = {"title": "谁写的", "text": "不亮", "areas": [node.code]}
    status, said = writer.clerk.ask("POST", "/api/v1/topics", form)
    assert status in (201, 503), said
    seconds = until(lambda: _stopped(parent, node.code) == "clone", FOUND_S, "the copy is not found")
    told.counts[f"found-within-{5 * (int(seconds) // 5 + 1)}-s"] += 1
    copy.kill()
    town.dead.append(copy.data)


def _made_whole(town: Town, node: Process) -> None:
    """What the page on restoring says: `heal` on the right one, `lift` at each neighbour that stopped."""
    command("heal", "--yes", "--reason", "the copy is stopped", data=node.data)
    for other in town.neighbours(node.code):
        if _stopped(town.nodes[other], node.code):
            command("lift", node.code, "--reason", "the copy is stopped", data=town.nodes[other].data)
        if _stopped(node, other):
            command("lift", other, "--reason", "the copy is stopped", data=node.data)


def _after(town: Town, told: Told) -> None:
    """Healed, agreed, and then every check there is."""
    began = time.monotonic()
    _wait_for_rest(town)
    seconds = time.monotonic() - began
    told.counts[f"healed-within-{10 * (int(seconds) // 10 + 1)}-s"] += 1
    told.problems += [*_missing(town), *town.broken_promises(), *town.unsound(), *town.equivocations()]


def _wait_for_rest(town: Town) -> None:
    """Nothing left to do, for a while. Raises Unanswered with what is left."""
    end = time.monotonic() + HEALED_S
    calm_since: float | None = None
    while True:
        found = town.troubles()
        now = time.monotonic()
        calm_since = None if found else calm_since or now
        if calm_since is not None and now - calm_since >= CALM_S:
            return
        if now > end:
            raise Unanswered(f"no rest: {found}")
        time.sleep(0.3)


def _lose_what_it_alone_knew(town: Town, code: str, dead: Path, told: Told) -> None:
    """Take from the record what was only on the dead disk: no protocol can bring that back."""
    known = {id for node in town.nodes.values() for id in statements_of(node.data)}
    gone = {id for id in statements_of(dead) if id not in known}
    kept = [one for one in town.record if one[3] not in gone]
    told.counts["only-on-the-dead-disk"] += len(town.record) - len(kept)
    town.record[:] = kept


def _missing(town: Town) -> list[str]:
    """Acknowledged entries that the node which acknowledged them has not."""
    held = {code: statements_of(node.data) for code, node in town.nodes.items()}
    return [
        f"{code} answered {topic[:8]} seq {seq} {head[:8]}, and has it no more"
        for code, topic, seq, head in town.record
        if head not in held[code]
    ]


def _copied(town: Town, node: Process) -> Process:
    place = town.folder / f"copy-{len(town.dead)}"
    place.mkdir()
    shutil.copytree(node.data, place / node.code)
    return town.beside(node.code, place)


def _stopped(node: Process, peer: str) -> object:
    """Why this node's link to that peer stands still; None where it does not."""
    return rows(node.data, "SELECT stopped FROM links WHERE peer = ?", peer)[0][0]


def _work(town: Town, chance: random.Random, acts: int) -> None:
    for _ in range(acts):
        town.act(chance)
