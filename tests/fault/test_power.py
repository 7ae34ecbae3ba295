"""Power cuts during everything that writes: nothing acknowledged is lost, nothing is corrupt (T5)."""

import random
from pathlib import Path

import pytest

from tests.fault import power, recording
from tests.fault.campaign import play
from tests.fault.disk import FATES, Disk
from tests.fault.recording import Event

SEED = 20260517
IMAGES = 1040

traced = pytest.mark.usefixtures("tracing")


@traced
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(900)
def test_a_node_starts_on_whatever_a_power_cut_leaves_and_has_all_it_acknowledged(template: Path, workshop: Path):
    tally = play("images", power.trials(template, workshop / "power", SEED, IMAGES))
    print(tally)
    assert not tally.failed, "\n".join(name for name, _ in tally.failed)
    assert tally.counts["images"] >= 1000
    assert tally.counts["acknowledged"] >= 50
    assert all(tally.counts[fate] for fate in FATES)


@traced
@pytest.mark.process
def test_a_database_that_does_not_wait_for_the_disk_is_seen_by_the_judge(template: Path, workshop: Path):
    """The negative control: without syncs, acknowledged commands are lost."""
    told = power.trial(template, workshop / "careless", "day", "careless", SEED, 40)
    assert any("the client was told" in problem for problem in told.problems)


def names_after(events: list[Event], fate: str) -> dict[str, bytes]:
    disk = Disk({"old": b"old"})
    for event in events:
        disk.apply(event)
    return disk.cut_power(fate, random.Random(1))


def test_a_disk_keeps_what_was_synced_and_loses_the_rest():
    wrote = [Event("create", "new"), Event("write", "new", 0, b"new"), Event("sync", "new")]
    assert names_after(wrote, "lost") == {"old": b"old"}
    renamed = [*wrote, Event("rename", "new", to="old")]
    assert names_after(renamed, "lost") == {"old": b"old"}
    assert names_after([*renamed, Event("sync_folder")], "lost") == {"old": b"new"}
    assert names_after([Event("write", "old", 3, b"er")], "lost") == {"old": b"old"}
    assert names_after([Event("write", "old", 3, b"er")], "kept") == {"old": b"older"}
    assert names_after([Event("write", "old", 1, b"n"), Event("cut", "old", 1), Event("sync", "old")], "lost") == {
        "old": b"o"
    }


def test_calls_of_threads_that_overlap_or_die_are_read_where_they_end(tmp_path: Path):
    log, file = tmp_path / "strace.log", "3<{}>".format("".join(f"\\x{byte:02x}" for byte in b"/data/node.db"))
    lines = [
        f'7  pwrite64({file}, "\\x61", 1, 4 <unfinished ...>',
        f"8  fdatasync({file}) = 0",
        "7  <... pwrite64 resumed>) = 1",
        f"8  fsync({file}) = -1 EIO (Input/output error)",
        f'7  pwrite64({file}, "\\x62", 1, 5 <unfinished ...>',
        "8  ???( <unfinished ...>",
        f"9  fsync({file}) = ?",
        "9  +++ exited with 0 +++",
    ]
    log.write_text("\n".join(lines))
    assert recording.read(log, Path("/data")) == [Event("sync", "node.db"), Event("write", "node.db", 4, b"a")]
    log.write_text("7  <... pwrite64 resumed>) = 1\n")
    with pytest.raises(recording.Unreadable):
        recording.read(log, Path("/data"))


def test_a_torn_write_is_torn_where_sectors_end():
    disk = Disk({"file": bytes(2048)})
    disk.apply(Event("write", "file", 100, b"x" * 1500))
    found = {disk.cut_power("torn", random.Random(seed))["file"] for seed in range(64)}
    borders = {at for content in found for at in range(1, 2048) if (content[at] == 0) != (content[at - 1] == 0)}
    assert borders == {100, 512, 1024, 1536, 1600}
    assert len(found) > 8
