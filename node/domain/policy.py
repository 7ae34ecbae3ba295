"""Who may do what to which topics: the one table every door takes its rule from.

A row is a verb, a column a role, a cell the least the person must have to do with the topic (SPEC does not reach here:
this is one office's own matter). A verb that is not in the table is refused with an error, and a cell that holds a
stroke is nobody's by omission. Whether this node may write a topic at all is not a question of roles: the custody
rules answer that.
"""

from enum import IntEnum
from typing import Literal

CLERK = "clerk"
"""Does all work on topics."""
COORDINATOR = "coordinator"
"""Works on the topics of a unit (a township, a village, a room) and hands nothing to other nodes."""
SUPERVISOR = "supervisor"
"""Sees everything, urges, and is told what is late."""
LEADER = "leader"
"""Answers for units: assigns duties, urges, and is told what is late."""
AUDITOR = "auditor"
"""Reads everything, the audit above all, and changes nothing."""
ADMIN = "admin"
"""Keeps accounts, invitations, links and trust; reads topics."""
SECURITY = "security"
"""Keeps rights and factors where the profile parts them from the keeping of the system (三员); nowhere else."""

Profile = Literal["asvs", "mlps3"]
PUBLIC = "public"
"""The verb of what needs no account: signing in, health, the contract, the citizen's page."""


class Relation(IntEnum):
    """What a person has to do with a topic; each includes those before it."""

    NODE = 1
    """It is a topic of this node."""
    UNIT = 2
    """It belongs to a unit of hers, or to one below."""
    POST = 3
    """It is a duty of a post she holds."""


_COLUMNS = (CLERK, COORDINATOR, SUPERVISOR, LEADER, AUDITOR, ADMIN, SECURITY)
_CELLS = {"-": None, "node": Relation.NODE, "unit": Relation.UNIT, "post": Relation.POST}

_TOPICS = """
verb        clerk  coordinator  supervisor  leader  auditor  admin  security
read        node   node         node        node    node     node   node
open        node   unit         -           -       -        -      -
import      node   -            -           -       -        -      -
escalate    node   -            -           -       -        -      -
delegate    node   -            -           -       -        -      -
report      node   -            -           -       -        -      -
return      node   -            -           -       -        -      -
accept      node   -            -           -       -        -      -
decline     node   -            -           -       -        -      -
recall      node   -            -           -       -        -      -
split       node   -            -           -       -        -      -
detach      node   -            -           -       -        -      -
close       node   -            -           -       -        -      -
reopen      node   -            -           -       -        -      -
step        node   unit         -           -       -        -      -
note        node   unit         -           -       -        -      -
attend      node   unit         -           -       -        -      -
amend       node   unit         -           -       -        -      -
result      node   unit         -           -       -        -      -
dispose     node   unit         -           -       -        -      -
remark      node   unit         node        node    -        -      -
"""
_TOPICS_HERE = """
verb        clerk  coordinator  supervisor  leader  auditor  admin  security
assign      node   unit         -           node    -        -      -
submitter   node   unit         -           -       -        -      -
take_draft  node   unit         -           -       -        -      -
"""
_OFFICE = """
verb            clerk  coordinator  supervisor  leader  auditor  admin  security
read_drafts     node   node         -           -       -        -      -
print_sheets    node   node         -           -       -        node   -
read_units      node   node         node        node    node     node   node
read_warnings   node   node         node        node    -        -      -
exchange        node   -            -           -       -        node   -
list_users      -      -            -           -       node     node   node
add_user        -      -            -           -       -        node   -
change_user     -      -            -           -       -        node   -
change_roles    -      -            -           -       -        node   -
end_sessions    -      -            -           -       -        node   -
keep_units      -      -            -           -       -        node   -
hand_over       -      -            -           -       -        node   -
invite          -      -            -           -       -        node   -
enrol           -      -            -           -       -        node   -
trust           -      -            -           -       -        node   -
load_catalogue  -      -            -           -       -        node   -
link            -      -            -           -       -        node   -
claim           -      -            -           -       -        node   -
approve_claim   -      -            -           -       -        node   -
waive           -      -            -           -       -        node   -
heal            -      -            -           -       -        node   -
read_audit      -      -            -           -       node     -      -
export_audit    -      -            -           -       node     -      -
"""
_SELF = """
verb        clerk  coordinator  supervisor  leader  auditor  admin  security
sign_out    node   node         node        node    node     node   node
own_account node   node         node        node    node     node   node
"""
_PARTED = """
verb          clerk  coordinator  supervisor  leader  auditor  admin  security
change_roles  -      -            -           -       -        -      node
end_sessions  -      -            -           -       -        -      node
trust         -      -            -           -       -        -      node
"""
"""What differs where system, security and audit are kept by three persons (GB/T 22239, level 3)."""

Cells = dict[str, dict[str, Relation | None]]


def _read(*tables: str) -> Cells:
    found: Cells = {}
    for table in tables:
        head, *rows = [line.split() for line in table.split("\n") if line]
        for name, *cells in rows:
            found[name] = {role: _CELLS[cell] for role, cell in zip(head[1:], cells, strict=True)}
    return found


_ASVS = _read(_TOPICS, _TOPICS_HERE, _OFFICE, _SELF)
TABLES: dict[Profile, Cells] = {"asvs": _ASVS, "mlps3": _ASVS | _read(_PARTED)}
VERBS = frozenset(_ASVS)
TOPIC_VERBS = frozenset(_read(_TOPICS)) - {"read"}
"""Verbs that write to a topic's history or stand beside it."""
SELF_VERBS = frozenset(_read(_SELF))
"""What a person may do who has signed in but still owes a new password or a second factor."""
STEP_UP = frozenset({"change_roles", "trust", "claim", "approve_claim", "export_audit"})
"""What asks for the password again when signing in was some time ago."""
KEEPERS = frozenset({ADMIN, SECURITY, AUDITOR})
"""Of these nobody holds two where the profile parts them, and none works on topics."""
ROLES = frozenset(_COLUMNS) - {SECURITY}


class UnknownVerb(LookupError):
    """The policy has no such verb: a fault of the program, never of the person."""


def roles_of(profile: Profile) -> frozenset[str]:
    """The roles an account may be given."""
    return ROLES | {SECURITY} if profile == "mlps3" else ROLES


def least(roles: frozenset[str], verb: str, profile: Profile = "asvs") -> Relation | None:
    """The least relation to a topic with which one of these roles has the verb; None: none. Raises UnknownVerb."""
    try:
        row = TABLES[profile][verb]
    except KeyError:
        raise UnknownVerb(verb) from None
    given = [cell for role in roles if (cell := row.get(role)) is not None]
    return min(given, default=None)


def allowed(roles: frozenset[str], verb: str, profile: Profile = "asvs") -> bool:
    """Whether one of these roles has the verb for some topic at all. Raises UnknownVerb."""
    return least(roles, verb, profile) is not None


def permits(roles: frozenset[str], verb: str, relation: Relation, profile: Profile = "asvs") -> bool:
    """Whether one of these roles has the verb for a topic the person stands in this relation to. Raises UnknownVerb."""
    needed = least(roles, verb, profile)
    return needed is not None and relation >= needed


def conflict(roles: frozenset[str], profile: Profile) -> bool:
    """Whether the profile forbids one person to hold all of these."""
    kept = roles & KEEPERS
    return profile == "mlps3" and bool(kept) and roles != {next(iter(kept))}
