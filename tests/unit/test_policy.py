"""The policy table: every cell as written down here a second time, and nothing allowed by omission."""

import pytest

from node.domain import policy
from node.domain.policy import (
    ROLES,
    SECURITY,
    TABLES,
    VERBS,
    Relation,
    UnknownVerb,
    allowed,
    conflict,
    permits,
    roles_of,
)

NODE, UNIT = Relation.NODE, Relation.UNIT
CUSTODY = [
    "escalate",
    "delegate",
    "report",
    "return",
    "accept",
    "decline",
    "recall",
    "split",
    "detach",
    "close",
    "reopen",
]
OFFICE = "add_user change_user change_roles end_sessions keep_units hand_over invite enrol trust load_catalogue link"
EVERYONE = dict.fromkeys([*ROLES, SECURITY], NODE)
EXPECTED: dict[str, dict[str, Relation]] = {
    **{verb: {"clerk": NODE} for verb in (*CUSTODY, "close", "reopen", "import")},
    **{
        verb: {"clerk": NODE, "coordinator": UNIT}
        for verb in ("open", "step", "note", "attend", "amend", "result", "dispose", "submitter", "take_draft")
    },
    **{verb: {"admin": NODE} for verb in [*OFFICE.split(), "claim", "approve_claim", "waive", "heal"]},
    **dict.fromkeys(("read", "read_units", "sign_out", "own_account"), EVERYONE),
    "remark": {"clerk": NODE, "coordinator": UNIT, "supervisor": NODE, "leader": NODE},
    "assign": {"clerk": NODE, "coordinator": UNIT, "leader": NODE},
    "read_drafts": {"clerk": NODE, "coordinator": NODE},
    "print_sheets": {"clerk": NODE, "coordinator": NODE, "admin": NODE},
    "read_warnings": {"clerk": NODE, "coordinator": NODE, "supervisor": NODE, "leader": NODE},
    "exchange": {"clerk": NODE, "admin": NODE},
    "list_users": {"auditor": NODE, "admin": NODE, "security": NODE},
    "read_audit": {"auditor": NODE},
    "export_audit": {"auditor": NODE},
}
PARTED = {verb: {"security": NODE} for verb in ("change_roles", "end_sessions", "trust")}
CELLS = [
    (profile, role, verb, relation)
    for profile in TABLES
    for role in sorted([*ROLES, SECURITY])
    for verb in sorted(VERBS)
    for relation in Relation
]


@pytest.mark.parametrize("profile", TABLES)
def test_every_verb_of_the_table_is_expected_here_and_no_other(profile: policy.Profile):
    assert EXPECTED.keys() == VERBS == TABLES[profile].keys()


@pytest.mark.parametrize(("profile", "role", "verb", "relation"), CELLS)
def test_cell_is_as_written_down(profile: policy.Profile, role: str, verb: str, relation: Relation):
    expected = (EXPECTED | (PARTED if profile == "mlps3" else {}))[verb].get(role)
    assert permits(frozenset({role}), verb, relation, profile) == (expected is not None and relation >= expected)
    assert allowed(frozenset({role}), verb, profile) == (expected is not None)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_role_or_an_unknown_role_may_do_nothing(verb: str):
    assert not allowed(frozenset(), verb)
    assert not allowed(frozenset({"CLERK", "", "root"}), verb)


def test_several_roles_have_what_each_of_them_has():
    both = frozenset({"coordinator", "admin"})
    assert permits(both, "note", UNIT)
    assert not permits(both, "note", NODE)
    assert permits(both, "invite", NODE)
    assert permits(both | {"clerk"}, "note", NODE)


@pytest.mark.parametrize("verb", ["", "escalates", "OPEN", "public"])
def test_unknown_verb_is_an_error_for_every_role(verb: str):
    with pytest.raises(UnknownVerb):
        allowed(ROLES, verb)


def test_auditor_has_no_verb_that_changes_anything():
    changing = {
        verb for verb in VERBS if not verb.startswith(("read", "list", "export")) and verb not in policy.SELF_VERBS
    }
    assert not any(allowed(frozenset({"auditor"}), verb, profile) for verb in changing for profile in TABLES)


def test_security_role_is_given_only_where_the_profile_parts_the_keepers():
    assert SECURITY not in roles_of("asvs")
    assert SECURITY in roles_of("mlps3")


@pytest.mark.parametrize(
    ("roles", "forbidden"),
    [
        ({"clerk"}, False),
        ({"clerk", "coordinator"}, False),
        ({"admin"}, False),
        ({"admin", "clerk"}, True),
        ({"admin", "auditor"}, True),
        ({"security", "auditor"}, True),
        ({"auditor", "leader"}, True),
    ],
)
def test_keepers_are_three_persons_under_mlps3_only(roles: set[str], forbidden: bool):
    assert conflict(frozenset(roles), "mlps3") == forbidden
    assert not conflict(frozenset(roles), "asvs")
