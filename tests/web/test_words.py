"""The words of the pages: both languages, the same values in both, none missing and none left over."""

import re
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest

import node.web
from node.api.problems import KINDS
from node.domain.policy import VERBS
from node.domain.refusals import Invalid
from node.web.errors import field_errors
from node.web.words import UnknownWord, Words, pairs, pick
from schemas import entry, remark
from schemas.statement import Share, Status

WEB = Path(node.web.__file__).parent
KEY = re.compile(r"[\"']([a-z_]+(?:\.[A-Za-z_-]+)+)[\"']")
AUDITED = re.compile(r"\.audit\(\"([a-z_-]+)\"")
RULE = re.compile(r"rule=\"([a-z_]+)\"")
PREFIX = re.compile(r"[\"']([a-z_]+(?:\.[A-Za-z_-]+)*\.)[\"']\s*~|f\"([a-z_]+(?:\.[A-Za-z_-]+)*\.)\{")


def is_word(key: str) -> bool:
    return key.split(".")[0] in TABLES and not key.endswith((".html", ".xlsx"))


def sources() -> list[str]:
    return [file.read_text("utf-8") for kind in ("*.py", "*.html") for file in WEB.rglob(kind)]


@pytest.mark.parametrize("key", pairs())
def test_word_stands_in_both_languages_with_the_same_values(key: str):
    chinese, english = pairs()[key]
    assert chinese.strip()
    assert english.strip()
    names = [sorted(name for _, name, _, _ in Formatter().parse(text) if name) for text in (chinese, english)]
    assert names[0] == names[1]


def test_every_word_of_a_template_is_known():
    used = {key for text in sources() for key in KEY.findall(text) if is_word(key)}
    groups = tuple(f"{key}." for key in used)
    whole = {key for key, group in zip(used, groups, strict=True) if any(known.startswith(group) for known in pairs())}
    assert sorted(used - whole - pairs().keys()) == []


def test_no_word_is_left_over():
    """The vocabulary is whole, whether every word of it is on a page or not; so are the problems."""
    text = "\n".join(sources())
    used, begun = set(KEY.findall(text)), {first or second for first, second in PREFIX.findall(text)}
    vocabulary = ("terms.", "problem.")
    known = (*begun, *(f"{key}." for key in used), *vocabulary)
    assert [key for key in pairs() if key not in used and not key.startswith(known)] == []


@pytest.mark.parametrize("name", KINDS)
def test_every_problem_says_what_to_do(name: str):
    assert f"problem.{name}" in pairs()


@pytest.mark.parametrize(
    "key",
    [
        *(f"topic.kind.{kind}" for kind in entry.BODIES),
        *(f"terms.remark.{kind}" for kind in remark.BODIES),
        *(f"topic.share.{share}" for share in get_args(Share)),
        *(f"terms.status.{status}" for status in get_args(Status)),
        *(f"terms.mode.{mode}" for mode in ("open", "claim", *get_args(entry.Mode))),
    ],
)
def test_everything_a_topic_may_hold_has_a_name(key: str):
    assert key in pairs()


def test_every_rule_a_field_may_break_is_said_in_words_and_no_other():
    texts = [file.read_text("utf-8") for file in WEB.parent.rglob("*.py")]
    rules = {rule for text in texts for rule in RULE.findall(text)}
    assert len(rules) > 20
    assert {f"problem.rule.{rule}" for rule in rules} == {key for key in pairs() if key.startswith("problem.rule.")}


def test_everything_the_audit_tells_of_has_a_name():
    texts = [file.read_text("utf-8") for file in WEB.parent.rglob("*.py")]
    told = {name for text in texts for name in AUDITED.findall(text)}
    assert len(told) > 30
    assert {f"audit.did.{name}" for name in told | VERBS} <= pairs().keys()


def test_broken_rule_is_said_in_the_readers_language():
    error = Invalid("areas", "620199 is in no table of divisions", rule="unknown_area", code="620199")
    assert field_errors(error, Words("zh")) == {"areas": "区划表里没有 620199"}
    assert field_errors(error, Words("en")) == {"areas": "620199 is in no table of divisions"}


def test_word_nobody_wrote_is_an_error():
    with pytest.raises(UnknownWord):
        Words("zh")("today.nothing_like_it")


def test_bilingual_line_is_said_in_one_language():
    assert pick("未找到 / Not found", "en") == "Not found"
    assert pick("未找到 / Not found", "zh") == "未找到"
    assert pick("plain", "en") == "plain"


TABLES = {key.split(".")[0] for key in pairs()}
