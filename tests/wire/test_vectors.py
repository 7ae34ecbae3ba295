"""The wire vectors: what this project makes of each is what it says, and the files are what the script writes."""

import json
from pathlib import Path

import pytest

from tests.wire.judge import judge
from tests.wire.make_vectors import VECTORS, rendered, vectors

GOOD = sorted((VECTORS / "good").glob("*.json"))
BAD = sorted((VECTORS / "bad").glob("*.json"))


@pytest.mark.parametrize("file", [*GOOD, *BAD], ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_vector_has_its_outcome(file: Path):
    vector = json.loads(file.read_text("utf-8"))
    assert judge(vector) == vector["expect"]


def test_vectors_are_what_the_script_writes():
    made = vectors()
    there = {f"{file.parent.name}/{file.name}": file.read_text("utf-8") for file in (*GOOD, *BAD)}
    assert there.keys() == made.keys()
    assert [path for path, vector in made.items() if rendered(vector) != there[path]] == []


def test_vectors_are_many():
    assert len(GOOD) >= 50
    assert len(BAD) >= 250


def test_bad_vectors_differ_from_a_good_one_and_are_not_taken():
    good = {file.stem: json.loads(file.read_text("utf-8")) for file in GOOD}
    for file in BAD:
        vector = json.loads(file.read_text("utf-8"))
        base = good[vector["good"]]
        assert base["checks"] == vector["checks"], file
        assert vector["given"] != base["given"], file
        assert "code" in vector["expect"] or "document" in vector["expect"], file


def test_every_vector_names_a_section_that_exists():
    spec = (VECTORS.parent / "SPEC.md").read_text("utf-8")
    for file in (*GOOD, *BAD):
        section = json.loads(file.read_text("utf-8"))["spec"]
        mark = f"### {section} " if "." in section else f"## {section} "
        assert mark in spec, file
