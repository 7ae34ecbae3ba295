"""What the command line says when it refuses: every refusal in both languages, and none in the words of the code."""

import ast
import re
from pathlib import Path

import pytest

import node.app
import node.web.forgery
from node.cli import words
from node.cli.failures import explain
from node.domain import refusals
from node.domain.errors import DomainError
from node.domain.refusals import Invalid, Refusal
from node.service.sessions import WrongPassword
from node.service.users import NameTaken
from node.web.words import pairs
from sync.errors import BadDocument, SyncError
from tests.unit.test_problems import classes_below, document, made

ROOT = Path(node.app.__file__).parent
SPEC = (ROOT.parent / "schemas" / "SPEC.md").read_text("utf-8")
REFUSED = [cls for cls in (*classes_below(DomainError), *classes_below(SyncError)) if cls not in (DomainError, Refusal)]
SAID_BY_ITS_RULE = {NameTaken}


@pytest.mark.parametrize("cls", REFUSED, ids=lambda cls: cls.__name__)
def test_refusal_is_said_in_words_of_its_own_in_both_languages(cls: type[Exception]):
    assert cls in SAID_BY_ITS_RULE or cls in words.SAID
    said = explain(made(cls))
    assert said is not None
    chinese, _, english = said.text.partition(" / ")
    assert any("\u4e00" <= char <= "\u9fff" for char in chinese)
    assert english.isascii()
    assert "`" not in said.text
    assert len(said.text.splitlines()) == 1


def test_no_refusal_shows_words_for_programmers_to_people():
    assert [cls.__name__ for cls in REFUSED if "`" in str(made(cls))] == []


@pytest.mark.parametrize(
    "code",
    [
        *words.CODES,
        *re.findall(r"`([a-z-]+)`", SPEC[SPEC.index("Of documents: `malformed`") :].split("Of statements:")[0]),
    ],
)
def test_code_of_a_document_or_bundle_is_said_in_both_languages(code: str):
    said = explain(BadDocument(code, "7"))
    assert said is not None
    if code in ("peer-knows-more", "hash-mismatch", "clone"):  # why a link stopped, never why a document is refused
        return
    assert said.text.startswith(" / ".join(words.CODES[code]))
    assert said.text.endswith(f"{code}: 7")


def _invalids(file: Path) -> list[ast.Call]:
    calls = [found for found in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(found, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Invalid"]


@pytest.mark.parametrize("room", ["service", "domain"])
def test_every_invalid_field_names_the_rule_whose_words_people_read(room: str):
    files = sorted((ROOT / room).rglob("*.py"))
    assert sum(len(_invalids(file)) for file in files) > (20 if room == "service" else 0)
    without = [
        f"{file.name}:{call.lineno}"
        for file in files
        for call in _invalids(file)
        if "rule" not in {keyword.arg for keyword in call.keywords}
    ]
    assert without == []


def test_broken_rule_is_said_with_what_it_is_about_and_nothing_else():
    error = Invalid("file", "node.db is damaged", rule="backup_damaged", name="node.db")
    said = explain(error)
    assert said is not None
    assert said.text == " / ".join(pair.format(name="node.db") for pair in pairs()["problem.rule.backup_damaged"])


def test_answer_of_the_api_says_what_is_wrong_in_plain_words():
    wrong = document(WrongPassword())
    assert (wrong["type"], wrong["status"]) == ("urn:liandong:problem:unauthenticated", 401)
    assert wrong["detail"] == "用户名或密码不对 / Name or password is wrong."
    own = document(refusals.OwnClaim())
    assert (own["type"], own["status"]) == ("urn:liandong:problem:not-allowed", 403)
    assert str(own["detail"]).startswith("须由另一人批准 / ")
    assert document(Invalid("title", "is empty"))["detail"] == "A field is not as it must be: title: is empty"
