"""SPEC.md says what the code does: every kind, field, code and limit stands in it, and its example is true."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from node.api import gate
from schemas import entry, registry, remark, summary
from schemas.exchange import (
    Ack,
    Budget,
    CheckpointLine,
    Chunk,
    CosignatureLine,
    DocumentHeader,
    HeardLine,
    Invitation,
    JoinRequest,
    Pull,
    SettledLine,
    Verdict,
)
from schemas.ids import FIRST_TERM, Incarnation
from schemas.statement import Entry, Header, PartRef, RegistryEntry, Remark, Seal, Summary
from sync.custody import evolve, writer
from sync.exchange import read
from sync.receipt import Extra
from sync.sealing import open_statement
from tests.wire import cast as c
from tests.wire.example import documents
from tests.wire.judge import keyring_of, roster_of
from tests.wire.make_vectors import ROOT, SPEC, with_example

TEXT = SPEC.read_text("utf-8")
RULES = TEXT.partition("\n## 17 ")[0]
LIMITS = [
    "schemas.ids",
    "schemas.statement",
    "schemas.entry",
    "schemas.exchange",
    "schemas.summary",
    "sync.delivery",
    "sync.transport",
    "node.service.receive",
    "node.service.challenges",
    "node.service.exchange",
    "node.service.life",
    "node.service.memory",
    "node.service.parts",
    "node.service.bundle",
    "sync.note",
    "sync.log",
]
NOT_ON_THE_WIRE = {
    "OLD_BYTES_MIN",
    "PLAIN",
    "TIMED",
    "LEVEL_MAX",
    "HASH_BYTES",
    "TILE_WIDTH",
    "KEY_BYTES",
    "SIGNATURE_BYTES",
    "LINE_OVERHEAD",
    "QUERY_VALUES_MAX",
    "CHALLENGED",
}
CODE_FILES = [
    *(ROOT / "sync").glob("*.py"),
    *(
        ROOT / "node/service" / f"{name}.py"
        for name in (
            "commit",
            "receive",
            "rows",
            "bundle",
            "exchange",
            "joining",
            "branches",
            "clones",
            "life",
            "witness",
        )
    ),
]
ERRORS = {"Refused", "Held", "Deferred", "BadDocument", "BadKey", "TransportError", "TimedOut"}


def section(number: str) -> str:
    """The text of one section, its subsections included."""
    depth = number.count(".") + 2
    found = re.search(rf"^#{{{depth}}} {re.escape(number)} .*?(?=^#{{2,{depth}}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, number
    return found.group()


def fields(model: Any) -> set[str]:
    return {found.alias or name for name, found in model.model_fields.items()}


def test_example_is_what_the_script_prints():
    assert with_example(TEXT) == TEXT


def test_example_is_understood():
    thread, request, reply = documents()
    keyring = keyring_of({"keys": c.keys(c.CITY, c.COUNTY)})
    rows = [{**row, "parent": None} if row["code"] == c.CITY else row for row in c.roster()[1:]]
    roster = roster_of(rows)
    chain = None
    for item in (*read(request, keyring).items, *read(reply, keyring).items):
        assert item.signed is not None
        chain = evolve(chain, open_statement(item.signed, keyring), roster)
    assert chain is not None
    assert (chain.head, chain.custodian, chain.term) == (thread.head, c.CITY, FIRST_TERM._replace(t=1))
    assert writer(chain).inc == Incarnation(*c.inc(c.CITY))


@pytest.mark.parametrize(
    ("number", "bodies"),
    [("5.2", entry.BODIES), ("6", remark.BODIES), ("7", registry.BODIES), ("16", summary.BODIES)],
    ids=["5.2", "6", "7", "16"],
)
def test_every_kind_and_field_stands_in_its_section(number: str, bodies: dict[str, Any]):
    text = section(number)
    for kind, body in bodies.items():
        assert f"`{kind}`" in text, kind
        for name in fields(body):
            assert re.search(rf"`{name}`|\b{name}\b:", text), f"{kind}.{name}"


@pytest.mark.parametrize(
    ("number", "model"),
    [
        ("3.5", Header),
        ("4", PartRef),
        ("5.1", Entry),
        ("6", Remark),
        ("7", RegistryEntry),
        ("7.1", registry.Card),
        ("8.3", DocumentHeader),
        ("8.3", Ack),
        ("8.3", Budget),
        ("8.3", Chunk),
        ("8.3", Verdict),
        ("8.3", Pull),
        ("8.3", Seal),
        ("8.3", CheckpointLine),
        ("8.3", CosignatureLine),
        ("8.3", SettledLine),
        ("8.3", HeardLine),
        ("15.6", Extra),
        ("9", Invitation),
        ("9", JoinRequest),
        ("5.2", entry.Child),
        ("5.2", entry.ClosedChild),
        ("5.2", entry.Portion),
        ("5.2", entry.Split),
        ("5.2", entry.Suggested),
        ("16.1", Summary),
        ("16.2", summary.Row),
    ],
)
def test_every_field_stands_in_its_section(number: str, model: Any):
    text = section(number) + (section("3.5") if model is not Header else "")
    for name in fields(model):
        assert re.search(rf"`{name}`|\b{name}\b:|\"{name}\"|[{{ ]{name},|[ ,]{name}[,}}]", text), name


@pytest.mark.parametrize("number", ["5.2", "6", "8.3", "7", "16"])
def test_every_choice_stands_in_its_section(number: str):
    text = section(number)
    choices = {
        "5.2": (entry.Mode, entry.Step, entry.Outcome, entry.Role),
        "6": (remark.DeclineCode, remark.Rating),
        "7": (registry.Published.model_fields["list"].annotation,),
        "16": (summary.Status, entry.Step, entry.Outcome, remark.Rating),
        "8.3": (DocumentHeader.model_fields["lane"].annotation, Verdict.model_fields["disposition"].annotation),
    }
    for choice in choices[number]:
        for value in choice.__args__:
            assert f'"{value}"' in text, value


def codes(file: Path) -> set[str]:
    """The first argument of every error made in a file, and what a link is stopped with."""
    found = set()
    for call in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        at = 2 if name == "_stop" else 0
        if (name in ERRORS or name == "_stop") and len(call.args) > at:
            found |= {node.value for node in ast.walk(call.args[at]) if isinstance(node, ast.Constant)}
    return {value for value in found if isinstance(value, str)}


def test_every_code_stands_in_8_5():
    text = section("8.5")
    found = set().union(*map(codes, CODE_FILES))
    assert len(found) > 50
    assert sorted(code for code in found if f"`{code}`" not in text) == []


def test_every_code_of_8_5_is_used():
    used = "".join(file.read_text("utf-8") for file in CODE_FILES)
    named = re.findall(r"`([a-z][a-z-]+)`", section("8.5"))
    assert sorted(code for code in named if f'"{code}"' not in used) == []


def limits() -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for name in LIMITS:
        for constant, value in vars(importlib.import_module(name)).items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if constant.isupper() and is_number and not constant.startswith("_") and constant != "VERSION":
                found[constant] = value
    doors = {name: getattr(gate, name) for name in ("JOIN_BYTES_MAX", "EXCHANGE_BYTES_MAX", "SUBMISSION_BYTES_MAX")}
    return {**{name: value for name, value in found.items() if name not in NOT_ON_THE_WIRE}, **doors}


def test_every_limit_stands_in_12_with_its_value():
    rows = dict(re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([0-9, ]+) \|", section("12"), re.MULTILINE))
    said: dict[str, float] = {}
    for names, values in rows.items():
        split = re.findall(r"\w+", names)
        numbers = [float(value) for value in values.split(",")]
        said.update(zip(split, numbers if len(numbers) == len(split) else numbers * len(split), strict=True))
    assert {name: said.get(name) for name in limits()} == limits()


def test_every_section_the_code_cites_exists():
    cited: dict[str, str] = {}
    for folder in ("node", "sync", "schemas"):
        for file in (ROOT / folder).rglob("*.py"):
            for number in re.findall(r"SPEC ([0-9]+(?:\.[0-9]+)?)", file.read_text("utf-8")):
                cited[number] = str(file)
    assert {"2", "3", "3.2", "5.1", "7.4", "8.2", "8.3", "8.4", "9"} <= cited.keys()
    for number, file in cited.items():
        assert section(number), file


@pytest.mark.parametrize("rule", ["R1", "R2", "R3", "R4", "R5", "R6", "R9", "R14", "R15", "R16", "R17", "R20"])
def test_rule_stands_in_5_8(rule: str):
    assert f"**{rule}**" in section("5.8")


def test_table_of_contents_is_complete():
    names = re.findall(r"^## ([0-9]+ .*)$", TEXT, re.MULTILINE)
    contents = " ".join(RULES.split("\n\n")[2].split())
    assert contents == " · ".join(names)
