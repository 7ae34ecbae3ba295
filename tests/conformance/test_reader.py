"""The kit's own reader, held against every wire vector: a second implementation agrees with the first."""

import ast
import json
from pathlib import Path

import pytest

from tests.conformance.judge import judge

HERE = Path(__file__).parent
VECTORS = sorted((HERE.parent.parent / "schemas" / "vectors").glob("*/*.json"))
OURS = {"node", "sync", "schemas"}


@pytest.mark.parametrize("file", VECTORS, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_vector_has_its_outcome_in_the_second_reader(file: Path):
    vector = json.loads(file.read_text("utf-8"))
    assert judge(vector) == vector["expect"]


def test_kit_imports_nothing_of_the_implementation_under_test():
    for file in HERE.rglob("*.py"):
        tree = ast.parse(file.read_text("utf-8"))
        names = {alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names}
        names |= {each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)}
        assert not {name for name in names if name.split(".")[0] in OURS}, file
        assert not {name for name in names if name.startswith("tests.") and "conformance" not in name}, file
