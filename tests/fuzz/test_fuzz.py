"""A hundred thousand damaged inputs: each ends in a typed error, or in a value that says what the bytes say."""

import json
from random import Random

import pytest

from schemas.ids import COUNT_MAX
from sync import sealing
from tests.fuzz.__main__ import main
from tests.fuzz.campaign import MEBIBYTES_MAX, campaign, memory_mib
from tests.fuzz.mutate import damage_json, written
from tests.fuzz.targets import TARGETS

SEED = 20260501
EXECUTIONS = 100_000
EACH = -(-EXECUTIONS // len(TARGETS))
TAKEN_MIN = 5
"""Of each target: input of which everything is refused at the door tries nothing."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TARGETS)
def test_decoder_fed_with_damaged_input_refuses_by_name_or_says_what_stands_there(name: str):
    before = memory_mib()
    outcome = campaign(name, SEED, EACH)
    assert outcome.violations == [], outcome.violations[0]
    assert outcome.executions == EACH
    assert outcome.said["taken"] >= TAKEN_MIN
    assert outcome.executions - outcome.said["taken"] >= EACH // 4
    assert memory_mib() - before < MEBIBYTES_MAX


@pytest.mark.parametrize("name", TARGETS)
def test_decoder_has_a_first_look_at_damaged_input(name: str):
    outcome = campaign(name, SEED + 1, 40)
    assert outcome.violations == [], outcome.violations[0]


def test_the_same_seed_makes_the_same_inputs():
    for target in TARGETS.values():
        if target.name != "encrypted-bundle":  # a fresh key for each process
            assert [target.make(Random(f"{n}")) for n in range(20)] == [target.make(Random(f"{n}")) for n in range(20)]


def test_damage_reaches_names_numbers_and_depth():
    """What a mutator must make now and then: without it the campaign would say little."""
    value = {"seq": 1, "body": {"text": "a", "list": [1, 2]}}
    made = [written(damage_json(value, Random(n), {"other": [None]}), Random(n)) for n in range(2000)]
    texts = [raw.decode("utf-8", "surrogatepass") for raw in made]
    assert any(str(COUNT_MAX + 1) in text for text in texts)
    assert any('"seq":' in text and text.count('"seq":') > 1 for text in texts)
    assert any(text.count("[") > 32 or text.count("{") > 30 for text in texts)
    assert any("1.5" in text for text in texts)
    assert any('"seq"' not in text for text in texts)


def test_a_reader_that_is_not_strict_is_found(monkeypatch: pytest.MonkeyPatch):
    """The check can fail: with the parser of the language in place of ours it does."""
    monkeypatch.setattr(sealing, "strict_json", lambda raw: dict(json.loads(raw)))
    found = [campaign(name, SEED, 3000).violations for name in ("signed-statement", "join")]
    assert all(found)


def test_a_reader_that_raises_another_error_is_found(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "unb64", lambda text: __import__("base64").urlsafe_b64decode(text + "=="))
    assert campaign("statement", SEED, 2000).violations


def test_command_plays_one_input_again(capsys: pytest.CaptureFixture[str]):
    assert main(["--target", "note", "--seed", "7", "--first", "3", "--count", "1"]) == 0
    assert "1 executions of 1 decoders with seed 7" in capsys.readouterr().out
