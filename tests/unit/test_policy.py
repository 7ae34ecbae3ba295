"""The policy table: who may do what, and that nothing is allowed by omission."""

import pytest

from node.domain import policy
from node.domain.policy import ADMIN, CLERK, ROLES, VERBS, UnknownVerb, allowed

WORK = [
    "open",
    "escalate",
    "delegate",
    "report",
    "return",
    "accept",
    "decline",
    "recall",
    "step",
    "note",
    "attend",
    "amend",
    "result",
    "close",
    "reopen",
    "split",
    "detach",
    "remark",
    "import",
]


@pytest.mark.parametrize("verb", WORK)
def test_topic_verb_is_the_clerks_and_not_the_admins(verb: str):
    assert allowed(frozenset({CLERK}), verb)
    assert not allowed(frozenset({ADMIN}), verb)
    assert allowed(frozenset({CLERK, ADMIN}), verb)


@pytest.mark.parametrize("verb", ["add_user", "invite", "trust", "load_catalogue"])
def test_keeping_the_node_is_the_admins_and_not_the_clerks(verb: str):
    assert allowed(frozenset({ADMIN}), verb)
    assert not allowed(frozenset({CLERK}), verb)


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("verb", ["read", "exchange", "sign_out"])
def test_reading_and_exchanging_is_everyones(role: str, verb: str):
    assert allowed(frozenset({role}), verb)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_role_or_an_unknown_role_may_do_nothing(verb: str):
    assert not allowed(frozenset(), verb)
    assert not allowed(frozenset({"leader", "CLERK", ""}), verb)


@pytest.mark.parametrize("verb", ["", "escalates", "OPEN", "public", "claim"])
def test_unknown_verb_is_an_error_for_every_role(verb: str):
    with pytest.raises(UnknownVerb):
        allowed(ROLES, verb)


def test_every_verb_has_a_role_that_exists():
    assert all(any(allowed(frozenset({role}), verb) for role in ROLES) for verb in VERBS)
    assert set(WORK) == policy.TOPIC_VERBS
