"""`verify` finds whatever was changed in a log, and `--rebuild` makes it again from the statements."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, delete, insert, text, update

from node.service import log
from node.service.verify import verify
from node.store import log_tables as lt
from node.store.migrations.versions import v0004_log
from tests.store.logs import sign
from tests.store.tree import COUNTY, Tree, note, open_topic, rows

MANY = 270
"""More leaves than a tile holds."""


@pytest.fixture(scope="session")
def logged(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose city has a log of more than one tile, signed at several sizes."""
    folder = tmp_path_factory.mktemp("logged")
    tree = Tree(template, folder, "sqlite://")
    topic = open_topic(tree.city)
    open_topic(tree.county)
    tree.settle()
    sign(tree)
    for n in range(MANY):
        note(tree.city, topic, f"第{n}记")
    tree.settle()
    sign(tree)
    for node in tree.nodes:
        with node.engine.connect() as conn:
            conn.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    tree.close()
    return folder


@pytest.fixture
def city(logged: Path, tmp_path: Path, database_url: str) -> Iterator[Tree]:
    made = Tree(logged, tmp_path / "city", database_url)
    yield made
    made.close()


def swap_leaves(conn: Connection) -> None:
    one, two = conn.execute(lt.leaves.select().where(lt.leaves.c.idx.in_((3, 4))).order_by(lt.leaves.c.idx)).all()
    conn.execute(delete(lt.leaves).where(lt.leaves.c.idx.in_((3, 4))))
    swapped = [(3, two.statement), (4, one.statement)]
    conn.execute(insert(lt.leaves), [{"inc": one.inc, "idx": idx, "statement": id} for idx, id in swapped])


def drop_last_leaf(conn: Connection) -> None:
    last = max(row.idx for row in conn.execute(lt.leaves.select()))
    conn.execute(delete(lt.leaves).where(lt.leaves.c.idx == last))


def drop_leaf(conn: Connection) -> None:
    conn.execute(delete(lt.leaves).where(lt.leaves.c.idx == 7))


def alter_node(conn: Connection) -> None:
    conn.execute(update(lt.log_nodes).values(hash="0" * 64))


def drop_node(conn: Connection) -> None:
    conn.execute(delete(lt.log_nodes))


def alter_root(conn: Connection) -> None:
    conn.execute(update(lt.checkpoints).values(root="0" * 64))


def alter_note(conn: Connection) -> None:
    row = conn.execute(lt.checkpoints.select().order_by(lt.checkpoints.c.size.desc())).first()
    assert row is not None
    at = row.note.rindex("=") - 5
    changed = row.note[:at] + ("A" if row.note[at] != "A" else "B") + row.note[at + 1 :]
    conn.execute(update(lt.checkpoints).where(lt.checkpoints.c.size == row.size).values(note=changed))


def alter_cosignature(conn: Connection) -> None:
    row = conn.execute(lt.cosignatures.select()).first()
    assert row is not None
    conn.execute(update(lt.cosignatures).values(line=row.line.replace(" liandong/", " liandong/x")))


def alter_cosigned_size(conn: Connection) -> None:
    conn.execute(update(lt.cosignatures).values(size=lt.cosignatures.c.size - 1))


def lower_witnessed(conn: Connection) -> None:
    conn.execute(update(lt.witnessed).values(size=1))


def alter_witness_line(conn: Connection) -> None:
    conn.execute(update(lt.witnessed).values(line="\u2014 liandong/620100 AAAAAAA=\n"))


WRONG: list[tuple[Callable[[Connection], None], str]] = [
    (swap_leaves, "leaf 3"),
    (drop_last_leaf, "leaf"),
    (drop_leaf, "leaf 7"),
    (alter_node, "log node"),
    (drop_node, "log node"),
    (alter_root, "checkpoint"),
    (alter_note, "checkpoint"),
    (alter_cosignature, "cosignature"),
    (alter_cosigned_size, "cosignature"),
    (lower_witnessed, "witnessed"),
    (alter_witness_line, "witnessed"),
]
DERIVED = (swap_leaves, drop_last_leaf, drop_leaf, alter_node, drop_node)


def test_log_of_an_honest_node_is_well(city: Tree):
    assert verify(city.city).problems == []
    assert len(rows(city.city, lt.log_nodes)) == 1
    assert len(rows(city.city, lt.checkpoints)) >= 2


@pytest.mark.parametrize(("tamper", "named"), WRONG, ids=[found[0].__name__ for found in WRONG])
def test_what_was_changed_in_a_log_is_named(city: Tree, tamper: Callable[[Connection], None], named: str):
    with city.city.engine.begin() as conn:
        tamper(conn)
    problems = verify(city.city).problems
    assert any(problem.startswith(named) for problem in problems), problems


@pytest.mark.parametrize("tamper", DERIVED, ids=lambda tamper: tamper.__name__)
def test_rebuild_makes_the_log_again_from_the_statements(city: Tree, tamper: Callable[[Connection], None]):
    before = rows(city.city, lt.leaves), rows(city.city, lt.log_nodes)
    with city.city.engine.begin() as conn:
        tamper(conn)
    assert verify(city.city, rebuild=True).problems == []
    after = rows(city.city, lt.leaves), rows(city.city, lt.log_nodes)
    assert [sorted(map(repr, some)) for some in after] == [sorted(map(repr, some)) for some in before]


def test_log_goes_on_after_a_rebuild_and_is_witnessed(city: Tree):
    verify(city.city, rebuild=True)
    note(city.city, open_topic(city.city))
    city.settle()
    sign(city)
    assert log.make_checkpoint(city.city) is False
    assert verify(city.city).problems == []
    assert COUNTY in {row.witness for row in rows(city.city, lt.cosignatures)}


def test_database_of_a_version_without_logs_gets_its_leaves(city: Tree):
    """The migration on real rows: what an upgraded node has is what it would have had."""
    expected = sorted(map(repr, rows(city.city, lt.leaves)))
    with city.city.engine.begin() as conn:
        conn.execute(delete(lt.leaves))
        with Operations.context(MigrationContext.configure(conn)):
            v0004_log.add_leaves()
    assert sorted(map(repr, rows(city.city, lt.leaves))) == expected
    assert verify(city.city).problems == []
