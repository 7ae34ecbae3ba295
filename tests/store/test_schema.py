"""A database of any released version becomes exactly what a new one is."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from node.clock import Clock
from node.domain.refusals import NodeRunning
from node.jobs import take_lock
from node.service.identity import load
from node.store import schema
from node.store.engine import connect
from node.store.tables import metadata
from tests.store.tree import Tree

SCHEMAS = Path(__file__).parent / "schemas"
OLD = ("0001",)


@pytest.mark.parametrize("version", OLD)
def test_a_database_of_an_older_version_is_upgraded_to_the_tables_of_a_new_one(database_url: str, version: str) -> None:
    engine = connect(database_url)
    _make(engine, version)
    schema.upgrade(engine)
    assert schema.current(engine) == schema.HEAD
    assert _differences(engine) == []
    engine.dispose()


def test_a_new_database_is_stamped_with_the_last_migration(database_url: str) -> None:
    engine = connect(database_url)
    schema.upgrade(engine)
    assert schema.current(engine) == schema.HEAD == ScriptDirectory("node/store/migrations").get_current_head()
    assert _differences(engine) == []
    engine.dispose()


def test_tables_are_not_changed_under_a_process_of_an_older_version(tree: Tree) -> None:
    node = tree.county
    with node.engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    older = take_lock(node)
    with pytest.raises(NodeRunning):
        load(node.settings, Clock())
    older.close()
    assert schema.current(node.engine) == "0001"


def _make(engine, version: str) -> None:
    script = (SCHEMAS / f"{version}-{engine.dialect.name}.sql").read_text()
    with engine.begin() as conn:
        for statement in script.split(";\n"):
            if statement.strip():
                conn.exec_driver_sql(statement)


def _differences(engine):
    """What differs from the tables as the program defines them; comments on columns change nothing."""
    with engine.connect() as conn:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
    return [
        item for item in found if not (isinstance(item, list) and {change[0] for change in item} == {"modify_comment"})
    ]
