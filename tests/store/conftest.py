"""A tree of nodes for each test, the city in the database under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.tree import Tree, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    make_template(folder)
    return folder


@pytest.fixture
def tree(template: Path, tmp_path: Path, database_url: str) -> Iterator[Tree]:
    made = Tree(template, tmp_path / "tree", database_url)
    yield made
    made.close()
