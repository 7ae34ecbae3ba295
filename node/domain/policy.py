"""Who may do what: verbs and the roles that have them (SPEC does not reach here: this is one office's own matter).

Every verb of every door stands here once; what does not is refused with an error, and a verb nobody was given is
nobody's. Whether a topic is this node's at all is not a question of roles: the custody rules answer that.
"""

CLERK = "clerk"
"""Does all work on topics."""
ADMIN = "admin"
"""Keeps accounts, invitations, links and trust; reads topics."""
ROLES = frozenset({CLERK, ADMIN})

PUBLIC = "public"
"""The verb of what needs no account: signing in, health, the contract."""

TOPIC_VERBS = frozenset(
    {
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
    }
)
ADMIN_VERBS = frozenset(
    {
        "add_user",
        "change_user",
        "list_users",
        "invite",
        "enrol",
        "trust",
        "load_catalogue",
        "link",
        "rehome",
    }
)
SHARED_VERBS = frozenset({"read", "exchange", "sign_out"})

_ROLES_OF = {
    **dict.fromkeys(TOPIC_VERBS, frozenset({CLERK})),
    **dict.fromkeys(ADMIN_VERBS, frozenset({ADMIN})),
    **dict.fromkeys(SHARED_VERBS, ROLES),
}
VERBS = frozenset(_ROLES_OF)


class UnknownVerb(LookupError):
    """The policy has no such verb: a fault of the program, never of the person."""


def allowed(roles: frozenset[str], verb: str) -> bool:
    """Whether one of these roles has the verb. Raises UnknownVerb."""
    try:
        return not roles.isdisjoint(_ROLES_OF[verb])
    except KeyError:
        raise UnknownVerb(verb) from None
