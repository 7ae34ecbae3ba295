"""A backup is one consistent moment of a node at work, and a restored node knows that it was restored."""

import json
import shutil
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from node.clock import Clock
from node.config import Settings
from node.context import Context
from node.domain.refusals import Invalid, NodeExists
from node.service import guard, healing, life
from node.service.backup import MANIFEST, back_up, last_backup, restore
from node.service.identity import load
from node.service.open import open_topic
from node.service.verify import verify
from node.store.engine import is_sqlite, reading
from schemas.api import OpenForm
from tests import postgres
from tests.nodes import do
from tests.store.tree import Tree


def opened(node: Context, title: str) -> str:
    topic: str = do(node, open_topic, OpenForm(title=title, text="不亮", areas=[])).id
    return topic


@pytest.fixture
def empty_url(tree: Tree, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh place for the city's database, of the same kind."""
    if is_sqlite(tree.city.engine):
        yield ""
    else:
        with postgres.database(request.getfixturevalue("postgres_server")) as url:
            yield url


def put_back(folder: Path, file: Path, url: str, identity: str | None = None) -> Context:
    settings = Settings(data=folder, disk_reserve_bytes=0, database_url=url)
    restore(settings, file, identity)
    return load(settings, Clock(), new_start=True)


def test_backup_while_writing_goes_on_is_one_moment_and_restores(tree: Tree, tmp_path: Path, empty_url: str) -> None:
    stop, written = threading.Event(), [opened(tree.city, "第一件")]

    def write_on() -> None:
        while not stop.is_set():
            written.append(opened(tree.city, f"第{len(written) + 1}件"))

    writer = threading.Thread(target=write_on)
    writer.start()
    while len(written) < 5:
        pass
    before = list(written)
    found = back_up(tree.city, tmp_path / "city.liandong")
    stop.set()
    writer.join()
    assert stat.S_IMODE((tmp_path / "city.liandong").stat().st_mode) == 0o600
    assert last_backup(tree.city.settings.data) == found.at.replace(microsecond=found.at.microsecond // 1000 * 1000)

    again = put_back(tmp_path / "again", tmp_path / "city.liandong", empty_url)
    mine = life.now(again)
    assert (mine.live, mine.healing_why, mine.known_number) == (False, "restored", 1)
    assert healing.line(again) is not None
    assert verify(again).ok
    with reading(again.engine) as conn:
        here = {row[0] for row in conn.exec_driver_sql("SELECT id FROM topics")}
    assert set(before) <= here <= set(written)
    again.engine.dispose()


def test_the_node_that_was_backed_up_goes_on_in_its_life(tree: Tree, tmp_path: Path) -> None:
    back_up(tree.city, tmp_path / "city.liandong")
    guard.check(tree.city)
    assert life.now(tree.city).live


def test_encrypted_backup_needs_the_identity_it_was_made_for(tree: Tree, tmp_path: Path, empty_url: str) -> None:
    topic, mine, other = opened(tree.city, "一件"), *(pyrage.x25519.Identity.generate() for _ in range(2))
    file = tmp_path / "city.age"
    back_up(tree.city, file, str(mine.to_public()))
    for wrong in (None, str(other), "AGE-SECRET-KEY-NONE"):
        with pytest.raises(Invalid, match="identity"):
            put_back(tmp_path / "again", file, empty_url, wrong)
    assert not (tmp_path / "again").exists()
    again = put_back(tmp_path / "again", file, empty_url, str(mine))
    with reading(again.engine) as conn:
        assert [row[0] for row in conn.exec_driver_sql("SELECT id FROM topics")] == [topic]
    again.engine.dispose()
    with pytest.raises(Invalid, match="recipient"):
        back_up(tree.city, file, "age1none")


def test_nothing_is_restored_over_a_node(tree: Tree, tmp_path: Path) -> None:
    file = tmp_path / "city.liandong"
    back_up(tree.city, file)
    with pytest.raises(NodeExists):
        restore(tree.city.settings, file)
    assert life.now(tree.city).live


def _cut(file: Path, bad: Path) -> None:
    bad.write_bytes(file.read_bytes()[:-20_000])


def _flipped(file: Path, bad: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    bad.write_bytes(raw)


def _another_manifest(file: Path, bad: Path) -> None:
    with tarfile.open(file) as old, tarfile.open(bad, "w") as new:
        for member in old.getmembers():
            content = old.extractfile(member)
            assert content is not None
            if member.name == MANIFEST:
                said = json.loads(content.read())
                said["v"] = 2
                (bad.parent / "m").write_text(json.dumps(said))
                new.add(bad.parent / "m", MANIFEST)
            else:
                new.addfile(member, content)


def _text(file: Path, bad: Path) -> None:
    bad.write_text("no backup\n")


@pytest.mark.parametrize("damage", [_cut, _flipped, _another_manifest, _text])
def test_a_file_that_is_no_whole_backup_changes_nothing(tree: Tree, tmp_path: Path, damage, empty_url: str) -> None:
    opened(tree.city, "一件")
    file, bad = tmp_path / "city.liandong", tmp_path / "bad.liandong"
    back_up(tree.city, file)
    damage(file, bad)
    with pytest.raises(Invalid, match="file"):
        put_back(tmp_path / "again", bad, empty_url)
    assert not (tmp_path / "again").exists()


def test_a_backup_of_one_kind_of_database_is_refused_by_the_other(tree: Tree, tmp_path: Path) -> None:
    file = tmp_path / "city.liandong"
    back_up(tree.city, file)
    other = "postgresql://localhost/none" if is_sqlite(tree.city.engine) else ""
    with pytest.raises(Invalid, match="database"):
        restore(Settings(data=tmp_path / "again", database_url=other), file)
    assert not shutil.rmtree(tmp_path / "again", ignore_errors=True)
