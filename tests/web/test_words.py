"""The words of the pages: both languages, the same values in both, none missing and none left over."""

import re
from pathlib import Path
from string import Formatter

import pytest

import node.web
from node.api.problems import KINDS
from node.web.words import UnknownWord, Words, pairs, pick

WEB = Path(node.web.__file__).parent
KEY = re.compile(r"[\"']([a-z_]+(?:\.[A-Za-z_-]+)+)[\"']")
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


def test_word_nobody_wrote_is_an_error():
    with pytest.raises(UnknownWord):
        Words("zh")("today.nothing_like_it")


def test_bilingual_line_is_said_in_one_language():
    assert pick("未找到 / Not found", "en") == "Not found"
    assert pick("未找到 / Not found", "zh") == "未找到"
    assert pick("plain", "en") == "plain"


TABLES = {key.split(".")[0] for key in pairs()}
